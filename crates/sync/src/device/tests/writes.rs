//! Edits become ops.

use super::*;
use crate::device::node::Name;
use landfall_model::op::{Action, Change};

#[test]
fn numbers_are_dense_and_transactions_are_bounded() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [put(TITLE, "one")]), task("2", [put(TITLE, "two")])]);
    let b = d.write(&[update("1", [put(TITLE, "uno")])]);
    let nothing = d.write(&[update("1", [put(TITLE, "uno")])]);
    let c = d.write(&[update("2", [vote(1)])]);
    let seqs = |r: &Receipt| r.dots.iter().map(|d| d.seq).collect::<Vec<_>>();
    assert_eq!(
        [seqs(&a), seqs(&b), seqs(&nothing), seqs(&c)],
        [vec![1, 2], vec![3], vec![], vec![4]]
    );
    assert_eq!((a.tx.first, a.tx.count, c.tx.first, c.tx.count), (1, 2, 4, 1));
    assert_eq!(a.keys, [key("1"), key("2")]);
    let ops = ops_of(&mut d, &a);
    assert!(ops[0].op.hlc < ops[1].op.hlc);
    assert!(ops.iter().all(|o| o.op.tx == a.tx));
}

#[test]
fn later_edits_of_a_transaction_see_earlier_ones() {
    let mut d = Device::new(1);
    let r = d.write(&[
        task("1", [put(TITLE, "one")]),
        task("1", [put(TITLE, "two"), vote(2)]),
        update("1", [vote(3), (LABELS, FieldEdit::Add("x".into())), splice(0, 0, "hello")]),
        update("1", [(LABELS, FieldEdit::Remove("x".into())), splice(5, 0, " world")]),
        step_of("s", "1", "first"),
    ]);
    let view = d.view(&key("1")).unwrap();
    assert_eq!(view.registers[&TITLE], "two".into());
    assert_eq!(view.counters[&VOTES], 5);
    assert!(view.sets.is_empty());
    assert_eq!(view.texts[&BODY], "hello world");
    assert!(view.pending);
    let ops = ops_of(&mut d, &r);
    let Change::Register { replaced, .. } = &ops[1].op.changes()[0].change else { panic!() };
    assert_eq!(*replaced, Some(ops[0].op.stamp()));
    assert!(ops.iter().all(|o| o.op.needs.is_empty()), "its own transaction needs no mention");
    assert_eq!(d.title(&step("s")).as_deref(), Some("first"));
}

#[test]
fn two_creates_of_one_id_make_one_entity() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [put(TITLE, "one")])]);
    let b = d.write(&[task("1", [put(TITLE, "two")])]);
    let (a, b) = (ops_of(&mut d, &a), ops_of(&mut d, &b));
    assert!(a[0].op.is_create());
    assert_eq!(b[0].op.births, [a[0].op.dot]);
    assert_eq!(b[0].op.needs, [a[0].op.dot]);
    assert!(!b[0].op.is_create());

    // A birth that came from elsewhere is named beside the own one.
    let mut other = Device::new(2);
    let c = other.write(&[task("1", [put(TITLE, "three")])]);
    let c = ops_of(&mut other, &c);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &c)], &[], &vector(1, 0));
    let e = d.write(&[task("1", [vote(1)])]);
    let e = ops_of(&mut d, &e);
    assert_eq!(e[0].op.births, [a[0].op.dot, c[0].op.dot]);
}

#[test]
fn an_own_birth_is_remembered_past_eviction() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [put(TITLE, "one")])]);
    let ops = ops_of(&mut d, &a);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), true);
    d.pass(1, vec![row(&key("1"), &vector(1, 0), &ops)], &[only(1)], &vector(1, 0));
    assert_eq!(d.own(a.dots[0]), None);
    d.node.unsubscribe(&mut d.store, "team/a").unwrap();
    assert_eq!(d.view(&key("1")), None);
    assert_eq!(d.base(&key("1")), None);

    let b = d.write(&[task("1", [put(TITLE, "two")])]);
    let op = &ops_of(&mut d, &b)[0].op;
    assert_eq!((op.births.as_slice(), op.is_create()), (&a.dots[..], false));
    assert!(op.changes().iter().all(|c| c.field == TITLE), "the scope's fields stay as they are");
}

#[test]
fn a_delete_names_what_it_saw_and_children_fall_with_it() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", []), step_of("s", "1", "x")]);
    assert!(d.view(&step("s")).is_some());
    let b = d.write(&[Edit::Delete { key: key("1") }]);
    assert_eq!(ops_of(&mut d, &b)[0].op.births, a.dots[..1]);
    assert_eq!(d.view(&key("1")), None);
    assert_eq!(d.view(&step("s")), None);
    assert_eq!(d.refused(&[Edit::Delete { key: key("1") }]), "LF2014");
    // To create it again is another birth, under which the child does not come back.
    let c = d.write(&[task("1", [])]);
    assert_eq!(ops_of(&mut d, &c)[0].op.births, c.dots);
    assert_eq!(d.view(&step("s")), None);
}

