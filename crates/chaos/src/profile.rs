//! What a stretch of network is like.

use std::time::Duration;

/// Delay and width of a stretch of network, alike at all times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// How much later each byte arrives, one way.
    pub delay: Duration,
    /// How much later still, at most: drawn anew for what is read at one moment. Bytes keep their
    /// order.
    pub jitter: Duration,
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
    pub const PERFECT: Self =
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, up: None, down: None };

    /// A phone on 3G, as browsers' developer tools throttle it: 1.6 Mbit/s down, 750 kbit/s up, a
    /// round trip of 300 ms.
    pub const THREE_G: Self =
        Self { up: kbit(750), down: kbit(1_600), ..Self::delayed(Duration::from_millis(150)) };

    /// Delay alone.
    pub const fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::PERFECT }
    }
}
