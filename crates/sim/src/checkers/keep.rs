//! What a device holds of its scopes is what the app asked for: pinned rows stay, a window lets go of
//! what is outside of it and of nothing else, and a full budget takes in no more.
//!
//! What was asked for is written down here when the app asks. A file that loses power, is put back or
//! is copied goes on with what it says itself.

use crate::world::{EPOCH_MS, World};
use landfall_model::codec;
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{EntityKey, Scope};
use landfall_model::value::Value;
use landfall_sync::device::store::{Base, Store, Terms};
use std::collections::{BTreeMap, BTreeSet};

/// What the app of each device asked for.
#[derive(Debug, Default)]
pub struct Asked {
    pins: BTreeSet<(usize, EntityKey)>,
    terms: BTreeMap<(usize, Scope), Terms>,
}

impl Asked {
    pub fn pin(&mut self, device: usize, key: EntityKey, on: bool) {
        match on {
            true => self.pins.insert((device, key)),
            false => self.pins.remove(&(device, key)),
        };
    }

    pub fn is_pinned(&self, device: usize, key: &EntityKey) -> bool {
        self.pins.contains(&(device, key.clone()))
    }

    pub fn subscribe(&mut self, device: usize, scope: Scope, terms: Terms) {
        self.terms.insert((device, scope), terms);
    }

    pub fn terms(&self, device: usize, scope: &Scope) -> Terms {
        self.terms.get(&(device, scope.clone())).copied().unwrap_or_default()
    }
}

/// A scope with a budget as it was before a delta came.
#[derive(Debug)]
pub struct Budget {
    scope: Scope,
    terms: Terms,
    /// The rows that were here, with the bytes of each.
    held: BTreeMap<EntityKey, usize>,
    /// Rows that have own writes on them.
    written: BTreeSet<EntityKey>,
}

impl World {
    /// The app of this device goes on with what its file remembers of its wishes.
    pub fn read_wishes(&mut self, device: usize) {
        let store = &mut self.devices[device].store;
        let pins = store.pins().expect("a store in memory does not fail");
        let subs = store.subscriptions().expect("a store in memory does not fail");
        let asked = &mut self.oracle.asked;
        asked.pins.retain(|(d, _)| *d != device);
        asked.terms.retain(|(d, _), _| *d != device);
        asked.pins.extend(pins.into_iter().map(|key| (device, key)));
        asked.terms.extend(subs.into_iter().map(|(scope, sub)| ((device, scope), sub.terms)));
    }

    /// Base rows of a device, as they are before some of them may go.
    pub fn bases(&self, device: usize) -> BTreeMap<EntityKey, Base> {
        let rows = self.devices[device].store.base_rows();
        rows.map(|(key, base)| (key.clone(), base.clone())).collect()
    }

    /// Rows went for want of room. Returns them.
    pub fn check_evicted(
        &mut self,
        device: usize,
        before: &BTreeMap<EntityKey, Base>,
    ) -> Vec<EntityKey> {
        let gone = self.gone(device, before);
        if let Some(key) = gone.iter().find(|key| self.oracle.asked.is_pinned(device, key)) {
            let message =
                format!("{} let go of {key:?}, which is pinned", self.devices[device].name);
            self.fail("keep", "I5", message);
        }
        gone
    }

    /// Rows went for their age.
    pub fn check_tidied(&mut self, device: usize, before: &BTreeMap<EntityKey, Base>) {
        for key in self.check_evicted(device, before) {
            let base = &before[&key];
            let window = |s: &Scope| self.oracle.asked.terms(device, s).keep_ms.is_some();
            if !base.holds.iter().all(window) || !self.is_old(&key, &base.entity) {
                let name = &self.devices[device].name;
                let message =
                    format!("{name} let go of {key:?}, which is not older than its window");
                return self.fail("keep", "I5", message);
            }
        }
    }

    fn gone(&self, device: usize, before: &BTreeMap<EntityKey, Base>) -> Vec<EntityKey> {
        let after: BTreeSet<&EntityKey> =
            self.devices[device].store.base_rows().map(|(key, _)| key).collect();
        before.keys().filter(|key| !after.contains(key)).cloned().collect()
    }

    /// A note that is due before the run is older than any window.
    pub fn is_old(&self, key: &EntityKey, entity: &Entity) -> bool {
        let due = entity.register(self.app.ids.due, &Living).map(|w| &w.value);
        key.kind == self.app.ids.memo && due.is_some_and(|due| *due < Value::Int(EPOCH_MS * 1_000))
    }

    /// What is held of scopes with a budget.
    pub fn budgets(&self, device: usize) -> Vec<Budget> {
        let of_device = self.oracle.asked.terms.iter().filter(|((d, _), _)| *d == device);
        let bounded = of_device.filter(|(_, terms)| terms.is_bounded());
        let budget = |scope: &Scope, terms: Terms| {
            let (scope, held) = (scope.clone(), self.held(device, scope));
            let own = self.devices[device].store.own_ops();
            Budget { scope, terms, held, written: own.map(|o| o.sealed.op.key.clone()).collect() }
        };
        bounded.map(|((_, scope), terms)| budget(scope, *terms)).collect()
    }

    fn held(&self, device: usize, scope: &Scope) -> BTreeMap<EntityKey, usize> {
        let rows = self.devices[device].store.base_rows();
        let held = rows.filter(|(_, base)| base.holds.contains(scope));
        held.map(|(key, base)| (key.clone(), codec::to_bytes(&base.entity).len())).collect()
    }

    /// A delta was taken in: no more rows came than there was room for. What was deleted is known
    /// whatever the room; so are rows that are pinned or have own writes on them.
    pub fn check_budgets(&mut self, device: usize, before: &[Budget]) {
        for Budget { scope, terms, held, written } in before {
            let sim = &self.devices[device];
            let came = sim.store.base_rows().filter(|(key, base)| {
                let wanted = written.contains(*key) || self.oracle.asked.is_pinned(device, key);
                let new = base.holds.contains(scope) && !held.contains_key(*key);
                new && !wanted && base.entity.living().next().is_some()
            });
            let came = came.count() as u64;
            let rows =
                terms.rows_max.is_some_and(|most| came > most.saturating_sub(held.len() as u64));
            let bytes: usize = held.values().sum();
            let full = terms.bytes_max.is_some_and(|most| bytes as u64 >= most) && came > 0;
            if rows || full {
                let (name, had) = (&sim.name, held.len());
                let message = format!(
                    "{name} had {had} rows, {bytes} bytes of {scope}, and took in {came} more ({terms:?})"
                );
                return self.fail("keep", "I14", message);
            }
        }
    }
}

/// In the end nothing is held that is older than its window, but for what is to be kept.
pub fn check(world: &mut World, _: &super::Accepted) {
    let kept = (0..world.devices.len()).find_map(|device| {
        let sim = &world.devices[device];
        let written: BTreeSet<&EntityKey> = sim.store.own_ops().map(|o| &o.sealed.op.key).collect();
        let mut rows = sim.store.base_rows();
        let kept = rows.find(|(key, base)| {
            let window = |s: &Scope| world.oracle.asked.terms(device, s).keep_ms.is_some();
            let wanted = world.oracle.asked.is_pinned(device, key) || written.contains(key);
            base.holds.iter().all(window) && !wanted && world.is_old(key, &base.entity)
        });
        kept.map(|(key, _)| format!("{} keeps {key:?}, older than its window", sim.name))
    });
    if let Some(message) = kept {
        world.fail("keep", "I5", message);
    }
}
