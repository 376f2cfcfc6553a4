//! A region by itself, and two of them, driven by hand-made frames.

mod confirmed;
mod forks;
mod frames;
mod hostile;
mod links;
mod refused;
mod shares;
mod status;
mod turns;
mod windows;

use super::Config;
use super::access::{Authenticator, Author, Denial};
use super::memory::MemoryStore;
use super::node::{LinkId, Node, Output, Report, SessionId};
use super::store::Store;
use crate::wire::device_frame::Kind as Up;
use crate::wire::region_frame::Kind as Down;
use crate::{convert, wire};
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, TypeId};
use landfall_model::op::{
    Action, Change, FieldChange, Op, Parent, Removal, Sealed, TextChange, Tx,
};
use landfall_model::schema::{self, Schema};
use landfall_model::stamp::Hlc;
use landfall_model::text::{Document, Version};
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use prost::Message;
use std::sync::Arc;

const NOW: i64 = 1_000_000;

const SDL: &str = r#"
type Order @entity(strategy: LAST_WRITE_WINS, scope: "w/{w}")
  @audience(scope: "driver/{driver}", hide: [margin], write: [status])
  @audience(scope: "driver/{driver}/{w}") {
  id: ID!  w: ID!  driver: ID  status: String  margin: Int64  sold: Counter  on: Date @window
}
type Line @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!  order: Order! @ref(onDelete: CASCADE)  sku: String
}
type Memo @entity(strategy: CRDT, scope: "w/{w}") { id: ID!  w: ID!  body: Text }
type Product @entity(strategy: LAST_WRITE_WINS, scope: "catalog") @shared { id: ID! }
"#;

/// The token is the subject, then the scopes it may use: `ada w/* driver/7`; `+catalog` it publishes.
struct Plain;

impl Authenticator for Plain {
    fn device(&self, token: &str, _: i64) -> Result<Author, Denial> {
        let mut words = token.split(' ');
        let subject = words.next().filter(|s| !s.is_empty());
        let subject = subject.ok_or(Denial { code: "unauthenticated", message: "no".into() })?;
        let (published, others): (Vec<&str>, Vec<&str>) = words.partition(|s| s.starts_with('+'));
        let publishes = published.iter().map(|s| s[1..].into()).collect();
        let words = others.into_iter().map(Into::into);
        let (audiences, scopes) = words.partition(|s: &Arc<str>| s.starts_with("driver"));
        let subject = subject.into();
        Ok(Author { subject, scopes, audiences, publishes, expires_ms: i64::MAX })
    }

    fn peer(&self, _: &str, _: i64) -> Result<(), Denial> {
        Ok(())
    }
}

struct Region {
    store: MemoryStore,
    node: Node,
    schema: Arc<Schema>,
    now: i64,
}

fn config(region: u16) -> Config {
    let regions = [RegionId(1), RegionId(2)].into();
    Config { region: RegionId(region), placement: 0, regions, lost: [].into(), copies: 2 }
}

fn open(region: u16, store: MemoryStore, same_store: bool, now_ms: i64) -> Region {
    open_as(config(region), store, same_store, now_ms)
}

fn open_as(config: Config, mut store: MemoryStore, same_store: bool, now_ms: i64) -> Region {
    let schema = Arc::new(schema::compile(SDL).expect("the test's schema is right"));
    let auth = Box::new(Plain);
    let node =
        Node::open(&mut store, config, schema.clone(), auth, "peer".into(), same_store, now_ms)
            .unwrap();
    Region { store, node, schema, now: NOW }
}

impl Region {
    fn new(region: u16) -> Self {
        open(region, MemoryStore::new(), false, NOW)
    }

    fn work(&mut self) -> Output {
        self.store.begin();
        let out = self.node.work(&mut self.store, self.now).unwrap();
        self.store.commit();
        out
    }

    fn up(&mut self, session: u64, kind: Up) -> Vec<Down> {
        self.node.device_frame(SessionId(session), wire::DeviceFrame { kind: Some(kind) });
        self.work().device.into_iter().filter_map(|(_, f)| f.kind).collect()
    }

    fn hello(&mut self, session: u64, device: u64, token: &str) -> Vec<Down> {
        let devices = vec![DeviceId::from_number(device).0.to_vec().into()];
        let token = token.to_owned();
        let hello = wire::Hello {
            versions: vec![1],
            token,
            devices,
            credit: 1 << 20,
            ..Default::default()
        };
        self.up(session, Up::Hello(hello))
    }

