//! A region that was put back, does not know it, and has written again what its peers hold.

use super::*;
use crate::log::Opened;

/// Both directions' frames, through a hand that may change them; true if it went quiet.
fn carry(a: &mut Region, b: &mut Region, hand: impl Fn(&mut wire::PeerFrame)) -> Vec<Report> {
    link_up(a, b);
    let mut reports = Vec::new();
    for _ in 0..60 {
        let (from_a, from_b) = (a.work(), b.work());
        reports.extend(from_a.reports);
        reports.extend(from_b.reports);
        let idle = from_a.peer.is_empty() && from_b.peer.is_empty();
        from_a.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
        for (l, mut frame) in from_b.peer {
            hand(&mut frame);
            a.node.peer_frame(l, frame);
        }
        if idle {
            break;
        }
    }
    link_down(a, b);
    reports
}

/// The peers hold `held` orders of the first region, which was put back to one of them, and has
/// written `again` others since.
fn put_back(held: u64, again: u64) -> (Region, Region) {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let first = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&first]);
    let backup = a.store.clone();
    for seq in 2..=held {
        let op = a.create(1, seq, &format!("o{seq}"), vec![a.sold(1)]);
        a.push(1, &[&op]);
    }
    exchange(&mut a, &mut b);
    let mut a = open(1, backup, true, NOW + 5);
    a.hello(2, 2, "u2 w/*");
    for seq in 1..=again {
        let op = a.create(2, seq, &format!("p{seq}"), vec![a.sold(1)]);
        a.push(2, &[&op]);
    }
    (a, b)
}

/// Both hold the same logs and every order once, each op under one position that counts.
fn agree(a: &mut Region, b: &mut Region, held: u64, again: u64) {
    assert_eq!(a.node.vector(), b.node.vector());
    assert!(a.store.iter_logs().eq(b.store.iter_logs()));
    let all = (1..=held).map(|n| format!("o{n}")).chain((1..=again).map(|n| format!("p{n}")));
    for id in all {
        let (here, there) = (a.entity(&id), b.entity(&id));
        assert!(here.exists(&Living), "{id}");
        assert_eq!(here, there, "{id}");
        let sold = if id == "o1" { 0 } else { 1 };
        assert_eq!(here.counter(a.field("sold"), &Living), sold, "{id}");
    }
}

#[test]
fn a_region_that_wrote_again_what_its_peer_holds_begins_a_new_life_below_the_fork() {
    for (held, again) in [(2, 1), (2, 4), (9, 8), (9, 30)] {
        let (mut a, mut b) = put_back(held, again);
        let old = a.node.incarnation();
        assert!(a.node.vector().iter().all(|(_, seq)| seq > again));
        exchange(&mut a, &mut b);
        assert_ne!(a.node.incarnation(), old, "{held} {again}");
        // The peer's own question may have ended on the other branch.
        exchange(&mut a, &mut b);
        let ends = |r: &mut Region| -> u64 {
            let cuts = r.store.cuts().unwrap().into_iter();
            cuts.filter(|(o, _)| o.incarnation == old).map(|(_, last)| last).sum()
        };
        assert_eq!((ends(&mut a), ends(&mut b)), (1, 1), "{held} {again}");
        agree(&mut a, &mut b, held, again);
    }
}

/// The crash makes the node's start no mark of where the fork is.
#[test]
fn a_fork_is_found_below_what_was_there_when_the_process_started() {
    for (held, again) in [(9, 3), (9, 8), (9, 12)] {
        let (a, mut b) = put_back(held, again);
        let old = a.node.incarnation();
        let mut a = open(1, a.store, true, NOW + 9);
        assert_eq!(a.node.incarnation(), old);
        for _ in 0..4 {
            exchange(&mut a, &mut b);
        }
        assert_ne!(a.node.incarnation(), old);
        agree(&mut a, &mut b, held, again);
    }
}

#[test]
fn a_branch_that_the_peer_took_meanwhile_is_cut_there_too() {
    let (a, b) = put_back(4, 5);
    let of_three = |number, store| {
        let regions = [RegionId(1), RegionId(2), RegionId(3)].into();
        open_as(Config { regions, ..config(number) }, store, number < 3, NOW + 9)
    };
    let (mut a, mut b) = (of_three(1, a.store), of_three(2, b.store));
    // A third takes the new branch before the two meet, and meets the old one first.
    let mut c = of_three(3, MemoryStore::new());
    let old = a.node.incarnation();
    exchange(&mut a, &mut c);
    assert_eq!(a.node.incarnation(), old);
    exchange(&mut b, &mut c);
    for _ in 0..3 {
        exchange(&mut a, &mut b);
        exchange(&mut a, &mut c);
        exchange(&mut b, &mut c);
    }
    assert_ne!(a.node.incarnation(), old);
    agree(&mut a, &mut b, 4, 5);
    agree(&mut a, &mut c, 4, 5);
}

#[test]
fn a_position_of_the_other_branch_makes_no_write_durable() {
    let (mut a, mut b) = put_back(4, 3);
    let durable = |frames: Vec<Down>| {
        let told = |f: &Down| match f {
            Down::Durable(_) => true,
            Down::Fates(f) => f.fates.iter().any(|f| f.durable),
            _ => false,
        };
        frames.iter().any(told)
    };
    a.node.link_up(LinkId(1), false);
    b.node.link_up(LinkId(1), true);
    for _ in 0..2 {
        b.work().peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        let out = a.work();
        assert!(!durable(out.device.into_iter().filter_map(|(_, f)| f.kind).collect()));
        out.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
    }
}

