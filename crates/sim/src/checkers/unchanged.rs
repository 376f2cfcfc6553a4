//! I7: what the regions have received is what devices sent, to the byte. A region accepts an op as it
//! is or refuses it; it never stamps it anew, and makes none of its own.

use super::Accepted;
use crate::evidence::{Evidence, Finding};
use crate::world::World;
use std::collections::BTreeSet;

pub fn check(evidence: &Evidence) -> Option<Finding> {
    let sent = |name| evidence.sent.get(name).map(|sealed| &sealed.payload);
    // All voids of a number are one and the same op, whichever file sent it.
    let mut ops = evidence.accepted.ops.iter().filter(|(_, s)| !s.op.is_void());
    let ((dot, print), _) = ops.find(|(name, s)| sent(*name) != Some(&s.payload))?;
    let message = format!("{dot:?} {print:?} was received in a form that nobody sent");
    Some(Finding::new("unchanged", "I7", message))
}

/// Paths that show at the end only.
pub fn note_paths(world: &mut World, accepted: &Accepted) {
    let mut seen = BTreeSet::new();
    let names = accepted.entries.iter().flat_map(|(_, _, names)| names);
    if names.filter(|name| !seen.insert(**name)).count() > 0 {
        world.mark("write with two positions");
    }
    let dots: BTreeSet<_> = accepted.ops.keys().map(|(dot, _)| *dot).collect();
    if dots.iter().any(|dot| accepted.under(*dot).count() > 1) {
        world.mark("two writes under one dot");
    }
}
