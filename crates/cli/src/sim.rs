//! `landfall sim`: simulated worlds, one per seed.

use crate::exit::Exit;
use crate::terminal::{self, Progress};
use landfall_sim::{Failure, Mutant, Options, run_seed};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many worlds
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plant this fault; the answer is yes if the checkers catch it. `list` names them all
    #[arg(long)]
    mutant: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Threads
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, |n| n.get()))]
    jobs: usize,
}

/// What all seeds of a run came to.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    steps: u64,
    marks: BTreeMap<&'static str, u64>,
    failures: Vec<(u64, Failure)>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mutant = match args.mutant.as_deref() {
        Some("list") => {
            Mutant::all().iter().for_each(|m| {
                terminal::say(format!("{:<40} {}", m.name(), m.description()));
            });
            return Ok(Exit::Done);
        }
        Some(name) => match Mutant::named(name) {
            Some(m) => Some(m),
            None => anyhow::bail!("no mutant is called {name:?}; `--mutant list` names them"),
        },
        None => None,
    };
    let started = Instant::now();
    let tally = run_all(args, mutant);
    let seconds = started.elapsed().as_secs_f64();
    let failed = tally.failures.len() as u64;
    if args.json {
        terminal::say(to_json(&tally, seconds));
    } else {
        tally.failures.iter().for_each(|(seed, failure)| tell(*seed, failure, mutant));
        let rate = (tally.passed + failed) as f64 / seconds;
        terminal::note(format!("{seconds:.1} s, {rate:.0} seeds/s, {} steps", tally.steps));
        terminal::say(format!("{} passed, {failed} failed", tally.passed));
    }
    // A planted fault is there to be found.
    Ok(Exit::yes((failed > 0) == mutant.is_some()))
}

fn run_all(args: &Args, mutant: Option<Mutant>) -> Tally {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            let send = send.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= args.seeds {
                        break;
                    }
                    let seed = args.from + i;
                    let options = Options { mutant, ..Options::default() };
                    if send.send((seed, run_seed(seed, &options))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut progress = Progress::new(args.json);
        for (seed, outcome) in receive {
            tally.steps += outcome.steps;
            for (mark, n) in outcome.marks {
                *tally.marks.entry(mark).or_default() += n;
            }
            match outcome.failure {
                None => tally.passed += 1,
                Some(failure) => {
                    tally.failures.push((seed, failure));
                    // One story is enough to work on; so is one catch.
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let (passed, failed) = (tally.passed, tally.failures.len());
            progress.show(|| format!("{} of {} seeds, {failed} failed", passed, args.seeds));
        }
        progress.clear();
    });
    tally.failures.sort_by_key(|(seed, _)| *seed);
    tally
}

fn repeat(seed: u64, mutant: Option<Mutant>) -> String {
    let planted = mutant.map_or(String::new(), |m| format!(" --mutant {}", m.name()));
    format!("landfall sim --from {seed} --seeds 1{planted}")
}

fn tell(seed: u64, failure: &Failure, mutant: Option<Mutant>) {
    let colour = terminal::stdout_colour();
    let title = format!("seed {seed}: {} ({})", failure.checker, failure.invariant);
    terminal::say(terminal::bold(&title, colour));
    terminal::say(format!("  {}", failure.message));
    terminal::say("  its last events:");
    failure.story.iter().for_each(|line| terminal::say(format!("    {line}")));
    terminal::say(format!("  repeat with: {}\n", repeat(seed, mutant)));
}

fn to_json(tally: &Tally, seconds: f64) -> serde_json::Value {
    let failures: Vec<_> = tally
        .failures
        .iter()
        .map(|(seed, f)| {
            json!({
                "seed": seed, "checker": f.checker, "invariant": f.invariant,
                "message": f.message, "story": f.story, "repeat": repeat(*seed, None),
            })
        })
        .collect();
    json!({
        "passed": tally.passed, "failed": tally.failures.len(), "seconds": seconds,
        "steps": tally.steps, "marks": tally.marks, "failures": failures,
    })
}
