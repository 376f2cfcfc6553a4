//! A file that was copied or put back takes a new device id: at the end no region has received,
//! under an id in use, a number that its file does not know to have sent.

use crate::evidence::{Evidence, Finding};

pub fn check(evidence: &Evidence) -> Option<Finding> {
    let region = evidence.regions.first()?;
    evidence.devices.iter().find_map(|device| {
        let (id, sent) = (device.meta.device, device.meta.sent_seq);
        let highest = region.devices.get(&id).map(|record| record.received.highest())?;
        let (name, reused) = (&device.name, highest > sent);
        let message = format!("{name} goes on as {id:?} from {sent}, though {highest} is taken");
        reused.then(|| Finding::new("identity", "I1", message))
    })
}
