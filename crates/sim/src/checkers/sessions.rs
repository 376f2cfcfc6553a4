//! I5: what a device shows never loses its own writes and never goes back.
//!
//! Looked at after every call of a device, for the rows that the call changed. Counters only count
//! up here, so one that goes down lost something, and one above all increments ever made counted
//! something twice. An own register write stays until a higher stamp, a delete, a leave or a
//! refusal takes its place.

use super::rollback::Read;
use crate::world::World;
use landfall_model::entity::Living;
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::{Change, Sealed};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::stamp::Stamp;
use landfall_model::value::Value;
use landfall_sync::device::node::{Event, Output};
use landfall_sync::device::store::{OpState, Outcome, Store};
use std::collections::{BTreeMap, BTreeSet};

/// What a device showed last.
#[derive(Debug, Default)]
pub struct Shown {
    rows: BTreeMap<(usize, EntityKey), Row>,
    /// What base rows held.
    read: BTreeMap<(usize, EntityKey), Read>,
    pub changed: Vec<EntityKey>,
}

#[derive(Debug, Default, Clone)]
struct Row {
    /// A base row stands behind it; without one, own ops alone show, until they are retired.
    based: bool,
    dead: BTreeSet<Dot>,
    counters: BTreeMap<FieldId, i64>,
    /// Own writes that should show.
    registers: BTreeMap<FieldId, (Dot, Stamp, Value)>,
}

impl World {
    /// Take note of what a call changed.
    pub fn tell_events(&mut self, device: usize, out: &Output) {
        for event in &out.events {
            match event {
                Event::Changed { key } => self.shown.changed.push(key.clone()),
                Event::Outcome { key, outcome, .. } => {
                    let name = &self.devices[device].name;
                    self.trace.say(self.now, format!("{name}: {outcome:?} on {}", key.id));
                    *self.marks.entry(mark(outcome)).or_default() += 1;
                    if matches!(outcome, Outcome::Rejected { .. } | Outcome::Left) {
                        self.forget_shown(device, key);
                    }
                    if *outcome == Outcome::Left {
                        self.check_may_leave(device, key);
                    }
                }
                Event::Fate { dot, key, state } => {
                    let name = &self.devices[device].name;
                    self.trace.say(self.now, format!("{name}: {dot:?} is {state:?}"));
                    if let OpState::Rejected { .. } = state {
                        self.forget_shown(device, key);
                    }
                }
                _ => {}
            }
        }
    }

    /// A write on the entity was refused or taken back: what it showed of it, and of what is below
    /// it, may go. That somebody refused it is looked at in the end ([`super::outcomes`]).
    fn forget_shown(&mut self, device: usize, key: &EntityKey) {
        let below = |k: &EntityKey| k.home == key.home && k.kind == self.app.ids.line;
        let order = key.kind == self.app.ids.order;
        self.shown.rows.retain(|(d, k), _| *d != device || k != key && !(order && below(k)));
    }

    /// A file was put back or is new: what it showed before does not bind it.
    pub fn resume_sessions(&mut self, device: usize) {
        self.shown.rows.retain(|(d, _), _| *d != device);
        self.shown.read.retain(|(d, _), _| *d != device);
        let keys: Vec<EntityKey> = self.devices[device].store.visible().keys().cloned().collect();
        self.shown.changed = keys;
        self.check_sessions(device);
    }

    /// A process starts on a file. What the last one committed and did not live to tell is looked
    /// at now, all rows.
    pub fn reopen_sessions(&mut self, device: usize) {
        let shown = self.shown.rows.keys().filter(|(d, _)| *d == device);
        let mut keys: BTreeSet<EntityKey> = shown.map(|(_, key)| key.clone()).collect();
        keys.extend(self.devices[device].store.visible().keys().cloned());
        self.shown.changed.extend(keys);
        self.check_sessions(device);
    }

