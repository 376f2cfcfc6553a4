//! A [`Store`] in memory: what the simulator runs on, and the plain model that every other store
//! is compared with.
//!
//! Nothing here is durable. A simulated disk is made of it by [`MemoryStore::begin`] and
//! [`MemoryStore::rollback`] (a crash before the commit), and by cloning (a backup, a machine that
//! is copied). Changes made outside of a transaction stand at once.
//!
//! Values are shared behind [`Arc`], so a clone copies names and pointers only, and a rollback
//! costs what the transaction changed and not what the store holds.

mod table;

use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope, TypeId};
use landfall_model::op::Fingerprint;
use landfall_model::text::{Blob, Part, Text};
use landfall_model::vector::{Origin, Position, Vector};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use super::store::{
    DeviceRecord, DotRecord, Head, Identity, LogRow, Record, Refusal, Store, TextRow,
};
use table::{Journaled, Table};

/// What a caller asked for that no correct caller asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    #[error("the log's head is {head}, so entry {got} does not follow")]
    NotNext { head: u64, got: u64 },
}

/// See the module's description.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    identity: Table<(), Identity>,
    entities: Table<EntityKey, Arc<Record>>,
    children: Table<(EntityKey, EntityKey), ()>,
    texts: Table<(EntityKey, FieldId), Arc<Document>>,
    index: Table<(Scope, EntityKey), Arc<Vector>>,
    devices: Table<DeviceId, Arc<DeviceRecord>>,
    dots: Table<Dot, Arc<Vec<DotRecord>>>,
    refusals: Table<(Dot, Fingerprint), Arc<Refusal>>,
    heads: Table<Origin, Head>,
    logs: Table<(Origin, u64), Arc<LogRow>>,
    cuts: Table<Origin, u64>,
}

/// A text field's document: its parts by births.
type Document = BTreeMap<Vec<Dot>, PartRow>;

#[derive(Clone, PartialEq, Debug, Default)]
struct PartRow {
    snapshot: Option<Arc<[u8]>>,
    /// The touch vector that the snapshot covers.
    folded: Vector,
    blobs: BTreeMap<Dot, BlobRow>,
}

/// A blob, with the highest position per origin under which it came. A reader lacks it if any of
/// them is above its cursor, and it is enough to know the highest.
#[derive(Clone, PartialEq, Debug)]
struct BlobRow {
    bytes: Arc<[u8]>,
    positions: Vector,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Start a transaction: from here on, a rollback leads back.
    pub fn begin(&mut self) {
        self.each_table(&mut |t| t.begin());
    }

    pub fn commit(&mut self) {
        self.each_table(&mut |t| t.commit());
    }

    /// Undo what happened since [`Self::begin`].
    pub fn rollback(&mut self) {
        self.each_table(&mut |t| t.rollback());
    }

    fn each_table(&mut self, f: &mut dyn FnMut(&mut dyn Journaled)) {
        f(&mut self.identity);
        f(&mut self.entities);
        f(&mut self.children);
        f(&mut self.texts);
        f(&mut self.index);
        f(&mut self.devices);
        f(&mut self.dots);
        f(&mut self.refusals);
        f(&mut self.heads);
        f(&mut self.logs);
        f(&mut self.cuts);
    }

    // ---- for checkers ----

    pub fn iter_entities(&self) -> impl Iterator<Item = (&EntityKey, &Record)> {
        self.entities.rows.iter().map(|(k, r)| (k, r.as_ref()))
    }

    /// (parent, child), ascending.
    pub fn iter_children(&self) -> impl Iterator<Item = (&EntityKey, &EntityKey)> {
        self.children.rows.keys().map(|(p, c)| (p, c))
    }

    pub fn iter_texts(&self) -> impl Iterator<Item = (&EntityKey, FieldId, Text)> {
        self.texts.rows.iter().map(|((k, f), d)| (k, *f, whole(d)))
    }

    /// The change index: (scope, entity, what its entry covers).
    pub fn iter_index(&self) -> impl Iterator<Item = (&Scope, &EntityKey, &Vector)> {
        self.index.rows.iter().map(|((s, k), v)| (s, k, v.as_ref()))
    }

    pub fn iter_devices(&self) -> impl Iterator<Item = (DeviceId, &DeviceRecord)> {
        self.devices.rows.iter().map(|(d, r)| (*d, r.as_ref()))
    }

