//! One round: a world is started, people write while things break, all is mended and must settle, the
//! processes end, and then the checkers look at what is on the disks.

use super::evidence;
use super::history::{self, Entry, Fate};
use super::plan::{KINDS, Plan, Size};
use super::stage::{HISTORY, Stage};
use crate::terminal::Progress;
use anyhow::Context;
use landfall_sim::evidence::{CHECKS, Finding};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long all may take to settle once everything is mended.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked at; settled is what was so, and the same, this many times in a row.
const SETTLE_POLL: Duration = Duration::from_millis(250);
const SETTLED_TIMES: usize = 4;

/// Of a failed round's timeline, so many lines are printed; the files have all.
const STORY_LINES: usize = 40;

/// A check that failed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    /// One of [`CHECKS`], or what fails before them.
    pub check: &'static str,
    /// What it found, by the name that the simulator has for it, too.
    pub finding: &'static str,
    pub invariant: &'static str,
    pub message: String,
    /// What happened last, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub story: Vec<String>,
}

impl Failure {
    fn new(check: &'static str, finding: Finding) -> Self {
        let Finding { checker, invariant, message } = finding;
        Self { check, finding: checker, invariant, message, story: Vec::new() }
    }

    /// One that was no check's.
    fn of(what: &'static str, invariant: &'static str, message: String) -> Self {
        Self::new(what, Finding::new(what, invariant, message))
    }

    /// The check; behind it what it found, if that has a name of its own, and the invariant.
    pub(crate) fn name(&self) -> String {
        let Self { check, finding, invariant, .. } = self;
        match check == finding {
            true => format!("{check} ({invariant})"),
            false => format!("{check} ({finding}, {invariant})"),
        }
    }
}

/// What came of a round.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Round {
    pub seed: u64,
    /// Kinds of trouble that the seed allowed.
    pub kinds: Vec<&'static str>,
    /// How often each happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// Transactions and ops that devices wrote.
    pub transactions: u64,
    pub ops: u64,
    /// Ops that a region acknowledged to its device, as far as the device lived to tell; that as many
    /// regions hold as are asked for; and that all regions refused.
    pub acknowledged: u64,
    pub durable: u64,
    pub rejected: u64,
    /// Processes of devices in all.
    pub lives: u64,
    /// From when all was mended until all was settled, milliseconds.
    pub settle_ms: Option<u64>,
    /// Entries of a region's logs, and entities, in the end.
    pub log_entries: u64,
    pub entities: u64,
    pub checks: Vec<&'static str>,
    pub seconds: f64,
    pub failure: Option<Failure>,
}

/// Run a round in a directory of its own.
pub(crate) async fn run(
    seed: u64,
    size: Size,
    dir: &Path,
    progress: &mut Progress,
) -> anyhow::Result<Round> {
    let began = Instant::now();
    evidence::expect(dir, seed, size)?;
    let plan = Plan::draw(seed, size);
    let mut round = Round { seed, ..Round::default() };
    for (kind, name) in KINDS {
        if plan.kinds.contains(&kind) {
            round.kinds.push(name);
            let happened = plan.steps.iter().filter(|s| s.kind == kind).count() as u64;
            round.faults.extend((happened > 0).then_some((name, happened)));
        }
    }
    let pause_ms = plan.pause.as_millis() as u64;
    let mut stage = Stage::start(seed, size, pause_ms, dir).await?;
    let mut told = Timeline::new(dir)?;
    live(&mut stage, &plan, size, &mut told, progress, seed).await?;
    stage.be_quiet();
    told.say("all is mended; devices write no more")?;
    let settled = settle(&mut stage, progress, seed).await;
    let settled = settled.map(|took| round.settle_ms = Some(took.as_millis() as u64));
    told.say("the processes end")?;
    let wrong = stage.stop().await;
    let counted = count(&mut round, dir, size);
    let failure = match (settled, wrong.first()) {
        // A process that broke down may not have come to write a history.
        (Err(stuck), _) => Some(Failure::of("liveness", "I10", stuck)),
        (_, Some(_)) => Some(Failure::of("processes", "I2", wrong.join("; "))),
        (Ok(_), None) => {
            counted?;
            progress.show(|| format!("seed {seed}: checking what is on the disks"));
            check(&mut round, dir)?
        }
    };
    round.failure = failure.map(|failure| Failure { story: told.last(STORY_LINES), ..failure });
    round.seconds = began.elapsed().as_secs_f64();
    Ok(round)
}

/// People write while faults begin and end.
async fn live(
    stage: &mut Stage,
    plan: &Plan,
    size: Size,
    told: &mut Timeline,
    progress: &mut Progress,
    seed: u64,
) -> anyhow::Result<()> {
    // Ends come before beginnings of the same moment.
    let ends = plan.steps.iter().map(|step| (step.until, false, step.fault));
    let mut moments: Vec<_> =
        plan.steps.iter().map(|step| (step.from, true, step.fault)).chain(ends).collect();
    moments.sort_by_key(|(at, begins, _)| (*at, *begins));
    let began = Instant::now();
    for (at, begins, fault) in moments {
        wait_until(began + at, began, size, progress, seed).await;
        let words = stage.names().fault(fault);
        if begins {
            told.say(&words)?;
            stage.begin(fault).await.with_context(|| words)?;
        } else {
            stage.end(fault).await.with_context(|| format!("the end of: {words}"))?;
            told.say(&format!("over: {words}"))?;
        }
    }
    wait_until(began + size.lasts, began, size, progress, seed).await;
    Ok(())
}

