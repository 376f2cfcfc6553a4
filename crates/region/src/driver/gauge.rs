//! What the driver counts for people: rates over the last seconds, and reports by name.

use landfall_sync::region::node::Report;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Ticks over which a rate is taken.
const RATE_TICKS: usize = 5;

#[derive(Debug, Default)]
pub struct Gauge {
    samples: VecDeque<(Instant, u64)>,
    reports: BTreeMap<String, u64>,
    changed: bool,
}

/// The name under which a report is counted; a refusal's is its code.
pub fn name(report: &Report) -> &str {
    match report {
        Report::LogMismatch { .. } => "log_mismatch",
        Report::RowTooLarge { .. } => "row_too_large",
        Report::LifeBegan { .. } => "life_began",
        Report::LifeEnded { .. } => "life_ended",
        Report::Refused { code } => code,
    }
}

impl Gauge {
    /// Events per second, given how many there have been in all.
    pub fn rate(&mut self, total: u64) -> f64 {
        let now = Instant::now();
        self.samples.push_back((now, total));
        if self.samples.len() > RATE_TICKS + 1 {
            self.samples.pop_front();
        }
        let Some((then, before)) = self.samples.front() else {
            return 0.0;
        };
        let seconds = now.duration_since(*then).as_secs_f64();
        if seconds > 0.0 { (total - before) as f64 / seconds } else { 0.0 }
    }

    pub fn report(&mut self, name: &str) {
        *self.reports.entry(name.to_owned()).or_default() += 1;
        self.changed = true;
    }

    /// The counts by name, if they have changed since they were asked for.
    pub fn changed_reports(&mut self) -> Option<BTreeMap<String, u64>> {
        std::mem::take(&mut self.changed).then(|| self.reports.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_counted_by_name_and_handed_out_once() {
        let mut gauge = Gauge::default();
        ["malformed", "malformed", "version"].into_iter().for_each(|n| gauge.report(n));
        let counts = gauge.changed_reports().unwrap();
        assert_eq!(counts["malformed"], 2);
        assert_eq!(counts["version"], 1);
        assert_eq!(gauge.changed_reports(), None);
    }
}
