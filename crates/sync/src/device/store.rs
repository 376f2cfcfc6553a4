//! What a device keeps, and the one trait through which the protocol reads and writes it.
//!
//! A `Store` value stands for an open transaction on the device's file. The caller begins it, lets
//! [`super::node`] work on it, and commits. Two strengths of commit: a *local* commit may be lost
//! with the power (not with the process); a *durable* one has reached the disk, together with
//! every commit before it. Nothing is sent before a durable commit of the transaction that holds
//! it: [`super::node::Output::durable`] says when one is due.
//!
//! Numbers and clock readings are allocated inside the transaction, so several processes may write
//! one file. Implementations hold no rules.

use landfall_model::entity::{Counts, Entity};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, Scope, TypeId};
use landfall_model::op::Sealed;
use landfall_model::stamp::{Hlc, Stamp};
use landfall_model::text::Text;
use landfall_model::value::Value;
use landfall_model::vector::{Position, SeqSet, Vector};
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The scalars of a device file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// The id under which new ops are made.
    pub device: DeviceId,
    /// The last number given under `device`.
    pub last_seq: u64,
    /// The highest number under `device` that may have left this file.
    pub sent_seq: u64,
    /// Last clock reading given or observed.
    pub clock: Hlc,
    /// Last clock reading observed in what was read. A reading that was given too high may be
    /// taken back to here, never below.
    pub read: Hlc,
    /// Estimated server time minus device time, milliseconds.
    pub offset_ms: i64,
    /// Earlier ids of this file that may still have ops in the outbox.
    pub former: Vec<DeviceId>,
    /// Orders ops of this file across its ids; the last one given.
    pub last_order: u64,
}

/// What regions have confirmed of an entity.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Base {
    pub entity: Entity,
    /// All of the entity is as of this, and its counters are no further.
    pub touch: Vector,
    /// Rows that were joined without covering `touch`: all but the counters has them in it, too.
    pub joined: Vector,
    /// Scopes that hold the row on this device; gone with the last one.
    pub holds: BTreeSet<Scope>,
}

impl Base {
    /// Everything that is in the row somewhere.
    pub fn known(&self) -> Vector {
        let mut known = self.touch.clone();
        known.join(&self.joined);
        known
    }
}

/// Where an own op stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpState {
    /// Never left the device; may still be rewritten.
    Unsent,
    /// May have reached these regions; `refused_by` of them have answered with a refusal.
    Sent { regions: BTreeSet<RegionId>, refused_by: BTreeSet<RegionId> },
    /// A region has it, at this position.
    Accepted { position: Position },
    /// Held by enough regions: out of the outbox, kept only while it is in the overlay.
    Durable { position: Position },
    /// Finally refused; kept until the app fixes or dismisses it. Not in the overlay.
    Rejected { code: String, field: Option<FieldId>, detail: String },
}

/// An own op: in the outbox until durable, in the overlay until its effect is in the base row.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnOp {
    /// Local order; ascending in order of writing.
    pub order: u64,
    pub sealed: Sealed,
    pub state: OpState,
    /// Applied over the base row.
    pub overlay: bool,
}

impl OwnOp {
    /// Something is still to be sent or to be heard about it.
    pub fn in_outbox(&self) -> bool {
        !matches!(self.state, OpState::Durable { .. } | OpState::Rejected { .. })
    }
}

/// A subscribed scope and how far it has been consumed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subscription {
    pub cursor: Vector,
    /// A catch-up pass under way: the region's vector at its start (the minimum of all regions
    /// that it went through), and the last key taken.
    pub pass: Option<Pass>,
    /// Consumed of a region that does not cover the cursor.
    pub provisional: Option<(RegionId, Vector)>,
    /// Never completed a pass, or a pass longer than one transaction is under way.
    pub loading: bool,
    pub rows_taken: u64,
    pub rows_total: u64,
    /// Refused by the region, with the error's code.
    pub denied: Option<String>,
    /// What the app wants held of the scope.
    pub terms: Terms,
    /// When the app last asked for it, in the device's milliseconds; for `terms.ttl_ms`.
    pub asked_ms: i64,
    /// Server time at which the last pass was complete.
    pub synced_ms: i64,
    /// Rows of the scope are missing here for want of room: left out of a first pass, or evicted.
    pub short: bool,
}

