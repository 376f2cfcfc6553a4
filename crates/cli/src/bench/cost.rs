//! `landfall bench cost`: what work costs in counts and bytes, which are the same on every machine
//! but for the share of luck in who meets whom in one commit.
//!
//! Three questions, each in a world of one region with real devices, files and sockets. Do pushes
//! that come at once share a commit, and so an fsync? Is a change of a scope encoded once for all
//! who read it? Does a device that comes back pay for what changed, and not for what it has?

use super::stage::{WAIT_MAX, wait_for};
use super::{Cost, Figures};
use crate::replay::{Place, SHOP};
use crate::terminal::Progress;
use crate::world::{Wan, World, WorldOptions};
use anyhow::{Context, ensure};
use landfall_device::{Client, ConnectionState, Value};
use landfall_region::status::Status;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Devices that push at once, one figure each.
const PUSHING: [usize; 3] = [1, 8, 64];

/// Where the most devices push at once, a commit takes so many pushes at least.
const PUSHES_PER_COMMIT_MIN: f64 = 4.0;

/// Changes of the scope that everybody reads, one after the other.
const CHANGES: u64 = 20;

/// Rows changed while the device is away, one figure each.
const CHANGED: [u32; 4] = [0, 10, 100, 1_000];

/// A changed row may cost so many times the bytes of a row in the first sync, where more rows are
/// compressed together. Sessions cost bytes of their own; those are the figure for 0 rows.
const ROW_BYTES_TIMES_MAX: f64 = 5.0;

/// Rows written in one transaction.
const ROWS_PER_WRITE: u32 = 500;

const SCOPE: &str = "catalog";
const PRODUCT: &str = "Product";

#[derive(Debug, Serialize)]
pub(super) struct Report {
    commits: Vec<Commits>,
    encodings: Encodings,
    first_sync: Sync,
    reconnects: Vec<Sync>,
}

/// Devices that each push one write after the other, all at once.
#[derive(Debug, Serialize)]
struct Commits {
    devices: usize,
    pushes: u64,
    /// Of the region's store: one fsync of its log each.
    commits: u64,
}

impl Commits {
    fn pushes_per_commit(&self) -> f64 {
        self.pushes as f64 / self.commits.max(1) as f64
    }
}

#[derive(Debug, Serialize)]
struct Encodings {
    subscribers: usize,
    changes: u64,
    frames: u64,
    encodings: u64,
}

/// What a session took to bring rows to a device.
#[derive(Debug, Serialize)]
struct Sync {
    rows: u32,
    bytes_down: u64,
    bytes_up: u64,
}

pub(super) async fn run(args: &Cost, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let mut commits = Vec::new();
    for devices in PUSHING {
        progress.show(|| match devices {
            1 => "1 device pushes alone".to_owned(),
            n => format!("{n} devices push at once"),
        });
        let dir = place.path().join(format!("push-{devices}"));
        commits.push(push_at_once(dir, devices, args.pushes).await?);
    }
    progress.show(|| format!("one change reaches {} subscribers", args.subscribers));
    let encodings = fan_out(place.path().join("fan-out"), args.subscribers.into()).await?;
    progress.show(|| format!("a device comes back to {} rows", args.rows));
    let (first_sync, reconnects) = come_back(place.path().join("reconnect"), args.rows).await?;
    progress.clear();
    Ok(Report { commits, encodings, first_sync, reconnects })
}

async fn one_region(dir: PathBuf) -> anyhow::Result<World> {
    std::fs::create_dir_all(&dir)?;
    let schema = landfall_model::schema::compile(SHOP)
        .map_err(|d| anyhow::anyhow!("the example's schema: {}", d[0].message))?;
    let (schema, processes) = (Arc::new(schema), None);
    let options =
        WorldOptions { schema, regions: 1, dir, wan: Wan::None, port: 0, processes, logs: false };
    World::start(options).await
}

