//! Writes that a region refuses and another has not answered: asked for beside the session.

use super::*;
use crate::limits;

/// A frame of the second region.
fn beside(d: &mut Device, kind: ToDevice) -> Output {
    let frame = wire::RegionFrame { kind: Some(kind) };
    d.node.hedge_frame(&mut d.store, frame, d.now, &mut || 7).unwrap()
}

/// A second region is greeted, to be asked; what it is offered.
fn ask(d: &mut Device, region: u16) -> Output {
    let (greeting, welcome) = d.greet(Extent::Whole, region, &[]);
    assert!(d.node.ask(greeting), "something is undecided");
    beside(d, ToDevice::Welcome(welcome))
}

fn says_beside(d: &mut Device, dot: Dot, kind: wire::fate::Kind) -> Output {
    let fate = wire::Fate { first: dot.seq, count: 1, kind: Some(kind), durable: false };
    let device = dot.device.0.to_vec().into();
    beside(d, ToDevice::Fates(wire::Fates { device, fates: vec![fate] }))
}

fn rejects_beside(d: &mut Device, dot: Dot) -> Output {
    let (code, seq) = ("not_allowed".into(), dot.seq);
    let rejected = wire::Rejected { code, seq, ..Default::default() };
    says_beside(d, dot, wire::fate::Kind::Rejected(rejected))
}

#[test]
fn a_region_that_is_offered_a_write_again_owes_its_answer_again() {
    let mut d = Device::new(1);
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(0, &[]);
    d.connect(1, &[]);
    d.reject(dot, "depends_on_refused");
    assert!(pushed(&d.poll()).is_empty());
    d.now += limits::REFUSED_AGAIN_MS_FIRST;
    assert_eq!(pushed_dots(&d.poll()), [1]);
    // What it says to that may be that it has the write by now.
    ask(&mut d, 0);
    rejects_beside(&mut d, dot);
    assert!(matches!(d.own(dot).unwrap().state, OpState::Sent { .. }));
    d.accept(dot, at(1, 1), false);
    assert_eq!(d.own(dot).unwrap().state, OpState::Accepted { position: at(1, 1) });
    assert!(d.outcomes(dot).is_empty() && d.store.voids().unwrap().is_empty());
}

#[test]
fn what_a_second_region_decides_frees_the_number_in_the_session_at_once() {
    let mut d = Device::new(1);
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(0, &[]);
    d.connect(1, &[]);
    d.reject(dot, "not_allowed");
    let before = d.node.refused();
    assert_eq!(before, (1, 1));
    ask(&mut d, 0);
    rejects_beside(&mut d, dot);
    assert_eq!(d.node.refused(), (0, 1), "no refusal of the session's own region");
    assert!(pushed(&d.poll())[0][0].op.is_void());
}

#[test]
fn a_region_that_owes_an_answer_is_asked_beside_the_session() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    d.connect(1, &[]);
    d.reject(a.dots[0], "not_allowed");
    assert_eq!(pushed_dots(&ask(&mut d, 0)), [1]);
    assert!(!d.node.hedge_answered());
    let out = rejects_beside(&mut d, a.dots[0]);
    assert!(pushed(&out)[0][0].op.is_void(), "nothing is left but to fill the number");
    let position = convert::wire_position(at(0, 1));
    says_beside(&mut d, a.dots[0], wire::fate::Kind::Accepted(position));
    assert!(d.node.hedge_answered());
    assert!(matches!(d.own(a.dots[0]).unwrap().state, OpState::Rejected { .. }));
    assert!(d.node.owed(&mut d.store).unwrap().is_empty());
}

#[test]
fn what_a_region_refused_is_offered_to_it_again_less_and_less_often() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    d.connect(1, &[]);
    let began = d.now;
    let mut offered = Vec::new();
    d.reject(a.dots[0], "not_allowed");
    while d.now < began + 4 * limits::REFUSED_AGAIN_MS_MAX {
        if pushed_dots(&d.poll()) == [1] {
            offered.push(d.now - began);
            d.reject(a.dots[0], "not_allowed");
        }
        d.now += 1_000;
    }
    let first = limits::REFUSED_AGAIN_MS_FIRST;
    assert_eq!(offered[..3], [first, 3 * first, 7 * first]);
    let waits: Vec<i64> = offered.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(waits.is_sorted() && waits.last() == Some(&limits::REFUSED_AGAIN_MS_MAX), "{waits:?}");
}

#[test]
fn an_accepted_write_that_a_region_refused_and_has_by_now_is_asked_for() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), false);
    d.connect(1, &[]);
    d.reject(a.dots[0], "not_allowed");
    // It came from the peer, with rows of others.
    d.pass(1, vec![], &[only(1)], &vector(0, 1));
    let asks =
        |out: &Output| out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Status(_))));
    assert!(!asks(&d.poll()));
    d.now += limits::REFUSED_AGAIN_MS_FIRST;
    let out = d.poll();
    assert!(asks(&out) && pushed(&out).is_empty());
    d.accept(a.dots[0], at(0, 1), true);
    assert!(!d.own(a.dots[0]).is_some_and(|own| own.in_outbox()));
}

