//! A file that was copied or put back takes a new device id: at the end no region has received,
//! under an id in use, a number that its file does not know to have sent.

use super::Accepted;
use crate::world::World;
use landfall_sync::device::store::Store;

pub fn check(world: &mut World, _: &Accepted) {
    let Some(region) = world.live_regions().first().copied() else { return };
    let mut reused = None;
    for sim in &mut world.devices {
        let meta = sim.store.meta().expect("a store in memory does not fail").unwrap_or_default();
        let mut records = world.regions[region].store.iter_devices();
        let received = records.find(|(id, _)| *id == meta.device).map(|(_, r)| &r.received);
        if let Some(highest) = received.map(|r| r.highest()).filter(|h| *h > meta.sent_seq) {
            let (name, id, sent) = (&sim.name, meta.device, meta.sent_seq);
            reused =
                Some(format!("{name} goes on as {id:?} from {sent}, though {highest} is taken"));
        }
    }
    if let Some(message) = reused {
        world.fail("identity", "I1", message);
    }
}
