//! I2: what was acknowledged is not lost, and what an outbox held came to an end that its device
//! can tell.

use super::Accepted;
use crate::device_sim::DeviceSim;
use crate::oracle::{Ack, Written};
use crate::world::World;
use landfall_model::id::Dot;
use landfall_sync::device::store::OpState;
use std::collections::BTreeSet;

pub fn check(world: &mut World, accepted: &Accepted) {
    if let Some(message) = lost_ack(world, accepted) {
        return world.fail("survival", "I2", message);
    }
    if let Some(message) = lost_write(world, accepted) {
        world.fail("survival", "I2", message);
    }
}

/// An op that a region acknowledged and that is nowhere now, without an excuse.
fn lost_ack(world: &World, accepted: &Accepted) -> Option<String> {
    let acks = world.oracle.acks.iter();
    acks.filter(|(name, _)| !accepted.ops.contains_key(name))
        .find(|(_, ack)| !excused(world, ack))
        .map(|((dot, fingerprint), ack)| {
            let (region, durable) = (ack.region, ack.durable);
            format!("{dot:?} {fingerprint:?} was acknowledged by region {region} (durable: {durable}) and is lost")
        })
}

/// One disaster takes what one region holds, if the device lost its file as well.
fn excused(world: &World, ack: &Ack) -> bool {
    if ack.sealed.op.is_void() {
        return true;
    }
    let losses = world.regions.iter().flat_map(|r| &r.losses).count();
    if ack.durable {
        return losses > 1;
    }
    let region_lost = world.regions[ack.region].losses.iter().any(|at| *at >= ack.at - 5_000);
    let device = world.devices.get(ack.device);
    let put_back = device.is_some_and(|d| d.put_back.is_some());
    // Offered again from the outbox, it was refused by all: its author may not write there now.
    let told = device.is_some_and(|d| refused(d, ack.sealed.op.dot));
    (region_lost || losses > 1) && (put_back || told)
}

/// A write of a surviving file that ended in nothing.
fn lost_write(world: &World, accepted: &Accepted) -> Option<String> {
    for (device, sim) in world.devices.iter().enumerate() {
        let told: BTreeSet<Dot> = sim.store.outcomes().keys().map(|(dot, _)| *dot).collect();
        let written = world.oracle.written.range((device, 0)..(device + 1, 0));
        for ((_, order), Written { sealed, sent, .. }) in written {
            let dot = sealed.op.dot;
            let ended = accepted.ops.contains_key(&(dot, sealed.fingerprint))
                || told.contains(&dot)
                || refused(sim, dot)
                || accepted.under(dot).next().is_some() && *sent;
            if !ended && !renumbered(world, device, *order) {
                let name = &sim.name;
                return Some(format!("{name} wrote {dot:?} (sent: {sent}), and it is nowhere"));
            }
        }
    }
    None
}

/// The op stays on its device, with what a region refused it for.
fn refused(device: &DeviceSim, dot: Dot) -> bool {
    let mut ops = device.store.own_ops();
    ops.any(|o| o.sealed.op.dot == dot && matches!(o.state, OpState::Rejected { .. }))
}

/// The op lives on under the number of a later id of its file.
fn renumbered(world: &World, device: usize, order: u64) -> bool {
    world.devices[device].store.own_ops().any(|o| o.order == order)
}
