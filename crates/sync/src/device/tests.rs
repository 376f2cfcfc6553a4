//! The device's rules, one test each, against frames that are made by hand.

mod copies;
mod cursors;
mod fates;
mod keep;
mod real;
mod rescued;
mod rows;
mod turn;
mod undecided;
mod undo;
mod whole;
mod writes;

use super::memory::MemoryStore;
use super::node::{Edit, Event, Extent, FieldEdit, Greeting, Node, Output, Receipt};
use super::store::{Base, OpState, Outcome, OwnOp, Store, Subscription, Terms, View};
use crate::wire::device_frame::Kind as ToRegion;
use crate::wire::region_frame::Kind as ToDevice;
use crate::{convert, wire};
use landfall_model::codec;
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, Scope, StreamId, TypeId};
use landfall_model::op::{Op, Sealed};
use landfall_model::schema::{
    Audience, EntityType, Field, FieldKind, Home, Merge, Schema, ScopePart, ScopeTemplate, Strategy,
};
use landfall_model::text::{Text, blob_id};
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

const TASK: TypeId = TypeId(1);
const STEP: TypeId = TypeId(2);
const ID: FieldId = FieldId(1);
const TEAM: FieldId = FieldId(2);
const TITLE: FieldId = FieldId(3);
const DRIVER: FieldId = FieldId(4);
const SECRET: FieldId = FieldId(5);
const LABELS: FieldId = FieldId(6);
const VOTES: FieldId = FieldId(7);
const BODY: FieldId = FieldId(8);
const POINTS: FieldId = FieldId(9);
const OF: FieldId = FieldId(10);
const DUE: FieldId = FieldId(11);

/// `Task` in `team/{team}`, seen by `driver/{driver}` without `secret` and `points`; `Step` below
/// it.
fn schema() -> Arc<Schema> {
    let field = |id, name: &str, kind, merge, required| Field {
        id,
        name: name.into(),
        doc: None,
        kind,
        merge,
        required,
        index: false,
        window: false,
        search: None,
        reference: None,
        default: None,
    };
    let template = |word: &str, field| ScopeTemplate {
        source: format!("{word}/{{}}"),
        parts: vec![ScopePart::Text(format!("{word}/")), ScopePart::Field(field)],
    };
    let task = EntityType {
        id: TASK,
        name: "Task".into(),
        doc: None,
        strategy: Strategy::Crdt,
        local: false,
        shared: false,
        home: Home::Scope(template("team", TEAM)),
        audiences: vec![Audience {
            scope: template("driver", DRIVER),
            hide: vec![(TASK, SECRET), (TASK, POINTS)],
            write: vec![],
            create: false,
            delete: false,
        }],
        fields: vec![
            field(ID, "id", FieldKind::Id, Merge::Register, true),
            field(TEAM, "team", FieldKind::Id, Merge::Register, true),
            field(TITLE, "title", FieldKind::String, Merge::Register, false),
            field(DRIVER, "driver", FieldKind::Id, Merge::Register, false),
            field(SECRET, "secret", FieldKind::Int64, Merge::Register, false),
            field(LABELS, "labels", FieldKind::String, Merge::Set, false),
            field(VOTES, "votes", FieldKind::Counter, Merge::Counter, false),
            field(BODY, "body", FieldKind::Text, Merge::Text, false),
            field(POINTS, "points", FieldKind::Counter, Merge::Counter, false),
            Field { window: true, ..field(DUE, "due", FieldKind::Instant, Merge::Register, false) },
        ],
    };
    let step = EntityType {
        id: STEP,
        name: "Step".into(),
        home: Home::Parent { field: OF, kind: TASK },
        audiences: vec![],
        fields: vec![
            field(ID, "id", FieldKind::Id, Merge::Register, true),
            field(OF, "of", FieldKind::Ref(TASK), Merge::Register, true),
            field(TITLE, "title", FieldKind::String, Merge::Register, false),
        ],
        ..task.clone()
    };
    let types = [(TASK, Arc::new(task)), (STEP, Arc::new(step))];
    Arc::new(Schema { types: types.into(), values: BTreeMap::new(), enums: BTreeMap::new() })
}

/// A device, its file and its clock.
struct Device {
    node: Node,
    store: MemoryStore,
    now: i64,
    drawn: u64,
}

