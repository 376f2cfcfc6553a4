//! Seeds that once failed, each with what was wrong. They are run with every test.

use crate::Weather;

/// Seed, weather, and the fault that it found.
pub const REGRESSIONS: &[(u64, Weather, &str)] = &[
    (
        538,
        Weather::Storm,
        "a region restored to before its first entry never cut the life that only a device's cursor knew",
    ),
    (
        47,
        Weather::Storm,
        "a life that only a device's cursor knows was never cut: the device waited for it for ever",
    ),
    (
        586,
        Weather::Storm,
        "index entries above a cut were not clipped: their rows came again with every switch",
    ),
    (
        20,
        Weather::Storm,
        "a forked life was cut where the peers ended, above what devices had seen of the other branch",
    ),
];

/// Faults that are known and not mended yet. They fail; a test that is run by hand says so.
pub const OPEN: &[(u64, Weather, &str)] = &[(
    1349,
    Weather::Storm,
    "a row's touch vector on a device stays above what any region has: it is asked for again for ever",
)];

/// The same for worlds of regions alone.
pub const OPEN_REGIONS: &[(u64, Weather, &str)] = &[(
    38,
    Weather::Storm,
    "the log of a restored region forks: its peers report a mismatch for ever",
)];
