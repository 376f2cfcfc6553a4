//! Seeds that must pass, seeds that once failed, and planted faults that must be noticed.

use landfall_sim::checkers::NAMES;
use landfall_sim::hunt::{Catch, Hunter};
use landfall_sim::paths::PATHS;
use landfall_sim::regressions::REGRESSIONS;
use landfall_sim::shrink::shrink;
use landfall_sim::{
    Mutant, Options, Overrides, Weather, run_regions, run_scenario, run_seed, scenarios,
};
use std::sync::LazyLock;

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

/// One for all tests, so that none runs what another has run.
static HUNTER: LazyLock<Hunter> = LazyLock::new(Hunter::default);

/// Seeds within which every fault must be caught.
const CAUGHT_WITHIN: u64 = 500;

fn caught_at(mutant: Mutant, seed: u64) -> Option<Catch> {
    HUNTER.hunt(mutant, seed, 1)
}

fn caught_by(checker: &str, mutant: Mutant, seed: u64) -> bool {
    caught_at(mutant, seed).is_some_and(|catch| catch.checker == checker)
}

fn caught(mutant: Mutant) -> Option<u64> {
    HUNTER.hunt(mutant, 0, CAUGHT_WITHIN).map(|catch| catch.seed)
}

/// Seeds that are tried first, for mutants that the first few seeds miss. A seed that catches its mutant
/// no more costs time only: then they are tried from 0. `catching_seeds` writes this anew.
const CATCHING: &[(&str, u64)] = &[
    ("cursor-joined-at-first-chunk", 38),
    ("index-under-position-only", 133),
    ("loser-leave-missing", 133),
    ("dot-reused-after-rollback", 18),
    ("sent-op-coalesced", 20),
    ("life-reused-after-restore", 8),
    ("ack-before-commit", 20),
    ("cursor-from-non-covering", 53),
    ("outbox-dropped-at-ack", 47),
    ("fork-as-duplicate", 20),
    ("cut-not-clipped", 4),
    ("restore-counts-anew", 43),
    ("referrers-not-shown", 49),
    ("local-row-evicted", 7),
    ("local-write-pushed", 4),
    ("outside-taken-as-left", 12),
    ("pin-ignored", 7),
    ("budget-ignored", 67),
    ("rollback-silent", 56),
    ("refused-not-offered-again", 76),
    ("cuts-not-told", 74),
    ("stamp-below-read", 5),
    ("wake-up-lost", 10),
    ("durable-at-one", 20),
    ("adopt-keeps-id", 27),
];

/// Seeds that are cheaper tried than remembered.
const FIRST_FEW: u64 = 4;

#[test]
fn every_mutant_is_caught() {
    for mutant in Mutant::all() {
        let known = CATCHING.iter().find(|(name, _)| *name == mutant.name());
        let at_once = known.is_some_and(|(_, seed)| caught_at(*mutant, *seed).is_some());
        assert!(at_once || caught(*mutant).is_some(), "{} is not noticed", mutant.name());
    }
}

/// Per checker a fault that it catches, and the seed that is tried first.
const CAUGHT_BY: &[(&str, &str, u64)] = &[
    ("atomicity", "half-transaction", 0),
    ("cancelled", "sent-op-cancelled", 0),
    ("convergence", "removal-wins", 0),
    ("devices", "loser-leave-missing", 133),
    ("durability", "sent-before-fsync", 0),
    ("exactly-once", "duplicate-applied-twice", 23),
    ("identity", "dot-reused-after-rollback", 18),
    ("keep", "pin-ignored", 7),
    ("liveness", "ack-before-commit", 20),
    ("local", "local-row-evicted", 7),
    ("logs", "refusal-replicated", 0),
    ("outcomes", "one-refusal-is-final", 54),
    ("references", "referrers-not-shown", 49),
    ("rollback", "rollback-silent", 56),
    ("sessions", "counter-without-coverage", 3),
    ("stamps", "sent-op-coalesced", 106),
    ("survival", "outbox-dropped-at-ack", 47),
    ("switch", "cursor-dropped-on-switch", 0),
    ("unchanged", "stamp-pulled-back", 5),
    ("unheard", "wake-up-lost", 10),
];

