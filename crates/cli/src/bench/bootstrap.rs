//! `landfall bench bootstrap`: a fresh device fetches a large scope, and one that is killed over it
//! again and again goes on.
//!
//! Region and devices are processes of their own, so the memory of each is its own.

use super::report::Report;
use super::stage::{SCOPE, Stage, WAIT_MAX, drained, memory_of, write_in_parts};
use super::{Bootstrap, Fetch, store};
use crate::replay::Place;
use crate::terminal::{self, Progress};
use anyhow::{Context, ensure};
use landfall_device::{Account, Client, FixedToken, Options, RegionUrl};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Devices that fill the region, and their rows in one transaction.
const WRITERS: u64 = 4;
const ROWS_PER_WRITE: usize = 500;

/// Bytes of a row, about.
const ROW_BYTES: usize = 200;

/// The device that is killed is killed so often, at even steps.
const KILLS: u64 = 5;

/// What a device of another process says when it has all rows.
#[derive(Debug, Serialize, Deserialize)]
struct Fetched {
    rows: u64,
    seconds: f64,
    memory: u64,
    bytes: u64,
}

pub(super) async fn run(args: &Bootstrap, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let rows = u64::from(args.rows);
    let stage = Stage::new(place, 1).await?;
    progress.show(|| format!("{rows} rows are written"));
    let writers: Vec<Client> =
        (0..WRITERS).map(|i| stage.device(&format!("writer-{i}"), 0)).collect::<Result<_, _>>()?;
    tokio::task::block_in_place(|| write_in_parts(&writers, rows, ROWS_PER_WRITE))?;
    drained(&writers).await?;
    for writer in &writers {
        writer.close_async().await?;
    }
    progress.show(|| "bare SQLite".to_owned());
    let bare = store::device_rows(&stage.beside("bare")?, args.rows, ROW_BYTES)?;
    progress.show(|| "a fresh device".to_owned());
    let forgotten = stage.forget_region_memory(0);
    let fresh = fetched(start(&stage, place, "fresh")?)?;
    ensure!(fresh.rows == rows, "{} of {rows} rows came", fresh.rows);
    progress.show(|| "a device that is killed".to_owned());
    let (last, kills) = killed(&stage, place, rows, fresh.seconds)?;
    let region = forgotten.and_then(|()| stage.region_memory(0));
    progress.clear();
    stage.end(&[]).await?;
    let mut report = Report::new(format!("a fresh device fetches {rows} rows"));
    let per_second = rows as f64 / fresh.seconds;
    report.add_beside("rows into typed tables", per_second, "rows/s", ("bare SQLite", bare));
    report.add("until all were there", fresh.seconds, "s");
    report.add("downloaded for a row", fresh.bytes as f64 / rows as f64, "bytes");
    report.add("memory of the device, at most", mib(fresh.memory), "MiB");
    // Without it, rather than with that of a region that is being filled.
    if let Some(region) = region {
        report.add("memory of the region meanwhile, at most", mib(region), "MiB");
    }
    report.add(format!("after {kills} kills, still to fetch"), last.bytes as f64, "bytes");
    Ok(report)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A device as a process of its own.
fn start(stage: &Stage, place: &Place, name: &str) -> anyhow::Result<Child> {
    let schema = place.path().join("world/schema.graphql");
    let token = stage.world.token(name, &["*"], &["*"])?;
    let child = Command::new(std::env::current_exe()?)
        .args(["bench", "fetch", "--name", name, "--url", &stage.world.straight_url(0)?])
        .arg("--file")
        .arg(place.path().join(format!("{name}.db")))
        .arg("--schema")
        .arg(schema)
        .env("LANDFALL_BENCH_TOKEN", token)
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

fn fetched(mut child: Child) -> anyhow::Result<Fetched> {
    let mut said = String::new();
    child.stdout.take().context("its output")?.read_to_string(&mut said)?;
    ensure!(child.wait()?.success(), "the device failed");
    serde_json::from_str(&said).with_context(|| format!("the device said {said:?}"))
}

/// A device that is killed at even steps of the time that a fresh one took, and then left to end.
fn killed(stage: &Stage, place: &Place, rows: u64, seconds: f64) -> anyhow::Result<(Fetched, u64)> {
    let mut kills = 0;
    for _ in 0..KILLS {
        let mut child = start(stage, place, "killed")?;
        std::thread::sleep(Duration::from_secs_f64(seconds / (KILLS + 1) as f64));
        if child.try_wait()?.is_none() {
            kills += 1;
        }
        child.kill()?;
        child.wait()?;
    }
    let last = fetched(start(stage, place, "killed")?)?;
    ensure!(last.rows == rows, "{} of {rows} rows came", last.rows);
    Ok((last, kills))
}

/// `landfall bench fetch`: what a device of [`start`] does.
pub(super) fn fetch(args: &Fetch) -> anyhow::Result<()> {
    let sdl = std::fs::read_to_string(&args.schema)?;
    let account = Account { tenant: String::new(), subject: args.name.clone() };
    let mut options = Options::from_sdl(path(&args.file), &sdl, account)?;
    options.tokens = Arc::new(FixedToken(std::env::var("LANDFALL_BENCH_TOKEN")?));
    options.regions = vec![RegionUrl::new("region", args.url.clone())];
    let began = Instant::now();
    let client = Client::open(options)?;
    client.subscribe(SCOPE)?;
    client.settle(WAIT_MAX)?;
    let seconds = began.elapsed().as_secs_f64();
    let counted = client.query(r#"SELECT count(*) AS rows FROM "Item""#, [])?;
    let rows = counted.iter().next().and_then(|r| r.integer("rows")).unwrap_or(0) as u64;
    let bytes = client.traffic().down();
    client.close()?;
    let memory = memory_of(std::process::id()).unwrap_or_default();
    terminal::say(serde_json::to_string(&Fetched { rows, seconds, memory, bytes })?);
    Ok(())
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