    fn push(&mut self, session: u64, ops: &[&Sealed]) -> Vec<Down> {
        let ops = ops.iter().map(|o| o.payload.to_vec().into()).collect();
        self.up(
            session,
            Up::Push(wire::Push { transactions: vec![wire::push::Transaction { ops }] }),
        )
    }

    fn subscribe(&mut self, session: u64, scope: &str, cursor: &Vector) -> Vec<Down> {
        let fresh = cursor.is_empty();
        let cursor = Some(convert::wire_vector(cursor));
        let scope = scope.to_owned();
        self.up(
            session,
            Up::Subscribe(wire::Subscribe { sub: 1, scope, cursor, fresh, ..Default::default() }),
        )
    }

    fn field(&self, name: &str) -> FieldId {
        self.schema.entity_named("Order").unwrap().field_named(name).unwrap().id
    }

    fn kind(&self) -> TypeId {
        self.schema.entity_named("Order").unwrap().id
    }

    fn put(&self, name: &str, value: Value) -> FieldChange {
        FieldChange { field: self.field(name), change: Change::Register { value, replaced: None } }
    }

    fn sold(&self, n: i64) -> FieldChange {
        FieldChange { field: self.field("sold"), change: Change::Counter(n) }
    }

    fn create(&self, device: u64, seq: u64, id: &str, changes: Vec<FieldChange>) -> Sealed {
        let mut all = vec![self.put("w", "lyon".into())];
        all.extend(changes);
        let birth = Dot::new(DeviceId::from_number(device), seq);
        self.op(device, seq, id, vec![birth], Action::Create { parent: None, changes: all })
    }

    fn op(&self, device: u64, seq: u64, id: &str, births: Vec<Dot>, action: Action) -> Sealed {
        let dot = Dot::new(DeviceId::from_number(device), seq);
        let key = EntityKey::new("w/lyon", self.kind(), id);
        let mut op = Op::void(dot, key, format!("u{device}").into());
        op.hlc = Hlc::from_millis(NOW - 1_000 + seq as i64);
        op.tx = Tx { first: seq, count: 1 };
        (op.births, op.action) = (births, action);
        op.seal()
    }

    fn line(&self, device: u64, seq: u64, id: &str, order: &Sealed) -> Sealed {
        let kind = self.schema.entity_named("Line").unwrap();
        let dot = Dot::new(DeviceId::from_number(device), seq);
        let of = &order.op;
        let parent = Parent { kind: of.key.kind, id: of.key.id.clone(), births: of.births.clone() };
        let value = Value::text(&*of.key.id);
        let field = kind.field_named("order").unwrap().id;
        let change = Change::Register { value, replaced: None };
        let changes = vec![FieldChange { field, change }];
        let key = EntityKey::new("w/lyon", kind.id, id);
        let mut op = Op::void(dot, key, format!("u{device}").into());
        op.hlc = Hlc::from_millis(NOW - 1_000 + seq as i64);
        op.tx = Tx { first: seq, count: 1 };
        (op.births, op.action) = (vec![dot], Action::Create { parent: Some(parent), changes });
        op.seal()
    }

    fn entity(&mut self, id: &str) -> Entity {
        let key = EntityKey::new("w/lyon", self.kind(), id);
        self.store.entity(&key).unwrap().unwrap_or_default().entity
    }
}

fn fates(frames: &[Down]) -> Vec<String> {
    let fate = |f: &wire::Fate| match &f.kind {
        Some(wire::fate::Kind::Accepted(p)) => format!("{}+{} at {}", f.first, f.count, p.seq),
        Some(wire::fate::Kind::Rejected(r)) => format!("{}+{} {}", f.first, f.count, r.code),
        _ => "unknown".to_owned(),
    };
    let all = frames.iter().filter_map(|f| match f {
        Down::Fates(f) => Some(f.fates.iter().map(fate).collect::<Vec<_>>()),
        _ => None,
    });
    all.flatten().collect()
}

fn rows(frames: &[Down]) -> Vec<(String, bool)> {
    let bodies = frames.iter().filter_map(|f| match f {
        Down::Delta(d) => Some(wire::Body::decode(d.body.clone()).unwrap().rows),
        _ => None,
    });
    bodies.flatten().map(|r| (r.key.unwrap().id, r.left)).collect()
}

