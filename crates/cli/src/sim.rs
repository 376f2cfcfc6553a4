//! `landfall sim`: simulated worlds, one per seed.

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal::{self, Progress};
use landfall_sim::{Failure, Mutant, Options, Outcome, Weather, run_regions, run_seed};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many worlds
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plant this fault; the answer is yes if the checkers catch it. `list` names them all
    #[arg(long)]
    mutant: Option<String>,
    /// Which faults there may be
    #[arg(long, value_enum, default_value_t = Sky::Storm)]
    weather: Sky,
    /// Worlds of regions alone, with ops made by hand
    #[arg(long)]
    regions: bool,
    /// Go on after a failure, and tell how many seeds failed in which way
    #[arg(long)]
    keep_going: bool,
    /// Print every event of each seed, not only the last ones before a failure
    #[arg(long)]
    story: bool,
    /// Print in how many seeds each hard path was taken
    #[arg(long)]
    marks: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Threads
    #[arg(long, default_value_t = processors(), value_parser = clap::value_parser!(u64).range(1..=1024))]
    jobs: u64,
}

/// Which kinds of faults a world may see.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Sky {
    /// None
    Calm,
    /// Connections and processes fail, disks hold
    Rough,
    /// Everything
    Storm,
}

/// What all seeds of a run came to.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    steps: u64,
    /// Seeds that took each hard path.
    marks: BTreeMap<&'static str, u64>,
    failures: Vec<(u64, Failure)>,
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
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
            None => {
                let message = format!("no mutant is called {name:?}; `--mutant list` names them");
                return Err(fault::new(code::UNKNOWN_NAME, message));
            }
        },
        None => None,
    };
    let started = Instant::now();
    let tally = run_all(args, mutant);
    let seconds = started.elapsed().as_secs_f64();
    let failed = tally.failures.len() as u64;
    if args.json {
        terminal::say(to_json(args, &tally, seconds));
    } else {
        let stories = if args.keep_going { 0 } else { usize::MAX };
        tally.failures.iter().take(stories).for_each(|(seed, f)| tell(args, *seed, f));
        if args.keep_going {
            tell_kinds(&tally.failures);
        }
        if args.marks {
            tally.marks.iter().for_each(|(m, n)| terminal::say(format!("{n:>8}  {m}")));
        }
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
        for _ in 0..args.jobs {
            let send = send.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= args.seeds {
                        break;
                    }
                    let seed = args.from + i;
                    if send.send((seed, world(args, mutant, seed))).is_err() {
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
                *tally.marks.entry(mark).or_default() += u64::from(n > 0);
            }
            outcome.events.iter().for_each(terminal::say);
            match outcome.failure {
                None => tally.passed += 1,
                Some(failure) => {
                    tally.failures.push((seed, failure));
                    // One story is enough to work on; so is one catch.
                    stop.store(!args.keep_going, Ordering::Relaxed);
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

fn world(args: &Args, mutant: Option<Mutant>, seed: u64) -> Outcome {
    let weather = match args.weather {
        Sky::Calm => Weather::Calm,
        Sky::Rough => Weather::Rough,
        Sky::Storm => Weather::Storm,
    };
    let options = Options { mutant, weather, keep_all: args.story };
    if args.regions { run_regions(seed, &options) } else { run_seed(seed, &options) }
}

fn repeat(args: &Args, seed: u64) -> String {
    let mut command = format!("landfall sim --from {seed} --seeds 1");
    if let Some(name) = &args.mutant {
        command += &format!(" --mutant {name}");
    }
    match args.weather {
        Sky::Calm => command += " --weather calm",
        Sky::Rough => command += " --weather rough",
        Sky::Storm => {}
    }
    if args.regions {
        command += " --regions";
    }
    command
}

fn tell(args: &Args, seed: u64, failure: &Failure) {
    let colour = terminal::stdout_colour();
    let title = format!("seed {seed}: {} ({})", failure.checker, failure.invariant);
    terminal::say(terminal::bold(&title, colour));
    terminal::say(format!("  {}", failure.message));
    terminal::say("  its last events:");
    failure.story.iter().for_each(|line| terminal::say(format!("    {line}")));
    terminal::say(format!("  repeat with: {}\n", repeat(args, seed)));
}

/// How many seeds failed in which way, and the first of them.
fn tell_kinds(failures: &[(u64, Failure)]) {
    let mut kinds: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for (seed, f) in failures {
        kinds.entry((f.checker, f.invariant)).or_default().push(*seed);
    }
    for ((checker, invariant), seeds) in kinds {
        let first: Vec<String> = seeds.iter().take(8).map(u64::to_string).collect();
        let (count, first) = (seeds.len(), first.join(", "));
        terminal::say(format!("{count:>8}  {checker} ({invariant}), seeds {first}"));
    }
}

fn to_json(args: &Args, tally: &Tally, seconds: f64) -> serde_json::Value {
    let failures: Vec<_> = tally
        .failures
        .iter()
        .map(|(seed, f)| {
            json!({
                "seed": seed, "checker": f.checker, "invariant": f.invariant,
                "message": f.message, "story": f.story, "repeat": repeat(args, *seed),
            })
        })
        .collect();
    json!({
        "passed": tally.passed, "failed": tally.failures.len(), "seconds": seconds,
        "steps": tally.steps, "marks": tally.marks, "failures": failures,
    })
}
