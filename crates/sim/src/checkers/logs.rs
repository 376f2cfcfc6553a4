//! I4: logs are dense, chained by their hashes, and the same wherever they are held. What a region
//! has received is what its logs hold: a refusal is not received.

use crate::world::World;
use landfall_model::id::DeviceId;
use landfall_model::vector::{Origin, SeqSet};
use landfall_sync::log::{LogHash, Opened};
use std::collections::BTreeMap;

pub fn check(world: &mut World) {
    for region in world.live_regions() {
        if let Err(message) = chained(world, region) {
            return world.fail("logs", "I4", format!("region {region}: {message}"));
        }
        if let Err(message) = received(world, region) {
            return world.fail("logs", "I1", format!("region {region}: {message}"));
        }
    }
    let live = world.live_regions();
    for pair in live.windows(2) {
        let (a, b) = (&world.regions[pair[0]].store, &world.regions[pair[1]].store);
        if !a.iter_logs().eq(b.iter_logs()) {
            let message = format!("regions {} and {} hold different logs", pair[0], pair[1]);
            return world.fail("logs", "I3", message);
        }
    }
}

fn chained(world: &World, region: usize) -> Result<(), String> {
    let mut at: BTreeMap<Origin, (u64, LogHash)> = BTreeMap::new();
    for (origin, row) in world.regions[region].store.iter_logs() {
        let (seq, hash) = at.entry(origin).or_default();
        if row.seq != *seq + 1 {
            return Err(format!("{origin:?} has {} after {seq}", row.seq));
        }
        let opened = Opened::decode(&row.entry).map_err(|e| format!("{origin:?}: {e}"))?;
        (*seq, *hash) = (row.seq, opened.roll(*hash, row.seq));
        if *hash != row.hash {
            return Err(format!("{origin:?}@{seq} breaks the chain"));
        }
    }
    for (origin, head) in world.regions[region].store.iter_heads() {
        let last = at.get(&origin).map_or(0, |(seq, _)| *seq);
        if last != head.seq {
            return Err(format!("{origin:?} has its head at {} and ends at {last}", head.seq));
        }
    }
    Ok(())
}

fn received(world: &World, region: usize) -> Result<(), String> {
    let mut logged: BTreeMap<DeviceId, SeqSet> = BTreeMap::new();
    for (origin, row) in world.regions[region].store.iter_logs() {
        let opened = Opened::decode(&row.entry).map_err(|e| format!("{origin:?}: {e}"))?;
        if let Opened::Ops { ops, .. } = opened {
            for o in ops {
                logged.entry(o.op.dot.device).or_default().insert(o.op.dot.seq);
            }
        }
    }
    for (device, record) in world.regions[region].store.iter_devices() {
        let logged = logged.remove(&device).unwrap_or_default();
        if logged != record.received {
            let r = &record.received;
            return Err(format!("of {device:?} it has received {r:?} and logged {logged:?}"));
        }
    }
    match logged.pop_first() {
        Some((device, seqs)) => Err(format!("{device:?}: logged {seqs:?}, received nothing")),
        None => Ok(()),
    }
}
