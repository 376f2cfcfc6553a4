//! `landfall bench failover`: the region of a device falls silent, hangs up or drains, and a write goes
//! on to another.

use super::Failover;
use super::report::{Report, Times};
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

/// What one kind of fault came to.
struct Struck {
    times: Times,
    /// Downloaded from the fault on, in the middle.
    bytes: u64,
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
        let mut all = Vec::new();
        let mut bytes = Vec::new();
        for round in 1..=args.rounds {
            progress.show(|| format!("{name}: {round} of {}", args.rounds));
            let (took, down) = strike(&mut stage, fault, number).await?;
            number += 2;
            all.push(took);
            bytes.push(down);
        }
        bytes.sort_unstable();
        let struck = Struck { times: all.into_iter().collect(), bytes: bytes[bytes.len() / 2] };
        report.add_times(name, &struck.times);
        let beside = ("all rows", whole as f64);
        report.add_beside(format!("{name}, downloaded"), struck.bytes as f64, "bytes", beside);
    }
    progress.clear();
    stage.end(&[]).await?;
    Ok(report)
}

/// A device that has everything is online at the first region, the fault strikes, the app writes.
async fn strike(stage: &mut Stage, fault: Fault, number: u64) -> anyhow::Result<(Duration, u64)> {
    let courier = stage.fronted("courier")?;
    until_online(&courier, stage.world.name(0)).await?;
    courier.settle_async(WAIT_MAX).await?;
    acked(&courier, number)?;
    let down = courier.traffic().down();
    match fault {
        Fault::None => {}
        Fault::Silent => stage.world.set_front_silent(0),
        Fault::Cut => stage.world.set_front_cut(0, true),
        Fault::Drains => stage.world.ask_to_end(0),
    }
    let began = Instant::now();
    if matches!(fault, Fault::Drains) {
        // What is written before the device has heard may still be taken by the region.
        until_online(&courier, stage.world.name(1)).await?;
    }
    acked(&courier, number + 1)?;
    let took = began.elapsed();
    if !matches!(fault, Fault::None) {
        until_online(&courier, stage.world.name(1)).await?;
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
    let down = courier.traffic().down() - down;
    courier.close_async().await?;
    stage.world.wait_until_equal(WAIT_MAX, |_| {}).await?;
    Ok((took, down))
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
