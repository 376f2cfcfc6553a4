//! Long names and the numbers that stand for them.
//!
//! Scopes, logs and entities are named in many rows. Each name is written once and is a rowid
//! elsewhere, which keeps the change index small and its rows of one size. The numbers mean
//! nothing outside of this file.
//!
//! What was looked up is remembered. A number that the open transaction gave is gone if it is
//! rolled back, so [`Names::forget`] is called then, and everything is looked up anew.

use landfall_model::id::{EntityKey, RegionId, Scope, StreamId};
use landfall_model::vector::Origin;
use rusqlite::{OptionalExtension, Row};
use std::collections::HashMap;

use super::cache::Cache;
use super::database::Database;
use super::error::Error;
use super::values::{Number, key_bytes};

/// Names remembered per generation of a cache; a generation of entities takes about 10 MB.
const NAMES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub struct Names {
    entities: Cache<EntityKey, i64>,
    scopes: Cache<Scope, i64>,
    /// (scope, entity) that have a row in the change index.
    entries: Cache<(i64, i64), ()>,
    /// All of them, read once: there are a few hundred at most.
    origins: Option<Origins>,
}

#[derive(Debug, Default)]
struct Origins {
    number: HashMap<Origin, i64>,
    name: HashMap<i64, Origin>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            entities: Cache::new(NAMES_MAX),
            scopes: Cache::new(NAMES_MAX),
            entries: Cache::new(NAMES_MAX),
            origins: None,
        }
    }

    pub fn forget(&mut self) {
        self.entities.clear();
        self.scopes.clear();
        self.entries.clear();
        self.origins = None;
    }
}

impl Database {
    /// The number of an entity, if it has one.
    pub(super) fn entity_number(&mut self, key: &EntityKey) -> Result<Option<i64>, Error> {
        if let Some(id) = self.names.entities.get(key) {
            return Ok(Some(id));
        }
        if let Some(id) = self.gathered_entity(key)? {
            return Ok(Some(id));
        }
        let found = self
            .statement("SELECT id FROM entity WHERE key = ?1")?
            .query_row([key_bytes(key)], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            self.remember_entity(key, id);
        }
        Ok(found)
    }

    /// The number of an entity, given now if it has none.
    pub(super) fn name_entity(&mut self, key: &EntityKey) -> Result<i64, Error> {
        if let Some(id) = self.entity_number(key)? {
            return Ok(id);
        }
        self.add_unarrived(key)
    }

    /// A number that is remembered, without a look at the file.
    pub(super) fn recall_entity(&mut self, key: &EntityKey) -> Option<i64> {
        self.names.entities.get(key)
    }

    pub(super) fn remember_entity(&mut self, key: &EntityKey, id: i64) {
        self.names.entities.insert(key.clone(), id);
    }

    pub(super) fn scope_number(&mut self, scope: &str) -> Result<Option<i64>, Error> {
        if let Some(id) = self.names.scopes.get(scope) {
            return Ok(Some(id));
        }
        let found = self
            .statement("SELECT id FROM scope WHERE name = ?1")?
            .query_row([scope], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            self.names.scopes.insert(scope.into(), id);
        }
        Ok(found)
    }

    pub(super) fn name_scope(&mut self, scope: &str) -> Result<i64, Error> {
        if let Some(id) = self.scope_number(scope)? {
            return Ok(id);
        }
        self.statement("INSERT INTO scope (name, entries) VALUES (?1, 0)")?.execute([scope])?;
        let id = self.connection.last_insert_rowid();
        self.names.scopes.insert(scope.into(), id);
        Ok(id)
    }

    /// True the first time that it is asked for the pair, or if that was long ago.
    pub(super) fn entry_may_be_new(&mut self, scope: i64, entity: i64) -> bool {
        let known = self.names.entries.get(&(scope, entity)).is_some();
        if !known {
            self.names.entries.insert((scope, entity), ());
        }
        !known
    }

    pub(super) fn origin_number(&mut self, origin: Origin) -> Result<Option<i64>, Error> {
        Ok(self.origins()?.number.get(&origin).copied())
    }

    pub(super) fn name_origin(&mut self, origin: Origin) -> Result<i64, Error> {
        if let Some(id) = self.origin_number(origin)? {
            return Ok(id);
        }
        self.statement("INSERT INTO origin (region, incarnation, stream) VALUES (?1, ?2, ?3)")?
            .execute((origin.region.0, Number(origin.incarnation), origin.stream.0))?;
        let id = self.connection.last_insert_rowid();
        let origins = self.origins()?;
        origins.number.insert(origin, id);
        origins.name.insert(id, origin);
        Ok(id)
    }

    pub(super) fn origin_named(&mut self, id: i64) -> Result<Origin, Error> {
        self.origins()?.name.get(&id).copied().ok_or_else(|| Error::Damaged {
            what: "a log's name",
            detail: "it is used and not defined".to_owned(),
        })
    }

    fn origins(&mut self) -> Result<&mut Origins, Error> {
        if self.names.origins.is_none() {
            self.names.origins = Some(self.read_origins()?);
        }
        Ok(self.names.origins.get_or_insert_default())
    }

    fn read_origins(&self) -> Result<Origins, Error> {
        let mut origins = Origins::default();
        let mut statement = self.statement("SELECT id, region, incarnation, stream FROM origin")?;
        for named in statement.query_map((), origin_row)? {
            let (id, origin) = named?;
            origins.number.insert(origin, id);
            origins.name.insert(id, origin);
        }
        Ok(origins)
    }
}

fn origin_row(row: &Row<'_>) -> rusqlite::Result<(i64, Origin)> {
    let incarnation: Number = row.get(2)?;
    let origin = Origin {
        region: RegionId(row.get(1)?),
        incarnation: incarnation.0,
        stream: StreamId(row.get(3)?),
    };
    Ok((row.get(0)?, origin))
}
