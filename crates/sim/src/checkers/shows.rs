//! I5 by what devices wrote down of what they showed: a counter that only counts up never goes back,
//! not by a restart, not by another region; and never shows more than was counted in the end.

use crate::evidence::{Evidence, Finding};

pub fn check(evidence: &Evidence) -> Option<Finding> {
    let found = |message| Finding::new("sessions", "I5", message);
    for device in &evidence.devices {
        for pair in device.told.shows.windows(2) {
            for (name, was) in &pair[0] {
                let is = pair[1].get(name).copied().unwrap_or(*was);
                if is < *was {
                    let device = &device.name;
                    return Some(found(format!("{device}: {name} went from {was} back to {is}")));
                }
            }
        }
    }
    None
}
