//! Slots: a while of syncing that the system gives to an app in the background.
//!
//! Own writes go first: no rows are asked for before regions have answered all that could leave. Then
//! come subscriptions in the order of their priority. So what a short slot gets done is what matters
//! most.
//!
//! A slot leaves nothing to tidy up. It may end at any moment, by its limits, by the caller giving
//! up the wait, or by the process being killed; the next one goes on where it stopped.

use crate::client::Client;
use crate::error::Error;
use crate::inner::Inner;
use std::sync::Arc;
use std::time::Duration;

/// How long a slot in the background may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncLimits {
    /// The slot is over after this time.
    pub deadline: Duration,
    /// And after about so many bytes, both ways together.
    pub bytes_max: Option<u64>,
    /// Of the subscriptions only those of at least this priority: the rows of others are not asked
    /// for, and not waited for. Own writes leave whatever it is. 0: all of them. A client that is
    /// online anyway goes on syncing everything, and only the wait is shorter.
    pub priority_min: u8,
}

/// What a slot did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A slot that is open. When it is dropped, the client is offline again, unless another slot is open
/// or the app wants the network by now.
pub(crate) struct Slot {
    inner: Arc<Inner>,
    opened: u32,
    up: u64,
    down: u64,
}

impl Slot {
    pub fn open(client: &Client, limits: SyncLimits) -> Self {
        let inner = client.inner.clone();
        let (up, down) = (inner.traffic.up(), inner.traffic.down());
        let opened = inner.open_slot(limits.priority_min);
        Self { inner, opened, up, down }
    }

    /// True once as many bytes went as may, or the app went offline.
    pub fn is_over(&self, limits: SyncLimits) -> bool {
        let (up, down) = self.moved();
        self.inner.has_ended(self.opened) || limits.bytes_max.is_some_and(|most| up + down >= most)
    }

    pub fn report(&self, done: bool) -> Result<SyncReport, Error> {
        let status = self.inner.outbox_status()?;
        let (bytes_up, bytes_down) = self.moved();
        Ok(SyncReport { done, unsent: status.pending + status.accepted, bytes_up, bytes_down })
    }

    fn moved(&self) -> (u64, u64) {
        (self.inner.traffic.up() - self.up, self.inner.traffic.down() - self.down)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.inner.close_slot(self.opened);
    }
}

impl Client {
    /// Like `sync_once`, without blocking. To give up the wait ends the slot.
    pub async fn sync_once_async(&self, limits: SyncLimits) -> Result<SyncReport, Error> {
        let slot = Slot::open(self, limits);
        let over = || slot.is_over(limits);
        let done = self.inner.settled_within(limits.deadline, limits.priority_min, over).await?;
        slot.report(done)
    }
}