impl Device {
    fn new(seed: u64) -> Self {
        Self::on(MemoryStore::new(), seed)
    }

    /// The device opened on a file.
    fn on(mut store: MemoryStore, seed: u64) -> Self {
        let mut drawn = seed << 32;
        let mut random = || {
            drawn += 1;
            drawn
        };
        let node = Node::open(&mut store, schema(), "ann".into(), &mut random, 0).unwrap();
        store.commit_durable();
        Self { node, store, now: 1_000_000, drawn }
    }

    fn id(&mut self) -> DeviceId {
        self.store.meta().unwrap().unwrap().device
    }

    fn write(&mut self, edits: &[Edit]) -> Receipt {
        self.now += 1;
        let written = self.node.write(&mut self.store, self.now, edits).unwrap();
        self.store.commit();
        written.0
    }

    fn refused(&mut self, edits: &[Edit]) -> &'static str {
        let before = format!("{:?}", self.store);
        match self.node.write(&mut self.store, self.now, edits).unwrap_err() {
            super::node::WriteError::Refused(r) => {
                assert_eq!(before, format!("{:?}", self.store), "the store is untouched");
                r.problem.code()
            }
            super::node::WriteError::Store(e) => panic!("{e}"),
        }
    }

    fn subscribe(&mut self, scope: &str) -> Output {
        let out = self.node.subscribe(&mut self.store, scope).unwrap();
        self.store.commit_durable();
        out
    }

    /// Connect to a region that has received these numbers of each id.
    fn connect(&mut self, region: u16, known: &[SeqSet]) -> Output {
        self.connect_with(region, known, |_| {})
    }

    fn connect_with(
        &mut self,
        region: u16,
        known: &[SeqSet],
        change: impl FnOnce(&mut wire::Welcome),
    ) -> Output {
        self.node.disconnected();
        let (greeting, mut welcome) = self.greet(Extent::Whole, region, known);
        self.node.begin(greeting);
        change(&mut welcome);
        self.frame(ToDevice::Welcome(welcome))
    }

    /// A greeting of a region, and what it answers.
    fn greet(
        &mut self,
        extent: Extent,
        region: u16,
        known: &[SeqSet],
    ) -> (Greeting, wire::Welcome) {
        let greeted = self.node.greet(&mut self.store, "token", 0, extent, self.now);
        let (greeting, hello) = greeted.unwrap();
        let Some(ToRegion::Hello(hello)) = &hello.frames[0].kind else { panic!("no hello") };
        let known = (0..hello.devices.len()).map(|i| wire::Known {
            received: Some(convert::wire_seq_set(known.get(i).unwrap_or(&SeqSet::default()))),
            closed: false,
        });
        let welcome = wire::Welcome {
            version: 1,
            region: region.into(),
            hello_ms: hello.sent_ms,
            received_ms: self.now,
            sent_ms: self.now,
            push_ops: 100,
            copies: 2,
            known: known.collect(),
            ..Default::default()
        };
        (greeting, welcome)
    }

    fn frame(&mut self, kind: ToDevice) -> Output {
        let frame = wire::RegionFrame { kind: Some(kind) };
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            *drawn
        };
        let out = self.node.frame(&mut self.store, frame, self.now, &mut random).unwrap();
        match out.durable {
            true => self.store.commit_durable(),
            false => self.store.commit(),
        }
        let pushes = out.frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Push(_))));
        assert!(!pushes || out.durable, "nothing is pushed before it is on disk");
        out
    }

    fn poll(&mut self) -> Output {
        self.node.poll(&mut self.store, self.now).unwrap()
    }

    fn fate(&mut self, dot: Dot, kind: wire::fate::Kind, durable: bool) -> Output {
        let fate = wire::Fate { first: dot.seq, count: 1, kind: Some(kind), durable };
        let device = dot.device.0.to_vec().into();
        self.frame(ToDevice::Fates(wire::Fates { device, fates: vec![fate] }))
    }

    fn accept(&mut self, dot: Dot, position: Position, durable: bool) -> Output {
        let kind = wire::fate::Kind::Accepted(convert::wire_position(position));
        self.fate(dot, kind, durable)
    }

    fn reject(&mut self, dot: Dot, code: &str) -> Output {
        let rejected = wire::Rejected { code: code.into(), seq: dot.seq, ..Default::default() };
        self.fate(dot, wire::fate::Kind::Rejected(rejected), false)
    }

    fn durable(&mut self, dot: Dot) -> Output {
        let seqs = Some(convert::wire_seq_set(&only(dot.seq)));
        let device = dot.device.0.to_vec().into();
        self.frame(ToDevice::Durable(wire::Durable { device, seqs }))
    }

    /// Rows of a subscription, with what was received when they were read.
    fn delta(
        &mut self,
        sub: u32,
        rows: Vec<wire::Row>,
        received: &[SeqSet],
        place: wire::delta::Place,
    ) -> Output {
        let body = wire::Body { rows, masks: vec![driver_mask()] }.encode_to_vec().into();
        let received = received.iter().map(convert::wire_seq_set).collect();
        self.frame(ToDevice::Delta(wire::Delta { sub, body, received, place: Some(place) }))
    }

    /// A whole pass in one chunk.
    fn pass(
        &mut self,
        sub: u32,
        rows: Vec<wire::Row>,
        received: &[SeqSet],
        start: &Vector,
    ) -> Output {
        self.delta(sub, rows, received, chunk(start, true, None, true))
    }

    fn live(
        &mut self,
        sub: u32,
        rows: Vec<wire::Row>,
        received: &[SeqSet],
        advance: &Vector,
    ) -> Output {
        let advance = Some(convert::wire_vector(advance));
        self.delta(sub, rows, received, wire::delta::Place::Live(wire::Live { advance }))
    }

    fn view(&mut self, key: &EntityKey) -> Option<View> {
        let view = self.node.view(&mut self.store, key).unwrap();
        assert_eq!(view.as_ref(), self.store.visible().get(key).map(Arc::as_ref), "{key:?}");
        view
    }

    fn title(&mut self, key: &EntityKey) -> Option<String> {
        let view = self.view(key)?;
        view.registers.get(&TITLE).and_then(Value::as_text).map(str::to_owned)
    }

    fn votes(&mut self, key: &EntityKey) -> i64 {
        self.view(key).map_or(0, |v| v.counters[&VOTES])
    }

    fn body(&mut self, key: &EntityKey) -> String {
        self.node.text(&mut self.store, key, BODY).unwrap()
    }

    fn own(&mut self, dot: Dot) -> Option<OwnOp> {
        self.store.op(dot).unwrap()
    }

    fn base(&mut self, key: &EntityKey) -> Option<Base> {
        self.store.base(key).unwrap()
    }

    fn subscription(&mut self, scope: &str) -> Subscription {
        self.store.subscription(scope).unwrap().unwrap()
    }

    fn refetches(&mut self, scope: &str) -> Vec<EntityKey> {
        self.store.refetches(scope, None, 100).unwrap()
    }

    fn outcomes(&self, dot: Dot) -> Vec<Outcome> {
        let of_dot = self.store.outcomes().iter().filter(|((d, _), _)| *d == dot);
        of_dot.map(|(_, kept)| kept.1.clone()).collect()
    }
}

