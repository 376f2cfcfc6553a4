//! What every implementation of [`Store`] does, as assertions.
//!
//! Each test of an implementation hands in a maker of fresh stores and calls [`run`]. The suite
//! asks only through the trait; what a store shows to the app is tested where it is shown.

use super::store::{Base, Meta, OpState, Outcome, OwnOp, Pass, Store, Subscription, View};
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, StreamId, TypeId};
use landfall_model::op::{Action, Change, FieldChange, Op, Sealed, Tx};
use landfall_model::stamp::{Hlc, Stamp};
use landfall_model::text::Text;
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use std::fmt::Debug;

/// Run every check, each on a store of its own. Panics where the store does not conform.
pub fn run<S: Store>(mut fresh: impl FnMut() -> S) {
    let checks: &[fn(&mut S)] = &[
        a_fresh_store_is_empty,
        meta_is_replaced,
        bases_come_back_whole,
        bases_are_walked_in_key_order,
        keys_order_by_home_then_kind_then_id,
        holds_follow_the_base_row,
        base_texts_come_and_go,
        a_base_row_takes_its_texts_along,
        children_are_noted_once,
        every_state_of_an_op_comes_back,
        an_op_is_replaced_under_its_dot,
        an_op_may_be_overlay_only,
        ops_on_an_entity_are_in_order,
        the_outbox_is_in_order_and_holds_only_what_waits,
        unconfirmed_numbers_are_kept_per_device,
        own_births_outlive_the_row,
        subscriptions_come_back_whole,
        refetches_are_per_scope,
        removed_rows_keep_their_last_touch,
        cuts_are_replaced,
        showing_is_idempotent,
        outcomes_are_taken_once,
        awkward_names_are_kept_apart,
    ];
    for check in checks {
        check(&mut fresh());
    }
}

fn a_fresh_store_is_empty<S: Store>(s: &mut S) {
    let (dot, key) = (dot(1, 1), key("s/1", 1, "a"));
    assert_eq!(ok(s.meta()), None);
    assert_eq!(ok(s.base(&key)), None);
    assert_eq!(ok(s.bases(None, 10)), []);
    assert_eq!(ok(s.held_by("s/1", None, 10)), []);
    assert!(ok(s.base_text(&key, FieldId(1))).is_empty());
    assert_eq!(ok(s.children(&key)), []);
    assert_eq!(ok(s.op(dot)), None);
    assert_eq!(ok(s.ops_on(&key)), []);
    assert_eq!(ok(s.outbox(0, 10)), []);
    assert_eq!(ok(s.unconfirmed()), []);
    assert_eq!(ok(s.own_birth(&key)), None);
    assert_eq!(ok(s.subscriptions()), []);
    assert_eq!(ok(s.subscription("s/1")), None);
    assert_eq!(ok(s.refetches("s/1", 10)), []);
    assert_eq!(ok(s.removed()), []);
    assert!(ok(s.cuts()).is_empty());
}

fn meta_is_replaced<S: Store>(s: &mut S) {
    let mut meta = Meta {
        device: DeviceId([0xff; 16]),
        last_seq: 7,
        sent_seq: 6,
        clock: Hlc(u64::MAX),
        read: Hlc(7),
        offset_ms: -5,
        former: vec![DeviceId::from_number(2), DeviceId::from_number(1)],
        last_order: 9,
    };
    ok(s.put_meta(&Meta::default()));
    assert_eq!(ok(s.meta()), Some(Meta::default()));
    ok(s.put_meta(&meta));
    assert_eq!(ok(s.meta()), Some(meta.clone()));
    meta.last_seq += 1;
    meta.former.clear();
    ok(s.put_meta(&meta));
    assert_eq!(ok(s.meta()), Some(meta));
}

