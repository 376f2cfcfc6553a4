//! Writes that are taken back, rows that are brought back, and why a row shows or does not.

use super::*;
use crate::device::explain::{Answer, Explanation, Wait, Why};
use crate::device::node::WriteError;
use crate::limits;
use landfall_model::op::{Change, Fingerprint};
use landfall_model::schema::LOCAL_HOME;

impl Device {
    fn cancel(&mut self, dot: Dot) -> Result<Vec<Dot>, &'static str> {
        let before = format!("{:?}", self.store);
        match self.node.cancel(&mut self.store, self.now, dot) {
            Ok((cancelled, _)) => {
                self.store.commit();
                Ok(cancelled.dots.into_iter().chain(cancelled.dependants).collect())
            }
            Err(WriteError::Refused(r)) => {
                assert_eq!(before, format!("{:?}", self.store), "the store is untouched");
                Err(r.problem.code())
            }
            Err(WriteError::Store(e)) => panic!("{e}"),
        }
    }

    fn restore(&mut self, key: &EntityKey) -> Result<Receipt, &'static str> {
        self.now += 1;
        match self.node.restore(&mut self.store, self.now, key) {
            Ok((receipt, _)) => {
                self.store.commit();
                Ok(receipt)
            }
            Err(WriteError::Refused(r)) => Err(r.problem.code()),
            Err(WriteError::Store(e)) => panic!("{e}"),
        }
    }

    fn explain(&mut self, key: &EntityKey) -> Explanation {
        let before = format!("{:?}", self.store);
        let explanation = self.node.explain(&mut self.store, self.now, key).unwrap();
        assert_eq!(before, format!("{:?}", self.store), "to explain changes nothing");
        explanation
    }

    fn answer(&mut self, key: &EntityKey) -> Answer {
        self.explain(key).answer
    }
}

#[test]
fn a_cancelled_write_is_a_void_and_the_row_shows_as_before_it() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [put(TITLE, "one"), vote(1)])]);
    let before = d.view(&key("1"));
    let b = d.write(&[
        update("1", [put(TITLE, "two"), vote(5), (LABELS, FieldEdit::Add("x".into()))]),
        task("2", []),
    ]);
    let c = d.write(&[update("1", [vote(1)])]);
    assert_eq!(d.cancel(b.dots[0]).unwrap(), b.dots, "its transaction goes with it");
    assert_eq!(d.title(&key("1")).as_deref(), Some("one"));
    assert_eq!(d.votes(&key("1")), 2);
    assert_eq!(d.view(&key("2")), None);
    assert_eq!(d.cancel(c.dots[0]).unwrap(), c.dots);
    assert_eq!(d.view(&key("1")), before);
    assert_eq!(d.cancel(b.dots[1]), Err("LF2022"), "once");
    assert_eq!(d.cancel(Dot::new(DeviceId::from_number(9), 1)), Err("LF2022"));

    let out = d.connect(0, &[]);
    let ops: Vec<Sealed> = pushed(&out).into_iter().flatten().collect();
    let mut names: Vec<(u64, bool)> =
        ops.iter().map(|o| (o.op.dot.seq, o.fingerprint == Fingerprint::VOID)).collect();
    names.sort();
    assert_eq!(names, [(1, false), (2, true), (3, true), (4, true)], "numbers stay dense");
    assert_eq!(d.cancel(a.dots[0]), Err("LF2021"), "it was sent");
    let mut clean = Device::new(1);
    let again = clean.write(&[task("1", [put(TITLE, "one"), vote(1)])]);
    let alone = ops_of(&mut clean, &again);
    assert_eq!(ops.iter().find(|o| o.op.dot.seq == 1), Some(&alone[0]), "as if never made");
}

#[test]
fn what_stands_on_a_cancelled_create_goes_with_it_and_nothing_else() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    let other = d.write(&[task("2", [put(TITLE, "other")])]);
    let b = d.write(&[step_of("s", "1", "first"), update("2", [vote(1)])]);
    let c = d.write(&[update("1", [put(TITLE, "more")])]);
    let e = d.write(&[update("2", [vote(4)])]);
    let mut gone = d.cancel(a.dots[0]).unwrap();
    gone.sort();
    assert_eq!(gone, [&a.dots[..], &b.dots, &c.dots].concat());
    assert_eq!(d.view(&key("1")), None);
    assert_eq!(d.view(&step("s")), None);
    assert_eq!((d.title(&key("2")).as_deref(), d.votes(&key("2"))), (Some("other"), 4));
    assert!(d.own(other.dots[0]).is_some() && d.own(e.dots[0]).is_some());
    // A create after it is a birth of its own again.
    let f = d.write(&[task("1", [])]);
    assert!(ops_of(&mut d, &f)[0].op.is_create());
}

