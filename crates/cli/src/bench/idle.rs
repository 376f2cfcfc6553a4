//! `landfall bench idle`: many sessions that wait on one region, what each of them costs it, and how
//! soon a change that all of them share has been sent to the last.

use super::Idle;
use super::report::Report;
use super::stage::{SCOPE, Stage, write_items};
use super::wire_session::WireSession;
use crate::replay::Place;
use crate::terminal::Progress;
use anyhow::Context;
use landfall_device::RegionUrl;
use landfall_device::transport::Http;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Sessions that greet at the same time.
const GREETING: usize = 64;

/// Changes that all sessions hear of, one after the other; the first finds cold memory.
const CHANGES: u64 = 10;

/// How long the region may come to rest before it is measured.
const REST: Duration = Duration::from_secs(2);

pub(super) async fn run(args: &Idle, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let stage = Stage::new(place, 1).await?;
    let writer = stage.device("writer", 0)?;
    write_items(&writer, 0..1, 1)?;
    writer.drain_async(super::stage::WAIT_MAX).await?;
    tokio::time::sleep(REST).await;
    let before = stage.region_resident(0).context("the region's memory")?;
    progress.show(|| format!("{} sessions", args.sessions));
    let mut sessions = open(&stage, args.sessions).await?;
    tokio::time::sleep(REST).await;
    let after = stage.region_resident(0).context("the region's memory")?;
    let mut report = Report::new(format!("{} sessions wait on one region", args.sessions));
    let each = after.saturating_sub(before) as f64 / f64::from(args.sessions) / 1024.0;
    report.add("memory of the region for each", each, "KiB");
    progress.show(|| "a change for all of them".to_owned());
    let mut all = Vec::new();
    for n in 1..=CHANGES {
        let began = Instant::now();
        write_items(&writer, n..n + 1, 1)?;
        sessions = all_hear(sessions).await?;
        all.push(began.elapsed());
    }
    progress.clear();
    report.add_times("from a write to the last of them", &all.into_iter().collect());
    drop(sessions);
    stage.end(&[writer]).await?;
    Ok(report)
}

async fn open(stage: &Stage, count: u32) -> anyhow::Result<Vec<WireSession>> {
    let url = RegionUrl::new(stage.world.name(0), stage.world.straight_url(0)?);
    let (http, seats) = (Arc::new(Http::new()), Arc::new(Semaphore::new(GREETING)));
    let mut opening = JoinSet::new();
    for n in 0..count {
        let token = stage.world.token(&format!("reader-{n}"), &["*"], &["*"])?;
        let (http, url, seats) = (http.clone(), url.clone(), seats.clone());
        opening.spawn(async move {
            let _seat = seats.acquire().await?;
            let mut session = WireSession::open(&*http, url, &token, u128::from(n) + 1).await?;
            session.subscribe(SCOPE).await?;
            anyhow::Ok(session)
        });
    }
    let mut sessions = Vec::new();
    while let Some(session) = opening.join_next().await {
        sessions.push(session??);
    }
    Ok(sessions)
}

async fn all_hear(sessions: Vec<WireSession>) -> anyhow::Result<Vec<WireSession>> {
    let mut heard = Vec::with_capacity(sessions.len());
    // In turn is as good as at once: it ends with the last of them.
    for mut session in sessions {
        session.changed().await?;
        heard.push(session);
    }
    Ok(heard)
}
