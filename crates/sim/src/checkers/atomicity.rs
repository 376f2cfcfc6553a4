//! A transaction is atomic within a home scope: all its ops there stand in one entry of a log.

use super::Accepted;
use crate::world::World;
use landfall_model::id::{DeviceId, Dot, Scope};
use landfall_model::op::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};

pub fn check(world: &mut World, accepted: &Accepted) {
    let mut parts: BTreeMap<(DeviceId, u64, Scope), BTreeSet<u64>> = BTreeMap::new();
    let known = world.oracle.pushed.values().filter(|s| !s.op.is_void());
    for op in known.map(|s| &s.op) {
        let part = (op.dot.device, op.tx.first, op.key.home.clone());
        parts.entry(part).or_default().insert(op.dot.seq);
    }
    let mut torn = None;
    for (origin, seq, names) in &accepted.entries {
        // A second entry may hold the rest of a transaction of which another region had a part.
        let fork = names.iter().any(|(dot, _)| accepted.under(*dot).count() > 1);
        let ops: Vec<_> = names.iter().map(|name| &accepted.ops[name].op).collect();
        let Some(first) = ops.first().filter(|o| !fork && !o.is_void()) else { continue };
        let part = (first.dot.device, first.tx.first, first.key.home.clone());
        let here: BTreeSet<u64> = ops.iter().map(|o| o.dot.seq).collect();
        let whole = parts.get(&part).is_none_or(|all| all.is_subset(&here));
        if !whole && !forked(world, &part, &parts[&part]) {
            torn = Some(format!("{origin:?}@{seq} holds {here:?} of {part:?}: {:?}", parts[&part]));
        }
    }
    if let Some(message) = torn {
        world.fail("atomicity", "I1", message);
    }
}

/// A number that was used twice: its transactions cannot be told apart by it.
fn forked(world: &World, part: &(DeviceId, u64, Scope), seqs: &BTreeSet<u64>) -> bool {
    let pushed = |seq: &u64| {
        let dot = Dot::new(part.0, *seq);
        let ops =
            world.oracle.pushed.iter().filter(|((d, f), _)| *d == dot && *f != Fingerprint::VOID);
        ops.count()
    };
    seqs.iter().any(|s| pushed(s) > 1)
}
