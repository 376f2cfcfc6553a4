//! Edits become ops.
//!
//! A transaction is drafted in memory: each edit is checked, becomes at most one op, and is applied
//! to the draft so that the next edit sees it. Only a draft without a fault is written, so a
//! refused transaction leaves the store untouched.

use super::call::Call;
use super::check::{self, Splice, Wanted, WantedFields};
use super::local;
use super::node::{Edit, FieldEdit, Receipt};
use super::refused::{Problem, RefusedEdit, WriteError};
use super::store::{Deletion, OpState, OwnOp, Store};
use super::texts::Open;
use super::view::standing_births;
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::id::{Dot, EntityKey, FieldId, TypeId};
use landfall_model::op::{
    Action, Change, FieldChange, Fingerprint, Op, Parent, Removal, Sealed, TextChange, Tx,
};
use landfall_model::schema::{EntityType, Home};
use landfall_model::stamp::Clock;
use landfall_model::text::check_update;
use landfall_model::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Written<T, E> = Result<T, WriteError<E>>;

/// Bytes of an op that are not its text blob, generously.
const OP_FRAME_BYTES: usize = 64 << 10;

/// A transaction under way.
pub(super) struct Draft<'c, 'a, S> {
    pub call: &'c mut Call<'a, S>,
    clock: Clock,
    made: Vec<Op>,
    /// Ops on local entities.
    local: Vec<Op>,
    documents: Vec<(EntityKey, FieldId, Open)>,
    keys: Vec<EntityKey>,
    /// What deletes of the draft take, by the number of the delete.
    deletions: Vec<(u64, Deletion)>,
    /// Index of the edit being drafted.
    at: usize,
}

/// What an edit does to its entity.
pub(super) enum Target {
    Create(Option<Parent>),
    /// Births to name, and whether the entity is there to compare with.
    Update {
        births: Vec<Dot>,
        known: bool,
    },
}

impl<'c, 'a, S: Store> Draft<'c, 'a, S> {
    pub fn new(call: &'c mut Call<'a, S>) -> Self {
        let clock = Clock { last: call.meta.clock };
        call.reader.drafting = true;
        let (made, local, documents) = Default::default();
        let (keys, deletions) = Default::default();
        Self { call, clock, made, local, documents, keys, deletions, at: 0 }
    }

    pub fn refuse<T>(&self, (field, problem): check::Fault) -> Written<T, S::Error> {
        Err(WriteError::Refused(RefusedEdit { edit: self.at, field, problem }))
    }

    /// What follows is the edit of this index.
    pub fn begin_edit(&mut self, at: usize) {
        self.at = at;
    }

    pub fn edit(&mut self, at: usize, edit: &Edit) -> Written<(), S::Error> {
        self.begin_edit(at);
        match edit {
            Edit::Upsert { kind, id, fields } => {
                let kind = self.kind(*kind)?;
                let wanted = self.gather(&kind, id, fields)?;
                let (key, target) = self.locate(&kind, id, &wanted)?;
                self.change(&kind, key, target, wanted)
            }
            Edit::Update { key, fields } => self.update(key, fields),
            Edit::Delete { key } => {
                self.kind(key.kind)?;
                self.delete(key)
            }
            Edit::UpdateNamed { name, fields } => {
                let key = self.named(name)?;
                self.update(&key, fields)
            }
            Edit::DeleteNamed { name } => {
                let key = self.named(name)?;
                self.delete(&key)
            }
        }
    }

    fn update(
        &mut self,
        key: &EntityKey,
        fields: &[(FieldId, FieldEdit)],
    ) -> Written<(), S::Error> {
        let kind = self.kind(key.kind)?;
        let wanted = self.gather(&kind, &key.id, fields)?;
        let (merged, standing) = self.call.reader.read(self.call.store, key)?;
        if !merged.entity.exists(&standing) {
            return self.refuse((None, Problem::NoEntity));
        }
        let target = Target::Update { births: merged.entity.living().collect(), known: true };
        self.change(&kind, key.clone(), target, wanted)
    }

