//! What a region keeps, and the one trait through which the protocol reads and writes it.
//!
//! A `Store` value stands for an open transaction. The caller begins it, lets [`super::node`] work
//! on it, and commits it with an fsync; nothing that the work produced may leave the region before
//! that commit has returned. If the process dies earlier, it is as if nothing had happened. One
//! transaction at a time writes, so everything read here is one snapshot.
//!
//! Implementations hold no rules: each method does what its sentence says. The conformance suite
//! in [`super::conformance`] is run on all of them.

use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, Scope};
use landfall_model::op::{Fingerprint, Tx};
use landfall_model::text::Text;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::log::LogHash;

/// Who a store belongs to: set once, when it is made or restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub region: RegionId,
    pub incarnation: u64,
}

/// An entity as a region keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    pub entity: Entity,
    /// Per log, the last entry that touched the entity.
    pub touch: Vector,
    /// Every scope that holds it now: its home scope, and its audiences while it exists.
    pub scopes: BTreeSet<Scope>,
    /// Audiences that do not hold it now, and that held it once or that an op on it named. Grows
    /// with the audiences that an entity ever had, not with its history.
    pub past: BTreeSet<Scope>,
}

impl Record {
    /// The scope holds the entity, or may have at a region that received the same.
    pub fn was_in(&self, scope: &Scope) -> bool {
        self.scopes.contains(scope) || self.past.contains(scope)
    }
}

/// What is kept of a received op until its device has confirmed it and all regions hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DotRecord {
    pub fingerprint: Fingerprint,
    /// Where the op stands in a log: the first position that this region learned.
    pub position: Position,
    pub tx: Tx,
}

/// A refusal, durable where it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub code: String,
    /// Number of the op of the transaction that caused it.
    pub seq: u64,
    pub field: Option<FieldId>,
    pub detail: String,
}

/// What a region keeps of a device id for ever.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceRecord {
    pub received: SeqSet,
    /// Numbers that the device said it has retired.
    pub confirmed: SeqSet,
    /// Two files used this id.
    pub closed: bool,
    /// The subject that first pushed under it; others are refused.
    pub principal: Option<Arc<str>>,
}

/// Head of a log: its last number and the rolling hash there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    pub seq: u64,
    pub hash: LogHash,
}

/// One stored entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRow {
    pub seq: u64,
    pub entry: Vec<u8>,
    /// Rolling hash behind this entry.
    pub hash: LogHash,
}

/// Which blobs of a document a reader lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextRow {
    pub field: FieldId,
    pub text: Text,
}

pub trait Store {
    type Error: std::error::Error + Send + Sync + 'static;

    fn identity(&mut self) -> Result<Option<Identity>, Self::Error>;
    fn set_identity(&mut self, identity: Identity) -> Result<(), Self::Error>;

    // ---- entities ----

    fn entity(&mut self, key: &EntityKey) -> Result<Option<Record>, Self::Error>;
    /// Insert or replace. Membership of scopes is part of the record; the index is not touched.
    fn put_entity(&mut self, key: &EntityKey, record: Record) -> Result<(), Self::Error>;
    /// Note, once, that `child` hangs on `parent`; both are of one home scope.
    fn put_child(&mut self, parent: &EntityKey, child: &EntityKey) -> Result<(), Self::Error>;
    /// Children of an entity, ascending, whether the parent has arrived or not.
    fn children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Self::Error>;
    /// Entities after `after` in key order, at most `limit`: for digests and exports.
    fn entities(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Record)>, Self::Error>;

    // ---- documents ----