#[test]
fn edits_by_name_count_the_earlier_ones_of_their_transaction() {
    let mut d = Device::new(1);
    let named = |id: &str| Name { kind: TASK, id: id.to_owned(), home: None };
    let delete = |id: &str| Edit::DeleteNamed { name: named(id) };
    let a = d.write(&[task("1", []), delete("1")]);
    let ops = ops_of(&mut d, &a);
    assert_eq!(ops[1].op.births, a.dots[..1], "the death of the birth beside it");
    assert_eq!(d.view(&key("1")), None);
    // What comes after it is another life, in the same transaction or a later one.
    let b = d.write(&[task("1", []), delete("1"), task("1", [put(TITLE, "again")])]);
    assert_eq!(ops_of(&mut d, &b)[2].op.births, b.dots[2..]);
    assert_eq!(d.view(&key("1")).unwrap().registers[&TITLE], "again".into());
    let update = |id: &str| Edit::UpdateNamed { name: named(id), fields: vec![put(TITLE, "x")] };
    d.write(&[task("2", []), update("2")]);
    assert_eq!(d.view(&key("2")).unwrap().registers[&TITLE], "x".into());
    assert_eq!(d.refused(&[task("3", []), delete("3"), update("3")]), "LF2014");
    assert_eq!(d.refused(&[delete("4")]), "LF2014");
    let elsewhere = Name { home: Some("team/elsewhere".to_owned()), ..named("2") };
    assert_eq!(d.refused(&[Edit::DeleteNamed { name: elsewhere }]), "LF2014");
}

#[test]
fn set_elements_are_removed_by_the_additions_that_were_seen() {
    let mut d = Device::new(1);
    let add = |s: &str| (LABELS, FieldEdit::Add(s.into()));
    let a = d.write(&[task("1", [add("x"), add("y")])]);
    let b = d.write(&[update("1", [add("x")])]);
    assert!(b.dots.is_empty(), "x is in already");
    let c = d.write(&[update("1", [(LABELS, FieldEdit::Remove("x".into()))])]);
    let ops = ops_of(&mut d, &c);
    let Change::Set { add, remove } = &ops[0].op.changes()[0].change else { panic!() };
    assert!(add.is_empty());
    assert_eq!(remove[0].dots, a.dots);
    assert_eq!(d.view(&key("1")).unwrap().sets[&LABELS], ["y".into()]);
}

#[test]
fn typing_goes_into_one_op_until_it_is_sent() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    let b = d.write(&[update("1", [splice(0, 0, "hel")])]);
    let before = d.own(b.dots[0]).unwrap();
    let c = d.write(&[update("1", [splice(3, 0, "lo")])]);
    assert_eq!(b.dots, c.dots);
    let own = d.own(c.dots[0]).unwrap();
    assert_eq!(own.order, before.order);
    assert!(own.sealed.op.hlc > before.sealed.op.hlc);
    assert_eq!(own.sealed.op.needs, a.dots);
    assert_eq!(d.body(&key("1")), "hello");

    let out = d.connect(0, &[]);
    assert_eq!(pushed_dots(&out), [1, 2]);
    let e = d.write(&[update("1", [splice(5, 0, "!")])]);
    assert_eq!(e.dots[0].seq, 3, "an op that may have left stays as it is");
    assert_eq!(d.own(c.dots[0]).unwrap().sealed, own.sealed);
    assert_eq!(d.body(&key("1")), "hello!");
    // Until enough regions hold the first, the second carries it too.
    let mut text = Text::default();
    let sealed = d.own(e.dots[0]).unwrap().sealed;
    let Change::Text(t) = &sealed.op.changes()[0].change else { panic!() };
    text.apply(&sealed.op.births, blob_id(&sealed), &t.update);
    assert_eq!(text.open(|_| true).unwrap().value(), "hello!");
}

#[test]
fn typing_is_gathered_while_typing_is_on_its_way() {
    let mut d = Device::new(1);
    let a = d.write(&[task("1", [])]);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.accept(a.dots[0], at(0, 1), true);
    let b = d.write(&[update("1", [splice(0, 0, "a")])]);
    assert!(!b.extends);
    assert_eq!(pushed_dots(&d.poll()), [b.dots[0].seq]);

    let c = d.write(&[update("1", [splice(1, 0, "b")])]);
    assert!(!c.extends);
    assert_eq!(pushed_dots(&d.poll()), [0; 0]);
    let other = d.write(&[task("2", [])]);
    assert_eq!(pushed_dots(&d.poll()), other.dots.iter().map(|d| d.seq).collect::<Vec<_>>());
    let more = d.write(&[update("1", [splice(2, 0, "c")])]);
    assert_eq!((more.extends, &more.dots), (true, &c.dots));
    assert_eq!(d.own(b.dots[0]).unwrap().sealed.op.dot, b.dots[0]);

    // The answer sends what was gathered.
    assert_eq!(pushed_dots(&d.accept(b.dots[0], at(0, 2), false)), [c.dots[0].seq]);
    let e = d.write(&[update("1", [splice(3, 0, "d")])]);
    assert_eq!(pushed_dots(&d.poll()), [0; 0]);
    // Only what can still grow waits.
    let title = d.write(&[update("1", [put(TITLE, "one")])]);
    assert_eq!(pushed_dots(&d.poll()), [e.dots[0].seq, title.dots[0].seq]);
    assert_eq!(d.body(&key("1")), "abcd");
}