    pub fn check_sessions(&mut self, device: usize) {
        let changed = std::mem::take(&mut self.shown.changed);
        // Local rows have a checker of their own.
        for key in changed.into_iter().filter(|key| *key.home != *LOCAL_HOME) {
            self.follow_read(device, &key);
            let before = self.shown.rows.remove(&(device, key.clone()));
            let Some(mut now) = self.row(device, &key) else {
                if before.is_some_and(|before| before.based) {
                    self.check_may_go(device, &key);
                }
                continue;
            };
            let excused = self.shares_its_id(device) || !now.based;
            let same = |b: &Row| b.dead == now.dead && b.based;
            if let Some(before) = before.filter(|b| same(b) && !excused)
                && let Some(message) = self.lost(device, &key, &before, &now)
            {
                let name = &self.devices[device].name;
                let message = format!("{name}: {message}");
                return self.fail("sessions", "I5", message);
            }
            self.note_own_writes(device, &key, &mut now);
            self.shown.rows.insert((device, key), now);
        }
    }

    fn follow_read(&mut self, device: usize, key: &EntityKey) {
        let before = self.shown.read.remove(&(device, key.clone()));
        if let Some(before) = before.filter(|_| !self.shares_its_id(device)) {
            self.check_read(device, key, &before);
        }
        let base = self.devices[device].store.base(key).expect("a store in memory does not fail");
        let read = base.map(|base| ((device, key.clone()), Read::of(&base)));
        self.shown.read.extend(read);
    }

    /// A row with an own write that waits does not go from a scope that the device follows: not for
    /// want of room, nor for its age.
    fn check_may_go(&mut self, device: usize, key: &EntityKey) {
        // A region that lost its disk takes back what only it held.
        let disaster = self.was_taken(device, key, None);
        let sim = &mut self.devices[device];
        let here = sim.store.base(key).expect("a store in memory does not fail").is_some();
        let sub = sim.store.subscription(&key.home).expect("a store in memory does not fail");
        let follows = sim.wants.contains(&key.home) && sub.is_some_and(|s| s.denied.is_none());
        if here || !follows || disaster {
            return;
        }
        let ops = sim.store.ops_on(key).expect("a store in memory does not fail");
        if let Some(own) = ops.iter().find(|own| own.in_outbox()) {
            let (name, dot) = (&sim.name, own.sealed.op.dot);
            let message = format!("{name}: {key:?} went, and {dot:?} on it waits");
            self.fail("sessions", "I5", message);
        }
    }

    /// I11: no row leaves whoever follows its home scope, so no write there ends because of that.
    fn check_may_leave(&mut self, device: usize, key: &EntityKey) {
        let sim = &self.devices[device];
        let writes = self.app.accounts[&sim.subject].author.may_write_home(&key.home);
        if sim.wants.contains(&key.home) && writes {
            let message = format!("{}: a write on {key:?} ended as if it had left", sim.name);
            self.fail("outcomes", "I11", message);
        }
    }

    /// A write made after reading another is stamped above it.
    pub fn check_above_read(&mut self, device: usize, sealed: &Sealed) {
        let stamp = sealed.op.stamp();
        let read = sealed.op.changes().iter().find_map(|c| match &c.change {
            Change::Register { replaced, .. } => replaced.filter(|seen| *seen >= stamp),
            _ => None,
        });
        if let Some(seen) = read {
            let (name, dot) = (&self.devices[device].name, sealed.op.dot);
            let message = format!("{name} stamps {dot:?} {stamp:?}, below {seen:?} that it read");
            self.fail("sessions", "I5", message);
        }
    }

    /// Two files count under one id until one takes another: whose op a region has under a number
    /// cannot be told before it has answered for it.
    fn shares_its_id(&self, device: usize) -> bool {
        let ops = self.devices[device].store.own_ops().filter(|o| o.overlay || o.in_outbox());
        let mut ids = ops.map(|o| o.sealed.op.dot.device);
        ids.any(|id| self.oracle.shared_ids.contains(&id))
    }

