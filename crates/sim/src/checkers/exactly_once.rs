//! I1: the effect of an op happens once. Counters everywhere are the sum of the increments of the
//! ops received, each dot and fingerprint once.

use super::Accepted;
use crate::world::World;
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{EntityKey, FieldId};
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

/// Increments per field whose birth lives.
fn sums(ops: &[Sealed], entity: &Entity) -> BTreeMap<FieldId, i64> {
    let mut sums: BTreeMap<FieldId, i64> = BTreeMap::new();
    let born: Vec<_> = entity.living().collect();
    for sealed in ops {
        for change in sealed.op.changes() {
            if let Change::Counter(n) = change.change {
                let counts = sealed.op.births.first().is_some_and(|b| born.contains(b));
                *sums.entry(change.field).or_default() += if counts { n } else { 0 };
            }
        }
    }
    sums
}
