//! Taking in a peer's logs.
//!
//! Any peer serves any region's log. Entries are applied in order per log, each wholly or not at
//! all, in the store transaction under way; they are not checked again for access, clock or
//! schema. A block whose rolling hash does not fit what is already here is left alone and
//! reported, and asked for again.

use super::Core;
use super::merge::Batch;
use super::node::Report;
use super::store::{DotRecord, LogRow, Store};
use crate::log::{LogHash, Opened};
use crate::mutant::{self, Mutant};
use landfall_model::id::{DeviceId, RegionId};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::vector::{Origin, Position};
use std::collections::BTreeMap;

/// Consecutive entries of one log, as a peer sent them.
#[derive(Debug)]
pub(super) struct Block {
    pub origin: Origin,
    pub after: u64,
    pub hash_before: LogHash,
    pub hash_after: LogHash,
    pub entries: Vec<Vec<u8>>,
}

impl Core {
    /// Apply what is new in a peer's block. Returns false if the block does not fit.
    pub(super) fn apply_block<S: Store>(
        &mut self,
        store: &mut S,
        peer: RegionId,
        block: &Block,
        batch: &mut Batch,
    ) -> Result<bool, S::Error> {
        let origin = block.origin;
        let head = store.head(origin)?;
        let own_life =
            origin.region == self.config.region && origin.incarnation == self.incarnation;
        if own_life || block.after != head.seq {
            // An answer to an older question; what it brings is here, or will be asked for.
            return Ok(true);
        }
        let Some(rows) = self.verify(block, head.hash) else {
            // Of an ended life of ours: it may have two branches. Who does not show them is stopped.
            let ours = origin.region == self.config.region && block.hash_before != head.hash;
            if ours && self.doubt(peer, origin, head.seq) {
                return Ok(true);
            }
            self.reports.push(Report::LogMismatch { origin, after: block.after });
            return Ok(false);
        };
        let cut = self.cuts.get(&origin).copied();
        for (row, opened) in rows {
            if cut.is_some_and(|last| row.seq > last) {
                break;
            }
            self.apply_entry(store, origin, &row, opened, batch)?;
        }
        Ok(true)
    }

    /// Open the entries and follow the hash along them.
    pub(super) fn verify(&self, block: &Block, before: LogHash) -> Option<Vec<(LogRow, Opened)>> {
        if block.hash_before != before {
            return None;
        }
        let mut hash = before;
        let mut rows = Vec::with_capacity(block.entries.len());
        for (seq, entry) in (block.after + 1..).zip(&block.entries) {
            let opened = Opened::decode(entry).ok()?;
            hash = opened.roll(hash, seq);
            rows.push((LogRow { seq, entry: entry.clone(), hash }, opened));
        }
        (hash == block.hash_after).then_some(rows)
    }

    fn apply_entry<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        row: &LogRow,
        opened: Opened,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        store.append(origin, row)?;
        self.vector.advance(origin, row.seq);
        self.lives.insert((origin.region, origin.incarnation));
        batch.advanced.advance(origin, row.seq);
        let position = Position { origin, seq: row.seq };
        batch.parts.clear();
        match opened {
            Opened::Cut { origin, last } => self.apply_cut(store, origin, last, batch),
            Opened::Ops { ops, fork, .. } => {
                let mut devices = BTreeMap::new();
                for sealed in &ops {
                    self.apply_op(store, sealed, position, fork, &mut devices, batch)?;
                }
                for (device, record) in devices {
                    store.put_device(device, &record)?;
                    batch.devices.insert(device);
                }
                Ok(())
            }
        }
    }

    fn apply_op<S: Store>(
        &mut self,
        store: &mut S,
        sealed: &Sealed,
        position: Position,
        fork: bool,
        devices: &mut BTreeMap<DeviceId, super::store::DeviceRecord>,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        let (dot, fingerprint) = (sealed.op.dot, sealed.fingerprint);
        let record = match devices.entry(dot.device) {
            std::collections::btree_map::Entry::Occupied(e) => e.into_mut(),
            std::collections::btree_map::Entry::Vacant(e) => e.insert(store.device(dot.device)?),
        };
        let received = record.received.contains(dot.seq);
        let records = if received { store.dots(dot)? } else { Vec::new() };
        let same = records.iter().any(|r| r.fingerprint == fingerprint);
        let beside_void = records.iter().all(|r| r.fingerprint == Fingerprint::VOID);
        let fresh = if !received || mutant::active(Mutant::DuplicateAppliedTwice) {
            true
        } else if same || sealed.op.is_void() {
            false
        } else {
            // Another op under the dot. Where no fingerprint is left to tell, only the region that
            // saw both can, and has said so in the entry.
            !records.is_empty() || fork
        };
        if fresh {
            record.closed |= received && !beside_void;
            record.received.insert(dot.seq);
            record.principal.get_or_insert_with(|| sealed.op.principal.clone());
            store.add_dot(dot, DotRecord { fingerprint, position, tx: sealed.op.tx })?;
        }
        self.merge(store, sealed, position, fresh, batch)
    }
}
