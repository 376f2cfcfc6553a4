//! Vectors are a lattice; sets of numbers stay canonical, to the end of the range.

use super::config;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::id::{RegionId, StreamId};
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use proptest::prelude::*;

fn origin() -> impl Strategy<Value = Origin> {
    (0u16..3, 0u64..2, 0u16..2).prop_map(|(region, incarnation, stream)| Origin {
        region: RegionId(region),
        incarnation,
        stream: StreamId(stream),
    })
}

fn vector() -> impl Strategy<Value = Vector> {
    prop::collection::vec((origin(), 0u64..6), 0..8).prop_map(Vector::from_iter)
}

fn join(a: &Vector, b: &Vector) -> Vector {
    let mut a = a.clone();
    a.join(b);
    a
}

/// Numbers near both ends of the range, where additions overflow.
fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..8, (0u64..8).prop_map(|n| u64::MAX - n), any::<u64>()]
}

fn seq_set() -> impl Strategy<Value = SeqSet> {
    prop::collection::vec((seq(), seq()), 0..8).prop_map(|ranges| SeqSet::from_parts(0, ranges))
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn join_and_meet_make_a_lattice(a in vector(), b in vector(), c in vector()) {
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(a.meet(&b), b.meet(&a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
        prop_assert_eq!(&join(&a, &a), &a);
        prop_assert_eq!(&a.meet(&a), &a);
        prop_assert_eq!(&join(&a, &a.meet(&b)), &a);
        prop_assert_eq!(&a.meet(&join(&a, &b)), &a);
        prop_assert_eq!(a.meet(&join(&b, &c)), join(&a.meet(&b), &a.meet(&c)));
    }

    #[test]
    fn covers_is_the_order_of_the_lattice(a in vector(), b in vector()) {
        prop_assert!(join(&a, &b).covers(&a) && join(&a, &b).covers(&b));
        prop_assert!(a.covers(&a.meet(&b)) && b.covers(&a.meet(&b)));
        prop_assert_eq!(a.covers(&b), join(&a, &b) == a);
        prop_assert_eq!(a.covers(&b), a.meet(&b) == b);
        prop_assert_eq!(a.covers(&b) && b.covers(&a), a == b);
        prop_assert!(a.covers(&Vector::new()));
    }

    #[test]
    fn a_vector_contains_what_it_covers(a in vector(), origin in origin(), seq in 1u64..8) {
        let position = Position { origin, seq };
        let mut reached = a.clone();
        reached.advance_to(position);
        prop_assert!(reached.contains(position) && reached.covers(&a));
        prop_assert_eq!(a.contains(position), reached == a);
    }

    #[test]
    fn clip_brings_down_one_origin_and_no_other(a in vector(), origin in origin(), seq in 0u64..6) {
        let mut clipped = a.clone();
        prop_assert_eq!(clipped.clip(origin, seq), a.get(origin) > seq);
        prop_assert_eq!(clipped.get(origin), a.get(origin).min(seq));
        for (other, at) in a.iter().filter(|(o, _)| *o != origin) {
            prop_assert_eq!(clipped.get(other), at);
        }
        prop_assert!(a.covers(&clipped));
        prop_assert!(clipped.iter().all(|(_, s)| s > 0), "zero is absence");
        prop_assert!(!clipped.clip(origin, seq));
    }

    #[test]
    fn seq_sets_stay_canonical_to_the_end_of_the_range(a in seq_set(), b in seq_set(), n in seq()) {
        let n = n.max(1);
        let mut both = a.clone();
        both.union(&b);
        let mut other = b.clone();
        other.union(&a);
        prop_assert_eq!(&both, &other);
        prop_assert_eq!(both.contains(n), a.contains(n) || b.contains(n));
        prop_assert_eq!(both.contains_range(n, n), both.contains(n));
        prop_assert_eq!(both.highest(), a.highest().max(b.highest()));
        let mut before = both.contiguous();
        for &(first, last) in both.ranges() {
            prop_assert!(first <= last && first - before > 1, "{:?}", both);
            before = last;
        }
        prop_assert_eq!(from_bytes::<SeqSet>(&to_bytes(&both)), Ok(both));
    }
}
