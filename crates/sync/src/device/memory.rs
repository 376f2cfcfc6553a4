//! A device's store in memory, for the simulator and for tests of the state machine.
//!
//! It keeps the promises of a file and no others. Writes gather in a transaction; a rollback takes
//! back what was not committed; a loss of power takes back every commit since the last durable
//! one. Each table journals the values that it replaces, so all of this costs what was changed,
//! not what is stored. A clone of the store is a copy of the file.

mod table;
#[cfg(test)]
mod tests;

use super::store::{
    Base, Deletion, Held, Meta, OpState, Outcome, OwnOp, Store, Subscription, TextMark, View,
};
use landfall_model::codec;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::EntityType;
use landfall_model::text::Text;
use landfall_model::value::Value;
use landfall_model::vector::{Origin, SeqSet, Vector};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use table::{Journal, Table};

/// What one op came to: an overwritten write has an outcome for each of its fields.
pub type OutcomeKey = (Dot, OutcomeKind);

/// Which outcomes of one op are the same outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OutcomeKind {
    Rejected,
    Overwritten(FieldId),
    Deleted,
    Left,
    RolledBack,
}

impl From<&Outcome> for OutcomeKind {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Rejected { .. } => Self::Rejected,
            Outcome::Overwritten { field, .. } => Self::Overwritten(*field),
            Outcome::Deleted => Self::Deleted,
            Outcome::Left => Self::Left,
            Outcome::RolledBack => Self::RolledBack,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    meta: Table<(), Meta>,
    bases: Table<EntityKey, Base>,
    held: Table<(Scope, EntityKey), ()>,
    texts: Table<(EntityKey, FieldId), Text>,
    prints: Table<(EntityKey, FieldId), u64>,
    marks: Table<(EntityKey, FieldId), TextMark>,
    children: Table<(EntityKey, EntityKey), ()>,
    ops: Table<Dot, OwnOp>,
    ops_on: Table<(EntityKey, u64, Dot), ()>,
    outbox: Table<(u64, Dot), ()>,
    voids: Table<Dot, OwnOp>,
    unconfirmed: Table<(DeviceId, u64), ()>,
    births: Table<EntityKey, Dot>,
    subscriptions: Table<Scope, Subscription>,
    refetches: Table<(Scope, EntityKey), ()>,
    removed: Table<(Scope, EntityKey), Vector>,
    pins: Table<EntityKey, ()>,
    cuts: Table<Origin, u64>,
    deletions: Table<EntityKey, (u64, Deletion)>,
    visible: Table<EntityKey, View>,
    outcomes: Table<OutcomeKey, (EntityKey, Outcome)>,
}

