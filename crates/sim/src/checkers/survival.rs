//! I2: what was acknowledged is not lost, and what an outbox held came to an end that the simulator
//! has seen it come to. A device's own word for that is not enough.

use super::Accepted;
use super::outcomes::Refused;
use crate::hands::HAND;
use crate::losses::Name;
use crate::oracle::{Ack, Written};
use crate::world::World;

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
        .find(|(name, ack)| !excused(world, name, ack))
        .map(|((dot, fingerprint), ack)| {
            let (region, durable) = (ack.region, ack.durable);
            format!("{dot:?} {fingerprint:?} was acknowledged by region {region} (durable: {durable}) and is lost")
        })
}

/// Disasters took it from all who had it: from the region and from the file of the device, or, once
/// it was durable, from two regions. What only one region had is offered again from the outbox,
/// and may be refused by then.
fn excused(world: &World, name: &Name, ack: &Ack) -> bool {
    let losses = world.regions.iter().flat_map(|r| &r.losses).filter(|at| **at >= ack.at).count();
    let refused = || Refused::of(world, ack.device).contains(name.0, None);
    if ack.sealed.op.is_void() || losses > 0 && refused() {
        return true;
    }
    let put_back = world.devices.get(ack.device).and_then(|d| d.put_back);
    let file_lost = ack.device == HAND || put_back.is_some_and(|at| at >= ack.heard);
    let taken = if ack.durable { losses > 1 } else { losses > 0 && file_lost };
    taken && world.oracle.losses.has_perished(name)
}

/// A write of a surviving file that ended in nothing.
fn lost_write(world: &World, accepted: &Accepted) -> Option<String> {
    for (device, sim) in world.devices.iter().enumerate() {
        let refused = Refused::of(world, device);
        let written = world.oracle.written.range((device, 0)..(device + 1, 0));
        for ((_, order), Written { sealed, sent, .. }) in written {
            let name = (sealed.op.dot, sealed.fingerprint);
            let ended = accepted.ops.contains_key(&name)
                || refused.contains(name.0, Some(*order))
                || world.oracle.acks.get(&name).is_some_and(|ack| excused(world, &name, ack));
            if !ended {
                let (name, dot) = (&sim.name, sealed.op.dot);
                return Some(format!("{name} wrote {dot:?} (sent: {sent}), and it is nowhere"));
            }
        }
    }
    None
}
