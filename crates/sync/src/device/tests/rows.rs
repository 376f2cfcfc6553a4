//! Rows from regions, and what they do to the overlay.

use super::*;
use landfall_model::op::{Action, Change};

/// A device that is online, subscribed, and has created task 1 with a vote.
fn online() -> (Device, Dot, Vec<Sealed>) {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let a = d.write(&[task("1", [put(TITLE, "mine"), vote(2)])]);
    let ops = ops_of(&mut d, &a);
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), false);
    (d, a.dots[0], ops)
}

/// What taking in rows leaves: what shows, and what the file keeps of it.
fn taken(d: &mut Device) -> impl PartialEq + std::fmt::Debug + use<> {
    let shown = d.store.visible().clone();
    let bases = d.store.bases(None, 99).unwrap();
    let below = ["1", "2"].map(|id| d.store.children(&key(id)).unwrap());
    let held = d.store.held_by("team/a", None, 99).unwrap();
    (shown, bases, below, held, d.refetches("team/a"), d.store.meta().unwrap().map(|m| m.read))
}

#[test]
fn rows_that_are_new_come_to_the_same_in_one_chunk_and_one_by_one() {
    let mut other = Device::new(9);
    let written = [
        vec![task("1", [put(TITLE, "stands")]), task("2", [put(TITLE, "falls")])],
        vec![step_of("a", "1", "one"), step_of("b", "1", "two"), step_of("c", "2", "three")],
        vec![step_of("d", "1", "gone"), Edit::Delete { key: step("d") }],
        vec![Edit::Delete { key: key("2") }],
    ];
    let mut ops: BTreeMap<EntityKey, Vec<Sealed>> = BTreeMap::new();
    for edits in written {
        let receipt = other.write(&edits);
        for op in ops_of(&mut other, &receipt) {
            ops.entry(op.op.key.clone()).or_default().push(op);
        }
    }
    let v = vector(9, 0);
    let rows = |of: TypeId| -> Vec<wire::Row> {
        ops.iter().filter(|(k, _)| k.kind == of).map(|(k, ops)| row(k, &v, ops)).collect()
    };
    let (tasks, steps) = (rows(TASK), rows(STEP));
    assert!(tasks.len() == 2 && steps.len() >= 3);
    for parts in [[tasks.clone(), steps.clone()], [steps, tasks]] {
        let take = |one_by_one: bool| {
            let mut d = Device::new(1);
            d.subscribe("team/a");
            d.connect(0, &[]);
            for part in parts.clone() {
                let size = if one_by_one { 1 } else { part.len() };
                for rows in part.chunks(size) {
                    d.delta(1, rows.to_vec(), &[], chunk(&v, false, Some(&step("0")), true));
                }
            }
            assert!(d.view(&step("a")).is_some() && d.view(&step("c")).is_none());
            d
        };
        assert_eq!(taken(&mut take(false)), taken(&mut take(true)));
    }
}

#[test]
fn an_ack_does_not_retire_the_overlay() {
    let (mut d, dot, ops) = online();
    d.pass(1, vec![], &[], &vector(0, 0));
    assert!(matches!(d.own(dot).unwrap().state, OpState::Accepted { .. }));
    assert!(d.own(dot).unwrap().overlay);
    d.durable(dot);
    assert!(d.own(dot).unwrap().overlay, "the row has not come yet");
    assert_eq!(d.votes(&key("1")), 2);
    assert!(!d.view(&key("1")).unwrap().pending);

    d.live(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], &vector(1, 0));
    assert_eq!(d.own(dot), None);
    assert_eq!(d.votes(&key("1")), 2);
    assert_eq!(d.store.unconfirmed().unwrap(), [(dot.device, only(1))]);
}