async fn status(world: &World) -> anyhow::Result<Status> {
    world.status(0).await.context("the region does not answer")
}

/// A product whose text says little to a compressor.
fn put(client: &Client, rows: impl Iterator<Item = u32>, version: u64) -> anyhow::Result<()> {
    let mut tx = client.transaction();
    for row in rows {
        let text = landfall_model::hash::hash64(format!("{row} {version}").as_bytes());
        let description = Value::text(format!("{text:016x}"));
        let fields = [("description", description), ("price", Value::Int(version as i64))];
        tx = tx.upsert(PRODUCT, &format!("product-{row:07}"), fields);
    }
    tx.commit()?;
    Ok(())
}

fn has(client: &Client, row: u32, version: u64) -> anyhow::Result<bool> {
    let found = client.get(PRODUCT, &format!("product-{row:07}"))?;
    Ok(found.and_then(|r| r.integer("price")) == Some(version as i64))
}

async fn push_at_once(dir: PathBuf, devices: usize, pushes: u32) -> anyhow::Result<Commits> {
    let mut world = one_region(dir).await?;
    let clients: Vec<Client> =
        (0..devices).map(|i| world.device(&format!("pusher-{i}"), 0)).collect::<Result<_, _>>()?;
    tokio::task::block_in_place(|| clients.iter().try_for_each(|c| c.settle(WAIT_MAX)))?;
    let before = status(&world).await?;
    // Every device waits for its answer before it writes again: what is shared is shared between
    // devices, not within one.
    let push = |(i, client): (usize, &Client)| -> anyhow::Result<()> {
        for n in 0..pushes {
            put(client, std::iter::once(i as u32), n.into())?;
            client.settle(WAIT_MAX)?;
        }
        Ok(())
    };
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                clients.iter().enumerate().map(|c| scope.spawn(move || push(c))).collect();
            threads.into_iter().try_for_each(|t| t.join().expect("a pusher does not panic"))
        })
    })?;
    let after = status(&world).await?;
    clients.iter().try_for_each(Client::close)?;
    world.stop().await;
    let (pushes, commits) = (after.pushes - before.pushes, after.commits - before.commits);
    Ok(Commits { devices, pushes, commits })
}

async fn fan_out(dir: PathBuf, subscribers: usize) -> anyhow::Result<Encodings> {
    let mut world = one_region(dir).await?;
    let writer = world.device("writer", 0)?;
    put(&writer, std::iter::once(0), 0)?;
    let readers: Vec<Client> = (0..subscribers)
        .map(|i| world.device(&format!("reader-{i}"), 0))
        .collect::<Result<_, _>>()?;
    tokio::task::block_in_place(|| {
        writer.settle(WAIT_MAX)?;
        readers.iter().try_for_each(|r| r.subscribe(SCOPE))?;
        readers.iter().try_for_each(|r| r.settle(WAIT_MAX))
    })?;
    let before = status(&world).await?;
    tokio::task::block_in_place(|| {
        for version in 1..=CHANGES {
            put(&writer, std::iter::once(0), version)?;
            for reader in &readers {
                wait_for("a change reaches its reader", || has(reader, 0, version))?;
            }
        }
        anyhow::Ok(())
    })?;
    let after = status(&world).await?;
    readers.iter().chain([&writer]).try_for_each(Client::close)?;
    world.stop().await;
    Ok(Encodings {
        subscribers,
        changes: CHANGES,
        frames: after.deltas - before.deltas,
        encodings: after.delta_bodies - before.delta_bodies,
    })
}