/// Checkers that catch no planted fault, and why none is planted for them.
const WITHOUT_A_FAULT: &[(&str, &str)] = &[
    ("waiting", "who waits for ever fails to settle, too, unless another region helps"),
    (
        "wire",
        "it looks at what the node's own encoder makes, which is the one that it decodes with",
    ),
];

#[test]
fn every_checker_catches_a_fault() {
    for (checker, mutant, seed) in CAUGHT_BY {
        let mutant = Mutant::named(mutant).expect("a mutant of this name");
        let by = |seed: u64| caught_by(checker, mutant, seed);
        let found = by(*seed) || (0..CAUGHT_WITHIN).any(by);
        assert!(found, "{checker} does not notice {}", mutant.name());
    }
    let listed = CAUGHT_BY.iter().map(|(checker, ..)| *checker);
    let mut listed: Vec<&str> = listed.chain(WITHOUT_A_FAULT.iter().map(|(c, _)| *c)).collect();
    listed.sort_unstable();
    assert_eq!(listed, NAMES);
}

#[test]
#[ignore = "writes the lines of CATCHING and CAUGHT_BY: takes minutes"]
fn catching_seeds() {
    for mutant in Mutant::all() {
        let seed = caught(*mutant).expect("noticed");
        if seed >= FIRST_FEW {
            println!("    (\"{}\", {seed}),", mutant.name());
        }
    }
    for (checker, mutant, _) in CAUGHT_BY {
        let named = Mutant::named(mutant).expect("a mutant of this name");
        let seed = (0..CAUGHT_WITHIN).find(|seed| caught_by(checker, named, *seed));
        println!("    ({checker:?}, {mutant:?}, {}),", seed.expect("noticed"));
    }
}

/// Seeds that the paths are looked for in.
const PATH_SEEDS: u64 = 600;

#[test]
fn every_path_is_taken() {
    let mut missing = PATHS.to_vec();
    for seed in 0..PATH_SEEDS {
        let marks = run_seed(seed, &Options::default()).marks;
        missing.retain(|path| !marks.contains_key(path));
        if missing.is_empty() {
            return;
        }
    }
    panic!("no seed below {PATH_SEEDS} takes these paths: {missing:?}");
}

#[test]
fn a_shrunk_run_is_smaller_and_fails_in_the_same_way() {
    let mutant = Some(Mutant::UnsentRowEvicted);
    let options = Options { mutant, ..Options::default() };
    let seed = caught(Mutant::UnsentRowEvicted).expect("noticed");
    let whole = run_seed(seed, &options).failure.expect("noticed");
    let shrunk = shrink(seed, &options, 400).expect("it fails");
    let (before, after) = (&shrunk.before, &shrunk.after);
    assert!(after.troubles().len() < before.troubles().len(), "{after:?}");
    assert!(after.devices < before.devices && after.acts < before.acts, "{after:?}");
    // What is left is repeated from the seed and the overrides.
    let again = run_seed(seed, &Options { overrides: shrunk.overrides, ..options });
    let again = again.failure.expect("it still fails");
    assert_eq!((again.checker, again.message), (whole.checker, shrunk.failure.message));
}

#[test]
fn a_seed_that_passes_is_not_shrunk() {
    assert!(shrink(1, &Options::default(), 10).is_none());
}

#[test]
fn a_narrowed_world_is_as_repeatable_as_a_whole_one() {
    let overrides = Overrides { devices: Some(2), acts: Some(20), luck: 3, ..Overrides::default() };
    let options = Options { overrides, ..Options::default() };
    let [a, b] = [0, 1].map(|_| run_seed(7, &options));
    assert_eq!((a.trace_hash, a.steps), (b.trace_hash, b.steps));
    assert_ne!(a.trace_hash, run_seed(7, &Options::default()).trace_hash);
}

#[test]
#[ignore = "prints what a change that changes no behaviour must leave as it is"]
fn trace_hashes() {
    let started = std::time::Instant::now();
    for seed in 0..200 {
        let outcome = run_seed(seed, &Options::default());
        println!("{seed} {:016x} {} {:?}", outcome.trace_hash, outcome.steps, outcome.marks);
    }
    eprintln!("{:.1} s", started.elapsed().as_secs_f64());
}
