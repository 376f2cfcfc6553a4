//! A map that can undo: what [`super::MemoryStore`] keeps each kind of thing in.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

#[derive(Clone, Debug)]
pub struct Table<K, V> {
    pub rows: BTreeMap<K, V>,
    /// In a transaction: what each change replaced, in order.
    journal: Option<Vec<(K, Option<V>)>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), journal: None }
    }
}

/// What all tables of a store do together.
pub trait Journaled {
    fn begin(&mut self);
    fn commit(&mut self);
    fn rollback(&mut self);
}

impl<K: Ord + Clone, V> Journaled for Table<K, V> {
    fn begin(&mut self) {
        self.journal = Some(Vec::new());
    }

    fn commit(&mut self) {
        self.journal = None;
    }

    fn rollback(&mut self) {
        for (key, before) in self.journal.take().into_iter().flatten().rev() {
            match before {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    pub fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    pub fn insert(&mut self, key: K, value: V) {
        match &mut self.journal {
            Some(journal) => journal.push((key.clone(), self.rows.insert(key, value))),
            None => drop(self.rows.insert(key, value)),
        }
    }

    pub fn remove(&mut self, key: &K) {
        let before = self.rows.remove(key);
        if let (Some(journal), Some(_)) = (&mut self.journal, &before) {
            journal.push((key.clone(), before));
        }
    }
}
