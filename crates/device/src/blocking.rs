//! Waiting on threads that may block: for apps without an async runtime. Not in a browser, whose
//! one thread must never wait; there the same waits are futures.

use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Events};
use crate::live::{Watch, WatchUpdate};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a slot in the background may be.
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
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
}

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
    /// The client is offline again afterwards, if it was before.
    pub fn sync_once(&self, limits: SyncLimits) -> Result<SyncReport, Error> {
        let was_online = self.inner.goal.borrow().online;
        self.set_online(true);
        let report = self.inner.sync_until(limits);
        if !was_online {
            self.set_online(false);
        }
        report
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
