//! The browser's wall clock.

use landfall_device::Clock;
use std::sync::atomic::{AtomicI64, Ordering};

/// `Date.now()`, which it does not follow backwards.
#[derive(Debug, Default)]
pub struct BrowserClock {
    last_ms: AtomicI64,
}

impl Clock for BrowserClock {
    fn now_ms(&self) -> i64 {
        let now_ms = js_sys::Date::now() as i64;
        now_ms.max(self.last_ms.fetch_max(now_ms, Ordering::Relaxed))
    }
}