    /// A type that may be written here.
    pub fn kind(&self, id: TypeId) -> Written<Arc<EntityType>, S::Error> {
        match self.call.schema.entity(id) {
            None => self.refuse((None, Problem::UnknownType)),
            Some(kind) if kind.shared && !self.call.node.publishes => {
                self.refuse((None, Problem::Shared))
            }
            Some(kind) => Ok(kind.clone()),
        }
    }

    fn gather(
        &self,
        kind: &EntityType,
        id: &str,
        fields: &[(FieldId, FieldEdit)],
    ) -> Written<WantedFields, S::Error> {
        let checked = check::check_name(id).map_err(|p| (None, p));
        checked
            .and_then(|()| check::gather(&self.call.schema, kind, id, fields))
            .or_else(|fault| self.refuse(fault))
    }

    pub fn delete(&mut self, key: &EntityKey) -> Written<(), S::Error> {
        let (merged, standing) = self.call.reader.read(self.call.store, key)?;
        let births: Vec<Dot> = merged.entity.living().collect();
        if !merged.entity.exists(&standing) || births.is_empty() {
            return self.refuse((None, Problem::NoEntity));
        }
        let deletion = self.call.last_values(key)?;
        self.deletions.push((self.next_dot().seq, deletion));
        self.make(key.clone(), births, Action::Delete)
    }

    /// Draft the op of a create or an update, if it changes anything.
    pub fn change(
        &mut self,
        kind: &EntityType,
        key: EntityKey,
        target: Target,
        mut wanted: WantedFields,
    ) -> Written<(), S::Error> {
        if let Err(problem) = check::check_name(&key.home) {
            return self.refuse((None, problem));
        }
        let creates = matches!(target, Target::Create(_));
        if creates {
            check::check_required(kind, &wanted).or_else(|fault| self.refuse(fault))?;
        } else {
            self.drop_fixed(kind, &key, &mut wanted)?;
        }
        let (births, known) = match &target {
            Target::Create(_) if local::is_local(&key) => {
                let now = self.call.server_now();
                (vec![local::dot(self.clock.tick(now))], true)
            }
            Target::Create(_) => (vec![self.next_dot()], true),
            Target::Update { births, known } => (births.clone(), *known),
        };
        let mut changes = Vec::new();
        for (field, wanted) in wanted {
            if let Some(change) = self.field_change(kind, &key, field, wanted, &births, known)? {
                changes.push(FieldChange { field, change });
            }
        }
        match target {
            Target::Create(parent) => self.make(key, births, Action::Create { parent, changes }),
            Target::Update { .. } if changes.is_empty() => {
                self.keys.push(key);
                Ok(())
            }
            Target::Update { .. } => self.make(key, births, Action::Update(changes)),
        }
    }

    /// Fields that name the home scope or the parent never change: they may be given again as they
    /// are, and are left out of an update.
    fn drop_fixed(
        &mut self,
        kind: &EntityType,
        key: &EntityKey,
        wanted: &mut WantedFields,
    ) -> Written<(), S::Error> {
        let name = |f: FieldId| kind.field(f).map(|f| f.name.clone());
        let (merged, standing) = self.call.reader.read(self.call.store, key)?;
        let entity = &merged.entity;
        match &kind.home {
            Home::Scope(template) => {
                let id = Value::text(&*key.id);
                let value = |f: FieldId| match wanted.get(&f) {
                    _ if Some(f) == kind.id_field() => Some(&id),
                    Some(Wanted::Put(v)) => Some(v),
                    _ => entity.register(f, &standing).map(|w| &w.value),
                };
                let given = template.fields().find(|f| wanted.contains_key(f));
                if given.is_some() && template.render(value).as_ref() != Some(&key.home) {
                    return self.refuse((given.and_then(name), Problem::FixedHome));
                }
                template.fields().for_each(|f| {
                    wanted.remove(&f);
                });
            }
            Home::Parent { field, .. } => {
                let given = match wanted.remove(field) {
                    Some(Wanted::Put(Value::Text(id))) => Some(id),
                    _ => None,
                };
                let parent = entity.parent().map(|p| p.id.clone());
                if given.is_some_and(|id| parent.is_some_and(|p| *p != *id)) {
                    return self.refuse((name(*field), Problem::FixedParent));
                }
            }
        }
        Ok(())
    }

