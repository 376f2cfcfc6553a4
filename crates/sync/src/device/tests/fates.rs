//! Pushing, and what regions answer.

use super::*;
use crate::limits;
use landfall_model::op::Change;
use landfall_model::stamp::{Hlc, Stamp};
use std::collections::BTreeSet;

#[test]
fn a_refused_create_takes_what_hangs_on_it_along() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [put(TITLE, "x")])]);
    let b = d.write(&[step_of("s", "1", "y")]);
    let c = d.write(&[task("2", [])]);
    let out = d.connect_with(0, &[], |w| w.push_ops = 1);
    assert_eq!(pushed_dots(&out), [1]);
    let out = d.reject(a.dots[0], "not_allowed");
    assert!(matches!(d.own(a.dots[0]).unwrap().state, OpState::Rejected { .. }));
    let Some(OpState::Rejected { code, detail, .. }) = d.own(b.dots[0]).map(|o| o.state) else {
        panic!()
    };
    assert_eq!(code, "not_allowed");
    assert!(detail.contains(&a.dots[0].to_string()), "{detail}");
    assert_eq!((d.view(&key("1")), d.view(&step("s"))), (None, None));
    assert!(d.view(&key("2")).is_some());
    assert!(matches!(d.outcomes(b.dots[0])[..], [Outcome::Rejected { .. }]));
    // Voids take the numbers, so that they stay dense.
    let void = &pushed(&out)[0][0];
    assert!(void.op.is_void());
    assert_eq!((void.op.dot, &void.op.key), (a.dots[0], &key("1")));
    d.accept(a.dots[0], at(0, 1), true);
    assert_eq!(d.store.void(a.dots[0]).unwrap(), None);
    assert!(matches!(d.own(a.dots[0]).unwrap().state, OpState::Rejected { .. }));

    // The app makes it again, or lets it be.
    let (again, _) = d.node.resubmit(&mut d.store, d.now, a.dots[0]).unwrap();
    assert_eq!(d.title(&key("1")).as_deref(), Some("x"));
    assert!(again.dots[0].seq > c.dots[0].seq);
    d.node.dismiss(&mut d.store, b.dots[0]).unwrap();
    assert_eq!(d.own(b.dots[0]), None);
    assert!(d.outcomes(a.dots[0]).is_empty() && d.outcomes(b.dots[0]).is_empty());
}

#[test]
fn what_was_sent_beside_a_refused_create_ends_with_it_and_not_before() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    // The create may be with region 0; region 1 refuses it, and what stands on it.
    let b = d.write(&[update("1", [put(TITLE, "x")])]);
    assert_eq!(pushed_dots(&d.connect(1, &[])), [1, 2]);
    d.reject(a.dots[0], "not_allowed");
    d.reject(b.dots[0], "depends_on_refused");
    assert_eq!(d.outcomes(b.dots[0]), []);
    assert_eq!(d.title(&key("1")).as_deref(), Some("x"));
    // Region 0 refuses the create, too, before the change was sent there.
    d.connect_with(0, &[], |w| w.push_ops = 1);
    d.reject(a.dots[0], "not_allowed");
    for dot in [a.dots[0], b.dots[0]] {
        assert!(matches!(d.outcomes(dot)[..], [Outcome::Rejected { .. }]), "{dot}");
    }
    assert_eq!(d.view(&key("1")), None);
}

#[test]
fn what_a_region_took_on_a_refused_create_has_an_outcome() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    let b = d.write(&[update("1", [put(TITLE, "x")])]);
    assert_eq!(pushed_dots(&d.poll()), [2]);
    d.reject(a.dots[0], "not_allowed");
    d.accept(b.dots[0], at(0, 1), true);
    assert_eq!(d.outcomes(b.dots[0]), [Outcome::Deleted]);
}

#[test]
fn a_refusal_is_final_only_when_all_have_refused() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    // No answer; another region is asked.
    let out = d.connect(1, &[]);
    assert_eq!(pushed_dots(&out), [1]);
    d.reject(a.dots[0], "not_allowed");
    let own = d.own(a.dots[0]).unwrap();
    assert!(matches!(&own.state, OpState::Sent { regions, refused_by }
        if regions.len() == 2 && refused_by.len() == 1));
    assert!(own.overlay && d.poll().frames.is_empty());
    assert_eq!(d.node.owed(&mut d.store).unwrap(), [RegionId(0)].into());
    let out = d.connect_with(1, &[], |w| w.lost = vec![0]);
    assert_eq!(pushed_dots(&out), [1]);
    d.reject(a.dots[0], "not_allowed");
    assert!(matches!(d.own(a.dots[0]).unwrap().state, OpState::Rejected { .. }));
}

