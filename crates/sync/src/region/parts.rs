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
use super::store::Store;
use crate::log::{Opened, Whole};
use landfall_model::id::Dot;
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::vector::Position;
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
    /// A part, and the pushed ops are others than those accepted with it.
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

impl Core {
    pub(super) fn part_of<S: Store>(
        &self,
        store: &mut S,
        ops: &[Sealed],
    ) -> Result<Part, S::Error> {
        let (device, tx) = (ops[0].op.dot.device, ops[0].op.tx);
        let received = store.device(device)?.received;
        let here: Vec<u64> =
            tx.seqs().take(tx.count as usize).filter(|seq| received.contains(*seq)).collect();
        let pushed: BTreeMap<u64, Fingerprint> =
            ops.iter().map(|o| (o.op.dot.seq, o.fingerprint)).collect();
        let mut wholes = BTreeMap::new();
        let mut parts: BTreeMap<Whole, BTreeMap<u64, Fingerprint>> = BTreeMap::new();
        let (mut known, mut forgotten) = (false, false);
        for seq in &here {
            let records = store.dots(Dot::new(device, *seq))?;
            forgotten |= records.is_empty();
            for record in records.iter().filter(|r| r.tx == tx) {
                known = true;
                let whole = match wholes.get(&record.position) {
                    Some(whole) => *whole,
                    None => self.whole_at(store, record.position)?,
                };
                wholes.insert(record.position, whole);
                if let Some(whole) = whole {
                    parts.entry(whole).or_default().insert(*seq, record.fingerprint);
                }
            }
        }
        for (whole, mut part) in parts {
            pushed.iter().for_each(|(seq, f)| _ = part.entry(*seq).or_insert(*f));
            if part.len() == tx.count as usize && Whole::of(part.into_values()) == whole {
                return Ok(Part::Completed(whole));
            }
        }
        let numbers: BTreeSet<u64> = here.into_iter().chain(pushed.into_keys()).collect();
        Ok(match (known, forgotten) {
            (true, _) if numbers.len() < tx.count as usize => Part::Lacking,
            (true, _) => Part::Another,
            (false, true) => Part::Forgotten,
            (false, false) => Part::None,
        })
    }

    fn whole_at<S: Store>(
        &self,
        store: &mut S,
        Position { origin, seq }: Position,
    ) -> Result<Option<Whole>, S::Error> {
        let rows = store.log(origin, seq - 1, 1)?;
        let row = rows.first().filter(|row| row.seq == seq);
        Ok(match row.map(|row| Opened::decode(&row.entry)) {
            Some(Ok(Opened::Ops { whole, .. })) => whole,
            _ => None,
        })
    }
}
