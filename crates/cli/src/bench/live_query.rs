//! `landfall bench live-query`: what a device does by itself: writes, opening with a full outbox, and
//! a window on many rows of which some change.

use super::report::{Report, Times};
use super::stage::{LIST, WAIT_MAX};
use super::{LiveQuery, store};
use crate::replay::Place;
use crate::terminal::Progress;
use anyhow::Context;
use landfall_device::{Account, Client, Options, Query, Value};
use landfall_model::schema::Schema;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows of one transaction while the table is filled.
const ROWS_PER_WRITE: u32 = 500;

/// Rows of the window.
const WINDOW: u64 = 50;

pub(super) fn run(args: &LiveQuery, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let schema = Arc::new(super::stage::schema()?);
    let bare = place.path().join("bare");
    std::fs::create_dir_all(&bare)?;
    let commits = store::commits(&bare, args.writes, "NORMAL")?;
    progress.show(|| format!("{} writes", args.writes));
    let client = open(&schema, place, "outbox")?;
    let writes = write_one_by_one(&client, args.writes)?;
    client.close()?;
    let began = Instant::now();
    let client = open(&schema, place, "outbox")?;
    let unsent = client.outbox_status()?.pending;
    let opened = began.elapsed();
    client.close()?;
    progress.show(|| format!("{} rows, {} changes a second", args.rows, args.rate));
    let client = open(&schema, place, "window")?;
    fill(&client, args.rows)?;
    let changes = follow(&client, args)?;
    client.close()?;
    progress.clear();
    let mut report = Report::new("a device by itself");
    for ((end, own), (_, bare)) in writes.ends().into_iter().zip(commits.ends()) {
        let beside = format!("a commit of bare SQLite, {end}");
        report.add_beside(format!("local write, {end}"), own, "ms", (&beside, bare));
    }
    report.add(format!("opening with {unsent} unsent writes"), opened.as_secs_f64() * 1e3, "ms");
    let what = format!("change of {} rows to window of {WINDOW}", args.rows);
    report.add_times(&what, &changes.heard);
    report.add_times("the live query's own work for it", &changes.work);
    Ok(report)
}

fn open(schema: &Arc<Schema>, place: &Place, name: &str) -> anyhow::Result<Client> {
    let account = Account { tenant: String::new(), subject: name.to_owned() };
    let path = place.path().join(format!("{name}.db"));
    Ok(Client::open(Options::new(path, schema.clone(), account))?)
}

fn row(n: u32, rank: i64) -> [(&'static str, Value); 3] {
    [
        ("list", Value::text(LIST)),
        ("title", Value::text(format!("row {n} of the list"))),
        ("rank", Value::Int(rank)),
    ]
}

fn id(n: u32) -> String {
    format!("row-{n:07}")
}

fn write_one_by_one(client: &Client, writes: u32) -> anyhow::Result<Times> {
    let mut times = Vec::new();
    for n in 0..writes {
        let began = Instant::now();
        client.transaction().upsert("Ranked", &id(n), row(n, n.into())).commit()?;
        times.push(began.elapsed());
    }
    Ok(times.into_iter().collect())
}

fn fill(client: &Client, rows: u32) -> anyhow::Result<()> {
    for first in (0..rows).step_by(ROWS_PER_WRITE as usize) {
        let mut tx = client.transaction();
        for n in first..rows.min(first + ROWS_PER_WRITE) {
            tx = tx.upsert("Ranked", &id(n), row(n, n.into()));
        }
        tx.commit()?;
    }
    Ok(())
}

/// What changes cost.
struct Changes {
    /// From a commit to its update.
    heard: Times,
    /// The live query's own work.
    work: Times,
}

/// Rows come to the top of the window from below it, in turn, at the given rate.
fn follow(client: &Client, args: &LiveQuery) -> anyhow::Result<Changes> {
    let query = Query::table("Ranked").descending("rank").limit(WINDOW);
    let mut watch = client.observe(query)?;
    watch.next_within(WAIT_MAX).context("the first update")??;
    let began = Instant::now();
    let (mut heard, mut work) = (Vec::new(), Vec::new());
    let count = args.rate * args.seconds;
    for n in 0..count {
        let due = began + Duration::from_secs_f64(f64::from(n) / f64::from(args.rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let changed = n * 7 % args.rows;
        let rank = i64::from(args.rows) + i64::from(n);
        client
            .transaction()
            .update("Ranked", &id(changed), [("rank", Value::Int(rank))])
            .commit()?;
        let committed = Instant::now();
        let update = watch.next_within(WAIT_MAX).context("an update")??;
        heard.push(committed.elapsed());
        work.push(watch.explain()?.last_cost);
        anyhow::ensure!(
            update.rows.first().and_then(|r| r.integer("rank")) == Some(rank),
            "the row is not on top"
        );
    }
    Ok(Changes { heard: heard.into_iter().collect(), work: work.into_iter().collect() })
}
