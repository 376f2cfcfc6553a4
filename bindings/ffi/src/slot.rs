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
}

impl From<SyncLimits> for device::SyncLimits {
    fn from(limits: SyncLimits) -> Self {
        let SyncLimits { deadline_ms, bytes_max } = limits;
        Self { deadline: Duration::from_millis(deadline_ms), bytes_max }
    }
}

/// What a slot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct SyncReport {
    /// Nothing is left to do.
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
