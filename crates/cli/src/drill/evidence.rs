//! Evidence of a round: the SQLite files as they are when all processes are gone, and the histories.
//!
//! What is not there cannot be found wrong, so all of it must be there: as many regions and devices as
//! the round had, each with its file, and each device with a history that has lost nothing.

use super::history::{self, Entry, Fate};
use super::plan::Size;
use super::stage::HISTORY;
use super::{phone, store};
use crate::fault::{self, code};
use crate::world::open_store;
use anyhow::Context;
use landfall_device::store as file;
use landfall_model::hash::hash64;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId};
use landfall_model::op::{Change, Fingerprint, Sealed};
use landfall_sim::app::App;
use landfall_sim::checkers::Accepted;
use landfall_sim::evidence::{Device, Evidence, Region, Told};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How codes begin of edits that cannot be made, such as a change of a row that is gone.
const OF_THE_EDIT: &str = "LF20";

/// What a device's history says, and what it leaves open.
#[derive(Debug, Default)]
struct History {
    told: Told,
    /// The last payload that was told of an op; none where the file had forgotten it.
    ops: BTreeMap<Dot, Option<Sealed>>,
    /// Every id that the file had.
    ids: BTreeSet<DeviceId>,
    /// Transactions that began and of which nothing more was told: one at most for each life.
    open: usize,
}

/// What rounds, regions and devices have in their directories.
const OF_ROUND: &str = "round.json";
const OF_REGION: &str = "region.toml";
const OF_DEVICE: &str = "device.json";

/// What a round is to leave: written down before anything of it is there.
#[derive(Debug, Serialize, Deserialize)]
struct Whole {
    seed: u64,
    regions: usize,
    devices: usize,
}

