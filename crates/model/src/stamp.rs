//! The hybrid logical clock and the stamps it gives.
//!
//! A stamp decides which register write wins, and nothing else: not identity (dots), not order of
//! delivery (positions), not durability. It is fixed by the writing device and never rewritten.

use crate::id::DeviceId;
use minicbor::{Decode, Encode};
use std::fmt;

/// 48 bits of milliseconds since 1970 (UTC), then a 16-bit counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Hlc(#[n(0)] pub u64);

impl Hlc {
    pub const ZERO: Self = Self(0);

    /// The first stamp of a millisecond. Times before 1970 count as 0; times past the year 10889
    /// as the last representable millisecond.
    pub fn from_millis(ms: i64) -> Self {
        Self((ms.clamp(0, (1 << 48) - 1) as u64) << 16)
    }

    pub fn millis(self) -> i64 {
        (self.0 >> 16) as i64
    }

    /// The next stamp; a full counter moves into the next millisecond.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.0 & 0xffff)
    }
}

/// A register write's rank: the clock, then the device id. Two ops never share one, because a
/// device's clock never gives the same reading twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Encode, Decode)]
pub struct Stamp {
    #[n(0)]
    pub hlc: Hlc,
    #[n(1)]
    pub device: DeviceId,
}

/// Gives stamps that never go back: above every stamp given and every stamp observed.
///
/// The caller keeps `last` durable in the transaction that uses the stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    pub last: Hlc,
}

impl Clock {
    /// A stamp for now, in estimated server time.
    pub fn tick(&mut self, now_ms: i64) -> Hlc {
        self.last = self.last.next().max(Hlc::from_millis(now_ms));
        self.last
    }

    /// Take note of a stamp that was read, so that what is written next wins over it.
    pub fn observe(&mut self, seen: Hlc) {
        self.last = self.last.max(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_moves_on_when_time_stands_or_goes_back() {
        let mut c = Clock::default();
        let a = c.tick(1_000);
        let b = c.tick(1_000);
        let d = c.tick(10);
        assert!(a < b && b < d);
        assert_eq!(d.millis(), 1_000);
    }

    #[test]
    fn what_was_read_is_below_what_is_written_next() {
        let mut c = Clock::default();
        c.observe(Hlc::from_millis(5_000));
        assert!(c.tick(10) > Hlc::from_millis(5_000));
    }
}
