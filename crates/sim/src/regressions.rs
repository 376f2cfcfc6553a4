//! Seeds that once failed, each with what was wrong. They are run with every test.

use crate::Weather;

/// Seed, weather, and the fault that it found.
pub const REGRESSIONS: &[(u64, Weather, &str)] = &[];
