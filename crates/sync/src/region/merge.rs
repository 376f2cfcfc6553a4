//! Merging one op into the store, and keeping the change index true to it.
//!
//! Called inside the region's transaction, for an op that a device pushed and for one that came by
//! a peer's log alike; the position tells which. Durable with the transaction.
//!
//! The index answers "what changed in this scope since that cursor?". What it must never miss: a
//! device that consumed some set of positions, at whatever regions, and whose rows differ from what
//! the same scope shows here, finds an entry above its cursor. Ops decide which scopes an entity
//! is in by its births, by the fields that audiences read, and by the same of its ancestors; call
//! those that touch any of them *moves*. Two rules suffice:
//!
//! 1. An op is indexed under its position in every scope that the merged entity is in.
//! 2. A move indexes the entity under its *whole* touch vector, in every audience that the entity
//!    is in, was in, or that any op on it ever named: a write that lost here may have won where the
//!    device was. What moves a parent moves its children, and a child that arrives joins its
//!    parent's touch vector and past.
//!
//! Why: if a scope shows an entity to the device and not here, or the reverse, then a move came
//! here that the cursor lacks. Either it came after some op had named the scope, and rule 2 put
//! its position there, or before, and the naming op, a move itself, put it there with the rest of
//! the touch vector. This needs each op to name its scope by itself: an audience reads one field
//! that can change (the schema refuses two, whose values different ops would combine), and what
//! cannot change is in the entity's key, there before its create. The home scope holds an entity
//! for ever and needs rule 1 alone. (A cursor moves only where a region covers it; that part is
//! the device's.)

use super::Core;
use super::parts::Here;
use super::store::{Record, Store};
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::entity::{Entity, Living, UnderParent};
use landfall_model::id::{DeviceId, EntityKey, FieldId, Scope};
use landfall_model::op::{Action, Change, Op, Sealed};
use landfall_model::schema::{Audience, Home};
use landfall_model::text::blob_id;
use landfall_model::value::Value;
use landfall_model::vector::{Origin, Position, Vector};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What one transaction of the store changed, for fan-out after it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Scope -> entities whose index entry moved there.
    pub touched: BTreeMap<Scope, BTreeSet<EntityKey>>,
    /// Positions that were added to logs.
    pub advanced: Vector,
    /// Devices whose received numbers grew.
    pub devices: BTreeSet<DeviceId>,
    /// What is here of transactions whose rest was pushed, by device and first number: many pushes
    /// of one turn may ask for the same.
    pub parts: BTreeMap<(DeviceId, u64), Here>,
    /// Logs that ended, each with the last number that counts.
    pub cuts: BTreeMap<Origin, u64>,
    /// Numbers of devices of which it was read what is kept.
    pub looked_up: u64,
}

/// The op as a planted fault has it merged.
fn mutated<'a>(op: &'a Op, entity: &Entity) -> Cow<'a, Op> {
    if mutant::active(Mutant::LastToComeWins) {
        let hlc = op.hlc.max(entity.highest_hlc().next());
        return Cow::Owned(Op { hlc, ..op.clone() });
    }
    if mutant::active(Mutant::RemovalWins) {
        let mut op = op.clone();
        let (Action::Create { changes, .. } | Action::Update(changes)) = &mut op.action else {
            return Cow::Owned(op);
        };
        for change in changes {
            let Change::Set { remove, .. } = &mut change.change else { continue };
            let there = entity.set(change.field, &Living);
            for removal in remove {
                removal.dots = there.get(&removal.value).cloned().unwrap_or_default();
            }
        }
        return Cow::Owned(op);
    }
    Cow::Borrowed(op)
}

/// Parents of parents are followed this far; the schema allows no cycle, a forged op might.
pub(super) const PARENTS_MAX: usize = 8;

impl Core {
    /// Bring one op into the state. `fresh` is false for a duplicate, which changes no value but
    /// still touches its entity under the new position.
    pub(super) fn merge<S: Store>(
        &self,
        store: &mut S,
        sealed: &Sealed,
        position: Position,
        fresh: bool,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        let op = &sealed.op;
        if op.is_void() {
            return Ok(());
        }
        if fresh {
            // Whoever refused it before, here it is.
            store.remove_refusal(op.dot, sealed.fingerprint)?;
        }
        let mut record = store.entity(&op.key)?.unwrap_or_default();
        self.add_texts(store, sealed, position, &record)?;
        if fresh {
            record.entity.apply(&mutated(op, &record.entity));
        }
        record.touch.advance_to(position);
        self.fold_texts(store, op, &record)?;
        let moves = self.moves(op);
        if moves {
            record.past.extend(self.named_scopes(op, &record.entity));
            self.join_parent(store, op, &mut record)?;
        }
        self.place(store, &op.key, record, moves, position, batch, 0)
    }