#[test]
fn a_peer_with_a_damaged_log_ends_no_life() {
    let damaged_marks = |frame: &mut wire::PeerFrame| {
        let marks = match &mut frame.kind {
            Some(wire::peer_frame::Kind::Hello(h)) => &mut h.marks,
            Some(wire::peer_frame::Kind::Want(w)) => &mut w.marks,
            Some(wire::peer_frame::Kind::Entries(e)) => &mut e.marks,
            _ => return,
        };
        marks.iter_mut().for_each(|m| m.hash = vec![7; 16].into());
    };
    // A mark alone is no proof.
    let (mut a, mut b) = put_back(1, 5);
    exchange(&mut a, &mut b);
    let life = a.node.incarnation();
    carry(&mut a, &mut b, damaged_marks);
    assert_eq!(a.node.incarnation(), life);

    // Nor are entries that do not follow from one another.
    let (mut a, mut b) = put_back(4, 5);
    let life = a.node.incarnation();
    let reports = carry(&mut a, &mut b, |frame| {
        if let Some(wire::peer_frame::Kind::Entries(e)) = &mut frame.kind {
            for batch in &mut e.batches {
                let other = Opened::decode(&batch.entries[0]).unwrap();
                let Opened::Ops { ops, whole, .. } = other else { continue };
                batch.entries[0] = Opened::Ops { ops, whole, fork: true }.to_bytes().into();
            }
        }
    });
    assert_eq!(a.node.incarnation(), life);
    let here = |r: &Report| matches!(r, Report::LogMismatch { .. });
    assert!(reports.iter().any(here), "{reports:?}");
}

/// Its marker may fit: it is the one that lies beside the older copy.
#[test]
fn a_store_from_before_a_later_life_begins_one_that_is_later_still() {
    for heard_first in [false, true] {
        let (mut a, mut b) = (Region::new(1), Region::new(2));
        a.hello(1, 1, "u1 w/*");
        let first = a.create(1, 1, "o1", vec![]);
        a.push(1, &[&first]);
        exchange(&mut a, &mut b);
        let (first_life, older) = (a.node.incarnation(), a.store.clone());

        // A copy of it goes on elsewhere, in a second life, until all is told.
        let mut a = open(1, a.store, false, NOW + 5);
        a.hello(1, 1, "u1 w/*");
        let second = a.create(1, 2, "o2", vec![a.sold(1)]);
        a.push(1, &[&second]);
        exchange(&mut a, &mut b);
        let second_life = a.node.incarnation();
        assert!(second_life > first_life);

        // Then the first store is started again, on a clock that was set back.
        let mut a = open(1, older, true, NOW - 1_000);
        assert_eq!(a.node.incarnation(), first_life);
        if heard_first {
            exchange(&mut a, &mut b);
        }
        a.hello(2, 2, "u2 w/*");
        let third = a.create(2, 1, "p1", vec![a.sold(1)]);
        a.push(2, &[&third]);
        exchange(&mut a, &mut b);
        exchange(&mut a, &mut b);
        assert!(a.node.incarnation() > second_life);
        agree(&mut a, &mut b, 2, 1);
        // Nothing is left to say.
        let before = a.node.vector().clone();
        exchange(&mut a, &mut b);
        assert_eq!(*a.node.vector(), before);
    }
}

/// What a peer has of other logs is as good as ever.
#[test]
fn a_damaged_copy_of_our_log_holds_up_no_other_log() {
    let (mut a, mut b) = put_back(1, 5);
    let life = a.node.incarnation();
    b.hello(1, 1, "u1 w/*");
    let late = b.create(1, 2, "o2", vec![b.sold(1)]);
    b.push(1, &[&late]);
    let mut mismatches = 0;
    for _ in 0..3 {
        let reports = carry(&mut a, &mut b, |frame| {
            let marks = match &mut frame.kind {
                Some(wire::peer_frame::Kind::Hello(h)) => &mut h.marks,
                Some(wire::peer_frame::Kind::Want(w)) => &mut w.marks,
                Some(wire::peer_frame::Kind::Entries(e)) => {
                    let of_a = |b: &&mut wire::Batch| b.origin.as_ref().unwrap().region == 1;
                    let shown = e.batches.iter_mut().filter(of_a);
                    shown.for_each(|b| b.hash_after = vec![7; 16].into());
                    &mut e.marks
                }
                _ => return,
            };
            marks.iter_mut().for_each(|m| m.hash = vec![7; 16].into());
        });
        mismatches += reports.iter().filter(|r| matches!(r, Report::LogMismatch { .. })).count();
    }
    assert_eq!(a.node.incarnation(), life);
    assert!(mismatches > 0, "a person hears of it");
    assert!(a.entity("o2").exists(&Living));
}

/// As in a rolling upgrade: what was heard without a hash is compared once there is one.
#[test]
fn a_head_that_was_heard_without_its_hash_is_compared_later() {
    let (mut a, mut b) = put_back(4, 3);
    let old = a.node.incarnation();
    carry(&mut a, &mut b, |frame| match &mut frame.kind {
        Some(wire::peer_frame::Kind::Hello(h)) => h.marks.clear(),
        Some(wire::peer_frame::Kind::Want(w)) => w.marks.clear(),
        Some(wire::peer_frame::Kind::Entries(e)) => e.marks.clear(),
        _ => {}
    });
    assert_eq!(a.node.incarnation(), old, "nothing tells so far");
    for _ in 0..2 {
        exchange(&mut a, &mut b);
    }
    assert_ne!(a.node.incarnation(), old);
    agree(&mut a, &mut b, 4, 3);
}
