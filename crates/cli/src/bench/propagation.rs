//! `landfall bench propagation`: from a write on one device to the row on another, by way of a
//! region that made it durable.
//!
//! On the way are two fsyncs that somebody must wait for: nothing leaves the writer before its
//! transaction is on disk, and nothing leaves the region before its commit is. Beside a write stand
//! as many fsyncs of the disk, each sum of them that of fsyncs that followed each other.

use super::report::{Report, Times};
use super::stage::{SCOPE, Stage, WAIT_MAX, item, item_id, item_number};
use super::{Propagation, store};
use crate::replay::Place;
use crate::terminal::Progress;
use anyhow::{Context, ensure};
use landfall_device::{Client, Query, Row, Watch};
use std::time::{Duration, Instant};

/// Fsyncs between a write and its row elsewhere.
const FSYNCS: u32 = 2;

pub(super) async fn run(args: &Propagation, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let stage = Stage::new(place, 1).await?;
    let (writer, reader) = (stage.device("writer", 0)?, stage.device("reader", 0)?);
    let single = tokio::task::block_in_place(|| {
        reader.subscribe(SCOPE)?;
        writer.settle(WAIT_MAX)?;
        reader.settle(WAIT_MAX)?;
        progress.show(|| format!("{} writes, one after the other", args.writes));
        one_by_one(&writer, &reader, args.writes.into())
    })?;
    let fsyncs = store::fsyncs(&stage.beside("fsyncs")?, args.writes * FSYNCS)?;
    let fsyncs: Times = fsyncs.chunks(FSYNCS as usize).map(|both| both.iter().sum()).collect();
    progress.show(|| format!("{} writes a second", args.rate));
    let busy = tokio::task::block_in_place(|| {
        let first = u64::from(args.writes);
        at_a_rate(&writer, &reader, first, args.rate, args.seconds)
    })?;
    progress.clear();
    stage.end(&[writer, reader]).await?;
    let mut report = Report::new("from a write on one device to the row on another");
    for ((end, own), (_, both)) in single.ends().into_iter().zip(fsyncs.ends()) {
        let beside = format!("two fsyncs, {end}");
        report.add_beside(format!("alone, {end}"), own, "ms", (&beside, both));
        report.add(format!("alone, {end} less {end} of two fsyncs"), own - both, "ms");
    }
    report.add_times(&format!("at {} a second", args.rate), &busy);
    Ok(report)
}

/// Rows of the live query that tells. More may come at once: see [`Arrivals`].
const WINDOW: u64 = 500;

/// Each write is made once the one before has arrived.
fn one_by_one(writer: &Client, reader: &Client, writes: u64) -> anyhow::Result<Times> {
    let mut arrivals = Arrivals::new(reader)?;
    let mut times = Vec::new();
    for n in 0..writes {
        let began = Instant::now();
        writer.transaction().upsert("Item", &item_id(n), item(n)).commit()?;
        let arrived = arrivals.until(n)?;
        times.push(arrived - began);
    }
    Ok(times.into_iter().collect())
}

fn at_a_rate(
    writer: &Client,
    reader: &Client,
    first: u64,
    rate: u32,
    seconds: u32,
) -> anyhow::Result<Times> {
    let mut arrivals = Arrivals::new(reader)?;
    let count = u64::from(rate) * u64::from(seconds);
    let began = Instant::now();
    let due = move |n: u64| began + Duration::from_secs_f64(n as f64 / f64::from(rate));
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || -> anyhow::Result<()> {
            for n in 0..count {
                std::thread::sleep(due(n).saturating_duration_since(Instant::now()));
                writer
                    .transaction()
                    .upsert("Item", &item_id(first + n), item(first + n))
                    .commit()?;
            }
            Ok(())
        });
        // From when it was due: a writer that falls behind must not hide it.
        let took = |n| Ok(arrivals.until(first + n)?.saturating_duration_since(due(n)));
        let times = (0..count).map(took).collect();
        // If the writer failed, that is why a row did not come.
        writing.join().expect("the writer does not panic")?;
        times
    })
}

/// When rows came to a device, as a live query of it tells.
///
/// A region hands on what one device wrote in the order in which it was written, so the newest row
/// tells of all before it, those too that a window of the newest rows never showed.
struct Arrivals {
    watch: Watch,
    /// The newest row that has come, and when.
    newest: Option<u64>,
    at: Instant,
}

impl Arrivals {
    fn new(reader: &Client) -> anyhow::Result<Self> {
        let newest = Query::table("Item").descending("id").limit(WINDOW);
        Ok(Self { watch: reader.observe(newest)?, newest: None, at: Instant::now() })
    }

    /// When the row came; it is waited for. To be asked of one row after the other, upwards.
    fn until(&mut self, number: u64) -> anyhow::Result<Instant> {
        let end = Instant::now() + WAIT_MAX;
        while self.newest < Some(number) {
            ensure!(Instant::now() < end, "{} does not come", item_id(number));
            let Some(update) = self.watch.next_within(Duration::from_secs(1)) else { continue };
            let now = Instant::now();
            self.newest = newest(&update?.rows)?;
            self.at = now;
        }
        Ok(self.at)
    }
}

/// The number of the first of rows that fall without a gap.
fn newest(rows: &[Row]) -> anyhow::Result<Option<u64>> {
    let number = |row: &Row| row.text("id").and_then(item_number).context("an item's id");
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
    let (newest, oldest) = (number(first)?, number(last)?);
    ensure!(newest + 1 == oldest + rows.len() as u64, "rows came in another order");
    Ok(Some(newest))
}
