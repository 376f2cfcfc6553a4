//! I4: logs are dense, chained by their hashes, and the same wherever they are held. What a region
//! has received is what its logs hold: a refusal is not received.

use crate::evidence::{Evidence, Finding, Region};
use landfall_model::id::DeviceId;
use landfall_model::vector::{Origin, SeqSet};
use landfall_sync::log::{LogHash, Opened};
use std::collections::BTreeMap;

pub fn check(evidence: &Evidence) -> Option<Finding> {
    for region in &evidence.regions {
        let found = |message| format!("{}: {message}", region.name);
        if let Err(message) = chained(region) {
            return Some(Finding::new("logs", "I4", found(message)));
        }
        if let Err(message) = received(region) {
            return Some(Finding::new("logs", "I1", found(message)));
        }
    }
    let mut pairs = evidence.regions.windows(2);
    let pair = pairs.find(|pair| pair[0].logs != pair[1].logs)?;
    let message = format!("{} and {} hold different logs", pair[0].name, pair[1].name);
    Some(Finding::new("logs", "I3", message))
}

fn chained(region: &Region) -> Result<(), String> {
    let mut at: BTreeMap<Origin, (u64, LogHash)> = BTreeMap::new();
    for (origin, row) in &region.logs {
        let (seq, hash) = at.entry(*origin).or_default();
        if row.seq != *seq + 1 {
            return Err(format!("{origin:?} has {} after {seq}", row.seq));
        }
        let opened = Opened::decode(&row.entry).map_err(|e| format!("{origin:?}: {e}"))?;
        (*seq, *hash) = (row.seq, opened.roll(*hash, row.seq));
        if *hash != row.hash {
            return Err(format!("{origin:?}@{seq} breaks the chain"));
        }
    }
    for (origin, head) in &region.heads {
        let last = at.get(origin).map_or(0, |(seq, _)| *seq);
        if last != head.seq {
            return Err(format!("{origin:?} has its head at {} and ends at {last}", head.seq));
        }
    }
    Ok(())
}

fn received(region: &Region) -> Result<(), String> {
    let mut logged: BTreeMap<DeviceId, SeqSet> = BTreeMap::new();
    for (origin, row) in &region.logs {
        let opened = Opened::decode(&row.entry).map_err(|e| format!("{origin:?}: {e}"))?;
        if let Opened::Ops { ops, .. } = opened {
            for o in ops {
                logged.entry(o.op.dot.device).or_default().insert(o.op.dot.seq);
            }
        }
    }
    for (device, record) in &region.devices {
        let logged = logged.remove(device).unwrap_or_default();
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
