//! Waiting for what commits bring: by blocking, on threads that may, and by futures.
//!
//! Every commit of this client rings the [`Bell`]. What others wrote is seen by looking again.

#[cfg(not(target_family = "wasm"))]
mod blocking;

use super::Inner;
use super::core::Core;
use crate::error::{Error, code};
use crate::runtime::timeout;
use std::sync::Condvar;
use std::time::Duration;
use tokio::sync::watch;

/// How often who waits for something looks again, even if nothing was told.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Rung when something changed that somebody may wait for.
#[derive(Debug)]
pub(super) struct Bell {
    blocked: Condvar,
    rung: watch::Sender<()>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { blocked: Condvar::new(), rung: watch::Sender::new(()) }
    }
}

impl Bell {
    pub fn notify_all(&self) {
        self.blocked.notify_all();
        self.rung.send_replace(());
    }
}

impl Inner {
    /// Wait until nothing is left to do with the regions, without blocking.
    pub async fn settle_async(&self, most: Duration) -> Result<(), Error> {
        if self.settled_within(most, 0, || false).await? { Ok(()) } else { Err(unsettled()) }
    }

    /// Wait until the outbox is empty, without blocking.
    pub async fn drain_async(&self, most: Duration) -> Result<(), Error> {
        let drained = self.until(most, || false, |core| core.is_drained()).await?;
        if drained { Ok(()) } else { Err(undrained()) }
    }

    /// True once nothing is left to do, of subscriptions of at least this priority; false if that
    /// takes too long or `give_up` says so.
    pub async fn settled_within(
        &self,
        most: Duration,
        priority_min: u8,
        give_up: impl Fn() -> bool,
    ) -> Result<bool, Error> {
        self.until(most, give_up, |core| self.all_settled(core, priority_min)).await
    }

    /// Nothing is left to do of what has at least this priority, on the account's file and on those
    /// beside it.
    fn all_settled(&self, core: &mut Core, priority_min: u8) -> Result<bool, Error> {
        Ok(core.is_settled(priority_min)? && self.shared_is_settled(priority_min)?)
    }

    async fn until(
        &self,
        most: Duration,
        give_up: impl Fn() -> bool,
        done: impl Fn(&mut Core) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let runtime = &*self.options.runtime;
        let until = runtime.now().saturating_add(most);
        let mut rung = self.settled.rung.subscribe();
        loop {
            // Before the look: what changes after it is heard.
            rung.mark_unchanged();
            if done(self.lock()?.as_mut().ok_or_else(Error::closed)?)? {
                return Ok(true);
            }
            let left = until.saturating_sub(runtime.now());
            if left.is_zero() || give_up() {
                return Ok(false);
            }
            // In time or not: look again.
            let _ = timeout(runtime, left.min(LOOK_EVERY), rung.changed()).await;
        }
    }

    /// The engine says that it does nothing more.
    pub fn engine_ended(&self) {
        self.engine_ended.send_replace(true);
    }

    /// Until the engines have stopped.
    pub async fn until_engine_ended(&self) {
        for inner in self.shared.iter().map(|file| &*file.inner).chain([self]) {
            // An error: nobody can change it any more.
            let _ = inner.engine_ended.subscribe().wait_for(|ended| *ended).await;
        }
    }
}

fn unsettled() -> Error {
    let message = "The client did not settle in time: writes wait in the outbox, or \
                   subscriptions are not complete. Look at outbox_status, progress \
                   and connection.";
    Error::new(code::UNSETTLED, message)
}

fn undrained() -> Error {
    let message = "Writes are still unsent. Wait longer, keep them, or discard them.";
    Error::new(code::UNSENT, message)
}