fn bases_come_back_whole<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    let first = base("one", 1, &["s/1"]);
    ok(s.put_base(&a, &first));
    ok(s.put_base(&b, &Base::default()));
    assert_eq!(ok(s.base(&a)), Some(first));
    assert_eq!(ok(s.base(&b)), Some(Base::default()));

    let second = base("two", 2, &["s/1", "driver/9"]);
    ok(s.put_base(&a, &second));
    assert_eq!(ok(s.base(&a)), Some(second));

    ok(s.remove_base(&a));
    ok(s.remove_base(&a));
    assert_eq!(ok(s.base(&a)), None);
    assert_eq!(ok(s.base(&b)), Some(Base::default()));
}

fn bases_are_walked_in_key_order<S: Store>(s: &mut S) {
    let keys: Vec<EntityKey> = (10..20).map(|n| key("s/1", 1, &n.to_string())).collect();
    for key in keys.iter().rev() {
        ok(s.put_base(key, &base(&key.id, 1, &["s/1"])));
    }
    let walked = |s: &mut S, after: Option<&EntityKey>, limit| -> Vec<EntityKey> {
        ok(s.bases(after, limit)).into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(walked(s, None, usize::MAX), keys);
    assert_eq!(walked(s, None, 3), keys[..3]);
    assert_eq!(walked(s, Some(&keys[2]), 4), keys[3..7]);
    assert_eq!(walked(s, Some(&keys[9]), 4), []);
    assert_eq!(walked(s, None, 0), []);
    // A place need not name a row that is there.
    assert_eq!(walked(s, Some(&key("s/1", 1, "175")), 1), keys[8..9]);
    assert_eq!(ok(s.bases(None, 1)), [(keys[0].clone(), base("10", 1, &["s/1"]))]);
}

fn keys_order_by_home_then_kind_then_id<S: Store>(s: &mut S) {
    let keys = [
        key("a", u32::MAX, "é"),
        key("a", u32::MAX, "𝄞"),
        key("a/", 1, "z"),
        key("b", 2, "B"),
        key("b", 2, "a"),
        key("b", 10, "A"),
        key("b", 1 << 31, ""),
    ];
    assert!(keys.is_sorted());
    for key in keys.iter().rev() {
        ok(s.put_base(key, &base("x", 1, &["all"])));
    }
    let walked: Vec<EntityKey> = ok(s.bases(None, 100)).into_iter().map(|(k, _)| k).collect();
    assert_eq!(walked, keys);
    assert_eq!(ok(s.held_by("all", None, 100)), keys);
    for (at, key) in keys.iter().enumerate() {
        let behind: Vec<EntityKey> =
            ok(s.bases(Some(key), 100)).into_iter().map(|(k, _)| k).collect();
        assert_eq!(behind, keys[at + 1..]);
        assert_eq!(ok(s.held_by("all", Some(key), 100)), keys[at + 1..]);
    }
}

fn holds_follow_the_base_row<S: Store>(s: &mut S) {
    let (a, b) = (key("w/1", 1, "a"), key("w/2", 1, "b"));
    ok(s.put_base(&b, &base("b", 1, &["w/2", "driver/9"])));
    ok(s.put_base(&a, &base("a", 1, &["w/1", "driver/9"])));
    assert_eq!(ok(s.held_by("driver/9", None, 10)), [a.clone(), b.clone()]);
    assert_eq!(ok(s.held_by("driver/9", None, 1)), std::slice::from_ref(&a));
    assert_eq!(ok(s.held_by("driver/9", Some(&a), 10)), std::slice::from_ref(&b));
    assert_eq!(ok(s.held_by("w/1", None, 10)), std::slice::from_ref(&a));
    assert_eq!(ok(s.held_by("driver", None, 10)), []);
    assert_eq!(ok(s.held_by("driver/99", None, 10)), []);

    ok(s.put_base(&a, &base("a", 1, &["driver/8"])));
    assert_eq!(ok(s.held_by("driver/9", None, 10)), std::slice::from_ref(&b));
    assert_eq!(ok(s.held_by("driver/8", None, 10)), std::slice::from_ref(&a));
    assert_eq!(ok(s.held_by("w/1", None, 10)), []);

    ok(s.remove_base(&b));
    assert_eq!(ok(s.held_by("driver/9", None, 10)), []);
    assert_eq!(ok(s.held_by("w/2", None, 10)), []);
}

fn base_texts_come_and_go<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    let (one, two) = (text(1), text(2));
    ok(s.put_base_text(&a, FieldId(1), &one));
    ok(s.put_base_text(&a, FieldId(2), &two));
    ok(s.put_base_text(&b, FieldId(1), &two));
    assert_eq!(ok(s.base_text(&a, FieldId(1))), one);
    assert_eq!(ok(s.base_text(&a, FieldId(2))), two);
    ok(s.put_base_text(&a, FieldId(1), &two));
    assert_eq!(ok(s.base_text(&a, FieldId(1))), two);
    ok(s.put_base_text(&a, FieldId(1), &Text::default()));
    ok(s.put_base_text(&a, FieldId(1), &Text::default()));
    assert!(ok(s.base_text(&a, FieldId(1))).is_empty());
    assert_eq!(ok(s.base_text(&a, FieldId(2))), two);
    assert_eq!(ok(s.base_text(&b, FieldId(1))), two);
}

