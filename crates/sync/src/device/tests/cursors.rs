//! Passes, cursors, refetches and cuts.

use super::*;

fn subscribed() -> Device {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d
}

fn theirs(id: &str, seed: u64) -> Vec<Sealed> {
    let mut other = Device::new(seed);
    let a = other.write(&[task(id, [put(TITLE, "theirs"), vote(1)])]);
    ops_of(&mut other, &a)
}

fn subscribe_frame(out: &Output) -> wire::Subscribe {
    let frames = out.frames.iter().find_map(|f| match &f.kind {
        Some(ToRegion::Subscribe(s)) => Some(s.clone()),
        _ => None,
    });
    frames.unwrap()
}

fn refetched(out: &Output) -> Vec<EntityKey> {
    let keys = out.frames.iter().filter_map(|f| match &f.kind {
        Some(ToRegion::Refetch(r)) => Some(&r.keys),
        _ => None,
    });
    keys.flatten().map(|k| convert::key(Some(k)).unwrap()).collect()
}

#[test]
fn a_cursor_moves_only_at_the_end_of_a_pass() {
    let mut d = subscribed();
    assert!(d.subscription("team/a").loading);
    let (one, two) = (theirs("1", 5), theirs("2", 6));
    let rows = vec![row(&key("1"), &vector(1, 0), &one)];
    d.delta(1, rows, &[], chunk(&vector(5, 5), false, Some(&key("1")), true));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor.clone(), sub.loading), (Vector::new(), true));
    assert!(d.view(&key("1")).is_some(), "rows show as they come");

    // The pass goes on at another region, where it is as old as the older of the two.
    let out = d.connect(1, &[]);
    let asked = subscribe_frame(&out);
    assert_eq!(convert::vector(asked.pass.as_ref()).unwrap(), vector(5, 5));
    assert_eq!(asked.after, Some(convert::wire_key(&key("1"))));
    let rows = vec![row(&key("2"), &vector(2, 0), &two)];
    d.delta(1, rows, &[], chunk(&vector(3, 7), true, Some(&key("2")), true));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor, sub.pass, sub.loading), (vector(3, 5), None, false));
}

#[test]
fn live_changes_move_the_cursor_of_a_covering_region_only() {
    let mut d = subscribed();
    let one = theirs("1", 5);
    d.pass(1, vec![], &[], &vector(1, 0));
    d.live(1, vec![row(&key("1"), &vector(2, 0), &one)], &[], &vector(2, 0));
    assert_eq!(d.subscription("team/a").cursor, vector(2, 0));

    // Region 1 lags behind.
    d.connect(1, &[]);
    let two = theirs("2", 6);
    let rows = vec![row(&key("2"), &vector(0, 4), &two)];
    d.delta(1, rows, &[], chunk(&vector(1, 4), true, None, false));
    let sub = d.subscription("team/a");
    assert_eq!(sub.cursor, vector(2, 0));
    assert_eq!(sub.provisional, Some((RegionId(1), vector(1, 4))));
    assert_eq!(d.refetches("team/a"), [key("2")]);
    assert!(d.view(&key("2")).is_some(), "its rows show all the same");
    d.live(1, vec![], &[], &vector(0, 5));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor, sub.provisional), (vector(2, 0), Some((RegionId(1), vector(1, 5)))));

    // Asked again, it goes on from there; any other region does not.
    let out = d.connect(1, &[]);
    let asked = subscribe_frame(&out);
    assert_eq!(convert::vector(asked.provisional.as_ref()).unwrap(), vector(1, 5));
    let out = d.connect(2, &[]);
    assert_eq!(subscribe_frame(&out).provisional, None);

    // Once it covers, its pass counts, and the rows are asked for by name.
    let out = d.pass(1, vec![], &[], &vector(2, 6));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor, sub.provisional), (vector(2, 6), None));
    assert_eq!(refetched(&out), [key("2")]);
    let at = Some(convert::wire_vector(&vector(2, 6)));
    let absent = vec![convert::wire_key(&key("2"))];
    let answer = wire::Refetched { absent, at };
    d.delta(1, vec![], &[], wire::delta::Place::Refetched(answer));
    assert_eq!(d.view(&key("2")), None);
    assert!(d.refetches("team/a").is_empty());
}

