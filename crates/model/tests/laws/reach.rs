//! The histories reach the corners that the laws are about: a law over histories without a
//! removal would hold for the wrong reason.

use super::config;
use super::history::{CHILD, History, LABELS, PARENT, TITLE, VOTES, histories, merged};
use super::oracle::Oracle;
use landfall_model::entity::Living;
use landfall_model::id::Dot;
use landfall_model::op::{Change, Op, Parent};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

/// The corners that a history's parent entity reaches.
fn corners(history: &History) -> Vec<&'static str> {
    let ops = history.of(PARENT);
    let oracle = Oracle::new(ops.iter().copied());
    let (dead, living) = (oracle.dead(), oracle.living());
    let standing = oracle.standing(None);
    let mut dots: BTreeMap<Dot, usize> = BTreeMap::new();
    for op in &ops {
        *dots.entry(op.dot).or_default() += 1;
    }
    let any = |test: &dyn Fn(&Op) -> bool| ops.iter().any(|op| test(op));
    let lost = |op: &Op| op.births.iter().filter(|b| dead.contains(b)).count();
    let kept = |op: &Op| op.births.iter().any(|b| living.contains_key(b));
    reached(&[
        ("two ops under one dot", dots.values().any(|n| *n > 1)),
        ("several living births", living.len() > 1),
        ("a delete beside a living birth", !dead.is_empty() && !living.is_empty()),
        ("an op that lost one of its births", any(&|op| lost(op) > 0 && kept(op))),
        ("a write that lost all of its births", {
            any(&|op| lost(op) == op.births.len() && !op.changes().is_empty())
        }),
        ("a removal", any(&removes)),
        ("an element that shows", !oracle.set(LABELS, &standing).is_empty()),
        ("a register that shows", oracle.register(TITLE, &standing).is_some()),
        ("a counter that counts", oracle.counter(VOTES, &standing) != 0),
        ("counts that are carried of births that are gone", any(&carries(&dead))),
        ("a second create on a known birth", any(&|op| op.is_create() && op.births.len() > 1)),
        ("a state that shows nothing", {
            !ops.is_empty() && !merged(ops.iter().copied()).exists(&Living)
        }),
    ])
}

/// The corners that its child entity reaches.
fn child_corners(history: &History) -> Vec<&'static str> {
    let dead = Oracle::new(history.of(PARENT)).dead();
    let child = Oracle::new(history.of(CHILD));
    let half_lost = |parent: &Parent| {
        let lost = parent.births.iter().filter(|b| dead.contains(b)).count();
        lost > 0 && lost < parent.births.len()
    };
    reached(&[
        ("a child that fell with its parent", {
            child.standing(Some(&dead)).len() < child.standing(None).len()
        }),
        ("a child that stands by one of its parent births", {
            child.living().values().flatten().any(half_lost)
        }),
    ])
}

fn removes(op: &Op) -> bool {
    op.changes().iter().any(|c| match &c.change {
        Change::Set { remove, .. } => remove.iter().any(|r| !r.dots.is_empty()),
        _ => false,
    })
}

fn carries(gone: &BTreeSet<Dot>) -> impl Fn(&Op) -> bool + '_ {
    move |op| {
        let living = op.births.first().is_some_and(|b| !gone.contains(b));
        let of_gone = |counts: &BTreeMap<Dot, i64>| counts.keys().any(|b| gone.contains(b));
        living
            && op.changes().iter().any(|c| match &c.change {
                Change::Carried(counts) => of_gone(counts),
                _ => false,
            })
    }
}

fn reached(corners: &[(&'static str, bool)]) -> Vec<&'static str> {
    corners.iter().filter(|(_, reached)| *reached).map(|(name, _)| *name).collect()
}

#[test]
fn random_histories_reach_every_corner() {
    let mut runner = TestRunner::new(config(1));
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..400 {
        let history = histories(60).new_tree(&mut runner).unwrap().current();
        for name in corners(&history).into_iter().chain(child_corners(&history)) {
            *reached.entry(name).or_default() += 1;
        }
    }
    assert_eq!(reached.len(), 14, "{reached:#?}");
    assert!(reached.values().all(|n| *n >= 10), "{reached:#?}");
}
