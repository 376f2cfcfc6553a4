//! Syncing for a while in the background: what a slot may take, and what it did.

use landfall_device as device;
use std::time::Duration;

/// How long a slot in the background may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SyncLimits {
    /// The slot is over after so many milliseconds.
    pub deadline_ms: u64,
    /// And after about so many bytes, both ways together.
    #[uniffi(default = None)]
    pub bytes_max: Option<u64>,
    /// Of the subscriptions only those of at least this priority; own writes always.
    #[uniffi(default = 0)]
    pub priority_min: u8,
}

impl From<SyncLimits> for device::SyncLimits {
    fn from(limits: SyncLimits) -> Self {
        let SyncLimits { deadline_ms, bytes_max, priority_min } = limits;
        Self { deadline: Duration::from_millis(deadline_ms), bytes_max, priority_min }
    }
}

/// What a slot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SyncReport {
    /// Nothing is left to do of what the slot was for.
    pub done: bool,
    /// Writes that are not yet as safe as was asked for.
    pub unsent: u64,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
}

impl From<device::SyncReport> for SyncReport {
    fn from(report: device::SyncReport) -> Self {
        let device::SyncReport { done, unsent, bytes_up, bytes_down } = report;
        Self { done, unsent, bytes_up, bytes_down }
    }
}
