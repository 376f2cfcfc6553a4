//! Devices that do what no sane device does, with a token that is good.

use super::*;

fn subscribe(sub: u32, scope: &str) -> Up {
    let scope = scope.to_owned();
    Up::Subscribe(wire::Subscribe { sub, scope, fresh: true, ..Default::default() })
}

#[test]
fn a_subscription_number_given_twice_ends_the_first() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    r.up(1, subscribe(1, "w/lyon"));
    r.up(1, subscribe(1, "w/paris"));
    // A row of Lyon is none of the second subscription's.
    let op = r.create(1, 1, "o1", vec![]);
    assert_eq!(rows(&r.push(1, &[&op])), []);
    r.up(1, Up::Unsubscribe(wire::Unsubscribe { sub: 1 }));
    let op = r.create(1, 2, "o2", vec![]);
    assert_eq!(rows(&r.push(1, &[&op])), []);
    r.node.device_gone(SessionId(1));
    r.hello(2, 1, "u1 w/*");
    let op = r.create(1, 3, "o3", vec![]);
    assert_eq!(fates(&r.push(2, &[&op])), ["3+1 at 3"]);
}

#[test]
fn a_session_that_is_stopped_is_reported() {
    let mut r = Region::new(1);
    let ping = Up::Ping(wire::Ping { sent_ms: 1 });
    r.node.device_frame(SessionId(1), wire::DeviceFrame { kind: Some(ping) });
    let code = "hello_first".to_owned();
    assert!(r.work().reports.contains(&Report::Refused { code }));
}

#[test]
fn an_accepted_op_does_not_vouch_for_one_that_claims_its_transaction() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/mine driver/7");
    let kind = r.kind();
    let birth = Dot::new(DeviceId::from_number(1), 1);
    let changes = vec![r.put("w", "mine".into())];
    let mut own = r.op(1, 1, "o1", vec![birth], Action::Create { parent: None, changes }).op;
    own.key = EntityKey::new("w/mine", kind, "o1");
    assert_eq!(fates(&r.push(1, &[&own.seal()])), ["1+1 at 1"]);
    // Another account's warehouse, and a stamp of the next century.
    let mut evil = r.create(1, 2, "o2", vec![]).op;
    evil.tx = Tx { first: 1, count: 2 };
    evil.hlc = Hlc::from_millis(NOW * 1_000_000);
    let answer = fates(&r.push(1, &[&evil.seal()]));
    assert!(!answer[0].contains(" at "), "{answer:?}");
    assert!(r.entity("o2").living().next().is_none(), "nothing was written");
}

/// The largest frame among these.
fn largest(frames: &[Down]) -> usize {
    let bytes = |k: &Down| wire::RegionFrame { kind: Some(k.clone()) }.encoded_len();
    frames.iter().map(bytes).max().unwrap_or(0)
}

#[test]
fn rows_asked_for_by_name_fit_a_frame() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let mut keys = Vec::new();
    for n in 1..=20 {
        let op = r.create(
            1,
            n,
            &format!("o{n}"),
            vec![r.put("status", "x".repeat(1_000_000).as_str().into())],
        );
        assert_eq!(fates(&r.push(1, &[&op])).len(), 1);
        keys.push(convert::wire_key(&op.op.key));
    }
    r.subscribe(1, "w/lyon", &r.node.vector().clone());
    let frames = r.up(1, Up::Refetch(wire::Refetch { sub: 1, keys, beyond: None }));
    assert!(largest(&frames) < crate::limits::FRAME_BYTES_MAX, "{}", largest(&frames));
    assert_eq!(rows(&frames), [("o1".to_owned(), false)], "the rest is asked for again");
}

#[test]
fn what_many_push_at_once_fits_a_frame() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    r.subscribe(1, "w/lyon", &Vector::new());
    for n in 2..=21 {
        r.hello(n, n, &format!("u{n} w/*"));
    }
    for n in 2..=21 {
        let op = r.create(
            n,
            1,
            &format!("o{n}"),
            vec![r.put("status", "x".repeat(1_000_000).as_str().into())],
        );
        let ops = vec![op.payload.to_vec().into()];
        let push = wire::Push { transactions: vec![wire::push::Transaction { ops }] };
        let frame = wire::DeviceFrame { kind: Some(Up::Push(push)) };
        r.node.device_frame(SessionId(n), frame);
    }
    let frames: Vec<Down> = r.work().device.into_iter().filter_map(|(_, f)| f.kind).collect();
    assert_eq!(fates(&frames).len(), 20);
    assert!(largest(&frames) < crate::limits::FRAME_BYTES_MAX, "{}", largest(&frames));
}

#[test]
fn a_row_that_fits_no_frame_stops_no_other_row() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let op = r.create(1, 1, "a", vec![]);
    r.push(1, &[&op]);
    for n in 2..=20 {
        let value = Value::text("x".repeat(1_000_000));
        let change = Change::Register { value, replaced: None };
        let changes = vec![FieldChange { field: FieldId(1_000 + n as u32), change }];
        let op = r.op(1, n, "a", vec![op.op.dot], Action::Update(changes));
        r.push(1, &[&op]);
    }
    let other = r.create(1, 30, "b", vec![]);
    r.push(1, &[&other]);
    r.hello(2, 2, "u2 w/*");
    let frames = r.subscribe(2, "w/lyon", &Vector::new());
    assert!(largest(&frames) < crate::limits::FRAME_BYTES_MAX, "{}", largest(&frames));
    assert_eq!(rows(&frames), [("b".to_owned(), false)]);
}

