//! Writes of a damaged file: pushed once, under their own numbers, after the region was asked.

use super::*;
use crate::device::node::{Rescued, TakenIn};

impl Device {
    fn take_in(&mut self, rescued: Rescued) -> TakenIn {
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            *drawn
        };
        let (taken, _) =
            self.node.take_in(&mut self.store, self.now, rescued, &mut random).unwrap();
        self.store.commit();
        taken
    }
}

/// What a rescue of the whole file finds.
fn all_of(d: &mut Device) -> Rescued {
    let meta = d.store.meta().unwrap().unwrap();
    Rescued {
        device: Some((meta.device, meta.sent_seq)),
        ops: d.store.ops(0, 100).unwrap(),
        voids: d.store.voids().unwrap(),
        outcomes: Vec::new(),
    }
}

/// Fingerprints that a greeting is followed by questions about.
fn asked(out: &Output) -> Vec<(DeviceId, SeqSet)> {
    let status = |f: &wire::DeviceFrame| match &f.kind {
        Some(ToRegion::Status(s)) => Some((
            convert::device_id(&s.device).unwrap(),
            convert::seq_set(s.seqs.as_ref()).unwrap(),
        )),
        _ => None,
    };
    out.frames.iter().filter_map(status).collect()
}

/// A file with one write, and a fresh one that took it in.
fn rescued() -> (Device, Sealed) {
    let mut old = Device::new(1);
    let made = old.write(&[task("1", [put(TITLE, "one"), vote(1)])]);
    let op = ops_of(&mut old, &made)[0].clone();
    let mut d = Device::new(2);
    let taken = d.take_in(all_of(&mut old));
    assert_eq!((taken.waiting, taken.known), (vec![op.op.dot], 0));
    assert_eq!(d.votes(&key("1")), 1);
    let known = d.take_in(all_of(&mut old));
    assert_eq!((known.waiting.len(), known.known), (0, 1));
    (d, op)
}

#[test]
fn a_rescued_write_is_pushed_as_it_is_where_its_number_did_not_arrive() {
    let (mut d, op) = rescued();
    let fresh = d.write(&[update("1", [vote(1)])]);
    assert_ne!(fresh.dots[0].device, op.op.dot.device, "new writes are the new file's");
    let out = d.connect(0, &[]);
    let ops: Vec<Sealed> = pushed(&out).into_iter().flatten().collect();
    assert_eq!(ops[0], op, "to the byte");
    assert!(asked(&out).is_empty());
}

#[test]
fn where_the_number_arrived_the_region_is_asked_before_anything_is_pushed() {
    let position = wire::fate::Kind::Accepted(convert::wire_position(at(0, 1)));
    let other = wire::fate::Kind::Other(true);
    let unknown = wire::fate::Kind::Unknown(true);
    for (answer, kept, outcomes) in [(position, true, 0), (other, true, 1), (unknown, false, 0)] {
        let (mut d, op) = rescued();
        let dot = op.op.dot;
        let out = d.connect(0, &[SeqSet::default(), only(1)]);
        assert!(pushed(&out).is_empty(), "{answer:?}");
        assert_eq!(asked(&out), [(dot.device, only(1))]);
        let out = d.fate(dot, answer.clone(), false);
        assert!(pushed(&out).is_empty(), "{answer:?}");
        assert_eq!(d.own(dot).is_some(), kept, "{answer:?}");
        assert_eq!(d.outcomes(dot).len(), outcomes, "{answer:?}");
        assert!(d.store.void(dot).unwrap().is_none(), "the number is not this file's to fill");
        let again = d.connect(0, &[SeqSet::default(), only(1)]);
        assert!(pushed(&again).is_empty(), "{answer:?}");
    }
}

#[test]
fn what_cannot_be_pushed_is_kept_with_an_outcome() {
    let mut old = Device::new(1);
    let pair = old.write(&[task("1", []), task("2", [])]);
    let lost = old.write(&[task("3", [])]);
    let on_lost = old.write(&[update("3", [vote(1)])]);
    let on_half = old.write(&[update("1", [vote(1)])]);
    let alone = old.write(&[task("4", [])]);
    let mut found = all_of(&mut old);
    let unread = [pair.dots[1], lost.dots[0]];
    found.ops.retain(|own| !unread.contains(&own.sealed.op.dot));
    let mut d = Device::new(2);
    let taken = d.take_in(found);
    assert_eq!(taken.waiting, alone.dots);
    assert_eq!(taken.refused, [pair.dots[0], on_lost.dots[0], on_half.dots[0]]);
    for dot in &taken.refused {
        assert!(matches!(&d.outcomes(*dot)[..], [Outcome::Rejected { .. }]));
    }
    assert_eq!(d.view(&key("1")), None);
}

#[test]
fn a_write_on_a_create_that_was_sent_is_pushed_though_the_create_is_gone() {
    let mut old = Device::new(1);
    let made = old.write(&[task("1", [])]);
    old.connect(0, &[]);
    let later = old.write(&[update("1", [vote(1)])]);
    let mut found = all_of(&mut old);
    found.ops.retain(|own| own.sealed.op.dot != made.dots[0]);
    let taken = Device::new(2).take_in(found);
    assert_eq!(taken.waiting, later.dots);
}

#[test]
fn an_older_copy_of_the_damaged_file_goes_on_under_a_new_id() {
    let mut old = Device::new(1);
    let copy = old.store.clone();
    let made = old.write(&[task("1", [])]);
    let mut d = Device::on(copy, 5);
    let before = d.id();
    assert_eq!(before, made.dots[0].device);
    d.take_in(all_of(&mut old));
    assert_ne!(d.id(), before);
    let next = d.write(&[task("2", [])]);
    assert_ne!(next.dots[0].device, before);
    assert!(d.own(made.dots[0]).is_some());
}

/// The session that it becomes would not know the numbers that the region has of them.
#[test]
fn a_greeting_that_was_under_way_does_not_become_the_session_of_rescued_writes() {
    let mut old = Device::new(1);
    let made = old.write(&[task("1", [])]);
    let mut d = Device::new(2);
    let (greeting, welcome) = d.greet(Extent::Whole, 0, &[]);
    d.take_in(all_of(&mut old));
    d.node.begin(greeting);
    let out = d.frame(ToDevice::Welcome(welcome));
    assert_eq!(out.close.map(|c| (c.is_own(), c.code)), Some((true, "rescued".to_owned())));
    let out = d.connect(0, &[]);
    let ops: Vec<Sealed> = pushed(&out).into_iter().flatten().collect();
    assert_eq!(ops[0].op.dot, made.dots[0]);
}

/// As a document says that was made to hurt.
#[test]
fn a_transaction_that_says_it_is_endless_is_as_long_as_what_is_here() {
    let mut old = Device::new(1);
    old.write(&[task("1", []), task("2", [])]);
    let mut found = all_of(&mut old);
    for own in &mut found.ops {
        let mut op = own.sealed.op.clone();
        op.tx.count = u32::MAX;
        own.sealed = op.seal();
    }
    let mut d = Device::new(2);
    let taken = d.take_in(found);
    assert_eq!(taken.refused.len(), 2);
    let (receipt, _) = d.node.resubmit(&mut d.store, d.now, taken.refused[1]).unwrap();
    d.store.commit();
    assert_eq!(receipt.dots.len(), 2, "made again as what is left of it");
}
