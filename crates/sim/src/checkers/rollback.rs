//! I5: what a device has read from regions stays read. Only what a region lost, and no other had, is
//! taken back, and each write of it is told: a birth that is known no more, a register that shows an
//! older write than it did.
//!
//! What showed is read from base rows, and what was lost from the disks of the regions
//! ([`crate::losses`]): neither from what the device found missing.

use crate::world::World;
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{Dot, EntityKey, FieldId, Scope};
use landfall_model::stamp::Stamp;
use landfall_sync::device::store::{Base, Outcome, Store};
use std::collections::{BTreeMap, BTreeSet};

/// What a base row held when it was last looked at.
#[derive(Debug, Default, Clone)]
pub struct Read {
    holds: BTreeSet<Scope>,
    births: BTreeSet<Dot>,
    registers: BTreeMap<FieldId, Shown>,
}

/// The write that a register showed.
#[derive(Debug, Clone)]
struct Shown {
    stamp: Stamp,
    dot: Dot,
    /// It showed by these.
    births: BTreeSet<Dot>,
}

impl Read {
    pub fn of(base: &Base) -> Self {
        let entity = &base.entity;
        let shown = |f: FieldId| {
            let write = entity.register(f, &Living)?;
            let dot = Dot::new(write.stamp.device, write.seq);
            let births = entity.living().filter(|b| write.births().contains(b)).collect();
            Some((f, Shown { stamp: write.stamp, dot, births }))
        };
        let registers = entity.register_fields().filter_map(shown).collect();
        Self { holds: base.holds.clone(), births: entity.living().collect(), registers }
    }

    /// Writes that were in the row and are not in this state of it, by the fields that they show in.
    fn gone_from(&self, now: &Entity) -> Vec<(Dot, Option<FieldId>)> {
        let births = self.births.iter().filter(|b| !now.knows(**b)).map(|b| (*b, None));
        let mut gone: Vec<_> = births.collect();
        let living: BTreeSet<Dot> = now.living().collect();
        for (field, shown) in &self.registers {
            // With the last birth that it hung on it went, too, wherever it is kept.
            let hangs = shown.births.is_disjoint(&living);
            if !hangs && now.register(*field, &Living).is_none_or(|w| w.stamp < shown.stamp) {
                gone.push((shown.dot, Some(*field)));
            }
        }
        gone
    }
}

impl World {
    /// A call changed a row that had been read.
    pub fn check_read(&mut self, device: usize, key: &EntityKey, before: &Read) {
        let Some(gone) = self.taken_back(device, key, before) else { return };
        for (dot, field) in gone {
            let own = self.devices[device].store.op(dot).expect("a store in memory does not fail");
            if own.is_some_and(|own| own.in_outbox()) {
                continue;
            }
            let name = self.devices[device].name.clone();
            if !self.was_taken(device, key, field) {
                let message = format!("{name}: {dot:?} on {key:?} was read, and is read no more");
                return self.fail("rollback", "I5", message);
            }
            self.mark("what was read taken back");
            let told =
                self.devices[device].store.outcomes().iter().any(|((d, _), kept)| {
                    *d == dot && kept.1 == Outcome::RolledBack && kept.0 == *key
                });
            if !told {
                let message = format!("{name}: {dot:?} on {key:?} was taken back, silently");
                return self.fail("rollback", "I5", message);
            }
        }
    }

    /// `None` where the row went or lost columns because the device holds less of it.
    fn taken_back(
        &mut self,
        device: usize,
        key: &EntityKey,
        before: &Read,
    ) -> Option<Vec<(Dot, Option<FieldId>)>> {
        let store = &mut self.devices[device].store;
        match store.base(key).expect("a store in memory does not fail") {
            Some(base) => {
                let holds = before.holds.is_subset(&base.holds);
                holds.then(|| before.gone_from(&base.entity))
            }
            // Nothing goes from a home scope that is held whole.
            None if before.holds.contains(&key.home) => {
                let sub = store.subscription(&key.home).expect("a store in memory does not fail");
                let whole = sub.is_some_and(|s| s.denied.is_none() && !s.is_partial());
                whole.then(|| before.births.iter().map(|b| (*b, None)).collect())
            }
            None => None,
        }
    }
}
