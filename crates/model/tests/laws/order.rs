//! The state is a function of the set of ops: any order, any repetition, any path through joins.

use super::config;
use super::history::{CHILD, History, PARENT, VOTES, histories, merged, shuffled};
use super::oracle::Oracle;
use landfall_model::codec::to_bytes;
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{FieldId, TypeId};
use landfall_model::op::{Action, Op};
use proptest::prelude::*;

fn not_a_counter(field: FieldId) -> bool {
    field != VOTES
}

fn joined(a: &Entity, b: &Entity) -> Entity {
    let mut a = a.clone();
    a.join(b);
    a
}

/// The ops of an entity that a mask chooses.
fn subset(history: &History, kind: TypeId, mask: u64) -> Vec<&Op> {
    let ops = history.of(kind).into_iter().enumerate();
    ops.filter(|(i, _)| mask >> (i % 64) & 1 == 1).map(|(_, op)| op).collect()
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn any_order_gives_the_same_bytes(history in histories(60), seeds in any::<[u64; 3]>()) {
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
    fn repetition_changes_nothing_but_counters(history in histories(60), seed in any::<u64>()) {
        for kind in [PARENT, CHILD] {
            let once = history.of(kind);
            let twice: Vec<&Op> = once.iter().chain(&once).copied().collect();
            let expected = merged(once).only(not_a_counter);
            prop_assert_eq!(merged(shuffled(&twice, seed)).only(not_a_counter), expected);
        }
    }

    #[test]
    fn join_is_commutative_associative_and_idempotent(
        history in histories(60),
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
        history in histories(60),
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
    fn installed_counters_leave_out_births_that_died_here(
        history in histories(60),
        mask in any::<u64>(),
    ) {
        for kind in [PARENT, CHILD] {
            let part = subset(&history, kind, mask);
            let mut reader = merged(history.of(kind));
            reader.install_counters(&merged(part.iter().copied()), |_| true);
            // Deaths that arrive behind the installed counters leave the same bytes.
            let deletes = |op: &&Op| op.action == Action::Delete;
            let (dead, rest): (Vec<&Op>, Vec<&Op>) =
                history.of(kind).into_iter().partition(deletes);
            let mut later = merged(rest);
            later.install_counters(&merged(part.iter().copied()), |_| true);
            for op in dead {
                later.apply(op);
            }
            prop_assert_eq!(to_bytes(&reader), to_bytes(&later));
            let living = Oracle::new(history.of(kind)).standing(None);
            let expected = Oracle::new(part).counter(VOTES, &living);
            prop_assert_eq!(reader.counter(VOTES, &Living), expected);
        }
    }
}
