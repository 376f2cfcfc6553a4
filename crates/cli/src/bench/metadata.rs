//! `landfall bench metadata`: what is kept of an entity and of a device beside its values, and what
//! becomes of that when ten times as much has happened.

use super::Metadata;
use super::report::Report;
use super::stage::{SCOPE, Stage, WAIT_MAX, drained, item, item_id};
use crate::replay::Place;
use crate::terminal::Progress;
use landfall_device::Client;
use landfall_model::codec;
use landfall_model::entity::Living;
use landfall_model::id::DeviceId;
use landfall_sync::region::store::{Record, Store};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Devices that take turns in writing every row.
const DEVICES: usize = 4;

/// How much more history there is the second time.
const TIMES: u32 = 10;

/// Bytes kept.
#[derive(Default)]
struct Kept {
    /// A row at the region: state, touch vector, scopes; less the values that it shows.
    entity: f64,
    /// A device at the region: its numbers.
    device: f64,
    /// The region's file and a reader's file, per row.
    region_file: f64,
    device_file: f64,
}

pub(super) async fn run(args: &Metadata, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let mut stage = Stage::new(place, 1).await?;
    let writers: Vec<Client> =
        (0..DEVICES).map(|i| stage.device(&format!("writer-{i}"), 0)).collect::<Result<_, _>>()?;
    let reader = stage.device("reader", 0)?;
    for client in writers.iter().chain([&reader]) {
        client.subscribe(SCOPE)?;
    }
    let mut clients = writers;
    clients.push(reader);
    let mut before = Kept::default();
    let mut after = Kept::default();
    let (mut version, mut devices) = (0, BTreeSet::new());
    for (rounds, kept) in [(args.rounds, &mut before), (args.rounds * (TIMES - 1), &mut after)] {
        for round in 0..rounds {
            progress.show(|| format!("round {} of {rounds}", round + 1));
            version += 1;
            let writer = &clients[round as usize % DEVICES];
            devices.insert(write(writer, args.rows, version)?);
            drained(&clients).await?;
            for client in &clients {
                client.settle_async(WAIT_MAX).await?;
            }
        }
        for client in &clients {
            client.close_async().await?;
        }
        *kept = measure(&mut stage, args.rows, &devices).await?;
        stage.world.start_region(0).await?;
        clients = (0..DEVICES)
            .map(|i| format!("writer-{i}"))
            .chain(["reader".to_owned()])
            .map(|name| stage.device(&name, 0))
            .collect::<Result<_, _>>()?;
    }
    progress.clear();
    stage.end(&clients).await?;
    let mut report = Report::new(format!(
        "{} rows, each written {} times and then {} times by {DEVICES} devices",
        args.rows,
        args.rounds,
        args.rounds * TIMES
    ));
    let mut add = |name: &str, before: f64, after: f64| {
        let beside = ("with a tenth of the history", before);
        report.add_beside(name, after, "bytes", beside);
    };
    add("an entity at the region", before.entity, after.entity);
    add("a device at the region", before.device, after.device);
    add("the region's file, per row", before.region_file, after.region_file);
    add("a reader's file, per row", before.device_file, after.device_file);
    Ok(report)
}

fn write(client: &Client, rows: u32, version: u64) -> anyhow::Result<DeviceId> {
    let mut tx = client.transaction();
    for n in 0..u64::from(rows) {
        // Other values each time, of the same size.
        tx = tx.upsert("Item", &item_id(n), item(n + version * 1_000_003));
    }
    Ok(tx.commit()?.dots[0].device)
}

/// Stops the region, and looks into the files.
async fn measure(
    stage: &mut Stage,
    rows: u32,
    devices: &BTreeSet<DeviceId>,
) -> anyhow::Result<Kept> {
    stage.world.stop_region(0).await;
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |m| m.len()) as f64;
    let mut kept = Kept {
        region_file: size(stage.world.store_path(0)) / f64::from(rows),
        device_file: size(stage.device_path("reader")) / f64::from(rows),
        ..Kept::default()
    };
    let mut store = stage.world.open_stopped(0)?;
    let entities = store.entities(None, usize::MAX)?;
    for (_, record) in &entities {
        kept.entity += beside_values(record) as f64 / entities.len() as f64;
    }
    for device in devices {
        let record = store.device(*device)?;
        let bytes =
            codec::to_bytes(&record.received).len() + codec::to_bytes(&record.confirmed).len();
        kept.device += bytes as f64 / devices.len() as f64;
    }
    Ok(kept)
}

/// Bytes of a row but for the values that it shows, as they are encoded within its state.
fn beside_values(record: &Record) -> usize {
    let Record { entity, touch, scopes, past } = record;
    let scopes: usize = scopes.iter().chain(past).map(|s| s.len()).sum();
    let shown = entity.register_fields().filter_map(|field| entity.register(field, &Living));
    let values: usize = shown.map(|write| codec::to_bytes(&write.value).len()).sum();
    codec::to_bytes(entity).len() + codec::to_bytes(touch).len() + scopes - values
}