async fn wait_until(at: Instant, began: Instant, size: Size, progress: &mut Progress, seed: u64) {
    const LOOK: Duration = Duration::from_millis(100);
    loop {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let (at, of) = (began.elapsed().as_secs(), size.lasts.as_secs());
        progress.show(|| format!("seed {seed}: faults, {at} of {of} s"));
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// I10: with all mended, all outboxes get empty, all regions come to the same logs, and all devices
/// hear of everything, in bounded time. An error says what is stuck.
async fn settle(stage: &mut Stage, progress: &mut Progress, seed: u64) -> Result<Duration, String> {
    let began = Instant::now();
    let (mut times, mut before, mut since) = (0, Vec::new(), Duration::ZERO);
    loop {
        let looked = began.elapsed();
        let status = stage.status().await;
        let stuck = unsettled(stage, &status).await;
        let digests: Vec<String> =
            status.iter().flat_map(|(_, s)| s.iter().map(|s| s.digest.clone())).collect();
        let same = std::mem::replace(&mut before, digests) == before;
        match &stuck {
            None if times > 0 && same => times += 1,
            None => (times, since) = (1, looked),
            Some(_) => times = 0,
        }
        if times >= SETTLED_TIMES {
            return Ok(since);
        }
        if began.elapsed() > SETTLE_WITHIN {
            let stuck = stuck.unwrap_or_else(|| "rows keep changing".to_owned());
            return Err(format!("not settled within {} s: {stuck}", SETTLE_WITHIN.as_secs()));
        }
        progress.show(|| format!("seed {seed}: {}", stuck.as_deref().unwrap_or("settling")));
        tokio::time::sleep(SETTLE_POLL).await;
    }
}

async fn unsettled(
    stage: &Stage,
    devices: &[(String, Option<super::phone::Status>)],
) -> Option<String> {
    let mut stuck = Vec::new();
    for (name, status) in devices {
        match status {
            None => stuck.push(format!("{name} does not answer")),
            Some(s) if !s.settled => {
                let (outbox, connection, partial) = (s.outbox, &s.connection, &s.partial);
                let what = format!("{name} has {outbox} writes in its outbox and is {connection}");
                stuck.push(match partial.is_empty() {
                    true => what,
                    false => format!("{what}, without all of {partial:?}"),
                });
            }
            Some(_) => {}
        }
    }
    match stage.world.lag().await {
        0 => {}
        lag => stuck.push(format!("regions are {lag} log entries apart")),
    }
    (!stuck.is_empty()).then(|| stuck.join("; "))
}

/// What the histories say in numbers.
fn count(round: &mut Round, dir: &Path, size: Size) -> anyhow::Result<()> {
    for device in 0..size.devices {
        let (mut ops, mut fates) = (BTreeSet::new(), BTreeMap::new());
        for line in history::read(&dir.join(format!("device-{device}")).join(HISTORY))? {
            match line.entry {
                Entry::Life { found, .. } => {
                    round.lives += 1;
                    ops.extend(found.into_iter().map(|known| known.dot));
                }
                Entry::Wrote { ops: wrote, .. } => {
                    round.transactions += u64::from(!wrote.is_empty());
                    ops.extend(wrote.into_iter().map(|known| known.dot));
                }
                Entry::Fate { dot, fate, .. } => {
                    let known = fates.entry(dot).or_insert(fate);
                    *known = (*known).max(fate);
                }
                _ => {}
            }
        }
        round.ops += ops.len() as u64;
        let so_far = |fate: Fate| fates.values().filter(|f| **f == fate).count() as u64;
        round.durable += so_far(Fate::Durable);
        round.acknowledged += so_far(Fate::Accepted) + so_far(Fate::Durable);
        round.rejected += so_far(Fate::Rejected);
    }
    Ok(())
}

/// Run the checkers over what is in the directory. The first that finds something ends it.
pub(crate) fn check(round: &mut Round, dir: &Path) -> anyhow::Result<Option<Failure>> {
    let evidence = evidence::read(dir).context("what is on the disks")?;
    round.log_entries = evidence.regions.first().map_or(0, |r| r.logs.len() as u64);
    round.entities = evidence.regions.first().map_or(0, |r| r.entities.len() as u64);
    for (name, check) in CHECKS {
        if let Some(finding) = check(&evidence) {
            return Ok(Some(Failure::new(name, finding)));
        }
        round.checks.push(name);
    }
    Ok(None)
}

/// What happened, with the seconds since the start, in a file and for the report.
struct Timeline {
    began: Instant,
    lines: Vec<String>,
    path: std::path::PathBuf,
}

impl Timeline {
    fn new(dir: &Path) -> anyhow::Result<Self> {
        Ok(Self { began: Instant::now(), lines: Vec::new(), path: dir.join("timeline.txt") })
    }

    fn say(&mut self, words: &str) -> anyhow::Result<()> {
        let at = self.began.elapsed().as_secs_f64();
        self.lines.push(format!("{at:>7.3} s  {words}"));
        let mut text = String::new();
        self.lines.iter().try_for_each(|line| writeln!(text, "{line}"))?;
        std::fs::write(&self.path, text)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn last(&self, n: usize) -> Vec<String> {
        self.lines[self.lines.len().saturating_sub(n)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_its_check_and_by_what_that_found() {
        let name = |check, checker| Failure::new(check, Finding::new(checker, "I2", "")).name();
        assert_eq!(name("ends", "survival"), "ends (survival, I2)");
        assert_eq!(name("logs", "logs"), "logs (I2)");
    }

    #[test]
    fn the_page_has_every_check() {
        let page = include_str!("../../../../docs/drill.md");
        for (name, _) in CHECKS {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
