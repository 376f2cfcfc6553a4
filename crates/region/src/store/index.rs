//! The change index: per (scope, entity) and log, the last position that touched the entity.
//!
//! Where an entry is kept depends on its scope. Every entity has one in its home scope from its
//! first op on, so that one is a column of its own row ([`super::entities`]); the others, of
//! audiences, are rows of `touch` and `entry`. Three orders answer [`Database::read_changed`]:
//! - by key (`entity`, `entry`): for a first sync, which lacks everything;
//! - by log and number (`change`): what lies above a cursor is found in O(what changed), log by
//!   log, and then sorted by key;
//! - by key, with what each entry covers (`entity`, `touch`): where so much changed that finding
//!   it all for every page would cost more than reading the scope once, entities are walked and
//!   each is held against the cursor.
//!
//! The size of a scope is kept in its row, and written once per commit.

use landfall_model::id::EntityKey;
use landfall_model::vector::{Origin, Vector};
use rusqlite::Row;
use std::collections::HashMap;

use super::database::Database;
use super::entities::{heard, key_column, key_or_first, keys_at_home, limit_column};
use super::error::Error;
use super::values::{Number, decode, encode, key_bytes, key_from_bytes};

pub const AT_HOME: &str = "SELECT key, touch, heard FROM entity
     WHERE key > ?1 AND key < ?2 AND heard IS NOT NULL ORDER BY key";
pub const ALL: &str = "SELECT key FROM entry WHERE scope = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
pub const NEXT_ORIGIN: &str =
    "SELECT origin FROM change WHERE scope = ?1 AND origin > ?2 ORDER BY origin LIMIT 1";
