//! Merging one op into the store, and keeping the change index true to it.
//!
//! Called inside the region's transaction, for an op that a device pushed and for one that came by
//! a peer's log alike; the position tells which. Durable with the transaction.
//!
//! The index answers "what changed in this scope since that cursor?". Three rules keep it right
//! when audience fields change hands, concurrently, at regions that devices move between:
//!
//! 1. An entity that enters or leaves a scope is indexed there under its *whole* touch vector. A
//!    device may have consumed the op's position elsewhere, where the op had another effect.
//! 2. An op that names a scope which the merged entity is not in (its write lost, or the entity is
//!    dead) indexes the entity there in the same way: at another region it may have shown there.
//! 3. Children follow their parent: what moves the parent touches them too.
//!
//! (The fourth part, that a cursor moves only where a region covers it, is the device's.)

use super::Core;
use super::store::{Record, Store};
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::entity::{Entity, UnderParent};
use landfall_model::id::{DeviceId, EntityKey, Scope};
use landfall_model::op::{Action, Change, Op, Sealed};
use landfall_model::schema::{Audience, EntityType, Home, ScopeTemplate};
use landfall_model::text::blob_id;
use landfall_model::value::Value;
use landfall_model::vector::{Position, Vector};
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
}

/// Parents of parents are followed this far; the schema allows no cycle, a forged op might.
const PARENTS_MAX: usize = 8;

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
        let mut record = store.entity(&op.key)?.unwrap_or_default();
        let under = self.under_parent(store, &op.key, &record.entity, 0)?;
        let fallen_before = record.entity.fallen(&under);
        self.add_texts(store, sealed, position, &record)?;
        if fresh {
            record.entity.apply(op);
            if let Action::Create { parent: Some(p), .. } = &op.action {
                let parent = EntityKey::new(op.key.home.clone(), p.kind, p.id.clone());
                store.put_child(&parent, &op.key)?;
            }
        }
        record.touch.advance_to(position);
        self.fold_texts(store, op, &record)?;
        let under = self.under_parent(store, &op.key, &record.entity, 0)?;
        let scopes = self.scopes(store, &op.key, &record.entity, &under)?;
        let lost: BTreeSet<Scope> = self
            .named_scopes(op, &record.entity, &under)
            .into_iter()
            .filter(|s| !scopes.contains(s) && !mutant::active(Mutant::LoserLeaveMissing))
            .collect();
        let before = std::mem::replace(&mut record.scopes, scopes);
        index(store, &op.key, &before, &record, &lost, position, batch)?;
        store.put_entity(&op.key, &record)?;
        let moved = before != record.scopes
            || !lost.is_empty()
            || fallen_before != record.entity.fallen(&under);
        if moved {
            self.touch_children(store, &op.key, &record.touch, &lost, position, batch, 0)?;
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

    /// The parent moved: its descendants enter and leave scopes with it.
    #[expect(clippy::too_many_arguments, reason = "one recursion, not an interface")]
    fn touch_children<S: Store>(
        &self,
        store: &mut S,
        parent: &EntityKey,
        touch: &Vector,
        lost: &BTreeSet<Scope>,
        position: Position,
        batch: &mut Batch,
        depth: usize,
    ) -> Result<(), S::Error> {
        if depth == PARENTS_MAX {
            return Ok(());
        }
        for key in store.children(parent)? {
            let mut record = store.entity(&key)?.unwrap_or_default();
            record.touch.join(touch);
            let under = self.under_parent(store, &key, &record.entity, 0)?;
            let scopes = self.scopes(store, &key, &record.entity, &under)?;
            let lost = lost.iter().filter(|s| !scopes.contains(*s)).cloned().collect();
            let before = std::mem::replace(&mut record.scopes, scopes);
            index(store, &key, &before, &record, &lost, position, batch)?;
            store.put_entity(&key, &record)?;
            self.touch_children(store, &key, &record.touch, &lost, position, batch, depth + 1)?;
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
            (Home::Scope(_), _) => Ok(audiences_of(kind, key, entity, under)),
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
                            return Ok(audiences_of(kind, &key, &record.entity, &under));
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
    fn named_scopes(&self, op: &Op, entity: &Entity, under: &UnderParent) -> Vec<Scope> {
        let Some(kind) = self.schema.entity(op.key.kind) else { return Vec::new() };
        let written: BTreeMap<_, &Value> = op
            .changes()
            .iter()
            .filter_map(|c| match &c.change {
                Change::Register { value, .. } => Some((c.field, value)),
                _ => None,
            })
            .collect();
        let id = Value::text(&*op.key.id);
        let names = |t: &ScopeTemplate| {
            let hit = t.fields().any(|f| written.contains_key(&f));
            let value = |f| {
                let merged = || entity.register(f, under).map(|w| &w.value);
                if Some(f) == kind.id_field() {
                    Some(&id)
                } else {
                    written.get(&f).copied().or_else(merged)
                }
            };
            hit.then(|| t.render(value)).flatten()
        };
        kind.audiences.iter().filter_map(|a| names(&a.scope)).collect()
    }
}

fn audiences_of<'a>(
    kind: &'a EntityType,
    key: &EntityKey,
    entity: &Entity,
    under: &UnderParent,
) -> Vec<(Scope, &'a Audience)> {
    let id = Value::text(&*key.id);
    let value = |f| {
        let register = || entity.register(f, under).map(|w| &w.value);
        if Some(f) == kind.id_field() { Some(&id) } else { register() }
    };
    kind.audiences.iter().filter_map(|a| Some((a.scope.render(value)?, a))).collect()
}

/// Move the entity's index entries: under the whole touch vector where it entered, left or lost,
/// under the position alone where it stays.
fn index<S: Store>(
    store: &mut S,
    key: &EntityKey,
    before: &BTreeSet<Scope>,
    record: &Record,
    lost: &BTreeSet<Scope>,
    position: Position,
    batch: &mut Batch,
) -> Result<(), S::Error> {
    for scope in before.union(&record.scopes).chain(lost) {
        let stays = before.contains(scope) && record.scopes.contains(scope)
            || mutant::active(Mutant::IndexUnderPositionOnly);
        if stays {
            store.touch(scope, key, position.origin, position.seq)?;
        } else {
            for (origin, seq) in record.touch.iter() {
                store.touch(scope, key, origin, seq)?;
            }
        }
        batch.touched.entry(scope.clone()).or_default().insert(key.clone());
    }
    Ok(())
}
