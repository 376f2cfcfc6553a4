//! `landfall sim`: simulated worlds, one per seed.

mod mutants;
mod shrink;
mod threads;

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal::{self, Progress};
use landfall_sim::paths::PATHS;
use landfall_sim::{
    Failure, Mutant, Options, Outcome, Overrides, Plan, Weather, run_regions, run_seed,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many worlds
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plant this fault; the answer is yes if the checkers catch it in a seed that passes without it.
    /// `list` names them all
    #[arg(long)]
    mutant: Option<String>,
    /// Plant every fault in turn, run seeds until the checkers catch it, at most `--seeds`, from
    /// several starting seeds; the answer is yes if all are caught
    #[arg(long, conflicts_with_all = ["mutant", "regions", "story", "marks"])]
    mutants: bool,
    /// Take out of this failing seed's world what its failure does not need, and print the rest
    #[arg(long, value_name = "SEED", conflicts_with_all = ["mutants", "regions", "story", "marks"])]
    shrink: Option<u64>,
    /// Kinds of trouble that there are not, by name; `list` names them all
    #[arg(long, value_delimiter = ',', value_name = "KINDS", conflicts_with = "mutants")]
    without: Vec<String>,
    /// At most so many devices
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "mutants")]
    devices: Option<u64>,
    /// At most so many local transactions
    #[arg(long, conflicts_with = "mutants")]
    acts: Option<u64>,
    /// Another course of events in the same world; 0 is the seed's own
    #[arg(long, default_value_t = 0, conflicts_with = "mutants")]
    luck: u64,
    /// Which faults there may be
    #[arg(long, value_enum, default_value_t = Sky::Storm)]
    weather: Sky,
    /// Worlds of regions alone, with ops made by hand
    #[arg(long)]
    regions: bool,
    /// Go on after a failure; each is named as it comes, and at the end how many failed in which way
    #[arg(long)]
    keep_going: bool,
    /// Print every event of each seed, not only the last ones before a failure
    #[arg(long)]
    story: bool,
    /// Print in how many seeds each hard path was taken, those with 0 first
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
    /// Seeds that fail with the planted fault, and without it: they show nothing of it.
    fail_anyway: Vec<u64>,
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    if args.mutant.as_deref() == Some("list") {
        Mutant::all().iter().for_each(|m| {
            terminal::say(format!("{:<40} {}", m.name(), m.description()));
        });
        return Ok(Exit::Done);
    }
    if args.without == ["list"] {
        Plan::default().kinds().iter().for_each(|(name, _)| terminal::say(name));
        return Ok(Exit::Done);
    }
    let options = options(args)?;
    if args.mutants {
        return Ok(mutants::run(args, &options));
    }
    if let Some(seed) = args.shrink {
        return Ok(shrink::run(args, seed, &options));
    }
    let started = Instant::now();
    let tally = run_all(args, &options);
    let seconds = started.elapsed().as_secs_f64();
    let failed = tally.failures.len() as u64;
    if args.json {
        terminal::say(to_json(args, &tally, &options.overrides, seconds));
    } else {
        let stories = if args.keep_going { 0 } else { usize::MAX };
        tally.failures.iter().take(stories).for_each(|(seed, f)| {
            tell(args, *seed, f, &options.overrides);
        });
        if args.keep_going {
            tell_kinds(&tally.failures);
        }
        if args.marks {
            let marks = tally.marks.iter();
            let mut marks: Vec<(u64, &str)> = marks.map(|(mark, n)| (*n, *mark)).collect();
            marks.sort();
            marks.iter().for_each(|(n, mark)| terminal::say(format!("{n:>8}  {mark}")));
        }
        let ran = tally.passed + failed + tally.fail_anyway.len() as u64;
        let rate = ran as f64 / seconds;
        terminal::note(format!("{seconds:.1} s, {rate:.0} seeds/s, {} steps", tally.steps));
        terminal::say(tally.in_words());
    }
    Ok(tally.answer(options.mutant.is_some()))
}

/// What the arguments ask for, with every name known.
fn options(args: &Args) -> anyhow::Result<Options> {
    let mutant = match args.mutant.as_deref() {
        Some(name) => Some(Mutant::named(name).ok_or_else(|| {
            let message = format!("no mutant is called {name:?}; `--mutant list` names them");
            fault::new(code::UNKNOWN_NAME, message)
        })?),
        None => None,
    };
    let mut without = BTreeSet::new();
    for name in &args.without {
        without.insert(Plan::trouble_named(name).ok_or_else(|| {
            let message = format!("no trouble is called {name:?}; `--without list` names them");
            fault::new(code::UNKNOWN_NAME, message)
        })?);
    }
    let count = |n: Option<u64>| n.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let (devices, acts, luck) = (count(args.devices), count(args.acts), args.luck);
    let overrides = Overrides { without, devices, acts, luck };
    let weather = match args.weather {
        Sky::Calm => Weather::Calm,
        Sky::Rough => Weather::Rough,
        Sky::Storm => Weather::Storm,
    };
    Ok(Options { mutant, weather, overrides, keep_all: args.story })
}

