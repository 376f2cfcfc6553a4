//! What a session waits for: accepted ops that not enough regions hold yet.
//!
//! Peers take logs in order, so of one log it is always the lowest positions that are durable first. They
//! are kept in that order: to look again after a peer has said how far it is costs what has become durable,
//! however much is left. While a peer is away, a session may come to wait for millions.

use landfall_model::id::{DeviceId, Dot};
use landfall_model::vector::{Origin, Position, SeqSet};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Watch(BTreeMap<Origin, BTreeSet<(u64, Dot)>>);

impl Watch {
    pub fn insert(&mut self, dot: Dot, at: Position) {
        self.0.entry(at.origin).or_default().insert((at.seq, dot));
    }

    /// What is beyond the end of a log counts no more.
    pub fn clip(&mut self, cuts: &BTreeMap<Origin, u64>) {
        for (origin, last) in cuts {
            if let Some(waiting) = self.0.get_mut(origin) {
                waiting.retain(|(seq, _)| seq <= last);
            }
        }
    }

    /// The ops that are durable by now, which are not waited for any more. `durable` says it of a
    /// position, and of all below it in the same log if it does.
    pub fn take(&mut self, durable: impl Fn(Position) -> bool) -> BTreeMap<DeviceId, SeqSet> {
        let mut done: BTreeMap<DeviceId, SeqSet> = BTreeMap::new();
        self.0.retain(|origin, waiting| {
            while let Some((seq, dot)) = waiting.first().copied()
                && durable(Position { origin: *origin, seq })
            {
                waiting.pop_first();
                done.entry(dot.device).or_default().insert(dot.seq);
            }
            !waiting.is_empty()
        });
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::id::{RegionId, StreamId};

    fn at(stream: u16, seq: u64) -> Position {
        let origin = Origin { region: RegionId(1), incarnation: 7, stream: StreamId(stream) };
        Position { origin, seq }
    }

    fn dot(seq: u64) -> Dot {
        Dot::new(DeviceId([3; 16]), seq)
    }

    fn taken(watch: &mut Watch, up_to: u64) -> Vec<u64> {
        let done = watch.take(|p| p.seq <= up_to);
        done.values().flat_map(SeqSet::spans).flat_map(|(first, last)| first..=last).collect()
    }

    #[test]
    fn what_is_durable_is_taken_once_from_every_log() {
        let mut watch = Watch::default();
        // Two ops of one transaction have one position.
        for (seq, position) in [(1, at(0, 5)), (2, at(0, 5)), (3, at(0, 6)), (4, at(1, 4))] {
            watch.insert(dot(seq), position);
        }
        assert_eq!(taken(&mut watch, 5), [1, 2, 4]);
        assert!(taken(&mut watch, 5).is_empty());
        assert_eq!(taken(&mut watch, 6), [3]);
    }

    #[test]
    fn nobody_waits_for_what_is_beyond_the_end_of_a_log() {
        let mut watch = Watch::default();
        watch.insert(dot(1), at(0, 5));
        watch.insert(dot(2), at(0, 6));
        watch.insert(dot(3), at(1, 9));
        watch.clip(&[(at(0, 0).origin, 5)].into());
        assert_eq!(taken(&mut watch, 9), [1, 3]);
    }
}