#[test]
fn one_acceptance_outweighs_any_refusal() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), false);
    let out = d.connect(1, &[]);
    assert_eq!(pushed_dots(&out), [1], "a region that lacks it is offered it");
    d.reject(a.dots[0], "not_allowed");
    assert_eq!(d.own(a.dots[0]).unwrap().state, OpState::Accepted { position: at(0, 1) });
    assert!(d.poll().frames.is_empty());
    // A region that has it is asked how it stands, and not sent it again.
    let out = d.connect(0, &[only(1)]);
    assert!(pushed(&out).is_empty());
    assert!(out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Status(_)))));
}

#[test]
fn an_op_without_an_answer_is_pushed_again_even_if_its_number_was_received() {
    let mut d = Device::new(1);
    d.write(&[task("1", [])]);
    d.connect(0, &[]);
    // Only the payload tells whether the number stands for this op or for one of a copy.
    let out = d.connect(0, &[only(1)]);
    assert_eq!(pushed_dots(&out), [1]);
}

#[test]
fn a_stuck_op_blocks_only_what_needs_it() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.write(&[step_of("s", "1", "x")]);
    d.write(&[task("2", [])]);
    d.node.disconnected();
    d.connect(1, &[]);
    d.reject(a.dots[0], "region_rule");
    // Region 0 was asked too, so the refusal is not final.
    let mut d = {
        let mut d2 = Device::new(1);
        let a = d2.write(&[task("1", [])]);
        d2.connect(0, &[]);
        d2.write(&[step_of("s", "1", "x")]);
        d2.write(&[task("2", [])]);
        let out = d2.connect(1, &[]);
        assert_eq!(pushed_dots(&out), [1, 2, 3], "in flight before it counts as answered");
        d2.reject(a.dots[0], "region_rule");
        d2
    };
    let b = d.write(&[task("1", [put(TITLE, "again")])]);
    let c = d.write(&[task("3", [])]);
    let out = d.poll();
    assert_eq!(pushed_dots(&out), [c.dots[0].seq]);
    assert_eq!(d.own(b.dots[0]).unwrap().state, OpState::Unsent);
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut d = Device::new(1);
    let ids: Vec<Dot> = (0..5).flat_map(|n| d.write(&[task(&n.to_string(), [])]).dots).collect();
    let big: Vec<Edit> = (10..14).map(|n| task(&n.to_string(), [])).collect();
    d.write(&big);
    let out = d.connect_with(0, &[], |w| w.push_ops = 2);
    assert_eq!(pushed_dots(&out), [1, 2]);
    assert_eq!(pushed_dots(&d.accept(ids[0], at(0, 1), false)), [3]);
    assert_eq!(pushed_dots(&d.accept(ids[1], at(0, 2), false)), [4]);
    assert_eq!(pushed_dots(&d.accept(ids[2], at(0, 3), false)), [5]);
    assert_eq!(pushed_dots(&d.accept(ids[3], at(0, 4), false)), [0; 0]);
    let out = d.accept(ids[4], at(0, 5), false);
    assert_eq!(pushed_dots(&out), [6, 7, 8, 9], "what is larger than the window goes alone");
}

#[test]
fn nothing_is_pushed_before_it_is_durable() {
    let mut d = Device::new(1);
    d.connect(0, &[]);
    d.write(&[task("1", [])]);
    let out = d.poll();
    assert!(out.durable && !pushed(&out).is_empty());
    d.store.commit_durable();
    let meta = d.store.meta().unwrap().unwrap();
    assert_eq!((meta.sent_seq, meta.last_seq), (1, 1));
    d.store.lose_power();
    assert!(matches!(d.own(Dot::new(meta.device, 1)).unwrap().state, OpState::Sent { .. }));
}

