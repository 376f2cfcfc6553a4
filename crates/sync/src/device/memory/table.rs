//! One table of a store in memory, and how it takes back what was not committed.

use super::least_key;
use crate::device::store::OwnOp;
use landfall_model::id::{Dot, EntityKey, FieldId, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A table with the values that its rows had at the last commit and at the last durable commit,
/// for the rows that have changed since; `None` for a row that was not there.
#[derive(Clone, Debug)]
pub(super) struct Table<K, V> {
    pub(super) rows: BTreeMap<K, Arc<V>>,
    committed: BTreeMap<K, Option<Arc<V>>>,
    durable: BTreeMap<K, Option<Arc<V>>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), committed: BTreeMap::new(), durable: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.rows.get(key).cloned()
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        let before = self.rows.insert(key.clone(), Arc::new(value));
        self.committed.entry(key).or_insert(before);
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(before) = self.rows.remove(key) {
            self.committed.entry(key.clone()).or_insert(Some(before));
        }
    }
}

impl<V> Table<(EntityKey, FieldId), V> {
    pub(super) fn remove_under(&mut self, key: &EntityKey) {
        let first = (key.clone(), FieldId(0));
        let listed = self.rows.range(first..).map(|(at, _)| at);
        let listed: Vec<(EntityKey, FieldId)> =
            listed.take_while(|(k, _)| k == key).cloned().collect();
        listed.iter().for_each(|at| self.remove(at));
    }
}

impl Table<Dot, OwnOp> {
    pub(super) fn expect(&self, dot: &Dot) -> OwnOp {
        OwnOp::clone(self.rows.get(dot).expect("indexes and ops change together"))
    }
}

impl<V> Table<(Scope, EntityKey), V> {
    /// The keys listed under a scope, ascending, after `after`.
    pub(super) fn under<'a>(
        &'a self,
        scope: &'a str,
        after: Option<&EntityKey>,
    ) -> impl Iterator<Item = EntityKey> + 'a {
        let after = after.cloned();
        let first = (Scope::from(scope), after.clone().unwrap_or_else(least_key));
        let listed = self.rows.range(first..).map(|(at, _)| at);
        listed
            .take_while(move |(s, _)| s.as_ref() == scope)
            .filter(move |(_, key)| after.as_ref() != Some(key))
            .map(|(_, key)| key.clone())
    }
}

pub(super) trait Journal {
    fn commit(&mut self);
    fn commit_durable(&mut self);
    fn rollback(&mut self);
    fn lose_power(&mut self);
}

impl<K: Ord + Clone, V> Journal for Table<K, V> {
    fn commit(&mut self) {
        for (key, before) in std::mem::take(&mut self.committed) {
            self.durable.entry(key).or_insert(before);
        }
    }

    fn commit_durable(&mut self) {
        self.committed.clear();
        self.durable.clear();
    }

    fn rollback(&mut self) {
        restore(&mut self.rows, std::mem::take(&mut self.committed));
    }

    fn lose_power(&mut self) {
        self.rollback();
        restore(&mut self.rows, std::mem::take(&mut self.durable));
    }
}

fn restore<K: Ord, V>(rows: &mut BTreeMap<K, Arc<V>>, before: BTreeMap<K, Option<Arc<V>>>) {
    for (key, value) in before {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}