    /// The whole document of a text field; empty if there is none.
    fn text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Self::Error>;
    /// Add one op's blob to a part, remembering the position under which it came. A blob that is
    /// there already (same births and dot) gains the position.
    fn add_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        dot: Dot,
        blob: &[u8],
        position: Position,
    ) -> Result<(), Self::Error>;
    /// Replace the document by a folded one that covers `touch`. Blobs that it still has keep
    /// their positions; one of which none is known counts as come with `touch`.
    fn put_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        text: &Text,
        touch: &Vector,
    ) -> Result<(), Self::Error>;
    /// For each text field of the entity, what a reader at `cursor` lacks: the blobs with a
    /// position above the cursor, and the snapshots unless the cursor covers the vector that they
    /// were folded at. Sending more than is lacking is allowed; less is not. Fields ascend, and one
    /// that lacks nothing is left out.
    fn texts_since(
        &mut self,
        key: &EntityKey,
        cursor: &Vector,
    ) -> Result<Vec<TextRow>, Self::Error>;

    // ---- the change index ----

    /// The (scope, entity) entry covers `origin` up to `seq` at least. Never goes back.
    fn touch(
        &mut self,
        scope: &str,
        key: &EntityKey,
        origin: Origin,
        seq: u64,
    ) -> Result<(), Self::Error>;
    /// Entities of the scope whose entry is above `cursor` for some origin, in key order after
    /// `after`, at most `limit`.
    fn changed(
        &mut self,
        scope: &str,
        cursor: &Vector,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    /// What [`Store::changed`] gives who has nothing, each with what [`Store::entity`] has of it.
    fn entries(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Option<Record>)>, Self::Error> {
        let keys = self.changed(scope, &Vector::new(), after, limit)?;
        keys.into_iter().map(|key| self.entity(&key).map(|record| (key, record))).collect()
    }
    /// Bring every entry of the index that is above `last` for `origin` down to it, as a cut
    /// demands; to nothing if `last` is 0.
    fn clip_index(&mut self, origin: Origin, last: u64) -> Result<(), Self::Error>;
    /// How many entities the index has for the scope (for progress; may be an estimate).
    fn scope_size(&mut self, scope: &str) -> Result<u64, Self::Error>;

    // ---- devices and dots ----

    fn device(&mut self, device: DeviceId) -> Result<DeviceRecord, Self::Error>;
    fn put_device(&mut self, device: DeviceId, record: &DeviceRecord) -> Result<(), Self::Error>;
    /// All ops recorded under a dot: one, or several where a device id was forked. In order of
    /// arrival.
    fn dots(&mut self, dot: Dot) -> Result<Vec<DotRecord>, Self::Error>;
    /// A fingerprint that is already recorded under the dot keeps its record.
    fn add_dot(&mut self, dot: Dot, record: DotRecord) -> Result<(), Self::Error>;
    /// Numbers of a device that have a dot record, ascending, from `from` on, at most `limit`
    /// numbers, each with all of its records.
    fn dot_records(
        &mut self,
        device: DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DotRecord)>, Self::Error>;
    /// Forget the records of a device's dots from `first` to `last`.
    fn remove_dots(&mut self, device: DeviceId, first: u64, last: u64) -> Result<(), Self::Error>;
    /// What was refused under a dot: copies of a file may make several ops under one. Ascending.
    fn refusals(&mut self, dot: Dot) -> Result<Vec<(Fingerprint, Refusal)>, Self::Error>;
    /// Why the op of this fingerprint was refused, in place of what was said of it before.
    fn put_refusal(
        &mut self,
        dot: Dot,
        of: Fingerprint,
        refusal: &Refusal,
    ) -> Result<(), Self::Error>;
    /// The op of this fingerprint is not refused any more, if it was.
    fn remove_refusal(&mut self, dot: Dot, of: Fingerprint) -> Result<(), Self::Error>;

    // ---- logs ----

    /// Heads of all logs that this region holds, its own and its peers', by origin. An empty log
    /// has none.
    fn heads(&mut self) -> Result<Vec<(Origin, Head)>, Self::Error>;
    fn head(&mut self, origin: Origin) -> Result<Head, Self::Error>;
    /// Append the entry after the head. Implementations refuse a number that is not head + 1, and
    /// the transaction can go on.
    fn append(&mut self, origin: Origin, row: &LogRow) -> Result<(), Self::Error>;
    /// Entries after `after`, ascending, until `max_bytes` are exceeded; at least one if any.
    fn log(
        &mut self,
        origin: Origin,
        after: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogRow>, Self::Error>;
    /// Drop entries above `last` and set the head there, as a cut demands.
    fn truncate(&mut self, origin: Origin, last: u64) -> Result<(), Self::Error>;
    /// By origin; one for each log, the one noted last.
    fn cuts(&mut self) -> Result<Vec<(Origin, u64)>, Self::Error>;
    fn put_cut(&mut self, origin: Origin, last: u64) -> Result<(), Self::Error>;
}