/// How much of a scope a subscription holds. The default is all of it, for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Only what is younger than this, in milliseconds, by the window field of its type or of its
    /// parent's; types without one are held whatever their age.
    pub keep_ms: Option<u64>,
    /// Rows of higher ones come first and are evicted last.
    pub priority: u8,
    /// At most so many rows.
    pub rows_max: Option<u64>,
    /// At most so many bytes of row state, as regions send it.
    pub bytes_max: Option<u64>,
    /// Let go of the scope by itself, this long after the app last asked for it.
    pub ttl_ms: Option<u64>,
}

impl Terms {
    /// Some rows of the scope may not be held.
    pub fn is_partial(&self) -> bool {
        self.keep_ms.is_some() || self.is_bounded()
    }

    pub fn is_bounded(&self) -> bool {
        self.rows_max.is_some() || self.bytes_max.is_some()
    }

    /// True if there may be rows that these terms hold and `before` did not.
    pub fn exceed(&self, before: &Self) -> bool {
        let more = |now: Option<u64>, was: Option<u64>| match (now, was) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(now), Some(was)) => now > was,
        };
        more(self.keep_ms, before.keep_ms)
            || more(self.rows_max, before.rows_max)
            || more(self.bytes_max, before.bytes_max)
    }
}

impl Subscription {
    /// The same terms with nothing consumed: what they hold was not all asked for, or is gone.
    pub fn from_the_start(self) -> Self {
        let (cursor, short) = (Vector::new(), false);
        Self { cursor, pass: None, provisional: None, loading: true, short, ..self }
    }

    /// Rows of the scope may be missing here though its passes are complete.
    pub fn is_partial(&self) -> bool {
        self.short || self.terms.is_partial()
    }
}

/// What a scope holds here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    pub rows: u64,
    /// Of row state, texts left out.
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pass {
    pub start: Vector,
    pub after: Option<EntityKey>,
    /// The vector that the pass was asked from.
    pub from: Vector,
}

/// A durable outcome that the app should hear of and may dismiss.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A region refused the write; the op is kept for fixing.
    Rejected { code: String, field: Option<FieldId>, detail: String },
    /// Another write won over this one, and its author had not seen it.
    Overwritten { field: FieldId, lost: Value, by: Stamp },
    /// The entity had been deleted when the write arrived.
    Deleted,
    /// The row left this device's scopes before the write was sent.
    Left,
    /// What had been read was lost with a region and rolled back.
    RolledBack,
}

/// What shows of an entity: base and overlay together, ready for a typed table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct View {
    /// Registers that hold a value.
    pub registers: BTreeMap<FieldId, Value>,
    pub sets: BTreeMap<FieldId, Vec<Value>>,
    pub counters: BTreeMap<FieldId, i64>,
    pub texts: BTreeMap<FieldId, String>,
    /// What `SET_NULL` references hold, shown or not; see [`super::references`].
    pub references: BTreeMap<FieldId, Referred>,
    /// Some of it is not yet held by enough regions.
    pub pending: bool,
}

/// What a reference holds, and whether that entity is known to be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referred {
    pub kind: TypeId,
    pub id: String,
    /// The field shows NULL instead.
    pub gone: bool,
}

/// A deletion that this device made or was told of, with what it takes to undo it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Deletion {
    /// The entity, and behind it what stood below it, parents before their children.
    #[n(0)]
    pub rows: Vec<LastValues>,
    /// The own op that deleted it, and its stamp; of a deletion by others regions tell neither.
    #[n(1)]
    pub own: Option<(Dot, Stamp)>,
    /// When this device deleted it or was told, in estimated server time, milliseconds since 1970.
    #[n(2)]
    pub seen_ms: i64,
}

/// What an entity showed last.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct LastValues {
    #[n(0)]
    pub key: EntityKey,
    /// The parent that it was created under: type and id, in the same home scope.
    #[n(1)]
    pub parent: Option<ParentName>,
    #[n(2)]
    pub registers: BTreeMap<FieldId, Value>,
    #[n(3)]
    pub sets: BTreeMap<FieldId, Vec<Value>>,
    /// Sums, of deletions that were kept before counts were.
    #[n(4)]
    pub counters: BTreeMap<FieldId, i64>,
    /// Documents with their history, as one update each.
    #[n(5)]
    pub documents: BTreeMap<FieldId, Document>,
    /// Texts whose history could not be had.
    #[n(6)]
    pub texts: BTreeMap<FieldId, String>,
    /// What counters showed, by the births that it was counted on.
    #[n(7)]
    #[cbor(skip_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<FieldId, Counts>,
}

