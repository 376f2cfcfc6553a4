//! What one session may take of a turn, and of the region's memory, when it has much to ask for.

use super::*;
use crate::limits;

fn queue(r: &mut Region, session: u64, kind: Up) {
    r.node.device_frame(SessionId(session), wire::DeviceFrame { kind: Some(kind) });
}

fn transactions(ops: impl Iterator<Item = Sealed>) -> Up {
    let one = |op: Sealed| wire::push::Transaction { ops: vec![op.payload.to_vec().into()] };
    Up::Push(wire::Push { transactions: ops.map(one).collect() })
}

fn answers(out: &Output) -> Vec<(u64, u64)> {
    let fates = out.device.iter().filter_map(|(id, f)| match &f.kind {
        Some(Down::Fates(f)) => Some((id.0, f.fates.iter().map(|f| u64::from(f.count)).sum())),
        _ => None,
    });
    fates.collect()
}

#[test]
fn a_push_larger_than_a_turn_does_not_keep_others_from_theirs() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    r.hello(2, 2, "u2 w/*");
    let large = transactions((1..=8_000).map(|n| r.create(1, n, &format!("o{n}"), vec![])));
    let small = transactions(std::iter::once(r.create(2, 1, "p1", vec![])));
    queue(&mut r, 1, large);
    let first = r.work();
    queue(&mut r, 2, small);
    let next = [r.work(), r.work()].map(|out| answers(&out)).concat();
    assert_eq!(answers(&first), [(1, 2_048)]);
    assert!(next.contains(&(2, 1)) && r.node.serves(SessionId(1)), "{next:?}");
    let mut all: u64 = answers(&first).iter().chain(&next).map(|(_, n)| n).sum();
    while r.node.serves(SessionId(1)) {
        all += answers(&r.work()).iter().map(|(_, n)| n).sum::<u64>();
    }
    assert_eq!(all, 8_001, "each once");
}

#[test]
fn what_it_costs_to_look_for_the_rest_of_a_transaction_counts() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let many = limits::TRANSACTION_OPS_MAX as u64 - 2;
    let voids = (1..=many).map(|n| r.op(1, n, "o", vec![], Action::Void));
    let voids = transactions(voids.collect::<Vec<_>>().into_iter());
    queue(&mut r, 1, voids);
    while r.node.serves(SessionId(1)) {
        r.work();
    }
    // Each says that those numbers and its own are one transaction.
    let claims = (0..100).map(|n| {
        let mut op = r.create(1, many + 1 + n % 2, &format!("c{n}"), vec![]).op;
        op.tx = Tx { first: 1 + n / 2, count: limits::TRANSACTION_OPS_MAX as u32 - n as u32 / 2 };
        op.seal()
    });
    let claims = transactions(claims.collect::<Vec<_>>().into_iter());
    queue(&mut r, 1, claims);
    let out = r.work();
    let done: u64 = answers(&out).iter().map(|(_, n)| n).sum();
    assert!(out.more && done < 20, "{done} in one turn");
}

/// A session that reads all orders of Lyon, each with a status of so many bytes, with this credit.
fn reader(r: &mut Region, session: u64, credit: u64) {
    let devices = vec![DeviceId::from_number(session).0.to_vec().into()];
    let (versions, token) = (vec![1], format!("u{session} w/*"));
    let hello = wire::Hello { versions, token, devices, credit, ..Default::default() };
    queue(r, session, Up::Hello(hello));
    let (scope, fresh) = ("w/lyon".to_owned(), true);
    queue(
        r,
        session,
        Up::Subscribe(wire::Subscribe { sub: 1, scope, fresh, ..Default::default() }),
    );
}

fn filled(orders: u64, bytes: usize) -> Region {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    for n in 1..=orders {
        let op =
            r.create(1, n, &format!("o{n:03}"), vec![r.put("status", "x".repeat(bytes).into())]);
        r.push(1, &[&op]);
    }
    r
}