    pub fn iter_dots(&self) -> impl Iterator<Item = (Dot, &[DotRecord])> {
        self.dots.rows.iter().map(|(d, r)| (*d, r.as_slice()))
    }

    pub fn iter_refusals(&self) -> impl Iterator<Item = (Dot, &Refusal)> {
        self.refusals.rows.iter().map(|((dot, _), r)| (*dot, r.as_ref()))
    }

    pub fn iter_heads(&self) -> impl Iterator<Item = (Origin, Head)> {
        self.heads.rows.iter().map(|(o, h)| (*o, *h))
    }

    /// All logs, by origin and number.
    pub fn iter_logs(&self) -> impl Iterator<Item = (Origin, &LogRow)> {
        self.logs.rows.iter().map(|((o, _), r)| (*o, r.as_ref()))
    }
}

impl Store for MemoryStore {
    type Error = Error;

    fn identity(&mut self) -> Result<Option<Identity>, Error> {
        Ok(self.identity.get(&()).copied())
    }

    fn set_identity(&mut self, identity: Identity) -> Result<(), Error> {
        self.identity.insert((), identity);
        Ok(())
    }

    fn entity(&mut self, key: &EntityKey) -> Result<Option<Record>, Error> {
        Ok(self.entities.get(key).map(|r| r.as_ref().clone()))
    }

    fn put_entity(&mut self, key: &EntityKey, record: Record) -> Result<(), Error> {
        self.entities.insert(key.clone(), Arc::new(record));
        Ok(())
    }

    fn put_child(&mut self, parent: &EntityKey, child: &EntityKey) -> Result<(), Error> {
        self.children.insert((parent.clone(), child.clone()), ());
        Ok(())
    }

    fn children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Error> {
        let rows = self.children.range((parent.clone(), first_key())..);
        Ok(rows.take_while(|((p, _), ())| p == parent).map(|((_, c), ())| c.clone()).collect())
    }

    fn entities(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Record)>, Error> {
        let start = after.map_or(Unbounded, |k| Excluded(k.clone()));
        let rows = self.entities.range((start, Unbounded)).take(limit);
        Ok(rows.map(|(k, r)| (k.clone(), r.as_ref().clone())).collect())
    }

    fn text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Error> {
        Ok(self.texts.get(&(key.clone(), field)).map_or_else(Text::default, |d| whole(d)))
    }