    /// True if the op may change which audiences see the entity or its children.
    fn moves(&self, op: &Op) -> bool {
        let Some(kind) = self.schema.entity(op.key.kind) else { return false };
        let read = |f: FieldId| kind.audiences.iter().any(|a| a.scope.fields().any(|r| r == f));
        !matches!(op.action, Action::Update(_)) || op.changes().iter().any(|c| read(c.field))
    }

    /// A child comes: what moved its parent before is as if it had moved both.
    fn join_parent<S: Store>(
        &self,
        store: &mut S,
        op: &Op,
        record: &mut Record,
    ) -> Result<(), S::Error> {
        let Some(parent) = record.entity.parent() else { return Ok(()) };
        let parent = EntityKey::new(op.key.home.clone(), parent.kind, parent.id.clone());
        store.put_child(&parent, &op.key)?;
        if let Some(above) = store.entity(&parent)? {
            record.touch.join(&above.touch);
            record.past.extend(above.past);
            record.past.extend(above.scopes);
        }
        Ok(())
    }

    /// Store a changed record, index it where it is, and take its children along if it moved.
    #[expect(clippy::too_many_arguments, reason = "one recursion, not an interface")]
    fn place<S: Store>(
        &self,
        store: &mut S,
        key: &EntityKey,
        mut record: Record,
        moves: bool,
        position: Position,
        batch: &mut Batch,
        depth: usize,
    ) -> Result<(), S::Error> {
        let under = self.under_parent(store, key, &record.entity, 0)?;
        let scopes = self.scopes(store, key, &record.entity, &under)?;
        let before = std::mem::replace(&mut record.scopes, scopes);
        record.past.extend(before);
        record.past.retain(|s| !record.scopes.contains(s) && *s != key.home);
        let touched = depth == 0;
        let Record { touch, scopes, past, .. } = &record;
        let at = Where { touch: touch.clone(), scopes: scopes.clone(), past: past.clone() };
        // The entity first: the index then finds its name.
        store.put_entity(key, record)?;
        index(store, key, &at, touched, moves, position, batch)?;
        let childless = self.schema.children(key.kind).next().is_none();
        if !moves || childless || depth == PARENTS_MAX {
            return Ok(());
        }
        for child in store.children(key)? {
            let mut below = store.entity(&child)?.unwrap_or_default();
            below.touch.join(&at.touch);
            below.past.extend(at.past.iter().chain(&at.scopes).cloned());
            self.place(store, &child, below, true, position, batch, depth + 1)?;
        }
        Ok(())
    }

    fn add_texts<S: Store>(
        &self,
        store: &mut S,
        sealed: &Sealed,
        position: Position,
        record: &Record,
    ) -> Result<(), S::Error> {
        let op = &sealed.op;
        if op.births.iter().all(|b| record.entity.is_dead(*b)) {
            return Ok(());
        }
        for change in op.changes() {
            if let Change::Text(text) = &change.change {
                let id = blob_id(sealed);
                let (key, field) = (&op.key, change.field);
                store.add_text(key, field, &op.births, id, &text.update, position)?;
            }
        }
        Ok(())
    }

    /// Now and then, fold a document's blobs into a snapshot. The op's own number is the dice, so
    /// that no count has to be kept; an unreadable document stays as it is.
    fn fold_texts<S: Store>(
        &self,
        store: &mut S,
        op: &Op,
        record: &Record,
    ) -> Result<(), S::Error> {
        let due = op.dot.seq.is_multiple_of(limits::TEXT_BLOBS_FOLD as u64);
        for change in op.changes().iter().filter(|_| due) {
            if !matches!(change.change, Change::Text(_)) {
                continue;
            }
            let mut text = store.text(&op.key, change.field)?;
            text.retain(|birth| !record.entity.is_dead(birth));
            if text.compact().is_ok() {
                store.put_text(&op.key, change.field, &text, &record.touch)?;
            }
        }
        Ok(())
    }

    /// Which births of an entity's parent have fallen.
    pub(super) fn under_parent<S: Store>(
        &self,
        store: &mut S,
        key: &EntityKey,
        entity: &Entity,
        depth: usize,
    ) -> Result<UnderParent, S::Error> {
        let Some(parent) = entity.parent().filter(|_| depth < PARENTS_MAX) else {
            return Ok(UnderParent::default());
        };
        let parent = EntityKey::new(key.home.clone(), parent.kind, parent.id.clone());
        let Some(record) = store.entity(&parent)? else { return Ok(UnderParent::default()) };
        let above = self.under_parent(store, &parent, &record.entity, depth + 1)?;
        Ok(UnderParent { fallen: record.entity.fallen(&above) })
    }

