//! What every [`Store`] must do, checked the same way on all of them.
//!
//! Each function below takes one fresh, empty store (in an open transaction, where the store has
//! such) and asserts one group of the trait's sentences. Panics name the sentence that broke.

mod devices;
mod entities;
mod index;
mod logs;
mod texts;

use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, Scope, StreamId, TypeId};
use landfall_model::op::{Action, Change, FieldChange, Fingerprint, Op, Tx};
use landfall_model::stamp::Hlc;
use landfall_model::text::{Blob, Part, Text};
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, Vector};

use super::store::{DotRecord, Head, Identity, LogRow, Record, Refusal, Store};

/// Run all checks, each on a store of its own.
pub fn run<S: Store>(mut fresh: impl FnMut() -> S) {
    let checks: &[fn(&mut S)] = &[
        identity_is_kept,
        entities::entities_are_kept_whole,
        entities::entities_come_in_key_order,
        entities::children_are_listed_once,
        index::index_finds_what_is_above_the_cursor,
        index::index_knows_incarnations_apart,
        index::index_pages_in_key_order,
        index::entries_come_with_what_is_known_of_each,
        index::index_keeps_scopes_apart,
        index::index_holds_when_many_changed,
        texts::text_blobs_are_kept_by_name,
        texts::texts_since_gives_what_is_lacking,
        texts::folding_replaces_the_document,
        devices::devices_are_kept,
        devices::dots_keep_every_fingerprint,
        devices::dot_records_come_in_order,
        devices::refusals_are_kept_per_op,
        logs::logs_are_dense,
        logs::logs_are_read_in_portions,
        logs::logs_end_at_a_cut,
        numbers_may_be_as_large_as_they_get,
    ];
    checks.iter().for_each(|check| check(&mut fresh()));
}

fn identity_is_kept<S: Store>(s: &mut S) {
    assert_eq!(s.identity().unwrap(), None, "a new store belongs to nobody");
    let first = Identity { region: RegionId(3), incarnation: 1_700_000_000_000 };
    s.set_identity(first).unwrap();
    assert_eq!(s.identity().unwrap(), Some(first));
    let next = Identity { incarnation: 1_700_000_000_001, ..first };
    s.set_identity(next).unwrap();
    assert_eq!(s.identity().unwrap(), Some(next), "a new life replaces the old one");
}

/// Numbers in ops come from devices: no store may stumble over, or misplace, a large one.
fn numbers_may_be_as_large_as_they_get<S: Store>(s: &mut S) {
    let o =
        Origin { region: RegionId(u16::MAX), incarnation: u64::MAX, stream: StreamId(u16::MAX) };
    let numbers = [1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX];
    for n in numbers.into_iter().rev() {
        s.add_dot(dot(1, n), dot_record(1, at(o, n))).unwrap();
        s.touch("h", &key("h", 1, &format!("{n:020}")), o, n).unwrap();
    }
    let records = s.dot_records(DeviceId::from_number(1), 0, 9).unwrap();
    assert_eq!(records, numbers.map(|n| (n, dot_record(1, at(o, n)))));
    for (i, n) in numbers.into_iter().enumerate() {
        let cursor: Vector = [(o, n)].into_iter().collect();
        let changed = s.changed("h", &cursor, None, 9).unwrap();
        assert_eq!(changed.len(), 3 - i, "above {n}");
    }
    let refusal = Refusal { code: "c".into(), seq: u64::MAX, field: None, detail: String::new() };
    s.put_refusal(dot(1, u64::MAX), Fingerprint([9; 16]), &refusal).unwrap();
    assert_eq!(s.refusals(dot(1, u64::MAX)).unwrap(), [(Fingerprint([9; 16]), refusal)]);
    let identity = Identity { region: RegionId(u16::MAX), incarnation: u64::MAX };
    s.set_identity(identity).unwrap();
    assert_eq!(s.identity().unwrap(), Some(identity));
    s.put_cut(o, u64::MAX).unwrap();
    assert_eq!(s.cuts().unwrap(), [(o, u64::MAX)]);
}

// ---- material ----

fn key(home: &str, kind: u32, id: &str) -> EntityKey {
    EntityKey::new(home, TypeId(kind), id)
}

fn dot(device: u64, seq: u64) -> Dot {
    Dot::new(DeviceId::from_number(device), seq)
}

fn origin(region: u16, incarnation: u64, stream: u16) -> Origin {
    Origin { region: RegionId(region), incarnation, stream: StreamId(stream) }
}

fn at(origin: Origin, seq: u64) -> Position {
    Position { origin, seq }
}

fn ids(keys: Vec<EntityKey>) -> Vec<String> {
    keys.into_iter().map(|k| k.id.to_string()).collect()
}

fn head(seq: u64) -> Head {
    Head { seq, hash: log_row(seq).hash }
}

fn log_row(seq: u64) -> LogRow {
    LogRow { seq, entry: format!("entry {seq:20}").into_bytes(), hash: [seq as u8; 16] }
}

fn dot_record(fingerprint: u8, position: Position) -> DotRecord {
    let fingerprint = Fingerprint([fingerprint; 16]);
    DotRecord { fingerprint, position, tx: Tx { first: position.seq, count: u32::MAX } }
}

/// A record that differs for every `n`.
fn record(n: u64, scopes: &[&str]) -> Record {
    let dot = dot(n, n);
    let change = Change::Register { value: Value::Int(n as i64), replaced: None };
    let changes = vec![FieldChange { field: FieldId(1), change }];
    let mut op = Op::void(dot, key("h", 1, "x"), "user".into());
    op.hlc = Hlc(n);
    op.births = vec![dot];
    op.action = Action::Create { parent: None, changes };
    let mut entity = Entity::default();
    entity.apply(&op);
    let touch = [(origin(1, 1, 0), n), (origin(2, 1, 0), 1)].into_iter().collect();
    let named = |of: &[&str]| of.iter().map(|s| Scope::from(*s)).collect();
    Record { entity, touch, scopes: named(scopes), past: named(&["driver/past"]) }
}

/// Keys whose order is easily got wrong, in their order.
fn awkward_keys() -> Vec<EntityKey> {
    let keys = vec![
        key("", 0, ""),
        key("a", 1, "z"),
        key("a", 2, "a"),
        key("a", 255, ""),
        key("a", 256, ""),
        key("a", 0x7fff_ffff, "m"),
        key("a", u32::MAX, "m"),
        key("a\0", 1, "a"),
        key("a\0\u{1}", 1, "a"),
        key("a\u{1}", 1, "a"),
        key("a/b", 1, "a"),
        key("a/b", 1, "a\0"),
        key("a/b", 1, "a\0b"),
        key("a/b", 1, "ab"),
        key("aa", 1, ""),
        key("é", 1, "ü"),
        key("\u{ffff}", 1, ""),
        key("\u{10000}", 1, ""),
    ];
    assert!(keys.is_sorted());
    keys
}

type PartOf<'a> = (&'a [Dot], Option<&'a [u8]>, &'a [(Dot, &'a [u8])]);

fn text(parts: &[PartOf<'_>]) -> Text {
    let mut text = Text::default();
    for (births, snapshot, blobs) in parts {
        let updates = blobs.iter().map(|(d, b)| (*d, Blob(b.to_vec()))).collect();
        text.insert_part(births.to_vec(), Part { snapshot: snapshot.map(<[u8]>::to_vec), updates });
    }
    text
}