/// A link each way: on the first `a` asks.
fn link_up(a: &mut Region, b: &mut Region) {
    for (link, asks) in [(1, true), (2, false)] {
        a.node.link_up(LinkId(link), asks);
        b.node.link_up(LinkId(link), !asks);
    }
}

fn link_down(a: &mut Region, b: &mut Region) {
    for link in [1, 2] {
        a.node.link_down(LinkId(link));
        b.node.link_down(LinkId(link));
    }
}

/// Carry frames between two regions over one link each way until nothing moves.
fn exchange(a: &mut Region, b: &mut Region) {
    link_up(a, b);
    for _ in 0..50 {
        let (from_a, from_b) = (a.work(), b.work());
        let idle = from_a.peer.is_empty() && from_b.peer.is_empty();
        from_a.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
        from_b.peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        if idle {
            break;
        }
    }
    link_down(a, b);
}

#[test]
fn a_push_is_accepted_once_and_answered_the_same_when_it_comes_again() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let op = r.create(1, 1, "o1", vec![r.sold(3)]);
    assert_eq!(fates(&r.push(1, &[&op])), ["1+1 at 1"]);
    assert_eq!(fates(&r.push(1, &[&op])), ["1+1 at 1"]);
    assert_eq!(r.entity("o1").counter(r.field("sold"), &Living), 3);
}

#[test]
fn a_second_op_under_a_dot_is_merged_and_closes_the_device_id() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let (a, b) = (r.create(1, 1, "o1", vec![r.sold(3)]), r.create(1, 1, "o1", vec![r.sold(4)]));
    r.push(1, &[&a]);
    assert_eq!(fates(&r.push(1, &[&b])), ["1+1 at 2"]);
    assert_eq!(r.entity("o1").counter(r.field("sold"), &Living), 7);
    assert!(r.store.device(DeviceId::from_number(1)).unwrap().closed);
}

#[test]
fn an_audience_sees_its_rows_without_what_is_hidden_and_writes_what_is_listed() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let op = r.create(1, 1, "o1", vec![r.put("driver", "7".into()), r.put("margin", 5.into())]);
    r.push(1, &[&op]);
    r.hello(2, 2, "u2 driver/7");
    let frames = r.subscribe(2, "driver/7", &Vector::new());
    assert_eq!(rows(&frames), [("o1".to_owned(), false)]);
    let Some(Down::Delta(d)) = frames.last() else { panic!("{frames:?}") };
    let row = &wire::Body::decode(d.body.clone()).unwrap().rows[0];
    let seen: Entity = landfall_model::codec::from_bytes(&row.state).unwrap();
    assert!(seen.register(r.field("driver"), &Living).is_some());
    assert!(seen.register(r.field("margin"), &Living).is_none());

    let births = vec![op.op.dot];
    let status = Action::Update(vec![r.put("status", "sent".into())]);
    let margin = Action::Update(vec![r.put("margin", 9.into())]);
    let (status, margin) =
        (r.op(2, 1, "o1", births.clone(), status), r.op(2, 2, "o1", births, margin));
    assert_eq!(fates(&r.push(2, &[&status])), ["1+1 at 2"]);
    assert_eq!(fates(&r.push(2, &[&margin])), ["2+1 not_allowed"]);
}

#[test]
fn a_row_that_changes_hands_leaves_one_reader_and_enters_at_another() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    for (session, driver) in [(7, "driver/7"), (8, "driver/8")] {
        r.hello(session, session, &format!("u{session} {driver}"));
        r.subscribe(session, driver, &Vector::new());
    }
    let op = r.create(1, 1, "o1", vec![r.put("driver", "7".into())]);
    assert_eq!(rows(&r.push(1, &[&op])), [("o1".to_owned(), false)]);
    let give = Action::Update(vec![r.put("driver", "8".into())]);
    let give = r.op(1, 2, "o1", vec![op.op.dot], give);
    assert_eq!(rows(&r.push(1, &[&give])), [("o1".to_owned(), true), ("o1".to_owned(), false)]);
}