#[test]
fn an_own_op_is_flagged_only_by_its_own_entitys_row() {
    let (mut d, dot, ops) = online();
    let b = d.write(&[task("2", [vote(5)])]);
    d.poll();
    d.accept(b.dots[0], at(0, 2), false);
    let second = ops_of(&mut d, &b);
    // Both are received; the row of only one is there.
    let both = SeqSet::up_to(2);
    d.pass(1, vec![row(&key("2"), &vector(2, 0), &second)], &[both], &vector(2, 0));
    assert!(d.own(dot).unwrap().overlay);
    assert!(!d.own(b.dots[0]).unwrap().overlay);
    assert_eq!((d.votes(&key("1")), d.votes(&key("2"))), (2, 5));
    // A row without the number in its snapshot does not count either.
    d.live(1, vec![row(&key("1"), &vector(1, 0), &ops[..0])], &[only(2)], &vector(3, 0));
    assert!(d.own(dot).unwrap().overlay);
    assert_eq!(d.votes(&key("1")), 2);
}

#[test]
fn a_number_alone_does_not_flag_an_op() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let a = d.write(&[task("1", [vote(2)])]);
    let ops = ops_of(&mut d, &a);
    d.connect(0, &[]);
    // The number was received, by way of another region, and this op is not answered yet: a copy
    // of this file may have used the number.
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], &vector(1, 0));
    assert!(d.own(a.dots[0]).unwrap().overlay);
    assert_eq!(d.votes(&key("1")), 2, "nor does its effect show twice");
    let out = d.accept(a.dots[0], at(0, 1), false);
    let asked = |f: &wire::DeviceFrame| matches!(f.kind, Some(ToRegion::Refetch(_)));
    assert!(out.frames.iter().any(asked));
    let at = Some(convert::wire_vector(&vector(1, 0)));
    let place = wire::delta::Place::Refetched(wire::Refetched { absent: vec![], at });
    d.delta(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], place);
    assert!(!d.own(a.dots[0]).unwrap().overlay);
    assert_eq!(d.votes(&key("1")), 2);
}

#[test]
fn a_counter_is_replaced_only_where_its_state_is_covered() {
    let (mut d, dot, ops) = online();
    let mut other = Device::new(2);
    other.subscribe("team/a");
    other.connect(1, &[]);
    other.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
    let more = other.write(&[update("1", [vote(10), put(TITLE, "theirs")])]);
    let theirs = ops_of(&mut other, &more);

    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], &vector(1, 0));
    // Region 1 does not have what region 0 logged.
    d.connect(1, &[]);
    let rows = vec![row(&key("1"), &vector(0, 1), &[ops.clone(), theirs.clone()].concat())];
    d.delta(1, rows, &[], chunk(&vector(0, 1), true, None, false));
    assert_eq!(d.title(&key("1")).as_deref(), Some("theirs"), "registers are joined");
    assert_eq!(d.votes(&key("1")), 2, "counters are not");
    assert_eq!(d.refetches("team/a"), [key("1")]);
    assert_eq!(d.base(&key("1")).unwrap().touch, vector(1, 0));

    let rows = vec![row(&key("1"), &vector(1, 1), &[ops, theirs].concat())];
    d.pass(1, rows, &[only(1)], &vector(1, 1));
    assert_eq!(d.votes(&key("1")), 12);
    assert_eq!(d.base(&key("1")).unwrap().touch, vector(1, 1));
    assert!(!d.own(dot).unwrap().overlay);
}

#[test]
fn an_older_row_changes_nothing() {
    let (mut d, dot, ops) = online();
    let b = d.write(&[update("1", [vote(1)])]);
    d.poll();
    d.accept(b.dots[0], at(0, 2), false);
    let all = [ops.clone(), ops_of(&mut d, &b)].concat();
    d.pass(1, vec![row(&key("1"), &vector(2, 0), &all)], &[SeqSet::up_to(2)], &vector(2, 0));
    assert_eq!(d.votes(&key("1")), 3);
    d.live(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[SeqSet::up_to(2)], &vector(2, 0));
    assert_eq!(d.votes(&key("1")), 3);
    assert!(d.refetches("team/a").is_empty());
    assert!(!d.own(dot).unwrap().overlay);
}

