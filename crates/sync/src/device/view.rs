//! What shows of an entity: the base row with the own ops of the overlay applied over it.
//!
//! A [`Reader`] keeps what it has merged for the length of one call. Whoever changes a base row
//! makes the reader forget that entity. An own op that changes or goes is noted instead: a counter
//! that was counted a thousand times offline has a thousand own ops, and each of their answers would
//! have all of them read again.

use super::store::{Base, OwnOp, Store, View};
use super::texts::Documents;
use landfall_model::entity::{Entity, Standing, UnderParent};
use landfall_model::id::{Dot, EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::{EntityType, Home, Merge, Schema};
use landfall_model::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Parents of parents are followed this far; the schema allows no cycle, a forged row might.
pub(super) const PARENTS_MAX: usize = 8;

/// Entities that a reader keeps merged at a time.
const CACHED_MAX: usize = 4_096;

/// An entity as this device sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    pub base: Option<Base>,
    /// All own ops on the entity, by order, also those that are not in the overlay.
    pub ops: Vec<OwnOp>,
    /// Base and overlay together.
    pub entity: Entity,
    /// The overlay is another by now.
    stale: bool,
}

impl Merged {
    fn merge(&mut self) {
        self.entity = self.base.as_ref().map(|b| b.entity.clone()).unwrap_or_default();
        for op in self.ops.iter().filter(|op| op.overlay) {
            self.entity.apply(&op.sealed.op);
        }
        self.stale = false;
    }

    /// Own ops that are applied over the base row.
    pub fn overlay(&self) -> impl Iterator<Item = &OwnOp> {
        self.ops.iter().filter(|op| op.overlay)
    }
}

/// Merged entities of one call.
#[derive(Debug)]
pub(super) struct Reader {
    schema: Arc<Schema>,
    rows: BTreeMap<EntityKey, Merged>,
    /// Rows hold a draft that is nowhere else: none may go.
    pub drafting: bool,
}

impl Reader {
    pub fn new(schema: Arc<Schema>) -> Self {
        Self { schema, rows: BTreeMap::new(), drafting: false }
    }

    /// True for a `@local` type.
    pub fn is_local(&self, kind: TypeId) -> bool {
        self.schema.entity(kind).is_some_and(|kind| kind.local)
    }

    pub fn forget(&mut self, key: &EntityKey) {
        self.rows.remove(key);
    }

    /// The store has this own op as it is here.
    pub fn note(&mut self, own: &OwnOp) {
        self.change(own, |merged, at| {
            let known = &mut merged.ops[at];
            let shows_else =
                known.overlay != own.overlay || known.sealed.fingerprint != own.sealed.fingerprint;
            if shows_else {
                *known = own.clone();
            } else {
                known.state = own.state.clone();
            }
            shows_else
        });
    }

    /// The store has this own op no more.
    pub fn note_gone(&mut self, own: &OwnOp) {
        self.change(own, |merged, at| merged.ops.remove(at).overlay);
    }

    /// Change an own op of an entity that is merged here, if it is. The change is made at the op's
    /// place, and true if it shows.
    fn change(&mut self, own: &OwnOp, change: impl FnOnce(&mut Merged, usize) -> bool) {
        let op = &own.sealed.op;
        let Some(merged) = self.rows.get_mut(&op.key) else { return };
        let at = merged.ops.binary_search_by_key(&own.order, |o| o.order);
        match at.ok().filter(|at| merged.ops[*at].sealed.op.dot == op.dot) {
            Some(at) if !self.drafting => {
                merged.stale |= change(merged, at);
            }
            _ => self.forget(&op.key),
        }
    }

