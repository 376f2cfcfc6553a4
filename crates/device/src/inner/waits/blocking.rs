//! Waits that hold up the calling thread.

use super::{Bell, LOOK_EVERY, undrained, unsettled};
use crate::error::Error;
use crate::inner::Inner;
use crate::inner::core::{Core, Lane};
use crate::slot::{Slot, SyncLimits, SyncReport};
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::text::Version;
use landfall_sync::device::node::Output;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a slot's bytes are counted.
const COUNT_EVERY: Duration = Duration::from_millis(20);

impl Bell {
    /// Let go of the lock until the bell is rung, at most this long.
    fn wait<'l, T>(&self, guard: MutexGuard<'l, T>, most: Duration) -> MutexGuard<'l, T> {
        let wait = self.blocked.wait_timeout(guard, most.min(LOOK_EVERY));
        wait.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Inner {
    /// See `Node::text_changes`: waits until the device has all of `until`, at most this long.
    pub fn text_changes_within(
        &self,
        key: &EntityKey,
        field: FieldId,
        since: &Version,
        until: &Version,
        most: Duration,
    ) -> Result<Option<Vec<u8>>, Error> {
        let end = Instant::now().checked_add(most);
        let mut guard = self.lock()?;
        loop {
            let core = guard.as_mut().ok_or_else(Error::closed)?;
            let changes = self.run_locked(core, Lane::Session, |node, t, _| {
                Ok((node.text_changes(t, key, field, since, Some(until))?, Output::default()))
            })?;
            let left = left_until(end);
            if changes.is_some() || left.is_zero() {
                return Ok(changes);
            }
            guard = self.settled.wait(guard, left);
        }
    }

    /// Wait until nothing is left to do with the regions.
    pub fn settle(&self, timeout: Duration) -> Result<(), Error> {
        if self.wait_for(timeout, |core| self.all_settled(core, 0))? {
            Ok(())
        } else {
            Err(unsettled())
        }
    }

    /// Wait until the outbox is empty.
    pub fn drain(&self, timeout: Duration) -> Result<(), Error> {
        if self.wait_for(timeout, Core::is_drained)? { Ok(()) } else { Err(undrained()) }
    }

    /// Wait until all is done or the slot is over.
    pub fn sync_until(&self, limits: SyncLimits, slot: &Slot) -> Result<SyncReport, Error> {
        let until = Instant::now().checked_add(limits.deadline);
        let mut done = false;
        while !done && !slot.is_over(limits) {
            let left = left_until(until);
            if left.is_zero() {
                break;
            }
            let settled = |core: &mut Core| self.all_settled(core, limits.priority_min);
            done = self.wait_for(left.min(COUNT_EVERY), settled)?;
        }
        slot.report(done)
    }

    /// True once `done` says so; false if it does not in time.
    fn wait_for(
        &self,
        timeout: Duration,
        mut done: impl FnMut(&mut Core) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let until = Instant::now().checked_add(timeout);
        let mut guard = self.lock()?;
        loop {
            let core = guard.as_mut().ok_or_else(Error::closed)?;
            if done(core)? {
                return Ok(true);
            }
            let left = left_until(until);
            if left.is_zero() {
                return Ok(false);
            }
            guard = self.settled.wait(guard, left);
        }
    }
}

/// The time that is left of a wait. `None` is a moment beyond all that a clock can name: a wait
/// that is as long as one likes.
fn left_until(end: Option<Instant>) -> Duration {
    end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
}