#[test]
fn a_durable_text_op_is_not_sent_again() {
    let mut d = Device::new(1);
    d.write(&[task("1", [])]);
    let long = "a long beginning that need not travel twice; ".repeat(20);
    let b = d.write(&[update("1", [splice(0, 0, &long)])]);
    d.connect(0, &[]);
    d.accept(b.dots[0], at(0, 2), true);
    let c = d.write(&[update("1", [splice(0, 0, "x")])]);
    let sealed = d.own(c.dots[0]).unwrap().sealed;
    assert!(sealed.payload.len() < long.len(), "{} bytes", sealed.payload.len());
    // Opened anew, the document still has all of it, and another author.
    let mut d = Device::on(d.store.clone(), 7);
    d.subscribe("team/a");
    d.write(&[update("1", [splice(1, 0, "y")])]);
    assert!(d.body(&key("1")).starts_with("xy"));
}

#[test]
fn what_does_not_fit_the_schema_is_refused_and_changes_nothing() {
    let mut d = Device::new(1);
    d.write(&[task("1", [put(TITLE, "one")])]);
    let upsert =
        |kind, fields: Vec<(FieldId, FieldEdit)>| Edit::Upsert { kind, id: "9".into(), fields };
    let cases = [
        (upsert(TypeId(99), vec![]), "LF2001"),
        (update("1", [put(FieldId(99), 1)]), "LF2003"),
        (update("1", [put(VOTES, 1)]), "LF2004"),
        (update("1", [put(TITLE, 1)]), "LF2005"),
        (update("1", [put(TITLE, "x"), put(TEAM, Value::Null)]), "LF2008"),
        (upsert(TASK, vec![put(TITLE, "x")]), "LF2009"),
        (update("1", [put(TEAM, "b")]), "LF2010"),
        (update("1", [put(ID, "2")]), "LF2010"),
        (step_of("s", "nobody", "x"), "LF2012"),
        (update("7", [put(TITLE, "x")]), "LF2014"),
        (task(&"x".repeat(600), []), "LF2015"),
        (update("1", [splice(1, 0, "x")]), "LF2016"),
        (update("1", [vote(i64::MAX), vote(1)]), "LF2018"),
    ];
    for (edit, code) in cases {
        assert_eq!(d.refused(&[task("2", []), edit.clone()]), code, "{edit:?}");
    }
    let ok = d.write(&[task("2", [])]);
    assert_eq!(ok.dots[0].seq, 2, "a refused transaction takes no number");
}

#[test]
fn a_child_finds_its_parent_and_keeps_it() {
    let mut d = Device::new(1);
    d.write(&[task("1", []), task("2", [])]);
    let a = d.write(&[step_of("s", "1", "x")]);
    let op = &ops_of(&mut d, &a)[0].op;
    let Action::Create { parent: Some(parent), .. } = &op.action else { panic!() };
    assert_eq!((&*parent.id, parent.births.len()), ("1", 1));
    assert_eq!(op.key.home, scope("team/a"));
    assert_eq!(op.needs, parent.births);
    assert_eq!(d.refused(&[step_of("s", "2", "x")]), "LF2011");
    let b = d.write(&[step_of("s", "1", "y")]);
    assert_eq!(ops_of(&mut d, &b)[0].op.births, a.dots);
}

#[test]
fn one_id_in_two_homes_is_two_entities() {
    let mut d = Device::new(1);
    let to = |team: &str| Edit::Upsert {
        kind: TASK,
        id: "1".into(),
        fields: vec![put(TEAM, team), put(TITLE, team)],
    };
    d.write(&[to("a"), to("b")]);
    assert_eq!(d.title(&key("1")).as_deref(), Some("a"));
    assert_eq!(d.title(&EntityKey::new("team/b", TASK, "1")).as_deref(), Some("b"));
    let which = Edit::Upsert { kind: TASK, id: "1".into(), fields: vec![put(TITLE, "x")] };
    assert_eq!(d.refused(&[which]), "LF2013");
    assert_eq!(d.refused(&[step_of("s", "1", "x")]), "LF2013");
}
