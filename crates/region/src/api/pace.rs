//! How fast one session may be: a bucket of frames and one of bytes.
//!
//! They are not alike. A device that sends more frames than the limit is broken or hostile, and is
//! told so. One that sends more bytes has a full outbox and a fast line; it is read more slowly.

use crate::inputs::wire_error;
use crate::limits::OVERLOADED_RETRY_MS;
use crate::server::Limits;
use landfall_sync::wire;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub struct Pace {
    frames: Bucket,
    bytes: Bucket,
}

impl Pace {
    pub fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            frames: Bucket::new(limits.frames_per_second, limits.frames_burst, now),
            bytes: Bucket::new(limits.bytes_per_second, limits.bytes_burst, now),
        }
    }

    /// Account for a frame: how long to wait before the next is read, or that it was one too many.
    pub fn take(&mut self, bytes: usize, now: Instant) -> Result<Duration, wire::Error> {
        if !self.frames.take(1.0, now).is_zero() {
            let message = "too many frames per second; put more ops into each";
            return Err(wire_error("overloaded", message, OVERLOADED_RETRY_MS));
        }
        Ok(self.bytes.take(bytes as f64, now))
    }
}

/// Fills with `rate` per second up to `burst`; may be overdrawn.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { rate: rate.into(), burst: burst.into(), level: burst.into(), at: now }
    }

    /// How long until the bucket is not overdrawn any more.
    fn take(&mut self, amount: f64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.rate).min(self.burst) - amount;
        if self.level >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-self.level / self.rate.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let (frames_per_second, frames_burst) = (10, 2);
        let (bytes_per_second, bytes_burst) = (1_000, 1_000);
        Limits {
            frames_per_second,
            frames_burst,
            bytes_per_second,
            bytes_burst,
            ..Limits::default()
        }
    }

    #[tokio::test]
    async fn frames_beyond_the_burst_are_refused_and_come_back_with_time() {
        let mut pace = Pace::new(&limits());
        let start = Instant::now();
        assert!(pace.take(1, start).is_ok());
        assert!(pace.take(1, start).is_ok());
        let error = pace.take(1, start).unwrap_err();
        assert_eq!(error.code, "overloaded");
        assert!(error.retry_after_ms > 0);
        assert!(pace.take(1, start + Duration::from_secs(1)).is_ok());
    }

    #[tokio::test]
    async fn bytes_beyond_the_burst_are_paid_for_with_time() {
        let mut pace = Pace::new(&limits());
        let start = Instant::now();
        assert_eq!(pace.take(1_000, start), Ok(Duration::ZERO));
        assert_eq!(pace.take(500, start), Ok(Duration::from_millis(500)));
    }
}