/// Frames with rows, by session.
fn deltas(out: &Output) -> Vec<u64> {
    let delta = |f: &wire::RegionFrame| matches!(f.kind, Some(Down::Delta(_)));
    out.device.iter().filter(|(_, f)| delta(f)).map(|(id, _)| id.0).collect()
}

#[test]
fn passes_take_turns_so_that_no_session_waits_for_the_end_of_anothers() {
    let mut r = filled(40, limits::CHUNK_BYTES_FIRST);
    for session in 2..=4 {
        reader(&mut r, session, limits::CREDIT_BYTES);
    }
    let first = deltas(&r.work());
    for session in 2..=4 {
        let chunks = first.iter().filter(|id| **id == session).count();
        assert!(chunks >= 5, "{chunks} of {} for session {session}", first.len());
    }
}

#[test]
fn no_more_rows_are_sent_than_there_is_room_for() {
    let mut r = filled(40, limits::CHUNK_BYTES_FIRST);
    reader(&mut r, 2, limits::CREDIT_BYTES);
    r.node.set_room(0);
    let none = r.work();
    assert!(deltas(&none).is_empty() && !none.more);
    r.node.set_room(1);
    assert_eq!(deltas(&r.work()).len(), 1);
    r.node.set_room(usize::MAX);
    assert!(deltas(&r.work()).len() > 1);
}

fn ask(r: &mut Region, keys: &[&str]) {
    let kind = r.kind();
    let keys = keys.iter().map(|id| convert::wire_key(&EntityKey::new("w/lyon", kind, *id)));
    queue(r, 2, Up::Refetch(wire::Refetch { sub: 1, keys: keys.collect(), beyond: None }));
}

#[test]
fn questions_are_answered_as_credit_allows_and_few_may_be_open() {
    let mut r = filled(3, 1_000);
    reader(&mut r, 2, 10);
    assert_eq!(deltas(&r.work()).len(), 1, "one beyond the credit");
    for _ in 0..limits::QUESTIONS_MAX {
        ask(&mut r, &["o001", "gone"]);
    }
    let out = r.work();
    assert!(deltas(&out).is_empty() && !out.more, "there is no credit, so there is nothing to do");
    queue(&mut r, 2, Up::Credit(wire::Credit { bytes: 1 << 20 }));
    assert_eq!(deltas(&r.work()).len(), limits::QUESTIONS_MAX);
    queue(&mut r, 2, Up::Credit(wire::Credit { bytes: 1 << 20 }));
    r.node.set_room(0);
    for _ in 0..=limits::QUESTIONS_MAX {
        ask(&mut r, &["o001"]);
    }
    assert!(r.work().reports.contains(&Report::Refused { code: "too_many_questions".into() }));
}

#[test]
fn a_device_that_leaves_out_every_other_number_is_stopped_and_may_fill_its_gaps() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let most = limits::RECEIVED_RANGES_MAX as u64;
    let voids: Vec<_> = (1..=most).map(|n| r.op(1, 2 * n, "o", vec![], Action::Void)).collect();
    queue(&mut r, 1, transactions(voids.into_iter()));
    while r.node.serves(SessionId(1)) {
        r.work();
    }
    let fills = r.op(1, 3, "o", vec![], Action::Void);
    assert_eq!(fates(&r.push(1, &[&fills])).len(), 1);
    let (far, farther) = (2 * most + 4, 2 * most + 6);
    let goes_on = r.op(1, far, "o", vec![], Action::Void);
    assert_eq!(fates(&r.push(1, &[&goes_on])).len(), 1, "there is room for one more again");
    let gap = r.op(1, farther, "o", vec![], Action::Void);
    let stopped = r.push(1, &[&gap]);
    let code = |f: &Down| matches!(f, Down::Error(e) if e.code == "too_many_gaps");
    assert!(stopped.iter().any(code), "{stopped:?}");
}