/// A row that left the device's scopes leaves its disk, texts and all.
fn a_base_row_takes_its_texts_along<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    for key in [&a, &b] {
        ok(s.put_base(key, &base("x", 1, &["s/1"])));
        ok(s.put_base_text(key, FieldId(0), &text(1)));
        ok(s.put_base_text(key, FieldId(u32::MAX), &text(2)));
    }
    ok(s.put_base(&a, &base("y", 2, &[])));
    assert_eq!(ok(s.base_text(&a, FieldId(0))), text(1));
    ok(s.remove_base(&a));
    assert!(ok(s.base_text(&a, FieldId(0))).is_empty());
    assert!(ok(s.base_text(&a, FieldId(u32::MAX))).is_empty());
    assert_eq!(ok(s.base_text(&b, FieldId(0))), text(1));
}

fn children_are_noted_once<S: Store>(s: &mut S) {
    let (p, q) = (key("s/1", 1, "p"), key("s/1", 1, "q"));
    let (a, b) = (key("s/1", 2, "a"), key("s/1", 2, "b"));
    for child in [&b, &a, &b] {
        ok(s.put_child(&p, child));
    }
    ok(s.put_child(&q, &b));
    assert_eq!(ok(s.children(&p)), [a.clone(), b.clone()]);
    assert_eq!(ok(s.children(&q)), std::slice::from_ref(&b));
    assert_eq!(ok(s.children(&a)), []);
}

fn every_state_of_an_op_comes_back<S: Store>(s: &mut S) {
    let position = Position { origin: origin(u16::MAX, u64::MAX, 3), seq: u64::MAX };
    let rejected = |field| OpState::Rejected {
        code: "LF4001".to_owned(),
        field,
        detail: "not yours".to_owned(),
    };
    let regions = [RegionId(0), RegionId(u16::MAX)];
    let states = [
        OpState::Unsent,
        OpState::Sent { regions: Default::default(), refused_by: Default::default() },
        OpState::Sent { regions: regions.into(), refused_by: [RegionId(0)].into() },
        OpState::Accepted { position },
        OpState::Durable { position },
        rejected(None),
        rejected(Some(FieldId(u32::MAX))),
    ];
    for (n, state) in states.iter().enumerate() {
        let n = n as u64 + 1;
        for overlay in [true, false] {
            let op = OwnOp { state: state.clone(), overlay, ..own(1, n, n, "a") };
            ok(s.put_op(&op));
            assert_eq!(ok(s.op(dot(1, n))), Some(op));
        }
    }
}

