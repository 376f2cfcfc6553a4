//! Named distances between regions: one-way delays as public clouds show them, halved round trips.

use std::time::Duration;

/// A named table of regions and one-way delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wan {
    /// Nothing between the regions
    None,
    /// Three metros of one continent, 5 to 15 ms apart
    Continent,
    /// Frankfurt, Virginia, Singapore: 45 to 115 ms apart
    World,
}

/// Region names, in the order of the tables; a world has at most as many regions.
const NAMES: [&str; 5] = ["eu-central", "us-east", "ap-south", "sa-east", "af-south"];

const CONTINENT_MS: [[u64; 5]; 5] =
    [[0, 5, 8, 10, 15], [5, 0, 6, 9, 12], [8, 6, 0, 7, 11], [10, 9, 7, 0, 8], [15, 12, 11, 8, 0]];

const WORLD_MS: [[u64; 5]; 5] = [
    [0, 45, 80, 100, 75],
    [45, 0, 115, 60, 115],
    [80, 115, 0, 165, 120],
    [100, 60, 165, 0, 170],
    [75, 115, 120, 170, 0],
];

impl Wan {
    pub(crate) fn name(self, region: usize) -> &'static str {
        NAMES[region]
    }

    pub(crate) fn one_way(self, from: usize, to: usize) -> Duration {
        Duration::from_millis(match self {
            Self::None => 0,
            Self::Continent => CONTINENT_MS[from][to],
            Self::World => WORLD_MS[from][to],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_as_long() {
        for wan in [Wan::None, Wan::Continent, Wan::World] {
            for (i, j) in (0..NAMES.len()).flat_map(|i| (0..NAMES.len()).map(move |j| (i, j))) {
                assert_eq!(wan.one_way(i, j), wan.one_way(j, i));
                assert_eq!(wan.one_way(i, i), Duration::ZERO);
            }
        }
    }
}
