//! What shows is what stands: the merged state against the oracle, and the rules that a user
//! would name, over random histories.

use super::config;
use super::history::{
    ADDRESS, CHILD, History, LABELS, PARENT, TITLE, VOTES, histories, merged, op, shuffled,
};
use super::oracle::{Oracle, Shown};
use landfall_model::entity::{Entity, Living, Standing, UnderParent};
use landfall_model::id::{DeviceId, Dot, FieldId};
use landfall_model::op::{Action, Change, FieldChange, Op, Removal};
use landfall_model::stamp::{Clock, Hlc};
use landfall_model::value::Value;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::{BTreeMap, BTreeSet};

/// Every question that a reader may ask, asked of both.
fn agree(
    state: &Entity,
    oracle: &Oracle<'_>,
    standing: &impl Standing,
    fallen: Option<&BTreeSet<Dot>>,
) -> Result<(), TestCaseError> {
    let births = oracle.standing(fallen);
    let shown: BTreeSet<Dot> = state.standing(standing).into_iter().collect();
    prop_assert_eq!(&shown, &births);
    prop_assert_eq!(state.exists(standing), !births.is_empty());
    for field in [TITLE, ADDRESS, VOTES, LABELS, FieldId(99)] {
        let shown = state.register(field, standing).map(|w| Shown {
            stamp: w.stamp,
            seq: w.seq,
            value: w.value.clone(),
            replaced: w.replaced,
        });
        prop_assert_eq!(shown, oracle.register(field, &births));
    }
    let set: BTreeMap<Value, BTreeSet<Dot>> = state
        .set(LABELS, standing)
        .into_iter()
        .map(|(value, dots)| (value.clone(), dots.into_iter().collect()))
        .collect();
    prop_assert_eq!(set, oracle.set(LABELS, &births));
    prop_assert_eq!(state.counter(VOTES, standing), oracle.counter(VOTES, &births));
    Ok(())
}

/// A history's state and oracle, its first `known` ops in the seed's order.
fn fixture<'a>(
    history: &'a History,
    child: bool,
    seed: u64,
    known: usize,
) -> (Entity, Oracle<'a>, Vec<&'a Op>) {
    let all = history.of(if child { CHILD } else { PARENT });
    let mut ops = shuffled(&all, seed);
    ops.truncate(known);
    (merged(ops.iter().copied()), Oracle::new(ops.iter().copied()), ops)
}

/// An op of a device that takes no part in histories, stamped above all of them.
fn late(seq: u64, births: &BTreeSet<Dot>, action: Action) -> Op {
    let device = DeviceId::from_number(99);
    op(
        Dot::new(device, seq),
        Hlc::from_millis(1_000_000 + seq as i64),
        false,
        births.clone(),
        action,
    )
}

fn register(value: i64) -> FieldChange {
    let change = Change::Register { value: Value::Int(value), replaced: None };
    FieldChange { field: TITLE, change }
}