fn an_op_is_replaced_under_its_dot<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    ok(s.put_op(&own(1, 1, 1, "a")));
    ok(s.put_op(&own(1, 2, 2, "a")));
    // The same dot, another content: a void, or an op written anew before it was ever sent.
    let moved = own(1, 1, 3, "b");
    ok(s.put_op(&moved));
    assert_eq!(ok(s.op(dot(1, 1))), Some(moved.clone()));
    assert_eq!(ok(s.ops_on(&a)), [own(1, 2, 2, "a")]);
    assert_eq!(ok(s.ops_on(&b)), std::slice::from_ref(&moved));
    assert_eq!(ok(s.outbox(0, 10)), [own(1, 2, 2, "a"), moved]);

    let void = Op::void(dot(1, 1), b.clone(), "me".into()).seal();
    let void = OwnOp { sealed: void, ..own(1, 1, 3, "b") };
    ok(s.put_op(&void));
    assert_eq!(ok(s.ops_on(&b)), [void]);

    ok(s.remove_op(dot(1, 1)));
    ok(s.remove_op(dot(1, 1)));
    ok(s.remove_op(dot(9, 9)));
    assert_eq!(ok(s.op(dot(1, 1))), None);
    assert_eq!(ok(s.ops_on(&b)), []);
    assert_eq!(ok(s.outbox(0, 10)), [own(1, 2, 2, "a")]);
}

fn an_op_may_be_overlay_only<S: Store>(s: &mut S) {
    let position = Position { origin: origin(1, 1, 1), seq: 1 };
    let op = OwnOp { state: OpState::Durable { position }, ..own(1, 1, 1, "a") };
    ok(s.put_op(&own(1, 1, 1, "a")));
    ok(s.put_op(&op));
    assert_eq!(ok(s.outbox(0, 10)), []);
    assert_eq!(ok(s.ops_on(&key("s/1", 1, "a"))), [op]);
}

fn ops_on_an_entity_are_in_order<S: Store>(s: &mut S) {
    // Numbers start again under a new device id; `order` goes on.
    let ops = [own(2, 8, 1, "a"), own(2, 9, 2, "a"), own(1, 1, 3, "a"), own(1, 2, 5, "a")];
    for op in [&ops[2], &ops[0], &ops[3], &ops[1]] {
        ok(s.put_op(op));
    }
    ok(s.put_op(&own(1, 3, 4, "b")));
    assert_eq!(ok(s.ops_on(&key("s/1", 1, "a"))), ops);
    assert_eq!(ok(s.ops_on(&key("s/2", 1, "a"))), []);
    assert_eq!(ok(s.ops_on(&key("s/1", 2, "a"))), []);
}

fn the_outbox_is_in_order_and_holds_only_what_waits<S: Store>(s: &mut S) {
    let ops: Vec<OwnOp> = (1..=9).map(|n| own(1, n, n, &n.to_string())).collect();
    ops.iter().rev().for_each(|op| ok(s.put_op(op)));
    assert_eq!(ok(s.outbox(0, usize::MAX)), ops);
    assert_eq!(ok(s.outbox(0, 2)), ops[..2]);
    assert_eq!(ok(s.outbox(4, 2)), ops[4..6]);
    assert_eq!(ok(s.outbox(9, 2)), []);
    assert_eq!(ok(s.outbox(u64::MAX, 2)), []);
    assert_eq!(ok(s.outbox(0, 0)), []);

    let position = Position { origin: origin(1, 1, 1), seq: 4 };
    let set = |s: &mut S, at: usize, state| {
        let op = OwnOp { state, ..ops[at].clone() };
        ok(s.put_op(&op));
        op
    };
    let sent = OpState::Sent { regions: [RegionId(1)].into(), refused_by: Default::default() };
    let sent = set(s, 0, sent);
    let accepted = set(s, 1, OpState::Accepted { position });
    set(s, 2, OpState::Durable { position });
    let refused = OpState::Rejected { code: "c".into(), field: None, detail: String::new() };
    set(s, 3, refused);
    assert_eq!(ok(s.outbox(0, 3)), [sent, accepted, ops[4].clone()]);
    // Back in: a region that had it was lost.
    set(s, 2, OpState::Unsent);
    assert_eq!(ok(s.outbox(2, 1)), ops[2..3]);
}

