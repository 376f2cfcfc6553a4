//! What the engine and the live queries run on: a clock that only goes forward, timers, and a
//! place for work in the background.
//!
//! On a phone or a server that is a thread for each piece of work (`Threads`). A browser has one
//! thread and its own timers; a test has a time that it moves by hand. Both bring a [`Runtime`]
//! with them. Work handed to one never blocks, except in SQLite: it waits only for the runtime's
//! timers, for the transport and token provider that the app passed in, and for queues in memory,
//! so whatever polls futures can carry it.

#[cfg(not(target_family = "wasm"))]
mod threads;

#[cfg(not(target_family = "wasm"))]
pub use threads::Threads;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A timer under way. Dropping it gives it up.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work for the background.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Time that passes, and work in the background.
pub trait Runtime: Send + Sync + 'static {
    /// The time since a moment of the runtime's choice. It never goes back.
    fn now(&self) -> Duration;

    /// Done when this much time has passed, and not before; may be called from anywhere, and is
    /// polled within [`Runtime::spawn`]ed work. The time counts from the first poll at the latest.
    fn sleep(&self, time: Duration) -> Sleep;

    /// Carry `task` to its end while the caller goes on. `name` is for people: `landfall-sync`.
    fn spawn(&self, name: &str, task: Task) -> io::Result<Running>;

    /// Like [`Runtime::spawn`], for work that calls listeners of the app and uses no timers. A
    /// runtime overrides it where listeners may do more, such as block, outside of its own.
    fn spawn_listeners(&self, name: &str, task: Task) -> io::Result<Running> {
        self.spawn(name, task)
    }
}

/// Work in the background. Dropping this lets it run on.
pub struct Running {
    join: Option<Box<dyn FnOnce() + Send>>,
}

impl Running {
    /// Work whose end a caller can wait for by blocking in `join`, which returns at once where the
    /// caller is that work itself.
    pub fn joined_by(join: impl FnOnce() + Send + 'static) -> Self {
        Self { join: Some(Box::new(join)) }
    }

    /// Work on the only thread that there is: nobody can block until it ends.
    pub fn detached() -> Self {
        Self { join: None }
    }

    /// Block until the work has ended, where that is possible.
    pub(crate) fn join(self) {
        if let Some(join) = self.join {
            join();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("can_join", &self.join.is_some()).finish()
    }
}

/// What `future` comes to; `None` if it takes longer than `most`.
pub(crate) async fn timeout<T>(
    runtime: &dyn Runtime,
    most: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = runtime.sleep(most) => None,
    }
}

/// Let other work of the same thread go on.
pub(crate) async fn give_way() {
    let mut given = false;
    let once = |cx: &mut Context<'_>| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    };
    std::future::poll_fn(once).await;
}

/// Comes at once, and then again each time that the period has passed since it was last taken.
pub(crate) struct Ticks {
    runtime: Arc<dyn Runtime>,
    period: Duration,
    next: Option<Sleep>,
}

impl Ticks {
    pub fn new(runtime: Arc<dyn Runtime>, period: Duration) -> Self {
        Self { runtime, period, next: None }
    }

    /// The next one. Dropping the future loses none.
    pub async fn tick(&mut self) {
        if let Some(next) = &mut self.next {
            next.await;
        }
        self.next = Some(self.runtime.sleep(self.period));
    }
}
