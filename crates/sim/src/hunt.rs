//! How long the checkers need for a planted fault: seeds from a starting one on, until one fails.

use crate::{Failure, Mutant, Options, run_seed};

/// A planted fault that was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catch {
    /// Seeds that it took, the failing one among them.
    pub seeds: u64,
    pub seed: u64,
    pub checker: &'static str,
    pub invariant: &'static str,
}

/// Run seeds from `from` on with a fault planted, at most so many; `None` if none of them catches it.
pub fn hunt(mutant: Mutant, from: u64, most: u64, options: &Options) -> Option<Catch> {
    (0..most).find_map(|n| {
        let failure = caught(mutant, from + n, options)?;
        let (checker, invariant) = (failure.checker, failure.invariant);
        Some(Catch { seeds: n + 1, seed: from + n, checker, invariant })
    })
}

/// How a seed fails because a fault is planted: one that fails without it shows nothing of it.
pub fn caught(mutant: Mutant, seed: u64, options: &Options) -> Option<Failure> {
    let options = Options { mutant: Some(mutant), ..options.clone() };
    let failure = run_seed(seed, &options).failure?;
    run_seed(seed, &Options { mutant: None, ..options }).passed.then_some(failure)
}