fn unconfirmed_numbers_are_kept_per_device<S: Store>(s: &mut S) {
    let (d1, d2) = (DeviceId::from_number(1), DeviceId::from_number(2));
    for seq in [7, 2, 1, 5, 2] {
        ok(s.add_unconfirmed(d2, seq));
    }
    ok(s.add_unconfirmed(d1, 3));
    let expected = [
        (d1, SeqSet::from_parts(0, [(3, 3)])),
        (d2, SeqSet::from_parts(2, [(5, 5), (7, 7)])),
    ];
    assert_eq!(ok(s.unconfirmed()), expected);

    ok(s.clear_unconfirmed(d2, &SeqSet::from_parts(1, [(4, 5), (100, 1 << 60)])));
    ok(s.clear_unconfirmed(DeviceId::from_number(3), &SeqSet::up_to(9)));
    let expected =
        [(d1, SeqSet::from_parts(0, [(3, 3)])), (d2, SeqSet::from_parts(0, [(2, 2), (7, 7)]))];
    assert_eq!(ok(s.unconfirmed()), expected);
    ok(s.clear_unconfirmed(d2, &SeqSet::up_to(1 << 62)));
    ok(s.clear_unconfirmed(d1, &SeqSet::default()));
    assert_eq!(ok(s.unconfirmed()), [(d1, SeqSet::from_parts(0, [(3, 3)]))]);
}

fn own_births_outlive_the_row<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    ok(s.put_base(&a, &base("x", 1, &["s/1"])));
    ok(s.put_own_birth(&a, Some(dot(1, 1))));
    ok(s.put_own_birth(&b, Some(dot(1, 2))));
    ok(s.put_own_birth(&a, Some(dot(2, 3))));
    ok(s.remove_base(&a));
    assert_eq!(ok(s.own_birth(&a)), Some(dot(2, 3)));
    ok(s.put_own_birth(&a, None));
    ok(s.put_own_birth(&a, None));
    assert_eq!(ok(s.own_birth(&a)), None);
    assert_eq!(ok(s.own_birth(&b)), Some(dot(1, 2)));
}

