//! Seeds that must pass, seeds that once failed, and planted faults that must be noticed.

use landfall_sim::regressions::REGRESSIONS;
use landfall_sim::{Mutant, Options, Weather, run_regions, run_scenario, run_seed, scenarios};

fn options(weather: Weather) -> Options {
    Options { weather, ..Options::default() }
}

fn pass(seeds: std::ops::Range<u64>, weather: Weather) {
    for seed in seeds {
        let outcome = run_seed(seed, &options(weather));
        if let Some(f) = outcome.failure {
            let story = f.story.join("\n");
            panic!(
                "seed {seed} in {weather:?}: {} {}: {}\n{story}",
                f.checker, f.invariant, f.message
            );
        }
    }
}

#[test]
fn calm_seeds_pass() {
    pass(1..15, Weather::Calm);
}

#[test]
fn rough_seeds_pass() {
    pass(1..30, Weather::Rough);
}

#[test]
fn storm_seeds_pass() {
    pass(1..40, Weather::Storm);
}

#[test]
fn regions_alone_pass() {
    for seed in 1..40 {
        let outcome = run_regions(seed, &options(Weather::Storm));
        assert!(outcome.passed, "seed {seed}: {:?}", outcome.failure);
    }
}

#[test]
fn what_once_failed_passes() {
    for (seed, weather, about) in REGRESSIONS {
        let outcome = run_seed(*seed, &options(*weather));
        assert!(outcome.passed, "seed {seed} ({about}): {:?}", outcome.failure);
    }
}

#[test]
fn scenarios_pass() {
    for scenario in scenarios() {
        for seed in 1..4 {
            let outcome = run_scenario(scenario, seed, &Options::default());
            assert!(outcome.passed, "{} {seed}: {:?}", scenario.name, outcome.failure);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 100..108 {
        let [a, b] = [0, 1].map(|_| run_seed(seed, &Options::default()));
        assert_eq!((a.trace_hash, a.steps, a.marks), (b.trace_hash, b.steps, b.marks));
    }
}

fn caught(mutant: Mutant, seeds: std::ops::Range<u64>) -> Option<u64> {
    let options = Options { mutant: Some(mutant), ..Options::default() };
    seeds.into_iter().find(|seed| !run_seed(*seed, &options).passed)
}

#[test]
fn every_mutant_is_caught() {
    for mutant in Mutant::all() {
        assert!(caught(*mutant, 0..500).is_some(), "{} is not noticed", mutant.name());
    }
}
