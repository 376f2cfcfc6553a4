//! `landfall bench failover`: the region of a device falls silent, hangs up or drains, and a write goes
//! on to another.

use super::Failover;
use super::report::Report;
use super::stage::{SCOPE, Stage, WAIT_MAX, item, item_id, wait_for, write_items};
use crate::replay::Place;
use crate::terminal::Progress;
use landfall_device::{Client, ConnectionState, Fate};
use std::time::{Duration, Instant};

/// Rows that the device has: what it must not download again.
const ROWS: u64 = 2_000;
const ROWS_PER_WRITE: usize = 200;

/// What becomes of the device's region.
#[derive(Clone, Copy)]
enum Fault {
    /// None, for comparison.
    None,
    /// It takes bytes and answers nothing.
    Silent,
    /// Connections break, and new ones are refused.
    Cut,
    /// It says itself that it goes.
    Drains,
}

const FAULTS: [(Fault, &str); 4] = [
    (Fault::None, "nothing happens"),
    (Fault::Silent, "its region falls silent"),
    (Fault::Cut, "its region hangs up"),
    (Fault::Drains, "its region drains"),
];

/// What one kind of fault came to, each time.
#[derive(Default)]
struct Struck {
    /// From a write to its ack, whichever region gave it.
    acked: Vec<Duration>,
    /// From the write until it had its ack and the device was online elsewhere.
    moved: Vec<Duration>,
    /// Downloaded from the fault on.
    bytes: Vec<u64>,
}

impl Struck {
    fn add_to(mut self, report: &mut Report, name: &str, all_rows: u64) {
        report.add_times(name, &self.acked.into_iter().collect());
        if !self.moved.is_empty() {
            let name = format!("{name}, and the device has moved");
            report.add_times(&name, &self.moved.into_iter().collect());
        }
        self.bytes.sort_unstable();
        let middle = self.bytes[self.bytes.len() / 2] as f64;
        let beside = ("all rows", all_rows as f64);
        report.add_beside(format!("{name}, downloaded"), middle, "bytes", beside);
    }
}

pub(super) async fn run(args: &Failover, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let mut stage = Stage::new(place, 2).await?;
    let clerk = stage.fronted("clerk")?;
    write_items(&clerk, 0..ROWS, ROWS_PER_WRITE)?;
    clerk.drain_async(WAIT_MAX).await?;
    clerk.close_async().await?;
    stage.world.wait_until_equal(WAIT_MAX, |_| {}).await?;
    let courier = stage.fronted("courier")?;
    courier.subscribe(SCOPE)?;
    courier.settle_async(WAIT_MAX).await?;
    let whole = courier.traffic().down();
    courier.close_async().await?;
    let mut report = Report::new(format!(
        "from a write to its ack while a device's region fails, {} times each",
        args.rounds
    ));
    let mut number = ROWS;
    for (fault, name) in FAULTS {
        let mut struck = Struck::default();
        for round in 1..=args.rounds {
            progress.show(|| format!("{name}: {round} of {}", args.rounds));
            strike(&mut stage, fault, number, &mut struck).await?;
            number += 2;
        }
        struck.add_to(&mut report, name, whole);
    }
    progress.clear();
    stage.end(&[]).await?;
    Ok(report)
}

/// A device that has everything is online at the first region, the fault strikes, the app writes.
async fn strike(
    stage: &mut Stage,
    fault: Fault,
    number: u64,
    struck: &mut Struck,
) -> anyhow::Result<()> {
    let courier = stage.fronted("courier")?;
    until_online(&courier, stage.world.name(0)).await?;
    courier.settle_async(WAIT_MAX).await?;
    acked(&courier, number)?;
    let down = courier.traffic().down();
    match fault {
        Fault::None => {}
        Fault::Silent => stage.world.set_front_silent(0),
        Fault::Cut => stage.world.set_front_cut(0, true),
        Fault::Drains => {
            stage.world.ask_to_end(0);
            until_draining(stage, 0).await?;
        }
    }
    let began = Instant::now();
    acked(&courier, number + 1)?;
    struck.acked.push(began.elapsed());
    if !matches!(fault, Fault::None) {
        until_online(&courier, stage.world.name(1)).await?;
        struck.moved.push(began.elapsed());
    }
    // A write leaves the outbox once two regions have it, so there must be two again.
    match fault {
        Fault::None => {}
        Fault::Silent | Fault::Cut => stage.world.set_front_cut(0, false),
        Fault::Drains => {
            stage.world.stop_region(0).await;
            stage.world.start_region(0).await?;
        }
    }
    courier.settle_async(WAIT_MAX).await?;
    struck.bytes.push(courier.traffic().down() - down);
    courier.close_async().await?;
    stage.world.wait_until_equal(WAIT_MAX, |_| {}).await
}

/// Until a region that was asked to end says that it drains, or has ended and says no more.
async fn until_draining(stage: &Stage, region: usize) -> anyhow::Result<()> {
    let end = Instant::now() + WAIT_MAX;
    while stage.world.status(region).await.is_some_and(|status| !status.draining) {
        anyhow::ensure!(Instant::now() < end, "the region does not drain");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn until_online(client: &Client, region: &str) -> anyhow::Result<()> {
    let here = || match client.connection() {
        ConnectionState::Online { region: at } => Ok(at == region),
        _ => Ok(false),
    };
    tokio::task::block_in_place(|| wait_for("online", here))
}

/// Write, and wait until some region has taken it.
fn acked(client: &Client, number: u64) -> anyhow::Result<()> {
    let write = client.transaction().upsert("Item", &item_id(number), item(number)).commit()?;
    let accepted = || Ok(matches!(client.fate(write.dots[0])?, Fate::Accepted { .. }));
    tokio::task::block_in_place(|| wait_for("a region takes the write", accepted))
}
