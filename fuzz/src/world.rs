//! A small world to take valid bytes from: a schema, a device, two regions, and what they say to
//! each other.

use landfall_model::id::{EntityKey, FieldId, RegionId, TypeId};
use landfall_model::schema::{self, Schema};
use landfall_model::value::Value;
use landfall_sync::device::memory::MemoryStore as DeviceStore;
use landfall_sync::device::node::{Edit, FieldEdit, Node as DeviceNode, Output as DeviceOutput};
use landfall_sync::region::Config;
use landfall_sync::region::access::{Authenticator, Author, Denial};
use landfall_sync::region::memory::MemoryStore as RegionStore;
use landfall_sync::region::node::{LinkId, Node as RegionNode, Output as RegionOutput, SessionId};
use landfall_sync::wire::{DeviceFrame, PeerFrame, RegionFrame};
use std::sync::{Arc, OnceLock};

/// Every merge, a child, an audience that hides, a reference, a search.
pub const SDL: &str = r#"
type Order @entity(strategy: LAST_WRITE_WINS, scope: "w/{w}")
  @audience(scope: "driver/{driver}", hide: [margin], write: [status]) {
  id: ID!  w: ID!  driver: ID  status: String  margin: Int64  tries: Counter
  on: Date @window  note: Note @ref(onDelete: SET_NULL)
}
type Line @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!  order: Order! @ref(onDelete: CASCADE)  sku: String
}
type Note @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID!  team: ID!  title: String @search  body: Text  labels: [String!] @set  votes: Counter
}
type Seen @local { id: ID!  times: Counter }
"#;

/// Milliseconds since 1970: it is always this moment.
pub const NOW_MS: i64 = 1_700_000_000_000;

pub fn schema() -> Arc<Schema> {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    let compiled = || Arc::new(schema::compile(SDL).expect("the schema of the targets is right"));
    SCHEMA.get_or_init(compiled).clone()
}

pub fn kind(name: &str) -> TypeId {
    schema().entity_named(name).expect("a type of the schema").id
}

pub fn field(kind: &str, name: &str) -> FieldId {
    let schema = schema();
    let kind = schema.entity_named(kind).expect("a type of the schema");
    kind.field_named(name).expect("a field of the type").id
}

/// Believes everybody, so that bytes come further than a signature.
#[derive(Debug)]
pub struct Everybody;

impl Authenticator for Everybody {
    fn device(&self, _: &str, _: i64) -> Result<Author, Denial> {
        Ok(Author {
            subject: "ada".into(),
            scopes: vec!["w/*".into(), "team/*".into()],
            audiences: vec!["driver/*".into()],
            publishes: vec![],
            expires_ms: i64::MAX,
        })
    }

    fn peer(&self, _: &str, _: i64) -> Result<(), Denial> {
        Ok(())
    }
}

/// A region over its store in memory.
#[derive(Debug)]
pub struct Region {
    pub store: RegionStore,
    pub node: RegionNode,
}

impl Region {
    pub fn new(region: u16) -> Self {
        Self::on(RegionStore::new(), region)
    }

    /// The region of this store, as it starts again.
    pub fn on(mut store: RegionStore, region: u16) -> Self {
        let config = Config {
            region: RegionId(region),
            placement: 0,
            regions: [RegionId(1), RegionId(2)].into(),
            lost: [].into(),
            copies: 2,
        };
        let (auth, token) = (Box::new(Everybody), "peer".to_owned());
        let node = RegionNode::open(&mut store, config, schema(), auth, token, true, NOW_MS)
            .expect("a store in memory does not fail");
        Self { store, node }
    }

    /// One transaction.
    pub fn work(&mut self) -> RegionOutput {
        self.store.begin();
        let out = self.node.work(&mut self.store, NOW_MS);
        self.store.commit();
        out.expect("a store in memory fails only if it is used wrongly")
    }
}

/// A device over its store in memory.
#[derive(Debug)]
pub struct Device {
    pub store: DeviceStore,
    pub node: DeviceNode,
    drawn: u64,
}

impl Device {
    pub fn new(number: u64) -> Self {
        let (mut store, mut drawn) = (DeviceStore::new(), number << 32);
        let mut random = || draw(&mut drawn);
        let Ok(node) = DeviceNode::open(&mut store, schema(), "ada".into(), &mut random, NOW_MS);
        store.commit();
        Self { store, node, drawn }
    }

    pub fn write(&mut self, edits: &[Edit]) -> DeviceOutput {
        self.store.begin();
        let done = self.node.write(&mut self.store, NOW_MS, edits);
        self.store.commit();
        done.expect("the edit can be made").1
    }

    pub fn subscribe(&mut self, scope: &str) -> DeviceOutput {
        self.store.begin();
        let Ok(out) = self.node.subscribe(&mut self.store, scope);
        self.store.commit();
        out
    }

    pub fn hello(&mut self) -> DeviceOutput {
        self.store.begin();
        let Ok(out) = self.node.hello(&mut self.store, "token", NOW_MS);
        self.store.commit_durable();
        out
    }

