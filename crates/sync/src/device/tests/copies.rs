//! Files that were copied, or put back from a backup.

use super::*;

/// A file with one op that was sent, and two chained ones that were not.
fn backed_up() -> (Device, Vec<Receipt>) {
    let mut d = Device::new(1);
    d.write(&[task("0", [])]);
    d.connect(0, &[]);
    d.node.disconnected();
    let a = d.write(&[task("1", [put(TITLE, "one"), (LABELS, FieldEdit::Add("x".into()))])]);
    let b = d.write(&[
        update("1", [put(TITLE, "two"), (LABELS, FieldEdit::Remove("x".into()))]),
        step_of("s", "1", "child"),
    ]);
    (d, vec![a, b])
}

fn check_renamed(d: &mut Device, old: DeviceId) {
    let new = d.id();
    assert_ne!(old, new);
    let meta = d.store.meta().unwrap().unwrap();
    assert_eq!((meta.former.clone(), meta.last_seq, meta.sent_seq), (vec![old], 3, 0));
    let ops: Vec<Op> = (1..=3).map(|n| d.own(Dot::new(new, n)).unwrap().sealed.op).collect();
    assert!(ops[0].is_create());
    assert_eq!(ops[0].births, [Dot::new(new, 1)]);
    assert_eq!((ops[1].tx.first, ops[1].tx.count, ops[2].tx.first), (2, 2, 2));
    assert_eq!(ops[1].births, [Dot::new(new, 1)]);
    assert_eq!(ops[1].needs, [Dot::new(new, 1)]);
    let register = ops[1].changes().iter().find(|c| c.field == TITLE).unwrap();
    let landfall_model::op::Change::Register { replaced, .. } = &register.change else { panic!() };
    assert_eq!(*replaced, Some(ops[0].stamp()));
    let set = ops[1].changes().iter().find(|c| c.field == LABELS).unwrap();
    let landfall_model::op::Change::Set { remove, .. } = &set.change else { panic!() };
    assert_eq!(remove[0].dots, [Dot::new(new, 1)]);
    let landfall_model::op::Action::Create { parent: Some(p), .. } = &ops[2].action else {
        panic!()
    };
    assert_eq!(p.births, [Dot::new(new, 1)]);
    assert_eq!(d.store.own_birth(&key("1")).unwrap(), Some(Dot::new(new, 1)));
    // What was sent keeps its number.
    assert!(d.own(Dot::new(old, 1)).is_some());
    assert_eq!(d.own(Dot::new(old, 2)), None);
    assert_eq!(d.title(&key("1")).as_deref(), Some("two"));
    assert!(d.view(&key("1")).unwrap().sets.is_empty());
    assert_eq!(d.title(&step("s")).as_deref(), Some("child"));
}

#[test]
fn a_rolled_back_file_takes_a_new_id_for_what_it_never_sent() {
    let (mut d, _) = backed_up();
    let old = d.id();
    let out = d.connect(0, &[SeqSet::up_to(8)]);
    assert_eq!(out.close.as_ref().unwrap().code, "device_renewed");
    assert!(pushed(&out).is_empty());
    check_renamed(&mut d, old);
    // Greeted under both ids, all of it goes out.
    let out = d.connect(0, &[SeqSet::default(), SeqSet::up_to(8)]);
    let dots: Vec<Dot> = pushed(&out).iter().flatten().map(|s| s.op.dot).collect();
    let new = d.id();
    assert_eq!(dots, [Dot::new(old, 1), Dot::new(new, 1), Dot::new(new, 2), Dot::new(new, 3)]);
}

#[test]
fn a_closed_id_is_left_behind() {
    let (mut d, _) = backed_up();
    let old = d.id();
    let out = d.connect_with(0, &[only(1)], |w| w.known[0].closed = true);
    assert!(out.close.is_some());
    check_renamed(&mut d, old);

    let (mut d, _) = backed_up();
    let old = d.id();
    d.connect_with(0, &[], |w| w.push_ops = 1);
    let device = old.0.to_vec().into();
    let out = d.frame(ToDevice::Closed(wire::Closed { device }));
    assert!(out.close.is_some());
    check_renamed(&mut d, old);
}

#[test]
fn a_copy_at_work_is_noticed_in_the_next_delta() {
    let (mut d, _) = backed_up();
    let old = d.id();
    d.subscribe("team/a");
    d.connect_with(0, &[only(1)], |w| w.push_ops = 1);
    // The other file pushed its number 2, which here stands for another op.
    let mut copy = Device::on(d.store.clone(), 1);
    let theirs = copy.write(&[task("7", [])]);
    let ops = ops_of(&mut copy, &theirs);
    let rows = vec![row(&key("7"), &vector(1, 0), &ops)];
    let out = d.pass(1, rows, &[SeqSet::up_to(2)], &vector(1, 0));
    assert!(out.close.is_some());
    assert_eq!(d.base(&key("7")), None, "it will come again, under an id that tells");
    check_renamed(&mut d, old);
}

#[test]
fn a_forked_op_ends_with_an_outcome() {
    let (mut d, _) = backed_up();
    let dot = Dot::new(d.id(), 1);
    d.connect_with(0, &[only(1)], |w| w.push_ops = 1);
    d.reject(dot, "forked_device");
    assert!(matches!(d.outcomes(dot)[..], [Outcome::Rejected { .. }]));
    assert_eq!(d.store.void(dot).unwrap(), None, "the number is taken");
}
