//! What regions hear of each other on their links, and what they tell their devices of it.

use super::*;

/// A region with a write of its device.
fn with_a_write() -> Region {
    let mut a = Region::new(1);
    a.hello(1, 1, "u1 w/*");
    let op = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&op]);
    a
}

/// Carry frames on a link on which `b` asks; true if a device of `a` heard that its write is durable.
fn asks_on(a: &mut Region, b: &mut Region, turns: usize) -> bool {
    let mut durable = false;
    for _ in 0..turns {
        b.work().peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        let out = a.work();
        durable |= out.device.iter().any(|(_, f)| matches!(f.kind, Some(Down::Durable(_))));
        out.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
    }
    durable
}

#[test]
fn a_greeting_that_comes_late_on_an_old_link_silences_no_new_one() {
    let (mut a, mut b) = (with_a_write(), Region::new(2));
    a.node.link_up(LinkId(2), false);
    b.node.link_up(LinkId(2), true);
    let late = b.work().peer;
    b.node.link_down(LinkId(2));
    a.node.link_up(LinkId(3), false);
    b.node.link_up(LinkId(3), true);
    assert!(!asks_on(&mut a, &mut b, 1));
    assert_eq!(late.len(), 1, "the greeting");
    late.into_iter().for_each(|(link, frame)| a.node.peer_frame(link, frame));
    assert!(asks_on(&mut a, &mut b, 6));
}

#[test]
fn a_peer_that_asks_nothing_is_heard_where_it_answers() {
    let (mut a, mut b) = (with_a_write(), Region::new(2));
    b.hello(1, 2, "u2 w/*");
    let theirs = b.create(2, 1, "o2", vec![]);
    b.push(1, &[&theirs]);
    // It asks on one link, which ends, and answers on another.
    let known = |a: &Region| a.node.peer_vector(RegionId(2)).cloned().unwrap_or_default();
    a.node.link_up(LinkId(2), false);
    b.node.link_up(LinkId(2), true);
    asks_on(&mut a, &mut b, 1);
    let before = known(&a);
    a.node.link_down(LinkId(2));
    b.node.link_down(LinkId(2));
    let more = b.create(2, 2, "o3", vec![]);
    b.push(1, &[&more]);
    a.node.link_up(LinkId(1), true);
    b.node.link_up(LinkId(1), false);
    asks_on(&mut a, &mut b, 4);
    assert!(known(&a).covers(b.node.vector()) && !before.covers(b.node.vector()));
}

#[test]
fn what_a_peer_said_on_its_other_link_does_not_take_back_what_it_said_since() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    b.hello(1, 2, "u2 w/*");
    let theirs = b.create(2, 1, "o2", vec![]);
    b.push(1, &[&theirs]);
    let op = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&op]);
    link_up(&mut a, &mut b);
    // What comes on the link on which `a` asks is slow.
    let (mut late, mut durable) = (Vec::new(), false);
    for turn in 0..12 {
        let (from_a, from_b) = (a.work(), b.work());
        durable |= from_a.device.iter().any(|(_, f)| matches!(f.kind, Some(Down::Durable(_))));
        from_a.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
        for (link, frame) in from_b.peer {
            match link {
                LinkId(1) if turn > 1 => late.push(frame),
                _ => a.node.peer_frame(link, frame),
            }
        }
    }
    assert!(durable && !late.is_empty());
    late.into_iter().for_each(|frame| a.node.peer_frame(LinkId(1), frame));
    a.work();
    let known = a.node.peer_vector(RegionId(2)).unwrap();
    assert!(known.covers(&b.node.vector().clone()), "{known:?}");
}

#[test]
fn open_sessions_hear_that_a_log_has_ended() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let backup = a.store.clone();
    let first = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&first]);
    exchange(&mut a, &mut b);
    // A reader that has seen what the restore loses, at the region that never had it.
    let old_life = a.node.incarnation();
    let lost = a.node.vector().iter().map(|(origin, seq)| (origin, seq + 5)).collect();
    b.hello(1, 2, "u2 w/*");
    b.subscribe(1, "w/1", &lost);
    let mut a = open(1, backup, false, NOW + 5);
    link_up(&mut a, &mut b);
    let mut told = Vec::new();
    for _ in 0..12 {
        let (from_a, from_b) = (a.work(), b.work());
        told.extend(from_b.device.into_iter().filter_map(|(_, f)| f.kind));
        from_a.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
        from_b.peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
    }
    let cuts = told.iter().find_map(|f| match f {
        Down::Cuts(cuts) => Some(&cuts.cuts),
        _ => None,
    });
    let cuts = cuts.expect("the session is told");
    let life = |c: &wire::Cut| c.origin.as_ref().map(|o| o.incarnation);
    assert!(cuts.iter().all(|c| life(c) == Some(old_life)) && !cuts.is_empty());
    assert_eq!(cuts.iter().map(|c| c.last).sum::<u64>(), 1);
    // The reader's cursor was above the cut: with it brought down, its pass covers it.
    let covering = |f: &Down| match f {
        Down::Delta(d) => {
            matches!(&d.place, Some(wire::delta::Place::Chunk(c)) if c.covering && c.done)
        }
        _ => false,
    };
    assert!(told.iter().any(covering), "{told:?}");
}