fn key(id: &str) -> EntityKey {
    EntityKey::new("team/a", TASK, id)
}

fn step(id: &str) -> EntityKey {
    EntityKey::new("team/a", STEP, id)
}

fn put(field: FieldId, value: impl Into<Value>) -> (FieldId, FieldEdit) {
    (field, FieldEdit::Put(value.into()))
}

fn splice(at: usize, delete: usize, insert: &str) -> (FieldId, FieldEdit) {
    (BODY, FieldEdit::Splice { at, delete, insert: insert.into() })
}

fn vote(by: i64) -> (FieldId, FieldEdit) {
    (VOTES, FieldEdit::Increment(by))
}

/// An upsert of a task of team a.
fn task(id: &str, fields: impl IntoIterator<Item = (FieldId, FieldEdit)>) -> Edit {
    let fields = std::iter::once(put(TEAM, "a")).chain(fields).collect();
    Edit::Upsert { kind: TASK, id: id.into(), fields }
}

fn update(id: &str, fields: impl IntoIterator<Item = (FieldId, FieldEdit)>) -> Edit {
    Edit::Update { key: key(id), fields: fields.into_iter().collect() }
}

fn step_of(id: &str, parent: &str, title: &str) -> Edit {
    let fields = vec![put(OF, parent), put(TITLE, title)];
    Edit::Upsert { kind: STEP, id: id.into(), fields }
}