/// Write down what is to be in the directory when the round is over.
pub(crate) fn expect(dir: &Path, seed: u64, size: Size) -> anyhow::Result<()> {
    let whole = Whole { seed, regions: size.regions, devices: size.devices };
    let path = dir.join(OF_ROUND);
    std::fs::write(&path, serde_json::to_string_pretty(&whole)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The directories of all regions and all devices. `Err`: one is missing, or there was no round.
fn whole(dir: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let path = dir.join(OF_ROUND);
    if !path.exists() {
        let message = format!("{} holds no round of a drill", dir.display());
        return Err(fault::new(code::NOTHING_KNOWN, message));
    }
    let named = || path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(named)?;
    let whole: Whole = serde_json::from_str(&text).with_context(named)?;
    let (regions, devices) = (places(dir, OF_REGION)?, places(dir, OF_DEVICE)?);
    for (what, are, were) in
        [("regions", &regions, whole.regions), ("devices", &devices, whole.devices)]
    {
        if are.len() != were {
            let (dir, are) = (dir.display(), are.len());
            let message = format!("{dir} holds {are} {what} of a round that had {were}");
            return Err(fault::new(code::NOTHING_KNOWN, message));
        }
    }
    Ok((regions, devices))
}

/// Directories below one that hold a file of this name, in order.
fn places(dir: &Path, file: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut places = Vec::new();
    for entry in entries {
        let place = entry?.path();
        places.extend(place.join(file).exists().then_some(place));
    }
    places.sort();
    Ok(places)
}

/// Read everything that a round left in its directory. `Err` is what could not be read at all.
pub(crate) fn read(dir: &Path) -> anyhow::Result<Evidence> {
    let app = App::new();
    let (region_places, device_places) = whole(dir)?;
    let (mut devices, mut histories) = (Vec::new(), Vec::new());
    for place in device_places {
        let read = read_device(&app, &place);
        let (read, history) = read.with_context(|| place.display().to_string())?;
        devices.push(read);
        histories.push(history);
    }
    let ids: BTreeSet<DeviceId> = histories.iter().flat_map(|h| h.ids.iter().copied()).collect();
    let mut regions = Vec::new();
    for place in region_places {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut store = open_store(&place.join("data"))?;
        let read = Region::read(&name, &mut store, &app.schema, &ids);
        regions.push(read.with_context(|| format!("the store of {name}"))?);
    }
    let accepted = regions.first().map(Accepted::of).unwrap_or_default();
    let sent = sent(&histories, &accepted);
    for (device, history) in devices.iter_mut().zip(histories) {
        device.told = history.told;
    }
    let increments = increments(sent.values());
    let order = hash64(dir.as_os_str().as_encoded_bytes());
    let shared_ids = BTreeSet::new();
    Ok(Evidence { app, regions, devices, accepted, sent, increments, shared_ids, order })
}

fn read_device(app: &App, place: &Path) -> anyhow::Result<(Device, History)> {
    let config = std::fs::read_to_string(place.join(OF_DEVICE))?;
    let config: phone::Config = serde_json::from_str(&config)?;
    let history = read_history(&place.join(HISTORY))?;
    // Where the file is now: a round's directory may have been moved.
    let path = place.join(config.file.file_name().context("the device's file")?);
    let mut device = file::view(&path, &app.schema, |t| {
        let mut device = Device::read(&config.subject, t, &app.schema)?;
        device.outcomes = t.outcomes()?;
        Ok(device)
    })?;
    device.name = format!("{} in {}", config.subject, place.display());
    device.visible = store::visible(&path, app, &device.bases)?;
    Ok((device, history))
}

fn read_history(path: &Path) -> anyhow::Result<History> {
    let mut history = History::default();
    let mut begun = false;
    for line in history::read(path)? {
        match line.entry {
            Entry::Life { found, .. } => {
                history.open += usize::from(std::mem::take(&mut begun));
                take(&mut history, &found)?;
            }
            Entry::Begins { .. } => begun = true,
            Entry::Wrote { ops, .. } => {
                begun = false;
                take(&mut history, &ops)?;
            }
            Entry::Refused { code, message, .. } => {
                begun = false;
                if !code.starts_with(OF_THE_EDIT) {
                    history.told.failed.push(format!("{code}: {message}"));
                }
            }
            Entry::Id { device } => history.ids.extend(device.parse::<DeviceId>().ok()),
            Entry::Fate { dot, fate, code } => {
                let dot: Dot = dot.parse().context("an op's name")?;
                let told = &mut history.told;
                match fate {
                    Fate::Rejected => drop(told.refused.insert(dot, code.unwrap_or_default())),
                    Fate::Accepted => drop(told.acknowledged.entry(dot).or_insert(false)),
                    Fate::Durable => drop(told.acknowledged.insert(dot, true)),
                }
            }
            Entry::Shows { tallies, .. } => history.told.shows.push(tallies),
            // What shows of a scope that was let go, and is asked for again, is as the region has it.
            Entry::LetsGo { .. } => history.told.shows.push(BTreeMap::new()),
            Entry::Outcome { .. }
            | Entry::Subscribes { .. }
            | Entry::Connection { .. }
            | Entry::Ends => {}
        }
    }
    history.open += usize::from(begun);
    Ok(history)
}

fn take(history: &mut History, ops: &[history::Known]) -> anyhow::Result<()> {
    for known in ops {
        let (dot, sealed) = known.open()?;
        history.ids.insert(dot.device);
        let op = history.ops.entry(dot).or_default();
        *op = sealed.or(op.take());
        if !op.as_ref().is_some_and(|sealed| sealed.op.is_void()) {
            history.told.written.insert(dot);
        }
    }
    Ok(())
}

/// What may have left the devices: what they told, as they told it last. What a region has received
/// of an op that was told without its payload, or of the one transaction that a killed process did
/// not live to tell, is taken from there.
fn sent(histories: &[History], accepted: &Accepted) -> BTreeMap<(Dot, Fingerprint), Sealed> {
    let mut sent = BTreeMap::new();
    for sealed in histories.iter().flat_map(|h| h.ops.values().flatten()) {
        sent.insert((sealed.op.dot, sealed.fingerprint), sealed.clone());
    }
    for history in histories {
        let mut untold: BTreeSet<(DeviceId, u64)> = BTreeSet::new();
        for (name, sealed) in &accepted.ops {
            let ours = history.ids.contains(&name.0.device) && !sealed.op.is_void();
            if !ours || sent.contains_key(name) {
                continue;
            }
            let nameless = matches!(history.ops.get(&name.0), Some(None));
            let transaction = (name.0.device, sealed.op.tx.first);
            let open = untold.contains(&transaction) || untold.len() < history.open;
            if nameless || open {
                untold.extend((!nameless).then_some(transaction));
                sent.insert(*name, sealed.clone());
            }
        }
    }
    sent
}

/// All that was ever counted.
fn increments<'s>(ops: impl Iterator<Item = &'s Sealed>) -> BTreeMap<(EntityKey, FieldId), i64> {
    let mut sums = BTreeMap::new();
    for sealed in ops {
        for change in sealed.op.changes() {
            if let Change::Counter(n) = change.change {
                *sums.entry((sealed.op.key.clone(), change.field)).or_default() += n;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_all_there_is_no_evidence() {
        let dir = tempfile::tempdir().expect("a directory");
        let check = |expected: &str| {
            let error = fault::told(&read(dir.path()).expect_err("something is missing"));
            assert!(error.contains(expected), "{error}");
        };
        let add = |place: &str, file: &str, text: &str| {
            let place = dir.path().join(place);
            std::fs::create_dir_all(&place).expect("a directory");
            std::fs::write(place.join(file), text).expect("written");
        };
        check("holds no round of a drill");
        let size = Size { regions: 1, devices: 2, lasts: std::time::Duration::ZERO };
        expect(dir.path(), 7, size).expect("written");
        check("holds 0 regions of a round that had 1");
        add("eu-central", OF_REGION, "");
        add("device-0", OF_DEVICE, CONFIG);
        check("holds 1 devices of a round that had 2");
        add("device-1", OF_DEVICE, CONFIG);
        check("device-0/history.ndjson");
        add("device-0", HISTORY, "");
        check("tells of no life");
    }

    const CONFIG: &str = r#"{
        "subject": "office", "file": "device.db", "history": "history.ndjson", "token": "",
        "regions": [], "wants": [], "seed": 0, "life": 0, "pause_ms": 1, "quiet": false
    }"#;
}
