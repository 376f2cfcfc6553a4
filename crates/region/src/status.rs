//! What a region tells people of itself: counters that only grow, and a picture of the last turn.
//!
//! The driver writes, everybody reads, and neither waits for the other longer than a copy takes.

use landfall_model::id::RegionId;
use landfall_model::vector::Vector;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts since the server's start.
#[derive(Debug, Default)]
pub struct Counters {
    pub sessions_opened: Count,
    /// Sessions and links that were closed because they did not take what they were sent.
    pub closed_slow: Count,
    /// Sessions that were not let in, or were closed for their rate.
    pub overloaded: Count,
    /// Frames of devices that carried ops.
    pub pushes: Count,
    /// Transactions of devices that were decided and their ops that were accepted, those that came
    /// again included.
    pub transactions: Count,
    pub ops: Count,
    /// Log entries that peers sent; one carries the ops of a transaction in one home scope.
    pub entries_from_peers: Count,
    /// Store transactions that were written to disk (one fsync each), and what they took.
    pub commits: Count,
    pub commit_us: Count,
    /// The store failed and was opened again.
    pub store_failures: Count,
    pub frames_in: Count,
    pub frames_out: Count,
    /// Frames that brought rows to devices, and the bodies that they carried: a body is read and
    /// encoded once per change of a scope, however many devices read it.
    pub deltas: Count,
    pub delta_bodies: Count,
}

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The page at `/v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub region: u16,
    pub name: String,
    pub incarnation: u64,
    /// The store is open and sessions are let in.
    pub ready: bool,
    pub draining: bool,
    pub uptime_ms: u64,
    pub sessions: usize,
    pub sessions_opened: u64,
    pub closed_slow: u64,
    pub overloaded: u64,
    pub pushes: u64,
    pub transactions: u64,
    /// From devices only.
    pub ops: u64,
    pub entries_from_peers: u64,
    /// From devices only.
    pub ops_per_second: f64,
    pub commits: u64,
    pub commit_us_mean: u64,
    pub store_failures: u64,
    pub frames_in: u64,
    pub frames_out: u64,
    pub deltas: u64,
    pub delta_bodies: u64,
    pub vector: Vec<LogHead>,
    pub peers: Vec<PeerStatus>,
    /// How often each kind of thing was reported that a person should hear of.
    pub reports: BTreeMap<String, u64>,
}

/// How far one log is held here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    pub region: u16,
    pub incarnation: u64,
    pub stream: u16,
    pub seq: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    pub region: u16,
    pub name: String,
    /// The link by which we ask it is up.
    pub connected: bool,
    /// Log entries that it has yet to take from us, as last heard.
    pub lag_entries: u64,
    /// Log entries that we have yet to take from it.
    pub behind_entries: u64,
}

/// What changes with a turn of the driver.
#[derive(Debug, Default, Clone)]
pub(crate) struct Picture {
    pub store_open: bool,
    pub incarnation: u64,
    pub sessions: usize,
    pub vector: Vector,
    pub peers: BTreeMap<RegionId, PeerPicture>,
    pub ops_per_second: f64,
    pub reports: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct PeerPicture {
    pub connected: bool,
    pub vector: Vector,
}

/// Counters and picture, shared by the driver and those who ask.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub counters: Counters,
    picture: Mutex<Picture>,
}

impl Board {
    /// The picture is replaced field by field and is sensible at each step, so a panic in between
    /// leaves nothing broken.
    pub fn update<T>(&self, change: impl FnOnce(&mut Picture) -> T) -> T {
        change(&mut self.picture.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn picture(&self) -> Picture {
        self.update(|p| p.clone())
    }
}

/// Log entries that `ahead` has and `behind` lacks.
pub(crate) fn entries_between(ahead: &Vector, behind: &Vector) -> u64 {
    ahead.iter().map(|(origin, seq)| seq.saturating_sub(behind.get(origin))).sum()
}

pub(crate) fn log_heads(vector: &Vector) -> Vec<LogHead> {
    let head = |(o, seq): (landfall_model::vector::Origin, u64)| LogHead {
        region: o.region.0,
        incarnation: o.incarnation,
        stream: o.stream.0,
        seq,
    };
    vector.iter().map(head).collect()
}