#[test]
fn moving_between_regions_never_goes_back() {
    let mut d = subscribed();
    let one = theirs("1", 5);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], &vector(1, 0));
    let mut other = Device::new(6);
    other.subscribe("team/a");
    other.connect(0, &[]);
    other.pass(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], &vector(1, 0));
    let at_one = other.write(&[update("1", [put(TITLE, "at region 1")])]);
    let at_one = [one.clone(), ops_of(&mut other, &at_one)].concat();
    let mut third = Device::new(7);
    third.subscribe("team/a");
    third.connect(0, &[]);
    third.pass(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], &vector(1, 0));
    let at_zero = third.write(&[update("1", [vote(5)])]);
    let at_zero = [one, ops_of(&mut third, &at_zero)].concat();

    d.connect(1, &[]);
    let rows = vec![row(&key("1"), &vector(0, 1), &at_one)];
    d.delta(1, rows, &[], chunk(&vector(0, 1), true, None, false));
    assert_eq!(d.title(&key("1")).as_deref(), Some("at region 1"));
    // Region 0 covers what was there before, and has not heard of region 1 yet.
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(2, 0), &at_zero)], &[], &vector(2, 0));
    assert_eq!(d.title(&key("1")).as_deref(), Some("at region 1"));
    assert_eq!(d.votes(&key("1")), 6, "its counters are taken");
    assert_eq!(d.base(&key("1")).unwrap().joined, vector(0, 1));
    let both = [at_zero, at_one[1..].to_vec()].concat();
    d.live(1, vec![row(&key("1"), &vector(2, 1), &both)], &[], &vector(0, 1));
    let base = d.base(&key("1")).unwrap();
    assert_eq!((base.touch, base.joined), (vector(2, 1), Vector::new()));
}

#[test]
fn credit_is_given_back_in_quarters() {
    let mut d = subscribed();
    let big = "x".repeat(600_000);
    let mut other = Device::new(9);
    let a = other.write(&[task("1", [put(TITLE, big.as_str())])]);
    let ops = ops_of(&mut other, &a);
    let credit =
        |out: &Output| out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Credit(_))));
    let first = d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
    assert!(!credit(&first));
    let second = d.live(1, vec![row(&key("1"), &vector(2, 0), &ops)], &[], &vector(2, 0));
    assert!(credit(&second));
}

#[test]
fn a_cut_clips_and_what_was_above_it_is_replaced() {
    let mut d = subscribed();
    let mine = d.write(&[task("9", [put(TITLE, "mine")])]);
    let mine_ops = ops_of(&mut d, &mine);
    d.poll();
    d.accept(mine.dots[0], at(0, 3), false);
    let one = theirs("1", 5);
    let mut other = Device::new(6);
    other.subscribe("team/a");
    other.connect(0, &[]);
    other.pass(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], &vector(1, 0));
    let lost = other.write(&[update("1", [vote(10), put(TITLE, "lost")])]);
    let with_lost = [one.clone(), ops_of(&mut other, &lost)].concat();
    let rows =
        vec![row(&key("1"), &vector(2, 0), &with_lost), row(&key("9"), &vector(3, 0), &mine_ops)];
    d.pass(1, rows, &[only(1)], &vector(3, 0));
    assert_eq!((d.votes(&key("1")), d.title(&key("1")).as_deref()), (11, Some("lost")));
    assert!(!d.own(mine.dots[0]).unwrap().overlay);

    // Region 0 came back without what it had beyond 1, under a new life.
    let cut = wire::Cut { origin: Some(convert::wire_origin(origin(0))), last: 1 };
    let out = d.connect_with(1, &[], |w| w.cuts = vec![cut]);
    assert_eq!(d.subscription("team/a").cursor, vector(1, 0));
    assert_eq!(d.base(&key("1")).unwrap().touch, vector(1, 0));
    assert_eq!(d.refetches("team/a"), [key("1"), key("9")]);
    assert_eq!(pushed_dots(&out), [1], "the own op is offered again");
    assert_eq!(d.title(&key("9")).as_deref(), Some("mine"));

    let out = d.pass(1, vec![], &[], &vector(1, 1));
    assert_eq!(refetched(&out), [key("1"), key("9")]);
    let at = Some(convert::wire_vector(&vector(1, 1)));
    let place = wire::delta::Place::Refetched(wire::Refetched {
        absent: vec![convert::wire_key(&key("9"))],
        at,
    });
    let out = d.delta(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], place);
    assert_eq!((d.votes(&key("1")), d.title(&key("1")).as_deref()), (1, Some("theirs")));
    assert_eq!(rolled_back(&out), [(lost.dots[0], key("1"))], "and it is told, the own one is not");
    let told = d.store.outcomes().keys().map(|(dot, _)| *dot).collect::<Vec<_>>();
    assert_eq!(told, [lost.dots[0]], "for as long as the app does not dismiss it");
    assert_eq!(d.title(&key("9")).as_deref(), Some("mine"), "an own write is never rolled back");
    assert!(d.refetches("team/a").is_empty());
}