    /// The scopes that hold an entity: its home, and its audiences while it exists.
    fn scopes<S: Store>(
        &self,
        store: &mut S,
        key: &EntityKey,
        entity: &Entity,
        under: &UnderParent,
    ) -> Result<BTreeSet<Scope>, S::Error> {
        let mut scopes = BTreeSet::from([key.home.clone()]);
        if entity.exists(under) {
            scopes.extend(self.audiences(store, key, entity, under)?.into_iter().map(|(s, _)| s));
        }
        Ok(scopes)
    }

    /// The audiences of an entity with the scopes that they name now; a child has its parent's.
    /// Until the parent arrives there are none.
    pub(super) fn audiences<S: Store>(
        &self,
        store: &mut S,
        key: &EntityKey,
        entity: &Entity,
        under: &UnderParent,
    ) -> Result<Vec<(Scope, &Audience)>, S::Error> {
        let Some(kind) = self.schema.entity(key.kind) else { return Ok(Vec::new()) };
        match (&kind.home, entity.parent()) {
            (Home::Scope(_), _) => {
                Ok(kind.audience_scopes(key, |f| entity.register(f, under).map(|w| &w.value)))
            }
            (Home::Parent { .. }, Some(parent)) => {
                let mut key = EntityKey::new(key.home.clone(), parent.kind, parent.id.clone());
                for _ in 0..PARENTS_MAX {
                    let Some(record) = store.entity(&key)? else { return Ok(Vec::new()) };
                    let under = self.under_parent(store, &key, &record.entity, 0)?;
                    if !record.entity.exists(&under) {
                        return Ok(Vec::new());
                    }
                    match record.entity.parent() {
                        Some(p) => key = EntityKey::new(key.home.clone(), p.kind, p.id.clone()),
                        None => {
                            let Some(kind) = self.schema.entity(key.kind) else { break };
                            let entity = &record.entity;
                            let value = |f| entity.register(f, &under).map(|w| &w.value);
                            return Ok(kind.audience_scopes(&key, value));
                        }
                    }
                }
                Ok(Vec::new())
            }
            (Home::Parent { .. }, None) => Ok(Vec::new()),
        }
    }

    /// The audiences that decide whether an op may be written: those of the entity as it is, or as
    /// a create would make it.
    pub(super) fn audiences_after<S: Store>(
        &self,
        store: &mut S,
        op: &Op,
    ) -> Result<Vec<(Scope, &Audience)>, S::Error> {
        let mut entity = store.entity(&op.key)?.map(|r| r.entity).unwrap_or_default();
        if op.is_create() {
            entity.apply(op);
        }
        let under = self.under_parent(store, &op.key, &entity, 0)?;
        self.audiences(store, &op.key, &entity, &under)
    }

    /// The audience scopes that an op's own writes name, whatever came of them.
    fn named_scopes(&self, op: &Op, entity: &Entity) -> Vec<Scope> {
        let Some(kind) = self.schema.entity(op.key.kind) else { return Vec::new() };
        if mutant::active(Mutant::LoserLeaveMissing) {
            return Vec::new();
        }
        let written: BTreeMap<_, &Value> = op
            .changes()
            .iter()
            .filter_map(|c| match &c.change {
                Change::Register { value, .. } => Some((c.field, value)),
                _ => None,
            })
            .collect();
        let under = UnderParent::default();
        let value = |f| {
            let merged = || entity.register(f, &under).map(|w| &w.value);
            written.get(&f).copied().or_else(merged)
        };
        kind.audience_scopes(&op.key, value).into_iter().map(|(scope, _)| scope).collect()
    }
}

/// What the index and an entity's children need of its record.
struct Where {
    touch: Vector,
    scopes: BTreeSet<Scope>,
    past: BTreeSet<Scope>,
}

/// The two rules of the index. `touched` tells an entity with an op of its own from one that
/// follows its parent, of which its home has nothing to hear.
fn index<S: Store>(
    store: &mut S,
    key: &EntityKey,
    at: &Where,
    touched: bool,
    moves: bool,
    position: Position,
    batch: &mut Batch,
) -> Result<(), S::Error> {
    let past = at.past.iter().filter(|_| moves);
    let hears = |s: &&Scope| touched || **s != key.home;
    for scope in at.scopes.iter().filter(hears).chain(past) {
        if moves && *scope != key.home && !mutant::active(Mutant::IndexUnderPositionOnly) {
            for (origin, seq) in at.touch.iter() {
                store.touch(scope, key, origin, seq)?;
            }
        } else {
            store.touch(scope, key, position.origin, position.seq)?;
        }
        batch.touched.entry(scope.clone()).or_default().insert(key.clone());
    }
    Ok(())
}
