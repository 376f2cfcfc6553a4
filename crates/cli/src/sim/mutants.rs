//! `landfall sim --mutants`: how long the checkers need for each planted fault.

use super::{Args, threads};
use crate::exit::Exit;
use crate::terminal::{self, Progress};
use landfall_sim::checkers::NAMES;
use landfall_sim::hunt::{Catch, hunt};
use landfall_sim::{Mutant, Options};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Ranges of seeds that each fault is hunted in, and how far apart they begin.
const RANGES: u64 = 5;
const APART: u64 = 1_000_000;

/// What came of one fault: per starting seed, what caught it.
type Hunts = BTreeMap<u64, Option<Catch>>;

pub(super) fn run(args: &Args, options: &Options) -> Exit {
    let started = Instant::now();
    let starts = (0..RANGES).map(|i| args.from.saturating_add(i * APART));
    let items: Vec<(Mutant, u64)> =
        Mutant::all().iter().flat_map(|m| starts.clone().map(|from| (*m, from))).collect();
    let mut all: BTreeMap<Mutant, Hunts> = BTreeMap::new();
    let mut progress = Progress::new(args.json);
    let (count, mut done) = (items.len(), 0);
    let one = |(mutant, from): &(Mutant, u64)| hunt(*mutant, *from, args.seeds, options);
    threads::spread(args.jobs, items, one, |(mutant, from), catch| {
        all.entry(mutant).or_default().insert(from, catch);
        done += 1;
        progress.show(|| format!("{done} of {count} hunts"));
        true
    });
    progress.clear();
    let caught = all.values().filter(|hunts| hunts.values().all(Option::is_some)).count();
    if args.json {
        terminal::say(to_json(&all, started.elapsed().as_secs_f64()));
    } else {
        tell(&all);
        tell_checkers(&all);
        terminal::note(format!("{:.1} s", started.elapsed().as_secs_f64()));
        let (ranges, most) = (RANGES, args.seeds);
        terminal::say(format!(
            "{caught} of {} caught from each of {ranges} starting seeds within {most} seeds",
            all.len()
        ));
    }
    Exit::yes(caught == all.len())
}

fn tell(all: &BTreeMap<Mutant, Hunts>) {
    let row = |name: &str, median: &str, worst: &str, by: &str, about: &str| {
        terminal::say(format!("{name:<30} {median:>6} {worst:>6}  {by:<36}  {about}"));
    };
    row("mutant", "median", "worst", "caught by", "what it does");
    for (mutant, hunts) in all {
        let [median, worst] = figures(hunts).map(|n| n.map_or("-".to_owned(), |n| n.to_string()));
        let by: BTreeSet<String> =
            catches(hunts).iter().map(|c| format!("{} ({})", c.checker, c.invariant)).collect();
        let by = by.into_iter().collect::<Vec<_>>().join(", ");
        row(mutant.name(), &median, &worst, &by, mutant.description());
    }
}

/// Per checker the faults that it caught.
fn tell_checkers(all: &BTreeMap<Mutant, Hunts>) {
    terminal::say(format!("\n{:<14} caught", "checker"));
    for checker in NAMES {
        let by = |hunts: &Hunts| catches(hunts).iter().any(|c| c.checker == *checker);
        let names = all.iter().filter(|(_, hunts)| by(hunts)).map(|(mutant, _)| mutant.name());
        let names = names.collect::<Vec<_>>().join(", ");
        terminal::say(format!("{checker:<14} {}", if names.is_empty() { "-" } else { &names }));
    }
}

fn catches(hunts: &Hunts) -> Vec<Catch> {
    hunts.values().flatten().copied().collect()
}

/// Seeds to the catch: the median of the ranges, and the most. Nothing where no fault was caught that
/// the figure is of: a range without a catch counts as longer than all others.
fn figures(hunts: &Hunts) -> [Option<u64>; 2] {
    let seeds = |catch: &Option<Catch>| catch.map_or(u64::MAX, |c| c.seeds);
    let mut all: Vec<u64> = hunts.values().map(seeds).collect();
    all.sort_unstable();
    [all.get(all.len() / 2), all.last()].map(|n| n.copied().filter(|n| *n < u64::MAX))
}

fn to_json(all: &BTreeMap<Mutant, Hunts>, seconds: f64) -> serde_json::Value {
    let hunts = |hunts: &Hunts| -> Vec<_> {
        let one = |(from, catch): (&u64, &Option<Catch>)| match catch {
            Some(c) => json!({
                "from": from, "seeds": c.seeds, "seed": c.seed,
                "checker": c.checker, "invariant": c.invariant,
            }),
            None => json!({ "from": from, "seeds": null }),
        };
        hunts.iter().map(one).collect()
    };
    let mutants: Vec<_> = all
        .iter()
        .map(|(mutant, of)| {
            let [median, worst] = figures(of);
            json!({
                "name": mutant.name(), "about": mutant.description(),
                "median": median, "worst": worst, "hunts": hunts(of),
            })
        })
        .collect();
    json!({ "mutants": mutants, "seconds": seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunts(seeds: &[Option<u64>]) -> Hunts {
        let catch = |n: u64| Catch { seeds: n, seed: n, checker: "c", invariant: "I1" };
        (0..).zip(seeds).map(|(from, n)| (from, n.map(catch))).collect()
    }

    #[test]
    fn a_range_without_a_catch_counts_as_the_longest() {
        assert_eq!(figures(&hunts(&[Some(9), Some(1), Some(4)])), [Some(4), Some(9)]);
        assert_eq!(figures(&hunts(&[Some(9), None, Some(4)])), [Some(9), None]);
        assert_eq!(figures(&hunts(&[None, None, Some(4)])), [None, None]);
    }
}