/// A task that both its team and its driver hold on this device.
fn held_twice() -> (Device, Device, Vec<Sealed>) {
    let mut other = Device::new(2);
    let fields = [put(TITLE, "t"), put(DRIVER, "7"), put(SECRET, 42), vote(1)];
    let a = other.write(&[task("1", fields), update("1", [(POINTS, FieldEdit::Increment(5))])]);
    let ops = ops_of(&mut other, &a);
    let mut d = Device::new(1);
    d.subscribe("driver/7");
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![driver_row(&key("1"), &vector(2, 0), &ops)], &[], &vector(2, 0));
    assert!(!d.view(&key("1")).unwrap().registers.contains_key(&SECRET));
    d.pass(2, vec![row(&key("1"), &vector(2, 0), &ops)], &[], &vector(2, 0));
    assert_eq!(d.view(&key("1")).unwrap().registers[&SECRET], 42.into());
    (d, other, ops)
}

#[test]
fn a_row_without_state_that_nobody_asked_for_is_kept_as_any_other() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    let outside = |id| {
        let key = Some(convert::wire_key(&step(id)));
        let touch = Some(convert::wire_vector(&vector(1, 0)));
        wire::Row { key, touch, outside: true, ..Default::default() }
    };
    d.pass(1, vec![outside("1"), outside("2")], &[], &vector(1, 0));
    assert_eq!(d.view(&step("1")), None);
    assert_eq!(d.base(&step("1")).map(|base| base.entity), Some(Entity::default()));
}

#[test]
fn a_leave_drops_only_what_no_other_scope_shows() {
    let (mut d, _, ops) = held_twice();
    // A driver's row keeps the columns that the team's row brought.
    d.live(1, vec![driver_row(&key("1"), &vector(3, 0), &ops)], &[], &vector(3, 0));
    let view = d.view(&key("1")).unwrap();
    assert_eq!((&view.registers[&SECRET], view.counters[&POINTS]), (&42.into(), 5));

    d.node.unsubscribe(&mut d.store, "team/a").unwrap();
    let view = d.view(&key("1")).unwrap();
    assert!(!view.registers.contains_key(&SECRET));
    assert_eq!(view.counters[&POINTS], 0);
    assert_eq!(view.registers[&TITLE], "t".into());

    d.live(1, vec![left(&key("1"), &vector(4, 0))], &[], &vector(4, 0));
    assert_eq!(d.view(&key("1")), None);
    assert_eq!(d.base(&key("1")), None);
    let removed = d.store.removed().unwrap();
    assert_eq!(removed, [(scope("driver/7"), key("1"), vector(4, 0))]);
}

#[test]
fn a_leave_that_does_not_cover_is_asked_for_again() {
    let (mut d, _, _) = held_twice();
    d.live(1, vec![left(&key("1"), &vector(0, 5))], &[], &vector(3, 0));
    assert!(d.base(&key("1")).unwrap().holds.contains("driver/7"));
    assert_eq!(d.refetches("driver/7"), [key("1")]);
}

#[test]
fn an_op_on_hidden_columns_leaves_the_overlay_whole() {
    let (mut d, _, ops) = held_twice();
    let fields = [vote(10), (POINTS, FieldEdit::Increment(100)), put(SECRET, 43)];
    let mine = d.write(&[update("1", fields)]);
    let all = [ops, ops_of(&mut d, &mine)].concat();
    d.poll();
    d.accept(mine.dots[0], at(0, 3), false);
    // The driver's row has the vote in it and does not show the points.
    d.live(1, vec![driver_row(&key("1"), &vector(3, 0), &all)], &[only(1)], &vector(3, 0));
    let check = |d: &mut Device| {
        let view = d.view(&key("1")).unwrap();
        assert_eq!((view.counters[&VOTES], view.counters[&POINTS]), (11, 105));
        assert_eq!(view.registers[&SECRET], 43.into());
    };
    check(&mut d);
    assert!(!d.own(mine.dots[0]).unwrap().overlay);
    d.live(2, vec![row(&key("1"), &vector(3, 0), &all)], &[only(1)], &vector(3, 0));
    check(&mut d);
}

