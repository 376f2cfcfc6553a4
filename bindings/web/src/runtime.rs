//! The one thread of a worker, with the browser's timers.
//!
//! What JavaScript hands out cannot leave its thread, and says so in its type. So a timer waits in
//! a task of its own and reports through a channel, which may be held anywhere.

use js_sys::{Function, Promise, global};
use landfall_device::runtime::{Running, Runtime, Sleep, Task};
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::DedicatedWorkerGlobalScope;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(done: &Function, ms: f64) -> f64;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: f64);
}

/// The longest time that a browser's timer takes, 24.8 days: a longer one is over at once.
const TIMER_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// A worker's event loop.
#[derive(Debug, Clone, Copy)]
pub struct EventLoop;

impl Runtime for EventLoop {
    fn now(&self) -> Duration {
        let worker: DedicatedWorkerGlobalScope = global().unchecked_into();
        let ms = worker.performance().map_or_else(js_sys::Date::now, |clock| clock.now());
        Duration::from_secs_f64(ms / 1_000.0)
    }

    fn sleep(&self, time: Duration) -> Sleep {
        let (mut done, passed) = oneshot::channel();
        spawn_local(async move {
            tokio::select! {
                () = pass(time) => {
                    // Given up a moment ago.
                    let _ = done.send(());
                }
                () = done.closed() => {}
            }
        });
        Box::pin(async move {
            // An error: the worker is at its end.
            let _ = passed.await;
        })
    }

    fn spawn(&self, _: &str, task: Task) -> io::Result<Running> {
        spawn_local(task);
        Ok(Running::detached())
    }
}

/// One timer after the other, until the time is over.
async fn pass(time: Duration) {
    let mut left = time;
    loop {
        let next = left.min(TIMER_MAX);
        Timer::new(next).passed().await;
        left -= next;
        if left.is_zero() {
            return;
        }
    }
}

/// A timer of the browser's, ended when dropped. It takes at most [`TIMER_MAX`].
struct Timer {
    id: f64,
    promise: JsFuture,
}

impl Timer {
    fn new(time: Duration) -> Self {
        let mut id = 0.0;
        let promise = Promise::new(&mut |resolve, _| {
            id = set_timeout(&resolve, time.as_secs_f64() * 1_000.0);
        });
        Self { id, promise: promise.into() }
    }

    async fn passed(&mut self) {
        // A promise that nobody rejects.
        let _ = (&mut self.promise).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(self.id);
    }
}