    pub fn frame(&mut self, frame: RegionFrame) -> DeviceOutput {
        self.store.begin();
        let drawn = &mut self.drawn;
        let mut random = || draw(drawn);
        let Ok(out) = self.node.frame(&mut self.store, frame, NOW_MS, &mut random);
        self.store.commit_durable();
        out
    }

    pub fn poll(&mut self) -> DeviceOutput {
        self.store.begin();
        let Ok(out) = self.node.poll(&mut self.store, NOW_MS);
        self.store.commit_durable();
        out
    }
}

/// Numbers that are spread well enough to name things.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    (*state ^ (*state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

pub fn put(value: impl Into<Value>) -> FieldEdit {
    FieldEdit::Put(value.into())
}

/// Create or change an entity.
pub fn upsert(kind_name: &str, id: &str, fields: &[(&str, FieldEdit)]) -> Edit {
    let fields = fields.iter().map(|(name, edit)| (field(kind_name, name), edit.clone()));
    Edit::Upsert { kind: kind(kind_name), id: id.to_owned(), fields: fields.collect() }
}

pub fn order(id: &str) -> EntityKey {
    EntityKey::new("w/lyon", kind("Order"), id)
}

pub fn note(id: &str) -> EntityKey {
    EntityKey::new("team/red", kind("Note"), id)
}

/// What was said in a world in which a little of everything happened.
#[derive(Debug, Default)]
pub struct Said {
    pub to_region: Vec<DeviceFrame>,
    pub to_device: Vec<RegionFrame>,
    /// Each with whether the region that hears it is the one that asks.
    pub to_peer: Vec<(bool, PeerFrame)>,
}

/// Two devices write through a region that tells another one, and see what the other wrote.
pub fn conversation() -> Said {
    let (mut region, mut said) = (Region::new(1), Said::default());
    let mut devices = [Device::new(1), Device::new(2)];
    for (at, device) in devices.iter_mut().enumerate() {
        device.subscribe("w/lyon");
        device.subscribe("team/red");
        write_all(device, at);
        let first = device.hello();
        talk(&mut region, device, at as u64, first, &mut said);
    }
    devices[0].write(&[
        Edit::Update {
            key: note("n0"),
            fields: vec![
                (field("Note", "labels"), FieldEdit::Remove(Value::text("new"))),
                (field("Note", "votes"), FieldEdit::Increment(-2)),
            ],
        },
        Edit::Delete { key: order("o0") },
    ]);
    let polled = devices[0].poll();
    talk(&mut region, &mut devices[0], 0, polled, &mut said);
    replicate(&mut region, &mut Region::new(2), &mut said);
    said
}

/// What one of the devices writes.
fn write_all(device: &mut Device, at: usize) {
    let (n, o) = (format!("n{at}"), format!("o{at}"));
    let body = FieldEdit::Splice { at: 0, delete: 0, insert: "milk and bread".to_owned() };
    device.write(&[
        upsert("Order", &o, &[("w", put("lyon")), ("status", put("open")), ("margin", put(7))]),
        upsert("Line", "l1", &[("order", put(o.as_str())), ("sku", put("s"))]),
    ]);
    device.write(&[upsert(
        "Note",
        &n,
        &[
            ("team", put("red")),
            ("title", put("Zoë")),
            ("body", body),
            ("labels", FieldEdit::Add(Value::text("new"))),
            ("votes", FieldEdit::Increment(3)),
        ],
    )]);
    device.write(&[Edit::Update {
        key: order(&o),
        fields: vec![
            (field("Order", "driver"), put("7")),
            (field("Order", "on"), put("2026-01-31")),
        ],
    }]);
}

/// A device's frames and what they lead to, until both have nothing more to say.
fn talk(region: &mut Region, device: &mut Device, id: u64, first: DeviceOutput, said: &mut Said) {
    let mut up = first.frames;
    for _ in 0..20 {
        for frame in up.drain(..) {
            said.to_region.push(frame.clone());
            region.node.device_frame(SessionId(id), frame);
        }
        let out = region.work();
        for (to, frame) in out.device.into_iter().filter(|(to, _)| *to == SessionId(id)) {
            debug_assert_eq!(to, SessionId(id));
            said.to_device.push(frame.clone());
            up.extend(device.frame(frame).frames);
        }
        up.extend(device.poll().frames);
        if up.is_empty() && !out.more {
            break;
        }
    }
}

/// The second region asks the first for its logs.
fn replicate(from: &mut Region, to: &mut Region, said: &mut Said) {
    from.node.link_up(LinkId(1), false);
    to.node.link_up(LinkId(1), true);
    for _ in 0..10 {
        let answers = from.work().peer;
        let questions = to.work().peer;
        for (link, frame) in answers {
            said.to_peer.push((true, frame.clone()));
            to.node.peer_frame(link, frame);
        }
        for (link, frame) in questions {
            said.to_peer.push((false, frame.clone()));
            from.node.peer_frame(link, frame);
        }
    }
}
