//! The simulator: whole worlds of regions and devices, run from a seed.
//!
//! The nodes are those of production ([`landfall_sync::region::node`], [`landfall_sync::device::node`])
//! on stores in memory; everything around them is simulated: clocks, disks, processes, the network.
//! One seed decides everything that happens, so a failure is repeated by running its seed again.
//!
//! A run has three parts. People write on devices while faults of the seed's choice happen. Then
//! faults end, everything that still exists comes up, and within bounded time all must be settled.
//! Then the [`checkers`] compare what is there with what the simulator itself has seen.

mod alone;
pub mod app;
pub mod checkers;
pub mod device_sim;
pub mod evidence;
mod faults;
pub mod hands;
pub mod hunt;
mod lopsided;
pub mod losses;
pub mod net;
mod operations;
pub mod oracle;
pub mod paths;
pub mod plan;
pub mod region_sim;
pub mod regressions;
pub mod rng;
mod run;
pub mod scenarios;
mod sent;
pub mod shrink;
mod terms;
pub mod trace;
mod undo;
mod visit;
mod workload;
pub mod world;

pub use landfall_sync::mutant::Mutant;
pub use plan::{Overrides, Plan, Weather};
pub use run::{plan_of, run_plan, run_regions, run_seed};
pub use scenarios::{Scenario, run_scenario, scenarios};

use std::collections::BTreeMap;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// A fault planted in the nodes, which the checkers are to notice.
    pub mutant: Option<Mutant>,
    pub weather: Weather,
    /// What of a seed's plan is left out.
    pub overrides: Overrides,
    /// Keep all events for the outcome, not only the last.
    pub keep_all: bool,
}

impl Default for Options {
    fn default() -> Self {
        let overrides = Overrides::default();
        Self { mutant: None, weather: Weather::Storm, overrides, keep_all: false }
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub passed: bool,
    pub failure: Option<Failure>,
    /// Over all events: the same seed and options give the same.
    pub trace_hash: u64,
    pub steps: u64,
    /// How often the hard paths were taken.
    pub marks: BTreeMap<&'static str, u64>,
    /// All events in words, if asked for.
    pub events: Vec<String>,
}

/// A broken invariant.
#[derive(Debug, Clone)]
pub struct Failure {
    pub checker: &'static str,
    pub invariant: &'static str,
    pub message: String,
    /// The last events before it, in words.
    pub story: Vec<String>,
}
