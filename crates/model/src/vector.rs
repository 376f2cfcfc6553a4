//! Positions, version vectors over them, and sets of dots.
//!
//! Positions answer "what changed since?" and "how durable?"; dot sets answer "is this op in that
//! state?". The two types have no conversion between them, on purpose.

use crate::id::{RegionId, StreamId};
use minicbor::decode::{Decoder, Error};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::fmt;

/// One log: a stream of one life (incarnation) of a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Origin {
    #[n(0)]
    pub region: RegionId,
    /// Milliseconds since 1970 when this life began, moved up if that was taken.
    #[n(1)]
    pub incarnation: u64,
    #[n(2)]
    pub stream: StreamId,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}.{}/{}", self.region.0, self.incarnation, self.stream.0)
    }
}

/// A place in one log. Sequence numbers start at 1 and are dense.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Position {
    #[n(0)]
    pub origin: Origin,
    #[n(1)]
    pub seq: u64,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.origin, self.seq)
    }
}

/// Per origin, the last position that is covered. An origin that is absent is covered up to 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode)]
#[cbor(transparent)]
pub struct Vector(#[n(0)] BTreeMap<Origin, u64>);

impl Vector {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&self, origin: Origin) -> u64 {
        self.0.get(&origin).copied().unwrap_or(0)
    }

    /// Cover `origin` up to `seq`; never goes back.
    pub fn advance(&mut self, origin: Origin, seq: u64) {
        if seq > 0 {
            let at = self.0.entry(origin).or_insert(0);
            *at = (*at).max(seq);
        }
    }

    pub fn advance_to(&mut self, p: Position) {
        self.advance(p.origin, p.seq);
    }

    /// The least vector that covers both.
    pub fn join(&mut self, other: &Self) {
        for (&o, &s) in &other.0 {
            self.advance(o, s);
        }
    }

    /// The greatest vector that both cover.
    pub fn meet(&self, other: &Self) -> Self {
        self.iter().map(|(o, s)| (o, s.min(other.get(o)))).filter(|(_, s)| *s > 0).collect()
    }

    /// At or above `other` everywhere.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(&o, &s)| self.get(o) >= s)
    }

    pub fn contains(&self, p: Position) -> bool {
        self.get(p.origin) >= p.seq
    }

    /// Bring `origin` down to at most `seq`, as a cut demands. True if it was above.
    pub fn clip(&mut self, origin: Origin, seq: u64) -> bool {
        let above = self.get(origin) > seq;
        if above {
            if seq == 0 {
                self.0.remove(&origin);
            } else {
                self.0.insert(origin, seq);
            }
        }
        above
    }

    pub fn iter(&self) -> impl Iterator<Item = (Origin, u64)> + '_ {
        self.0.iter().map(|(&o, &s)| (o, s))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'b, C> Decode<'b, C> for Vector {
    /// Refuses what is not canonical: an origin covered up to 0.
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, Error> {
        let entries: BTreeMap<Origin, u64> = d.decode_with(ctx)?;
        if entries.values().any(|&seq| seq == 0) {
            return Err(Error::message("an origin of a vector is covered up to 0"));
        }
        Ok(Self(entries))
    }
}

impl FromIterator<(Origin, u64)> for Vector {
    fn from_iter<I: IntoIterator<Item = (Origin, u64)>>(iter: I) -> Self {
        let mut v = Self::new();
        for (o, s) in iter {
            v.advance(o, s);
        }
        v
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter()).finish()
    }
}

/// The numbers of one device that a replica has received: all up to `upto`, and some ranges above.
///
/// Canonical: ranges ascend, do not touch, and none begins at `upto + 1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode)]
pub struct SeqSet {
    #[n(0)]
    upto: u64,
    /// First and last, both included.
    #[n(1)]
    ranges: Vec<(u64, u64)>,
}

impl SeqSet {
    /// All numbers from 1 to `upto`.
    pub fn up_to(upto: u64) -> Self {
        Self { upto, ranges: Vec::new() }
    }

    /// Rebuild from stored parts, in any order.
    pub fn from_parts(upto: u64, ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut set = Self::up_to(upto);
        for (first, last) in ranges {
            set.insert_range(first, last);
        }
        set
    }

    pub fn contains(&self, seq: u64) -> bool {
        let at = self.ranges.partition_point(|&(_, b)| b < seq);
        seq != 0 && (seq <= self.upto || self.ranges.get(at).is_some_and(|&(a, _)| a <= seq))
    }

    pub fn contains_range(&self, first: u64, last: u64) -> bool {
        last <= self.upto
            || self.ranges.iter().any(|&(a, b)| a <= first.max(self.upto + 1) && last <= b)
    }

