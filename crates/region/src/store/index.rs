//! The change index: per (scope, entity) and log, the last position that touched the entity.
//!
//! Three orders answer [`Database::read_changed`]:
//! - `entry` has a scope's entities in key order: for a first sync, which lacks everything;
//! - `touch_by_seq` has a scope's entities by log and number: what lies above a cursor is found in
//!   O(what changed), log by log, and then sorted by key;
//! - `touch` has the logs of one entity: where so much changed that finding it all for every page
//!   would cost more than reading the scope once, entities are walked in key order and each is
//!   held against the cursor.
//!
//! The size of a scope is kept in its row, and written once per commit.

use landfall_model::id::EntityKey;
use landfall_model::vector::{Origin, Vector};
use std::collections::HashMap;

use super::database::Database;
use super::entities::{key_column, key_or_first, limit_column};
use super::error::Error;
use super::values::{Number, key_bytes, key_from_bytes};

// Not one statement with ON CONFLICT DO UPDATE: for that, SQLite keeps a journal of the statement.
pub const TOUCH: &str =
    "INSERT OR IGNORE INTO touch (scope, entity, origin, seq) VALUES (?1, ?2, ?3, ?4)";
pub const TOUCH_AGAIN: &str =
    "UPDATE touch SET seq = ?4 WHERE scope = ?1 AND entity = ?2 AND origin = ?3 AND seq < ?4";
pub const ALL: &str = "SELECT key FROM entry WHERE scope = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
pub const NEXT_ORIGIN: &str =
    "SELECT origin FROM touch WHERE scope = ?1 AND origin > ?2 ORDER BY origin LIMIT 1";
pub const ABOVE: &str =
    "SELECT entity FROM touch WHERE scope = ?1 AND origin = ?2 AND seq > ?3 LIMIT ?4";
pub const WALK: &str = "SELECT e.key, t.origin, t.seq
     FROM entry e CROSS JOIN touch t ON t.scope = e.scope AND t.entity = e.entity
     WHERE e.scope = ?1 AND e.key > ?2 ORDER BY e.key";

impl Database {
    pub(super) fn write_touch(
        &mut self,
        scope: &str,
        key: &EntityKey,
        origin: Origin,
        seq: u64,
    ) -> Result<(), Error> {
        if seq == 0 {
            // Numbers begin at 1; an entry that every cursor covers would be none.
            return Ok(());
        }
        let (scope, entity) = (self.name_scope(scope)?, self.name_entity(key)?);
        let origin = self.name_origin(origin)?;
        let touch = (scope, entity, origin, Number(seq));
        if self.statement(TOUCH)?.execute(touch)? == 0 {
            self.statement(TOUCH_AGAIN)?.execute(touch)?;
        }
        if self.entry_may_be_new(scope, entity) {
            let added = self
                .statement("INSERT OR IGNORE INTO entry (scope, key, entity) VALUES (?1, ?2, ?3)")?
                .execute((scope, key_bytes(key), entity))?;
            *self.grown.entry(scope).or_default() += added as u64;
        }
        Ok(())
    }

    pub(super) fn read_changed(
        &mut self,
        scope: &str,
        cursor: &Vector,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let Some(number) = self.scope_number(scope)? else { return Ok(Vec::new()) };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let after = key_or_first(after);
        let covered = self.covered(cursor)?;
        if covered.is_empty() {
            return self.all_entries(number, &after, limit);
        }
        let most = worth_collecting(self.read_scope_size(scope)?, limit);
        match self.entities_above(number, &covered, most)? {
            Some(entities) => self.in_key_order(&entities, &after, limit),
            None => self.walk(number, &covered, &after, limit),
        }
    }

    /// How far a cursor covers each log that is known here, by the log's number.
    fn covered(&mut self, cursor: &Vector) -> Result<HashMap<i64, u64>, Error> {
        let mut covered = HashMap::with_capacity(cursor.len());
        for (origin, seq) in cursor.iter() {
            if let Some(number) = self.origin_number(origin)? {
                covered.insert(number, seq);
            }
        }
        Ok(covered)
    }

