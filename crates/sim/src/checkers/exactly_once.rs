//! I1: the effect of an op happens once. Counters everywhere are the sum of the increments of the
//! ops received, each dot and fingerprint once.

use crate::evidence::{Evidence, Finding};
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::{Change, Sealed};
use std::collections::BTreeMap;

pub fn check(evidence: &Evidence) -> Option<Finding> {
    let found = evidence.regions.iter().find_map(|region| {
        let fault = region.entities.iter().find_map(|(key, record)| {
            let ops = evidence.accepted.by_key.get(key).map(Vec::as_slice).unwrap_or_default();
            differs(key, &record.entity, ops)
        });
        fault.map(|message| format!("{}: {message}", region.name))
    });
    let found = found.or_else(|| counted_too_much(evidence));
    found.map(|message| Finding::new("exactly-once", "I1", message))
}

/// Whatever was brought back, and by how many at once: a counter never shows more than was ever
/// counted. But for files that were copied: both copies may send a write, which is two then.
fn counted_too_much(evidence: &Evidence) -> Option<String> {
    if evidence.devices.is_empty() || !evidence.shared_ids.is_empty() {
        return None;
    }
    let ids = evidence.app.ids;
    for region in &evidence.regions {
        for (key, record) in &region.entities {
            for field in [ids.votes, ids.attempts] {
                let shown = record.entity.counter(field, &Living);
                let most = evidence.increments.get(&(key.clone(), field)).copied().unwrap_or(0);
                if shown > most {
                    return Some(format!("{}: {key:?} counts {shown} of {most}", region.name));
                }
            }
        }
    }
    None
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