    pub fn insert(&mut self, seq: u64) {
        self.insert_range(seq, seq);
    }

    /// Add `first..=last`.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first.max(1), last);
        if last < first || last <= self.upto {
            return;
        }
        if first <= self.upto + 1 {
            self.upto = last;
        } else if self.highest() < first - 1 {
            // Behind all that is there: so a set that is read in order costs its length.
            self.ranges.push((first, last));
        } else {
            self.ranges.retain(|&(a, b)| {
                let touches = a <= last.saturating_add(1) && first <= b.saturating_add(1);
                if touches {
                    first = first.min(a);
                    last = last.max(b);
                }
                !touches
            });
            let at = self.ranges.partition_point(|&(a, _)| a < first);
            self.ranges.insert(at, (first, last));
        }
        while let Some(&(a, b)) = self.ranges.first() {
            if a > self.upto.saturating_add(1) {
                break;
            }
            self.upto = self.upto.max(b);
            self.ranges.remove(0);
        }
    }

    pub fn union(&mut self, other: &Self) {
        self.insert_range(1, other.upto);
        for &(a, b) in &other.ranges {
            self.insert_range(a, b);
        }
    }

    /// The numbers that are in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.spans().peekable(), other.spans().peekable());
        let mut both = Self::default();
        while let (Some(&(a, b)), Some(&(c, d))) = (ours.peek(), theirs.peek()) {
            both.insert_range(a.max(c), b.min(d));
            if b <= d {
                ours.next()
            } else {
                theirs.next()
            };
        }
        both
    }

    /// First and last of each run of numbers, ascending.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let below = (self.upto > 0).then_some((1, self.upto));
        below.into_iter().chain(self.ranges.iter().copied())
    }

    /// The highest number received.
    pub fn highest(&self) -> u64 {
        self.ranges.last().map_or(self.upto, |&(_, b)| b)
    }

    pub fn contiguous(&self) -> u64 {
        self.upto
    }

    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    pub fn is_empty(&self) -> bool {
        self.upto == 0 && self.ranges.is_empty()
    }
}

impl<'b, C> Decode<'b, C> for SeqSet {
    /// Refuses what is not canonical.
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, Error> {
        #[derive(Decode)]
        struct Parts {
            #[n(0)]
            upto: u64,
            #[n(1)]
            ranges: Vec<(u64, u64)>,
        }
        let Parts { upto, ranges } = d.decode_with(ctx)?;
        let mut end = upto;
        for &(first, last) in &ranges {
            if first <= end.saturating_add(1) || last < first {
                return Err(Error::message("the ranges of a set of numbers are not canonical"));
            }
            end = last;
        }
        Ok(Self { upto, ranges })
    }
}

impl fmt::Debug for SeqSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1..{}", self.upto)?;
        self.ranges.iter().try_for_each(|(a, b)| write!(f, "+{a}..{b}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn seq_set_is_the_set_of_its_numbers(ops in prop::collection::vec((1u64..40, 0u64..6), 0..25)) {
            let mut set = SeqSet::default();
            let mut model = BTreeSet::new();
            for (a, n) in ops {
                set.insert_range(a, a + n);
                model.extend(a..=a + n);
                prop_assert_eq!(&SeqSet::from_parts(set.contiguous(), set.ranges().to_vec()), &set);
            }
            for i in 0..60 {
                prop_assert_eq!(set.contains(i), model.contains(&i), "{} in {:?}", i, set);
                let all = (i.max(1)..=i + 3).all(|x| model.contains(&x));
                prop_assert_eq!(set.contains_range(i.max(1), i + 3), all);
            }
            prop_assert_eq!(set.highest(), model.last().copied().unwrap_or(0));
            let spanned: BTreeSet<u64> = set.spans().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(spanned, model);
        }

        #[test]
        fn an_intersection_has_what_both_have(
            ours in prop::collection::vec((1u64..60, 0u64..6), 0..12),
            theirs in prop::collection::vec((1u64..60, 0u64..6), 0..12),
        ) {
            let set = |ranges: Vec<(u64, u64)>| {
                SeqSet::from_parts(0, ranges.into_iter().map(|(a, n)| (a, a + n)))
            };
            let (ours, theirs) = (set(ours), set(theirs));
            let both = ours.intersection(&theirs);
            for i in 0..70 {
                prop_assert_eq!(both.contains(i), ours.contains(i) && theirs.contains(i), "{}", i);
            }
            prop_assert_eq!(&theirs.intersection(&ours), &both);
        }
    }
}
