//! `landfall bench replication`: a region that was away catches up with its peer, which serves devices
//! meanwhile.

use super::Replication;
use super::report::Report;
use super::stage::{Stage, WAIT_MAX, politely, write_items};
use super::store;
use crate::replay::Place;
use crate::terminal::Progress;
use landfall_device::Client;
use landfall_region::status::Status;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Devices that write while the peer is away, and their ops in one transaction.
const WRITERS: u64 = 4;
const OPS_PER_WRITE: usize = 1;

const OP_BYTES: usize = 250;

pub(super) async fn run(args: &Replication, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let mut stage = Stage::new(place, 2).await?;
    let bare = store::region_ops(&stage.beside("bare")?, args.ops.min(200_000), OP_BYTES)?;
    stage.world.kill_region(1).await;
    progress.show(|| format!("{} ops while the peer is away", args.ops));
    let writers: Vec<Client> =
        politely(|| (0..WRITERS).map(|i| stage.device(&format!("writer-{i}"), 0)).collect())?;
    let ops = u64::from(args.ops);
    let each = ops.div_ceil(WRITERS);
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS)
                .zip(&writers)
                .map(|(i, w)| {
                    let numbers = i * each..ops.min((i + 1) * each);
                    scope.spawn(move || write_items(w, numbers, OPS_PER_WRITE))
                })
                .collect();
            threads.into_iter().try_for_each(|t| t.join().expect("a writer does not panic"))
        })
    })?;
    until(&stage, 0, ops, |s| s.ops).await?;
    progress.show(|| "the peer comes back".to_owned());
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    stage.world.start_region(1).await?;
    let up = began.elapsed();
    let caught_up = std::thread::scope(|scope| {
        let (writer, done, written) = (&writers[0], &done, &written);
        let rate = args.rate;
        scope.spawn(move || serve(writer, ops, rate, done, written));
        let waited = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current()
                .block_on(until(&stage, 1, ops, |s| s.entries_from_peers))
        });
        done.store(true, Ordering::Relaxed);
        waited.map(|()| began.elapsed())
    })?;
    progress.clear();
    let served = written.load(Ordering::Relaxed) as f64 / caught_up.as_secs_f64();
    stage.end(&writers).await?;
    let mut report = Report::new(format!("a region that was away for {ops} ops catches up"));
    let per_second = ops as f64 / (caught_up - up).as_secs_f64();
    report.add_beside("applied", per_second, "ops/s", (store::PLAIN_ROWS, bare));
    report.add("until it was level", caught_up.as_secs_f64(), "s");
    report.add("its peer served meanwhile", served, "ops/s");
    Ok(report)
}

/// Until a region says that it has so many ops, of what is counted.
async fn until(
    stage: &Stage,
    region: usize,
    ops: u64,
    count: impl Fn(&Status) -> u64,
) -> anyhow::Result<()> {
    let end = Instant::now() + WAIT_MAX;
    while count(&stage.status(region).await?) < ops {
        anyhow::ensure!(Instant::now() < end, "region {region} does not come to {ops} ops");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Write at a rate until told otherwise.
fn serve(client: &Client, first: u64, rate: u32, done: &AtomicBool, written: &AtomicU64) {
    let began = Instant::now();
    for n in 0_u32.. {
        let due = began + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let number = first + u64::from(n);
        if done.load(Ordering::Relaxed) || write_items(client, number..number + 1, 1).is_err() {
            return;
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}