#[test]
fn a_write_that_was_accepted_beside_the_session_is_asked_for_where_the_session_is() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(0, &[]);
    d.connect(1, &[]);
    d.reject(dot, "not_allowed");
    // It came from the peer before the peer's answer does.
    d.pass(1, vec![], &[only(1)], &vector(0, 1));
    ask(&mut d, 0);
    let position = convert::wire_position(at(0, 1));
    says_beside(&mut d, dot, wire::fate::Kind::Accepted(position));
    assert!(d.node.hedge_answered());
    d.node.end_hedge();
    d.poll();
    d.now += limits::REFUSED_AGAIN_MS_FIRST;
    let out = d.poll();
    assert!(out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Status(_)))));
    assert!(pushed(&out).is_empty());
    d.accept(dot, at(0, 1), true);
    assert!(!d.own(dot).is_some_and(|own| own.in_outbox()));
}

#[test]
fn a_hedge_that_finds_the_id_in_use_renews_it_and_ends_the_session() {
    let mut d = Device::new(1);
    d.write(&[task("1", [])]);
    d.connect(0, &[]);
    let before = d.id();
    let (greeting, welcome) = d.greet(Extent::Whole, 1, &[SeqSet::from_parts(9, [])]);
    assert!(d.node.hedge(greeting));
    let frame = wire::RegionFrame { kind: Some(ToDevice::Welcome(welcome)) };
    let out = d.node.hedge_frame(&mut d.store, frame, d.now, &mut || 7).unwrap();
    assert!(out.close.is_some());
    assert_ne!(d.id(), before);
    assert_eq!(d.poll().close.map(|c| c.code).as_deref(), Some("device_renewed"));
}

/// Connect to a region of three, of which one is lost.
fn connect_after_loss(d: &mut Device, region: u16, lost: u32) -> Output {
    d.connect_with(region, &[], |w| (w.regions, w.lost) = (vec![0, 1, 2], vec![lost]))
}

#[test]
fn a_write_that_is_lost_with_its_region_may_be_with_any_other_that_it_was_sent_to_before() {
    let mut d = Device::new(1);
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(0, &[]);
    // Region 0 has not answered, and where it was sent is not kept beside where it was accepted.
    d.connect(1, &[]);
    d.accept(dot, at(1, 1), false);
    connect_after_loss(&mut d, 2, 1);
    let cut = wire::Cut { origin: Some(convert::wire_origin(at(1, 1).origin)), last: 0 };
    d.frame(ToDevice::Cuts(wire::Cuts { cuts: vec![cut], ..Default::default() }));
    d.poll();
    d.reject(dot, "not_allowed");
    let owed = d.node.owed(&mut d.store).unwrap();
    assert_eq!(owed, [RegionId(0)].into());
    assert!(matches!(d.own(dot).unwrap().state, OpState::Sent { .. }));
}

#[test]
fn a_region_that_refuses_what_another_accepted_is_asked_whether_anybody_holds_it() {
    let mut d = Device::new(1);
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(1, &[]);
    d.accept(dot, at(1, 1), false);
    assert_eq!(pushed_dots(&connect_after_loss(&mut d, 2, 1)), [1]);
    d.reject(dot, "not_allowed");
    d.now += limits::REFUSED_AGAIN_MS_FIRST;
    d.poll();
    d.now += limits::REFUSED_AGAIN_MS_FIRST;
    let asks = d.poll().frames.into_iter().any(|f| match f.kind {
        Some(ToRegion::Status(s)) => s.positions == [convert::wire_position(at(1, 1))],
        _ => false,
    });
    assert!(asks);
    // The region lacks the number; that says nothing of the op.
    d.fate(dot, wire::fate::Kind::Unknown(true), false);
    assert_eq!(d.own(dot).unwrap().state, OpState::Accepted { position: at(1, 1) });
    let void = vec![convert::wire_origin(at(1, 1).origin)];
    d.frame(ToDevice::Cuts(wire::Cuts { void, ..Default::default() }));
    assert!(matches!(d.own(dot).unwrap().state, OpState::Sent { .. }));
}

#[test]
fn enough_regions_hold_a_log_as_far_as_the_region_has_the_write_that_says_so() {
    let mut d = Device::new(1);
    let dot = d.write(&[task("1", [])]).dots[0];
    d.connect(0, &[]);
    d.connect(1, &[]);
    d.reject(dot, "not_allowed");
    ask(&mut d, 0);
    says_beside(&mut d, dot, wire::fate::Kind::Accepted(convert::wire_position(at(0, 5))));
    d.accept(dot, at(1, 9), false);
    assert_eq!(d.own(dot).unwrap().state, OpState::Accepted { position: at(1, 9) });
    let (device, seqs) = (dot.device.0.to_vec().into(), convert::wire_seq_set(&only(dot.seq)));
    beside(&mut d, ToDevice::Durable(wire::Durable { device, seqs: Some(seqs) }));
    let safe = &d.node.safe;
    assert!(safe.contains(at(0, 5)) && !safe.contains(at(1, 9)), "{safe:?}");
}