#[test]
fn a_clock_that_is_ahead_is_mended_before_anything_is_sent() {
    let mut d = Device::new(1);
    let year = 365 * 86_400_000;
    d.now += year;
    let a = d.write(&[task("1", [put(TITLE, "one")])]);
    let b = d.write(&[update("1", [put(TITLE, "two")])]);
    let out = d.connect_with(0, &[], |w| {
        w.received_ms -= year;
        w.sent_ms -= year;
    });
    let meta = d.store.meta().unwrap().unwrap();
    assert_eq!(meta.offset_ms, -year);
    let ops: Vec<Sealed> = pushed(&out).into_iter().flatten().collect();
    assert_eq!(ops.len(), 2);
    let now = d.now - year;
    assert!(ops.iter().all(|o| o.op.hlc.millis() <= now + limits::STAMP_AHEAD_MS_MAX));
    assert!(ops[0].op.hlc < ops[1].op.hlc);
    let landfall_model::op::Change::Register { replaced, .. } = &ops[1].op.changes()[0].change
    else {
        panic!()
    };
    assert_eq!(*replaced, Some(ops[0].op.stamp()), "what was seen follows");
    assert_eq!(d.title(&key("1")).as_deref(), Some("two"));
    assert!(meta.clock.millis() <= now + 1_000);
    let _ = (a, b);
}

#[test]
fn a_stamp_that_was_refused_everywhere_is_given_anew() {
    let mut d = Device::new(1);
    d.connect(0, &[]);
    // The clock is set forward in the middle of the session.
    let year = 365 * 86_400_000;
    d.now += year;
    let a = d.write(&[task("1", [])]);
    let first = pushed(&d.poll())[0][0].clone();
    let out = d.reject(a.dots[0], "clock_ahead");
    assert!(pushed(&out).is_empty());
    assert!(out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Ping(_)))));
    assert!(fates(&out).contains(&(a.dots[0], OpState::Unsent)));
    assert!(d.outcomes(a.dots[0]).is_empty(), "that is no refusal of the write");
    let pong = wire::Pong { ping_ms: d.now, received_ms: d.now - year };
    let out = d.frame(ToDevice::Pong(pong));
    let again = pushed(&out)[0][0].clone();
    assert_eq!(again.op.dot, first.op.dot);
    assert!(again.op.hlc.millis() <= d.now - year + limits::STAMP_AHEAD_MS_MAX);

    // One that also went elsewhere waits: it may have been accepted there.
    let mut d = Device::new(2);
    d.now += year;
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    d.connect_with(1, &[], |w| {
        w.received_ms -= year;
        w.sent_ms -= year;
    });
    let out = d.reject(a.dots[0], "clock_ahead");
    assert!(pushed(&out).is_empty());
    let own = d.own(a.dots[0]).unwrap();
    assert!(matches!(own.state, OpState::Sent { .. }));
    assert!(own.sealed.op.hlc > Hlc::from_millis(d.now - 1));
}

/// The stamp that a write says it replaced.
fn replaced(sealed: &Sealed) -> Option<Stamp> {
    match sealed.op.changes()[0].change {
        Change::Register { replaced, .. } => replaced,
        _ => panic!("no register"),
    }
}

#[test]
fn what_replaced_a_refused_write_replaces_what_that_had_replaced() {
    let mut d = Device::new(1);
    let create = d.write(&[task("1", [put(TITLE, "first")])]);
    let first = ops_of(&mut d, &create)[0].op.stamp();
    d.connect(0, &[]);
    d.accept(create.dots[0], at(0, 1), false);
    let refused = d.write(&[update("1", [put(TITLE, "second")])]);
    let sent = pushed(&d.poll())[0][0].clone();
    assert_eq!(replaced(&sent), Some(first));
    let unsent = d.write(&[update("1", [put(TITLE, "third")])]);
    assert_eq!(replaced(&ops_of(&mut d, &unsent)[0]), Some(sent.op.stamp()));
    d.reject(refused.dots[0], "not_allowed");
    assert_eq!(replaced(&ops_of(&mut d, &unsent)[0]), Some(first));
}

#[test]
fn what_replaced_a_write_that_fell_with_a_refused_one_replaces_what_that_had_replaced() {
    let mut d = Device::new(1);
    let there = d.write(&[task("2", [put(TITLE, "first")])]);
    let first = ops_of(&mut d, &there)[0].op.stamp();
    d.connect_with(0, &[], |w| w.push_ops = 1);
    d.accept(there.dots[0], at(0, 1), false);
    let create = d.write(&[task("1", [])]);
    assert_eq!(pushed_dots(&d.poll()), [2]);
    let falls = d.write(&[update("1", [vote(1)]), update("2", [put(TITLE, "second")])]);
    let stays = d.write(&[update("2", [put(TITLE, "third")])]);
    let second = ops_of(&mut d, &falls)[1].op.stamp();
    assert_eq!(replaced(&ops_of(&mut d, &stays)[0]), Some(second));
    d.reject(create.dots[0], "not_allowed");
    assert!(matches!(d.own(falls.dots[1]).unwrap().state, OpState::Rejected { .. }));
    assert_eq!(replaced(&ops_of(&mut d, &stays)[0]), Some(first));
}

