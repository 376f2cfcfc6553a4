//! The merge rules once more, from their prose and as slowly as can be: a bag of ops, searched
//! anew for every question. It shares no code and no structure with the merged state.
//!
//! What it is written from: create adds a birth; a delete kills the births that it names, for
//! ever; a child's birth stands only while one of the parent births that it names stands; a
//! register or set change stands while one of its births stands, a counter change while its first
//! does; of the standing writes the highest stamp shows; an element shows while an addition of it
//! stands that no removal names; a counter shows the sum, and of each birth that does not stand one
//! of the counts that standing births carry: the one that is further from zero.

use landfall_model::id::{Dot, FieldId};
use landfall_model::op::{Action, Change, Op, Parent};
use landfall_model::stamp::Stamp;
use landfall_model::value::Value;
use std::collections::{BTreeMap, BTreeSet};

pub struct Oracle<'a> {
    ops: Vec<&'a Op>,
}

/// What a register shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Shown {
    pub stamp: Stamp,
    pub seq: u64,
    pub value: Value,
    pub replaced: Option<Stamp>,
}

impl<'a> Oracle<'a> {
    pub fn new(ops: impl IntoIterator<Item = &'a Op>) -> Self {
        Self { ops: ops.into_iter().collect() }
    }

    pub fn dead(&self) -> BTreeSet<Dot> {
        let deletes = self.ops.iter().filter(|op| op.action == Action::Delete);
        deletes.flat_map(|op| op.births.iter().copied()).collect()
    }

    /// Births that arrived and were not killed. Where two creates share a dot the lesser parent
    /// counts.
    pub fn living(&self) -> BTreeMap<Dot, Option<Parent>> {
        let dead = self.dead();
        let mut living: BTreeMap<Dot, Option<Parent>> = BTreeMap::new();
        for op in &self.ops {
            if let Action::Create { parent, .. } = &op.action
                && !dead.contains(&op.dot)
            {
                let least = living.get(&op.dot).map_or(parent, |p| p.min(parent)).clone();
                living.insert(op.dot, least);
            }
        }
        living
    }

    /// Births that an op made or named and that are not known to be dead, ascending.
    pub fn heard(&self) -> Vec<Dot> {
        let dead = self.dead();
        let all: BTreeSet<Dot> = self.ops.iter().flat_map(|op| op.births.iter().copied()).collect();
        all.difference(&dead).copied().collect()
    }

    /// Living births that stand, given the parent's births that fell (none: a root, or no matter).
    pub fn standing(&self, fallen: Option<&BTreeSet<Dot>>) -> BTreeSet<Dot> {
        let stands = |parent: &Option<Parent>| match (parent, fallen) {
            (Some(p), Some(fallen)) => p.births.iter().any(|b| !fallen.contains(b)),
            _ => true,
        };
        self.living().into_iter().filter(|(_, parent)| stands(parent)).map(|(b, _)| b).collect()
    }

    pub fn register(&self, field: FieldId, standing: &BTreeSet<Dot>) -> Option<Shown> {
        let mut best: Option<Shown> = None;
        for (op, change) in self.changes(field) {
            if let Change::Register { value, replaced } = change
                && op.births.iter().any(|b| standing.contains(b))
            {
                let shown = Shown {
                    stamp: op.stamp(),
                    seq: op.dot.seq,
                    value: value.clone(),
                    replaced: *replaced,
                };
                best = best.max(Some(shown));
            }
        }
        best
    }

    pub fn set(&self, field: FieldId, standing: &BTreeSet<Dot>) -> BTreeMap<Value, BTreeSet<Dot>> {
        let mut shown: BTreeMap<Value, BTreeSet<Dot>> = BTreeMap::new();
        for (op, change) in self.changes(field) {
            if let Change::Set { add, .. } = change
                && op.births.iter().any(|b| standing.contains(b))
            {
                for value in add.iter().filter(|v| !self.removed(field, v, op.dot)) {
                    shown.entry(value.clone()).or_default().insert(op.dot);
                }
            }
        }
        shown
    }

    pub fn counter(&self, field: FieldId, standing: &BTreeSet<Dot>) -> i64 {
        let mut sum = 0;
        let mut carried: BTreeMap<Dot, Vec<i64>> = BTreeMap::new();
        for (op, change) in self.changes(field) {
            if !standing.contains(&op.births[0]) {
                continue;
            }
            match change {
                Change::Counter(delta) => sum += delta,
                Change::Carried(counts) => counts.iter().for_each(|(of, n)| {
                    carried.entry(*of).or_default().push(*n);
                }),
                _ => {}
            }
        }
        for (_, counts) in carried.iter().filter(|(of, _)| !standing.contains(of)) {
            let highest = counts.iter().max().expect("never empty");
            let lowest = counts.iter().min().expect("never empty");
            sum += if *highest >= -*lowest { highest } else { lowest };
        }
        sum
    }

    /// Additions of an element that no removal names, whatever they hang on.
    pub fn additions(&self, field: FieldId, value: &Value) -> Vec<Dot> {
        let adds = self
            .changes(field)
            .filter(|(_, change)| matches!(change, Change::Set { add, .. } if add.contains(value)));
        let dots: BTreeSet<Dot> = adds.map(|(op, _)| op.dot).collect();
        dots.into_iter().filter(|dot| !self.removed(field, value, *dot)).collect()
    }

    fn removed(&self, field: FieldId, element: &Value, dot: Dot) -> bool {
        self.changes(field).any(|(_, change)| match change {
            Change::Set { remove, .. } => {
                remove.iter().any(|r| r.value == *element && r.dots.contains(&dot))
            }
            _ => false,
        })
    }

    fn changes(&self, field: FieldId) -> impl Iterator<Item = (&'a Op, &'a Change)> {
        self.ops.iter().copied().flat_map(move |op| {
            op.changes().iter().filter(move |c| c.field == field).map(move |c| (op, &c.change))
        })
    }
}
