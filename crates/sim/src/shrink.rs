//! A failing run made small: what is taken out of its plan as long as the same checker still fails.
//!
//! Every world is another course of events, so a fault that needs two things at once may hide from
//! the smaller one by chance alone. Each smaller plan is therefore tried with several courses
//! ([`Overrides::luck`]). What comes out is repeated from the seed and the overrides alone.

use crate::plan::{Overrides, Plan};
use crate::{Failure, Options, plan_of, run_seed};

/// Courses of events that each smaller plan is tried with.
const LUCKS: u64 = 6;

/// A smaller failing run.
#[derive(Debug, Clone)]
pub struct Shrunk {
    pub overrides: Overrides,
    /// What the seed drew, and what is left of it.
    pub before: Plan,
    pub after: Plan,
    pub failure: Failure,
    /// Worlds that were run for it.
    pub runs: u64,
}

/// Reduce a failing seed in at most so many runs. `None` if it passes.
pub fn shrink(seed: u64, options: &Options, runs_max: u64) -> Option<Shrunk> {
    let failure = run_seed(seed, options).failure?;
    let mut search = Search {
        seed,
        options: options.clone(),
        runs: 1,
        runs_max,
        failure,
        plan: plan_of(seed, options),
    };
    while search.one_round() {}
    let whole = Options { overrides: Overrides::default(), ..options.clone() };
    Some(Shrunk {
        before: plan_of(seed, &whole),
        after: search.plan,
        overrides: search.options.overrides,
        failure: search.failure,
        runs: search.runs,
    })
}

/// The smallest failing run so far.
struct Search {
    seed: u64,
    options: Options,
    plan: Plan,
    failure: Failure,
    runs: u64,
    runs_max: u64,
}

impl Search {
    /// Try to take out one thing after the other. False if nothing could go.
    fn one_round(&mut self) -> bool {
        let mut smaller = false;
        smaller |= self.fewer(|o, n| o.acts = Some(n), self.plan.acts, 1);
        smaller |= self.fewer(|o, n| o.devices = Some(n), self.plan.devices, 1);
        for kind in self.plan.troubles() {
            let mut overrides = self.options.overrides.clone();
            overrides.without.insert(kind);
            smaller |= self.still_fails(overrides);
        }
        smaller
    }

    /// Fewer of something, by half, then by less, as long as it fails.
    fn fewer(&mut self, set: impl Fn(&mut Overrides, usize), now: usize, least: usize) -> bool {
        let (mut now, mut step) = (now, now / 2);
        let mut smaller = false;
        while step > 0 {
            let mut overrides = self.options.overrides.clone();
            set(&mut overrides, now - step);
            if now - step >= least && self.still_fails(overrides) {
                now -= step;
                smaller = true;
                step = step.min(now / 2);
            } else {
                step /= 2;
            }
        }
        smaller
    }

    /// Run a smaller plan, and keep it if the same checker fails.
    fn still_fails(&mut self, overrides: Overrides) -> bool {
        let others = (0..LUCKS).filter(|luck| *luck != overrides.luck);
        let lucks = std::iter::once(overrides.luck).chain(others);
        for luck in lucks {
            if self.runs >= self.runs_max {
                return false;
            }
            self.runs += 1;
            let options = Options {
                overrides: Overrides { luck, ..overrides.clone() },
                ..self.options.clone()
            };
            let failure = run_seed(self.seed, &options).failure;
            if let Some(failure) = failure.filter(|f| f.checker == self.failure.checker) {
                (self.plan, self.failure) = (plan_of(self.seed, &options), failure);
                self.options = options;
                return true;
            }
        }
        false
    }
}