#[test]
fn a_stamp_given_anew_claims_to_have_seen_no_refused_write() {
    let mut d = Device::new(1);
    d.connect(0, &[]);
    let year = 365 * 86_400_000;
    d.now += year;
    let a = d.write(&[task("1", [])]);
    let b = d.write(&[update("1", [put(TITLE, "x")])]);
    let c = d.write(&[update("1", [put(TITLE, "y")])]);
    d.poll();
    d.accept(a.dots[0], at(0, 1), true);
    d.reject(b.dots[0], "not_allowed");
    d.reject(c.dots[0], "clock_ahead");
    let pong = wire::Pong { ping_ms: d.now, received_ms: d.now - year };
    let out = d.frame(ToDevice::Pong(pong));
    let again = pushed(&out).concat().into_iter().find(|s| s.op.dot == c.dots[0]).unwrap();
    assert_eq!(replaced(&again), None, "b is refused, and nothing was there before it");
}

#[test]
fn a_stamp_is_not_given_anew_while_a_write_that_left_says_it_replaced_it() {
    let mut d = Device::new(1);
    d.connect(0, &[]);
    let year = 365 * 86_400_000;
    d.now += year;
    let a = d.write(&[task("1", [put(TITLE, "x")])]);
    let b = d.write(&[update("1", [put(TITLE, "y")])]);
    assert_eq!(pushed_dots(&d.poll()), [1, 2]);
    let old = ops_of(&mut d, &a)[0].op.stamp();
    d.reject(a.dots[0], "clock_ahead");
    let pong = wire::Pong { ping_ms: d.now, received_ms: d.now - year };
    assert!(pushed(&d.frame(ToDevice::Pong(pong))).is_empty());
    assert_eq!(ops_of(&mut d, &a)[0].op.stamp(), old);
    assert_eq!(pushed_dots(&d.reject(b.dots[0], "clock_ahead")), [1, 2]);
    let (a, b) = (ops_of(&mut d, &a), ops_of(&mut d, &b));
    assert!(a[0].op.stamp() < old);
    assert_eq!(replaced(&b[0]), Some(a[0].op.stamp()));
}

#[test]
fn a_number_that_a_copy_has_filled_is_not_filled_again() {
    let mut d = Device::new(1);
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(0, &[]);
    let void = pushed(&d.reject(dot, "not_allowed"));
    assert!(void[0][0].op.is_void());
    assert!(pushed(&d.reject(dot, "forked_device")).is_empty());
    assert_eq!(d.store.void(dot).unwrap(), None);
    d.now += limits::REFUSED_AGAIN_MS_MAX;
    assert!(pushed(&d.poll()).is_empty() && pushed(&d.connect(1, &[only(1)])).is_empty());
    assert!(matches!(d.outcomes(dot)[..], [Outcome::Rejected { .. }]), "as told before");
}

#[test]
fn a_transaction_is_offered_whole_where_others_have_some_of_its_numbers() {
    for lost in [false, true] {
        let mut d = Device::new(1);
        let both = d.write(&[task("1", []), task("2", [])]).dots;
        d.connect(0, &[]);
        both.iter().for_each(|dot| _ = d.accept(*dot, at(0, dot.seq), false));
        // The second region has one number, for an op of a copy.
        let out = d.connect(1, &[only(1)]);
        assert_eq!(pushed_dots(&out), [2]);
        if lost {
            // And the first one is lost.
            let cut = wire::Cut { origin: Some(convert::wire_origin(origin(0))), last: 0 };
            d.frame(ToDevice::Cuts(wire::Cuts { cuts: vec![cut], ..Default::default() }));
        }
        d.reject(both[1], "incomplete_transaction");
        assert!(d.outcomes(both[1]).is_empty());
        assert!(pushed(&d.poll()).is_empty());
        d.now += limits::REFUSED_AGAIN_MS_FIRST;
        assert_eq!(pushed_dots(&d.poll()), [1, 2]);
    }
}

