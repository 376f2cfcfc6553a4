//! `landfall bench propagation`: from a write on one device to the row on another, by way of a
//! region that made it durable.
//!
//! On the way are two fsyncs that somebody must wait for: nothing leaves the writer before its
//! transaction is on disk, and nothing leaves the region before its commit is.

use super::report::{Report, Times};
use super::stage::{SCOPE, Stage, WAIT_MAX, item, item_id};
use super::{Propagation, store};
use crate::replay::Place;
use crate::terminal::Progress;
use landfall_device::{Client, Query, RowChange, Watch};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Fsyncs between a write and its row elsewhere.
const FSYNCS: f64 = 2.0;

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
    let fsyncs = store::fsyncs(&stage.beside("fsyncs")?, args.writes)?;
    progress.show(|| format!("{} writes a second", args.rate));
    let busy = tokio::task::block_in_place(|| {
        let first = u64::from(args.writes);
        at_a_rate(&writer, &reader, first, args.rate, args.seconds)
    })?;
    progress.clear();
    stage.end(&[writer, reader]).await?;
    let mut report = Report::new("from a write on one device to the row on another");
    for percent in [50, 99] {
        let beside = ("two fsyncs", FSYNCS * fsyncs.ms(percent));
        report.add_beside(format!("alone, p{percent}"), single.ms(percent), "ms", beside);
        let above = single.ms(percent) - FSYNCS * fsyncs.ms(percent);
        report.add(format!("alone, p{percent}, above the fsyncs"), above, "ms");
    }
    report.add_times(&format!("at {} a second", args.rate), &busy);
    Ok(report)
}

/// Rows of the live query that tells; more never come at once.
const WINDOW: u64 = 500;

/// Each write is made once the one before has arrived.
fn one_by_one(writer: &Client, reader: &Client, writes: u64) -> anyhow::Result<Times> {
    let mut arrivals = Arrivals::new(reader)?;
    let mut times = Vec::new();
    for n in 0..writes {
        let began = Instant::now();
        writer.transaction().upsert("Item", &item_id(n), item(n)).commit()?;
        let arrived = arrivals.until(&item_id(n))?;
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
        let mut times = Vec::new();
        for n in 0..count {
            // From when it was due: a writer that falls behind must not hide it.
            times.push(arrivals.until(&item_id(first + n))?.saturating_duration_since(due(n)));
        }
        writing.join().expect("the writer does not panic")?;
        Ok(times.into_iter().collect())
    })
}

/// When rows came to a device, as a live query of it tells.
struct Arrivals {
    watch: Watch,
    at: HashMap<String, Instant>,
}

impl Arrivals {
    fn new(reader: &Client) -> anyhow::Result<Self> {
        let newest = Query::table("Item").descending("id").limit(WINDOW);
        Ok(Self { watch: reader.observe(newest)?, at: HashMap::new() })
    }

    /// When the row came; it is waited for.
    fn until(&mut self, id: &str) -> anyhow::Result<Instant> {
        let end = Instant::now() + WAIT_MAX;
        loop {
            if let Some(at) = self.at.remove(id) {
                return Ok(at);
            }
            anyhow::ensure!(Instant::now() < end, "{id} does not come");
            let Some(update) = self.watch.next_within(Duration::from_secs(1)) else { continue };
            let now = Instant::now();
            for change in update?.changes {
                if let RowChange::Insert { row, .. } = change {
                    let id = row.text("id").unwrap_or_default().to_owned();
                    self.at.insert(id, now);
                }
            }
        }
    }
}
