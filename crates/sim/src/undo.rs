//! People take writes back that were not sent, and bring rows back that were deleted.

use crate::world::World;
use landfall_model::id::{Dot, EntityKey};
use landfall_model::op::Fingerprint;
use landfall_sync::device::store::{OpState, OwnOp, Store};
use std::collections::BTreeMap;

impl World {
    /// Take back one of a device's writes that were not sent.
    pub fn cancel(&mut self, device: usize) {
        // Those that were sent are asked for, too: the device has to refuse it.
        let asked = |own: &&OwnOp| matches!(own.state, OpState::Unsent | OpState::Sent { .. });
        let ops = self.devices[device].store.own_ops().filter(asked);
        let waiting: Vec<Dot> = ops.map(|own| own.sealed.op.dot).collect();
        let Some(&dot) = self.rng.pick(&waiting) else { return };
        self.open_device(device);
        let before = self.kept_by(device);
        let now = self.device_now(device);
        let sim = &mut self.devices[device];
        let mut node = sim.node.take().expect("just opened");
        sim.store.begin();
        let result = node.cancel(&mut sim.store, now, dot);
        sim.node = Some(node);
        let Ok((_, out)) = result else {
            self.devices[device].store.rollback();
            return self.mark("cancel refused");
        };
        let conn = self.devices[device].conn;
        self.device_commit(device, conn, out);
        // A process that was killed before the commit has cancelled nothing.
        let after = self.kept_by(device);
        let gone = before.into_iter().filter(|(order, _)| !after.contains_key(order));
        for (order, name) in gone.collect::<Vec<_>>() {
            self.mark("cancelled");
            self.say(format!("{} takes {:?} back", self.devices[device].name, name.0));
            self.oracle.written.remove(&(device, order));
            self.note_cancelled(device, name);
        }
    }

    /// Own ops of a file, by order.
    fn kept_by(&self, device: usize) -> BTreeMap<u64, (Dot, Fingerprint)> {
        let ops = self.devices[device].store.own_ops();
        ops.map(|own| (own.order, (own.sealed.op.dot, own.sealed.fingerprint))).collect()
    }

    /// I1: what is cancelled was never sent, or refused for its stamp by all that it was sent to.
    fn note_cancelled(&mut self, device: usize, (dot, fingerprint): (Dot, Fingerprint)) {
        let Some(sent) = self.oracle.last_pushed.get(&(device, dot)).copied() else {
            self.oracle.cancelled.insert((device, dot), fingerprint);
            return;
        };
        if !self.all_found_it_ahead((device, dot, sent)) {
            let message =
                format!("{} took {dot:?} back after sending it", self.devices[device].name);
            self.fail("cancelled", "I1", message);
        }
    }

    /// Bring a row back that a device has seen deleted.
    pub fn undelete(&mut self, device: usize) {
        let ids = self.app.ids;
        let rows = self.devices[device].store.base_rows().map(|(key, _)| key);
        let own = self.devices[device].store.own_ops().map(|own| &own.sealed.op.key);
        let refers = self.plan.refer > 0;
        let known = |k: &&EntityKey| {
            let product = refers && k.kind == ids.product;
            k.kind == ids.order || k.kind == ids.line || k.kind == ids.memo || product
        };
        let shown = self.devices[device].store.visible();
        let mut gone: Vec<EntityKey> =
            rows.chain(own).filter(known).filter(|k| !shown.contains_key(*k)).cloned().collect();
        gone.sort();
        gone.dedup();
        let Some(key) = self.rng.pick(&gone).cloned() else { return };
        self.open_device(device);
        let now = self.device_now(device);
        let sim = &mut self.devices[device];
        let kept = sim.store.deletion(&key).expect("a store in memory does not fail").is_some();
        let mut node = sim.node.take().expect("just opened");
        sim.store.begin();
        let result = node.restore(&mut sim.store, now, &key);
        sim.node = Some(node);
        match result {
            Ok((receipt, out)) => {
                let name = &self.devices[device].name;
                let line = format!("{name} brings {key:?} back: {:?}", receipt.dots);
                self.trace.say(self.now, line);
                self.oracle.pending = receipt.dots.iter().map(|d| (device, *d)).collect();
                // It counts nothing anew.
                self.oracle.restoring = true;
                self.mark("brought back");
                let conn = self.devices[device].conn;
                self.device_commit(device, conn, out);
            }
            Err(_) => {
                self.devices[device].store.rollback();
                self.mark(if kept { "not brought back" } else { "no values to bring back" });
            }
        }
    }
}