fn subscriptions_come_back_whole<S: Store>(s: &mut S) {
    let pass = |after| Pass { start: vector(3), after, from: vector(1) };
    let full = Subscription {
        cursor: vector(2),
        pass: Some(pass(Some(key("s/1", 1, "a")))),
        provisional: Some((RegionId(7), vector(9))),
        loading: true,
        rows_taken: 12,
        rows_total: 3_000_000_000,
        denied: Some("LF3001".to_owned()),
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

fn refetches_are_per_scope<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    for key in [&b, &a, &a] {
        ok(s.add_refetch("s/1", key));
    }
    ok(s.add_refetch("s/10", &b));
    assert_eq!(ok(s.refetches("s/1", 10)), [a.clone(), b.clone()]);
    assert_eq!(ok(s.refetches("s/1", 1)), std::slice::from_ref(&a));
    ok(s.remove_refetch("s/1", &a));
    ok(s.remove_refetch("s/1", &a));
    ok(s.remove_refetch("s/10", &a));
    assert_eq!(ok(s.refetches("s/1", 10)), std::slice::from_ref(&b));
    assert_eq!(ok(s.refetches("s/10", 10)), std::slice::from_ref(&b));
}

fn removed_rows_keep_their_last_touch<S: Store>(s: &mut S) {
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

fn cuts_are_replaced<S: Store>(s: &mut S) {
    let (a, b) = (origin(1, u64::MAX, 1), origin(1, 3, u16::MAX));
    ok(s.put_cut(a, 0));
    ok(s.put_cut(b, u64::MAX));
    ok(s.put_cut(a, 5));
    assert_eq!(ok(s.cuts()), [(a, 5), (b, u64::MAX)].into());
}

fn showing_is_idempotent<S: Store>(s: &mut S) {
    let (a, view) = (key("s/1", 1, "a"), View::default());
    for view in [None, Some(&view), Some(&view), None, None] {
        ok(s.show(&a, view));
    }
}

fn outcomes_are_taken_once<S: Store>(s: &mut S) {
    let by = Stamp { hlc: Hlc(u64::MAX), device: DeviceId::from_number(3) };
    let outcomes = [
        Outcome::Rejected { code: "c".into(), field: Some(FieldId(1)), detail: "d".into() },
        Outcome::Overwritten { field: FieldId(1), lost: Value::Int(1), by },
        Outcome::Overwritten { field: FieldId(2), lost: Value::Null, by },
        Outcome::Deleted,
        Outcome::Left,
        Outcome::RolledBack,
    ];
    for outcome in outcomes.iter().chain(&outcomes) {
        ok(s.add_outcome(dot(1, 1), &key("s/1", 1, "a"), outcome));
    }
}

fn awkward_names_are_kept_apart<S: Store>(s: &mut S) {
    let ids = ["", "A", "a", "a ", "a\0", "a\0b", "a'", "a\"b", "é", "e\u{301}", "%", "0", "00"];
    for id in ids {
        let base = base(id, 1, &[id]);
        ok(s.put_base(&key(id, 1, id), &base));
        ok(s.put_subscription(id, &Subscription::default()));
    }
    for id in ids {
        assert_eq!(ok(s.base(&key(id, 1, id))), Some(base(id, 1, &[id])), "{id:?}");
        assert_eq!(ok(s.held_by(id, None, 10)), [key(id, 1, id)], "{id:?}");
    }
    let mut sorted = ids;
    sorted.sort_unstable();
    let scopes: Vec<_> = ok(s.subscriptions()).into_iter().map(|(scope, _)| scope).collect();
    assert_eq!(scopes, sorted.map(std::sync::Arc::from));
}

fn ok<T, E: Debug>(result: Result<T, E>) -> T {
    result.expect("a store of a test does not fail")
}

fn key(home: &str, kind: u32, id: &str) -> EntityKey {
    EntityKey::new(home, TypeId(kind), id)
}

fn dot(device: u64, seq: u64) -> Dot {
    Dot::new(DeviceId::from_number(device), seq)
}

fn origin(region: u16, incarnation: u64, stream: u16) -> Origin {
    Origin { region: RegionId(region), incarnation, stream: StreamId(stream) }
}

fn vector(n: u64) -> Vector {
    [(origin(1, n, 2), n), (origin(u16::MAX, u64::MAX, u16::MAX), u64::MAX)].into_iter().collect()
}

fn base(title: &str, seq: u64, holds: &[&str]) -> Base {
    let mut entity = Entity::default();
    entity.apply(&op(1, seq, title).op);
    Base { entity, touch: vector(seq), holds: holds.iter().map(|s| (*s).into()).collect() }
}

fn text(seq: u64) -> Text {
    let mut text = Text::default();
    text.apply(&[dot(1, 1)], dot(1, seq), b"only kept, never opened");
    text
}

/// A creation of `id` in `s/1`.
fn op(device: u64, seq: u64, id: &str) -> Sealed {
    let change = Change::Register { value: id.into(), replaced: None };
    let changes = vec![FieldChange { field: FieldId(1), change }];
    let op = Op {
        hlc: Hlc::from_millis(1_000),
        tx: Tx { first: seq, count: 1 },
        births: vec![dot(device, seq)],
        action: Action::Create { parent: None, changes },
        ..Op::void(dot(device, seq), key("s/1", 1, id), "me".into())
    };
    op.seal()
}

fn own(device: u64, seq: u64, order: u64, id: &str) -> OwnOp {
    OwnOp { order, sealed: op(device, seq, id), state: OpState::Unsent, overlay: true }
}
