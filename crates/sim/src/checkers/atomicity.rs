//! A transaction is atomic within a home scope: all its ops there stand in one entry of a log.

use crate::evidence::{Evidence, Finding};
use landfall_model::id::{DeviceId, Dot, Scope};
use landfall_model::op::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(evidence: &Evidence) -> Option<Finding> {
    let accepted = &evidence.accepted;
    let mut parts: BTreeMap<(DeviceId, u64, Scope), BTreeSet<u64>> = BTreeMap::new();
    let known = evidence.sent.values().filter(|s| !s.op.is_void());
    for op in known.map(|s| &s.op) {
        let part = (op.dot.device, op.tx.first, op.key.home.clone());
        parts.entry(part).or_default().insert(op.dot.seq);
    }
    for (origin, seq, names) in &accepted.entries {
        // A second entry may hold the rest of a transaction of which another region had a part.
        let fork = names.iter().any(|(dot, _)| accepted.under(*dot).count() > 1);
        let ops: Vec<_> = names.iter().map(|name| &accepted.ops[name].op).collect();
        let Some(first) = ops.first().filter(|o| !fork && !o.is_void()) else { continue };
        let part = (first.dot.device, first.tx.first, first.key.home.clone());
        let here: BTreeSet<u64> = ops.iter().map(|o| o.dot.seq).collect();
        let whole = parts.get(&part).is_none_or(|all| all.is_subset(&here));
        if !whole && !forked(evidence, &part, &parts[&part]) {
            let of = &parts[&part];
            let message = format!("{origin:?}@{seq} holds {here:?} of {part:?}: {of:?}");
            return Some(Finding::new("atomicity", "I1", message));
        }
    }
    None
}

/// A number that was used twice: its transactions cannot be told apart by it.
fn forked(evidence: &Evidence, part: &(DeviceId, u64, Scope), seqs: &BTreeSet<u64>) -> bool {
    let pushed = |seq: &u64| {
        let dot = Dot::new(part.0, *seq);
        let ops = evidence.sent.keys().filter(|(d, f)| *d == dot && *f != Fingerprint::VOID);
        ops.count()
    };
    seqs.iter().any(|s| pushed(s) > 1)
}
