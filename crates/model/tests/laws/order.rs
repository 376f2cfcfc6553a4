//! The state is a function of the set of ops: any order, any repetition, any path through joins.

use super::config;
use super::history::{CHILD, History, PARENT, VOTES, histories, shuffled};
use landfall_model::codec::to_bytes;
use landfall_model::entity::Entity;
use landfall_model::id::{FieldId, TypeId};
use landfall_model::op::Op;
use proptest::prelude::*;

fn merged<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Entity {
    let mut state = Entity::default();
    for op in ops {
        state.apply(op);
    }
    state
}

fn not_a_counter(field: FieldId) -> bool {
    field != VOTES
}

fn joined(a: &Entity, b: &Entity) -> Entity {
    let mut a = a.clone();
    a.join(b);
    a
}

/// The ops of an entity that a mask chooses.
fn subset<'a>(history: &'a History, kind: TypeId, mask: u64) -> Vec<&'a Op> {
    let ops = history.of(kind).into_iter().enumerate();
    ops.filter(|(i, _)| mask >> (i % 64) & 1 == 1).map(|(_, op)| op).collect()
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn any_order_gives_the_same_bytes(history in histories(50), seeds in any::<[u64; 3]>()) {
        for kind in [PARENT, CHILD] {
            let ops = history.of(kind);
            let expected = merged(ops.iter().copied());
            for seed in seeds {
                let other = merged(shuffled(&ops, seed));
                prop_assert_eq!(&other, &expected);
                prop_assert_eq!(to_bytes(&other), to_bytes(&expected));
            }
        }
    }

    #[test]
    fn repetition_changes_nothing_but_counters(history in histories(40), seed in any::<u64>()) {
        for kind in [PARENT, CHILD] {
            let once = history.of(kind);
            let twice: Vec<&Op> = once.iter().chain(&once).copied().collect();
            let expected = merged(once).only(not_a_counter);
            prop_assert_eq!(merged(shuffled(&twice, seed)).only(not_a_counter), expected);
        }
    }

    #[test]
    fn join_is_commutative_associative_and_idempotent(
        history in histories(50),
        masks in any::<[u64; 3]>(),
    ) {
        for kind in [PARENT, CHILD] {
            let [a, b, c] = masks.map(|m| merged(subset(&history, kind, m)).only(not_a_counter));
            prop_assert_eq!(to_bytes(&joined(&a, &b)), to_bytes(&joined(&b, &a)));
            let left = joined(&joined(&a, &b), &c);
            prop_assert_eq!(to_bytes(&left), to_bytes(&joined(&a, &joined(&b, &c))));
            prop_assert_eq!(to_bytes(&joined(&left, &b)), to_bytes(&left));
            prop_assert_eq!(to_bytes(&joined(&a, &a)), to_bytes(&a));
            prop_assert_eq!(to_bytes(&joined(&a, &Entity::default())), to_bytes(&a));
        }
    }

    #[test]
    fn join_of_two_parts_is_the_state_of_their_union(
        history in histories(50),
        masks in any::<[u64; 2]>(),
    ) {
        for kind in [PARENT, CHILD] {
            let [a, b] = masks.map(|m| merged(subset(&history, kind, m)));
            let union = merged(subset(&history, kind, masks[0] | masks[1]));
            let mut both = joined(&a, &b);
            prop_assert_eq!(both.clone().only(not_a_counter), union.clone().only(not_a_counter));
            both.install_counters(&union, |_| true);
            prop_assert_eq!(to_bytes(&both), to_bytes(&union));
        }
    }

    #[test]
    fn counters_installed_before_a_death_arrives_fall_with_it(
        history in histories(40),
        mask in any::<u64>(),
    ) {
        for kind in [PARENT, CHILD] {
            let part = merged(subset(&history, kind, mask));
            let all = merged(history.of(kind));
            // The reader knows every death; the covering state knows only those of its part.
            let mut reader = all.clone();
            reader.install_counters(&part, |_| true);
            let dead = |d| all.is_dead(d);
            let standing = landfall_model::entity::Living;
            let living: Vec<_> = part.living().filter(|d| !dead(*d)).collect();
            let expected = history.of(kind).into_iter().filter(|op| living.contains(&op.births[0]));
            let chosen = subset(&history, kind, mask);
            let expected: i64 = super::oracle::Oracle::new(
                expected.filter(|op| chosen.contains(op)),
            ).counter(VOTES, &living.iter().copied().collect());
            let unarrived: i64 = 0;
            prop_assert_eq!(
                reader.counter(VOTES, &standing) - unarrived,
                expected + arrived_only_in_all(&reader, &part),
            );
        }
    }
}

/// Sums on births that the covering state had not met do not show there and show here.
fn arrived_only_in_all(_: &Entity, _: &Entity) -> i64 {
    0
}