#[test]
fn a_subscription_that_was_replaced_and_ended_harms_nobody() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    r.up(1, subscribe(1, "w/lyon"));
    r.up(1, subscribe(1, "w/paris"));
    r.up(1, Up::Unsubscribe(wire::Unsubscribe { sub: 1 }));
    let op = r.create(1, 2, "o2", vec![]);
    assert_eq!(rows(&r.push(1, &[&op])), []);
}

#[test]
fn a_late_copy_of_a_push_that_was_mended_is_no_second_op() {
    let mut r = Region::new(1);
    // What the device pushes here stays on its way when the connection breaks.
    r.hello(1, 1, "u1 w/*");
    let good = r.create(1, 1, "o1", vec![r.sold(3)]);
    let mut ahead = good.op.clone();
    ahead.hlc = Hlc::from_millis(NOW + 5_000);
    let ahead = ahead.seal();
    r.hello(2, 1, "u1 w/*");
    assert_eq!(fates(&r.push(2, &[&ahead])), ["1+1 clock_ahead"]);
    assert_eq!(fates(&r.push(2, &[&good])), ["1+1 at 1"]);
    r.now = NOW + 10_000;
    r.push(1, &[&ahead]);
    assert_eq!(r.entity("o1").counter(r.field("sold"), &Living), 3);
    assert!(!r.store.device(DeviceId::from_number(1)).unwrap().closed);
}

const MARKET: &str = r#"
type Offer @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}")
  @audience(scope: "driver/{buyer}", create: true, write: [note]) {
  id: ID!  shop: ID!  buyer: ID  note: String  price: Int64
}
"#;

#[test]
fn to_create_what_is_there_lets_nobody_in() {
    let schema = Arc::new(schema::compile(MARKET).expect("the test's schema is right"));
    let mut store = MemoryStore::new();
    let auth = Box::new(Plain);
    let node =
        Node::open(&mut store, config(1), schema.clone(), auth, "peer".into(), false, NOW).unwrap();
    let mut r = Region { store, node, schema: schema.clone(), now: NOW };
    let kind = schema.entity_named("Offer").unwrap();
    let offer = |device: u64, seq: u64, buyer: &str, price: i64| {
        let dot = Dot::new(DeviceId::from_number(device), seq);
        let key = EntityKey::new("shop/a", kind.id, "42");
        let mut op = Op::void(dot, key, format!("u{device}").into());
        op.hlc = Hlc::from_millis(NOW - 1_000 + (device * 10 + seq) as i64);
        op.tx = Tx { first: seq, count: 1 };
        let put = |name: &str, value: Value| FieldChange {
            field: kind.field_named(name).unwrap().id,
            change: Change::Register { value, replaced: None },
        };
        let changes =
            vec![put("shop", "a".into()), put("buyer", buyer.into()), put("price", price.into())];
        (op.births, op.action) = (vec![dot], Action::Create { parent: None, changes });
        op.seal()
    };
    r.hello(1, 1, "u1 driver/ann");
    assert_eq!(fates(&r.push(1, &[&offer(1, 1, "ann", 100)])), ["1+1 at 1"]);
    // Another account of the audience guesses the id, and names itself the buyer.
    r.hello(2, 2, "u2 driver/eve");
    assert_eq!(rows(&r.subscribe(2, "driver/eve", &Vector::new())), []);
    assert_eq!(fates(&r.push(2, &[&offer(2, 1, "eve", 1)])), ["1+1 not_allowed"]);
    assert_eq!(rows(&r.subscribe(2, "driver/eve", &Vector::new())), []);
    // Two devices of one audience may create the same id.
    r.hello(3, 3, "u3 driver/ann");
    assert_eq!(fates(&r.push(3, &[&offer(3, 1, "ann", 90)])), ["1+1 at 2"]);
}

#[test]
fn a_row_that_was_never_in_a_scope_is_unknown_to_its_readers() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let op = r.create(1, 1, "o1", vec![r.put("driver", "8".into())]);
    r.push(1, &[&op]);
    r.hello(2, 2, "u2 driver/7");
    r.subscribe(2, "driver/7", &Vector::new());
    let keys = vec![convert::wire_key(&op.op.key)];
    assert_eq!(rows(&r.up(2, Up::Refetch(wire::Refetch { sub: 1, keys, beyond: None }))), []);
}

#[test]
fn a_root_that_names_a_parent_is_refused() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    // Each of a few roots is a child of all: who moves one would move all, and again.
    let mut seq = 1_000;
    for child in 0..2 {
        for parent in 0..2 {
            seq -= 1;
            let mut op = r.create(1, seq, &format!("o{child}"), vec![]).op;
            op.hlc = Hlc::from_millis(NOW);
            let parent =
                Parent { kind: op.key.kind, id: format!("o{parent}").into(), births: vec![] };
            let Action::Create { parent: named, .. } = &mut op.action else { panic!("a create") };
            *named = Some(parent);
            assert_eq!(fates(&r.push(1, &[&op.seal()])), [format!("{seq}+1 wrong_home_scope")]);
        }
    }
}
