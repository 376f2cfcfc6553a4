//! Waiting for the regions: until all is done, until the outbox is empty, or for a slot.

use super::{Inner, LOOK_EVERY};
use crate::error::{Error, code};
use crate::inner::core::Core;
use landfall_sync::device::store::Store;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How often a slot's bytes are counted.
const COUNT_EVERY: Duration = Duration::from_millis(20);

/// How long a slot may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncLimits {
    /// The slot is over after this time.
    pub deadline: Duration,
    /// And after about so many bytes, both ways together.
    pub bytes_max: Option<u64>,
}

/// What a slot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncReport {
    /// Nothing is left to do.
    pub done: bool,
    /// Writes that are not yet as safe as was asked for.
    pub unsent: u64,
    /// Bytes sent and received.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
}

impl Inner {
    /// Wait until nothing is left to do with the regions.
    pub fn settle(&self, timeout: Duration) -> Result<(), Error> {
        if self.wait_for(timeout, Core::is_settled)? {
            return Ok(());
        }
        let message = "The client did not settle in time: writes wait in the outbox, or \
                       subscriptions are not complete. Look at outbox_status, progress \
                       and connection.";
        Err(Error::new(code::UNSETTLED, message))
    }

    /// Wait until the outbox is empty.
    pub fn drain(&self, timeout: Duration) -> Result<(), Error> {
        let empty = |core: &mut Core| {
            let left = core.database.transact(false, |t| t.outbox(0, 1))?;
            Ok(left.is_empty())
        };
        if self.wait_for(timeout, empty)? {
            return Ok(());
        }
        let message = "Writes are still unsent. Wait longer, keep them, or discard them.";
        Err(Error::new(code::UNSENT, message))
    }

    /// Wait until all is done or the slot is over.
    pub fn sync_until(&self, limits: SyncLimits) -> Result<SyncReport, Error> {
        let (up, down) = (self.traffic.up(), self.traffic.down());
        let moved = || (self.traffic.up() - up, self.traffic.down() - down);
        let until = Instant::now() + limits.deadline;
        let spent = || limits.bytes_max.is_some_and(|most| moved().0 + moved().1 >= most);
        let mut done = false;
        while !done && !spent() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            done = self.wait_for(left.min(COUNT_EVERY), Core::is_settled)?;
        }
        let status = self.outbox_status()?;
        let (bytes_up, bytes_down) = moved();
        Ok(SyncReport { done, unsent: status.pending + status.accepted, bytes_up, bytes_down })
    }

    /// True once `done` says so; false if it does not in time.
    fn wait_for(
        &self,
        timeout: Duration,
        mut done: impl FnMut(&mut Core) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let until = Instant::now() + timeout;
        let mut guard = self.lock()?;
        loop {
            let core = guard.as_mut().ok_or_else(Error::closed)?;
            if done(core)? {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let wait = self.settled.wait_timeout(guard, left.min(LOOK_EVERY));
            guard = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