fn only(seq: u64) -> SeqSet {
    SeqSet::from_parts(0, [(seq, seq)])
}

fn origin(region: u16) -> Origin {
    Origin { region: RegionId(region), incarnation: 1, stream: StreamId(0) }
}

fn at(region: u16, seq: u64) -> Position {
    Position { origin: origin(region), seq }
}

/// A vector over region 0 and region 1.
fn vector(zero: u64, one: u64) -> Vector {
    [(origin(0), zero), (origin(1), one)].into_iter().collect()
}

fn chunk(
    start: &Vector,
    done: bool,
    last: Option<&EntityKey>,
    covering: bool,
) -> wire::delta::Place {
    wire::delta::Place::Chunk(wire::Chunk {
        start: Some(convert::wire_vector(start)),
        done,
        last: last.map(convert::wire_key),
        covering,
        rows_so_far: 1,
        rows_total: 1,
        ..Default::default()
    })
}

fn merged<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Entity {
    let mut entity = Entity::default();
    for op in ops {
        entity.apply(op);
    }
    entity
}

/// The row of an entity that has had these ops, as its home scope sees it.
fn row(key: &EntityKey, touch: &Vector, ops: &[Sealed]) -> wire::Row {
    let entity = merged(ops.iter().map(|s| &s.op));
    let mut text = Text::default();
    for sealed in ops {
        for change in sealed.op.changes() {
            if let landfall_model::op::Change::Text(t) = &change.change {
                text.apply(&sealed.op.births, blob_id(sealed), &t.update);
            }
        }
    }
    let texts = wire::TextField { field: BODY.0, text: codec::to_bytes(&text).into() };
    wire::Row {
        key: Some(convert::wire_key(key)),
        touch: Some(convert::wire_vector(touch)),
        state: codec::to_bytes(&entity).into(),
        texts: if text.is_empty() { vec![] } else { vec![texts] },
        ..Default::default()
    }
}

const DRIVER_SEES: [FieldId; 7] = [ID, TEAM, TITLE, DRIVER, LABELS, VOTES, BODY];

fn driver_mask() -> wire::Mask {
    wire::Mask { shown: DRIVER_SEES.map(|f| f.0).to_vec() }
}

/// The row as the driver's audience sees it.
fn driver_row(key: &EntityKey, touch: &Vector, ops: &[Sealed]) -> wire::Row {
    let entity = merged(ops.iter().map(|s| &s.op)).only(|f| DRIVER_SEES.contains(&f));
    wire::Row { state: codec::to_bytes(&entity).into(), mask: 1, ..row(key, touch, ops) }
}

fn left(key: &EntityKey, touch: &Vector) -> wire::Row {
    let (key, touch) = (Some(convert::wire_key(key)), Some(convert::wire_vector(touch)));
    wire::Row { key, touch, left: true, ..Default::default() }
}

/// The transactions that an output pushes.
fn pushed(out: &Output) -> Vec<Vec<Sealed>> {
    let pushes = out.frames.iter().filter_map(|f| match &f.kind {
        Some(ToRegion::Push(p)) => Some(p),
        _ => None,
    });
    let decode = |o: &prost::bytes::Bytes| Sealed::decode(o).unwrap();
    let transactions = pushes.flat_map(|p| &p.transactions);
    transactions.map(|t| t.ops.iter().map(decode).collect()).collect()
}

fn pushed_dots(out: &Output) -> Vec<u64> {
    pushed(out).iter().flatten().map(|s| s.op.dot.seq).collect()
}

/// A write of another device, made by a device of its own.
fn ops_of(device: &mut Device, receipt: &Receipt) -> Vec<Sealed> {
    receipt.dots.iter().map(|d| device.own(*d).unwrap().sealed).collect()
}

fn scope(name: &str) -> Scope {
    name.into()
}

fn fates(out: &Output) -> Vec<(Dot, OpState)> {
    let fate = |e: &Event| match e {
        Event::Fate { dot, state, .. } => Some((*dot, state.clone())),
        _ => None,
    };
    out.events.iter().filter_map(fate).collect()
}
