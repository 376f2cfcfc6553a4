//! A thread for each piece of work, with the timers and sockets of tokio on it.

use super::{Running, Runtime, Sleep, Task};
use crate::blocking::block_on;
use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// The runtime of production. Work of one name never waits for that of another.
#[derive(Debug)]
pub struct Threads {
    began: Instant,
}

impl Threads {
    /// A runtime whose time begins now.
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for Threads {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, time: Duration) -> Sleep {
        // Made at the first poll: only then is it known whether this thread has timers.
        Box::pin(async move {
            if Handle::try_current().is_ok() {
                return tokio::time::sleep(time).await;
            }
            // Polled by another executor, such as that of an app in another language.
            match timers() {
                Some(timers) => {
                    let sleep = {
                        let _entered = timers.enter();
                        tokio::time::sleep(time)
                    };
                    sleep.await;
                }
                None => thread::sleep(time),
            }
        })
    }

    fn spawn(&self, name: &str, task: Task) -> io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        on_thread(name, move || runtime.block_on(task))
    }

    /// Without tokio around it: a listener may have a runtime of its own, and block on that.
    fn spawn_listeners(&self, name: &str, task: Task) -> io::Result<Running> {
        on_thread(name, move || {
            block_on(task, Duration::MAX);
        })
    }
}

/// The timers of futures that are polled outside of tokio: one thread of the process, from the
/// first such wait on. `None` where no thread can be had.
fn timers() -> Option<&'static Handle> {
    static TIMERS: OnceLock<Option<Handle>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
        let handle = runtime.handle().clone();
        let wait = move || runtime.block_on(std::future::pending::<()>());
        thread::Builder::new().name("landfall-timers".to_owned()).spawn(wait).ok()?;
        Some(handle)
    };
    TIMERS.get_or_init(start).as_ref()
}

fn on_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Running> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(Running::joined_by(move || {
        if thread.thread().id() != thread::current().id() {
            // A panic in it was told where it happened.
            let _ = thread.join();
        }
    }))
}