#[test]
fn a_write_that_stands_on_another_birth_too_loses_the_cancelled_name_alone() {
    let mut d = Device::new(1);
    let mut other = Device::new(2);
    let theirs = other.write(&[task("1", [put(TITLE, "theirs")])]);
    let theirs = ops_of(&mut other, &theirs);
    let mine = d.write(&[task("1", [put(TITLE, "mine")])]);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &theirs)], &[], &vector(1, 0));
    d.node.disconnected();
    let later = d.write(&[update("1", [vote(1)])]);
    // The create went out with the session; what followed it did not.
    assert_eq!(d.cancel(mine.dots[0]), Err("LF2021"));
    assert_eq!(d.cancel(later.dots[0]).unwrap(), later.dots);
    let mut d = Device::new(3);
    d.subscribe("team/a");
    let mine = d.write(&[task("1", [put(TITLE, "mine")])]);
    let base = Base { entity: merged(theirs.iter().map(|s| &s.op)), ..Base::default() };
    d.store.put_base(&key("1"), &base).unwrap();
    d.store.commit();
    let later = d.write(&[update("1", [vote(1)])]);
    assert_eq!(ops_of(&mut d, &later)[0].op.births.len(), 2);
    assert_eq!(d.cancel(mine.dots[0]).unwrap(), mine.dots);
    let op = &ops_of(&mut d, &later)[0].op;
    assert_eq!(op.births, [theirs[0].op.dot]);
    assert!(op.needs.is_empty());
    assert_eq!(d.title(&key("1")).as_deref(), Some("theirs"));
    assert_eq!(d.votes(&key("1")), 1);
}

#[test]
fn a_write_over_a_cancelled_one_says_that_it_replaced_what_was_before() {
    let mut d = Device::new(1);
    let seen = |d: &mut Device, r: &Receipt| match &ops_of(d, r)[0].op.changes()[0].change {
        Change::Register { replaced, .. } => *replaced,
        _ => panic!("a register"),
    };
    let a = d.write(&[task("1", [put(TITLE, "one")])]);
    let first = ops_of(&mut d, &a)[0].op.stamp();
    let b = d.write(&[update("1", [put(TITLE, "two")])]);
    let c = d.write(&[update("1", [put(TITLE, "three")])]);
    let e = d.write(&[update("1", [put(TITLE, "four")])]);
    d.cancel(c.dots[0]).unwrap();
    let second = ops_of(&mut d, &b)[0].op.stamp();
    assert_eq!(seen(&mut d, &e), Some(second));
    d.cancel(b.dots[0]).unwrap();
    assert_eq!(seen(&mut d, &e), Some(first));
    assert_eq!(d.title(&key("1")).as_deref(), Some("four"));
}

#[test]
fn typing_is_taken_back_from_its_end_only() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [splice(0, 0, "one")])]);
    // Not typing alone: it makes an op of its own.
    let b = d.write(&[update("1", [splice(3, 0, " two"), put(TITLE, "x")])]);
    let c = d.write(&[update("1", [splice(7, 0, " three"), put(TITLE, "y")])]);
    assert_eq!(d.cancel(b.dots[0]), Err("LF2023"));
    assert_eq!(d.cancel(c.dots[0]).unwrap(), c.dots);
    assert_eq!(d.body(&key("1")), "one two");
    assert_eq!(d.cancel(b.dots[0]).unwrap(), b.dots);
    assert_eq!(d.body(&key("1")), "one");
    d.write(&[update("1", [splice(3, 0, "!")])]);
    assert_eq!(d.body(&key("1")), "one!");
    d.cancel(a.dots[0]).unwrap();
    assert_eq!(d.view(&key("1")), None);
}

#[test]
fn a_copy_of_the_file_does_not_void_numbers_that_it_never_sent() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), true);
    let old = d.id();
    let b = d.write(&[task("2", [])]);
    d.node.disconnected();
    let b = match d.own(b.dots[0]).map(|own| own.state) {
        Some(OpState::Unsent) => b,
        other => panic!("{other:?}"),
    };
    d.cancel(b.dots[0]).unwrap();
    // The other copy has used the number meanwhile.
    d.connect(0, &[SeqSet::from_parts(2, [])]);
    assert_ne!(d.id(), old);
    assert_eq!(d.store.void(b.dots[0]).unwrap(), None, "it is the other copy's number");
}