#[cfg(test)]
std::thread_local! {
    /// Own ops that were read by their entity, in this thread's stores.
    pub(super) static OPS_READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begin a transaction. What was written outside of one counts as committed.
    pub fn begin(&mut self) {
        self.commit();
    }

    /// A local commit: [`Self::lose_power`] takes it back.
    pub fn commit(&mut self) {
        self.tables().into_iter().for_each(Journal::commit);
    }

    /// A durable commit: this and every commit before it stay.
    pub fn commit_durable(&mut self) {
        self.tables().into_iter().for_each(Journal::commit_durable);
    }

    /// Take back what was written since the last commit.
    pub fn rollback(&mut self) {
        self.tables().into_iter().for_each(Journal::rollback);
    }

    /// Take back what was written since the last durable commit.
    pub fn lose_power(&mut self) {
        self.tables().into_iter().for_each(Journal::lose_power);
    }

    /// What the app sees.
    pub fn visible(&self) -> &BTreeMap<EntityKey, Arc<View>> {
        &self.visible.rows
    }

    /// Outcomes that were not dismissed.
    pub fn outcomes(&self) -> &BTreeMap<OutcomeKey, Arc<(EntityKey, Outcome)>> {
        &self.outcomes.rows
    }

    /// Forget the outcomes of an op, as the app does that has dealt with them.
    pub fn dismiss(&mut self, dot: Dot) {
        let of_dot: Vec<OutcomeKey> =
            self.outcomes.rows.keys().filter(|(d, _)| *d == dot).copied().collect();
        of_dot.iter().for_each(|key| self.outcomes.remove(key));
    }

    pub fn base_rows(&self) -> impl Iterator<Item = (&EntityKey, &Base)> {
        self.bases.rows.iter().map(|(key, base)| (key, base.as_ref()))
    }

    pub fn base_texts(&self) -> impl Iterator<Item = (&EntityKey, FieldId, &Text)> {
        self.texts.rows.iter().map(|((key, field), text)| (key, *field, text.as_ref()))
    }

    /// Own ops by dot.
    pub fn own_ops(&self) -> impl Iterator<Item = &OwnOp> {
        self.ops.rows.values().map(Arc::as_ref)
    }

    fn tables(&mut self) -> [&mut dyn Journal; 21] {
        [
            &mut self.meta,
            &mut self.bases,
            &mut self.held,
            &mut self.texts,
            &mut self.prints,
            &mut self.marks,
            &mut self.children,
            &mut self.ops,
            &mut self.ops_on,
            &mut self.outbox,
            &mut self.voids,
            &mut self.unconfirmed,
            &mut self.births,
            &mut self.subscriptions,
            &mut self.refetches,
            &mut self.removed,
            &mut self.pins,
            &mut self.cuts,
            &mut self.deletions,
            &mut self.visible,
            &mut self.outcomes,
        ]
    }

    fn release_holds(&mut self, key: &EntityKey) {
        if let Some(base) = self.bases.get(key) {
            for scope in &base.holds {
                self.held.remove(&(scope.clone(), key.clone()));
            }
        }
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn meta(&mut self) -> Result<Option<Meta>, Infallible> {
        Ok(self.meta.get(&()).as_deref().cloned())
    }

    fn put_meta(&mut self, meta: &Meta) -> Result<(), Infallible> {
        self.meta.put((), meta.clone());
        Ok(())
    }

    fn base(&mut self, key: &EntityKey) -> Result<Option<Base>, Infallible> {
        Ok(self.bases.get(key).as_deref().cloned())
    }

    fn put_base(&mut self, key: &EntityKey, base: &Base) -> Result<(), Infallible> {
        self.release_holds(key);
        for scope in &base.holds {
            self.held.put((scope.clone(), key.clone()), ());
        }
        self.bases.put(key.clone(), base.clone());
        Ok(())
    }

    fn add_base(&mut self, key: &EntityKey, base: &Base, state: &[u8]) -> Result<(), Infallible> {
        debug_assert_eq!(codec::from_bytes(state).as_ref(), Ok(&base.entity));
        self.put_base(key, base)
    }

    fn known(
        &mut self,
        first: &EntityKey,
        last: &EntityKey,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Infallible> {
        let range = first..=last;
        let bases = self.bases.rows.range(first..=last).map(|(key, _)| key);
        let births = self.births.rows.range(first..=last).map(|(key, _)| key);
        let ops = self.ops.rows.values().map(|own| &own.sealed.op.key);
        let names = bases.chain(births).chain(ops.filter(|key| range.contains(key)));
        let names: BTreeSet<&EntityKey> = names.collect();
        Ok(names.into_iter().take(limit).cloned().collect())
    }

    fn remove_base(&mut self, key: &EntityKey) -> Result<(), Infallible> {
        self.release_holds(key);
        self.bases.remove(key);
        self.texts.remove_under(key);
        self.prints.remove_under(key);
        self.marks.remove_under(key);
        Ok(())
    }

    fn held_by(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Infallible> {
        Ok(self.held.under(scope, after).take(limit).collect())
    }

    fn held(&mut self, scope: &str) -> Result<Held, Infallible> {
        let mut held = Held::default();
        for key in self.held.under(scope, None) {
            held.rows += 1;
            let base = self.bases.get(&key).expect("indexes and rows change together");
            held.bytes += codec::to_bytes(&base.entity).len() as u64;
        }
        Ok(held)
    }

    fn longest_held(
        &mut self,
        scope: &str,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Infallible> {
        Ok(self.held.under(scope, None).skip(skip).take(limit).collect())
    }

    fn older(
        &mut self,
        kind: TypeId,
        field: FieldId,
        floor: &Value,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Infallible> {
        let start = after.map_or(Unbounded, Excluded);
        let rows = self.visible.rows.range((start, Unbounded));
        let older = rows.filter(|(key, view)| {
            key.kind == kind && EntityType::is_older(view.registers.get(&field), floor)
        });
        Ok(older.map(|(key, _)| key.clone()).take(limit).collect())
    }

    fn put_pin(&mut self, key: &EntityKey, pinned: bool) -> Result<(), Infallible> {
        if pinned {
            self.pins.put(key.clone(), ())
        } else {
            self.pins.remove(key)
        }
        Ok(())
    }

    fn is_pinned(&mut self, key: &EntityKey) -> Result<bool, Infallible> {
        Ok(self.pins.rows.contains_key(key))
    }

    fn pins(&mut self) -> Result<Vec<EntityKey>, Infallible> {
        Ok(self.pins.rows.keys().cloned().collect())
    }

    fn bases(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Base)>, Infallible> {
        let start = after.map_or(Unbounded, Excluded);
        let rows = self.bases.rows.range((start, Unbounded)).take(limit);
        Ok(rows.map(|(key, base)| (key.clone(), Base::clone(base))).collect())
    }

    fn base_text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Infallible> {
        Ok(self.texts.get(&(key.clone(), field)).as_deref().cloned().unwrap_or_default())
    }

    fn text_print(&mut self, key: &EntityKey, field: FieldId) -> Result<Option<u64>, Infallible> {
        Ok(self.prints.get(&(key.clone(), field)).as_deref().copied())
    }

    fn put_base_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        text: &Text,
    ) -> Result<(), Infallible> {
        let at = (key.clone(), field);
        if text.is_empty() {
            self.texts.remove(&at);
            self.prints.remove(&at);
        } else {
            self.prints.put(at.clone(), text.print());
            self.texts.put(at, text.clone());
        }
        Ok(())
    }

    fn put_child(&mut self, parent: &EntityKey, child: &EntityKey) -> Result<(), Infallible> {
        self.children.put((parent.clone(), child.clone()), ());
        Ok(())
    }

    fn children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Infallible> {
        let least = (parent.clone(), least_key());
        let links = self.children.rows.range(least..).take_while(|((p, _), _)| p == parent);
        Ok(links.map(|((_, child), _)| child.clone()).collect())
    }

    fn find(&mut self, kind: TypeId, id: &str) -> Result<Vec<EntityKey>, Infallible> {
        let named = |key: &&EntityKey| key.kind == kind && *key.id == *id;
        let in_ops = self.ops_on.rows.keys().map(|(key, _, _)| key);
        let found: BTreeSet<&EntityKey> =
            self.bases.rows.keys().chain(in_ops).filter(named).collect();
        Ok(found.into_iter().cloned().collect())
    }

    fn put_text_mark(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        mark: Option<&TextMark>,
    ) -> Result<(), Infallible> {
        let at = (key.clone(), field);
        match mark {
            Some(mark) => self.marks.put(at, mark.clone()),
            None => self.marks.remove(&at),
        }
        Ok(())
    }

    fn text_mark(
        &mut self,
        key: &EntityKey,
        field: FieldId,
    ) -> Result<Option<TextMark>, Infallible> {
        Ok(self.marks.get(&(key.clone(), field)).as_deref().cloned())
    }

    fn put_op(&mut self, op: &OwnOp) -> Result<(), Infallible> {
        let dot = op.sealed.op.dot;
        self.remove_op(dot)?;
        self.ops_on.put((op.sealed.op.key.clone(), op.order, dot), ());
        if op.in_outbox() {
            self.outbox.put((op.order, dot), ());
        }
        self.ops.put(dot, op.clone());
        Ok(())
    }

    fn put_op_state(&mut self, op: &OwnOp) -> Result<(), Infallible> {
        let kept = self.ops.expect(&op.sealed.op.dot);
        self.put_op(&OwnOp { state: op.state.clone(), overlay: op.overlay, ..kept })
    }

    fn op(&mut self, dot: Dot) -> Result<Option<OwnOp>, Infallible> {
        Ok(self.ops.get(&dot).as_deref().cloned())
    }

    fn remove_op(&mut self, dot: Dot) -> Result<(), Infallible> {
        if let Some(old) = self.ops.get(&dot) {
            self.ops_on.remove(&(old.sealed.op.key.clone(), old.order, dot));
            self.outbox.remove(&(old.order, dot));
            self.ops.remove(&dot);
        }
        Ok(())
    }

    fn ops_on(&mut self, key: &EntityKey) -> Result<Vec<OwnOp>, Infallible> {
        let first = (key.clone(), 0, LEAST_DOT);
        let on_key = self.ops_on.rows.range(first..).take_while(|((k, _, _), _)| k == key);
        let ops: Vec<OwnOp> = on_key.map(|((_, _, dot), _)| self.ops.expect(dot)).collect();
        #[cfg(test)]
        OPS_READ.set(OPS_READ.get() + ops.len());
        Ok(ops)
    }

    fn outbox(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Infallible> {
        let behind = self.outbox.rows.range((after, LEAST_DOT)..).filter(|((o, _), _)| *o > after);
        Ok(behind.take(limit).map(|((_, dot), _)| self.ops.expect(dot)).collect())
    }

    fn ops_that_left(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Infallible> {
        let mut ops = self.ops(after, usize::MAX)?;
        ops.retain(|op| op.state != OpState::Unsent);
        ops.truncate(limit);
        Ok(ops)
    }

    fn ops(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Infallible> {
        let mut ops: Vec<&Arc<OwnOp>> =
            self.ops.rows.values().filter(|op| op.order > after).collect();
        ops.sort_by_key(|op| op.order);
        Ok(ops.into_iter().take(limit).map(|op| OwnOp::clone(op)).collect())
    }

    fn put_void(&mut self, void: &OwnOp) -> Result<(), Infallible> {
        self.voids.put(void.sealed.op.dot, void.clone());
        Ok(())
    }

    fn void(&mut self, dot: Dot) -> Result<Option<OwnOp>, Infallible> {
        Ok(self.voids.get(&dot).as_deref().cloned())
    }

    fn voids(&mut self) -> Result<Vec<OwnOp>, Infallible> {
        let mut voids: Vec<OwnOp> = self.voids.rows.values().map(|v| OwnOp::clone(v)).collect();
        voids.sort_by_key(|void| void.order);
        Ok(voids)
    }

    fn remove_void(&mut self, dot: Dot) -> Result<(), Infallible> {
        self.voids.remove(&dot);
        Ok(())
    }

    fn unconfirmed(&mut self) -> Result<Vec<(DeviceId, SeqSet)>, Infallible> {
        let mut sets: BTreeMap<DeviceId, SeqSet> = BTreeMap::new();
        for (device, seq) in self.unconfirmed.rows.keys() {
            sets.entry(*device).or_default().insert(*seq);
        }
        Ok(sets.into_iter().collect())
    }

    fn add_unconfirmed(&mut self, device: DeviceId, seq: u64) -> Result<(), Infallible> {
        self.unconfirmed.put((device, seq), ());
        Ok(())
    }

    fn clear_unconfirmed(&mut self, device: DeviceId, seqs: &SeqSet) -> Result<(), Infallible> {
        let of_device = self.unconfirmed.rows.range((device, 0)..=(device, u64::MAX));
        let told: Vec<(DeviceId, u64)> =
            of_device.map(|(at, _)| *at).filter(|(_, seq)| seqs.contains(*seq)).collect();
        told.iter().for_each(|at| self.unconfirmed.remove(at));
        Ok(())
    }

    fn own_birth(&mut self, key: &EntityKey) -> Result<Option<Dot>, Infallible> {
        Ok(self.births.get(key).as_deref().copied())
    }

    fn put_own_birth(&mut self, key: &EntityKey, birth: Option<Dot>) -> Result<(), Infallible> {
        match birth {
            Some(dot) => self.births.put(key.clone(), dot),
            None => self.births.remove(key),
        }
        Ok(())
    }

    fn subscriptions(&mut self) -> Result<Vec<(Scope, Subscription)>, Infallible> {
        let rows = self.subscriptions.rows.iter();
        Ok(rows.map(|(scope, sub)| (scope.clone(), Subscription::clone(sub))).collect())
    }

    fn subscription(&mut self, scope: &str) -> Result<Option<Subscription>, Infallible> {
        Ok(self.subscriptions.get(&Scope::from(scope)).as_deref().cloned())
    }

    fn put_subscription(&mut self, scope: &str, sub: &Subscription) -> Result<(), Infallible> {
        self.subscriptions.put(scope.into(), sub.clone());
        Ok(())
    }

    fn remove_subscription(&mut self, scope: &str) -> Result<(), Infallible> {
        self.subscriptions.remove(&scope.into());
        Ok(())
    }

    fn add_refetch(&mut self, scope: &str, key: &EntityKey) -> Result<(), Infallible> {
        self.refetches.put((scope.into(), key.clone()), ());
        Ok(())
    }

    fn refetches(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Infallible> {
        Ok(self.refetches.under(scope, after).take(limit).collect())
    }

    fn remove_refetch(&mut self, scope: &str, key: &EntityKey) -> Result<(), Infallible> {
        self.refetches.remove(&(scope.into(), key.clone()));
        Ok(())
    }

    fn add_removed(
        &mut self,
        scope: &str,
        key: &EntityKey,
        touch: &Vector,
    ) -> Result<(), Infallible> {
        self.removed.put((scope.into(), key.clone()), touch.clone());
        Ok(())
    }

    fn removed(&mut self) -> Result<Vec<(Scope, EntityKey, Vector)>, Infallible> {
        let rows = self.removed.rows.iter();
        Ok(rows.map(|((s, k), touch)| (s.clone(), k.clone(), Vector::clone(touch))).collect())
    }

    fn forget_removed(&mut self, scope: &str, key: &EntityKey) -> Result<(), Infallible> {
        self.removed.remove(&(scope.into(), key.clone()));
        Ok(())
    }

    fn cuts(&mut self) -> Result<BTreeMap<Origin, u64>, Infallible> {
        Ok(self.cuts.rows.iter().map(|(origin, last)| (*origin, **last)).collect())
    }

    fn put_cut(&mut self, origin: Origin, last: u64) -> Result<(), Infallible> {
        self.cuts.put(origin, last);
        Ok(())
    }

    fn referrers(
        &mut self,
        kind: TypeId,
        id: &str,
        gone: bool,
    ) -> Result<Vec<EntityKey>, Infallible> {
        let refers = |view: &View| {
            view.references.values().any(|r| r.kind == kind && r.id == id && r.gone == gone)
        };
        let shown = self.visible.rows.iter().filter(|(_, view)| refers(view));
        Ok(shown.map(|(key, _)| key.clone()).collect())
    }

    fn put_deletion(
        &mut self,
        key: &EntityKey,
        deletion: Option<&Deletion>,
    ) -> Result<(), Infallible> {
        self.deletions.remove(key);
        if let Some(deletion) = deletion {
            let last = self.deletions.rows.values().map(|d| d.0).max().unwrap_or(0);
            self.deletions.put(key.clone(), (last + 1, deletion.clone()));
        }
        Ok(())
    }

    fn deletion(&mut self, key: &EntityKey) -> Result<Option<Deletion>, Infallible> {
        Ok(self.deletions.get(key).map(|d| d.1.clone()))
    }

    fn trim_deletions(&mut self, count: usize, bytes: usize) -> Result<(), Infallible> {
        let rows = self.deletions.rows.iter();
        let mut all: Vec<(u64, usize, EntityKey)> =
            rows.map(|(k, d)| (d.0, codec::to_bytes(&d.1).len(), k.clone())).collect();
        all.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        let mut sum = 0;
        for (n, (_, size, key)) in all.into_iter().enumerate() {
            sum += size;
            if n >= count || sum > bytes {
                self.deletions.remove(&key);
            }
        }
        Ok(())
    }

    fn forget_deletions(&mut self, home: &str) -> Result<(), Infallible> {
        let here = self.deletions.rows.keys().filter(|k| *k.home == *home);
        let here: Vec<EntityKey> = here.cloned().collect();
        here.iter().for_each(|key| self.deletions.remove(key));
        Ok(())
    }

    fn show(&mut self, key: &EntityKey, view: Option<&View>) -> Result<(), Infallible> {
        match view {
            Some(view) => self.visible.put(key.clone(), view.clone()),
            None => self.visible.remove(key),
        }
        Ok(())
    }

    fn add_outcome(
        &mut self,
        dot: Dot,
        key: &EntityKey,
        outcome: &Outcome,
    ) -> Result<bool, Infallible> {
        let at = (dot, OutcomeKind::from(outcome));
        let new = self.outcomes.get(&at).is_none();
        if new {
            self.outcomes.put(at, (key.clone(), outcome.clone()));
        }
        Ok(new)
    }

    fn remove_outcomes(&mut self, dot: Dot) -> Result<(), Infallible> {
        self.dismiss(dot);
        Ok(())
    }
}

const LEAST_DOT: Dot = Dot { device: DeviceId([0; 16]), seq: 0 };

fn least_key() -> EntityKey {
    EntityKey::new("", TypeId(0), "")
}
