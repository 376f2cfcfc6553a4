//! How long the checkers need for a planted fault: seeds from a starting one on, until one fails.

use crate::{Mutant, Options, run_seed};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A planted fault that was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catch {
    /// Seeds that it took, the failing one among them.
    pub seeds: u64,
    pub seed: u64,
    pub checker: &'static str,
    pub invariant: &'static str,
}

/// Which checker failed, and the invariant that it holds; `None` for a seed that passed.
type Verdict = Option<(&'static str, &'static str)>;

/// Hunts planted faults, on any number of threads. No seed is run twice with the same fault, nor without one:
/// whoever hunts many faults asks again and again how the same seeds go when nothing is planted.
#[derive(Debug, Default)]
pub struct Hunter {
    options: Options,
    known: Mutex<BTreeMap<(Option<Mutant>, u64), Verdict>>,
}

impl Hunter {
    pub fn new(options: Options) -> Self {
        Self { options, known: Mutex::default() }
    }

    /// Run seeds from `from` on with a fault planted, at most so many; `None` if none of them catches it.
    pub fn hunt(&self, mutant: Mutant, from: u64, most: u64) -> Option<Catch> {
        (0..most).find_map(|n| {
            let seed = from + n;
            let (checker, invariant) = self.caught(mutant, seed)?;
            Some(Catch { seeds: n + 1, seed, checker, invariant })
        })
    }

    /// How a seed fails because a fault is planted: one that fails without it shows nothing of it.
    fn caught(&self, mutant: Mutant, seed: u64) -> Verdict {
        let verdict = self.verdict(Some(mutant), seed)?;
        self.verdict(None, seed).is_none().then_some(verdict)
    }

    fn verdict(&self, mutant: Option<Mutant>, seed: u64) -> Verdict {
        // What is in it is right even if a thread failed while it held it.
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known().get(&(mutant, seed)) {
            return *verdict;
        }
        let failure = run_seed(seed, &Options { mutant, ..self.options.clone() }).failure;
        let verdict = failure.map(|f| (f.checker, f.invariant));
        known().insert((mutant, seed), verdict);
        verdict
    }
}