#[test]
fn a_deleted_row_comes_back_with_all_that_fell_with_it() {
    let mut d = Device::new(1);
    d.write(&[
        task("1", [put(TITLE, "one"), vote(3), (LABELS, FieldEdit::Add("x".into()))]),
        update("1", [splice(0, 0, "hello")]),
        step_of("s", "1", "first"),
        step_of("t", "1", "second"),
    ]);
    d.write(&[Edit::Delete { key: step("t") }]);
    let before = [d.view(&key("1")), d.view(&step("s"))];
    d.write(&[Edit::Delete { key: key("1") }]);
    assert_eq!(d.view(&step("s")), None);
    assert_eq!(d.restore(&step("s")), Err("LF2012"), "under nothing there is no place");
    let restored = d.restore(&key("1")).unwrap();
    assert_eq!(restored.keys, [key("1"), step("s")]);
    assert_eq!([d.view(&key("1")), d.view(&step("s"))], before);
    assert_eq!(d.view(&step("t")), None, "it had been deleted by itself");
    d.restore(&step("t")).unwrap();
    assert_eq!(d.title(&step("t")).as_deref(), Some("second"));
    // What is there needs nothing, and what was never there has nothing.
    assert!(d.restore(&key("1")).unwrap().dots.is_empty());
    assert_eq!(d.restore(&key("2")), Err("LF2024"));
}

#[test]
fn a_row_that_others_deleted_comes_back_as_it_showed_here() {
    let mut other = Device::new(2);
    let made = other.write(&[task("1", [put(TITLE, "one"), vote(2), splice(0, 0, "text")])]);
    let mut ops = ops_of(&mut other, &made);
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
    d.write(&[update("1", [vote(1)])]);
    let before = d.view(&key("1"));
    let deleted = other.write(&[Edit::Delete { key: key("1") }]);
    ops.extend(ops_of(&mut other, &deleted));
    d.live(1, vec![row(&key("1"), &vector(2, 0), &ops)], &[], &vector(2, 0));
    assert_eq!(d.view(&key("1")), None);
    assert!(matches!(d.answer(&key("1")), Answer::Deleted { by: None }));
    assert_eq!(d.explain(&key("1")).deletion.unwrap().own, None);
    d.restore(&key("1")).unwrap();
    let after = d.view(&key("1")).unwrap();
    assert_eq!(after, View { pending: true, ..before.unwrap() });
}

#[test]
fn restored_twice_at_the_same_time_it_is_one_entity_as_it_was() {
    let mut made = Device::new(3);
    let create = made.write(&[task(
        "1",
        [put(TITLE, "one"), vote(3), (LABELS, FieldEdit::Add("x".into())), splice(0, 0, "hello")],
    )]);
    let mut ops = ops_of(&mut made, &create);
    let delete = made.write(&[Edit::Delete { key: key("1") }]);
    let (one, two) = (vector(1, 0), vector(2, 0));
    let mut restored = Vec::new();
    for seed in [1, 2] {
        let mut d = Device::new(seed);
        d.subscribe("team/a");
        d.connect(0, &[]);
        d.pass(1, vec![row(&key("1"), &one, &ops[..1])], &[], &one);
        let gone = [&ops[..1], &ops_of(&mut made, &delete)].concat();
        d.live(1, vec![row(&key("1"), &two, &gone)], &[], &two);
        let receipt = d.restore(&key("1")).unwrap();
        restored.extend(ops_of(&mut d, &receipt));
    }
    ops.extend(ops_of(&mut made, &delete));
    ops.extend(restored);
    let mut reader = Device::new(4);
    reader.subscribe("team/a");
    reader.connect(0, &[]);
    let three = vector(3, 0);
    reader.pass(1, vec![row(&key("1"), &three, &ops)], &[], &three);
    assert_eq!(reader.title(&key("1")).as_deref(), Some("one"));
    assert_eq!(reader.body(&key("1")), "hello", "one history, whoever brings it");
    assert_eq!(reader.view(&key("1")).unwrap().sets[&LABELS], ["x".into()]);
    assert_eq!(reader.votes(&key("1")), 3, "what was counted once counts once");
}

