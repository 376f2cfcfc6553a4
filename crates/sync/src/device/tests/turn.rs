//! What a session carries, and in which order: own writes, and rows by priority.

use super::keep::subscribe_frames;
use super::*;

fn subscribed(priorities: &[(&str, u8)]) -> Device {
    let mut d = Device::new(1);
    for (scope, priority) in priorities {
        let terms = Terms { priority: *priority, ..Terms::default() };
        d.node.subscribe_with(&mut d.store, *scope, terms, d.now).unwrap();
    }
    d
}

fn connect(d: &mut Device, extent: Extent) -> Output {
    let (greeting, welcome) = d.greet(extent, 0, &[]);
    d.node.begin(greeting);
    d.frame(ToDevice::Welcome(welcome))
}

fn asked(out: &Output) -> Vec<&str> {
    subscribe_frames(out).iter().map(|s| s.scope.as_str()).collect()
}

const SCOPES: &[(&str, u8)] = &[("team/a", 1), ("team/b", 7), ("team/c", 3), ("team/d", 7)];

#[test]
fn rows_are_asked_for_in_the_order_of_their_priority() {
    let mut d = subscribed(SCOPES);
    assert_eq!(asked(&d.connect(0, &[])), ["team/b", "team/d", "team/c", "team/a"]);
}

#[test]
fn in_turn_rows_are_asked_for_once_own_writes_are_answered() {
    let mut d = subscribed(SCOPES);
    let dots = [d.write(&[task("1", [])]).dots[0], d.write(&[task("2", [])]).dots[0]];
    let out = connect(&mut d, Extent::InTurn { priority_min: 3 });
    assert_eq!((pushed_dots(&out), asked(&out)), (vec![1, 2], vec![]));
    assert_eq!(asked(&d.accept(dots[0], at(0, 1), false)), Vec::<&str>::new());
    // A refusal is an answer, too; its number is filled first.
    let out = d.reject(dots[1], "not_allowed");
    assert_eq!((pushed_dots(&out), asked(&out)), (vec![2], vec![]));
    assert_eq!(asked(&d.accept(dots[1], at(0, 2), false)), ["team/b", "team/d", "team/c"]);
    // From here on rows and writes go as they come.
    d.write(&[task("3", [])]);
    let out = d.poll();
    assert_eq!((pushed_dots(&out), asked(&out)), (vec![3], vec![]));
    let terms = Terms { priority: 4, ..Terms::default() };
    let mut subscribe =
        |scope, terms| d.node.subscribe_with(&mut d.store, scope, terms, 5).unwrap();
    assert_eq!(asked(&subscribe("team/e", terms)), ["team/e"]);
    assert_eq!(asked(&subscribe("team/f", Terms::default())), Vec::<&str>::new());
}

#[test]
fn in_turn_a_write_that_cannot_leave_holds_up_no_rows() {
    let mut d = subscribed(SCOPES);
    // It was made under another account, so it is pushed under that alone.
    let mut other = Node::open(&mut d.store, schema(), "eve".into(), &mut || 7, 0).unwrap();
    other.write(&mut d.store, d.now, &[task("1", [])]).unwrap();
    d.store.commit();
    let out = connect(&mut d, Extent::InTurn { priority_min: 0 });
    assert_eq!(pushed_dots(&out), Vec::<u64>::new());
    assert_eq!(asked(&out).len(), SCOPES.len());
}

#[test]
fn a_hedge_that_becomes_the_session_carries_what_it_was_greeted_for() {
    let check = |extent: Extent, scopes: &[&str]| {
        let mut d = subscribed(SCOPES);
        let dot = d.write(&[task("1", [])]).dots[0];
        connect(&mut d, extent);
        let (greeting, welcome) = d.greet(extent, 1, &[]);
        assert!(d.node.hedge(greeting), "the write is unanswered");
        let frame = wire::RegionFrame { kind: Some(ToDevice::Welcome(welcome)) };
        let out = d.node.hedge_frame(&mut d.store, frame, d.now, &mut || 7).unwrap();
        assert_eq!((pushed_dots(&out), asked(&out)), (vec![1], vec![]));
        let out = d.node.promote(&mut d.store, d.now, &mut || 7).unwrap();
        let later = d.accept(dot, at(1, 1), false);
        assert_eq!([asked(&out), asked(&later)].concat(), scopes, "{extent:?}");
    };
    check(Extent::Whole, &["team/b", "team/d", "team/c", "team/a"]);
    check(Extent::Pushes, &[]);
    check(Extent::InTurn { priority_min: 7 }, &["team/b", "team/d"]);
}

#[test]
fn pushes_of_a_session_grow_with_what_it_has_carried() {
    use crate::limits::{PUSH_BYTES, PUSH_BYTES_FIRST};
    const TITLE_BYTES: usize = 2_000;
    let mut d = Device::new(1);
    let title = "x".repeat(TITLE_BYTES);
    for id in 0..500 {
        d.write(&[task(&id.to_string(), [put(TITLE, &*title)])]);
    }
    for region in [0, 1] {
        // Whatever a session before it carried, the link is another one.
        let out = d.connect_with(region, &[], |welcome| welcome.push_ops = 400);
        let mut sizes = push_sizes(&out);
        assert_eq!(pushed_dots(&out).len(), 400);
        // The window opens: the frames go on where they were.
        let dot = |seq| Dot::new(d.store.meta().unwrap().unwrap().device, seq);
        let answered: Vec<Dot> = (1..=100).map(dot).collect();
        for dot in answered {
            sizes.extend(push_sizes(&d.accept(dot, at(region, dot.seq), true)));
        }
        let mut before = 0;
        for size in &sizes {
            let most = usize::clamp(before, PUSH_BYTES_FIRST, PUSH_BYTES);
            assert!(*size <= most, "{size} after {before}: {sizes:?}");
            before += size;
        }
        assert!(sizes[0] > TITLE_BYTES && sizes[0] <= PUSH_BYTES_FIRST, "{sizes:?}");
        assert!(sizes.iter().any(|s| *s > PUSH_BYTES / 2), "{sizes:?}");
    }
}

/// Bytes of payload in each Push.
fn push_sizes(out: &Output) -> Vec<usize> {
    let size = |push: &wire::Push| {
        let ops = push.transactions.iter().flat_map(|tx| &tx.ops);
        ops.map(|op| op.len()).sum()
    };
    let frames = out.frames.iter().filter_map(|f| match &f.kind {
        Some(ToRegion::Push(push)) => Some(size(push)),
        _ => None,
    });
    frames.collect()
}