#[test]
fn unsent_writes_on_a_row_that_left_end_with_an_outcome() {
    let (mut d, _, ops) = held_twice();
    d.node.unsubscribe(&mut d.store, "team/a").unwrap();
    d.node.disconnected();
    let mine = d.write(&[update("1", [vote(1)]), task("2", [])]);
    let out = d.connect(0, &[]);
    assert_eq!(pushed_dots(&out), [1, 2], "the session was open");
    d.node.disconnected();
    let unsent = d.write(&[update("1", [put(TITLE, "x")]), update("2", [put(TITLE, "y")])]);
    // The row leaves before they could be sent.
    d.connect_with(0, &[SeqSet::up_to(2)], |w| w.push_ops = 1);
    d.pass(1, vec![left(&key("1"), &vector(9, 0))], &[SeqSet::up_to(2)], &vector(9, 0));
    assert_eq!(d.view(&key("1")), None);
    let sent = d.own(mine.dots[0]).unwrap();
    assert!(matches!(sent.state, OpState::Sent { .. }) && !sent.overlay);
    let _ = ops;
    assert!(matches!(d.own(unsent.dots[0]).unwrap().state, OpState::Rejected { .. }));
    assert_eq!(d.outcomes(unsent.dots[0]), [Outcome::Left]);
    // A transaction is decided together.
    assert!(matches!(d.outcomes(unsent.dots[1])[..], [Outcome::Rejected { .. }]));
    assert_eq!(d.title(&key("2")), None);
    assert!(d.view(&key("2")).is_some());
    assert_eq!(d.store.voids().unwrap().len(), 2);
}

/// A device's own title, and a pass with another device's, written later and without seeing it.
fn overwritten(between: impl FnOnce(&mut Device)) -> (Device, Vec<Outcome>) {
    let (mut d, dot, ops) = online();
    between(&mut d);
    let mut other = Device::new(2);
    other.now += 50;
    let theirs = other.write(&[task("1", [put(TITLE, "theirs")])]);
    let theirs = ops_of(&mut other, &theirs);
    d.pass(
        1,
        vec![row(&key("1"), &vector(2, 0), &[ops, theirs].concat())],
        &[only(1)],
        &vector(2, 0),
    );
    let outcomes = d.outcomes(dot);
    (d, outcomes)
}

fn lost(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Overwritten { field: TITLE, lost, .. } if *lost == "mine".into())
}

#[test]
fn a_write_that_was_overwritten_under_an_undecided_one_has_an_outcome() {
    let (mut d, outcomes) = overwritten(|d| drop(d.write(&[Edit::Delete { key: key("1") }])));
    assert_eq!(d.title(&key("1")).as_deref(), Some("theirs"));
    assert!(outcomes.iter().any(lost), "{outcomes:?}");
    let (mut d, outcomes) = overwritten(|d| {
        d.now += 100;
        d.write(&[update("1", [put(TITLE, "later")])]);
    });
    assert_eq!(d.title(&key("1")).as_deref(), Some("later"));
    assert!(outcomes.iter().any(lost), "{outcomes:?}");
}

#[test]
fn a_write_under_one_that_went_with_a_region_has_an_outcome_if_it_was_overwritten() {
    let (mut d, dot, ops) = online();
    let mut other = Device::new(2);
    other.now += 50;
    let theirs = other.write(&[task("1", [put(TITLE, "theirs")])]);
    let theirs = ops_of(&mut other, &theirs);
    d.now += 100;
    let later = d.write(&[update("1", [put(TITLE, "later")])]);
    let later_ops = ops_of(&mut d, &later);
    d.poll();
    d.accept(later.dots[0], at(0, 2), false);
    let both = [ops.clone(), later_ops].concat();
    d.live(1, vec![row(&key("1"), &vector(2, 0), &both)], &[SeqSet::up_to(2)], &vector(2, 0));
    assert!(!d.own(later.dots[0]).unwrap().overlay);
    // The region lost the later one; the other's is met where that is not known.
    let cut = wire::Cut { origin: Some(convert::wire_origin(at(0, 2).origin)), last: 1 };
    d.frame(ToDevice::Cuts(wire::Cuts { cuts: vec![cut], ..Default::default() }));
    let row = row(&key("1"), &vector(1, 1), &[ops, theirs].concat());
    d.pass(1, vec![row], &[only(1)], &vector(1, 1));
    assert_eq!(d.title(&key("1")).as_deref(), Some("later"), "it may come back");
    assert!(d.outcomes(dot).iter().any(lost), "{:?}", d.outcomes(dot));
}

