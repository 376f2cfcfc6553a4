//! What may be synced now, as the user's network and battery are and as the app's policy says.
//!
//! Bytes over metered networks are counted by the day. The count is kept in the file when a session
//! ends; a kill forgets what its session carried.

use crate::options::{Conditions, OnMetered, Policy};
use landfall_sync::device::node::Extent;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Bytes that went over metered networks in one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Days since 1970, in UTC.
    day: i64,
    used: u64,
    /// The traffic up to which it has been counted.
    counted: u64,
}

impl Allowance {
    /// As it was kept: day and bytes.
    pub fn kept((day, used): (i64, u64)) -> Self {
        Self { day, used, counted: 0 }
    }

    /// As it is to be kept.
    pub fn keep(&self) -> (i64, u64) {
        (self.day, self.used)
    }

    /// Count what was carried since the last call. `traffic` is all that the client ever carried.
    pub fn count(&mut self, now_ms: i64, traffic: u64, conditions: Conditions) {
        let day = now_ms.div_euclid(DAY_MS);
        if day != self.day {
            (self.day, self.used) = (day, 0);
        }
        let carried = traffic.saturating_sub(self.counted);
        self.counted = traffic;
        if conditions.metered {
            self.used = self.used.saturating_add(carried);
        }
    }

    /// How much a session may carry; `None`: there is to be none.
    pub fn extent(&self, conditions: Conditions, policy: &Policy) -> Option<Extent> {
        if !conditions.metered {
            return Some(Extent::Whole);
        }
        let spent = policy.metered_bytes_a_day.is_some_and(|most| self.used >= most);
        match policy.on_metered {
            OnMetered::Nothing => None,
            OnMetered::Writes => Some(Extent::Pushes),
            OnMetered::All if spent => Some(Extent::Pushes),
            OnMetered::All => Some(Extent::Whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METERED: Conditions = Conditions { metered: true, low_power: false };

    #[test]
    fn a_day_has_its_bytes_and_writes_leave_beyond_them() {
        let policy = Policy { metered_bytes_a_day: Some(1_000), ..Policy::default() };
        let mut allowance = Allowance::default();
        let free = Conditions::default();
        allowance.count(5, 5_000, free);
        assert_eq!(allowance.extent(METERED, &policy), Some(Extent::Whole));
        allowance.count(6, 5_999, METERED);
        assert_eq!(allowance.extent(METERED, &policy), Some(Extent::Whole));
        allowance.count(7, 6_000, METERED);
        assert_eq!(allowance.extent(METERED, &policy), Some(Extent::Pushes));
        assert_eq!(allowance.extent(free, &policy), Some(Extent::Whole));
        let kept = Allowance::kept(allowance.keep());
        assert_eq!(kept.extent(METERED, &policy), Some(Extent::Pushes));
        allowance.count(DAY_MS, 6_100, METERED);
        assert_eq!(allowance.extent(METERED, &policy), Some(Extent::Whole));
    }

    #[test]
    fn the_policy_says_what_a_metered_network_carries() {
        let check = |on_metered: OnMetered, extent: Option<Extent>| {
            let policy = Policy { on_metered, ..Policy::default() };
            assert_eq!(Allowance::default().extent(METERED, &policy), extent);
            assert_eq!(
                Allowance::default().extent(Conditions::default(), &policy),
                Some(Extent::Whole)
            );
        };
        check(OnMetered::All, Some(Extent::Whole));
        check(OnMetered::Writes, Some(Extent::Pushes));
        check(OnMetered::Nothing, None);
    }
}