/// Two regions that hold an order of driver 8, with an office and a driver 7 at each.
fn two_regions_and_an_order() -> (Region, Region, Sealed) {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    for r in [&mut a, &mut b] {
        r.hello(1, 1, "u1 w/*");
        r.hello(2, 2, "u2 w/*");
        r.hello(7, 7, "u7 driver/7");
    }
    let order = a.create(1, 1, "o1", vec![a.put("driver", "8".into())]);
    a.push(1, &[&order]);
    exchange(&mut a, &mut b);
    (a, b, order)
}

#[test]
fn a_write_that_lost_is_a_leave_for_who_saw_it_win() {
    let (mut a, mut b, order) = two_regions_and_an_order();
    let give = |r: &Region, device, seq, to: &str| {
        let give = Action::Update(vec![r.put("driver", to.into())]);
        r.op(device, seq, "o1", vec![order.op.dot], give)
    };
    let (loser, winner) = (give(&a, 1, 2, "7"), give(&b, 2, 9, "9"));
    b.push(2, &[&winner]);
    a.push(1, &[&loser]);
    assert_eq!(rows(&a.subscribe(7, "driver/7", &Vector::new())), [("o1".to_owned(), false)]);
    let seen = a.node.vector().clone();
    exchange(&mut a, &mut b);
    // At the second region the order was never driver 7's.
    assert_eq!(rows(&b.subscribe(7, "driver/7", &seen)), [("o1".to_owned(), true)]);
}

#[test]
fn a_write_that_comes_before_its_create_and_loses_is_a_leave_too() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    for r in [&mut a, &mut b] {
        r.hello(1, 1, "u1 w/*");
        r.hello(2, 2, "u2 w/*");
        r.hello(7, 7, "u7 driver/7/*");
    }
    let order = a.create(1, 1, "o1", vec![a.put("driver", "8".into())]);
    let give = |r: &Region, seq, to: &str| {
        let give = Action::Update(vec![r.put("driver", to.into())]);
        r.op(2, seq, "o1", vec![order.op.dot], give)
    };
    let (loser, winner) = (give(&a, 8, "7"), give(&a, 9, "9"));
    assert_eq!(fates(&b.push(2, &[&loser])), ["8+1 at 1"]);
    exchange(&mut a, &mut b);
    // Only now the create, at one region, and the change that wins, at the other.
    a.push(1, &[&order]);
    assert_eq!(fates(&b.push(2, &[&winner])), ["9+1 at 2"]);
    let sees = rows(&a.subscribe(7, "driver/7/lyon", &Vector::new()));
    assert_eq!(sees, [("o1".to_owned(), false)]);
    let seen = a.node.vector().clone();
    exchange(&mut a, &mut b);
    assert_eq!(rows(&b.subscribe(7, "driver/7/lyon", &seen)), [("o1".to_owned(), true)]);
}

#[test]
fn a_child_that_comes_after_its_parent_moved_is_told_to_who_saw_its_position() {
    let (mut a, mut b, order) = two_regions_and_an_order();
    let line = a.line(1, 2, "l1", &order);
    a.push(1, &[&line]);
    assert_eq!(rows(&a.subscribe(7, "driver/7", &Vector::new())), []);
    let seen = a.node.vector().clone();
    let give = Action::Update(vec![b.put("driver", "7".into())]);
    let give = b.op(2, 9, "o1", vec![order.op.dot], give);
    b.push(2, &[&give]);
    exchange(&mut a, &mut b);
    let told = rows(&b.subscribe(7, "driver/7", &seen));
    assert!(told.contains(&("o1".to_owned(), false)), "{told:?}");
    assert!(told.contains(&("l1".to_owned(), false)), "{told:?}");
}

#[test]
fn two_regions_end_with_the_same_bytes_and_count_a_shared_dot_once() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    for r in [&mut a, &mut b] {
        r.hello(1, 1, "u1 w/*");
    }
    let op = a.create(1, 1, "o1", vec![a.sold(3)]);
    a.push(1, &[&op]);
    b.push(1, &[&op]);
    let more = Action::Update(vec![a.sold(4)]);
    let more = a.op(1, 2, "o1", vec![op.op.dot], more);
    b.push(1, &[&more]);
    exchange(&mut a, &mut b);
    assert_eq!(a.entity("o1"), b.entity("o1"));
    assert_eq!(a.entity("o1").counter(a.field("sold"), &Living), 7);
    assert_eq!(a.node.vector(), b.node.vector());
}