#[test]
fn a_write_that_was_seen_is_not_overwritten_by_what_comes_over_its_successor() {
    let (mut d, dot, ops) = online();
    let mut other = Device::new(2);
    other.now += 50;
    let seen = other.write(&[task("1", [put(TITLE, "seen")])]);
    let mut seen = ops_of(&mut other, &seen).remove(0).op;
    let Action::Create { changes, .. } = &mut seen.action else { panic!("a create") };
    let title = changes.iter_mut().find(|c| c.field == TITLE).unwrap();
    let Change::Register { replaced, .. } = &mut title.change else { panic!("a register") };
    *replaced = Some(ops[0].op.stamp());
    let seen = seen.seal();
    let mut third = Device::new(3);
    third.now += 100;
    let unseen = third.write(&[task("1", [put(TITLE, "unseen")])]);
    let unseen = ops_of(&mut third, &unseen);
    for (n, theirs) in [(2, vec![seen.clone()]), (3, [vec![seen], unseen].concat())] {
        let all = [ops.clone(), theirs].concat();
        d.live(1, vec![row(&key("1"), &vector(n, 0), &all)], &[only(1)], &vector(n, 0));
    }
    assert_eq!(d.title(&key("1")).as_deref(), Some("unseen"));
    assert!(d.outcomes(dot).is_empty(), "{:?}", d.outcomes(dot));
}

#[test]
fn a_write_that_was_overwritten_unseen_has_an_outcome() {
    let (mut d, outcomes) = overwritten(|_| ());
    assert_eq!(d.title(&key("1")).as_deref(), Some("theirs"));
    assert!(outcomes.iter().any(lost), "{outcomes:?}");
    // What is written next wins over what was read.
    let mine = d.write(&[update("1", [put(TITLE, "again")])]);
    assert_eq!(d.title(&key("1")).as_deref(), Some("again"));
    let sealed = ops_of(&mut d, &mine);
    assert!(sealed[0].op.hlc > d.base(&key("1")).unwrap().entity.highest_hlc());
}

#[test]
fn a_write_that_lost_while_its_birth_was_unknown_has_an_outcome() {
    // Theirs: a create, and later a title whose author has not seen mine.
    let mut other = Device::new(2);
    let create = other.write(&[task("1", [])]);
    let create = ops_of(&mut other, &create);
    other.now += 500;
    let titled = other.write(&[update("1", [put(TITLE, "theirs")])]);
    let titled = ops_of(&mut other, &titled);

    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &create)], &[], &vector(1, 0));
    let mine = d.write(&[update("1", [put(TITLE, "mine")])]);
    let dot = mine.dots[0];
    let ops = ops_of(&mut d, &mine);
    d.poll();
    d.accept(dot, at(0, 2), true);
    // The region lost the create, and took the change of what it does not know.
    let entity = Origin { stream: vector(1, 0).iter().next().unwrap().0.stream, ..origin(0) };
    let cut = wire::Cut { origin: Some(convert::wire_origin(entity)), last: 0 };
    d.frame(ToDevice::Cuts(wire::Cuts { cuts: vec![cut], ..Default::default() }));
    assert_eq!(pushed_dots(&d.poll()), [1]);
    d.accept(dot, at(1, 1), true);
    d.pass(1, vec![row(&key("1"), &vector(0, 1), &ops)], &[only(1)], &vector(0, 1));
    assert_eq!(d.title(&key("1")), None);
    assert_eq!(d.outcomes(dot), []);
    // The create comes again, from where it was kept, with what has come behind it.
    let all = [create, ops, titled].concat();
    d.live(1, vec![row(&key("1"), &vector(0, 2), &all)], &[only(1)], &vector(0, 2));
    assert_eq!(d.title(&key("1")).as_deref(), Some("theirs"));
    let outcomes = d.outcomes(dot);
    assert!(outcomes.iter().any(lost), "{outcomes:?}");
}