fn labels(add: Vec<Value>, remove: Vec<Removal>) -> FieldChange {
    FieldChange { field: LABELS, change: Change::Set { add, remove } }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn what_shows_is_what_stands(history in histories(60), seed in any::<u64>(), cut in 0usize..60) {
        for known in [cut, usize::MAX] {
            let (parent, parent_oracle, _) = fixture(&history, false, seed, known);
            agree(&parent, &parent_oracle, &Living, None)?;
            let (child, oracle, _) = fixture(&history, true, seed, known);
            agree(&child, &oracle, &Living, None)?;
            let fallen = parent.fallen(&Living);
            prop_assert_eq!(&fallen, &parent_oracle.dead());
            agree(&child, &oracle, &UnderParent { fallen: fallen.clone() }, Some(&fallen))?;
        }
    }

    #[test]
    fn a_child_falls_when_the_last_parent_birth_that_it_names_falls(history in histories(60)) {
        let (parent, _, _) = fixture(&history, false, 1, usize::MAX);
        let (child, oracle, _) = fixture(&history, true, 1, usize::MAX);
        let standing = UnderParent { fallen: parent.fallen(&Living) };
        for (birth, its_parent) in oracle.living() {
            let named = its_parent.map(|p| p.births).unwrap_or_default();
            let lost = named.iter().all(|b| parent.is_dead(*b));
            prop_assert_eq!(child.fallen(&standing).contains(&birth), lost);
            prop_assert_eq!(child.standing(&standing).contains(&birth), !lost);
        }
    }

    #[test]
    fn a_write_made_after_reading_wins_over_what_it_read(
        history in histories(60),
        seed in any::<u64>(),
        known in 1usize..60,
    ) {
        // A device with a slow clock reads some of the ops and writes on what stands there.
        let (state, oracle, ops) = fixture(&history, false, seed, known);
        let births = oracle.standing(None);
        if births.is_empty() {
            return Ok(());
        }
        let mut clock = Clock::default();
        ops.iter().for_each(|op| clock.observe(op.hlc));
        let dot = Dot::new(DeviceId::from_number(0), 1);
        let write = op(dot, clock.tick(-5), false, births, Action::Update(vec![register(77)]));
        let read = state.register(TITLE, &Living).map(|w| w.stamp);
        prop_assert!(read.is_none_or(|r| r < write.stamp()));
        for seed in 0..3 {
            let mut all: Vec<&Op> = ops.clone();
            all.push(&write);
            let state = merged(shuffled(&all, seed));
            prop_assert_eq!(&state.register(TITLE, &Living).unwrap().value, &Value::Int(77));
        }
    }

    #[test]
    fn dead_births_never_come_back(history in histories(60), seed in any::<u64>()) {
        let mut state = Entity::default();
        let mut dead = BTreeSet::new();
        for op in shuffled(&history.of(PARENT), seed) {
            state.apply(op);
            if op.action == Action::Delete {
                dead.extend(op.births.iter().copied());
            }
            prop_assert!(dead.iter().all(|b| state.is_dead(*b)));
            prop_assert!(state.living().all(|b| !dead.contains(&b)));
        }
        // Nor by everything once more, nor by a state that never heard of the deaths.
        let mut ignorant = Entity::default();
        for op in history.of(PARENT).into_iter().filter(|op| op.action != Action::Delete) {
            state.apply(op);
            ignorant.apply(op);
        }
        state.join(&ignorant);
        state.install_counters(&ignorant, |_| true);
        prop_assert!(state.living().all(|b| !dead.contains(&b)));
        let sums = Oracle::new(history.of(PARENT)).standing(None);
        let counted = Oracle::new(history.of(PARENT)).counter(VOTES, &sums);
        prop_assert_eq!(state.counter(VOTES, &Living), counted);
    }

    #[test]
    fn create_after_delete_shows_the_new_birth_only(history in histories(60), seed in any::<u64>()) {
        let (_, oracle, ops) = fixture(&history, false, seed, usize::MAX);
        let heard: BTreeSet<Dot> = oracle.heard().into_iter().collect();
        let delete = late(1, &heard, Action::Delete);
        let dot = Dot::new(DeviceId::from_number(99), 2);
        let changes = vec![register(5), labels(vec![Value::Int(9)], vec![])];
        let create = late(2, &BTreeSet::from([dot]), Action::Create { parent: None, changes });
        let mut all = ops.clone();
        all.extend([&delete, &create]);
        let state = merged(shuffled(&all, seed));
        prop_assert_eq!(state.standing(&Living), vec![dot]);
        prop_assert_eq!(&state.register(TITLE, &Living).unwrap().value, &Value::Int(5));
        prop_assert!(state.register(ADDRESS, &Living).is_none());
        let set = state.set(LABELS, &Living);
        prop_assert_eq!(set.into_iter().collect::<Vec<_>>(), vec![(&Value::Int(9), vec![dot])]);
        prop_assert_eq!(state.counter(VOTES, &Living), 0);
    }

    #[test]
    fn an_addition_beats_a_removal_that_did_not_see_it(
        history in histories(60),
        seed in any::<u64>(),
        element in 0i64..3,
    ) {
        let (_, oracle, ops) = fixture(&history, false, seed, usize::MAX);
        let births = oracle.standing(None);
        if births.is_empty() {
            return Ok(());
        }
        let value = Value::Int(element);
        let seen = oracle.additions(LABELS, &value);
        let remove = vec![Removal { value: value.clone(), dots: seen }];
        let removal = late(1, &births, Action::Update(vec![labels(vec![], remove)]));
        let addition = late(2, &births, Action::Update(vec![labels(vec![value.clone()], vec![])]));

        let mut all = ops.clone();
        all.push(&removal);
        prop_assert!(!merged(shuffled(&all, seed)).set(LABELS, &Living).contains_key(&value));
        all.push(&addition);
        let state = merged(shuffled(&all, seed));
        let set = state.set(LABELS, &Living);
        prop_assert_eq!(set.get(&value), Some(&vec![addition.dot]));
    }

    #[test]
    fn a_removal_takes_only_what_it_saw(history in histories(60), mask in any::<u64>()) {
        let (before, oracle, ops) = fixture(&history, false, 1, usize::MAX);
        let births = oracle.standing(None);
        if births.is_empty() {
            return Ok(());
        }
        for (value, dots) in before.set(LABELS, &Living) {
            let (seen, unseen): (Vec<_>, Vec<_>) =
                dots.iter().copied().enumerate().partition(|(i, _)| mask >> i & 1 == 1);
            let seen = seen.into_iter().map(|(_, d)| d).collect();
            let unseen: Vec<Dot> = unseen.into_iter().map(|(_, d)| d).collect();
            let remove = vec![Removal { value: value.clone(), dots: seen }];
            let removal = late(1, &births, Action::Update(vec![labels(vec![], remove)]));
            let state = merged(ops.iter().copied().chain([&removal]));
            let mut expected = before.set(LABELS, &Living);
            if unseen.is_empty() {
                expected.remove(value);
            } else {
                expected.insert(value, unseen);
            }
            prop_assert_eq!(state.set(LABELS, &Living), expected);
        }
    }
}
