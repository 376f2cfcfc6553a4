//! How long the checkers need for a planted fault: seeds from a starting one on, until one fails.

use crate::{Mutant, Options, run_seed};

/// A planted fault that was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catch {
    /// Seeds that it took, the failing one among them.
    pub seeds: u64,
    pub seed: u64,
    pub checker: &'static str,
    pub invariant: &'static str,
}

/// Run seeds from `from` on with a fault planted, at most so many; `None` if none of them fails.
pub fn hunt(mutant: Mutant, from: u64, most: u64) -> Option<Catch> {
    let options = Options { mutant: Some(mutant), ..Options::default() };
    (0..most).find_map(|n| {
        let failure = run_seed(from + n, &options).failure?;
        let (checker, invariant) = (failure.checker, failure.invariant);
        Some(Catch { seeds: n + 1, seed: from + n, checker, invariant })
    })
}
