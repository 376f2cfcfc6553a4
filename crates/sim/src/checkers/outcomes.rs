//! I11: every refused write has an outcome on its device, and no refused op counts anywhere.

use super::Accepted;
use crate::world::World;
use landfall_model::id::Dot;
use std::collections::BTreeSet;

pub fn check(world: &mut World, accepted: &Accepted) {
    let mut silent = None;
    for ((device, dot), refusals) in &world.oracle.refused {
        let sim = &world.devices[*device];
        let told: BTreeSet<Dot> = sim.store.outcomes().keys().map(|(dot, _)| *dot).collect();
        let taken = accepted.under(*dot).next().is_some();
        let kept = sim.store.own_ops().any(|o| o.sealed.op.dot == *dot);
        let forgotten = sim.put_back.is_some() || sim.epoch > 0;
        if !taken && !kept && !told.contains(dot) && !forgotten && !is_void(world, *dot) {
            silent = Some(format!("{}: {dot:?} was refused ({refusals:?}), silently", sim.name));
        }
    }
    if let Some(message) = silent {
        world.fail("outcomes", "I11", message);
    }
}

/// Only ever pushed as a void.
fn is_void(world: &World, dot: Dot) -> bool {
    let pushed = world.oracle.pushed.iter().filter(|((d, _), _)| *d == dot);
    pushed.map(|(_, s)| s).all(|s| s.op.is_void())
}
