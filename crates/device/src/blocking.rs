//! Waiting on threads that may block: for apps without an async runtime. Not in a browser, whose
//! one thread must never wait; there the same waits are futures.

use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Events};
use crate::live::{Watch, WatchUpdate};
use crate::slot::{Slot, SyncLimits, SyncReport};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

impl Client {
    /// Wait until the outbox is empty and every subscription was heard to its end in the open
    /// session. Fails with `LF2106` if that takes too long, as it does offline.
    pub fn settle(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.settle(timeout)
    }

    /// Wait until every write is as safe as was asked for. Fails with `LF2109` if that takes too
    /// long, as it does offline.
    pub fn drain(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.drain(timeout)
    }

    /// Sync for a while, in a slot that the system gives to an app in the background: until all is
    /// done, the time is over, or so many bytes went either way. Writes go first, then
    /// subscriptions by their priority. The slot may end at any moment, also by the process being
    /// killed; the next one goes on where this one stopped.
    ///
    /// The client is offline again afterwards, unless the app went online meanwhile or another slot
    /// is open. To go offline ends all slots.
    pub fn sync_once(&self, limits: SyncLimits) -> Result<SyncReport, Error> {
        let slot = Slot::open(self, limits);
        self.inner.sync_until(limits, &slot)
    }
}

impl Events {
    /// The next event for callers without a runtime; `None` if none comes in time.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Event> {
        block_on(self.next(), timeout).flatten()
    }
}

impl Watch {
    /// The next update for callers without a runtime; `None` if none comes in time.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Result<WatchUpdate, Error>> {
        block_on(self.next(), timeout).flatten()
    }
}

/// Wait for a future on this thread, without a runtime; `None` if it takes too long.
pub(crate) fn block_on<T>(future: impl Future<Output = T>, timeout: Duration) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = Instant::now().checked_add(timeout);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        match until.map(|u| u.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return None,
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}
