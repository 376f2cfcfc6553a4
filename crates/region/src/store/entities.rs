//! Entities and their children.

use landfall_model::id::{EntityKey, Scope};
use landfall_sync::region::store::Record;
use rusqlite::Row;
use std::collections::BTreeSet;

use super::database::Database;
use super::error::Error;
use super::values::{decode, encode, key_bytes, key_from_bytes};

/// A record's columns, as they stand in a row.
struct Columns {
    scopes: Vec<u8>,
    touch: Vec<u8>,
    state: Vec<u8>,
}

impl Columns {
    fn of(record: &Record) -> Self {
        fn names(scopes: &BTreeSet<Scope>) -> Vec<&str> {
            scopes.iter().map(|s| &**s).collect()
        }
        Self {
            scopes: encode(&(names(&record.scopes), names(&record.past))),
            touch: encode(&record.touch),
            state: encode(&record.entity),
        }
    }
}

/// The three columns of a record from `first` on; none where the entity has not arrived.
fn record(row: &Row<'_>, first: usize) -> Result<Option<Record>, Error> {
    let bytes = |n: usize| -> Result<Option<&[u8]>, Error> {
        row.get_ref(first + n)?
            .as_blob_or_null()
            .map_err(|e| Error::Damaged { what: "an entity's row", detail: e.to_string() })
    };
    let (Some(scopes), Some(touch), Some(state)) = (bytes(0)?, bytes(1)?, bytes(2)?) else {
        return Ok(None);
    };
    let (now, past): (Vec<&str>, Vec<&str>) = decode("an entity's scopes", scopes)?;
    Ok(Some(Record {
        entity: decode("an entity's state", state)?,
        touch: decode("an entity's touch vector", touch)?,
        scopes: now.into_iter().map(Scope::from).collect(),
        past: past.into_iter().map(Scope::from).collect(),
    }))
}

impl Database {
    pub(super) fn read_entity(&mut self, key: &EntityKey) -> Result<Option<Record>, Error> {
        if let Some(id) = self.recall_entity(key) {
            let mut statement =
                self.statement("SELECT scopes, touch, state FROM entity WHERE id = ?1")?;
            let mut rows = statement.query([id])?;
            return rows.next()?.map_or(Ok(None), |row| record(row, 0));
        }
        // Not remembered: name and record in one look-up.
        let found = {
            let mut statement =
                self.statement("SELECT id, scopes, touch, state FROM entity WHERE key = ?1")?;
            let mut rows = statement.query([key_bytes(key)])?;
            match rows.next()? {
                Some(row) => Some((row.get(0)?, record(row, 1)?)),
                None => None,
            }
        };
        let Some((id, found)) = found else {
            self.names.absent = Some(key.clone());
            return Ok(None);
        };
        self.remember_entity(key, id);
        Ok(found)
    }

    /// The entities of a scope, in one walk of its entries.
    pub(super) fn read_entries(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Option<Record>)>, Error> {
        let Some(scope) = self.scope_number(scope)? else { return Ok(Vec::new()) };
        let mut statement = self.statement(
            "SELECT e.key, n.scopes, n.touch, n.state
             FROM entry e CROSS JOIN entity n ON n.id = e.entity
             WHERE e.scope = ?1 AND e.key > ?2 ORDER BY e.key LIMIT ?3",
        )?;
        let mut rows = statement.query((scope, key_or_first(after), limit_column(limit)))?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push((key_column(row, 0)?, record(row, 1)?));
        }
        Ok(entries)
    }

    pub(super) fn write_entity(&mut self, key: &EntityKey, record: &Record) -> Result<(), Error> {
        let Columns { scopes, touch, state } = Columns::of(record);
        if let Some(id) = self.recall_entity(key) {
            self.statement("UPDATE entity SET scopes = ?2, touch = ?3, state = ?4 WHERE id = ?1")?
                .execute((id, scopes, touch, state))?;
            return Ok(());
        }
        if self.names.absent.take_if(|absent| absent == key).is_none()
            && self.entity_number(key)?.is_some()
        {
            return self.write_entity(key, record);
        }
        self.statement("INSERT INTO entity (key, scopes, touch, state) VALUES (?1, ?2, ?3, ?4)")?
            .execute((key_bytes(key), scopes, touch, state))?;
        let id = self.connection.last_insert_rowid();
        self.remember_entity(key, id);
        Ok(())
    }

    pub(super) fn write_child(
        &mut self,
        parent: &EntityKey,
        child: &EntityKey,
    ) -> Result<(), Error> {
        let ids = (self.name_entity(parent)?, self.name_entity(child)?);
        self.statement("INSERT OR IGNORE INTO child (parent, child) VALUES (?1, ?2)")?
            .execute(ids)?;
        Ok(())
    }

    pub(super) fn read_children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Error> {
        let Some(id) = self.entity_number(parent)? else { return Ok(Vec::new()) };
        let mut statement = self.statement(
            "SELECT e.key FROM child c CROSS JOIN entity e ON e.id = c.child
             WHERE c.parent = ?1 ORDER BY e.key",
        )?;
        let mut rows = statement.query([id])?;
        let mut children = Vec::new();
        while let Some(row) = rows.next()? {
            children.push(key_column(row, 0)?);
        }
        Ok(children)
    }

    pub(super) fn read_entities(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Record)>, Error> {
        let mut statement = self.statement(
            "SELECT key, scopes, touch, state FROM entity
             WHERE key > ?1 AND state IS NOT NULL ORDER BY key LIMIT ?2",
        )?;
        let mut rows = statement.query((key_or_first(after), limit_column(limit)))?;
        let mut entities = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(found) = record(row, 1)? {
                entities.push((key_column(row, 0)?, found));
            }
        }
        Ok(entities)
    }
}

/// What every key is above, or above or at.
pub fn key_or_first(key: Option<&EntityKey>) -> Vec<u8> {
    key.map(key_bytes).unwrap_or_default()
}

pub fn limit_column(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub fn key_column(row: &Row<'_>, n: usize) -> Result<EntityKey, Error> {
    let bytes = row
        .get_ref(n)?
        .as_blob()
        .map_err(|e| Error::Damaged { what: "an entity's key", detail: e.to_string() })?;
    key_from_bytes(bytes)
}
