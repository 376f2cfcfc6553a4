//! Evidence of a round: the SQLite files as they are when all processes are gone, and the histories.

use super::history::{self, Entry, Fate};
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

/// What regions and devices have in their directories.
const OF_REGION: &str = "region.toml";
const OF_DEVICE: &str = "device.json";

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
    let (mut devices, mut histories) = (Vec::new(), Vec::new());
    for place in places(dir, OF_DEVICE)? {
        let read = read_device(&app, &place);
        let (read, history) = read.with_context(|| place.display().to_string())?;
        devices.push(read);
        histories.push(history);
    }
    let ids: BTreeSet<DeviceId> = histories.iter().flat_map(|h| h.ids.iter().copied()).collect();
    let mut regions = Vec::new();
    for place in places(dir, OF_REGION)? {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut store = open_store(&place.join("data"))?;
        let read = Region::read(&name, &mut store, &app.schema, &ids);
        regions.push(read.with_context(|| format!("the store of {name}"))?);
    }
    if regions.is_empty() {
        let message = format!("{} holds no round of a drill", dir.display());
        return Err(fault::new(code::NOTHING_KNOWN, message));
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
