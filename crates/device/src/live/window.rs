//! A window that is kept up to date by the keys of rows that changed.
//!
//! It holds the rows that are shown and some behind them. A row that changed is read by its key,
//! with the filter; where it belongs among the others is found by comparing as SQLite does. Only
//! when so many rows left that the ones behind are used up is the window read again by SQL. So a
//! change costs a look-up in the table's key and a search in the window, whatever the table's size
//! and however many rows match.
//!
//! **What holds.** Every row of the table that matches and is not held comes behind the last one
//! that is; where `all` is true, there is none. Keys may be told late or twice: a row is read as it
//! is now, and one whose change was not told yet is as it was until it is.

use super::query::ByKey;
use crate::error::Error;
use crate::read::{self, Row, SqlValue};
use landfall_model::id::{EntityKey, TypeId};
use rusqlite::Connection;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows held behind those that are shown.
const AHEAD_ROWS_MIN: usize = 16;
const AHEAD_ROWS_MAX: usize = 256;

/// More changed rows than this, and more than are held, are not looked up one by one.
const LOOKUPS_MAX: usize = 64;

/// See the module. What it holds is worthless after an error.
#[derive(Debug)]
pub(super) struct Window {
    /// Places of the columns that order, and whether they fall.
    order: Vec<(usize, bool)>,
    /// Places of the columns that hold references which are shown, with the types that they lead to.
    references: Vec<(usize, TypeId)>,
    rows: Vec<Row>,
    held: BTreeMap<EntityKey, Row>,
    /// Rows by what they refer to.
    referring: BTreeMap<(TypeId, String), BTreeSet<EntityKey>>,
    all: bool,
}

/// How a change was taken in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refreshed {
    /// So many rows were read by their keys.
    ByKeys(u64),
    /// The window has to be loaded.
    Exhausted,
}

impl Window {
    /// Read it by SQL.
    pub fn load(conn: &Connection, plan: &ByKey, params: &[SqlValue]) -> Result<Self, Error> {
        let most = plan.limit.map(|limit| limit.saturating_add(ahead(limit)));
        let sql = plan.statement.window(most.map(|rows| rows as u64));
        let found = read::store::query(conn, &sql, params)?;
        let place = |name: &str| found.columns().iter().position(|c| c == name);
        let order = plan.statement.order.iter();
        let references = plan.references.iter();
        let mut window = Self {
            order: order.filter_map(|(name, falls)| Some((place(name)?, *falls))).collect(),
            references: references.filter_map(|(name, kind)| Some((place(name)?, *kind))).collect(),
            all: most.is_none_or(|most| found.len() < most),
            rows: Vec::new(),
            held: BTreeMap::new(),
            referring: BTreeMap::new(),
        };
        for row in found {
            window.note(plan.kind, &row);
            window.rows.push(row);
        }
        Ok(window)
    }

    /// Take in that these rows may have changed, of its own table or of those that it refers to.
    pub fn refresh(
        &mut self,
        conn: &Connection,
        plan: &ByKey,
        params: &[SqlValue],
        keys: &BTreeSet<EntityKey>,
    ) -> Result<Refreshed, Error> {
        let mut concerned: BTreeSet<&EntityKey> =
            keys.iter().filter(|key| key.kind == plan.kind).collect();
        let referring: Vec<EntityKey> =
            keys.iter().flat_map(|key| self.refer_to(key)).cloned().collect();
        concerned.extend(&referring);
        if concerned.len() > LOOKUPS_MAX.max(self.rows.len()) {
            return Ok(Refreshed::Exhausted);
        }
        let sql = plan.statement.row();
        for key in &concerned {
            let mut params = params.to_vec();
            params.extend([(&*key.id).into(), (&*key.home).into()]);
            let now = read::store::query(conn, &sql, &params)?.into_iter().next();
            self.put(key, now);
        }
        if let Some(limit) = plan.limit {
            while self.rows.len() > limit.saturating_add(ahead(limit)) {
                let last = self.rows.pop().expect("more than none");
                self.forget(&key_of(plan.kind, &last));
                self.all = false;
            }
            if !self.all && self.rows.len() < limit {
                return Ok(Refreshed::Exhausted);
            }
        }
        Ok(Refreshed::ByKeys(concerned.len() as u64))
    }

    /// The rows that are shown.
    pub fn shown(&self, limit: Option<usize>) -> Vec<Row> {
        self.rows[..limit.unwrap_or(usize::MAX).min(self.rows.len())].to_vec()
    }

