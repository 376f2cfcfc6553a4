//! Seeds that once failed, each with what was wrong. They are run with every test.

use crate::Weather;

/// Seed, weather, and the fault that it found.
pub const REGRESSIONS: &[(u64, Weather, &str)] = &[(
    538,
    Weather::Storm,
    "a region restored to before its first entry never cut the life that only a device's cursor knew",
)];

/// Faults that are known and not mended yet. They fail; a test that is run by hand says so.
pub const OPEN: &[(u64, Weather, &str)] = &[
    (
        47,
        Weather::Storm,
        "a life that only a device's cursor knows is never cut: the device waits for it for ever",
    ),
    (
        586,
        Weather::Storm,
        "index entries above a cut are not clipped: their rows come again with every switch",
    ),
];

/// The same for worlds of regions alone.
pub const OPEN_REGIONS: &[(u64, Weather, &str)] = &[(
    38,
    Weather::Storm,
    "the log of a restored region forks: its peers report a mismatch for ever",
)];
