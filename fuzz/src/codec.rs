//! Everything else that is stored or sent in canonical bytes: what decodes is a value like any
//! other, and encodes to bytes that decode to it.

use crate::ops;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, StreamId, TypeId};
use landfall_model::op::{Op, Parent, Sealed};
use landfall_model::stamp::{Hlc, Stamp};
use landfall_model::text::Version;
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use landfall_sync::log::Entry;

/// A merged state.
pub fn entity(bytes: &[u8]) {
    let Ok(state) = from_bytes::<Entity>(bytes) else { return };
    assert_eq!(from_bytes::<Entity>(&to_bytes(&state)).as_ref(), Ok(&state));
    // A state from a stranger need not be one that ops add up to; joining it makes it one that
    // stays as it is.
    let (mut mine, mut theirs) = (Entity::default(), state.clone());
    mine.join(&state);
    theirs.join(&mine);
    mine.install_counters(&state, |_| true);
    mine.adopt(&state, |field| field.0 % 2 == 0);
    let mut clean = Entity::default();
    clean.join(&mine);
    ops::laws(&clean, &clean);
}

macro_rules! round_trip {
    ($bytes:expr, $($kind:ty),*) => {$(
        if let Ok(value) = from_bytes::<$kind>($bytes) {
            let encoded = to_bytes(&value);
            assert_eq!(from_bytes::<$kind>(&encoded).as_ref(), Ok(&value));
        }
    )*};
}

/// Every other form: the same bytes as each of them.
pub fn any(bytes: &[u8]) {
    round_trip!(bytes, Op, Value, Parent, Dot, DeviceId, EntityKey, Stamp, Entry, Origin, Position);
    if let Ok(vector) = from_bytes::<Vector>(bytes) {
        assert_eq!(from_bytes::<Vector>(&to_bytes(&vector)).as_ref(), Ok(&vector));
        let mut both = vector.clone();
        both.join(&vector);
        assert_eq!(both, vector);
        assert!(vector.covers(&both) && vector.meet(&both) == vector);
        vector.iter().for_each(|(origin, seq)| assert_eq!(vector.get(origin), seq));
    }
    if let Ok(set) = from_bytes::<SeqSet>(bytes) {
        assert_eq!(from_bytes::<SeqSet>(&to_bytes(&set)).as_ref(), Ok(&set));
        numbers(&set);
    }
    if let Ok(version) = Version::from_bytes(bytes) {
        let again = Version::from_bytes(&version.to_bytes());
        assert_eq!(again.ok().as_ref(), Some(&version));
    }
}

/// A set of numbers is canonical, whichever way it was made.
fn numbers(set: &SeqSet) {
    let mut union = set.clone();
    union.union(set);
    assert_eq!(&union, set);
    assert_eq!(&set.intersection(set), set);
    assert_eq!(&SeqSet::from_parts(set.contiguous(), set.ranges().to_vec()), set);
    for (first, last) in set.spans() {
        assert!(set.contains_range(first, last) && set.contains(first) && set.contains(last));
        assert!(last == u64::MAX || !set.contains(last + 1), "spans are as long as they can be");
    }
    for seq in [0, 1, set.contiguous(), set.highest(), u64::MAX] {
        let mut more = set.clone();
        more.insert(seq);
        assert_eq!(more.contains(seq), seq != 0);
    }
}

pub fn entity_seeds() -> Vec<(String, Vec<u8>)> {
    let mut state = Entity::default();
    let mut states = Vec::new();
    for op in ops::payloads().iter().filter_map(|payload| Sealed::decode(payload).ok()) {
        let mut alone = Entity::default();
        alone.apply(&op.op);
        state.apply(&op.op);
        states.push(to_bytes(&alone));
    }
    states.push(to_bytes(&state));
    crate::frames::numbered("state", states)
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let origin = Origin { region: RegionId(3), incarnation: 1 << 40, stream: StreamId(18) };
    let dot = Dot::new(DeviceId::from_number(1), 24);
    let stamp = Stamp { hlc: Hlc::from_millis(1_700_000_000_000), device: dot.device };
    let members = [(FieldId(9), Value::text("Lyon")), (FieldId(4), Value::from(1.5))];
    let list = Value::List(vec![Value::Int(i64::MIN), Value::Null, Value::Bytes(vec![0, 255])]);
    let vector: Vector = [(origin, 9)].into_iter().collect();
    let set = SeqSet::from_parts(12, [(20, 20), (30, 400)]);
    let named = |(name, bytes): (&str, Vec<u8>)| (name.to_owned(), bytes);
    [
        ("dot", to_bytes(&dot)),
        ("stamp", to_bytes(&stamp)),
        ("key", to_bytes(&EntityKey::new("w/lyon", TypeId(1), "o1"))),
        ("object", to_bytes(&Value::object(members))),
        ("list", to_bytes(&list)),
        ("vector", to_bytes(&vector)),
        ("position", to_bytes(&Position { origin, seq: 1 << 40 })),
        ("set", to_bytes(&set)),
        ("cut", to_bytes(&Entry::Cut { origin, last: 9 })),
    ]
    .into_iter()
    .map(named)
    .collect()
}
