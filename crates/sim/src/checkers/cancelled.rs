//! I1: a write that was taken back before it was sent counts nowhere. (That it was not sent is
//! looked at when it is taken back.) A copy of the file that was made before may still send it.

use super::Accepted;
use crate::world::World;

pub fn check(world: &mut World, accepted: &Accepted) {
    let cancelled = world.oracle.cancelled.iter();
    let mut alone =
        cancelled.filter(|((_, dot), _)| !world.oracle.shared_ids.contains(&dot.device));
    let found = alone.find(|((_, dot), print)| accepted.ops.contains_key(&(*dot, **print)));
    if let Some(((device, dot), _)) = found {
        let message = format!("{} took {dot:?} back, and it counts", world.devices[*device].name);
        world.fail("cancelled", "I1", message);
    }
}
