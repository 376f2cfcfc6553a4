//! The limits of a world, each with its reason. All times are virtual.

use std::time::Duration;

/// [`crate::Testkit::settle`] and [`crate::Testkit::run`] give up after this much time. Far above the
/// longest wait of a client (5 s of backoff, 5 s until a killed process's lease has run out), so that
/// what is not done by then waits for something that never comes.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(120);

/// [`crate::Testkit::advance`] moves the time in at most so many steps, so that a month costs no more
/// than a minute. Timers that fall into one step fire at its end, in their order.
pub(crate) const ADVANCE_STEPS_MAX: u32 = 200;

/// Work that runs so often without time going on never comes to an end.
pub(crate) const POLLS_PER_INSTANT_MAX: u32 = 1_000_000;

/// How long a token is good for: an hour, as identity providers often give.
pub(crate) const TOKEN_LIFE_MS: i64 = 3_600_000;

/// How often the region looks for tokens that have expired, as in production.
pub(crate) const REGION_TICK: Duration = Duration::from_secs(1);

/// How often a device looks whether another process wrote to its file. There is none here.
pub(crate) const POLL_MS: u64 = 3_600_000;

/// Where time begins unless told otherwise: 2026-01-01T00:00:00Z, in milliseconds since 1970.
pub(crate) const STARTS_MS: i64 = 1_767_225_600_000;
