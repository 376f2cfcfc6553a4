//! What a benchmark says: figures, each beside the limit or the peer that was measured in the same
//! run, and the ratio of the two.

use super::Figures;
use serde::Serialize;
use std::time::Duration;

/// The figures of one run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// What was run, and how large.
    what: String,
    figures: Vec<Figure>,
}

/// Something measured.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Beside>,
}

/// What it is held against, in the same unit.
#[derive(Debug, Serialize)]
struct Beside {
    name: String,
    value: f64,
    ratio: f64,
}

impl Report {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), figures: Vec::new() }
    }

    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit, beside: None });
    }

    /// A figure beside a limit or a peer.
    pub fn add_beside(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        (beside, limit): (&str, f64),
    ) {
        let ratio = value / limit;
        let beside = Some(Beside { name: beside.to_owned(), value: limit, ratio });
        self.figures.push(Figure { name: name.into(), value, unit, beside });
    }

    /// The middle and the slow end of many times, in milliseconds.
    pub fn add_times(&mut self, name: &str, times: &Times) {
        for (end, ms) in times.ends() {
            self.add(format!("{name}, {end}"), ms, "ms");
        }
    }
}

impl Figures for Report {
    /// A benchmark of speed promises no shape: what did not work is an error, and no figure.
    fn holds(&self) -> Option<bool> {
        None
    }

    fn lines(&self) -> Vec<String> {
        let name = self.figures.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
        let value = self.figures.iter().map(|f| shown(f.value).len()).max().unwrap_or(0);
        let unit = self.figures.iter().map(|f| f.unit.len()).max().unwrap_or(0);
        let line = |f: &Figure| {
            let own = format!("  {:<name$}  {:>value$} {:<unit$}", f.name, shown(f.value), f.unit);
            match &f.beside {
                Some(b) => {
                    format!("{own}  {}: {} {}, x{:.2}", b.name, shown(b.value), f.unit, b.ratio)
                }
                None => own.trim_end().to_owned(),
            }
        };
        std::iter::once(self.what.clone()).chain(self.figures.iter().map(line)).collect()
    }
}

/// Three digits or more, with thousands apart.
fn shown(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut apart = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(c);
    }
    apart + rest
}

/// How long something took, many times.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// In milliseconds; so many of a hundred took no longer.
    pub fn ms(&self, percent: usize) -> f64 {
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).map_or(0.0, |t| t.as_secs_f64() * 1e3)
    }

    /// How many there were in a second, one after the other.
    pub fn per_second(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }

    /// The middle and the slow end by name, in milliseconds. Of fewer than a hundred times no
    /// hundredth can be told: the slow end is the most that any of them took.
    pub fn ends(&self) -> [(&'static str, f64); 2] {
        let slow = if self.0.len() < 100 { ("most", self.ms(100)) } else { ("p99", self.ms(99)) };
        [("p50", self.ms(50)), slow]
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut all: Vec<_> = times.into_iter().collect();
        all.sort();
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_what_counts() {
        let cases = [(0.0, "0.000"), (0.25, "0.250"), (1.5, "1.50"), (99.94, "99.9")];
        let large = [(100.0, "100"), (1_234.4, "1,234"), (1_234_567.0, "1,234,567")];
        for (value, text) in cases.into_iter().chain(large) {
            assert_eq!(shown(value), text);
        }
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Times = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!((times.ms(50), times.ms(99), times.ms(100)), (50.0, 99.0, 100.0));
        assert_eq!(Times::default().ms(50), 0.0);
    }

    #[test]
    fn a_hundredth_is_told_of_a_hundred_times_or_more() {
        let times = |most| (1..=most).map(Duration::from_millis).collect::<Times>();
        assert_eq!(times(99).ends(), [("p50", 50.0), ("most", 99.0)]);
        assert_eq!(times(100).ends(), [("p50", 50.0), ("p99", 99.0)]);
    }
}