    fn row(&mut self, device: usize, key: &EntityKey) -> Option<Row> {
        let store = &mut self.devices[device].store;
        let view = store.visible().get(key)?.clone();
        let base = store.base(key).expect("a store in memory does not fail");
        let based = base.is_some();
        let mut dead = base.map(|b| b.entity.fallen(&Living)).unwrap_or_default();
        for own in store.ops_on(key).expect("a store in memory does not fail") {
            if own.overlay && own.sealed.op.action == landfall_model::op::Action::Delete {
                dead.extend(own.sealed.op.births);
            }
        }
        Some(Row { based, dead, counters: view.counters.clone(), registers: BTreeMap::new() })
    }

    /// What the row showed and shows no more, though it should.
    fn lost(&mut self, device: usize, key: &EntityKey, before: &Row, now: &Row) -> Option<String> {
        for (field, was) in &before.counters {
            let is = now.counters.get(field).copied().unwrap_or(0);
            if is < *was && !self.was_taken(device, key, Some(*field)) {
                return Some(format!("a counter of {key:?} went from {was} back to {is}"));
            }
            let most = self.oracle.increments_on(key, *field);
            if is > most {
                return Some(format!("a counter of {key:?} shows {is} of {most} increments"));
            }
        }
        let view = self.devices[device].store.visible().get(key)?.clone();
        for (field, (dot, stamp, value)) in &before.registers {
            let shows = view.registers.get(field).unwrap_or(&Value::Null);
            // What it refers to may be deleted; that has a checker of its own.
            let nulled = view.references.get(field).is_some_and(|r| r.gone);
            let outdone = self.outdone(device, key, *field, *dot, *stamp);
            let taken = self.was_taken(device, key, Some(*field));
            if shows != value && !nulled && !outdone && !taken {
                return Some(format!("{key:?} shows {shows:?} in place of its own {value:?}"));
            }
        }
        None
    }

    /// Something with a higher stamp has taken the place of an own write.
    fn outdone(
        &mut self,
        device: usize,
        key: &EntityKey,
        field: FieldId,
        dot: Dot,
        stamp: Stamp,
    ) -> bool {
        let store = &mut self.devices[device].store;
        let base = store.base(key).expect("a store in memory does not fail");
        let higher = base
            .and_then(|b| b.entity.register(field, &Living).map(|w| w.stamp))
            .is_some_and(|s| s > stamp);
        let own = store.ops_on(key).expect("a store in memory does not fail");
        let newer = own.iter().any(|o| {
            let writes = o.sealed.op.changes().iter().any(|c| c.field == field);
            o.overlay && writes && o.sealed.op.dot != dot && o.sealed.op.stamp() > stamp
        });
        let restamped = own.iter().any(|o| o.sealed.op.dot == dot && o.sealed.op.stamp() != stamp);
        higher || newer || restamped
    }

    fn note_own_writes(&mut self, device: usize, key: &EntityKey, row: &mut Row) {
        let store = &mut self.devices[device].store;
        let view = store.visible().get(key).cloned();
        for own in store.ops_on(key).expect("a store in memory does not fail") {
            let op = &own.sealed.op;
            // One that went with its births does not show, though another of its value may.
            let stands = own.overlay && !op.births.iter().all(|b| row.dead.contains(b));
            for change in op.changes().iter().filter(|_| stands) {
                if let Change::Register { value, .. } = &change.change {
                    let shows = view.as_ref().and_then(|v| v.registers.get(&change.field));
                    if shows.unwrap_or(&Value::Null) == value {
                        let expected = (op.dot, op.stamp(), value.clone());
                        row.registers.insert(change.field, expected);
                    }
                }
            }
        }
    }
}

fn mark(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Rejected { .. } => "outcome: rejected",
        Outcome::Overwritten { .. } => "outcome: overwritten",
        Outcome::Deleted => "outcome: deleted",
        Outcome::Left => "outcome: left",
        Outcome::RolledBack => "outcome: rolled back",
    }
}