fn rolled_back(out: &Output) -> Vec<(Dot, EntityKey)> {
    let told = out.events.iter().filter_map(|event| match event {
        Event::Outcome { dot, key, outcome: Outcome::RolledBack } => Some((*dot, key.clone())),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_row_that_no_region_ever_had_is_told_as_rolled_back() {
    let mut d = subscribed();
    let one = theirs("1", 5);
    d.pass(1, vec![row(&key("1"), &vector(2, 0), &one)], &[], &vector(2, 0));
    let cut = wire::Cut { origin: Some(convert::wire_origin(origin(0))), last: 1 };
    d.connect_with(1, &[], |w| w.cuts = vec![cut]);
    d.pass(1, vec![], &[], &vector(1, 1));
    let absent = vec![convert::wire_key(&key("1"))];
    let at = Some(convert::wire_vector(&vector(1, 1)));
    let place = wire::delta::Place::Refetched(wire::Refetched { absent, at });
    let out = d.delta(1, vec![], &[], place);
    assert_eq!(d.view(&key("1")), None);
    assert_eq!(rolled_back(&out), [(one[0].op.dot, key("1"))]);
}

#[test]
fn what_was_removed_above_a_cut_is_asked_for_again() {
    let mut d = subscribed();
    let one = theirs("1", 5);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], &vector(1, 0));
    d.live(1, vec![left(&key("1"), &vector(2, 0))], &[], &vector(2, 0));
    assert_eq!(d.view(&key("1")), None);
    let cut = wire::Cut { origin: Some(convert::wire_origin(origin(0))), last: 1 };
    let out = d.frame(ToDevice::Cuts(wire::Cuts { cuts: vec![cut], ..Default::default() }));
    assert_eq!(refetched(&out), [key("1")]);
    assert!(d.store.removed().unwrap().is_empty());
    let at = Some(convert::wire_vector(&vector(1, 1)));
    let place = wire::delta::Place::Refetched(wire::Refetched { absent: vec![], at });
    d.delta(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], place);
    assert!(d.view(&key("1")).is_some());
}

#[test]
fn a_revoked_scope_leaves_the_disk() {
    let mut d = subscribed();
    let one = theirs("1", 5);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &one)], &[], &vector(1, 0));
    let error = wire::Error { code: "scope_revoked".into(), ..Default::default() };
    let out = d.frame(ToDevice::Denied(wire::Denied { sub: 1, error: Some(error) }));
    let code = "scope_revoked".to_owned();
    assert!(out.events.contains(&Event::Denied { scope: scope("team/a"), code: code.clone() }));
    assert_eq!((d.base(&key("1")), d.view(&key("1"))), (None, None));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor, sub.denied), (Vector::new(), Some(code)));
}

fn cut(last: u64) -> ToDevice {
    let cut = wire::Cut { origin: Some(convert::wire_origin(origin(0))), last };
    ToDevice::Cuts(wire::Cuts { cuts: vec![cut], ..Default::default() })
}

#[test]
fn a_region_that_has_not_heard_of_a_cut_brings_nothing_above_it_back() {
    let mut d = subscribed();
    d.pass(1, vec![], &[], &vector(1, 0));
    d.frame(cut(1));
    d.connect(1, &[]);
    let one = theirs("1", 5);
    d.pass(1, vec![row(&key("1"), &vector(3, 1), &one)], &[], &vector(3, 1));
    assert_eq!(d.base(&key("1")).unwrap().touch, vector(1, 1));
    assert_eq!(d.subscription("team/a").cursor, vector(1, 1));
    assert_eq!(d.refetches("team/a"), [key("1")], "what it holds above the cut may be gone");
}

#[test]
fn a_void_log_is_asked_for_again_and_not_remembered_as_cut() {
    let mut d = subscribed();
    let one = theirs("1", 5);
    d.pass(1, vec![row(&key("1"), &vector(2, 1), &one)], &[], &vector(2, 1));
    let void = vec![convert::wire_origin(origin(0))];
    d.frame(ToDevice::Cuts(wire::Cuts { void, ..Default::default() }));
    assert_eq!(d.subscription("team/a").cursor, vector(0, 1));
    assert_eq!(d.refetches("team/a"), [key("1")]);
    // It was not void after all.
    d.live(1, vec![row(&key("1"), &vector(3, 1), &one)], &[], &vector(3, 1));
    assert_eq!(d.base(&key("1")).unwrap().touch, vector(3, 1));
    assert!(d.store.cuts().unwrap().is_empty());
}