    fn field_change(
        &mut self,
        kind: &EntityType,
        key: &EntityKey,
        field: FieldId,
        wanted: Wanted,
        births: &[Dot],
        known: bool,
    ) -> Written<Option<Change>, S::Error> {
        let (merged, standing) = self.call.reader.read(self.call.store, key)?;
        let entity = &merged.entity;
        Ok(match wanted {
            Wanted::Put(value) => {
                let seen = entity.register(field, &standing);
                let same = match seen {
                    Some(write) => write.value == value,
                    None => known && value.is_null(),
                };
                let replaced = seen.map(|w| w.stamp);
                (!same).then_some(Change::Register { value, replaced })
            }
            Wanted::Set { add, remove } => {
                let seen = entity.set(field, &standing);
                // Taken out and put in again in one edit: nothing changes.
                let stays = |v: &Value| add.contains(v) && seen.contains_key(v);
                let removals = remove.iter().filter(|v| !stays(v)).filter_map(|v| {
                    let dots = seen.get(v)?.clone();
                    Some(Removal { value: v.clone(), dots })
                });
                let remove: Vec<Removal> = removals.collect();
                let add: Vec<Value> =
                    add.iter().filter(|v| !seen.contains_key(v)).cloned().collect();
                (!add.is_empty() || !remove.is_empty()).then_some(Change::Set { add, remove })
            }
            Wanted::Increment(by) => (by != 0).then_some(Change::Counter(by)),
            Wanted::Carried(counts) => (!counts.is_empty()).then_some(Change::Carried(counts)),
            Wanted::Blob(update) => Some(Change::Text(TextChange { update })),
            Wanted::Splices(_) => {
                let name = kind.field(field).map(|f| f.name.clone());
                let update = self.splice(key, (field, name), wanted, births)?;
                update.map(|update| Change::Text(TextChange { update }))
            }
        })
    }

    fn splice(
        &mut self,
        key: &EntityKey,
        (field, name): (FieldId, Option<String>),
        wanted: Wanted,
        births: &[Dot],
    ) -> Written<Option<Vec<u8>>, S::Error> {
        let Wanted::Splices(splices) = wanted else { return Ok(None) };
        let drafted = self
            .documents
            .iter()
            .position(|(k, f, open)| k == key && *f == field && open.safe.0 == births);
        let open = match drafted {
            Some(at) => Some(self.documents.swap_remove(at).2),
            None => {
                let (merged, standing) = self.call.reader.read(self.call.store, key)?;
                let mut stand: BTreeSet<Dot> = standing_births(&merged.entity, &standing);
                stand.extend(births);
                self.call.open_document(key, field, births, &stand)?
            }
        };
        let Some(mut open) = open else {
            return self.refuse((name, Problem::UnreadableText));
        };
        let before = open.document.version();
        for splice in splices {
            let done = match splice {
                Splice::At { at, delete, insert } => {
                    let spliced = open.document.splice(at, delete, &insert);
                    spliced.map_err(|_| Problem::BeyondText)
                }
                Splice::Merged(update) => match open.document.import(&update) {
                    Ok(true) => Ok(()),
                    _ => Err(Problem::UnreadableText),
                },
                Splice::Typed { author, at, splices } => {
                    let replayed = open.document.replay(author, &at, &splices);
                    replayed.map_err(|_| Problem::UnreadableText)
                }
            };
            if let Err(problem) = done {
                return self.refuse((name, problem));
            }
        }
        let changed = open.document.version() != before;
        let limit = limits::OP_BYTES_MAX - OP_FRAME_BYTES;
        let update = match changed {
            true => self.call.changes_to_send(key, field, &mut open, limit)?,
            false => None,
        };
        if changed && update.is_none() {
            return self.refuse((name, Problem::UnreadableText));
        }
        if update.as_deref().is_some_and(|update| check_update(update).is_err()) {
            return self.refuse((name, Problem::TooLarge));
        }
        self.documents.push((key.clone(), field, open));
        Ok(update)
    }

