//! Ops: what devices made, as regions and devices take them in.

use crate::world;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::entity::{Entity, Living};
use landfall_model::id::FieldId;
use landfall_model::op::{Change, Fingerprint, Op, Sealed};
use landfall_model::text::{Text, blob_id};
use landfall_sync::log::Opened;
use landfall_sync::wire::{device_frame, peer_frame};
use std::collections::BTreeSet;

/// One op.
pub fn op(bytes: &[u8]) {
    let Ok(sealed) = Sealed::decode(bytes) else { return };
    let op = &sealed.op;
    assert_eq!(&*sealed.payload, bytes, "an op keeps the bytes that it came in");
    assert_eq!(sealed.fingerprint == Fingerprint::VOID, op.is_void());
    // A reader skips what it does not know, so the bytes may be longer than they need be.
    let again = op.clone().seal();
    assert_eq!(again.op, *op);
    assert_eq!(Sealed::decode(&again.payload).as_ref(), Ok(&again));
    if *again.payload == *bytes {
        assert_eq!(again.fingerprint, sealed.fingerprint);
    }
    assert!(op.tx.first <= op.dot.seq && op.dot.seq <= op.tx.last());
    let named = op.named_dots();
    assert!(named >= op.births.len());
    assert_eq!(op.hangs_on(|_| true), op.stands_on().is_some());
    assert!(!op.hangs_on(|_| false));
    let state = merged([op]);
    laws(&state, &Entity::default());
    laws(&state, &state);
    read(&state, op);
}

/// Ops of one entity, in any order: an entry of a log.
pub fn history(bytes: &[u8]) {
    let Ok(entry) = Opened::decode(bytes) else { return };
    let encoded = entry.to_bytes();
    assert_eq!(Opened::decode(&encoded).as_ref(), Ok(&entry));
    assert_eq!(entry.roll([7; 16], 9), entry.roll([7; 16], 9));
    assert_ne!(entry.roll([7; 16], 9), entry.roll([7; 16], 10));
    let mut dots = BTreeSet::new();
    let ops: Vec<&Op> =
        entry.ops().iter().map(|sealed| &sealed.op).filter(|op| dots.insert(op.dot)).collect();
    let forth = merged(ops.iter().copied());
    let back = merged(ops.iter().rev().copied());
    assert_eq!(forth, back, "the order of ops does not show");
    for cut in 0..ops.len() {
        let (head, tail) = (merged(ops[..cut].iter().copied()), merged(ops[cut..].iter().copied()));
        laws(&head, &tail);
        let mut joined = head;
        joined.join(&tail);
        let plain = |state: Entity| state.only(|field| !is_counted(&ops, field));
        assert_eq!(plain(joined), plain(forth.clone()), "a join is the state of all ops");
    }
    let mut text = Text::default();
    for sealed in entry.ops() {
        read(&forth, &sealed.op);
        for change in sealed.op.changes() {
            if let Change::Text(change) = &change.change {
                text.apply(&sealed.op.births, blob_id(sealed), &change.update);
            }
        }
    }
    crate::text::laws(&text);
}

/// Counters are sums: states of them do not join.
fn is_counted(ops: &[&Op], field: FieldId) -> bool {
    let counts = |change: &Change| matches!(change, Change::Counter(_) | Change::Carried(_));
    ops.iter().flat_map(|op| op.changes()).any(|c| c.field == field && counts(&c.change))
}

fn merged<'o>(ops: impl IntoIterator<Item = &'o Op>) -> Entity {
    let mut state = Entity::default();
    for op in ops {
        state.apply(op);
    }
    state
}

/// What joins of any two states keep to.
pub fn laws(a: &Entity, b: &Entity) {
    let joined = |a: &Entity, b: &Entity| {
        let mut joined = a.clone();
        joined.join(b);
        joined
    };
    let ab = joined(a, b);
    assert_eq!(joined(&ab, b), ab, "a state that is joined again changes nothing");
    assert_eq!(joined(&ab, a), ab, "a state holds what it was joined from");
    let bytes = to_bytes(&ab);
    let decoded: Entity = from_bytes(&bytes).expect("a state that was encoded decodes");
    assert_eq!(decoded, ab);
}

/// Everything that a reader may ask.
fn read(state: &Entity, op: &Op) {
    let fields: BTreeSet<FieldId> = op.changes().iter().map(|change| change.field).collect();
    for field in fields {
        state.register(field, &Living);
        state.set(field, &Living);
        state.counter(field, &Living);
        state.counts(field, &Living);
    }
    state.highest_hlc();
    state.highest_seq(op.dot.device);
    let (standing, living) = (state.standing(&Living), state.living().collect::<Vec<_>>());
    assert_eq!(standing, living, "of a root, what lives stands");
    assert_eq!(state.exists(&Living), !living.is_empty());
}

/// Payloads that devices have pushed.
pub fn payloads() -> Vec<Vec<u8>> {
    let pushed = world::conversation().to_region.into_iter().filter_map(|frame| match frame.kind {
        Some(device_frame::Kind::Push(push)) => Some(push.transactions),
        _ => None,
    });
    pushed.flatten().flat_map(|t| t.ops).map(|op| op.to_vec()).collect()
}

pub fn op_seeds() -> Vec<(String, Vec<u8>)> {
    crate::frames::numbered("op", payloads())
}

pub fn history_seeds() -> Vec<(String, Vec<u8>)> {
    let entries = world::conversation().to_peer.into_iter().filter_map(|(_, f)| match f.kind {
        Some(peer_frame::Kind::Entries(entries)) => Some(entries.batches),
        _ => None,
    });
    let logged = entries.flatten().flat_map(|b| b.entries).map(|entry| entry.to_vec());
    let all = payloads().iter().filter_map(|p| Sealed::decode(p).ok()).collect();
    let mut seeds = crate::frames::numbered("entry", logged);
    let whole = Opened::Ops { ops: all, fork: false, whole: None };
    seeds.push(("all".to_owned(), whole.to_bytes()));
    seeds
}
