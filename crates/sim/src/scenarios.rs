//! Directed runs: fixed scripts for situations that a seed meets too seldom.

use crate::plan::Plan;
use crate::rng::Rng;
use crate::{Options, Outcome, run_plan};

/// A named script.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    plan: fn() -> Plan,
}

fn base() -> Plan {
    Plan { regions: 3, devices: 5, acts: 80, pause_ms: 60, latency_ms: (5, 60), ..Plan::default() }
}

/// All scripts.
pub fn scenarios() -> &'static [Scenario] {
    &[
        Scenario { name: "calm", about: "nothing fails", plan: base },
        Scenario {
            name: "switching",
            about: "connections break all the time, so devices change regions in mid-pass",
            plan: || Plan { cut: 500, stale: 700, chunk_rows: 1, cut_link: 200, ..base() },
        },
        Scenario {
            name: "islands",
            about: "regions are apart most of the time, so devices meet regions that lag behind",
            plan: || Plan { cut: 250, partition: 300, stale: 500, ..base() },
        },
        Scenario {
            name: "old-files",
            about: "device files are copied and put back",
            plan: || Plan { cut: 100, rollback: 120, clone: 40, kill: 60, ..base() },
        },
        Scenario {
            name: "disaster",
            about: "a region is restored from an old copy, with devices and peers that know better",
            plan: || Plan { restore: 80, fooled: 500, cut_link: 100, cut: 150, ..base() },
        },
        Scenario {
            name: "wrong-clocks",
            about: "device clocks are off by years and jump",
            plan: || Plan { device_clocks: 1, region_clocks: 1, cut: 150, ..base() },
        },
    ]
}

/// Run a script; the seed decides what the script leaves open.
pub fn run_scenario(scenario: &Scenario, seed: u64, options: &Options) -> Outcome {
    run_plan(seed, options, (scenario.plan)(), Rng::new(seed))
}