#[test]
fn a_device_is_fresh_only_while_it_holds_nothing() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    assert!(subscribe_frame(&d.connect(0, &[])).fresh);
    let one = theirs("1", 5);
    let rows = vec![row(&key("1"), &vector(1, 0), &one)];
    d.delta(1, rows, &[], chunk(&vector(1, 0), false, Some(&key("1")), true));
    // The pass ends at a region that shares no position with the first.
    assert!(!subscribe_frame(&d.connect(1, &[])).fresh);
    d.delta(1, vec![], &[], chunk(&vector(0, 1), true, None, true));
    let sub = d.subscription("team/a");
    assert_eq!((sub.cursor, sub.pass), (Vector::new(), None));
    assert!(!subscribe_frame(&d.connect(1, &[])).fresh);
}

#[test]
fn rows_that_cannot_be_had_do_not_stand_in_the_way_of_others() {
    let mut d = subscribed();
    d.pass(1, vec![], &[], &vector(1, 0));
    let one = theirs("a", 5);
    let mut store = std::mem::take(&mut d.store);
    for n in 0..600 {
        let beyond = key(&format!("a{n:03}"));
        let base = Base { touch: vector(0, 9), holds: [scope("team/a")].into(), ..Base::default() };
        store.put_base(&beyond, &base).unwrap();
        store.add_refetch("team/a", &beyond).unwrap();
    }
    store.add_refetch("team/a", &key("b")).unwrap();
    d.store = store;
    let out = d.live(1, vec![row(&key("a"), &vector(2, 0), &one)], &[], &vector(2, 0));
    assert_eq!(refetched(&out), [key("b")]);
}

/// What another process does that has the file open.
fn elsewhere(d: &mut Device, work: impl FnOnce(&mut Node, &mut MemoryStore)) {
    let mut random = || 77;
    let mut node = Node::open(&mut d.store, schema(), "ann".into(), &mut random, 0).unwrap();
    work(&mut node, &mut d.store);
    d.store.commit();
}

fn asked_anew(out: &Output) -> bool {
    let fresh = |k: &ToRegion| matches!(k, ToRegion::Subscribe(s) if s.fresh);
    out.frames.iter().filter_map(|f| f.kind.as_ref()).any(fresh)
}

#[test]
fn a_scope_that_another_process_let_go_and_took_back_is_asked_for_anew() {
    let mut d = Device::new(1);
    let mut other = Device::new(2);
    let ops = [1, 2, 3].map(|n| {
        let receipt = other.write(&[task(&n.to_string(), [put(TITLE, "theirs")])]);
        ops_of(&mut other, &receipt)
    });
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops[0])], &[], &vector(1, 0));
    elsewhere(&mut d, |node, store| {
        node.unsubscribe(store, "team/a").unwrap();
        node.subscribe(store, "team/a").unwrap();
    });
    let out = d.live(1, vec![row(&key("2"), &vector(2, 0), &ops[1])], &[], &vector(2, 0));
    assert!(asked_anew(&out));
    let sub = d.subscription("team/a");
    assert!(sub.loading && sub.cursor.is_empty(), "row 1 is not here: {sub:?}");
    // What was under way for the old subscription changes nothing.
    d.live(1, vec![row(&key("3"), &vector(3, 0), &ops[2])], &[], &vector(3, 0));
    assert!(d.subscription("team/a").cursor.is_empty());
    let rows =
        [1, 2, 3].map(|n: usize| row(&key(&n.to_string()), &vector(n as u64, 0), &ops[n - 1]));
    d.pass(2, rows.into(), &[], &vector(3, 0));
    assert_eq!(d.subscription("team/a").cursor, vector(3, 0));
}

#[test]
fn a_pass_that_another_process_began_anew_does_not_end_with_the_old_one() {
    let mut d = Device::new(1);
    let mut other = Device::new(2);
    let receipt = other.write(&[task("1", [put(TITLE, "theirs")])]);
    let ops = ops_of(&mut other, &receipt);
    d.subscribe("team/a");
    d.connect(0, &[]);
    let first = vec![row(&key("1"), &vector(1, 0), &ops)];
    d.delta(1, first, &[], chunk(&vector(1, 0), false, Some(&key("1")), true));
    elsewhere(&mut d, |node, store| {
        node.unsubscribe(store, "team/a").unwrap();
        node.subscribe(store, "team/a").unwrap();
    });
    let out = d.delta(1, vec![], &[], chunk(&vector(1, 0), true, None, true));
    assert!(asked_anew(&out));
    assert!(d.subscription("team/a").cursor.is_empty(), "row 1 is not here");
}
