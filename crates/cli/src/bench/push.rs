//! `landfall bench ingest` and `landfall bench push`: what was written offline, on its way to a
//! region that makes it durable.
//!
//! Every op is a transaction of its own, in the outbox of a real device, and counts when the device
//! has heard that the region has it on its disk. The devices share the machine with the region.

use super::report::Report;
use super::stage::{Stage, drained, politely, write_items};
use super::{Ingest, Push, store};
use crate::replay::Place;
use crate::terminal::Progress;
use landfall_device::Client;
use std::time::{Duration, Instant};

/// What an op of these benchmarks is, in bytes of payload.
const OP_BYTES: usize = 250;

/// How many devices, and how much each of them has written.
struct Load {
    devices: u32,
    ops: u32,
}

/// What it took.
struct Took {
    writing: Duration,
    pushing: Duration,
    commits: u64,
    pushes: u64,
}

pub(super) async fn ingest(args: &Ingest, place: &Place) -> anyhow::Result<Report> {
    let load = Load { devices: args.devices.into(), ops: args.ops };
    let (took, bare) = run(&load, place, args.output.json).await?;
    let ops = f64::from(load.devices * load.ops);
    let mut report = Report::new(format!(
        "{} devices push {} ops each to one region, synchronous=FULL",
        load.devices, load.ops
    ));
    let durable = ops / took.pushing.as_secs_f64();
    report.add_beside("durable at the region", durable, "ops/s", (store::PLAIN_ROWS, bare));
    report.add("in one commit", ops / took.commits.max(1) as f64, "ops");
    report.add("in one push", ops / took.pushes.max(1) as f64, "ops");
    Ok(report)
}

pub(super) async fn push(args: &Push, place: &Place) -> anyhow::Result<Report> {
    let load = Load { devices: 1, ops: args.ops };
    let (took, bare) = run(&load, place, args.output.json).await?;
    let ops = f64::from(load.ops);
    let mut report = Report::new(format!("a device comes online with {} writes", load.ops));
    let beside = (store::PLAIN_ROWS, ops / bare);
    report.add_beside("until all are durable", took.pushing.as_secs_f64(), "s", beside);
    report.add("in one commit", ops / took.commits.max(1) as f64, "ops");
    report.add("one local write", took.writing.as_secs_f64() * 1e3 / ops, "ms");
    Ok(report)
}

async fn run(load: &Load, place: &Place, quiet: bool) -> anyhow::Result<(Took, f64)> {
    let mut progress = Progress::new(quiet);
    let stage = Stage::new(place, 1).await?;
    progress.show(|| "bare SQLite".to_owned());
    let bare = store::region_ops(&stage.beside("bare")?, load.devices * load.ops, OP_BYTES)?;
    progress.show(|| format!("{} devices write offline", load.devices));
    let devices: Vec<Client> =
        politely(|| (0..load.devices).map(|i| stage.offline(&format!("device-{i}"), 0)).collect())?;
    let began = Instant::now();
    for (i, device) in devices.iter().enumerate() {
        let first = i as u64 * u64::from(load.ops);
        write_items(device, first..first + u64::from(load.ops), 1)?;
    }
    let writing = began.elapsed();
    progress.show(|| "and push".to_owned());
    let before = stage.status(0).await?;
    let began = Instant::now();
    devices.iter().for_each(Client::go_online);
    drained(&devices).await?;
    let pushing = began.elapsed();
    let after = stage.status(0).await?;
    progress.clear();
    let ops = after.ops - before.ops;
    anyhow::ensure!(ops == u64::from(load.devices * load.ops), "the region took {ops} ops");
    let (commits, pushes) = (after.commits - before.commits, after.pushes - before.pushes);
    stage.end(&devices).await?;
    Ok((Took { writing, pushing, commits, pushes }, bare))
}
