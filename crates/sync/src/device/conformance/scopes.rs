//! Checks of what is kept by scope, and of cuts.

use super::{base, key, ok, origin, vector};
use crate::device::store::{Held, Pass, Store, Subscription, Terms};
use landfall_model::codec;
use landfall_model::id::{EntityKey, RegionId};

pub(super) fn subscriptions_come_back_whole<S: Store>(s: &mut S) {
    let pass = |after| Pass { start: vector(3), after, from: vector(1) };
    let full = Subscription {
        cursor: vector(2),
        pass: Some(pass(Some(key("s/1", 1, "a")))),
        provisional: Some((RegionId(7), vector(9))),
        loading: true,
        rows_taken: 12,
        rows_total: 3_000_000_000,
        denied: Some("another code".to_owned()),
        terms: Terms {
            keep_ms: Some(u64::MAX),
            priority: 200,
            rows_max: Some(0),
            bytes_max: Some(1 << 40),
            ttl_ms: Some(5),
        },
        asked_ms: -3,
        synced_ms: 1 << 50,
        short: true,
    };
    ok(s.put_subscription("b", &full));
    ok(s.put_subscription("a", &Subscription::default()));
    assert_eq!(ok(s.subscription("b")), Some(full.clone()));
    let listed = [("a".into(), Subscription::default()), ("b".into(), full.clone())];
    assert_eq!(ok(s.subscriptions()), listed);

    let early = Subscription { pass: Some(pass(None)), denied: None, ..full };
    ok(s.put_subscription("b", &early));
    assert_eq!(ok(s.subscription("b")), Some(early));
    ok(s.remove_subscription("b"));
    ok(s.remove_subscription("b"));
    assert_eq!(ok(s.subscription("b")), None);
    assert_eq!(ok(s.subscriptions()), listed[..1]);
}

pub(super) fn refetches_are_per_scope<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    for key in [&b, &a, &a] {
        ok(s.add_refetch("s/1", key));
    }
    ok(s.add_refetch("s/10", &b));
    assert_eq!(ok(s.refetches("s/1", None, 10)), [a.clone(), b.clone()]);
    assert_eq!(ok(s.refetches("s/1", None, 1)), std::slice::from_ref(&a));
    assert_eq!(ok(s.refetches("s/1", Some(&a), 10)), std::slice::from_ref(&b));
    ok(s.remove_refetch("s/1", &a));
    ok(s.remove_refetch("s/1", &a));
    ok(s.remove_refetch("s/10", &a));
    assert_eq!(ok(s.refetches("s/1", None, 10)), std::slice::from_ref(&b));
    assert_eq!(ok(s.refetches("s/10", None, 10)), std::slice::from_ref(&b));
}

pub(super) fn what_a_scope_holds_is_counted_and_listed<S: Store>(s: &mut S) {
    let keys: Vec<EntityKey> = ["a", "b", "c"].map(|id| key("s/1", 1, id)).into();
    let mut bytes = 0;
    for key in &keys {
        let base = base(&key.id.repeat(40), 1, &["x"]);
        bytes += codec::to_bytes(&base.entity).len() as u64;
        ok(s.put_base(key, &base));
    }
    ok(s.put_base(&key("s/1", 1, "d"), &base("d", 1, &["y"])));
    assert_eq!(ok(s.held("x")), Held { rows: 3, bytes });
    assert_eq!(ok(s.held("none")), Held::default());
    assert_eq!(ok(s.longest_held("x", 0, 10)), keys);
    assert_eq!(ok(s.longest_held("x", 1, 1)), keys[1..2]);
    assert_eq!(ok(s.longest_held("x", 3, 1)), []);
}

pub(super) fn pins_stay_until_they_are_taken_off<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 2, "a"));
    for key in [&b, &a, &a] {
        ok(s.put_pin(key, true));
    }
    assert_eq!(ok(s.pins()), [a.clone(), b.clone()]);
    ok(s.put_pin(&a, false));
    ok(s.put_pin(&a, false));
    assert!(!ok(s.is_pinned(&a)) && ok(s.is_pinned(&b)));
}

pub(super) fn removed_rows_keep_their_last_touch<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    ok(s.add_removed("y", &a, &vector(1)));
    ok(s.add_removed("x", &b, &vector(2)));
    ok(s.add_removed("x", &a, &vector(3)));
    ok(s.add_removed("y", &a, &vector(4)));
    let listed = [
        ("x".into(), a.clone(), vector(3)),
        ("x".into(), b.clone(), vector(2)),
        ("y".into(), a.clone(), vector(4)),
    ];
    assert_eq!(ok(s.removed()), listed);
    ok(s.forget_removed("x", &a));
    ok(s.forget_removed("x", &a));
    assert_eq!(ok(s.removed()), listed[1..]);
}

pub(super) fn cuts_are_replaced<S: Store>(s: &mut S) {
    let (a, b) = (origin(1, u64::MAX, 1), origin(1, 3, u16::MAX));
    ok(s.put_cut(a, 0));
    ok(s.put_cut(b, u64::MAX));
    ok(s.put_cut(a, 5));
    assert_eq!(ok(s.cuts()), [(a, 5), (b, u64::MAX)].into());
}
