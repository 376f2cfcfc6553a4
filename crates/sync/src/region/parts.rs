//! Transactions of which a part is here.
//!
//! A transaction that spans home scopes is one entry in each of several logs. A peer may get one of
//! them and lose the others, with the region that had accepted them all. The device then offers
//! what is missing, and it must stand, whatever the rules and the clock say now: the app was told
//! that the transaction is accepted, and half of it is.
//!
//! An op says itself of which transaction it is, so its word is worth nothing here. Each entry
//! carries the hash of all fingerprints of its transaction, as the region that decided it saw them.
//! What completes a part to that hash is what was accepted, and nothing else is.

use super::Core;
use super::merge::Batch;
use super::store::Store;
use crate::log::{Entry, Whole};
use landfall_model::id::DeviceId;
use landfall_model::op::{Fingerprint, Sealed, Tx};
use landfall_model::vector::{Position, SeqSet};
use std::collections::{BTreeMap, BTreeSet};

/// What is here of a pushed transaction.
pub(super) enum Part {
    /// Nothing.
    None,
    /// Some of its numbers, and nobody knows any more of which transaction: it may lack the others,
    /// but each is checked.
    Forgotten,
    /// A part, that the pushed ops complete to what was accepted.
    Completed(Whole),
    /// A part, and others that are neither here nor pushed.
    Lacking,
    /// A part, and the pushed ops are not known to be those accepted with it.
    Another,
}

impl Part {
    /// What the entries of the pushed ops say of their transaction.
    pub(super) fn whole(&self, ops: &[Sealed]) -> Option<Whole> {
        if let Self::Completed(whole) = self {
            return Some(*whole);
        }
        let spans = ops.windows(2).any(|w| w[0].op.key.home != w[1].op.key.home);
        let all = ops.len() == ops[0].op.tx.count as usize;
        (spans && all).then(|| Whole::of(ops.iter().map(|o| o.fingerprint)))
    }
}

/// What is here of one transaction.
#[derive(Debug)]
pub(super) struct Here {
    tx: Tx,
    /// Its numbers that were received.
    numbers: SeqSet,
    /// One of them is known to be of it.
    known: bool,
    /// One of them is not known to be of anything any more.
    forgotten: bool,
    /// Fingerprints by number, by the whole that they are of.
    parts: BTreeMap<Whole, BTreeMap<u64, Fingerprint>>,
}

impl Core {
    pub(super) fn part_of<S: Store>(
        &self,
        store: &mut S,
        ops: &[Sealed],
        batch: &mut Batch,
    ) -> Result<Part, S::Error> {
        let (device, tx) = (ops[0].op.dot.device, ops[0].op.tx);
        if tx.count == 1 {
            // It has no parts.
            return Ok(Part::None);
        }
        let here = match batch.parts.remove(&(device, tx.first)).filter(|here| here.tx == tx) {
            Some(here) => here,
            None => self.here(store, device, tx, batch)?,
        };
        let part = here.with(ops);
        batch.parts.insert((device, tx.first), here);
        Ok(part)
    }

    fn here<S: Store>(
        &self,
        store: &mut S,
        device: DeviceId,
        tx: Tx,
        batch: &mut Batch,
    ) -> Result<Here, S::Error> {
        let all = SeqSet::from_parts(0, [(tx.first.max(1), tx.last())]);
        let numbers = store.device(device)?.received.intersection(&all);
        let mut here = Here { tx, numbers, known: false, forgotten: false, parts: BTreeMap::new() };
        let count = here.count();
        if count == 0 {
            return Ok(here);
        }
        // Whoever pushes chooses how many numbers a transaction says to span.
        batch.looked_up += count;
        let mut records = store.dot_records(device, tx.first, count as usize)?;
        records.retain(|(seq, _)| here.numbers.contains(*seq));
        let kept: BTreeSet<u64> = records.iter().map(|(seq, _)| *seq).collect();
        here.forgotten = (kept.len() as u64) < count;
        let mut wholes = BTreeMap::new();
        for (seq, record) in records.into_iter().filter(|(_, r)| r.tx == tx) {
            here.known = true;
            let whole = match wholes.get(&record.position) {
                Some(whole) => *whole,
                None => whole_at(store, record.position)?,
            };
            wholes.insert(record.position, whole);
            if let Some(whole) = whole {
                here.parts.entry(whole).or_default().insert(seq, record.fingerprint);
            }
        }
        Ok(here)
    }
}

impl Here {
    /// How many of its numbers were received.
    fn count(&self) -> u64 {
        self.numbers.spans().map(|(first, last)| last - first + 1).sum()
    }

    /// What the pushed ops make of it.
    fn with(&self, ops: &[Sealed]) -> Part {
        let count = self.tx.count as usize;
        let same = |part: &BTreeMap<u64, Fingerprint>, o: &Sealed| {
            part.get(&o.op.dot.seq).is_none_or(|f| *f == o.fingerprint)
        };
        for (whole, part) in &self.parts {
            if !ops.iter().all(|o| same(part, o)) || part.len() + ops.len() < count {
                continue;
            }
            let mut all = part.clone();
            all.extend(ops.iter().map(|o| (o.op.dot.seq, o.fingerprint)));
            if all.len() == count && Whole::of(all.into_values()) == *whole {
                return Part::Completed(*whole);
            }
        }
        let pushed = ops.iter().filter(|o| !self.numbers.contains(o.op.dot.seq)).count();
        match (self.known, self.forgotten) {
            (true, _) if self.count() as usize + pushed < count => Part::Lacking,
            (true, _) => Part::Another,
            (false, true) => Part::Forgotten,
            (false, false) => Part::None,
        }
    }
}

fn whole_at<S: Store>(
    store: &mut S,
    Position { origin, seq }: Position,
) -> Result<Option<Whole>, S::Error> {
    let rows = store.log(origin, seq - 1, 1)?;
    let row = rows.first().filter(|row| row.seq == seq);
    Ok(row.and_then(|row| Entry::whole(&row.entry)))
}
