//! Rows from regions.
//!
//! A row that covers what this device has of the entity replaces the columns that it shows; one
//! that does not is joined, except for counters, and is asked for again. An own op leaves the
//! overlay only here: when the row of its entity comes with the op's number among the received,
//! and that region has answered for the op itself. A number alone may be that of an op of a copy of
//! this file; until the answer, or a position of the op in the row, the row is joined and asked for
//! again.

use super::call::Call;
use super::node::Event;
use super::store::{Base, OpState, Outcome, OwnOp, Store};
use super::texts::Growth;
use super::view::{Merged, PARENTS_MAX, knows_scope, parent_of, shows, standing_births};
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::entity::{Entity, UnderParent, Write};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope};
use landfall_model::op::{Action, Change, FieldChange, Op};
use landfall_model::schema::Merge;
use landfall_model::stamp::Stamp;
use landfall_model::text::{Text, blob_id};
use landfall_model::value::Value;
use landfall_model::vector::{SeqSet, Vector};
use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A row of a delta, decoded.
#[derive(Debug)]
pub(super) struct Row {
    pub key: EntityKey,
    pub touch: Vector,
    pub left: bool,
    /// In the scope, and older than the subscription keeps: no state came.
    pub outside: bool,
    pub entity: Entity,
    /// The entity, as it came.
    pub state: Bytes,
    pub texts: BTreeMap<FieldId, Text>,
    /// The fields that the row shows; `None` for all.
    pub shown: Option<BTreeSet<FieldId>>,
}

impl Row {
    pub fn shows(&self, field: FieldId) -> bool {
        self.shown.as_ref().is_none_or(|s| s.contains(&field))
    }
}

/// What all rows of a delta share.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub scope: Scope,
    /// What the region had received of each own id when the rows were read.
    pub received: BTreeMap<DeviceId, SeqSet>,
    /// Rows asked for by name: the region's vector at the read.
    pub refetched: Option<Vector>,
    /// Documents come whole: the rows were read from the beginning, or asked for by name.
    pub whole_texts: bool,
}

impl Snapshot {
    /// A row with this touch vector has all of `known` in it.
    pub fn covers(&self, touch: &Vector, known: &Vector) -> bool {
        touch.covers(known) || self.refetched.as_ref().is_some_and(|at| at.covers(known))
    }

    pub fn has(&self, dot: Dot) -> bool {
        self.received.get(&dot.device).is_some_and(|r| r.contains(dot.seq))
    }
}