#[test]
fn what_is_left_of_a_transaction_with_a_refused_part_is_refused_part_by_part() {
    let mut d = Device::new(1);
    let all = d.write(&[task("1", []), task("2", []), task("3", [])]).dots;
    d.connect(0, &[]);
    all.iter().for_each(|dot| _ = d.accept(*dot, at(0, dot.seq), false));
    // The first region is lost, and the one in the middle is heard of and refused first.
    let out = d.connect_with(1, &[], |w| w.lost = vec![0]);
    assert_eq!(pushed_dots(&out), [1, 2, 3]);
    let cut = |last| wire::Cut { origin: Some(convert::wire_origin(origin(0))), last };
    let mut own = d.own(all[1]).unwrap();
    let regions = BTreeSet::from([RegionId(0)]);
    own.state = OpState::Sent { regions, refused_by: BTreeSet::new() };
    d.store.put_op(&own).unwrap();
    d.reject(all[1], "not_allowed");
    d.frame(ToDevice::Cuts(wire::Cuts { cuts: vec![cut(0)], ..Default::default() }));
    d.reject(all[0], "incomplete_transaction");
    d.reject(all[2], "incomplete_transaction");
    for dot in all {
        assert!(matches!(d.own(dot).unwrap().state, OpState::Rejected { .. }), "{dot:?}");
    }
}

#[test]
fn retired_numbers_are_confirmed_until_the_region_answers() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    let confirms =
        |out: &Output| out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Confirm(_))));
    // It is worth no fsync of its own.
    assert!(!confirms(&d.accept(a.dots[0], at(0, 1), true)));
    let out = d.poll();
    assert!(confirms(&out) && out.durable);
    assert!(!confirms(&d.poll()));
    // The connection broke before an answer came.
    assert!(confirms(&d.connect(0, &[only(1)])));
    let pong = wire::Pong { ping_ms: d.now, received_ms: d.now };
    d.frame(ToDevice::Pong(pong));
    assert!(d.store.unconfirmed().unwrap().is_empty());
    assert!(!confirms(&d.connect(0, &[only(1)])));
}

#[test]
fn many_retired_numbers_are_confirmed_at_once() {
    let mut d = Device::new(1);
    let many = 1..=limits::CONFIRM_OPS as u64;
    let dots: Vec<Dot> =
        many.clone().map(|n| d.write(&[task(&n.to_string(), [])]).dots[0]).collect();
    d.connect(0, &[]);
    let told: Vec<bool> = many
        .zip(dots)
        .map(|(n, dot)| {
            let out = d.accept(dot, at(0, n), true);
            out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Confirm(_))))
        })
        .collect();
    assert_eq!(told.iter().position(|told| *told), Some(limits::CONFIRM_OPS - 1));
}

#[test]
fn a_number_that_a_copy_used_at_another_region_makes_no_op_durable() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let made = d.write(&[task("1", [])]);
    let base = ops_of(&mut d, &made);
    d.connect(0, &[]);
    d.accept(made.dots[0], at(0, 1), true);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &base)], &[only(1)], &vector(1, 0));
    let voted = d.write(&[update("1", [vote(1)])]).dots[0];
    let sealed = d.own(voted).unwrap().sealed;
    assert_eq!(pushed_dots(&d.poll()), [2]);
    d.accept(voted, at(0, 2), false);
    // The next region has the number too, of an op of a copy of this file.
    let both = SeqSet::up_to(2);
    let out = d.connect(1, std::slice::from_ref(&both));
    let asks = |f: &wire::DeviceFrame| matches!(&f.kind, Some(ToRegion::Status(s)) if s.fingerprints[..] == sealed.fingerprint.0);
    assert!(out.frames.iter().any(asks));
    // A row that came before the answer is not taken to have the vote in it.
    let theirs = row(&key("1"), &vector(1, 1), &base);
    d.live(1, vec![theirs.clone()], std::slice::from_ref(&both), &vector(1, 1));
    assert_eq!(d.votes(&key("1")), 1);
    let out = d.fate(voted, wire::fate::Kind::Other(true), false);
    assert_eq!(pushed_dots(&out), [2]);
    d.pass(1, vec![theirs], std::slice::from_ref(&both), &vector(1, 1));
    let own = d.own(voted).unwrap();
    assert!(own.overlay && matches!(own.state, OpState::Accepted { .. }));
    assert_eq!(d.votes(&key("1")), 1);
    // Taken here, too: now it is durable, and the next row has it.
    d.accept(voted, at(1, 2), true);
    let all = [base, vec![sealed]].concat();
    d.live(1, vec![row(&key("1"), &vector(1, 2), &all)], &[both], &vector(1, 2));
    assert_eq!((d.own(voted), d.votes(&key("1"))), (None, 1));
}

