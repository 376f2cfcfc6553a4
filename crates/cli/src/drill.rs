//! `landfall drill`: real processes under faults, and the simulator's checkers over what they leave.
//!
//! Regions and devices are processes of this binary, each on SQLite files of its own; between any two
//! of them stands a proxy that can be cut, silent, slow or narrow. A round is drawn from a seed: what
//! breaks when, and what people write. The machine's scheduling is not, so the same seed makes the
//! same trouble, and not the same course of events.

mod evidence;
mod history;
mod phone;
mod plan;
mod process;
mod round;
mod stage;
mod store;
mod workload;

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal::{self, Progress};
use plan::Size;
use round::Round;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first round's seed; each round takes the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rounds: u64,
    /// Regions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    regions: u8,
    /// Devices
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    devices: u16,
    /// How long things break in each round
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Keep the files of all rounds in this directory, which is empty or not there. Without it, those
    /// of a round that fails are kept all the same
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Run nothing: check again what a round left in its directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["seed", "rounds", "keep"])]
    check: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Processes that a drill starts. Not for people.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Part {
    /// A device that writes at random
    Device(phone::Args),
    /// Stop a process until standard input closes
    Pause(process::PauseArgs),
}

pub(crate) fn run_part(part: &Part) -> anyhow::Result<Exit> {
    match part {
        Part::Device(args) => phone::run(args),
        Part::Pause(args) => process::pause(args),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(dir) = &args.check {
        return check(args, dir);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = drill(args) => done,
            // All children are killed as their handles are dropped.
            () = crate::dev::wait_for_interrupt() => {
                terminal::note("interrupted; its processes were ended");
                Ok(Exit::Failed)
            }
        }
    })
}

async fn drill(args: &Args) -> anyhow::Result<Exit> {
    let size = Size {
        regions: args.regions.into(),
        devices: args.devices.into(),
        lasts: Duration::from_secs(args.seconds),
    };
    let kept = args.keep.as_deref().map(empty).transpose()?;
    let mut progress = Progress::new(args.json);
    let mut rounds = Vec::new();
    for seed in (0..args.rounds).map(|n| args.seed.wrapping_add(n)) {
        let place = tempfile::Builder::new().prefix("landfall-drill-").tempdir()?;
        let dir = kept.unwrap_or(place.path()).join(format!("seed-{seed}"));
        std::fs::create_dir_all(&dir)?;
        let round = round::run(seed, size, &dir, &mut progress).await;
        progress.clear();
        if kept.is_none() && !matches!(&round, Ok(round) if round.failure.is_none()) {
            let path = place.keep();
            terminal::note(format!("its files are kept in {}", path.display()));
        }
        let round = round?;
        if !args.json {
            tell(args, &round, rounds.is_empty());
        }
        rounds.push(round);
    }
    let failed = rounds.iter().filter(|r| r.failure.is_some()).count();
    if args.json {
        terminal::say(to_json(args, &rounds));
    } else {
        sum_up(&rounds);
    }
    Ok(Exit::yes(failed == 0))
}

/// The checkers alone, over what is in a directory.
fn check(args: &Args, dir: &Path) -> anyhow::Result<Exit> {
    let mut round = Round::default();
    let failure = round::check(&mut round, dir)?;
    let passed = round.checks.join(", ");
    if args.json {
        terminal::say(json!({ "passed": round.checks, "failure": failure }));
    } else if let Some(failure) = &failure {
        terminal::say_plain(format!("FAILED: {}: {}", failure.name(), failure.message));
        terminal::say(format!("passed before: {passed}"));
    } else {
        terminal::say(format!("passed: {passed}"));
    }
    Ok(Exit::yes(failure.is_none()))
}

/// The directory, if nothing stands in it.
fn empty(dir: &Path) -> anyhow::Result<&Path> {
    let empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Ok(dir);
    }
    let message = format!("{} is not empty; a drill starts from nothing", dir.display());
    Err(fault::new(code::IN_THE_WAY, message))
}

/// The command that draws the same round again.
fn repeat(args: &Args, seed: u64) -> String {
    let (regions, devices, seconds) = (args.regions, args.devices, args.seconds);
    let mut command = format!("landfall drill --seed {seed}");
    for (name, value, usual) in [
        ("regions", u64::from(regions), 3),
        ("devices", u64::from(devices), 8),
        ("seconds", seconds, 20),
    ] {
        if value != usual {
            command += &format!(" --{name} {value}");
        }
    }
    command
}

fn tell(args: &Args, round: &Round, first: bool) {
    let colour = terminal::stdout_colour();
    if first {
        let title = format!(
            "{:>6} {:>7} {:>7} {:>7} {:>8} {:>8} {:>9}  {}",
            "seed", "faults", "writes", "ops", "acked", "refused", "settled", "checks"
        );
        terminal::say(terminal::bold(&title, colour));
    }
    let faults: u64 = round.faults.values().sum();
    let settled = round.settle_ms.map_or("-".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1e3));
    let checks = match &round.failure {
        None => format!("{} passed", round.checks.len()),
        Some(failure) => format!("FAILED: {}", failure.name()),
    };
    terminal::say(format!(
        "{:>6} {faults:>7} {:>7} {:>7} {:>8} {:>8} {settled:>9}  {checks}",
        round.seed, round.transactions, round.ops, round.acknowledged, round.rejected
    ));
    let kinds: Vec<String> = round.faults.iter().map(|(kind, n)| format!("{kind} {n}x")).collect();
    terminal::say(format!("       {}", kinds.join(", ")));
    if let Some(failure) = &round.failure {
        terminal::say_plain(format!("  {}", failure.message));
        terminal::say("  what happened last:");
        failure.story.iter().for_each(|line| terminal::say(format!("    {line}")));
        terminal::say(format!("  the same trouble again: {}\n", repeat(args, round.seed)));
    }
}

fn sum_up(rounds: &[Round]) {
    let failed = rounds.iter().filter(|r| r.failure.is_some()).count();
    let sum = |of: fn(&Round) -> u64| rounds.iter().map(of).sum::<u64>();
    let faults = sum(|r| r.faults.values().sum());
    let (ops, acked) = (sum(|r| r.ops), sum(|r| r.acknowledged));
    let passed = rounds.len() - failed;
    terminal::say(format!(
        "{passed} rounds passed, {failed} failed: {faults} faults, {ops} ops, {acked} acknowledged"
    ));
}

fn to_json(args: &Args, rounds: &[Round]) -> serde_json::Value {
    let told: Vec<_> = rounds
        .iter()
        .map(|round| {
            let mut told = serde_json::to_value(round).unwrap_or_default();
            if round.failure.is_some() {
                told["repeat"] = repeat(args, round.seed).into();
            }
            told
        })
        .collect();
    let failed = rounds.iter().filter(|r| r.failure.is_some()).count();
    json!({ "passed": rounds.len() - failed, "failed": failed, "rounds": told })
}