#[test]
fn an_op_becomes_durable_when_a_second_region_holds_it() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let op = a.create(1, 1, "o1", vec![]);
    let frames = a.push(1, &[&op]);
    assert!(!frames.iter().any(|f| matches!(f, Down::Durable(_))));
    a.node.link_up(LinkId(1), false);
    b.node.link_up(LinkId(1), true);
    let mut durable = false;
    for _ in 0..6 {
        b.work().peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        let out = a.work();
        durable |= out.device.iter().any(|(_, f)| matches!(f.kind, Some(Down::Durable(_))));
        out.peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
    }
    assert!(durable);
}

#[test]
fn a_restored_region_begins_a_new_life_and_its_old_logs_are_cut_where_the_peer_holds_them() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let backup = a.store.clone();
    let first = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&first]);
    exchange(&mut a, &mut b);
    let lost = a.create(1, 2, "o2", vec![]);
    a.push(1, &[&lost]);

    let old_life = a.node.incarnation();
    let mut a = open(1, backup, false, NOW + 5);
    assert_ne!(a.node.incarnation(), old_life);
    exchange(&mut a, &mut b);
    assert_eq!(a.entity("o1"), b.entity("o1"));
    for region in [&mut a, &mut b] {
        let cuts = region.store.cuts().unwrap();
        assert_eq!(cuts.len(), 16);
        assert_eq!(cuts.iter().map(|(_, last)| last).sum::<u64>(), 1);
        assert!(!region.entity("o2").exists(&Living));
    }
}

#[test]
fn a_region_whose_marker_was_fooled_notices_by_its_peer() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let backup = a.store.clone();
    let op = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&op]);
    exchange(&mut a, &mut b);
    let old_life = a.node.incarnation();
    let mut a = open(1, backup, true, NOW + 5);
    assert_eq!(a.node.incarnation(), old_life);
    exchange(&mut a, &mut b);
    assert_ne!(a.node.incarnation(), old_life);
    assert_eq!(a.entity("o1"), b.entity("o1"));
}

#[test]
fn a_damaged_block_is_reported_and_changes_nothing() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let op = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&op]);
    a.node.link_up(LinkId(1), false);
    b.node.link_up(LinkId(1), true);
    let mut reports = Vec::new();
    for _ in 0..6 {
        let out = b.work();
        reports.extend(out.reports);
        out.peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        for (l, mut f) in a.work().peer {
            if let Some(wire::peer_frame::Kind::Entries(e)) = &mut f.kind {
                e.batches[0].hash_after = vec![0; 16].into();
            }
            b.node.peer_frame(l, f);
        }
    }
    assert!(reports.iter().any(|r| matches!(r, Report::LogMismatch { after: 0, .. })));
    assert!(b.node.vector().is_empty());
}

#[test]
fn a_scope_that_is_too_long_is_denied() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let scope = format!("w/{}", "x".repeat(crate::limits::NAME_BYTES_MAX));
    let frames = r.subscribe(1, &scope, &Vector::new());
    assert!(matches!(&frames[..], [Down::Denied(_)]), "{frames:?}");
}

#[test]
fn all_numbers_of_a_confirmation_are_taken_however_many() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let count = u64::from(crate::limits::PUSH_OPS_MAX) + 100;
    let op = |n: u64| {
        let mut op = r.create(1, n, &format!("o{n}"), vec![]).op;
        (op.hlc, op.tx) = (Hlc::from_millis(NOW), Tx { first: 1, count: count as u32 });
        op.seal()
    };
    let ops: Vec<Sealed> = (1..=count).map(op).collect();
    r.push(1, &ops.iter().collect::<Vec<_>>());
    let device = DeviceId::from_number(1);
    // And nothing that was not received.
    let seqs = Some(wire::SeqSet { upto: count + 7, ranges: vec![] });
    r.up(1, Up::Confirm(wire::Confirm { device: device.0.to_vec().into(), seqs }));
    assert_eq!(r.store.device(device).unwrap().confirmed, SeqSet::up_to(count));
}

