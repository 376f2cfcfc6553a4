//! What must hold, one file per invariant or family of them.
//!
//! Checkers read stores and logs directly and compare them with the oracle; they ask no node.
//! Those in [`sessions`], [`rollback`], [`local`], [`references`] and, for what goes and comes, [`keep`] run during the
//! run, after calls of a device; the others at its end.

pub mod atomicity;
pub mod cancelled;
pub mod convergence;
pub mod devices;
pub mod exactly_once;
pub mod identity;
pub mod keep;
pub mod local;
pub mod logs;
pub mod outcomes;
pub mod references;
pub mod rollback;
pub mod sessions;
pub mod survival;
pub mod unchanged;

use crate::world::World;
use landfall_model::id::{Dot, EntityKey};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::vector::Origin;
use landfall_sync::log::Opened;
use std::collections::BTreeMap;

/// Everything that the regions agree to have received, read from one region's logs.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Each op once, whatever the number of entries that hold it.
    pub ops: BTreeMap<(Dot, Fingerprint), Sealed>,
    pub by_key: BTreeMap<EntityKey, Vec<Sealed>>,
    /// Log entries, as the ops that each holds.
    pub entries: Vec<(Origin, u64, Ops)>,
}

/// Every checker by the name that a failure is told under.
pub const NAMES: &[&str] = &[
    "atomicity",
    "cancelled",
    "convergence",
    "devices",
    "durability",
    "exactly-once",
    "identity",
    "keep",
    "liveness",
    "local",
    "logs",
    "outcomes",
    "references",
    "rollback",
    "sessions",
    "stamps",
    "survival",
    "switch",
    "unchanged",
    "unheard",
    "waiting",
    "wire",
];

/// The ops of one entry, by name.
pub type Ops = Vec<(Dot, Fingerprint)>;

/// Run the checkers of the end of a run.
pub fn run(world: &mut World) {
    logs::check(world);
    let Some(region) = world.live_regions().first().copied() else { return };
    let accepted = Accepted::of(world, region);
    let checks: [fn(&mut World, &Accepted); 10] = [
        unchanged::check,
        exactly_once::check,
        atomicity::check,
        cancelled::check,
        convergence::check,
        survival::check,
        devices::check,
        identity::check,
        keep::check,
        outcomes::check,
    ];
    for check in checks {
        if world.failure.is_none() {
            check(world, &accepted);
        }
    }
    // Last, so that a failure goes under the name of what is wrong in the end, if anything is.
    if let Some(message) = world.unheard.take() {
        world.fail("unheard", "I3", message);
    }
}

impl Accepted {
    pub fn of(world: &World, region: usize) -> Self {
        let mut accepted = Self::default();
        for (origin, row) in world.regions[region].store.iter_logs() {
            let Ok(Opened::Ops { ops, .. }) = Opened::decode(&row.entry) else { continue };
            let names = ops.iter().map(|o| (o.op.dot, o.fingerprint)).collect();
            accepted.entries.push((origin, row.seq, names));
            for sealed in ops {
                let name = (sealed.op.dot, sealed.fingerprint);
                if accepted.ops.insert(name, sealed.clone()).is_none() {
                    accepted.by_key.entry(sealed.op.key.clone()).or_default().push(sealed);
                }
            }
        }
        accepted
    }

    /// Ops under a dot that are no voids.
    pub fn under(&self, dot: Dot) -> impl Iterator<Item = &Sealed> {
        let (first, last) = (Fingerprint([0; 16]), Fingerprint([0xff; 16]));
        self.ops
            .range((dot, first)..=(dot, last))
            .map(|(_, s)| s)
            .filter(|s| s.fingerprint != Fingerprint::VOID)
    }
}
