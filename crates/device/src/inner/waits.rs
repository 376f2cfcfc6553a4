//! Waiting for what commits bring: by blocking, on threads that may, and by futures.
//!
//! Every commit of this client rings the [`Bell`]. What others wrote is seen by looking again.

#[cfg(not(target_family = "wasm"))]
mod blocking;

use super::Inner;
use crate::error::{Error, code};
use crate::runtime::timeout;
use std::sync::Condvar;
use std::sync::atomic::Ordering;
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
        let runtime = &*self.options.runtime;
        let until = runtime.now() + most;
        let mut rung = self.settled.rung.subscribe();
        loop {
            // Before the look: what changes after it is heard.
            rung.mark_unchanged();
            if self.is_settled()? {
                return Ok(());
            }
            let left = until.saturating_sub(runtime.now());
            if left.is_zero() {
                return Err(unsettled());
            }
            // In time or not: look again.
            let _ = timeout(runtime, left.min(LOOK_EVERY), rung.changed()).await;
        }
    }

    fn is_settled(&self) -> Result<bool, Error> {
        if self.taking_in.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.lock()?.as_mut().ok_or_else(Error::closed)?.is_settled()
    }

    /// The engine says that it does nothing more.
    pub fn engine_ended(&self) {
        self.engine_ended.send_replace(true);
    }

    /// Until the engine has stopped.
    pub async fn until_engine_ended(&self) {
        // An error: nobody can change it any more.
        let _ = self.engine_ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn unsettled() -> Error {
    let message = "The client did not settle in time: writes wait in the outbox, or \
                   subscriptions are not complete. Look at outbox_status, progress \
                   and connection.";
    Error::new(code::UNSETTLED, message)
}