    fn add_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        dot: Dot,
        blob: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        let name = (key.clone(), field);
        let mut document = self.texts.get(&name).cloned().unwrap_or_default();
        let part = Arc::make_mut(&mut document).entry(births.to_vec()).or_default();
        let fresh = || BlobRow { bytes: blob.into(), positions: Vector::new() };
        part.blobs.entry(dot).or_insert_with(fresh).positions.advance_to(position);
        self.texts.insert(name, document);
        Ok(())
    }

    fn put_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        text: &Text,
        touch: &Vector,
    ) -> Result<(), Error> {
        let name = (key.clone(), field);
        let before = self.texts.get(&name).cloned().unwrap_or_default();
        let folded = |(births, part): (&[Dot], &Part)| {
            (births.to_vec(), fold(part, before.get(births), touch))
        };
        let parts = text.parts().filter(|(_, part)| **part != Part::default());
        let document: Document = parts.map(folded).collect();
        if document.is_empty() {
            self.texts.remove(&name);
        } else {
            self.texts.insert(name, Arc::new(document));
        }
        Ok(())
    }

    fn texts_since(&mut self, key: &EntityKey, cursor: &Vector) -> Result<Vec<TextRow>, Error> {
        let fields = self.texts.range((key.clone(), FieldId(0))..);
        let fields = fields.take_while(|((k, _), _)| k == key);
        let lacking = fields.map(|((_, f), d)| TextRow { field: *f, text: lacking(d, cursor) });
        Ok(lacking.filter(|row| !row.text.is_empty()).collect())
    }

    fn touch(
        &mut self,
        scope: &str,
        key: &EntityKey,
        origin: Origin,
        seq: u64,
    ) -> Result<(), Error> {
        let name = (Scope::from(scope), key.clone());
        let mut vector = self.index.get(&name).cloned().unwrap_or_default();
        if seq > vector.get(origin) {
            Arc::make_mut(&mut vector).advance(origin, seq);
            self.index.insert(name, vector);
        }
        Ok(())
    }

    fn changed(
        &mut self,
        scope: &str,
        cursor: &Vector,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let scope = Scope::from(scope);
        // Every entry has a position above zero, so no entry is covered by an empty cursor.
        let start = match after {
            Some(key) => Excluded((scope.clone(), key.clone())),
            None => Included((scope.clone(), first_key())),
        };
        let entries = self.index.range((start, Unbounded));
        let changed = entries
            .take_while(|((s, _), _)| *s == scope)
            .filter(|(_, vector)| !cursor.covers(vector))
            .map(|((_, key), _)| key.clone());
        Ok(changed.take(limit).collect())
    }

    fn scope_size(&mut self, scope: &str) -> Result<u64, Error> {
        let entries = self.index.range((Scope::from(scope), first_key())..);
        Ok(entries.take_while(|((s, _), _)| **s == *scope).count() as u64)
    }

    fn device(&mut self, device: DeviceId) -> Result<DeviceRecord, Error> {
        Ok(self.devices.get(&device).map(|r| r.as_ref().clone()).unwrap_or_default())
    }

    fn put_device(&mut self, device: DeviceId, record: &DeviceRecord) -> Result<(), Error> {
        self.devices.insert(device, Arc::new(record.clone()));
        Ok(())
    }

    fn dots(&mut self, dot: Dot) -> Result<Vec<DotRecord>, Error> {
        Ok(self.dots.get(&dot).map(|r| r.to_vec()).unwrap_or_default())
    }

    fn add_dot(&mut self, dot: Dot, record: DotRecord) -> Result<(), Error> {
        let mut records = self.dots.get(&dot).cloned().unwrap_or_default();
        if records.iter().all(|r| r.fingerprint != record.fingerprint) {
            Arc::make_mut(&mut records).push(record);
            self.dots.insert(dot, records);
        }
        Ok(())
    }

    fn dot_records(
        &mut self,
        device: DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DotRecord)>, Error> {
        let numbers = self.dots.range(Dot::new(device, from)..=Dot::new(device, u64::MAX));
        let records = numbers.take(limit).flat_map(|(d, rs)| rs.iter().map(|r| (d.seq, *r)));
        Ok(records.collect())
    }

    fn remove_dots(&mut self, device: DeviceId, first: u64, last: u64) -> Result<(), Error> {
        let range = Dot::new(device, first)..=Dot::new(device, last);
        let dots: Vec<Dot> = self.dots.range(range).map(|(dot, _)| *dot).collect();
        dots.iter().for_each(|dot| self.dots.remove(dot));
        Ok(())
    }

    fn refusals(&mut self, dot: Dot) -> Result<Vec<(Fingerprint, Refusal)>, Error> {
        let of = (dot, Fingerprint([0; 16]))..=(dot, Fingerprint([u8::MAX; 16]));
        Ok(self.refusals.range(of).map(|((_, of), r)| (*of, r.as_ref().clone())).collect())
    }

    fn put_refusal(&mut self, dot: Dot, of: Fingerprint, refusal: &Refusal) -> Result<(), Error> {
        self.refusals.insert((dot, of), Arc::new(refusal.clone()));
        Ok(())
    }

    fn remove_refusal(&mut self, dot: Dot, of: Fingerprint) -> Result<(), Error> {
        self.refusals.remove(&(dot, of));
        Ok(())
    }

    fn heads(&mut self) -> Result<Vec<(Origin, Head)>, Error> {
        Ok(self.iter_heads().collect())
    }

    fn head(&mut self, origin: Origin) -> Result<Head, Error> {
        Ok(self.heads.get(&origin).copied().unwrap_or_default())
    }

    fn append(&mut self, origin: Origin, row: &LogRow) -> Result<(), Error> {
        let head = self.head(origin)?.seq;
        if Some(row.seq) != head.checked_add(1) {
            return Err(Error::NotNext { head, got: row.seq });
        }
        self.logs.insert((origin, row.seq), Arc::new(row.clone()));
        self.heads.insert(origin, Head { seq: row.seq, hash: row.hash });
        Ok(())
    }

    fn log(&mut self, origin: Origin, after: u64, max_bytes: usize) -> Result<Vec<LogRow>, Error> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        let entries = self.logs.range((Excluded((origin, after)), Unbounded));
        for (_, row) in entries.take_while(|((o, _), _)| *o == origin) {
            bytes += row.entry.len();
            rows.push(row.as_ref().clone());
            if bytes > max_bytes {
                break;
            }
        }
        Ok(rows)
    }

    fn clip_index(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        let above: Vec<(Scope, EntityKey)> = self
            .index
            .rows
            .iter()
            .filter(|(_, vector)| vector.get(origin) > last)
            .map(|(name, _)| name.clone())
            .collect();
        for name in above {
            if let Some(mut vector) = self.index.get(&name).cloned() {
                Arc::make_mut(&mut vector).clip(origin, last);
                self.index.insert(name, vector);
            }
        }
        Ok(())
    }

    fn truncate(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        for seq in last.saturating_add(1)..=self.head(origin)?.seq {
            self.logs.remove(&(origin, seq));
        }
        if last == 0 {
            self.heads.remove(&origin);
        } else if let Some(row) = self.logs.get(&(origin, last)) {
            let head = Head { seq: last, hash: row.hash };
            self.heads.insert(origin, head);
        }
        Ok(())
    }

    fn cuts(&mut self) -> Result<Vec<(Origin, u64)>, Error> {
        Ok(self.cuts.rows.iter().map(|(o, last)| (*o, *last)).collect())
    }

    fn put_cut(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        self.cuts.insert(origin, last);
        Ok(())
    }
}