#[test]
fn malformed_frames_end_the_session_and_change_nothing() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    let before = format!("{:?}", d.store);
    let delta = wire::Delta { sub: 1, body: vec![0xff; 9].into(), ..Default::default() };
    let out = d.frame(ToDevice::Delta(delta));
    assert_eq!(out.close.unwrap().code, "malformed");
    assert_eq!(before, format!("{:?}", d.store));
    assert_eq!(d.node.online(), None);
}

#[test]
fn a_refused_create_takes_along_what_showed_through_it_alone() {
    let mut d = Device::new(1);
    d.subscribe("driver/7");
    d.connect(0, &[]);
    let create = d.write(&[task("1", [put(DRIVER, "7")])]);
    d.poll();
    let change = d.write(&[update("1", [put(TITLE, "x")])]);
    d.poll();
    // A copy of the row elsewhere took the change; the create is refused everywhere.
    d.accept(change.dots[0], at(0, 1), true);
    assert!(d.own(change.dots[0]).unwrap().overlay);
    d.reject(create.dots[0], "not_allowed");
    assert_eq!(d.own(change.dots[0]).filter(|own| own.overlay), None);
    assert_eq!(d.view(&key("1")), None);
}

#[test]
fn the_rest_of_a_transaction_is_not_refused_for_good_where_its_beginning_has_yet_to_come() {
    let mut d = Device::new(1);
    let other = Edit::Upsert { kind: TASK, id: "y".into(), fields: vec![put(TEAM, "b")] };
    let dots = d.write(&[task("x", []), other]).dots;
    d.connect(0, &[]);
    // The first is in two regions and retires; the second is in the region that dies.
    d.accept(dots[0], at(0, 1), true);
    d.accept(dots[1], at(0, 2), false);
    assert_eq!(d.own(dots[0]), None);
    let out = d.connect_with(2, &[], |w| {
        w.cuts = vec![wire::Cut { origin: Some(convert::wire_origin(origin(0))), last: 1 }];
        w.lost = vec![0];
    });
    assert_eq!(pushed_dots(&out), [2]);
    // This region has the first neither from the device nor from a peer.
    d.reject(dots[1], "incomplete_transaction");
    assert!(matches!(d.own(dots[1]).unwrap().state, OpState::Sent { .. }));
    // It has caught up.
    let out = d.connect_with(2, &[only(1)], |w| w.lost = vec![0]);
    assert_eq!(pushed_dots(&out), [2]);
    d.accept(dots[1], at(2, 1), true);
    assert_eq!(d.outcomes(dots[1]), []);
}

#[test]
fn answers_for_a_counter_that_was_counted_often_read_its_writes_few_times() {
    use crate::device::memory::OPS_READ;
    const COUNTS: u64 = 200;
    for subscribed in [true, false] {
        let mut d = Device::new(1);
        if subscribed {
            d.subscribe("team/a");
        }
        d.write(&[task("1", [vote(1)])]);
        for _ in 1..COUNTS {
            d.write(&[update("1", [vote(1)])]);
        }
        d.connect_with(0, &[], |welcome| welcome.push_ops = 2 * COUNTS as u32);
        let at = wire::fate::Kind::Accepted(convert::wire_position(at(0, 1)));
        let count = COUNTS as u32;
        let fate = wire::Fate { first: 1, count, kind: Some(at), durable: true };
        let device = d.id().0.to_vec().into();
        let before = OPS_READ.get();
        d.frame(ToDevice::Fates(wire::Fates { device, fates: vec![fate] }));
        let read = OPS_READ.get() - before;
        assert!(read as u64 <= 3 * COUNTS, "{read} own ops were read for {COUNTS} answers");
        // Where nobody will bring the row, what is safe leaves the device.
        assert_eq!(d.votes(&key("1")), if subscribed { COUNTS as i64 } else { 0 });
        let seventh = Dot::new(d.id(), 7);
        assert_eq!(d.own(seventh).is_some(), subscribed);
    }
}