#[test]
fn counts_of_rows_that_were_brought_back_again_and_again_are_of_the_births_that_they_began_on() {
    let mut made = Device::new(3);
    let create = made.write(&[task("1", [vote(3)])]);
    let mut ops = ops_of(&mut made, &create);
    let mut touch = 1;
    let mut tell = |d: &mut Device, ops: &[Sealed]| {
        touch += 1;
        d.live(1, vec![row(&key("1"), &vector(touch, 0), ops)], &[], &vector(touch, 0));
    };
    let mut devices = [1, 2].map(|seed| {
        let mut d = Device::new(seed);
        d.subscribe("team/a");
        d.connect(0, &[]);
        d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
        d
    });
    // Three rounds: somebody deletes it, both bring it back, both vote, and both hear of all.
    for round in 1..=3 {
        let delete = made.write(&[Edit::Delete { key: key("1") }]);
        ops.extend(ops_of(&mut made, &delete));
        devices.iter_mut().for_each(|d| tell(d, &ops));
        for d in &mut devices {
            for receipt in [d.restore(&key("1")).unwrap(), d.write(&[update("1", [vote(1)])])] {
                ops.extend(ops_of(d, &receipt));
            }
        }
        // The third begins anew from what there is.
        made = Device::new(10 + round);
        made.subscribe("team/a");
        made.connect(0, &[]);
        made.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
        assert_eq!(made.votes(&key("1")), 3 + 2 * round as i64, "round {round}");
    }
}

#[test]
fn a_row_whose_deletion_is_refused_after_it_was_brought_back_counts_once() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    let created = d.write(&[task("1", [vote(5)])]);
    let deleted = d.write(&[Edit::Delete { key: key("1") }]);
    d.restore(&key("1")).unwrap();
    assert_eq!(d.votes(&key("1")), 5);
    d.connect(0, &[]);
    d.accept(created.dots[0], at(0, 1), false);
    d.reject(deleted.dots[0], "not_allowed");
    assert_eq!(d.votes(&key("1")), 5);
}

#[test]
fn too_many_births_are_summed_up_and_nothing_of_them_is_lost() {
    let mut d = Device::new(1);
    d.write(&[task("1", [vote(1)])]);
    for _ in 0..2 * limits::CARRIED_BIRTHS_MAX {
        d.write(&[Edit::Delete { key: key("1") }]);
        d.restore(&key("1")).unwrap();
        d.write(&[update("1", [vote(1)])]);
    }
    assert_eq!(d.votes(&key("1")), 1 + 2 * limits::CARRIED_BIRTHS_MAX as i64);
    d.write(&[Edit::Delete { key: key("1") }]);
    let receipt = d.restore(&key("1")).unwrap();
    let op = &ops_of(&mut d, &receipt)[0].op;
    assert_eq!(op.named_dots() - op.births.len(), limits::CARRIED_BIRTHS_MAX);
}

#[test]
fn local_rows_are_in_no_scope_that_could_be_subscribed() {
    let mut d = Device::new(1);
    let out = d.node.subscribe(&mut d.store, LOCAL_HOME).unwrap();
    assert!(matches!(&out.events[..], [Event::Denied { .. }]), "{out:?}");
    assert_eq!(d.store.subscriptions().unwrap(), []);
}

#[test]
fn nothing_to_restore_is_left_of_a_scope_that_was_taken_away() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.write(&[task("1", [put(TITLE, "one")])]);
    d.write(&[Edit::Delete { key: key("1") }]);
    assert!(d.explain(&key("1")).deletion.is_some());
    d.node.unsubscribe(&mut d.store, "team/a").unwrap();
    assert_eq!(d.restore(&key("1")), Err("LF2024"));
}