pub const ABOVE: &str =
    "SELECT entity FROM change WHERE scope = ?1 AND origin = ?2 AND seq > ?3 LIMIT ?4";
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
        if *scope == *key.home {
            return self.hear_at_home(key, origin, seq);
        }
        let (scope, entity) = (self.name_scope(scope)?, self.name_entity(key)?);
        let origin = self.name_origin(origin)?;
        // Not one statement with ON CONFLICT DO UPDATE: for that, SQLite keeps a journal of it.
        let added = self
            .statement(
                "INSERT OR IGNORE INTO touch (scope, entity, origin, seq) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((scope, entity, origin, Number(seq)))?;
        let before = if added == 0 { Some(self.touched(scope, entity, origin)?) } else { None };
        if before.is_some_and(|before| before >= seq) {
            return Ok(());
        }
        if before.is_some() {
            self.statement(
                "UPDATE touch SET seq = ?4 WHERE scope = ?1 AND entity = ?2 AND origin = ?3",
            )?
            .execute((scope, entity, origin, Number(seq)))?;
        }
        self.move_change(scope, origin, entity, before, Some(seq))?;
        if self.entry_may_be_new(scope, entity) {
            let added = self
                .statement("INSERT OR IGNORE INTO entry (scope, key, entity) VALUES (?1, ?2, ?3)")?
                .execute((scope, key_bytes(key), entity))?;
            *self.grown.entry(scope).or_default() += added as u64;
        }
        Ok(())
    }

    fn touched(&self, scope: i64, entity: i64, origin: i64) -> Result<u64, Error> {
        let sql = "SELECT seq FROM touch WHERE scope = ?1 AND entity = ?2 AND origin = ?3";
        let seq: Number =
            self.statement(sql)?.query_row((scope, entity, origin), |row| row.get(0))?;
        Ok(seq.0)
    }

    /// The entry of an entity in its home scope covers other positions than before.
    pub(super) fn index_at_home(
        &mut self,
        key: &EntityKey,
        entity: i64,
        before: Option<&Vector>,
        heard: &Vector,
    ) -> Result<(), Error> {
        let scope = self.name_scope(&key.home)?;
        *self.grown.entry(scope).or_default() += u64::from(before.is_none());
        for (origin, seq) in heard.iter() {
            let known = before.map(|before| before.get(origin)).filter(|known| *known > 0);
            if known != Some(seq) {
                let origin = self.name_origin(origin)?;
                self.move_change(scope, origin, entity, known, Some(seq))?;
            }
        }
        Ok(())
    }

    fn move_change(
        &self,
        scope: i64,
        origin: i64,
        entity: i64,
        before: Option<u64>,
        seq: Option<u64>,
    ) -> Result<(), Error> {
        if let Some(before) = before {
            self.statement(
                "DELETE FROM change
                 WHERE scope = ?1 AND origin = ?2 AND seq = ?3 AND entity = ?4",
            )?
            .execute((scope, origin, Number(before), entity))?;
        }
        if let Some(seq) = seq {
            self.statement(
                "INSERT INTO change (scope, origin, seq, entity) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((scope, origin, Number(seq), entity))?;
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
        self.write_entities()?;
        let Some(number) = self.scope_number(scope)? else { return Ok(Vec::new()) };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let covered = self.covered(cursor)?;
        let at_home = keys_at_home(scope, after);
        let after = key_or_first(after);
        if !covered.is_empty() {
            let most = worth_collecting(self.read_scope_size(scope)?, limit);
            if let Some(entities) = self.entities_above(number, &covered, most)? {
                return self.in_key_order(&entities, &after, limit);
            }
        }
        let mut keys = self.walk_home(at_home, cursor, !covered.is_empty(), limit)?;
        let others = match covered.is_empty() {
            true => self.all_entries(number, &after, limit)?,
            false => self.walk(number, &covered, &after, limit)?,
        };
        if !others.is_empty() {
            keys.extend(others);
            keys.sort_unstable();
            keys.truncate(limit);
        }
        Ok(keys)
    }

    /// Entities of a home scope in key order: all, or those that the cursor does not cover.
    fn walk_home(
        &self,
        (from, to): (Vec<u8>, Vec<u8>),
        cursor: &Vector,
        above: bool,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = self.statement(AT_HOME)?;
        let mut rows = statement.query((from, to))?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            if above && self.heard_in(row)?.is_none_or(|heard| cursor.covers(&heard)) {
                continue;
            }
            keys.push(key_column(row, 0)?);
            if keys.len() == limit {
                break;
            }
        }
        Ok(keys)
    }

    fn heard_in(&self, row: &Row<'_>) -> Result<Option<Vector>, Error> {
        let touch: Option<Vec<u8>> = row.get(1)?;
        let touch: Option<Vector> =
            touch.map(|bytes| decode("an entity's touch vector", &bytes)).transpose()?;
        heard(row, 2, touch.as_ref())
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

    /// Bring all entries down to a log's number, as a cut demands. Durable with the transaction.
    pub(super) fn clip_touches(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        self.write_entities()?;
        let (number, last) = (self.name_origin(origin)?, Number(last));
        self.clip_homes(origin, number, last.0)?;
        if last.0 == 0 {
            self.statement("DELETE FROM touch WHERE origin = ?1")?.execute([number])?;
        } else {
            self.statement("UPDATE touch SET seq = ?2 WHERE origin = ?1 AND seq > ?2")?
                .execute((number, last))?;
            self.statement(
                "INSERT OR IGNORE INTO change (scope, origin, seq, entity)
                 SELECT scope, origin, ?2, entity FROM change WHERE origin = ?1 AND seq > ?2",
            )?
            .execute((number, last))?;
        }
        self.statement("DELETE FROM change WHERE origin = ?1 AND seq > ?2")?
            .execute((number, last))?;
        Ok(())
    }

    fn clip_homes(&mut self, origin: Origin, number: i64, last: u64) -> Result<(), Error> {
        let entities: Vec<i64> = self
            .statement("SELECT DISTINCT entity FROM change WHERE origin = ?1 AND seq > ?2")?
            .query_map((number, Number(last)), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in entities {
            let heard = self
                .statement("SELECT key, touch, heard FROM entity WHERE id = ?1")?
                .query_and_then([id], |row| self.heard_in(row))?
                .next();
            let Some(mut heard) = heard.transpose()?.flatten() else { continue };
            if heard.clip(origin, last) {
                self.statement("UPDATE entity SET heard = ?2 WHERE id = ?1")?
                    .execute((id, encode(&heard)))?;
            }
        }
        Ok(())
    }

    pub(super) fn read_scope_size(&mut self, scope: &str) -> Result<u64, Error> {
        self.write_entities()?;
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