async fn come_back(dir: PathBuf, rows: u32) -> anyhow::Result<(Sync, Vec<Sync>)> {
    let mut world = one_region(dir).await?;
    let (writer, reader) = (world.device("writer", 0)?, world.device("reader", 0)?);
    let syncs = tokio::task::block_in_place(|| {
        for first in (0..rows).step_by(ROWS_PER_WRITE as usize) {
            put(&writer, first..rows.min(first + ROWS_PER_WRITE), 0)?;
        }
        writer.settle(WAIT_MAX)?;
        let first = sync(&reader, rows, || Ok(reader.subscribe(SCOPE)?))?;
        ensure!(has(&reader, rows - 1, 0)?, "the first sync did not bring the last row");
        let mut reconnects = Vec::new();
        for (version, changed) in (1..).zip(CHANGED.into_iter().filter(|c| *c < rows)) {
            reader.go_offline();
            wait_for("offline", || Ok(reader.connection() == ConnectionState::Offline))?;
            // Spread over the scope, as changes are.
            let spread = || (0..changed).map(|n| n * (rows / changed));
            put(&writer, spread(), version)?;
            writer.settle(WAIT_MAX)?;
            reconnects.push(sync(&reader, changed, || {
                reader.go_online();
                Ok(())
            })?);
            for row in spread() {
                ensure!(has(&reader, row, version)?, "row {row} did not come back changed");
            }
        }
        anyhow::Ok((first, reconnects))
    })?;
    writer.close()?;
    reader.close()?;
    world.stop().await;
    Ok(syncs)
}

fn sync(
    reader: &Client,
    rows: u32,
    begin: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Sync> {
    let (down, up) = (reader.traffic().down(), reader.traffic().up());
    begin()?;
    reader.settle(WAIT_MAX)?;
    let traffic = reader.traffic();
    Ok(Sync { rows, bytes_down: traffic.down() - down, bytes_up: traffic.up() - up })
}

impl Report {
    /// Bytes per row of the first sync, and per changed row of a reconnect beyond what a session
    /// without any costs.
    fn row_bytes(&self) -> (f64, Vec<f64>) {
        let idle = self.reconnects.first().map_or(0, |s| s.bytes_down);
        let per_row = |s: &Sync, base: u64| {
            s.bytes_down.saturating_sub(base) as f64 / f64::from(s.rows.max(1))
        };
        let reconnects = self.reconnects.iter().map(|s| per_row(s, idle)).collect();
        (per_row(&self.first_sync, 0), reconnects)
    }
}

impl Figures for Report {
    fn holds(&self) -> Option<bool> {
        let crowd = self.commits.last();
        let shared = crowd.is_some_and(|c| c.pushes_per_commit() >= PUSHES_PER_COMMIT_MIN);
        let once = self.encodings.encodings == self.encodings.changes;
        let (first, reconnects) = self.row_bytes();
        let in_proportion = |bytes: &f64| *bytes <= first * ROW_BYTES_TIMES_MAX;
        Some(shared && once && reconnects.iter().all(in_proportion))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec!["commits of a region while devices push at once".to_owned()];
        lines.extend(self.commits.iter().map(|c| {
            let each = c.pushes_per_commit();
            let Commits { devices, pushes, commits } = c;
            let word = if *devices == 1 { "device " } else { "devices" };
            format!("  {devices:>4} {word}  {pushes:>6} pushes  {commits:>6} commits  {each:.2} pushes per commit")
        }));
        let Encodings { subscribers, changes, frames, encodings } = &self.encodings;
        lines.push(format!(
            "\nencodings of {changes} changes for {subscribers} subscribers\n  {encodings} encodings, {frames} frames"
        ));
        let (first, reconnects) = self.row_bytes();
        let Sync { rows, bytes_down, bytes_up } = &self.first_sync;
        lines.push(format!(
            "\nbytes of a session\n  first sync, {rows:>7} rows           {bytes_down:>9} down {bytes_up:>7} up  {first:.0} per row"
        ));
        lines.extend(self.reconnects.iter().zip(reconnects).map(|(s, each)| {
            let Sync { rows, bytes_down, bytes_up } = s;
            format!("  reconnect,  {rows:>7} rows changed   {bytes_down:>9} down {bytes_up:>7} up  {each:.0} per row beyond a session's own")
        }));
        lines
    }
}