/// Nothing sorts before it.
fn first_key() -> EntityKey {
    EntityKey::new("", TypeId(0), "")
}

fn whole(document: &Document) -> Text {
    select(document, |_| true, |_| true)
}

/// What a reader at `cursor` lacks.
fn lacking(document: &Document, cursor: &Vector) -> Text {
    select(document, |p| !cursor.covers(&p.folded), |b| !cursor.covers(&b.positions))
}

fn select(
    document: &Document,
    snapshot: impl Fn(&PartRow) -> bool,
    blob: impl Fn(&BlobRow) -> bool,
) -> Text {
    let mut text = Text::default();
    for (births, row) in document {
        let blobs = row.blobs.iter().filter(|(_, b)| blob(b));
        let part = Part {
            snapshot: row.snapshot.as_ref().filter(|_| snapshot(row)).map(|s| s.to_vec()),
            updates: blobs.map(|(d, b)| (*d, Blob(b.bytes.to_vec()))).collect(),
        };
        if part != Part::default() {
            text.insert_part(births.clone(), part);
        }
    }
    text
}

/// A part as it is put. Where it is not known how a blob came, it counts as come with `touch`: it
/// is then sent too often rather than too rarely.
fn fold(part: &Part, before: Option<&PartRow>, touch: &Vector) -> PartRow {
    let known = |dot: &Dot| before.and_then(|p| p.blobs.get(dot));
    let row = |(dot, blob): (&Dot, &Blob)| {
        let positions = known(dot).map_or(touch, |b| &b.positions).clone();
        (*dot, BlobRow { bytes: blob.0.as_slice().into(), positions })
    };
    PartRow {
        snapshot: part.snapshot.as_deref().map(Arc::from),
        folded: touch.clone(),
        blobs: part.updates.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::id::{RegionId, StreamId};

    #[test]
    fn memory_does_what_every_store_does() {
        crate::region::conformance::run(MemoryStore::new);
    }

    #[test]
    fn a_rollback_leads_back_to_the_begin() {
        let key = EntityKey::new("s", TypeId(1), "a");
        let mut store = MemoryStore::new();
        store.put_entity(&key, Record::default()).unwrap();
        store.begin();
        let scopes = [Scope::from("s")].into();
        let record = Record { touch: Vector::new(), scopes, ..Record::default() };
        store.put_entity(&key, record.clone()).unwrap();
        store.put_entity(&EntityKey::new("s", TypeId(1), "b"), record.clone()).unwrap();
        store.put_entity(&key, record).unwrap();
        store.rollback();
        let left: Vec<_> = store.iter_entities().collect();
        assert_eq!(left, [(&key, &Record::default())]);
    }

    #[test]
    fn a_commit_cannot_be_rolled_back() {
        let mut store = MemoryStore::new();
        store.begin();
        store.put_cut(origin(), 7).unwrap();
        store.commit();
        store.rollback();
        assert_eq!(store.cuts().unwrap(), [(origin(), 7)]);
    }

    fn origin() -> Origin {
        Origin { region: RegionId(1), incarnation: 1, stream: StreamId(0) }
    }
}