#[test]
fn the_first_reason_that_the_file_gives_is_the_answer() {
    let mut d = Device::new(1);
    let k = key("1");
    assert_eq!(d.answer(&k), Answer::NotSubscribed);
    assert!(!d.explain(&k).any_region_heard);
    assert_eq!(d.explain(&k).audiences, ["driver/{}"]);
    d.subscribe("team/a");
    assert_eq!(d.answer(&k), Answer::Loading { scope: "team/a".into() });
    d.connect(0, &[]);
    d.pass(1, vec![], &[], &vector(1, 0));
    assert!(matches!(d.answer(&k), Answer::NotThere { as_of_ms } if as_of_ms > 0));
    assert!(d.explain(&k).any_region_heard);

    let terms = Terms { keep_ms: Some(60_000), ..Terms::default() };
    d.node.subscribe_with(&mut d.store, "team/a", terms, d.now).unwrap();
    assert_eq!(d.answer(&k), Answer::OutsideWindow { scope: "team/a".into(), keep_ms: 60_000 });
    let short = Subscription { short: true, ..d.subscription("team/a") };
    d.store.put_subscription("team/a", &short).unwrap();
    assert_eq!(d.answer(&k), Answer::NoRoom { scope: "team/a".into(), was_here: false });
    d.node.pin(&mut d.store, &k, true).unwrap();
    assert_eq!(d.answer(&k), Answer::Asked { scope: "team/a".into() });
    assert!(d.explain(&k).pinned);
    let denied = Subscription { denied: Some("not_allowed".into()), ..d.subscription("team/a") };
    d.store.put_subscription("team/a", &denied).unwrap();
    let answer = Answer::Denied { scope: "team/a".into(), code: "not_allowed".into() };
    assert_eq!(d.answer(&k), answer);
    d.store.add_removed("driver/7", &k, &vector(1, 0)).unwrap();
    assert_eq!(d.answer(&k), Answer::Left { scope: "driver/7".into() });
    // Without its home, scopes that could be it are named.
    let nameless = EntityKey::new("", TASK, "1");
    let scopes = d.explain(&nameless).scopes;
    assert_eq!(
        scopes.iter().map(|s| (&*s.scope, s.why)).collect::<Vec<_>>(),
        [("team/a", Why::Possible)]
    );
}

#[test]
fn a_row_that_shows_says_who_wrote_it_and_what_its_writes_wait_for() {
    let mut other = Device::new(2);
    let made = other.write(&[task("1", [put(TITLE, "one"), put(SECRET, 1)])]);
    let ops = ops_of(&mut other, &made);
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[], &vector(1, 0));
    let a = d.write(&[update("1", [put(TITLE, "two")])]);
    let b = d.write(&[task("2", [])]);
    d.write(&[update("2", [vote(1)])]);
    let found = d.explain(&key("1"));
    assert_eq!(found.answer, Answer::Present { confirmed: true, own_writes: 1 });
    let write = |f| found.fields.iter().find(|w| w.field == f).unwrap();
    assert_eq!((write(TITLE).own, write(TITLE).dot), (true, a.dots[0]));
    assert_eq!(write(TITLE).over, Some(ops[0].op.stamp()));
    assert_eq!((write(SECRET).own, write(SECRET).dot), (false, made.dots[0]));
    let home = found.scopes.iter().find(|s| s.why == Why::Home).unwrap();
    assert!(home.holds);
    let alone = d.explain(&key("2"));
    assert_eq!(alone.answer, Answer::Present { confirmed: false, own_writes: 2 });
    assert_eq!(alone.writes[1].waits, [Wait::Write(b.dots[0])]);

    d.poll();
    let waits = |d: &mut Device, id, at: usize| d.explain(&key(id)).writes[at].waits.clone();
    assert_eq!(waits(&mut d, "2", 0), [Wait::Answer(vec![RegionId(0)])]);
    d.accept(b.dots[0], at(0, 2), false);
    assert_eq!(waits(&mut d, "2", 0), [Wait::Copies]);
    d.node.disconnected();
    let e = d.write(&[update("1", [vote(1)])]);
    assert_eq!(waits(&mut d, "1", 1), [Wait::Session]);
    d.reject(e.dots[0], "not_allowed");
}

#[test]
fn a_refused_create_and_a_delete_of_its_own_are_named() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", []), step_of("s", "1", "first")]);
    let b = d.write(&[Edit::Delete { key: key("1") }]);
    let deleted = d.answer(&key("1"));
    let Answer::Deleted { by: Some(own) } = deleted else { panic!("{deleted:?}") };
    assert_eq!((own.dot, &*own.principal), (b.dots[0], "ann"));
    assert_eq!(d.answer(&step("s")), Answer::FellWith { parent: key("1") });
    d.cancel(b.dots[0]).unwrap();
    d.connect(0, &[]);
    d.reject(a.dots[0], "not_allowed");
    d.fate(
        a.dots[1],
        wire::fate::Kind::Rejected(wire::Rejected {
            code: "not_allowed".into(),
            seq: a.dots[0].seq,
            ..Default::default()
        }),
        false,
    );
    let refused = d.answer(&key("1"));
    let Answer::Rejected { dot, code, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((dot, &*code), (a.dots[0], "not_allowed"));
}
