//! One value of every form that is stored or sent.

use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, StreamId, TypeId};
use landfall_model::op::{
    Action, Change, FieldChange, Fingerprint, Op, Parent, Removal, Sealed, TextChange, Tx,
};
use landfall_model::stamp::{Hlc, Stamp};
use landfall_model::text::{Blob, Part, Text};
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use minicbor::{Decode, Encode};
use std::fmt::Debug;

type Check = dyn Fn(&[u8]) -> Result<(), String>;

/// A named value with its bytes, and the check that bytes decode to it.
pub struct Sample {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    check: Box<Check>,
}

impl Sample {
    /// `bytes` decode to the value, and the value encodes to them.
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        (self.check)(bytes)
    }
}

fn sample<T>(name: &'static str, value: T) -> Sample
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug + 'static,
{
    let bytes = to_bytes(&value);
    let check = move |bytes: &[u8]| match from_bytes::<T>(bytes) {
        Ok(decoded) if decoded == value => Ok(()),
        other => Err(format!("{name}: expected {value:#?}, decoded {other:#?}")),
    };
    Sample { name, bytes, check: Box::new(check) }
}

/// Ops decode through their seal, which also checks that they make sense.
fn op_sample(name: &'static str, op: Op) -> Sample {
    let sealed = op.seal();
    let bytes = sealed.payload.to_vec();
    let check = move |bytes: &[u8]| match Sealed::decode(bytes) {
        Ok(decoded) if decoded == sealed => Ok(()),
        other => Err(format!("{name}: expected {sealed:#?}, decoded {other:#?}")),
    };
    Sample { name, bytes, check: Box::new(check) }
}

pub fn all() -> Vec<Sample> {
    [ids(), values(), ops(), states()].into_iter().flatten().collect()
}

pub fn dot(device: u64, seq: u64) -> Dot {
    Dot::new(DeviceId::from_number(device), seq)
}

fn stamp(ms: i64, device: u64) -> Stamp {
    Stamp { hlc: Hlc::from_millis(ms), device: DeviceId::from_number(device) }
}

fn origin(region: u16, stream: u16) -> Origin {
    Origin { region: RegionId(region), incarnation: 1_700_000_000_000, stream: StreamId(stream) }
}

fn ids() -> Vec<Sample> {
    let vector = [(origin(2, 1), 9), (origin(1, 300), 70_000), (origin(1, 7), 1)];
    vec![
        sample("device_id", DeviceId([0xd5; 16])),
        sample("dot", dot(1, 24)),
        sample("hlc", Hlc(0x0123_4567_89ab_cdef)),
        sample("stamp", stamp(1_700_000_000_000, 2)),
        sample("entity_key", EntityKey::new("warehouse/lyon", TypeId(0x4000_0001), "o-1")),
        sample("fingerprint", Fingerprint([0xf1; 16])),
        sample("fingerprint_void", Fingerprint::VOID),
        sample("origin", origin(3, 18)),
        sample("position", Position { origin: origin(3, 18), seq: 1 << 40 }),
        sample("vector", vector.into_iter().collect::<Vector>()),
        sample("vector_empty", Vector::new()),
        sample("seq_set", SeqSet::from_parts(12, [(20, 20), (30, 400)])),
        sample("seq_set_contiguous", SeqSet::up_to(5)),
    ]
}

fn values() -> Vec<Sample> {
    let address = [(FieldId(9), Value::text("Lyon")), (FieldId(4), Value::Null)];
    let list = vec![Value::Int(1), Value::List(vec![]), Value::Bool(false)];
    vec![
        sample("value_null", Value::Null),
        sample("value_bool", Value::Bool(true)),
        sample("value_int", Value::Int(1250)),
        sample("value_int_negative", Value::Int(i64::MIN)),
        sample("value_float", Value::from(1.5)),
        sample("value_float_nan", Value::from(-f64::NAN)),
        sample("value_float_zero", Value::from(-0.0)),
        sample("value_text", Value::text("Zoë 😀")),
        sample("value_bytes", Value::Bytes(vec![0, 255])),
        sample("value_object", Value::object(address)),
        sample("value_list", Value::List(list)),
    ]
}

pub fn op(seq: u64, births: Vec<Dot>, action: Action) -> Op {
    Op {
        dot: dot(1, seq),
        hlc: Hlc::from_millis(1_700_000_000_000 + seq as i64),
        key: EntityKey::new("team/red", TypeId(0x11), "n-1"),
        principal: "ana".into(),
        tx: Tx { first: seq, count: 1 },
        births,
        action,
        needs: vec![],
        expires_ms: None,
        preconditions: None,
        blobs: None,
    }
}

pub fn change(field: u32, change: Change) -> FieldChange {
    FieldChange { field: FieldId(field), change }
}

fn register(field: u32, value: Value, replaced: Option<Stamp>) -> FieldChange {
    change(field, Change::Register { value, replaced })
}

fn ops() -> Vec<Sample> {
    let parent =
        Parent { kind: TypeId(0x10), id: "p-1".into(), births: vec![dot(2, 3), dot(3, 1)] };
    let title = register(0x21, Value::text("hello"), None);
    let update = |change| Action::Update(vec![change]);
    let retitled = register(0x21, Value::text("bye"), Some(stamp(1_700_000_000_001, 2)));
    let removal = Removal { value: Value::text("red"), dots: vec![dot(1, 1), dot(2, 8)] };
    let labels = Change::Set { add: vec![Value::text("blue")], remove: vec![removal] };
    let text = TextChange { update: vec![1, 2, 3] };
    let create = Action::Create { parent: None, changes: vec![title] };
    let child = Action::Create { parent: Some(parent), changes: vec![] };
    let mut full = op(4, vec![dot(1, 1)], Action::Delete);
    full.tx = Tx { first: 3, count: 2 };
    full.needs = vec![dot(1, 3), dot(2, 8)];
    full.expires_ms = Some(1_700_000_100_000);
    full.preconditions = Some(vec![0xa0]);
    full.blobs = Some(vec!["sha256:00".into()]);
    let mut gap = op(5, vec![dot(1, 1)], Action::Delete);
    gap.blobs = Some(vec![]);
    let void = Op::void(dot(1, 9), EntityKey::new("team/red", TypeId(0x11), "n-1"), "ana".into());
    vec![
        op_sample("op_create", op(1, vec![dot(1, 1)], create)),
        op_sample("op_create_child", op(2, vec![dot(1, 2), dot(2, 5)], child)),
        op_sample("op_update_register", op(3, vec![dot(1, 1)], update(retitled))),
        op_sample("op_update_set", op(4, vec![dot(1, 1)], update(change(0x22, labels)))),
        op_sample(
            "op_update_counter",
            op(5, vec![dot(1, 1)], update(change(0x23, Change::Counter(-2)))),
        ),
        op_sample(
            "op_update_text",
            op(6, vec![dot(1, 1)], update(change(0x24, Change::Text(text)))),
        ),
        op_sample("op_create_carried", carrying(8)),
        op_sample("op_delete", op(7, vec![dot(1, 1), dot(2, 5)], Action::Delete)),
        op_sample("op_void", void),
        op_sample("op_every_field", full),
        op_sample("op_skipped_fields", gap),
    ]
}

/// An entity with a child's birth, a birth to come, a dead birth, two writes of which none
/// dominates the other, a set with a removal, a counter.
pub fn entity() -> Entity {
    let parent = Parent { kind: TypeId(0x10), id: "p-1".into(), births: vec![dot(2, 3)] };
    let set = |add: &str, removed: &str| {
        let removal = Removal { value: Value::text(removed), dots: vec![dot(4, 2)] };
        change(0x22, Change::Set { add: vec![Value::text(add)], remove: vec![removal] })
    };
    let low = vec![
        register(0x21, Value::text("both"), None),
        set("blue", "red"),
        change(0x23, Change::Counter(3)),
    ];
    let high = vec![register(0x21, Value::Int(-5), Some(stamp(1, 2))), set("blue", "green")];
    let mut entity = Entity::default();
    for op in [
        op(1, vec![dot(1, 1)], Action::Create { parent: Some(parent), changes: vec![] }),
        op(2, vec![dot(1, 1), dot(3, 7)], Action::Update(low)),
        op(3, vec![dot(1, 1), dot(5, 1)], Action::Update(high)),
        op(4, vec![dot(5, 1)], Action::Delete),
    ] {
        entity.apply(&op);
    }
    entity
}

/// A create that carries what was counted on two births that are gone.
fn carrying(seq: u64) -> Op {
    let counts = [(dot(1, 1), 5), (dot(2, 5), -300)].into();
    let changes = vec![change(0x23, Change::Carried(counts))];
    op(seq, vec![dot(1, seq)], Action::Create { parent: None, changes })
}

/// A root whose birth carries the counts of others.
fn brought_back() -> Entity {
    let mut entity = root();
    entity.apply(&op(7, vec![dot(1, 1), dot(2, 5)], Action::Delete));
    entity.apply(&carrying(8));
    entity
}

/// A root with a living birth and nothing else.
fn root() -> Entity {
    let mut entity = Entity::default();
    entity.apply(&op(1, vec![dot(1, 1)], Action::Create { parent: None, changes: vec![] }));
    entity
}

fn states() -> Vec<Sample> {
    let mut text = Text::default();
    text.insert_part(
        vec![dot(1, 1)],
        Part { snapshot: Some(vec![9, 9]), updates: [(dot(7, 2), Blob(vec![8]))].into() },
    );
    text.insert_part(
        vec![dot(1, 1), dot(2, 5)],
        Part { snapshot: None, updates: [(dot(7, 3), Blob(vec![]))].into() },
    );
    vec![
        sample("entity", entity()),
        sample("entity_root", root()),
        sample("entity_carried", brought_back()),
        sample("entity_empty", Entity::default()),
        sample("text", text),
        sample("text_empty", Text::default()),
    ]
}
