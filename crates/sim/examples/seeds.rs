//! Runs seeds: `seeds FIRST COUNT [--weather calm|rough|storm] [--mutant NAME] [--regions] [--story]`.

#![allow(clippy::print_stdout, reason = "a tool for people")]

use landfall_sim::{Mutant, Options, Outcome, Weather, run_regions, run_seed};
use std::collections::BTreeMap;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).map(String::as_str)
    };
    let has = |name: &str| args.iter().any(|a| a == name);
    let number = |i: usize| args.get(i).and_then(|a| a.parse::<u64>().ok()).unwrap_or(1);
    let (first, count) = (number(0), number(1));
    let weather = match value("--weather") {
        Some("calm") => Weather::Calm,
        Some("rough") => Weather::Rough,
        _ => Weather::Storm,
    };
    let mutant = value("--mutant").map(|n| Mutant::named(n).expect("a mutant's name"));
    let options = Options { mutant, weather, keep_all: has("--story") };
    let mut failed: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut marks: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in first..first + count {
        let run = || {
            if has("--regions") { run_regions(seed, &options) } else { run_seed(seed, &options) }
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let Ok(outcome) = outcome else {
            failed.entry("panic".to_owned()).or_default().push(seed);
            continue;
        };
        for (mark, n) in &outcome.marks {
            *marks.entry(mark).or_default() += u64::from(*n > 0);
        }
        tell(seed, &outcome, has("--story"), &mut failed);
        if has("--first") && !outcome.passed {
            break;
        }
    }
    for (what, seeds) in &failed {
        println!("{:>5} {what}: {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
    println!("{} of {count} failed", failed.values().map(Vec::len).sum::<usize>());
    if has("--marks") {
        println!("{marks:#?}");
    }
}

fn tell(seed: u64, outcome: &Outcome, story: bool, failed: &mut BTreeMap<String, Vec<u64>>) {
    if story {
        outcome.events.iter().for_each(|e| println!("{e}"));
    }
    if let Some(f) = &outcome.failure {
        if story {
            println!("{} {}: {}", f.checker, f.invariant, f.message);
        }
        failed.entry(format!("{} {}", f.checker, f.invariant)).or_default().push(seed);
    }
}
