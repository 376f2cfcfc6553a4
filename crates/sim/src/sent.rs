//! What leaves devices, looked at for which of the hard paths it takes.

use crate::world::World;
use landfall_model::id::{Dot, Scope};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_sync::wire;
use std::collections::BTreeSet;
use wire::device_frame::Kind as FromDevice;

impl World {
    /// A frame leaves a device.
    pub fn note_sent(&mut self, device: usize, conn: u64, frame: &wire::DeviceFrame) {
        match &frame.kind {
            Some(FromDevice::Push(push)) => {
                self.note_push(device, conn, push);
                push.transactions.iter().for_each(|tx| self.note_transaction(tx));
            }
            Some(FromDevice::Subscribe(s)) => self.note_subscribe(device, conn, s),
            Some(FromDevice::Refetch(r)) if r.beyond.is_some() => {
                self.mark("rows asked for beyond what the region holds");
            }
            Some(FromDevice::Refetch(_)) => self.mark("rows asked for by name"),
            Some(FromDevice::Status(_)) => self.mark("fates asked for"),
            Some(FromDevice::Confirm(_)) => self.mark("retired writes confirmed"),
            Some(FromDevice::Unsubscribe(_)) => self.mark("scope let go while connected"),
            _ => {}
        }
    }

    fn note_subscribe(&mut self, device: usize, conn: u64, s: &wire::Subscribe) {
        let region = self.net.conns.get(&conn).map(|c| c.region);
        let before = self.devices[device].last_region;
        if s.pass.is_some() {
            self.mark(match before {
                before if before == region => "pass resumed at its region",
                _ => "pass resumed at another region",
            });
        }
        let moved = before.is_some() && before != region;
        if moved && s.cursor.as_ref().is_some_and(|c| !c.lives.is_empty()) {
            self.mark("cursor taken to another region");
        }
        if s.provisional.is_some() {
            self.mark("provisional cursor taken up again");
        }
    }

    fn note_transaction(&mut self, tx: &wire::push::Transaction) {
        let ops: Vec<Sealed> = tx.ops.iter().filter_map(|op| Sealed::decode(op).ok()).collect();
        let homes: BTreeSet<&Scope> = ops.iter().map(|o| &o.op.key.home).collect();
        if homes.len() > 1 {
            self.mark("transaction over several scopes");
        }
        if ops.first().is_some_and(|o| ops.len() < o.op.tx.count as usize) {
            self.mark("rest of a transaction offered");
        }
        if ops.iter().any(|o| o.op.is_void()) {
            self.mark("void sent");
        }
    }

    /// An op leaves a device again.
    pub fn note_again(&mut self, device: usize, dot: Dot, print: Fingerprint, region: usize) {
        let Some(before) = self.oracle.sent_to.get(&(device, dot, print)) else { return };
        self.mark(match before.contains_key(&region) {
            true => "write offered again to its region",
            false => "write offered to a second region",
        });
    }
}
