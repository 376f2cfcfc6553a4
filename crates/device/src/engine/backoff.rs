//! How long to wait when regions fail.

use crate::options::Network;
use std::time::Duration;

/// Doubles from round to round; none before the first round is over.
#[derive(Debug)]
pub(super) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    failures: usize,
}

/// Doublings after which the wait no longer grows, whatever its bounds are.
const DOUBLINGS_MAX: u32 = 16;

/// The longest wait for what somebody has to mend, in milliseconds.
const LASTING_MS_MAX: u64 = 300_000;

impl Backoff {
    pub fn new(network: &Network) -> Self {
        let max_ms = network.backoff_ms_max.max(1);
        Self { min_ms: network.backoff_ms_min.clamp(1, max_ms), max_ms, failures: 0 }
    }

    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Another region failed: none while there are untried ones in this round, else between half
    /// of the round's wait and the whole, as `random` says.
    pub fn after_failure(&mut self, regions: usize, random: u64) -> Duration {
        self.failures += 1;
        let rounds = self.failures / regions.max(1);
        if !self.failures.is_multiple_of(regions.max(1)) {
            return Duration::ZERO;
        }
        let doublings = u32::try_from(rounds - 1).unwrap_or(u32::MAX).min(DOUBLINGS_MAX);
        let whole = self.min_ms.saturating_mul(1 << doublings).min(self.max_ms);
        let half = whole / 2;
        Duration::from_millis(whole - random % (half + 1))
    }

    /// All regions failed together.
    pub fn after_round(&mut self, regions: usize, random: u64) -> Duration {
        let regions = regions.max(1);
        self.failures = self.failures / regions * regions + regions - 1;
        self.after_failure(regions, random)
    }

    /// All regions failed in a way that lasts: the waits grow on, to [`LASTING_MS_MAX`]. A new network
    /// or the app's wish ends them, as any other.
    pub fn after_refusals(&mut self, regions: usize, random: u64) -> Duration {
        let max_ms = self.max_ms;
        self.max_ms = max_ms.max(LASTING_MS_MAX);
        let wait = self.after_round(regions, random);
        self.max_ms = max_ms;
        wait
    }

    /// A wait that a region asked for, as far as this device follows it.
    pub fn capped(&self, wait_ms: u64) -> u64 {
        wait_ms.min(self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_comes_after_each_round_and_grows_to_its_bound() {
        let network = Network { backoff_ms_min: 100, backoff_ms_max: 500, ..Network::default() };
        let mut backoff = Backoff::new(&network);
        let waits: Vec<u128> = (0..9).map(|_| backoff.after_failure(2, 0).as_millis()).collect();
        assert_eq!(waits, [0, 100, 0, 200, 0, 400, 0, 500, 0]);
        let waits: Vec<u128> = (0..9).map(|_| backoff.after_refusals(2, 0).as_millis()).collect();
        assert_eq!(waits, [1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800, 300_000]);
        assert_eq!(backoff.after_round(2, 0).as_millis(), 500, "no other wait is longer for it");
        for random in [0, 1, 50, 51, u64::MAX] {
            backoff.reset();
            let wait_ms = backoff.after_failure(1, random).as_millis();
            assert!((50..=100).contains(&wait_ms), "{wait_ms}");
        }
    }
}