    fn all_entries(&self, scope: i64, after: &[u8], limit: usize) -> Result<Vec<EntityKey>, Error> {
        let mut statement = self.statement(ALL)?;
        let mut rows = statement.query((scope, after, limit_column(limit)))?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.push(key_column(row, 0)?);
        }
        Ok(keys)
    }

    /// Entities touched above the cursor, each once; nothing if there are more than `most` touches.
    fn entities_above(
        &self,
        scope: i64,
        covered: &HashMap<i64, u64>,
        most: usize,
    ) -> Result<Option<Vec<i64>>, Error> {
        let mut entities: Vec<i64> = Vec::new();
        let mut statement = self.statement(ABOVE)?;
        for origin in self.origins_in(scope)? {
            let above = Number(covered.get(&origin).copied().unwrap_or(0));
            // One more than is wanted tells that there are too many.
            let room = limit_column(most - entities.len() + 1);
            let found = statement.query_map((scope, origin, above, room), |row| row.get(0))?;
            for entity in found {
                entities.push(entity?);
            }
            if entities.len() > most {
                return Ok(None);
            }
        }
        entities.sort_unstable();
        entities.dedup();
        Ok(Some(entities))
    }

    /// The logs that touched a scope. Each is found by one step into the index.
    fn origins_in(&self, scope: i64) -> Result<Vec<i64>, Error> {
        let mut statement = self.statement(NEXT_ORIGIN)?;
        let mut origins = vec![];
        let mut last = i64::MIN;
        loop {
            let mut rows = statement.query((scope, last))?;
            let Some(row) = rows.next()? else { return Ok(origins) };
            last = row.get(0)?;
            origins.push(last);
        }
    }

    fn in_key_order(
        &self,
        entities: &[i64],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = self.statement("SELECT key FROM entity WHERE id = ?1")?;
        let mut keys: Vec<Vec<u8>> = Vec::with_capacity(entities.len());
        for id in entities {
            let key: Vec<u8> = statement.query_row([id], |row| row.get(0))?;
            if key.as_slice() > after {
                keys.push(key);
            }
        }
        if limit < keys.len() {
            keys.select_nth_unstable(limit);
            keys.truncate(limit);
        }
        keys.sort_unstable();
        keys.iter().map(|key| key_from_bytes(key)).collect()
    }

    fn walk(
        &self,
        scope: i64,
        covered: &HashMap<i64, u64>,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = self.statement(WALK)?;
        let mut rows = statement.query((scope, after))?;
        let mut keys: Vec<EntityKey> = Vec::new();
        // An entity has one row per log that touched it; the first above the cursor will do.
        let mut last: Vec<u8> = Vec::new();
        while let Some(row) = rows.next()? {
            let seq: Number = row.get(2)?;
            if seq.0 <= covered.get(&row.get(1)?).copied().unwrap_or(0) {
                continue;
            }
            let key: Vec<u8> = row.get(0)?;
            if key == last {
                continue;
            }
            keys.push(key_from_bytes(&key)?);
            if keys.len() == limit {
                break;
            }
            last = key;
        }
        Ok(keys)
    }

    pub(super) fn read_scope_size(&mut self, scope: &str) -> Result<u64, Error> {
        let Some(number) = self.scope_number(scope)? else { return Ok(0) };
        let written: i64 = self
            .statement("SELECT entries FROM scope WHERE id = ?1")?
            .query_row([number], |row| row.get(0))?;
        Ok(written as u64 + self.grown.get(&number).copied().unwrap_or(0))
    }

    /// Called last before a commit.
    pub(super) fn write_grown(&mut self) -> Result<(), Error> {
        let grown = std::mem::take(&mut self.grown);
        for (scope, by) in grown.into_iter().filter(|(_, by)| *by > 0) {
            self.statement("UPDATE scope SET entries = entries + ?2 WHERE id = ?1")?
                .execute((scope, by as i64))?;
        }
        Ok(())
    }
}

/// How many touches to collect for one page at most. A pass over c changed entities takes c / limit
/// pages. Collecting reads all c for each of them, walking reads the scope's size once in all: the
/// two cost the same at c = sqrt(size * limit).
fn worth_collecting(size: u64, limit: usize) -> usize {
    let product = u128::from(size) * limit as u128;
    usize::try_from(product.isqrt()).unwrap_or(usize::MAX - 1).max(64)
}