impl<S: Store> Call<'_, S> {
    /// Take in one row. True if nothing of the entity is left to be asked for again.
    pub fn install(&mut self, row: &Row, from: &Snapshot) -> Result<bool, S::Error> {
        let key = &row.key;
        if row.left {
            return self.leave(key, &row.touch, from);
        }
        let (before, stood) = self.reader.read(self.store, key)?;
        let before = before.clone();
        let fallen = self.about_to_fall(row, &before, &stood)?;
        let open = self.open_texts(key, &before, &standing_births(&before.entity, &stood))?;
        let mut base = before.base.clone().unwrap_or_default();
        let doubtful = |own: &OwnOp| {
            own.overlay
                && from.has(own.sealed.op.dot)
                && match own.state {
                    OpState::Unsent | OpState::Rejected { .. } => false,
                    OpState::Sent { .. } => true,
                    OpState::Accepted { position } | OpState::Durable { position } => {
                        !self.vouched(own.sealed.op.dot) && !row.touch.contains(position)
                    }
                }
        };
        let covers = from.covers(&row.touch, &base.touch) && !before.ops.iter().any(doubtful);
        let all = covers && from.covers(&row.touch, &base.joined);
        let mut landed = Vec::new();
        if covers {
            landed = self.replace(&mut base, row, &before, from, all)?;
            match (&before.base, all) {
                (Some(old), true) => self.tell_replaced(&old.entity, row)?,
                (None, true) => {}
                (_, false) => self.store.add_refetch(&from.scope, key)?,
            }
        } else if base.touch.covers(&row.touch) && base.touch != row.touch {
            // Nothing new, unless the scope shows columns that no other did. Its counters are older
            // than the rest: they come with a row that covers it.
            if !base.holds.contains(&from.scope) {
                base.entity.join(&row.entity);
                self.store.add_refetch(&from.scope, key)?;
            }
        } else {
            base.entity.join(&row.entity);
            base.joined.join(&row.touch);
            if mutant::active(Mutant::CounterWithoutCoverage) {
                base.entity.install_counters(&row.entity, |f| row.shows(f));
            }
            self.store.add_refetch(&from.scope, key)?;
        }
        if !from.whole_texts && self.texts_enter(&base, row, &from.scope)? {
            self.store.add_refetch(&from.scope, key)?;
        }
        base.holds.insert(from.scope.clone());
        let whole = from.refetched.is_some() && all;
        let mut grown = self.install_texts(row, &base, &landed, whole)?;
        grown.retain(|(field, _)| open.contains(field));
        self.observe(base.entity.highest_hlc());
        if let Some(parent) = parent_of(key, &base.entity) {
            self.store.put_child(&parent, key)?;
        }
        self.store.put_base(key, &base)?;
        self.reader.forget(key);
        self.after_install(key, &before, &stood, &base, &landed)?;
        if let Some(deletion) = fallen
            && !self.reader.exists(self.store, key)?
        {
            self.keep_deletion(key, &deletion)?;
        }
        self.follow(key, grown, &landed)?;
        Ok(all)
    }

    /// Take in a row of which nothing is here: no base row, no own op, no own birth. It comes to what
    /// [`Call::install`] comes to, by a short way: most rows of a first pass are such.
    pub fn install_unknown(&mut self, row: Row, from: &Snapshot) -> Result<(), S::Error> {
        let schema = self.schema.clone();
        let kind = schema.entity(row.key.kind);
        let texts = kind.is_some_and(|k| k.fields.iter().any(|f| f.merge == Merge::Text));
        if row.left || row.outside || texts || !row.texts.is_empty() {
            return self.install(&row, from).map(drop);
        }
        let (key, entity) = (row.key, row.entity);
        self.observe(entity.highest_hlc());
        if let Some(parent) = parent_of(&key, &entity) {
            self.store.put_child(&parent, &key)?;
        }
        let holds = BTreeSet::from([from.scope.clone()]);
        let base = Base { entity, touch: row.touch, joined: Vector::new(), holds };
        self.store.add_base(&key, &base, &row.state)?;
        // It may have been looked for as somebody's parent.
        self.reader.forget(&key);
        if schema.children(key.kind).next().is_some() {
            let (merged, stands) = self.reader.read(self.store, &key)?;
            if !merged.entity.fallen(&stands).is_empty() {
                self.touch_family(&key)?;
                return self.drop_fallen(&key, 0);
            }
        }
        if self.is_referred(key.kind) {
            self.touch(&key);
            return Ok(());
        }
        let view = self.reader.view_of_base(self.store, &key, &base.entity)?;
        self.show(key, view.as_ref())
    }

    /// Put the columns that the row shows in place of what was there; where something was joined
    /// that the row does not have (`all` is false), only its counters, and join the rest. Returns
    /// the own ops whose effect is in the base row now.
    fn replace(
        &mut self,
        base: &mut Base,
        row: &Row,
        before: &Merged,
        from: &Snapshot,
        all: bool,
    ) -> Result<Vec<OwnOp>, S::Error> {
        let elsewhere = match row.shown {
            None => BTreeSet::new(),
            Some(_) => self.shown_elsewhere(&row.key, base, &from.scope)?,
        };
        let schema = self.schema.clone();
        let kept =
            |f: FieldId| !row.shows(f) && elsewhere.iter().any(|s| shows(&schema, &row.key, s, f));
        if all {
            let mut entity = row.entity.clone();
            if !elsewhere.is_empty() {
                entity.adopt(&base.entity, kept);
            }
            base.entity = entity;
            base.joined = Vector::new();
        } else {
            base.entity.join(&row.entity);
            base.entity.install_counters(&row.entity, |f| row.shows(f));
        }
        base.touch = row.touch.clone();
        let mut landed = Vec::new();
        for own in &before.ops {
            let op = &own.sealed.op;
            let accepted = matches!(own.state, OpState::Accepted { .. } | OpState::Durable { .. });
            if from.has(op.dot) {
                if own.overlay && accepted {
                    // The region has the op, so the rest of it may stand in the base row too.
                    let rest = op.changes().iter().filter(|c| kept(c.field)).cloned();
                    let rest: Vec<FieldChange> = rest.collect();
                    if !rest.is_empty() {
                        base.entity.apply(&Op { action: Action::Update(rest), ..op.clone() });
                    }
                    landed.push(own.clone());
                }
            } else if own.in_outbox() && !own.overlay {
                // It was in the base row and is not any more: its region was lost.
                self.put_op_state(&OwnOp { overlay: true, ..own.clone() })?;
            }
        }
        Ok(landed)
    }

    /// Scopes of this device, besides this one, that hold the entity or are about to.
    fn shown_elsewhere(
        &mut self,
        key: &EntityKey,
        base: &Base,
        scope: &Scope,
    ) -> Result<BTreeSet<Scope>, S::Error> {
        let mut scopes = self.reader.scopes(self.store, key)?;
        let subscribed = self.subscribed()?;
        scopes.retain(|s| subscribed.contains(s));
        scopes.extend(base.holds.iter().cloned());
        scopes.remove(scope);
        Ok(scopes)
    }

    /// True if the row may bring only the latest pieces of a document that this device does not
    /// have: the entity entered the scope, or came back to it, behind the cursor.
    fn texts_enter(&mut self, base: &Base, row: &Row, scope: &Scope) -> Result<bool, S::Error> {
        let Some(kind) = self.schema.entity(row.key.kind) else { return Ok(false) };
        let mut texts = kind.fields.iter().filter(|f| f.merge == Merge::Text);
        if !texts.any(|f| row.shows(f.id)) || base.holds.contains(scope) {
            return Ok(false);
        }
        // Nothing enters its home behind the cursor, and the home brings all there is, unless
        // the device holds only a part of it.
        let home = &row.key.home;
        Ok(!(base.holds.contains(home) || scope == home && self.holds_all_of(home)?))
    }

    /// Join documents, or replace them if they came whole; keep the blobs of own ops that leave
    /// the overlay; forget parts that died; fold what has become long. Returns what they grew by.
    fn install_texts(
        &mut self,
        row: &Row,
        base: &Base,
        landed: &[OwnOp],
        whole: bool,
    ) -> Result<Vec<(FieldId, Growth)>, S::Error> {
        let key = &row.key;
        let mut fields: BTreeSet<FieldId> = row.texts.keys().copied().collect();
        if let Some(kind) = self.schema.entity(key.kind) {
            let texts = kind.fields.iter().filter(|f| f.merge == Merge::Text);
            fields.extend(texts.map(|f| f.id));
        }
        let mut grown = Vec::new();
        for field in fields {
            let stored = self.store.base_text(key, field)?;
            let (mut text, mut growth) = joined(&stored, row, field, whole);
            let visible =
                row.shows(field) || base.holds.iter().any(|s| shows(&self.schema, key, s, field));
            for own in landed {
                for change in own.sealed.op.changes().iter().filter(|c| c.field == field) {
                    let Change::Text(edit) = &change.change else { continue };
                    if visible {
                        text.apply(&own.sealed.op.births, blob_id(&own.sealed), &edit.update);
                    } else {
                        growth = None;
                    }
                }
            }
            let parts = text.parts().count();
            text.retain(|b| !base.entity.is_dead(b));
            if text.parts().count() < parts {
                growth = None;
            }
            if text.loose_blobs() > limits::TEXT_BLOBS_FOLD {
                // What cannot be read stays as it came.
                let mut folded = text.clone();
                if folded.compact().is_ok() {
                    text = folded;
                }
            }
            if text != stored {
                self.store.put_base_text(key, field, &text)?;
            }
            grown.push((field, growth));
        }
        Ok(grown)
    }

    /// Retire what landed, and tell what came of own writes.
    fn after_install(
        &mut self,
        key: &EntityKey,
        before: &Merged,
        stood: &UnderParent,
        base: &Base,
        landed: &[OwnOp],
    ) -> Result<(), S::Error> {
        let own_deletes: BTreeSet<Dot> = before
            .ops
            .iter()
            .filter(|o| o.sealed.op.action == Action::Delete)
            .flat_map(|o| o.sealed.op.births.iter().copied())
            .collect();
        for own in landed {
            let op = &own.sealed.op;
            let killed = op.births.iter().all(|b| base.entity.is_dead(*b));
            let by_others = !op.births.iter().any(|b| own_deletes.contains(b));
            if killed && by_others && matches!(op.action, Action::Update(_)) {
                self.outcome(op.dot, key, Outcome::Deleted)?;
            }
            self.leave_overlay(own.clone())?;
        }
        if let Some(birth) = self.store.own_birth(key)?
            && base.entity.is_dead(birth)
        {
            self.store.put_own_birth(key, None)?;
        }
        let (after, stands) = self.reader.read(self.store, key)?;
        let after = after.clone();
        self.overwritten(key, landed, (before, stood), (&after, &stands))?;
        let family = self.schema.children(key.kind).next().is_some()
            && before.entity.fallen(stood) != after.entity.fallen(&stands);
        if family {
            self.touch_family(key)?;
            self.drop_fallen(key, 0)
        } else {
            self.touch(key);
            Ok(())
        }
    }

    /// Own ops on children of what fell or left: they may be in no audience any more, and where no
    /// row of them ever came, none will say so.
    pub fn drop_fallen(&mut self, parent: &EntityKey, depth: usize) -> Result<(), S::Error> {
        for child in self.store.children(parent)? {
            let ops = self.store.ops_on(&child)?;
            self.drop_unshown(ops)?;
            if depth < PARENTS_MAX && self.schema.children(child.kind).next().is_some() {
                self.drop_fallen(&child, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Out of the overlay; gone altogether if nothing more is to be heard of it.
    pub fn leave_overlay(&mut self, own: OwnOp) -> Result<(), S::Error> {
        let own = OwnOp { overlay: false, ..own };
        if matches!(own.state, OpState::Durable { .. }) {
            self.retire(&own)
        } else {
            self.put_op_state(&own)
        }
    }

    /// Own values that were replaced by a write whose author had not seen them: those that showed,
    /// and those that a later own write or delete hides, which may be refused yet.
    fn overwritten(
        &mut self,
        key: &EntityKey,
        landed: &[OwnOp],
        (before, stood): (&Merged, &UnderParent),
        (after, stands): (&Merged, &UnderParent),
    ) -> Result<(), S::Error> {
        let own = |device| self.is_own(device);
        let mut lost: Vec<(Dot, Outcome)> = Vec::new();
        let mut compare = |field, old: (Stamp, u64, &Value), new: Option<&Write>| {
            let ((stamp, seq, value), Some(new)) = (old, new) else { return };
            let unseen = new.stamp > stamp && new.replaced.is_none_or(|seen| seen < stamp);
            if unseen && new.value != *value && own(stamp.device) && !own(new.stamp.device) {
                let (lost_value, by) = (value.clone(), new.stamp);
                let outcome = Outcome::Overwritten { field, lost: lost_value, by };
                lost.push((Dot::new(stamp.device, seq), outcome));
            }
        };
        let bases = before.base.as_ref().zip(after.base.as_ref());
        let bases = bases.map(|(old, new)| (&old.entity, &new.entity));
        for (old, new) in bases.into_iter().chain([(&before.entity, &after.entity)]) {
            for field in old.register_fields() {
                // What waited for its birth competes as soon as that has come.
                let born = |w: &&Write| new.living().any(|birth| w.births().contains(&birth));
                let waited = old.unborn(field).filter(born);
                for write in old.register(field, stood).into_iter().chain(waited) {
                    let was = (write.stamp, write.seq, &write.value);
                    compare(field, was, new.register(field, stands));
                }
            }
        }
        let base = after.base.as_ref().map(|b| &b.entity);
        // So may have been what stood under another own write, if that goes with this row: a region
        // that is lost had taken it.
        let beneath = before.ops.iter().filter(|own| {
            !own.overlay && matches!(own.state, OpState::Accepted { .. } | OpState::Durable { .. })
        });
        let stamp =
            |m: &Merged, at, field| Some(m.base.as_ref()?.entity.register(field, at)?.stamp);
        let goes_back = |field| stamp(after, stands, field) < stamp(before, stood, field);
        let landed = landed.iter().map(|own| (own, true));
        for (own, lands) in landed.chain(beneath.map(|own| (own, false))) {
            let op = &own.sealed.op;
            let Some(base) = base.filter(|e| !op.births.iter().all(|b| e.is_dead(*b))) else {
                continue;
            };
            for change in op.changes() {
                let Change::Register { value, .. } = &change.change else { continue };
                if !lands && !goes_back(change.field) {
                    continue;
                }
                let was = (op.stamp(), op.dot.seq, value);
                compare(change.field, was, base.register(change.field, stands));
            }
        }
        lost.into_iter().try_for_each(|(dot, outcome)| self.outcome(dot, key, outcome))
    }

    /// True if a subscribed scope shows, or will show, something that the op writes.
    pub fn will_show(&mut self, op: &Op) -> Result<bool, S::Error> {
        let schema = self.schema.clone();
        let shown = |s: &Scope| match &op.action {
            Action::Update(changes) => {
                !knows_scope(&schema, &op.key, s)
                    || changes.iter().any(|c| shows(&schema, &op.key, s, c.field))
            }
            _ => true,
        };
        // Its home scope holds it whatever it says, and nobody brings what is not subscribed: of such
        // rows, which may have a thousand own ops, none has to be merged for each of these.
        match self.subscribed()? {
            scopes if scopes.contains(&op.key.home) && shown(&op.key.home) => return Ok(true),
            scopes if scopes.is_empty() => return Ok(false),
            _ => {}
        }
        let mut scopes = self.reader.scopes(self.store, &op.key)?;
        let base = self.store.base(&op.key)?;
        scopes.extend(base.into_iter().flat_map(|b| b.holds));
        let subscribed = self.subscribed()?;
        Ok(scopes.iter().any(|s| subscribed.contains(s) && shown(s)))
    }

    /// Tell of a scope's progress.
    pub fn progress(&mut self, scope: &Scope, rows: u64, total: u64, complete: bool) {
        self.out.events.push(Event::Progress { scope: scope.clone(), rows, total, complete });
    }
}

/// A base text with what a row brings of it, and what that added.
fn joined(stored: &Text, row: &Row, field: FieldId, whole: bool) -> (Text, Growth) {
    match row.texts.get(&field) {
        Some(new) if whole => (new.clone(), None),
        // Snapshots that cannot be merged leave the document as it was.
        Some(new) => {
            let mut joined = stored.clone();
            match joined.join(new) {
                Ok(()) => {
                    (joined, Some(new.blobs().map(|(b, d)| (b.to_vec(), d.to_vec())).collect()))
                }
                Err(_) => (stored.clone(), None),
            }
        }
        None if whole && row.shows(field) => (Text::default(), None),
        None => (stored.clone(), Some(Vec::new())),
    }
}