    pub fn drafted_keys(&self) -> impl Iterator<Item = &EntityKey> {
        self.keys.iter()
    }

    pub fn next_dot(&self) -> Dot {
        let seq = self.call.meta.last_seq + self.made.len() as u64 + 1;
        Dot::new(self.call.meta.device, seq)
    }

    /// Own dots among these that no durable op holds yet, nor this transaction.
    fn needs<'d>(
        &mut self,
        dots: impl Iterator<Item = &'d Dot>,
    ) -> Result<BTreeSet<Dot>, S::Error> {
        let mut needs = BTreeSet::new();
        for dot in dots {
            if self.call.is_own(dot.device)
                && self.call.store.op(*dot)?.is_some_and(|op| op.in_outbox())
            {
                needs.insert(*dot);
            }
        }
        Ok(needs)
    }

    /// Add an op to the draft and apply it there.
    fn make(&mut self, key: EntityKey, births: Vec<Dot>, action: Action) -> Written<(), S::Error> {
        let now = self.call.server_now();
        let is_local = local::is_local(&key);
        let mut hlc = self.clock.tick(now);
        if is_local {
            hlc = local::reading(hlc, &self.call.reader.merged(self.call.store, &key)?.entity);
        }
        let dot = match &action {
            Action::Create { .. } if is_local => births[0],
            _ if is_local => local::dot(hlc),
            _ => self.next_dot(),
        };
        let above: &[Dot] = match &action {
            Action::Create { parent: Some(p), .. } => &p.births,
            _ => &[],
        };
        let needs: Vec<Dot> = self.needs(births.iter().chain(above))?.into_iter().collect();
        let op = Op {
            hlc,
            tx: Tx { first: dot.seq, count: 1 },
            births,
            action,
            needs,
            ..Op::void(dot, key.clone(), self.call.node.principal.clone())
        };
        if op.named_dots() > limits::DOTS_PER_OP_MAX {
            return self.refuse((None, Problem::TooLarge));
        }
        let merged = self.call.reader.merged(self.call.store, &key)?;
        merged.entity.apply(&op);
        merged.ops.push(drafted(op.clone()));
        match is_local {
            true => self.local.push(op),
            false => self.made.push(op),
        }
        self.keys.push(key);
        Ok(())
    }

    /// Write the draft.
    pub fn commit(mut self) -> Written<Receipt, S::Error> {
        let count = self.made.len() as u32;
        let first = self.call.meta.last_seq + 1;
        let mut tx = Tx { first, count };
        let extended = self.extended()?;
        let extends = extended.is_some();
        let dots: Vec<Dot> = match extended {
            Some(op) => {
                tx = op.sealed.op.tx;
                let (dot, key) = (op.sealed.op.dot, op.sealed.op.key.clone());
                self.call.store.put_op(&op)?;
                // The draft has its effect already: to an entity the two are one.
                let merged = self.call.reader.merged(self.call.store, &key)?;
                merged.ops.truncate(merged.ops.len() - 2);
                merged.ops.push(op);
                vec![dot]
            }
            None => self.seal(tx)?,
        };
        let local = std::mem::take(&mut self.local);
        if !dots.is_empty() || !local.is_empty() {
            self.call.meta.clock = self.clock.last;
        }
        self.keep_local(local)?;
        for (key, field, open) in std::mem::take(&mut self.documents) {
            self.call.keep_document(key, field, open)?;
        }
        let mut keys = self.keys;
        keys.dedup();
        Ok(Receipt { dots, tx, keys, extends })
    }

    /// The transaction's ops, each under a number of its own.
    fn seal(&mut self, tx: Tx) -> Written<Vec<Dot>, S::Error> {
        let made = std::mem::take(&mut self.made);
        if made.len() > limits::TRANSACTION_OPS_MAX {
            return self.refuse((None, Problem::TooLarge));
        }
        let sealed: Vec<Sealed> = made.into_iter().map(|op| Op { tx, ..op }.seal()).collect();
        let bytes: usize = sealed.iter().map(|s| s.payload.len()).sum();
        let large = sealed.iter().any(|s| s.payload.len() > limits::OP_BYTES_MAX);
        if large || bytes > limits::TRANSACTION_BYTES_MAX {
            return self.refuse((None, Problem::TooLarge));
        }
        let mut dots = Vec::new();
        let mut deletions: BTreeMap<u64, Deletion> =
            std::mem::take(&mut self.deletions).into_iter().collect();
        for sealed in sealed {
            let (dot, key) = (sealed.op.dot, sealed.op.key.clone());
            if let Some(deletion) = deletions.remove(&dot.seq) {
                let own = Some((dot, sealed.op.stamp()));
                self.call.keep_deletion(&key, &Deletion { own, ..deletion })?;
            }
            self.call.meta.last_seq = dot.seq;
            self.call.meta.last_order += 1;
            if let Action::Create { parent, .. } = &sealed.op.action {
                self.call.store.put_own_birth(&key, Some(dot))?;
                if let Some(p) = parent {
                    let parent = EntityKey::new(key.home.clone(), p.kind, p.id.clone());
                    self.call.store.put_child(&parent, &key)?;
                }
            }
            let stands_or_falls = !matches!(sealed.op.action, Action::Update(_));
            let order = self.call.meta.last_order;
            self.call.put_op(&OwnOp { order, sealed, state: OpState::Unsent, overlay: true })?;
            if stands_or_falls {
                self.call.touch_family(&key)?;
            } else {
                self.call.touch(&key);
            }
            dots.push(dot);
        }
        Ok(dots)
    }

    /// Typing goes into one op as long as it has not left the device: if the draft is a single
    /// change of a text, and the last own op on the entity is such a change too and unsent, that
    /// op in its new form.
    fn extended(&mut self) -> Result<Option<OwnOp>, S::Error> {
        let [new] = &self.made[..] else { return Ok(None) };
        let Some(field) = only_text(new) else { return Ok(None) };
        let merged = self.call.reader.merged(self.call.store, &new.key)?;
        // The last one is the draft.
        let [.., own, _] = &merged.ops[..] else { return Ok(None) };
        let mut own = own.clone();
        let old = &own.sealed.op;
        let unsent = own.state == OpState::Unsent || mutant::active(Mutant::SentOpCoalesced);
        let extends = unsent
            && own.overlay
            && old.tx.count == 1
            && only_text(old) == Some(field)
            && old.births == new.births
            && old.principal == new.principal
            && old.device() == new.device();
        if !extends {
            return Ok(None);
        }
        let op = Op { dot: old.dot, tx: old.tx, needs: old.needs.clone(), ..new.clone() };
        own.sealed = op.seal();
        if own.sealed.payload.len() > limits::OP_BYTES_MAX {
            return Ok(None);
        }
        self.call.touch(&own.sealed.op.key.clone());
        Ok(Some(own))
    }
}

/// The field, if the op changes one text and nothing else.
pub(super) fn only_text(op: &Op) -> Option<FieldId> {
    match &op.action {
        Action::Update(changes) => match &changes[..] {
            [FieldChange { field, change: Change::Text(_) }] => Some(*field),
            _ => None,
        },
        _ => None,
    }
}

/// An op of the draft, not yet encoded. Its fingerprint only has to differ from all others.
fn drafted(op: Op) -> OwnOp {
    let fingerprint = Fingerprint(op.dot.device.0);
    let sealed = Sealed { op, payload: Arc::from([]), fingerprint };
    OwnOp { order: u64::MAX, sealed, state: OpState::Unsent, overlay: true }
}
