//! What a region refuses, for how long, and what it takes all the same.

use super::*;

#[test]
fn a_refused_transaction_stays_refused_and_is_not_received() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/paris");
    let op = r.create(1, 1, "o1", vec![]);
    assert_eq!(fates(&r.push(1, &[&op])), ["1+1 not_allowed"]);
    r.node.device_gone(SessionId(1));
    r.hello(2, 1, "u1 w/*");
    assert_eq!(fates(&r.push(2, &[&op])), ["1+1 not_allowed"]);
    assert!(r.store.device(DeviceId::from_number(1)).unwrap().received.is_empty());
    assert!(r.node.vector().is_empty());
}

#[test]
fn what_stands_on_a_refused_create_alone_is_refused_until_the_create_comes() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 driver/7");
    let create = a.create(1, 1, "o1", vec![]);
    let change = Action::Update(vec![a.put("status", "sent".into())]);
    let mut change = a.op(1, 2, "o1", vec![create.op.dot], change).op;
    change.needs = vec![create.op.dot];
    let change = change.seal();
    // What hangs on it by way of a child falls, too.
    let mut line = a.line(1, 3, "l1", &create).op;
    line.needs = vec![create.op.dot];
    let Action::Create { changes, .. } = &line.action else { panic!("a create") };
    let mut of_line = a.op(1, 4, "l1", vec![line.dot], Action::Update(changes.clone())).op;
    (of_line.key, of_line.needs) = (line.key.clone(), vec![line.dot]);
    let (line, of_line) = (line.seal(), of_line.seal());
    assert_eq!(fates(&a.push(1, &[&create])), ["1+1 not_allowed"]);
    a.hello(2, 1, "u1 w/*");
    for (seq, op) in [(2, &change), (3, &line), (4, &of_line)] {
        assert_eq!(fates(&a.push(2, &[op])), [format!("{seq}+1 depends_on_refused")]);
    }
    // Another region accepted the create.
    b.hello(1, 1, "u1 w/*");
    assert_eq!(fates(&b.push(1, &[&create])), ["1+1 at 1"]);
    exchange(&mut a, &mut b);
    for (seq, op) in [(2, &change), (3, &line), (4, &of_line)] {
        assert_eq!(fates(&a.push(2, &[op])), [format!("{seq}+1 at {}", seq - 1)]);
    }
}

#[test]
fn a_stamp_too_far_ahead_may_be_mended_under_the_same_dot() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let good = r.create(1, 1, "o1", vec![]);
    let mut ahead = good.op.clone();
    ahead.hlc = Hlc::from_millis(NOW + 60_000);
    assert_eq!(fates(&r.push(1, &[&ahead.seal()])), ["1+1 clock_ahead"]);
    assert_eq!(fates(&r.push(1, &[&good])), ["1+1 at 1"]);
}

#[test]
fn half_a_transaction_is_refused() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let mut half = r.create(1, 1, "o1", vec![]).op;
    half.tx.count = 2;
    assert_eq!(fates(&r.push(1, &[&half.seal()])), ["1+1 incomplete_transaction"]);
}

#[test]
fn an_op_under_another_name_is_refused() {
    let mut r = Region::new(1);
    r.hello(1, 1, "eve w/*");
    let op = r.create(1, 1, "o1", vec![]);
    assert_eq!(fates(&r.push(1, &[&op])), ["1+1 wrong_principal"]);
}

/// A region that has one half of a transaction of two home scopes from its peer, and the other half.
fn half_from_a_peer() -> (Region, Sealed) {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    b.hello(1, 1, "u1 w/*");
    let first = a.create(1, 1, "o1", vec![]).op;
    let mut second = a.create(1, 2, "o2", vec![]).op;
    let tx = Tx { first: 1, count: 2 };
    second.key = EntityKey::new("w/oslo", second.key.kind, "o2");
    let Action::Create { changes, .. } = &mut second.action else { panic!("a create") };
    changes[0] = a.put("w", "oslo".into());
    let (first, second) = (Op { tx, ..first }.seal(), Op { tx, ..second }.seal());
    let answer = fates(&a.push(1, &[&first, &second]));
    assert_eq!(answer, ["1+1 at 1", "2+1 at 1"]);
    // One of the two streams arrives.
    a.node.link_up(LinkId(1), false);
    b.node.link_up(LinkId(1), true);
    let mut entries = None;
    while entries.is_none() {
        b.work().peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        for (l, mut f) in a.work().peer {
            if let Some(wire::peer_frame::Kind::Entries(e)) = &mut f.kind {
                entries = Some(e.batches.split_off(1));
                e.vector = None;
            }
            b.node.peer_frame(l, f);
        }
    }
    b.work();
    let received = b.store.device(DeviceId::from_number(1)).unwrap().received;
    let rest = if received.contains(1) { second } else { first };
    (b, rest)
}

#[test]
fn a_part_of_a_transaction_that_came_from_a_peer_vouches_for_the_rest() {
    let (mut b, rest) = half_from_a_peer();
    // The account may write nothing any more; what was accepted stands.
    b.hello(2, 1, "u1 w/none");
    assert!(fates(&b.push(2, &[&rest]))[0].contains(" at "));
    let received = b.store.device(DeviceId::from_number(1)).unwrap().received;
    assert_eq!(received.contiguous(), 2);
}

#[test]
fn another_op_in_the_place_of_what_is_on_its_way_is_checked() {
    let (mut b, rest) = half_from_a_peer();
    let mut other = rest.op;
    other.hlc = Hlc::from_millis(NOW * 1_000_000);
    let answer = fates(&b.push(1, &[&other.seal()]));
    assert!(!answer[0].contains(" at "), "{answer:?}");
}

#[test]
fn a_shared_type_is_written_by_its_publishers_and_nobody_else() {
    let mut r = Region::new(1);
    let product = r.schema.entity_named("Product").unwrap().id;
    let create = |r: &Region, device, seq| {
        let mut op = r.create(device, seq, "tea", vec![]).op;
        op.key = EntityKey::new("catalog", product, "tea");
        op.action = Action::Create { parent: None, changes: vec![] };
        op.seal()
    };
    let change = |r: &Region, device, seq, born: &Sealed| {
        let mut op = r.op(device, seq, "tea", vec![born.op.dot], Action::Delete).op;
        op.key = born.op.key.clone();
        op.seal()
    };
    r.hello(1, 1, "u1 *");
    let by_a_device = create(&r, 1, 1);
    assert_eq!(fates(&r.push(1, &[&by_a_device])), ["1+1 not_allowed"]);
    r.hello(2, 2, "u2 w/* +catalog");
    let published = create(&r, 2, 1);
    assert_eq!(fates(&r.push(2, &[&published])), ["1+1 at 1"]);
    // Nor is it taken away by who may write everything else.
    let deletes = change(&r, 1, 2, &published);
    assert_eq!(fates(&r.push(1, &[&deletes])), ["2+1 not_allowed"]);
    r.hello(3, 3, "u3 +prices");
    let elsewhere = change(&r, 3, 1, &published);
    assert_eq!(fates(&r.push(3, &[&elsewhere])), ["1+1 not_allowed"]);
}
