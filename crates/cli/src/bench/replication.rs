//! `landfall bench replication`: a region that was away catches up with its peer, which serves devices
//! meanwhile.
//!
//! Every op is a transaction of its own in one home scope, and so one entry of a log.

use super::Replication;
use super::report::Report;
use super::stage::{Stage, WAIT_MAX, politely, write_in_parts, write_items};
use super::store;
use crate::replay::Place;
use crate::terminal::Progress;
use landfall_device::Client;
use landfall_region::status::Status;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The region that stays, and the one that is away.
const PEER: usize = 0;
const AWAY: usize = 1;

/// Devices that write while the region is away, and their ops in one transaction.
const WRITERS: u64 = 4;
const OPS_PER_WRITE: usize = 1;

const OP_BYTES: usize = 250;

/// Bare SQLite writes no more ops than this, so as not to take as long as the region. With more it
/// would be slower.
const BARE_OPS_MAX: u32 = 200_000;

/// A region is level with its peer if it has all that the peer had, no longer ago than this.
const LEVEL_WITHIN: Duration = Duration::from_secs(1);

const POLL: Duration = Duration::from_millis(20);

/// What came of the return.
struct CaughtUp {
    /// From when the region was up until it was level.
    took: Duration,
    /// Entries of its peer that it has taken in.
    entries: u64,
    /// Ops that its peer accepted from devices meanwhile.
    served: u64,
}

pub(super) async fn run(args: &Replication, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let mut stage = Stage::new(place, 2).await?;
    let bare_ops = args.ops.min(BARE_OPS_MAX);
    progress.show(|| "bare SQLite".to_owned());
    let bare = store::region_ops(&stage.beside("bare")?, bare_ops, OP_BYTES)?;
    stage.world.kill_region(AWAY).await;
    progress.show(|| format!("{} ops while the region is away", args.ops));
    let writers: Vec<Client> =
        politely(|| (0..WRITERS).map(|i| stage.device(&format!("writer-{i}"), PEER)).collect())?;
    let ops = u64::from(args.ops);
    tokio::task::block_in_place(|| write_in_parts(&writers, ops, OPS_PER_WRITE))?;
    until_accepted(&stage, ops).await?;
    progress.show(|| "the region comes back".to_owned());
    let began = Instant::now();
    stage.world.start_region(AWAY).await?;
    let up = began.elapsed();
    let caught_up = catch_up(&stage, &writers[0], ops, args.rate).await?;
    progress.clear();
    stage.end(&writers).await?;
    let seconds = caught_up.took.as_secs_f64();
    let mut report = Report::new(format!("a region that was away for {ops} ops catches up"));
    let per_second = caught_up.entries as f64 / seconds;
    let name = format!("{}, of {bare_ops} ops", store::PLAIN_ROWS);
    report.add_beside("applied", per_second, "ops/s", (&name, bare));
    report.add("until it was level", up.as_secs_f64() + seconds, "s");
    report.add("its peer served meanwhile", caught_up.served as f64 / seconds, "ops/s");
    Ok(report)
}

/// Until the region that stays has so many ops.
async fn until_accepted(stage: &Stage, ops: u64) -> anyhow::Result<()> {
    let end = Instant::now() + WAIT_MAX;
    while stage.status(PEER).await?.ops < ops {
        anyhow::ensure!(Instant::now() < end, "the region does not come to {ops} ops");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// A device writes at its peer, from item `first` on, until the region is level.
async fn catch_up(
    stage: &Stage,
    writer: &Client,
    first: u64,
    rate: u32,
) -> anyhow::Result<CaughtUp> {
    let (done, began) = (&AtomicBool::new(false), Instant::now());
    let before = stage.status(PEER).await?.ops;
    let level = async {
        let entries = until_level(stage).await?;
        let took = began.elapsed();
        let served = stage.status(PEER).await?.ops - before;
        anyhow::Ok(CaughtUp { took, entries, served })
    };
    std::thread::scope(|scope| {
        let serving = scope.spawn(move || serve(writer, first, rate, done));
        let level =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(level));
        done.store(true, Ordering::Relaxed);
        serving.join().expect("the writer does not panic")?;
        level
    })
}

/// Until the region that was away has every entry that its peer had logged when the peer was asked,
/// no longer ago than [`LEVEL_WITHIN`]. That the two have the same need never be found: the peer
/// logs more all the time. Returns the entries of the peer that the region has then.
async fn until_level(stage: &Stage) -> anyhow::Result<u64> {
    let end = Instant::now() + WAIT_MAX;
    loop {
        let asked = Instant::now();
        let peer = stage.status(PEER).await?;
        let wanted = logs(&peer, peer.region);
        let held = loop {
            let held = logs(&stage.status(AWAY).await?, peer.region);
            if wanted.iter().all(|(log, seq)| held.get(log).is_some_and(|held| held >= seq)) {
                break held;
            }
            anyhow::ensure!(Instant::now() < end, "the region does not come level with its peer");
            tokio::time::sleep(POLL).await;
        };
        if asked.elapsed() <= LEVEL_WITHIN {
            return Ok(held.values().sum());
        }
    }
}

/// How far a region holds each of the logs of `owner`.
fn logs(status: &Status, owner: u16) -> BTreeMap<(u64, u16), u64> {
    let owned = status.vector.iter().filter(|head| head.region == owner);
    owned.map(|head| ((head.incarnation, head.stream), head.seq)).collect()
}

/// Write at a rate until told otherwise.
fn serve(client: &Client, first: u64, rate: u32, done: &AtomicBool) -> anyhow::Result<()> {
    let began = Instant::now();
    for n in 0_u32.. {
        let due = began + Duration::from_secs_f64(f64::from(n) / f64::from(rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if done.load(Ordering::Relaxed) {
            break;
        }
        let number = first + u64::from(n);
        write_items(client, number..number + 1, 1)?;
    }
    Ok(())
}