fn run_all(args: &Args, options: &Options) -> Tally {
    let mut tally = Tally::default();
    // Paths that must be taken are listed though no seed takes them.
    tally.marks.extend(PATHS.iter().map(|path| (*path, 0)));
    let seeds = (0..args.seeds).map(|i| args.from + i).collect();
    let mut progress = Progress::new(args.json);
    let run = |seed: u64, options: &Options| match args.regions {
        true => run_regions(seed, options),
        false => run_seed(seed, options),
    };
    let bare = Options { mutant: None, keep_all: false, ..options.clone() };
    let world = |seed: &u64| {
        let outcome = run(*seed, options);
        let planted = outcome.failure.is_some() && options.mutant.is_some();
        let anyway = planted && run(*seed, &bare).failure.is_some();
        (outcome, anyway)
    };
    threads::spread(args.jobs, seeds, world, |seed, (outcome, anyway): (Outcome, bool)| {
        outcome.events.iter().for_each(terminal::say);
        if let Some(Failure { checker, invariant, message, .. }) = &outcome.failure {
            let what = format!("seed {seed}: {checker} ({invariant}): {message}");
            // A long run is not waited for to begin on what it finds.
            if anyway || args.keep_going {
                progress.clear();
                let but = "; it fails with nothing planted, too, and does not count";
                terminal::note(format!("{what}{}", if anyway { but } else { "" }));
            }
        }
        tally.take(seed, outcome, anyway);
        let (passed, failed) = (tally.passed, tally.failures.len());
        progress.show(|| format!("{} of {} seeds, {failed} failed", passed, args.seeds));
        // One story is enough to work on; so is one catch.
        args.keep_going || failed == 0
    });
    progress.clear();
    tally.failures.sort_by_key(|(seed, _)| *seed);
    tally.fail_anyway.sort_unstable();
    tally
}

impl Tally {
    /// `anyway`: the seed fails with nothing planted, too.
    fn take(&mut self, seed: u64, outcome: Outcome, anyway: bool) {
        self.steps += outcome.steps;
        for (mark, n) in outcome.marks {
            *self.marks.entry(mark).or_default() += u64::from(n > 0);
        }
        match outcome.failure {
            None => self.passed += 1,
            Some(_) if anyway => self.fail_anyway.push(seed),
            Some(failure) => self.failures.push((seed, failure)),
        }
    }

    /// A planted fault is there to be found.
    fn answer(&self, planted: bool) -> Exit {
        Exit::yes(self.failures.is_empty() != planted)
    }

    fn in_words(&self) -> String {
        let anyway = match self.fail_anyway.len() {
            0 => String::new(),
            n => format!(", {n} of no account: they fail with nothing planted, too"),
        };
        format!("{} passed, {} failed{anyway}", self.passed, self.failures.len())
    }
}

/// The command that runs this seed in this world again.
fn repeat(args: &Args, seed: u64, overrides: &Overrides) -> String {
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
    if !overrides.without.is_empty() {
        let kinds: Vec<&str> = overrides.without.iter().copied().collect();
        command += &format!(" --without {}", kinds.join(","));
    }
    for (name, most) in [("devices", overrides.devices), ("acts", overrides.acts)] {
        command += &most.map(|most| format!(" --{name} {most}")).unwrap_or_default();
    }
    if overrides.luck > 0 {
        command += &format!(" --luck {}", overrides.luck);
    }
    command
}

fn tell(args: &Args, seed: u64, failure: &Failure, overrides: &Overrides) {
    let colour = terminal::stdout_colour();
    let title = format!("seed {seed}: {} ({})", failure.checker, failure.invariant);
    terminal::say(terminal::bold(&title, colour));
    terminal::say(format!("  {}", failure.message));
    terminal::say("  its last events:");
    failure.story.iter().for_each(|line| terminal::say(format!("    {line}")));
    terminal::say(format!("  repeat with: {}\n", repeat(args, seed, overrides)));
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

fn to_json(args: &Args, tally: &Tally, overrides: &Overrides, seconds: f64) -> serde_json::Value {
    let failures: Vec<_> = tally
        .failures
        .iter()
        .map(|(seed, f)| {
            json!({
                "seed": seed, "checker": f.checker, "invariant": f.invariant,
                "message": f.message, "story": f.story, "repeat": repeat(args, *seed, overrides),
            })
        })
        .collect();
    json!({
        "passed": tally.passed, "failed": tally.failures.len(), "seconds": seconds,
        "steps": tally.steps, "marks": tally.marks, "failures": failures,
        "fail_anyway": tally.fail_anyway,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(failed: bool) -> Outcome {
        let failure = failed.then(|| Failure {
            checker: "logs",
            invariant: "I4",
            message: String::new(),
            story: Vec::new(),
        });
        let (marks, events) = (BTreeMap::new(), Vec::new());
        Outcome { passed: !failed, failure, trace_hash: 0, steps: 1, marks, events }
    }

    #[test]
    fn a_seed_that_fails_with_nothing_planted_is_no_catch() {
        let mut tally = Tally::default();
        tally.take(1, outcome(false), false);
        assert_eq!(tally.answer(true), Exit::No);
        assert_eq!(tally.answer(false), Exit::Done);
        tally.take(2, outcome(true), true);
        assert_eq!(tally.answer(true), Exit::No);
        let words = "1 passed, 0 failed, 1 of no account: they fail with nothing planted, too";
        assert_eq!(tally.in_words(), words);
        tally.take(3, outcome(true), false);
        assert_eq!(tally.answer(true), Exit::Done);
        assert_eq!(tally.answer(false), Exit::No);
    }
}