    /// Rows held, shown or not.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn refer_to(&self, key: &EntityKey) -> impl Iterator<Item = &EntityKey> {
        self.referring.get(&(key.kind, key.id.to_string())).into_iter().flatten()
    }

    /// The row of a key is this one now, or none.
    fn put(&mut self, key: &EntityKey, now: Option<Row>) {
        if now.is_some() && self.held.get(key) == now.as_ref() {
            return;
        }
        self.remove(key);
        let Some(row) = now else { return };
        let at = self.rows.partition_point(|r| self.compare(r, &row) == Ordering::Less);
        if at < self.rows.len() || self.all {
            self.note(key.kind, &row);
            self.rows.insert(at, row);
        }
    }

    fn remove(&mut self, key: &EntityKey) {
        let Some(row) = self.forget(key) else { return };
        if let Ok(at) = self.rows.binary_search_by(|r| self.compare(r, &row)) {
            self.rows.remove(at);
        }
    }

    /// Know nothing more of a row; the row as it was held, if it was.
    fn forget(&mut self, key: &EntityKey) -> Option<Row> {
        let row = self.held.remove(key)?;
        for target in self.targets(&row) {
            if let Some(keys) = self.referring.get_mut(&target) {
                keys.remove(key);
                if keys.is_empty() {
                    self.referring.remove(&target);
                }
            }
        }
        Some(row)
    }

    fn note(&mut self, kind: TypeId, row: &Row) {
        let key = key_of(kind, row);
        for target in self.targets(row) {
            self.referring.entry(target).or_default().insert(key.clone());
        }
        self.held.insert(key, row.clone());
    }

    fn targets(&self, row: &Row) -> Vec<(TypeId, String)> {
        let target = |(at, kind): &(usize, TypeId)| {
            Some((*kind, row.values().get(*at)?.as_str()?.to_owned()))
        };
        self.references.iter().filter_map(target).collect()
    }

    /// As the statement orders: by its columns, then by id and home scope.
    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let by = |at: usize| compare(&a.values()[at], &b.values()[at]);
        for (at, falls) in &self.order {
            let order = if *falls { by(*at).reverse() } else { by(*at) };
            if order != Ordering::Equal {
                return order;
            }
        }
        by(0).then_with(|| by(1))
    }
}

fn ahead(limit: usize) -> usize {
    (limit / 2).clamp(AHEAD_ROWS_MIN, AHEAD_ROWS_MAX)
}

/// Tables begin with the id and the home scope.
fn key_of(kind: TypeId, row: &Row) -> EntityKey {
    let text = |at: usize| row.values().get(at).and_then(SqlValue::as_str).unwrap_or_default();
    EntityKey { home: Arc::from(text(1)), kind, id: Arc::from(text(0)) }
}

/// The order of SQLite's values: NULL, numbers, texts by their bytes, blobs.
fn compare(a: &SqlValue, b: &SqlValue) -> Ordering {
    use SqlValue::{Blob, Integer, Null, Real, Text};
    let class = |v: &SqlValue| match v {
        Null => 0,
        Integer(_) | Real(_) => 1,
        Text(_) => 2,
        Blob(_) => 3,
    };
    match (a, b) {
        (Integer(a), Integer(b)) => a.cmp(b),
        (Real(a), Real(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Integer(a), Real(b)) => compare_mixed(*a, *b),
        (Real(a), Integer(b)) => compare_mixed(*b, *a).reverse(),
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Blob(a), Blob(b)) => a.cmp(b),
        _ => class(a).cmp(&class(b)),
    }
}

/// Exact, where a conversion would round. SQLite has no NaN.
fn compare_mixed(whole: i64, real: f64) -> Ordering {
    const ABOVE_ALL: f64 = 9_223_372_036_854_775_808.0;
    if real >= ABOVE_ALL {
        return Ordering::Less;
    }
    if real < -ABOVE_ALL {
        return Ordering::Greater;
    }
    let below = real.floor();
    let fraction = if real > below { Ordering::Less } else { Ordering::Equal };
    whole.cmp(&(below as i64)).then(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ordered_as_sqlite_orders_them() {
        let big = 9_007_199_254_740_993_i64;
        let mut values: Vec<SqlValue> = vec![
            SqlValue::Null,
            0.into(),
            (-1).into(),
            i64::MIN.into(),
            i64::MAX.into(),
            big.into(),
            (big as f64).into(),
            0.5.into(),
            (-0.5).into(),
            f64::INFINITY.into(),
            f64::NEG_INFINITY.into(),
            9_223_372_036_854_775_807.0.into(),
            "".into(),
            "Z".into(),
            "a".into(),
            "ä".into(),
            "a\0b".into(),
            SqlValue::Blob(vec![]),
            SqlValue::Blob(vec![255]),
        ];
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (v)").unwrap();
        for value in &values {
            conn.execute("INSERT INTO t VALUES (?)", [value]).unwrap();
        }
        let sorted = read::store::query(&conn, "SELECT v FROM t ORDER BY v", &[]).unwrap();
        let theirs: Vec<SqlValue> = sorted.iter().map(|row| row.values()[0].clone()).collect();
        values.sort_by(compare);
        assert_eq!(values, theirs);
    }
}
