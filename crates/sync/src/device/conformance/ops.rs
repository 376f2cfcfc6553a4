//! Checks of own ops: their states, the outbox, voids, numbers, births and outcomes.

use super::{base, dot, key, ok, origin, own};
use crate::device::store::{OpState, Outcome, OwnOp, Store};
use landfall_model::id::{DeviceId, FieldId, RegionId};
use landfall_model::op::Op;
use landfall_model::stamp::{Hlc, Stamp};
use landfall_model::value::Value;
use landfall_model::vector::{Position, SeqSet};

pub(super) fn every_state_of_an_op_comes_back<S: Store>(s: &mut S) {
    let position = Position { origin: origin(u16::MAX, u64::MAX, 3), seq: u64::MAX };
    let rejected = |field| OpState::Rejected {
        code: "a code".to_owned(),
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

pub(super) fn an_op_is_replaced_under_its_dot<S: Store>(s: &mut S) {
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

pub(super) fn an_op_may_be_overlay_only<S: Store>(s: &mut S) {
    let position = Position { origin: origin(1, 1, 1), seq: 1 };
    let op = OwnOp { state: OpState::Durable { position }, ..own(1, 1, 1, "a") };
    ok(s.put_op(&own(1, 1, 1, "a")));
    ok(s.put_op(&op));
    assert_eq!(ok(s.outbox(0, 10)), []);
    assert_eq!(ok(s.ops_on(&key("s/1", 1, "a"))), [op]);
}

pub(super) fn ops_on_an_entity_are_in_order<S: Store>(s: &mut S) {
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

pub(super) fn the_outbox_is_in_order_and_holds_only_what_waits<S: Store>(s: &mut S) {
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

pub(super) fn all_ops_are_walked_in_order<S: Store>(s: &mut S) {
    let position = Position { origin: origin(1, 1, 1), seq: 1 };
    let refused = OpState::Rejected { code: "c".into(), field: None, detail: String::new() };
    let ops: Vec<OwnOp> = (1..=8)
        .map(|n| OwnOp {
            state: match n % 4 {
                0 => OpState::Unsent,
                1 => OpState::Accepted { position },
                2 => OpState::Durable { position },
                _ => refused.clone(),
            },
            ..own(9 - n, n, n, "a")
        })
        .collect();
    ops.iter().rev().for_each(|op| ok(s.put_op(op)));
    assert_eq!(ok(s.ops(0, usize::MAX)), ops);
    assert_eq!(ok(s.ops(0, 3)), ops[..3]);
    assert_eq!(ok(s.ops(3, 3)), ops[3..6]);
    assert_eq!(ok(s.ops(8, 3)), []);
    assert_eq!(ok(s.ops(u64::MAX, 3)), []);
    assert_eq!(ok(s.ops(0, 0)), []);
}

pub(super) fn a_void_stands_beside_its_op<S: Store>(s: &mut S) {
    let void = |seq, order, state| {
        let void = Op::void(dot(1, seq), key("s/1", 1, "a"), "me".into());
        OwnOp { order, sealed: void.seal(), state, overlay: false }
    };
    let refused = OpState::Rejected { code: "c".into(), field: None, detail: String::new() };
    let op = OwnOp { state: refused, overlay: false, ..own(1, 2, 2, "a") };
    ok(s.put_op(&op));
    ok(s.put_void(&void(2, 4, OpState::Unsent)));
    ok(s.put_void(&void(1, 5, OpState::Unsent)));
    ok(s.put_void(&void(3, 3, OpState::Unsent)));
    let sent = OpState::Sent { regions: [RegionId(1)].into(), refused_by: Default::default() };
    let sent = void(2, 4, sent);
    ok(s.put_void(&sent));
    assert_eq!(ok(s.void(dot(1, 2))), Some(sent.clone()));
    let [first, last] = [void(3, 3, OpState::Unsent), void(1, 5, OpState::Unsent)];
    assert_eq!(ok(s.voids()), [first.clone(), sent, last.clone()]);
    // It is on no entity and in no queue.
    assert_eq!(ok(s.ops_on(&key("s/1", 1, "a"))), std::slice::from_ref(&op));
    assert_eq!(ok(s.ops(0, 10)), std::slice::from_ref(&op));
    assert_eq!(ok(s.outbox(0, 10)), []);

    ok(s.remove_void(dot(1, 2)));
    ok(s.remove_void(dot(1, 2)));
    assert_eq!(ok(s.voids()), [first, last]);
    assert_eq!(ok(s.op(dot(1, 2))), Some(op));
    ok(s.remove_op(dot(1, 2)));
    assert_eq!(ok(s.voids()).len(), 2);
}

pub(super) fn unconfirmed_numbers_are_kept_per_device<S: Store>(s: &mut S) {
    let (d1, d2) = (DeviceId::from_number(1), DeviceId::from_number(2));
    for seq in [7, 2, 1, 5, 2] {
        ok(s.add_unconfirmed(d2, seq));
    }
    ok(s.add_unconfirmed(d1, 3));
    let expected =
        [(d1, SeqSet::from_parts(0, [(3, 3)])), (d2, SeqSet::from_parts(2, [(5, 5), (7, 7)]))];
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

pub(super) fn own_births_outlive_the_row<S: Store>(s: &mut S) {
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

pub(super) fn outcomes_are_taken_once<S: Store>(s: &mut S) {
    let by = Stamp { hlc: Hlc(u64::MAX), device: DeviceId::from_number(3) };
    let outcomes = [
        Outcome::Rejected { code: "c".into(), field: Some(FieldId(1)), detail: "d".into() },
        Outcome::Overwritten { field: FieldId(1), lost: Value::Int(1), by },
        Outcome::Overwritten { field: FieldId(2), lost: Value::Null, by },
        Outcome::Deleted,
        Outcome::Left,
        Outcome::RolledBack,
    ];
    for new in [true, false] {
        for outcome in &outcomes {
            assert_eq!(ok(s.add_outcome(dot(1, 1), &key("s/1", 1, "a"), outcome)), new);
        }
    }
    ok(s.remove_outcomes(dot(1, 1)));
    ok(s.remove_outcomes(dot(1, 1)));
    assert!(ok(s.add_outcome(dot(1, 1), &key("s/1", 1, "a"), &outcomes[0])));
}
