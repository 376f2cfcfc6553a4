//! What a stretch of network is like.

use std::time::Duration;

/// Delay and width of a stretch of network, alike at all times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// How much later each byte arrives, one way.
    pub delay: Duration,
    /// Bytes a second from the side that connected; `None`: as many as come.
    pub up: Option<u64>,
    /// Bytes a second to the side that connected; `None`: as many as come.
    pub down: Option<u64>,
}

/// Bytes a second of so many thousand bits a second.
const fn kbit(kilobits: u64) -> Option<u64> {
    Some(kilobits * 1_000 / 8)
}

impl Profile {
    /// Neither delay nor bound.
    pub const PERFECT: Self = Self { delay: Duration::ZERO, up: None, down: None };

    /// A phone on 3G, as browsers' developer tools throttle it: 1.6 Mbit/s down, 750 kbit/s up, a
    /// round trip of 300 ms.
    pub const THREE_G: Self =
        Self { delay: Duration::from_millis(150), up: kbit(750), down: kbit(1_600) };

    /// A phone at the edge of a cell: 400 kbit/s either way, a round trip of 2 s.
    pub const SLOW_3G: Self =
        Self { delay: Duration::from_millis(1_000), up: kbit(400), down: kbit(400) };

    /// A phone on 4G: 9 Mbit/s either way, a round trip of 170 ms.
    pub const FOUR_G: Self =
        Self { delay: Duration::from_millis(85), up: kbit(9_000), down: kbit(9_000) };

    /// Delay alone.
    pub const fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::PERFECT }
    }
}