    /// The entity as the store has it, or as a draft has changed it.
    pub fn merged<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
    ) -> Result<&mut Merged, S::Error> {
        if !self.rows.contains_key(key) {
            if self.rows.len() >= CACHED_MAX && !self.drafting {
                self.rows.clear();
            }
            let (base, ops) = (store.base(key)?, store.ops_on(key)?);
            let merged = Merged { base, ops, entity: Entity::default(), stale: true };
            self.rows.insert(key.clone(), merged);
        }
        let merged = self.rows.get_mut(key).expect("just inserted");
        if merged.stale {
            merged.merge();
        }
        Ok(merged)
    }

    /// Which births of the entity's parent have fallen.
    pub fn standing<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
    ) -> Result<UnderParent, S::Error> {
        self.standing_at(store, key, 0)
    }

    fn standing_at<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
        depth: usize,
    ) -> Result<UnderParent, S::Error> {
        let entity = &self.merged(store, key)?.entity;
        let Some(parent) = parent_of(key, entity).filter(|_| depth < PARENTS_MAX) else {
            return Ok(UnderParent::default());
        };
        let above = self.standing_at(store, &parent, depth + 1)?;
        Ok(UnderParent { fallen: self.merged(store, &parent)?.entity.fallen(&above) })
    }

    /// The entity together with what its births stand on.
    pub fn read<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
    ) -> Result<(&Merged, UnderParent), S::Error> {
        let standing = self.standing(store, key)?;
        Ok((self.merged(store, key)?, standing))
    }

    pub fn exists<S: Store>(&mut self, store: &mut S, key: &EntityKey) -> Result<bool, S::Error> {
        let (merged, standing) = self.read(store, key)?;
        Ok(merged.entity.exists(&standing))
    }

    /// What the app sees; `None` if the entity is not there.
    pub fn view<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
        documents: &mut Documents,
    ) -> Result<Option<View>, S::Error> {
        let schema = self.schema.clone();
        let kind = schema.entity(key.kind);
        let (merged, standing) = self.read(store, key)?;
        let entity = &merged.entity;
        if !entity.exists(&standing) {
            return Ok(None);
        }
        let mut view = values(kind, entity, &standing);
        view.pending = merged.ops.iter().any(OwnOp::in_outbox);
        let Some(kind) = kind else { return Ok(Some(view)) };
        for field in kind.fields.iter().filter(|f| f.merge == Merge::Text) {
            // A document that cannot be read does not hide the rest of the row.
            let births = standing_births(entity, &standing);
            let at = (key.clone(), field.id);
            if let Some(value) = documents.value(store, merged, at, &births)? {
                view.texts.insert(field.id, value);
            }
        }
        self.look_after_references(store, kind, &mut view)?;
        Ok(Some(view))
    }

    /// The same of an entity that has nothing but a base row, and no documents, and is not kept here.
    pub fn view_of_base<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
        entity: &Entity,
    ) -> Result<Option<View>, S::Error> {
        let standing = match parent_of(key, entity) {
            None => UnderParent::default(),
            Some(parent) => {
                let (above, standing) = self.read(store, &parent)?;
                UnderParent { fallen: above.entity.fallen(&standing) }
            }
        };
        if !entity.exists(&standing) {
            return Ok(None);
        }
        let schema = self.schema.clone();
        let kind = schema.entity(key.kind);
        let mut view = values(kind, entity, &standing);
        if let Some(kind) = kind {
            self.look_after_references(store, kind, &mut view)?;
        }
        Ok(Some(view))
    }

    /// The scopes that the entity is in by its own fields: its home, and while it exists the
    /// audiences that its topmost parent's fields name.
    pub fn scopes<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
    ) -> Result<BTreeSet<Scope>, S::Error> {
        let mut scopes = BTreeSet::from([key.home.clone()]);
        if !self.exists(store, key)? {
            return Ok(scopes);
        }
        let mut key = key.clone();
        for _ in 0..PARENTS_MAX {
            let Some(kind) = self.schema.entity(key.kind).cloned() else { break };
            let (merged, standing) = self.read(store, &key)?;
            match &kind.home {
                Home::Scope(_) => {
                    let register = |f| merged.entity.register(f, &standing).map(|w| &w.value);
                    let audiences = kind.audience_scopes(&key, register);
                    scopes.extend(audiences.into_iter().map(|(scope, _)| scope));
                    break;
                }
                Home::Parent { .. } => match parent_of(&key, &merged.entity) {
                    Some(parent) => key = parent,
                    None => break,
                },
            }
        }
        Ok(scopes)
    }
}

/// What shows of an entity besides its documents and what its references show.
fn values(kind: Option<&Arc<EntityType>>, entity: &Entity, standing: &UnderParent) -> View {
    let mut view = View::default();
    for field in entity.register_fields() {
        match entity.register(field, standing).map(|w| &w.value) {
            None | Some(Value::Null) => {}
            Some(value) => {
                view.registers.insert(field, value.clone());
            }
        }
    }
    for field in kind.iter().flat_map(|kind| &kind.fields) {
        match field.merge {
            Merge::Register | Merge::Text => {}
            Merge::Set => {
                let set: Vec<Value> = entity.set(field.id, standing).into_keys().cloned().collect();
                if !set.is_empty() {
                    view.sets.insert(field.id, set);
                }
            }
            Merge::Counter => {
                view.counters.insert(field.id, entity.counter(field.id, standing));
            }
        }
    }
    view
}

/// The parent of an entity by name.
pub(super) fn parent_of(key: &EntityKey, entity: &Entity) -> Option<EntityKey> {
    let parent = entity.parent()?;
    Some(EntityKey::new(key.home.clone(), parent.kind, parent.id.clone()))
}

pub(super) fn standing_births(entity: &Entity, standing: &impl Standing) -> BTreeSet<Dot> {
    entity.standing(standing).into_iter().collect()
}

/// True if a scope shows this field of an entity with that home, by what the schema says. An
/// audience that this schema does not know shows nothing, until its region says what it shows.
pub(super) fn shows(schema: &Schema, key: &EntityKey, scope: &str, field: FieldId) -> bool {
    if *scope == *key.home {
        return true;
    }
    let Some(root) = schema.root(key.kind) else { return false };
    let mut here = root.audiences.iter().filter(|a| a.scope.could_render(scope));
    here.any(|a| !a.hide.contains(&(key.kind, field)))
}

/// True if the schema knows why the scope holds the entity.
pub(super) fn knows_scope(schema: &Schema, key: &EntityKey, scope: &str) -> bool {
    let root = schema.root(key.kind);
    *scope == *key.home
        || root.is_some_and(|r| r.audiences.iter().any(|a| a.scope.could_render(scope)))
}