#[test]
fn a_write_on_a_deleted_entity_has_an_outcome() {
    let (mut d, dot, ops) = online();
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], &vector(1, 0));
    let mut other = Device::new(2);
    other.subscribe("team/a");
    other.connect(0, &[]);
    other.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
    let gone = other.write(&[Edit::Delete { key: key("1") }]);
    let late = d.write(&[update("1", [put(TITLE, "late")])]);
    d.poll();
    d.accept(late.dots[0], at(0, 3), false);
    let late_op = ops_of(&mut d, &late);
    let all = [ops, ops_of(&mut other, &gone), late_op].concat();
    d.live(1, vec![row(&key("1"), &vector(3, 0), &all)], &[SeqSet::up_to(2)], &vector(3, 0));
    assert_eq!(d.view(&key("1")), None);
    assert_eq!(d.outcomes(late.dots[0]), [Outcome::Deleted]);
    assert!(d.base(&key("1")).is_some(), "the tombstone stays");
    assert_eq!(d.store.own_birth(&key("1")).unwrap(), None);
    let again = d.write(&[task("1", [])]);
    assert!(ops_of(&mut d, &again)[0].op.is_create());
    let _ = dot;
}

#[test]
fn an_op_on_an_entity_that_is_not_subscribed_leaves_the_overlay_when_durable() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [put(TITLE, "one")])]);
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), false);
    assert!(d.view(&key("1")).is_some());
    d.durable(a.dots[0]);
    assert_eq!(d.own(a.dots[0]), None);
    assert_eq!(d.view(&key("1")), None);
}

#[test]
fn remote_typing_joins_own_typing() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let a = d.write(&[task("1", [splice(0, 0, "shared")])]);
    let ops = ops_of(&mut d, &a);
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], &vector(1, 0));
    let mut other = Device::new(2);
    other.subscribe("team/a");
    other.connect(0, &[]);
    other.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
    assert_eq!(other.body(&key("1")), "shared");
    let theirs = other.write(&[update("1", [splice(6, 0, " text")])]);
    let mine = d.write(&[update("1", [splice(0, 0, "my ")])]);
    let all = [ops, ops_of(&mut other, &theirs)].concat();
    d.live(1, vec![row(&key("1"), &vector(2, 0), &all)], &[only(1)], &vector(2, 0));
    assert_eq!(d.body(&key("1")), "my shared text");
    // The own edit is still unsent: typing on extends it, on top of what came.
    let more = d.write(&[update("1", [splice(14, 0, "!")])]);
    assert_eq!(more.dots, mine.dots);
    assert_eq!(d.body(&key("1")), "my shared text!");
}

/// What a device shows that opens this one's file and knows nothing else.
fn shown_anew(d: &Device) -> String {
    Device::on(d.store.clone(), 99).body(&key("1"))
}

#[test]
fn an_open_document_follows_rows_to_what_a_fresh_one_shows() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let a = d.write(&[task("1", [splice(0, 0, "shared")])]);
    let mut all = ops_of(&mut d, &a);
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), false);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &all)], &[only(1)], &vector(1, 0));
    let mut other = Device::new(2);
    other.subscribe("team/a");
    other.connect(0, &[]);
    other.pass(1, vec![row(&key("1"), &vector(1, 0), &all)], &[], &vector(1, 0));

    // The own op that is on its way.
    let mut sent: Option<Dot> = None;
    for n in 2..100 {
        let theirs = other.write(&[update("1", [splice(0, 1, "ab")])]);
        all.extend(ops_of(&mut other, &theirs));
        other.poll();
        other.accept(theirs.dots[0], at(1, n), true);
        let mine = d.write(&[update("1", [splice(n as usize, 0, "é")])]);
        if pushed_dots(&d.poll()).contains(&mine.dots[0].seq) {
            sent = Some(mine.dots[0]);
        }
        // Every third time an own op comes back with the row; until then it is in the overlay.
        let mut received = only(1);
        if let Some(dot) = sent.filter(|_| n % 3 == 0) {
            all.push(d.own(dot).unwrap().sealed);
            let next = pushed_dots(&d.accept(dot, at(0, n), n % 2 == 0));
            sent = next.first().map(|seq| Dot::new(dot.device, *seq));
            received = SeqSet::from_parts(dot.seq, []);
        }
        d.live(1, vec![row(&key("1"), &vector(n, n), &all)], &[received], &vector(n, n));
        assert_eq!(d.body(&key("1")), shown_anew(&d), "row {n}");
    }
    assert!(d.body(&key("1")).contains('é'));
}