/// A parent's type and id.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ParentName {
    #[n(0)]
    pub kind: TypeId,
    #[n(1)]
    #[cbor(with = "landfall_model::id::arc_str")]
    pub id: Arc<str>,
}

/// A document as one Loro update.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct Document(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

/// A version of a document that enough regions are known to hold, in the part of these births.
/// Later edits are sent as what came after it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TextMark {
    pub births: Vec<Dot>,
    /// [`landfall_model::text::Version`], encoded.
    pub version: Vec<u8>,
}

pub trait Store {
    type Error: std::error::Error + Send + Sync + 'static;

    /// `None` for a fresh file.
    fn meta(&mut self) -> Result<Option<Meta>, Self::Error>;
    fn put_meta(&mut self, meta: &Meta) -> Result<(), Self::Error>;

    // ---- base rows ----

    fn base(&mut self, key: &EntityKey) -> Result<Option<Base>, Self::Error>;
    fn put_base(&mut self, key: &EntityKey, base: &Base) -> Result<(), Self::Error>;
    /// [`Store::put_base`] where there is none. `state` is the entity, encoded.
    fn add_base(&mut self, key: &EntityKey, base: &Base, state: &[u8]) -> Result<(), Self::Error>;
    /// Names from `first` to `last`, both included, of which there is a base row, an own op or an own
    /// birth, in any order, some more than once; at most `limit` in all.
    fn known(
        &mut self,
        first: &EntityKey,
        last: &EntityKey,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    /// Its holds, texts and text marks go with it.
    fn remove_base(&mut self, key: &EntityKey) -> Result<(), Self::Error>;
    /// Base rows that a scope holds, in key order after `after`.
    fn held_by(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    /// How much a scope holds.
    fn held(&mut self, scope: &str) -> Result<Held, Self::Error>;
    /// Base rows that a scope holds, the ones that are here for longest first where that is known,
    /// without the first `skip`.
    fn longest_held(
        &mut self,
        scope: &str,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    /// Rows of a type that show a value below `floor` in a register, in key order after `after`.
    fn older(
        &mut self,
        kind: TypeId,
        field: FieldId,
        floor: &Value,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    /// The app wants the row kept, whatever its age and however little room there is.
    fn put_pin(&mut self, key: &EntityKey, pinned: bool) -> Result<(), Self::Error>;
    fn is_pinned(&mut self, key: &EntityKey) -> Result<bool, Self::Error>;
    /// Ascending.
    fn pins(&mut self) -> Result<Vec<EntityKey>, Self::Error>;
    /// Base rows in key order after `after`.
    fn bases(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Base)>, Self::Error>;
    fn base_text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Self::Error>;
    /// Tells base texts apart: the same only for the same text, `None` for none. Cheap, whatever
    /// the length of the text.
    fn text_print(&mut self, key: &EntityKey, field: FieldId) -> Result<Option<u64>, Self::Error>;
    /// An empty text removes it.
    fn put_base_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        text: &Text,
    ) -> Result<(), Self::Error>;
    /// Note, once, that `child` hangs on `parent` (from a base row or an own op).
    fn put_child(&mut self, parent: &EntityKey, child: &EntityKey) -> Result<(), Self::Error>;
    fn children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Self::Error>;

    /// Names of this type and id in any home scope, among base rows and own ops; ascending.
    fn find(&mut self, kind: TypeId, id: &str) -> Result<Vec<EntityKey>, Self::Error>;
    /// Gone with the base row. `None` removes it.
    fn put_text_mark(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        mark: Option<&TextMark>,
    ) -> Result<(), Self::Error>;
    fn text_mark(
        &mut self,
        key: &EntityKey,
        field: FieldId,
    ) -> Result<Option<TextMark>, Self::Error>;

    // ---- own ops ----

    fn put_op(&mut self, op: &OwnOp) -> Result<(), Self::Error>;
    /// Keep another state, or another word on the overlay, of an op that is kept.
    fn put_op_state(&mut self, op: &OwnOp) -> Result<(), Self::Error>;
    fn op(&mut self, dot: Dot) -> Result<Option<OwnOp>, Self::Error>;
    fn remove_op(&mut self, dot: Dot) -> Result<(), Self::Error>;
    /// Own ops of an entity, by `order`.
    fn ops_on(&mut self, key: &EntityKey) -> Result<Vec<OwnOp>, Self::Error>;
    /// Own ops that are in the outbox, by `order` after `after`, at most `limit`.
    fn outbox(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Self::Error>;
    /// Own ops that are not unsent, by `order` after `after`, at most `limit`.
    fn ops_that_left(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Self::Error>;
    /// All own ops that are kept, in whatever state, by `order` after `after`, at most `limit`.
    fn ops(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Self::Error>;
    /// The void that takes an op's number once the op is finally refused. The op itself stays
    /// under the same dot, for the app; a void is in no overlay and on no entity.
    fn put_void(&mut self, void: &OwnOp) -> Result<(), Self::Error>;
    fn void(&mut self, dot: Dot) -> Result<Option<OwnOp>, Self::Error>;
    /// All voids, by `order`.
    fn voids(&mut self) -> Result<Vec<OwnOp>, Self::Error>;
    fn remove_void(&mut self, dot: Dot) -> Result<(), Self::Error>;
    /// Retired numbers that no region has yet been told about.
    fn unconfirmed(&mut self) -> Result<Vec<(DeviceId, SeqSet)>, Self::Error>;
    fn add_unconfirmed(&mut self, device: DeviceId, seq: u64) -> Result<(), Self::Error>;
    fn clear_unconfirmed(&mut self, device: DeviceId, seqs: &SeqSet) -> Result<(), Self::Error>;
    /// The device's own living birth of an id, kept past eviction.
    fn own_birth(&mut self, key: &EntityKey) -> Result<Option<Dot>, Self::Error>;
    fn put_own_birth(&mut self, key: &EntityKey, birth: Option<Dot>) -> Result<(), Self::Error>;

    // ---- scopes ----

    fn subscriptions(&mut self) -> Result<Vec<(Scope, Subscription)>, Self::Error>;
    fn subscription(&mut self, scope: &str) -> Result<Option<Subscription>, Self::Error>;
    fn put_subscription(&mut self, scope: &str, sub: &Subscription) -> Result<(), Self::Error>;
    fn remove_subscription(&mut self, scope: &str) -> Result<(), Self::Error>;
    /// Rows to ask for by name.
    fn add_refetch(&mut self, scope: &str, key: &EntityKey) -> Result<(), Self::Error>;
    /// Ascending, after `after`, at most `limit`.
    fn refetches(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    fn remove_refetch(&mut self, scope: &str, key: &EntityKey) -> Result<(), Self::Error>;
    /// Rows removed by a position that may yet be cut off: scope, key and touch vector.
    fn add_removed(
        &mut self,
        scope: &str,
        key: &EntityKey,
        touch: &Vector,
    ) -> Result<(), Self::Error>;
    fn removed(&mut self) -> Result<Vec<(Scope, EntityKey, Vector)>, Self::Error>;
    fn forget_removed(&mut self, scope: &str, key: &EntityKey) -> Result<(), Self::Error>;
    /// Cuts that have been applied.
    fn cuts(&mut self) -> Result<BTreeMap<landfall_model::vector::Origin, u64>, Self::Error>;
    fn put_cut(
        &mut self,
        origin: landfall_model::vector::Origin,
        last: u64,
    ) -> Result<(), Self::Error>;

    // ---- deletions that can be undone ----

    /// Keep a deletion, in place of an earlier one of the entity, or forget it.
    fn put_deletion(
        &mut self,
        key: &EntityKey,
        deletion: Option<&Deletion>,
    ) -> Result<(), Self::Error>;
    fn deletion(&mut self, key: &EntityKey) -> Result<Option<Deletion>, Self::Error>;
    /// Forget all but the latest: no more than `count`, nor more than `bytes` in all.
    fn trim_deletions(&mut self, count: usize, bytes: usize) -> Result<(), Self::Error>;
    /// Forget those of a home scope.
    fn forget_deletions(&mut self, home: &str) -> Result<(), Self::Error>;

    // ---- what the app sees ----

    /// Entities whose rows were last shown with a reference of [`View::references`] to this id that
    /// was `gone`, or was not.
    fn referrers(
        &mut self,
        kind: TypeId,
        id: &str,
        gone: bool,
    ) -> Result<Vec<EntityKey>, Self::Error>;
    /// Write the typed row, or remove it.
    fn show(&mut self, key: &EntityKey, view: Option<&View>) -> Result<(), Self::Error>;
    /// Keep an outcome of an own op until the app dismisses it. Same op and kind: once. Returns
    /// true if it is new.
    fn add_outcome(
        &mut self,
        dot: Dot,
        key: &EntityKey,
        outcome: &Outcome,
    ) -> Result<bool, Self::Error>;
    /// Forget all outcomes of an op.
    fn remove_outcomes(&mut self, dot: Dot) -> Result<(), Self::Error>;
}
