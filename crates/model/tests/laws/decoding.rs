//! Bytes and values: each encodes to the other, and rubbish is an error.

use super::config;
use super::history::{CHILD, PARENT, histories, merged};
use super::samples;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, TypeId};
use landfall_model::op::{
    Action, Change, DecodeError, FieldChange, Fingerprint, Op, Parent, Removal, Sealed, TextChange,
    Tx,
};
use landfall_model::stamp::{Hlc, Stamp};
use landfall_model::text::Text;
use landfall_model::value::Value;
use landfall_model::vector::{SeqSet, Vector};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn dot() -> impl Strategy<Value = Dot> {
    (any::<[u8; 16]>(), any::<u64>()).prop_map(|(device, seq)| Dot::new(DeviceId(device), seq))
}

fn dots() -> impl Strategy<Value = Vec<Dot>> {
    prop::collection::btree_set(dot(), 0..4).prop_map(|set| set.into_iter().collect())
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (any::<u64>(), any::<[u8; 16]>())
        .prop_map(|(hlc, device)| Stamp { hlc: Hlc(hlc), device: DeviceId(device) })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::from(f64::from_bits(bits))),
        ".{0,8}".prop_map(Value::Text),
        vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let member = (any::<u32>().prop_map(FieldId), inner.clone());
        prop_oneof![
            vec(inner, 0..3).prop_map(Value::List),
            vec(member, 0..3).prop_map(Value::object),
        ]
    })
}

fn change() -> impl Strategy<Value = FieldChange> {
    let removal = (value(), dots()).prop_map(|(value, dots)| Removal { value, dots });
    let change = prop_oneof![
        (value(), option::of(stamp()))
            .prop_map(|(value, replaced)| Change::Register { value, replaced }),
        (vec(value(), 0..3), vec(removal, 0..3))
            .prop_map(|(add, remove)| Change::Set { add, remove }),
        any::<i64>().prop_map(Change::Counter),
        (dots(), any::<i64>())
            .prop_map(|(dots, n)| { Change::Carried(dots.into_iter().map(|d| (d, n)).collect()) }),
        vec(any::<u8>(), 0..9).prop_map(|update| Change::Text(TextChange { update })),
    ];
    (any::<u32>(), change).prop_map(|(field, change)| FieldChange { field: FieldId(field), change })
}

fn action() -> impl Strategy<Value = Action> {
    let parent = (any::<u32>(), ".{0,5}", dots()).prop_map(|(kind, id, births)| Parent {
        kind: TypeId(kind),
        id: id.into(),
        births,
    });
    prop_oneof![
        (option::of(parent), vec(change(), 0..3))
            .prop_map(|(parent, changes)| Action::Create { parent, changes }),
        vec(change(), 0..4).prop_map(Action::Update),
        Just(Action::Delete),
        Just(Action::Void),
    ]
}

/// Any op that holds together, to the ends of every range.
fn op() -> impl Strategy<Value = Op> {
    let name = (".{0,6}", any::<u32>(), ".{0,6}", ".{0,6}");
    let tx = (1..=u64::MAX, 1u32..5, any::<u32>());
    let extra = (
        dots(),
        option::of(any::<i64>()),
        option::of(vec(any::<u8>(), 0..5)),
        option::of(vec(".{0,5}", 0..3)),
    );
    (any::<[u8; 16]>(), any::<u64>(), name, tx, dots(), action(), extra).prop_map(
        |(device, hlc, (home, kind, id, principal), (first, count, nth), births, action, extra)| {
            let first = first.min(u64::MAX - u64::from(count));
            let dot = Dot::new(DeviceId(device), first + u64::from(nth % count));
            let mut births: BTreeSet<Dot> = births.into_iter().collect();
            if matches!(action, Action::Create { .. }) {
                births.insert(dot);
            }
            let (needs, expires_ms, preconditions, blobs) = extra;
            Op {
                dot,
                hlc: Hlc(hlc),
                key: EntityKey::new(home, TypeId(kind), id),
                principal: principal.into(),
                tx: Tx { first, count },
                births: births.into_iter().collect(),
                action,
                needs,
                expires_ms,
                preconditions,
                blobs,
            }
        },
    )
}

/// A change to bytes: one overwritten, one put in, one taken out, or the end cut off.
fn damaged(bytes: &[u8], how: u8, at: prop::sample::Index, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    match how % 4 {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        2 => drop(bytes.remove(at)),
        _ => bytes.truncate(at),
    }
    bytes
}

