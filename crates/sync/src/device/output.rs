//! What a call asks of its driver.

use super::store::{OpState, Outcome};
use crate::wire::DeviceFrame;
use landfall_model::id::{Dot, EntityKey, RegionId, Scope};

/// What a call asks its driver to do once the transaction is committed.
#[derive(Debug, Default)]
pub struct Output {
    /// To send, in order, on the current connection.
    pub frames: Vec<DeviceFrame>,
    /// The commit must have reached the disk before the frames leave.
    pub durable: bool,
    /// For observers: live queries, fate streams, progress.
    pub events: Vec<Event>,
    /// The session cannot go on: close the connection; reconnect after this many milliseconds.
    pub close: Option<Close>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub code: String,
    pub message: String,
    pub retry_after_ms: u64,
}

/// The file has another device id from now on.
pub(super) const RENEWED: &str = "device_renewed";

/// The file has writes of another file, under that one's ids.
pub(super) const RESCUED: &str = "rescued";

impl Close {
    /// Nothing is wrong with the region: this file has ids that its greeting did not name, and
    /// greets again.
    pub fn is_own(&self) -> bool {
        [RENEWED, RESCUED].contains(&self.code.as_str())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The visible row changed (or went).
    Changed {
        key: EntityKey,
    },
    Fate {
        dot: Dot,
        key: EntityKey,
        state: OpState,
    },
    Outcome {
        dot: Dot,
        key: EntityKey,
        outcome: Outcome,
    },
    /// A scope's pass moved: rows so far and in all, and whether it is complete.
    Progress {
        scope: Scope,
        rows: u64,
        total: u64,
        complete: bool,
    },
    Denied {
        scope: Scope,
        code: String,
    },
    /// What the account may subscribe, as the region knows: names, or prefixes that end in `*`.
    Granted {
        /// Home scopes, which it may also write.
        scopes: Vec<String>,
        audiences: Vec<String>,
    },
    /// The session is open with this region.
    Online {
        region: RegionId,
    },
    /// A newer directory of regions, as it is signed. Nobody has looked at it yet.
    Directory {
        jws: String,
    },
    /// The region asks to move elsewhere within this many milliseconds.
    Drain {
        within_ms: u64,
    },
}
