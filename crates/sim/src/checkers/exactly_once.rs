//! I1: the effect of an op happens once. Counters everywhere are the sum of the increments of the
//! ops received, each dot and fingerprint once.

use super::Accepted;
use crate::world::World;
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::{Change, Sealed};
use std::collections::BTreeMap;

pub fn check(world: &mut World, accepted: &Accepted) {
    for region in world.live_regions() {
        let fault = world.regions[region].store.iter_entities().find_map(|(key, record)| {
            let ops = accepted.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
            differs(key, &record.entity, ops)
        });
        if let Some(message) = fault {
            return world.fail("exactly-once", "I1", format!("region {region}: {message}"));
        }
    }
    counted_too_much(world);
}

/// Whatever was brought back, and by how many at once: a counter never shows more than was ever
/// counted. But for files that were copied: both copies may send a write, which is two then.
fn counted_too_much(world: &mut World) {
    if world.devices.is_empty() || !world.oracle.shared_ids.is_empty() {
        return;
    }
    let ids = world.app.ids;
    let mut found = None;
    for region in world.live_regions() {
        for (key, record) in world.regions[region].store.iter_entities() {
            for field in [ids.votes, ids.attempts] {
                let shown = record.entity.counter(field, &Living);
                let most = world.oracle.increments_on(key, field);
                if shown > most {
                    found = Some(format!("region {region}: {key:?} counts {shown} of {most}"));
                }
            }
        }
    }
    if let Some(message) = found {
        world.fail("exactly-once", "I1", message);
    }
}

fn differs(key: &EntityKey, entity: &Entity, ops: &[Sealed]) -> Option<String> {
    let expected = sums(ops, entity);
    for (field, sum) in expected {
        let shown = entity.counter(field, &Living);
        if shown != sum {
            return Some(format!("a counter of {key:?} shows {shown}, its increments make {sum}"));
        }
    }
    None
}

/// Increments per field whose birth lives; and what living births carry of others, of each the
/// largest count (they only count up here).
fn sums(ops: &[Sealed], entity: &Entity) -> BTreeMap<FieldId, i64> {
    let mut sums: BTreeMap<FieldId, i64> = BTreeMap::new();
    let mut carried: BTreeMap<(FieldId, Dot), i64> = BTreeMap::new();
    let born: Vec<_> = entity.living().collect();
    for sealed in ops {
        let counts = sealed.op.births.first().is_some_and(|b| born.contains(b));
        for change in sealed.op.changes() {
            match &change.change {
                Change::Counter(n) => {
                    *sums.entry(change.field).or_default() += if counts { *n } else { 0 };
                }
                Change::Carried(parts) if counts => {
                    for (birth, n) in parts.iter().filter(|(birth, _)| !born.contains(birth)) {
                        let known = carried.entry((change.field, *birth)).or_default();
                        *known = (*known).max(*n);
                    }
                }
                _ => {}
            }
        }
    }
    for ((field, _), n) in carried {
        *sums.entry(field).or_default() += n;
    }
    sums
}
