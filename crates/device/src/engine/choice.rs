//! Which region to use: pure decisions on what was seen of each.
//!
//! The regions come in an order of preference, from the app or from a directory. A region later in
//! it is preferred only where it is clearly nearer. One that failed is left at once, and comes
//! last until it has proved itself again: after a rest it must answer several probes in a row, each
//! some time behind the other, and the region must say that it takes this device back. So a region
//! that comes and goes is not followed, and one that was restarted is not run over.
//!
//! No failure here is a verdict on the region: with this device's own network gone all of them
//! fail, and then all are tried as before.

use crate::options::{Network, RegionUrl};
use landfall_model::id::RegionId;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Round trips that are remembered of a region.
const KEPT: usize = 8;

/// Probes in a row that must succeed before a region is gone back to, or moved to.
const PROBES: u32 = 3;

/// A region is clearly nearer when it is nearer by this part of the round trip...
const NEARER_PERCENT: u32 = 30;

/// ... and by this much.
const NEARER: Duration = Duration::from_millis(30);

/// What is known of one region.
#[derive(Debug, Default)]
struct Seen {
    round_trips: VecDeque<Duration>,
    /// When it failed, and how long it is left alone.
    tripped: Option<(Duration, Duration)>,
    /// Probes in a row that succeeded since it failed.
    proved: u32,
    /// Probes in a row that found it clearly nearer than the region in use.
    nearer: u32,
    probed: Option<Duration>,
    /// No probe before this: the last one could not be made.
    not_before: Option<Duration>,
    /// As it named itself when it was greeted last.
    id: Option<RegionId>,
}

impl Seen {
    /// The shortest round trip and twice its usual deviation; unknown before the first.
    fn score(&self) -> Option<Duration> {
        let least = *self.round_trips.iter().min()?;
        let deviation: Duration = self.round_trips.iter().map(|r| *r - least).sum();
        Some(least + 2 * deviation / self.round_trips.len() as u32)
    }

    fn took(&mut self, round_trip: Duration) {
        if self.round_trips.len() == KEPT {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(round_trip);
    }
}

fn is_nearer(one: &Seen, other: &Seen) -> bool {
    match (one.score(), other.score()) {
        (Some(one), Some(other)) => {
            one + NEARER <= other && one * 100 <= other * (100 - NEARER_PERCENT)
        }
        _ => false,
    }
}

/// The regions and what was seen of them.
#[derive(Debug)]
pub(crate) struct Choice {
    pub regions: Vec<RegionUrl>,
    seen: Vec<Seen>,
    /// The region in use and since when; the last one while there is none.
    current: Option<(usize, Duration)>,
    /// Where this device stands among a hundred when a region takes some of them back.
    slot: u32,
}

impl Choice {
    pub fn new(regions: Vec<RegionUrl>, slot: u32) -> Self {
        let seen = regions.iter().map(|_| Seen::default()).collect();
        Self { regions, seen, current: None, slot: slot % 100 }
    }

    /// Other regions, or others first. What is known of those that stay is kept.
    pub fn replace(&mut self, regions: Vec<RegionUrl>) {
        let mut seen = std::mem::take(&mut self.seen);
        let mut known: Vec<(RegionUrl, Seen)> =
            self.regions.drain(..).zip(seen.drain(..)).collect();
        let current = self.current.take().map(|(i, since)| (known[i].0.clone(), since));
        for region in &regions {
            let at = known.iter().position(|(known, _)| known == region);
            self.seen.push(at.map(|at| known.swap_remove(at).1).unwrap_or_default());
        }
        self.current =
            current.and_then(|(url, since)| Some((regions.iter().position(|r| *r == url)?, since)));
        self.regions = regions;
    }

    /// All regions, the one to try first at the front.
    pub fn order(&self) -> Vec<usize> {
        let (mut failed, mut well): (Vec<usize>, Vec<usize>) =
            (0..self.regions.len()).partition(|i| self.seen[*i].tripped.is_some());
        let mut order = Vec::new();
        while !well.is_empty() {
            order.push(well.remove(self.best_of(&well)));
        }
        failed.sort_by_key(|i| self.seen[*i].tripped);
        order.extend(failed);
        order
    }

    /// The place of the best of these: the first, unless another is clearly nearer.
    fn best_of(&self, regions: &[usize]) -> usize {
        let mut best = 0;
        for at in 1..regions.len() {
            if is_nearer(&self.seen[regions[at]], &self.seen[regions[best]]) {
                best = at;
            }
        }
        best
    }

    /// The best other region that has not failed lately.
    pub fn second(&self) -> Option<usize> {
        let current = self.current.map(|(i, _)| i);
        let fit = |i: &usize| Some(*i) != current && self.seen[*i].tripped.is_none();
        self.order().into_iter().find(fit)
    }

