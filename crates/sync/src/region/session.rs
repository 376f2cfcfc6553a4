//! One device's conversation with the region.
//!
//! A session is memory: a device that reconnects says again what it subscribes and what it waits
//! for. Its subscriptions are each in one of two states. A *pass* walks what changed since a
//! vector, chunk by chunk as the device's credit allows; when it ends and nothing has changed
//! since its start, the subscription is *live* and takes part in the fan-out of every commit. A
//! live subscription without credit falls back to a pass from where it stood.

use super::access::Author;
use super::watch::Watch;
use crate::limits;
use landfall_model::id::{DeviceId, EntityKey, Scope};
use landfall_model::vector::{Origin, Vector};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// A device's connection, as numbered by the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

#[derive(Debug)]
pub(super) struct Session {
    pub author: Author,
    /// The ids of Hello, in its order.
    pub devices: Vec<DeviceId>,
    pub subs: BTreeMap<u32, Sub>,
    /// Delta bytes that may still be sent; below zero after a frame larger than was left.
    pub credit: i64,
    /// Rows that it asked for by name, to be answered when there is credit.
    pub questions: VecDeque<Question>,
    /// It is among those that may have rows to be sent.
    pub sends: bool,
    /// Bytes of rows sent in passes and refetches.
    pub told: usize,
    /// Accepted ops that not enough regions hold yet.
    pub watch: Watch,
    /// Where the next look for confirmed records that can be forgotten begins.
    pub forget_from: u64,
    /// A device id of this session greeted again in another one.
    pub superseded: bool,
}

/// Rows asked for by name.
#[derive(Debug)]
pub(super) struct Question {
    pub sub: u32,
    pub keys: Vec<EntityKey>,
}

#[derive(Debug)]
pub(super) struct Sub {
    pub scope: Scope,
    /// What the device had consumed when it subscribed, or when it last completed a covering pass.
    pub cursor: Vector,
    pub state: State,
    /// Higher ones are served first.
    pub priority: u32,
    /// Passes leave out what is older; 0 means nothing. What changes live is sent whatever its age:
    /// one encoding serves all, and the device knows what it keeps.
    pub keep_ms: u64,
}

#[derive(Debug)]
pub(super) enum State {
    Pass(Pass),
    /// Told of everything up to the region's present vector. Not `covering`: the device's cursor
    /// is still above what the region holds somewhere, and waits.
    Live {
        covering: bool,
    },
}

#[derive(Debug)]
pub(super) struct Pass {
    pub from: Vector,
    /// The region's vector when the pass began (or the minimum, where it began elsewhere).
    pub start: Vector,
    pub after: Option<EntityKey>,
    pub covering: bool,
    /// The device holds nothing of the scope, so what is gone is left out.
    pub fresh: bool,
    pub rows: u64,
    pub total: u64,
}

impl Session {
    pub fn new(author: Author, devices: Vec<DeviceId>, credit: u64) -> Self {
        let credit = credit.min(limits::CREDIT_BYTES) as i64;
        let (subs, watch) = (BTreeMap::new(), Watch::default());
        Self {
            author,
            devices,
            subs,
            credit,
            questions: VecDeque::new(),
            sends: false,
            told: 0,
            watch,
            forget_from: 0,
            superseded: false,
        }
    }

    /// The subscription whose pass goes on next: of the highest priority, the lowest number.
    pub fn next_pass(&self) -> Option<u32> {
        let passes = self.subs.iter().filter(|(_, sub)| matches!(sub.state, State::Pass(_)));
        passes.min_by_key(|(number, sub)| (Reverse(sub.priority), **number)).map(|(n, _)| *n)
    }

    /// There is credit, and something to send for it.
    pub fn may_send(&self) -> bool {
        self.credit > 0 && (!self.questions.is_empty() || self.next_pass().is_some())
    }

    /// Logs that the cursors of its subscriptions name, in all.
    pub fn cursor_entries(&self) -> usize {
        self.subs.values().map(|sub| sub.cursor.len()).sum()
    }

    /// Bytes of rows at which the next chunk is closed.
    pub fn chunk_bytes(&self) -> usize {
        self.told.clamp(limits::CHUNK_BYTES_FIRST, limits::CHUNK_BYTES)
    }

    /// A chunk of rows of this size leaves.
    pub fn tell(&mut self, bytes: usize) {
        self.told = self.told.saturating_add(bytes);
        self.credit -= bytes.max(1) as i64;
    }

    pub fn add_credit(&mut self, bytes: u64) {
        let most = limits::CREDIT_BYTES as i64;
        self.credit = self.credit.saturating_add_unsigned(bytes).min(most);
    }
}

impl Sub {
    /// Bring all that it goes by down to what counts of these logs.
    pub fn clip(&mut self, cuts: &BTreeMap<Origin, u64>) {
        for (origin, last) in cuts {
            self.cursor.clip(*origin, *last);
            if let State::Pass(pass) = &mut self.state {
                pass.from.clip(*origin, *last);
                pass.start.clip(*origin, *last);
            }
        }
    }
}

impl Pass {
    pub fn new(from: Vector, start: Vector, covering: bool, total: u64) -> Self {
        Self { from, start, after: None, covering, fresh: false, rows: 0, total }
    }
}
