//! What must hold, one file per invariant or family of them.
//!
//! Checkers read stores and logs directly and compare them with what was seen; they ask no node.
//! Those in [`sessions`], [`rollback`], [`local`], [`references`] and, for what goes and comes, [`keep`] run during the
//! run, after calls of a device; the others at its end. Of these, most look at [`Evidence`] alone,
//! which real processes leave, too; [`cancelled`], [`survival`], [`keep`] and [`outcomes`] look at
//! what only the simulator sees.

pub mod atomicity;
pub mod cancelled;
pub mod convergence;
pub mod devices;
pub mod ends;
pub mod exactly_once;
pub mod identity;
pub mod keep;
pub mod local;
pub mod logs;
pub mod outcomes;
pub mod references;
pub mod rollback;
pub mod sessions;
pub mod shows;
pub mod survival;
pub mod unchanged;

use crate::evidence::{Check, Evidence, Finding, Region};
use crate::world::World;
use landfall_model::id::{Dot, EntityKey};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::vector::Origin;
use landfall_sync::log::Opened;
use std::collections::BTreeMap;

/// Everything that the regions agree to have received, read from one region's logs.
#[derive(Debug, Clone, Default)]
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

/// What a checker of the end looks at.
enum Looks {
    /// At what is left.
    Left(Check),
    /// At what the simulator saw.
    Seen(fn(&mut World, &Accepted)),
}

use Looks::{Left, Seen};

/// Run the checkers of the end of a run.
pub fn run(world: &mut World) {
    let evidence = Evidence::of(world);
    if evidence.regions.is_empty() {
        return;
    }
    unchanged::note_paths(world, &evidence.accepted);
    let checks = [
        Left(logs::check),
        Left(unchanged::check),
        Left(exactly_once::check),
        Left(atomicity::check),
        Seen(cancelled::check),
        Left(convergence::check),
        Seen(survival::check),
        Left(devices::check),
        Left(identity::check),
        Seen(keep::check),
        Seen(outcomes::check),
        Left(ends::check),
    ];
    for check in checks {
        if world.failure.is_some() {
            break;
        }
        match check {
            Seen(check) => check(world, &evidence.accepted),
            Left(check) => {
                if let Some(Finding { checker, invariant, message }) = check(&evidence) {
                    world.fail(checker, invariant, message);
                }
            }
        }
    }
    // Last, so that a failure goes under the name of what is wrong in the end, if anything is.
    if let Some(message) = world.unheard.take() {
        world.fail("unheard", "I3", message);
    }
}

impl Accepted {
    pub fn of(region: &Region) -> Self {
        let mut accepted = Self::default();
        for (origin, row) in &region.logs {
            let Ok(Opened::Ops { ops, .. }) = Opened::decode(&row.entry) else { continue };
            let names = ops.iter().map(|o| (o.op.dot, o.fingerprint)).collect();
            accepted.entries.push((*origin, row.seq, names));
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
