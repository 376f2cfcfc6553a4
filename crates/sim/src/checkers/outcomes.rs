//! I11: every refused write has an outcome on its device, and no refused op counts anywhere. A
//! write that lost to one whose author had not seen it has an outcome, too. And no write ends as
//! refused on its device's word alone: the simulator has seen regions refuse it, or what it hangs on.

use super::Accepted;
use crate::device_sim::DeviceSim;
use crate::world::World;
use landfall_model::entity::{Living, UnderParent};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId};
use landfall_model::op::{Change, Sealed};
use landfall_model::stamp::Stamp;
use landfall_model::value::Value;
use landfall_sync::device::store::{OpState, Outcome, OwnOp};
use std::collections::BTreeSet;

pub fn check(world: &mut World, accepted: &Accepted) {
    let mut silent = None;
    for ((device, dot), refusals) in &world.oracle.refused {
        // A stamp that lies ahead is mended, and the write goes on, perhaps under another number.
        if refusals.iter().all(|(_, code)| code == "clock_ahead") {
            continue;
        }
        let sim = &world.devices[*device];
        let told: BTreeSet<Dot> = sim.store.outcomes().keys().map(|(dot, _)| *dot).collect();
        let taken = accepted.under(*dot).next().is_some();
        let kept = sim.store.own_ops().any(|o| o.sealed.op.dot == *dot);
        let forgotten = sim.put_back.is_some();
        if !taken && !kept && !told.contains(dot) && !forgotten && !is_void(world, *dot) {
            silent = Some(format!("{}: {dot:?} was refused ({refusals:?}), silently", sim.name));
        }
    }
    let silent = silent.or_else(|| overwritten_silently(world, accepted));
    let silent = silent.or_else(|| refused_and_counts(world, accepted));
    let silent = silent.or_else(|| {
        (0..world.devices.len()).find_map(|device| Refused::of(world, device).unfounded)
    });
    if let Some(message) = silent {
        world.fail("outcomes", "I11", message);
    }
}

/// Writes that ended as refused on a device, with what the simulator saw behind them.
#[derive(Debug, Default)]
pub struct Refused {
    dots: BTreeSet<Dot>,
    orders: BTreeSet<u64>,
    /// One that nothing stands behind.
    unfounded: Option<String>,
}

impl Refused {
    pub fn of(world: &World, device: usize) -> Self {
        let mut found = Self::default();
        let Some(sim) = world.devices.get(device) else { return found };
        let rejected = |own: &&OwnOp| matches!(own.state, OpState::Rejected { .. });
        let mut rest: Vec<&OwnOp> = sim.store.own_ops().filter(rejected).collect();
        // What hangs on a refused write ends with it, and so does the rest of its transaction.
        loop {
            let stands = |own: &&OwnOp| !found.explains(world, device, own);
            let (left, explained): (Vec<_>, Vec<_>) = rest.into_iter().partition(stands);
            rest = left;
            if explained.is_empty() {
                break;
            }
            found.dots.extend(explained.iter().map(|own| own.sealed.op.dot));
            found.orders.extend(explained.iter().map(|own| own.order));
        }
        found.unfounded = rest.first().map(|own| {
            let (dot, state) = (own.sealed.op.dot, &own.state);
            format!("{}: {dot:?} is {state:?}, and nobody refused it", sim.name)
        });
        found
    }

    /// The write, under its number or its place in the file.
    pub fn contains(&self, dot: Dot, order: Option<u64>) -> bool {
        self.dots.contains(&dot) || order.is_some_and(|order| self.orders.contains(&order))
    }

    /// That a write is refused is final when all regions that it was sent to have said so. One that is
    /// under a number that another write has is told so by the first that knows.
    fn explains(&self, world: &World, device: usize, own: &OwnOp) -> bool {
        let OpState::Rejected { code, .. } = &own.state else { return false };
        let (op, dots) = (&own.sealed.op, &self.dots);
        let numbers = (op.dot.device, op.tx.first)..=(op.dot.device, op.tx.last());
        let name = (device, op.dot, own.sealed.fingerprint);
        let refused = world.oracle.refused.get(&(device, op.dot)).is_some_and(|refusals| {
            let by = |region| refusals.iter().any(|(by, _)| *by == region);
            code == "forked_device" || world.asked(name).all(by)
        });
        let mate = dots.iter().any(|d| numbers.contains(&(d.device, d.seq)));
        let never_sent = !world.oracle.sent_to.contains_key(&name);
        refused
            || mate
            || op.hangs_on(|dot| dots.contains(&dot))
            || code == "left_scope" && never_sent
    }
}