    /// This region greeted, and is used from now on.
    pub fn ready(&mut self, region: usize, now: Duration, round_trip: Duration) {
        let seen = &mut self.seen[region];
        seen.took(round_trip);
        (seen.tripped, seen.proved, seen.nearer) = (None, 0, 0);
        if self.current.is_none_or(|(i, _)| i != region) {
            self.current = Some((region, now));
            self.seen.iter_mut().for_each(|s| s.nearer = 0);
        }
    }

    /// It greeted, and named itself so.
    pub fn learn(&mut self, region: usize, id: RegionId) {
        self.seen[region].id = Some(id);
    }

    /// Which of the other regions are one of these: those that are known to be, then those that have
    /// not been met.
    pub fn who_may_be(&self, ids: &BTreeSet<RegionId>) -> Vec<usize> {
        let current = self.current.map(|(i, _)| i);
        let mut fit: Vec<usize> = (0..self.regions.len())
            .filter(|i| Some(*i) != current && self.seen[*i].id.is_none_or(|id| ids.contains(&id)))
            .collect();
        fit.sort_by_key(|i| self.seen[*i].id.is_none());
        fit
    }

    /// This region failed. `random` spreads the moment at which devices look at it again.
    pub fn failed(&mut self, region: usize, now: Duration, network: &Network, random: u64) {
        let half_ms = network.dwell_ms / 2;
        let rest_ms = half_ms + random % (network.dwell_ms + 1);
        let seen = &mut self.seen[region];
        seen.tripped = Some((now, Duration::from_millis(rest_ms)));
        (seen.proved, seen.nearer) = (0, 0);
        seen.round_trips.clear();
    }

    /// When the next probe is due, and of which region. `survey`: regions that nothing is known
    /// against are looked at, too, in case one is nearer.
    pub fn next_probe(&self, network: &Network, survey: bool) -> Option<(Duration, usize)> {
        let (current, since) = self.current?;
        let ms = Duration::from_millis;
        let due = |i: usize| {
            let seen = &self.seen[i];
            let after = |wait_ms: u64| seen.probed.map_or(since, |p| p.max(since)) + ms(wait_ms);
            match seen.tripped {
                Some((at, rest)) if seen.proved == 0 => Some((at + rest).max(after(0))),
                Some(_) if seen.proved < PROBES => Some(after(network.probe_ms)),
                // It would be gone back to, but does not take this device yet.
                Some(_) => Some(after(network.dwell_ms)),
                None if seen.nearer > 0 => Some(after(network.dwell_ms)),
                None if survey => Some(after(network.survey_ms)),
                None => None,
            }
        };
        let others = (0..self.regions.len()).filter(|i| *i != current);
        let due = |i: usize| Some((due(i)?.max(self.seen[i].not_before.unwrap_or_default()), i));
        others.filter_map(due).min()
    }

    /// A probe could not be made, for reasons of this device's own: nothing was seen of the region.
    pub fn not_probed(&mut self, region: usize, now: Duration, network: &Network) {
        let wait = Duration::from_millis(network.probe_ms);
        self.seen[region].not_before = Some(now.saturating_add(wait));
    }

    /// A probe was answered, or not. `accepts`: of a hundred devices the region takes so many back.
    /// True if this one should move there now.
    pub fn probed(
        &mut self,
        region: usize,
        now: Duration,
        answer: Result<(Duration, u32), ()>,
        network: &Network,
        random: u64,
    ) -> bool {
        self.seen[region].probed = Some(now);
        let Ok((round_trip, accepts)) = answer else {
            self.failed(region, now, network, random);
            return false;
        };
        let Some((current, since)) = self.current else { return false };
        self.seen[region].took(round_trip);
        let nearer = is_nearer(&self.seen[region], &self.seen[current]);
        let first = self.would_be_first(region, current);
        let seen = &mut self.seen[region];
        seen.nearer = if nearer { seen.nearer + 1 } else { 0 };
        let mut proved = seen.nearer >= PROBES;
        if seen.tripped.is_some() {
            seen.proved += 1;
            proved = seen.proved >= PROBES;
            if proved && !first {
                // It is well again, and not wanted.
                (seen.tripped, seen.proved) = (None, 0);
            }
        }
        let rested = now.saturating_sub(since) >= Duration::from_millis(network.dwell_ms / 2);
        proved && first && rested && self.slot < accepts
    }

    /// Whether `region` comes before `current` when nothing is held against it.
    fn would_be_first(&self, region: usize, current: usize) -> bool {
        let mut both = [region, current];
        both.sort_unstable();
        both[self.best_of(&both)] == region
    }
}

#[cfg(test)]
mod tests;