/// Whatever decodes is a value like any other: it encodes to bytes that decode to it.
macro_rules! if_it_decodes_it_encodes {
    ($type:ty, $bytes:expr) => {
        if let Ok(value) = from_bytes::<$type>($bytes) {
            prop_assert_eq!(from_bytes::<$type>(&to_bytes(&value)), Ok(value));
        }
    };
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn ops_survive_the_way_there_and_back(op in op(), more in any::<u8>()) {
        let sealed = op.seal();
        let decoded = Sealed::decode(&sealed.payload);
        prop_assert_eq!(decoded.as_ref(), Ok(&sealed));
        prop_assert_eq!(to_bytes(&decoded.unwrap().op), sealed.payload.to_vec());
        let longer = [&sealed.payload[..], &[more]].concat();
        prop_assert!(Sealed::decode(&longer).is_err());
    }

    #[test]
    fn an_op_cut_short_is_an_error(op in op(), at in any::<prop::sample::Index>()) {
        let payload = op.seal().payload;
        let cut = &payload[..at.index(payload.len())];
        prop_assert!(matches!(Sealed::decode(cut), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn a_damaged_op_is_an_error_or_another_op(
        op in op(),
        how in any::<u8>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let sealed = op.seal();
        let bytes = damaged(&sealed.payload, how, at, byte);
        if let Ok(other) = Sealed::decode(&bytes) {
            let voids = other.op.is_void() && sealed.op.is_void();
            let same = other.fingerprint == sealed.fingerprint;
            prop_assert_eq!(same, voids || bytes == sealed.payload[..]);
            prop_assert_eq!(other.fingerprint == Fingerprint::VOID, other.op.is_void());
            Entity::default().apply(&other.op);
            SeqSet::default().insert(other.op.dot.seq);
        }
    }

    #[test]
    fn any_change_of_content_changes_the_fingerprint(a in op(), b in op()) {
        let (a, b) = (a.seal(), b.seal());
        let voids = a.op.is_void() && b.op.is_void();
        prop_assert_eq!(a.fingerprint == b.fingerprint, voids || a.op == b.op);
    }

    #[test]
    fn states_survive_the_way_there_and_back(history in histories(60)) {
        for kind in [PARENT, CHILD] {
            let state = merged(history.of(kind));
            let bytes = to_bytes(&state);
            let decoded: Entity = from_bytes(&bytes).unwrap();
            prop_assert_eq!(&decoded, &state);
            prop_assert_eq!(to_bytes(&decoded), bytes);
        }
    }

    #[test]
    fn a_damaged_state_is_an_error_or_another_state(
        history in histories(60),
        how in any::<u8>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut state = merged(history.of(CHILD));
        let bytes = damaged(&to_bytes(&state), how, at, byte);
        if let Ok(mut other) = from_bytes::<Entity>(&bytes) {
            prop_assert_eq!(from_bytes::<Entity>(&to_bytes(&other)), Ok(other.clone()));
            other.join(&state);
            state.join(&other);
            state.install_counters(&other, |_| true);
            for op in history.of(CHILD) {
                other.apply(op);
            }
            for field in 1..5 {
                other.register(FieldId(field), &Living);
                other.set(FieldId(field), &Living);
                other.counter(FieldId(field), &Living);
            }
        }
    }

    #[test]
    fn every_form_survives_damage(
        how in any::<u8>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for sample in samples::all() {
            prop_assert!(sample.check(&[&sample.bytes[..], &[byte]].concat()).is_err());
            let bytes = damaged(&sample.bytes, how, at, byte);
            let _ = Sealed::decode(&bytes);
            if_it_decodes_it_encodes!(Op, &bytes);
            if_it_decodes_it_encodes!(Entity, &bytes);
            if_it_decodes_it_encodes!(Text, &bytes);
            if_it_decodes_it_encodes!(Value, &bytes);
            if_it_decodes_it_encodes!(Vector, &bytes);
            if_it_decodes_it_encodes!(SeqSet, &bytes);
        }
    }

    #[test]
    fn rubbish_is_an_error_or_a_value(bytes in vec(any::<u8>(), 0..64)) {
        let _ = Sealed::decode(&bytes);
        if_it_decodes_it_encodes!(Op, &bytes);
        if_it_decodes_it_encodes!(Entity, &bytes);
        if_it_decodes_it_encodes!(Text, &bytes);
        if_it_decodes_it_encodes!(Value, &bytes);
        if_it_decodes_it_encodes!(Vector, &bytes);
        if_it_decodes_it_encodes!(SeqSet, &bytes);
    }
}

#[test]
fn every_prefix_of_every_form_is_an_error() {
    for sample in samples::all() {
        for end in 0..sample.bytes.len() {
            assert!(sample.check(&sample.bytes[..end]).is_err(), "{} cut at {end}", sample.name);
        }
    }
}

#[test]
fn voids_share_one_fingerprint_whatever_they_carry() {
    let key = EntityKey::new("team/red", TypeId(1), "n-1");
    let a = Op::void(Dot::new(DeviceId::from_number(1), 4), key.clone(), "ana".into()).seal();
    let b = Op::void(Dot::new(DeviceId::from_number(2), 5), key, "bo".into()).seal();
    assert_ne!(a.payload, b.payload);
    assert_eq!((a.fingerprint, b.fingerprint), (Fingerprint([0; 16]), Fingerprint([0; 16])));
}

#[test]
fn a_reader_skips_fields_that_it_does_not_know() {
    let dot = Dot::new(DeviceId::from_number(1), 4);
    let key = EntityKey::new("team/red", TypeId(1), "n-1");
    let mut op = Op::void(dot, key, "ana".into());
    op.blobs = Some(vec![]);
    let mut bytes = to_bytes(&op);
    assert_eq!(bytes[0], 0x8b, "an array of eleven");
    bytes[0] = 0x8c;
    bytes.extend([0x82, 0x01, 0xf6]);
    assert_eq!(Sealed::decode(&bytes).unwrap().op, op);
}