/// A write that ended as refused counts nowhere: that it is refused is final only when every region
/// that may have it has said so. A region that lost its disk may have had it.
fn refused_and_counts(world: &World, accepted: &Accepted) -> Option<String> {
    let files = world.devices.iter().enumerate().filter(|(_, d)| d.put_back.is_none());
    for (device, sim) in files {
        for own in sim.store.own_ops() {
            let OpState::Rejected { code, .. } = &own.state else { continue };
            let (dot, shared) = (own.sealed.op.dot, &world.oracle.shared_ids);
            let print = own.sealed.fingerprint;
            let counts = accepted.ops.contains_key(&(dot, print));
            let mut asked = world.oracle.sent_to.get(&(device, dot, print)).into_iter().flatten();
            let lost =
                asked.any(|(region, at)| world.regions[*region].losses.iter().any(|l| l >= at));
            if counts && !lost && !shared.contains(&dot.device) {
                return Some(format!("{}: {dot:?} ended as {code}, and it counts", sim.name));
            }
        }
    }
    None
}

/// Own register writes that came second, to the only write that came behind them, which did not
/// replace them. What else came behind may have seen the one and been seen by the other. Only of entities
/// whose home the device followed all the time, and that it never evicted.
fn overwritten_silently(world: &World, accepted: &Accepted) -> Option<String> {
    for ((device, _), written) in &world.oracle.written {
        let (sim, sealed) = (&world.devices[*device], &written.sealed);
        let own: BTreeSet<DeviceId> = world
            .oracle
            .written
            .range((*device, 0)..=(*device, u64::MAX))
            .map(|(_, w)| w.sealed.op.device())
            .collect();
        let shared = own.iter().any(|id| world.oracle.shared_ids.contains(id));
        let taken = accepted.ops.contains_key(&(sealed.op.dot, sealed.fingerprint));
        let home = &sealed.op.key.home;
        let evicted = world.oracle.evicted.contains(&(*device, sealed.op.key.clone()));
        let follows =
            sim.wants.contains(home) && !world.oracle.let_go.contains(&(*device, home.clone()));
        if shared || sim.put_back.is_some() || !taken || !follows || evicted {
            continue;
        }
        for change in sealed.op.changes() {
            let Change::Register { value, .. } = &change.change else { continue };
            let Some(winner) = unseen_winner(sim, accepted, sealed, change.field) else { continue };
            let (by, wins) = winner;
            // Told once, by whatever write showed first in its place.
            let told = sim.store.outcomes().iter().any(|((dot, _), kept)| {
                *dot == sealed.op.dot
                    && matches!(kept.1, Outcome::Overwritten { field, .. } if field == change.field)
            });
            if !told && wins != *value && !own.contains(&by.device) {
                let (dot, field) = (sealed.op.dot, change.field);
                return Some(format!("{}: {dot:?} {field:?} lost to {by:?}, silently", sim.name));
            }
        }
    }
    None
}

/// The write that shows in place of this one on its device, if it came right behind it and its
/// author had not seen it.
fn unseen_winner(
    sim: &DeviceSim,
    accepted: &Accepted,
    lost: &Sealed,
    field: FieldId,
) -> Option<(Stamp, Value)> {
    let (_, base) = sim.store.base_rows().find(|(key, _)| **key == lost.op.key)?;
    // One that went with a parent that was deleted did not lose to whoever made it anew, nor did what
    // went with it win.
    let above = base.entity.parent().and_then(|p| {
        let key = EntityKey::new(lost.op.key.home.clone(), p.kind, p.id.clone());
        sim.store.base_rows().find(|(k, _)| **k == key)
    });
    let fallen = above.map(|(_, b)| b.entity.fallen(&Living)).unwrap_or_default();
    let stands = UnderParent { fallen };
    let shows = base.entity.register(field, &stands)?;
    let stamp = lost.op.stamp();
    let unseen = shows.stamp > stamp && shows.replaced.is_none_or(|seen| seen < stamp);
    let writes = |o: &&Sealed| o.op.changes().iter().any(|c| c.field == field);
    let ops = accepted.by_key.get(&lost.op.key).into_iter().flatten().filter(writes);
    // So is what stood above until it was deleted: that showed first, and may have seen the one
    // between.
    let between = ops.filter(|o| o.op.stamp() > stamp && o.op.stamp() != shows.stamp).count();
    let standing = base.entity.standing(&stands);
    let births = lost.op.births.iter().all(|b| standing.contains(b));
    (unseen && between == 0 && births).then(|| (shows.stamp, shows.value.clone()))
}

/// Only ever pushed as a void.
fn is_void(world: &World, dot: Dot) -> bool {
    let pushed = world.oracle.pushed.iter().filter(|((d, _), _)| *d == dot);
    pushed.map(|(_, s)| s).all(|s| s.op.is_void())
}