#[test]
fn the_highest_number_is_answered_like_any_other() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let op = r.create(1, u64::MAX, "o1", vec![]);
    let push = |r: &mut Region| r.push(1, &[&op]);
    assert_eq!(fates(&push(&mut r)), [format!("{}+1 at 1", u64::MAX)]);
    let payload: prost::bytes::Bytes = op.payload.to_vec().into();
    let twice = wire::push::Transaction { ops: vec![payload] };
    let twice = wire::Push { transactions: vec![twice.clone(), twice] };
    assert_eq!(fates(&r.up(1, Up::Push(twice))).len(), 2);
}

#[test]
fn a_greeting_names_no_more_ids_than_a_file_has() {
    let mut r = Region::new(1);
    let ids = 1..=crate::limits::HELLO_DEVICES_MAX as u64 + 1;
    let devices = ids.map(|n| DeviceId::from_number(n).0.to_vec().into()).collect();
    let token = "u1 w/*".to_owned();
    let hello = wire::Hello { versions: vec![1], token, devices, ..Default::default() };
    let frames = r.up(1, Up::Hello(hello));
    assert!(matches!(&frames[..], [Down::Error(e)] if e.code == "malformed"), "{frames:?}");
}

#[test]
fn additions_that_an_op_takes_out_count_among_what_it_names() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let dots = (1..=crate::limits::DOTS_PER_OP_MAX as u64)
        .map(|n| Dot::new(DeviceId::from_number(9), n))
        .collect();
    let remove = vec![Removal { value: Value::Int(1), dots }];
    let change = Change::Set { add: vec![], remove };
    // A field that this region does not know, so that nothing else is wrong with it.
    let many = r.create(1, 1, "o1", vec![FieldChange { field: FieldId(1), change }]);
    assert_eq!(fates(&r.push(1, &[&many])), ["1+1 too_large"]);
}

#[test]
fn a_reader_that_begins_gets_the_text_of_what_is_still_to_be_born() {
    let mut r = Region::new(1);
    r.hello(1, 1, "u1 w/*");
    let kind = r.schema.entity_named("Memo").unwrap();
    let document = Document::default();
    document.splice(0, 0, "hello").unwrap();
    let update = document.changes_since(&Version::default()).unwrap();
    let change = Change::Text(TextChange { update });
    let changes = vec![FieldChange { field: kind.field_named("body").unwrap().id, change }];
    let birth = Dot::new(DeviceId::from_number(2), 1);
    let mut text = r.op(1, 1, "m1", vec![birth], Action::Update(changes)).op;
    text.key = EntityKey::new("w/lyon", kind.id, "m1");
    assert_eq!(fates(&r.push(1, &[&text.seal()])), ["1+1 at 1"]);
    let empty = r.op(1, 2, "o1", vec![birth], Action::Update(vec![r.sold(1)]));
    assert_eq!(fates(&r.push(1, &[&empty])), ["2+1 at 2"]);
    let first = r.subscribe(1, "w/lyon", &Vector::new());
    assert_eq!(rows(&first), [("m1".to_owned(), false)], "of the other a later row brings all");
}

#[test]
fn a_reader_that_knows_more_than_the_region_is_served_and_told_again_later() {
    let (mut a, mut b) = (Region::new(1), Region::new(2));
    a.hello(1, 1, "u1 w/*");
    let first = a.create(1, 1, "o1", vec![]);
    a.push(1, &[&first]);
    let cursor = a.node.vector().clone();
    b.hello(1, 2, "u2 w/*");
    let other = b.create(2, 1, "o2", vec![]);
    b.push(1, &[&other]);
    let frames = b.subscribe(1, "w/lyon", &cursor);
    assert_eq!(rows(&frames), [("o2".to_owned(), false)]);
    let covering = |frames: &[Down]| {
        let chunk = |f: &Down| match f {
            Down::Delta(d) => match &d.place {
                Some(wire::delta::Place::Chunk(c)) => Some(c.covering),
                _ => None,
            },
            _ => None,
        };
        frames.iter().find_map(chunk)
    };
    assert_eq!(covering(&frames), Some(false));
    a.node.link_up(LinkId(1), false);
    b.node.link_up(LinkId(1), true);
    let mut later = Vec::new();
    for _ in 0..6 {
        let out = b.work();
        later.extend(out.device.into_iter().filter_map(|(_, f)| f.kind));
        out.peer.into_iter().for_each(|(l, f)| a.node.peer_frame(l, f));
        a.work().peer.into_iter().for_each(|(l, f)| b.node.peer_frame(l, f));
    }
    assert_eq!(covering(&later), Some(true));
}
