//! Checks of what is kept by scope, and of cuts.

use super::{key, ok, origin, vector};
use crate::device::store::{Pass, Store, Subscription};
use landfall_model::id::RegionId;

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
