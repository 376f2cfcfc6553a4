//! How much one turn takes, and how far answers to a peer run ahead of its questions.

use super::*;
use crate::limits::{ENTRIES_AHEAD, ENTRIES_BYTES};
use crate::wire::peer_frame::Kind as Between;

/// A push of `count` creates from number `first` on, each with a name of so many bytes.
fn push(a: &Region, first: u64, count: u64, bytes: usize) -> Up {
    let status = Value::Text("x".repeat(bytes));
    let ops = (first..first + count)
        .map(|seq| a.create(1, seq, &format!("o{seq}"), vec![a.put("status", status.clone())]));
    let transactions =
        ops.map(|op| wire::push::Transaction { ops: vec![op.payload.to_vec().into()] });
    Up::Push(wire::Push { transactions: transactions.collect() })
}

fn answered(out: &Output) -> u64 {
    let fates = out.device.iter().filter_map(|(_, f)| match &f.kind {
        Some(Down::Fates(fates)) => {
            Some(fates.fates.iter().map(|f| u64::from(f.count)).sum::<u64>())
        }
        _ => None,
    });
    fates.sum()
}

#[test]
fn a_turn_answers_before_everything_that_is_queued_is_worked_on() {
    let mut a = Region::new(1);
    a.hello(1, 1, "u1 w/*");
    for push in (0..8).map(|n| push(&a, 1 + n * 400, 400, 1)).collect::<Vec<_>>() {
        a.node.device_frame(SessionId(1), wire::DeviceFrame { kind: Some(push) });
    }
    let first = a.work();
    assert!(first.more && (1..=2_048).contains(&answered(&first)), "{}", answered(&first));
    let mut all = answered(&first);
    while a.node.serves(SessionId(1)) {
        all += answered(&a.work());
    }
    assert_eq!(all, 3_200, "each once");
}

/// A region with so many answers to give, and a peer that has asked for the first.
fn behind(answers: usize) -> (Region, Region) {
    let mut a = Region::new(1);
    a.hello(1, 1, "u1 w/*");
    let each = ENTRIES_BYTES / 4;
    for n in 0..answers as u64 * 4 {
        let push = push(&a, n + 1, 1, each);
        a.up(1, push);
    }
    let mut b = Region::new(2);
    a.node.link_up(LinkId(2), false);
    b.node.link_up(LinkId(2), true);
    // Greetings, and the question.
    for _ in 0..2 {
        b.work().peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        a.work().peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
    }
    (a, b)
}

/// What a region answers until it waits for its peer.
fn answers(a: &mut Region) -> Vec<wire::PeerFrame> {
    let mut answers = Vec::new();
    for _ in 0..20 {
        let out = a.work();
        let entries = |f: &wire::PeerFrame| matches!(f.kind, Some(Between::Entries(_)));
        answers.extend(out.peer.into_iter().map(|(_, f)| f).filter(entries));
        if !out.more {
            break;
        }
    }
    answers
}

fn ask(a: &mut Region, b: &mut Region) {
    b.work().peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
}

#[test]
fn answers_run_ahead_of_a_peer_but_not_far_and_none_is_sent_twice() {
    let (mut a, mut b) = behind(ENTRIES_AHEAD + 6);
    ask(&mut a, &mut b);
    let held = |r: &Region| r.node.vector().iter().map(|(_, seq)| seq).sum::<u64>();
    let before = held(&b);
    let mut on_their_way = answers(&mut a);
    assert!(on_their_way.len() > 1 && on_their_way.len() <= ENTRIES_AHEAD);
    let mut entries = 0;
    while !on_their_way.is_empty() {
        // One is taken in, and makes room for one.
        let next = on_their_way.remove(0);
        if let Some(Between::Entries(e)) = &next.kind {
            entries += e.batches.iter().map(|b| b.entries.len()).sum::<usize>();
        }
        b.node.peer_frame(LinkId(2), next);
        ask(&mut a, &mut b);
        on_their_way.extend(answers(&mut a));
        assert!(on_their_way.len() <= ENTRIES_AHEAD);
    }
    assert_eq!(b.node.vector(), a.node.vector());
    assert_eq!(entries as u64, held(&a) - before);
}

#[test]
fn a_peer_that_lacks_what_it_was_sent_is_answered_from_where_it_is() {
    let (mut a, mut b) = behind(ENTRIES_AHEAD + 6);
    ask(&mut a, &mut b);
    let mut on_their_way = answers(&mut a);
    // The first is taken in without what it brings, as where the log has been cut there.
    if let Some(Between::Entries(e)) = &mut on_their_way[0].kind {
        e.batches.clear();
    }
    let mut sent = on_their_way.len();
    for _ in 0..200 {
        if !on_their_way.is_empty() {
            b.node.peer_frame(LinkId(2), on_their_way.remove(0));
        }
        ask(&mut a, &mut b);
        let more = answers(&mut a);
        sent += more.len();
        on_their_way.extend(more);
        assert!(on_their_way.len() <= ENTRIES_AHEAD);
    }
    assert_eq!(b.node.vector(), a.node.vector());
    // What was on its way was of no use, and then each answer was.
    assert!(sent <= ENTRIES_AHEAD + ENTRIES_AHEAD + 6, "{sent}");
}
