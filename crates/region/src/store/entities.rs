//! Entities and their children.
//!
//! What one transaction writes of an entity, its record and its entry in the index of its home
//! scope, is gathered in memory and is one row when it is written.

use landfall_model::id::{EntityKey, Scope};
use landfall_model::vector::{Origin, Vector};
use landfall_sync::region::store::Record;
use rusqlite::Row;
use std::collections::{BTreeSet, HashMap};

use super::database::Database;
use super::error::Error;
use super::values::{decode, encode, home_bytes, key_bytes, key_from_bytes};

/// Entities that are gathered at most, before all of them are written.
const ENTITIES_MAX: usize = 4_096;

/// What the open transaction knows of entities.
#[derive(Debug, Default)]
pub struct Entities {
    known: HashMap<EntityKey, Known>,
}

/// An entity's row, and what is to become of it.
#[derive(Debug, Default)]
struct Known {
    /// Its number; none while there is no row.
    id: Option<i64>,
    /// What the entry of its home scope covers in the file.
    stored: Option<Vector>,
    heard: Option<Vector>,
    /// Written, and not in the file yet.
    record: Option<Record>,
}

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

impl Entities {
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

impl Known {
    fn is_changed(&self) -> bool {
        self.record.is_some() || self.heard != self.stored
    }

    /// What the row's column is to say of it.
    fn heard_column(&self) -> Option<Vec<u8>> {
        let heard = self.heard.as_ref()?;
        let as_touched = self.record.as_ref().is_some_and(|record| record.touch == *heard);
        Some(if as_touched { Vec::new() } else { encode(heard) })
    }
}

impl Database {
    pub(super) fn read_entity(&mut self, key: &EntityKey) -> Result<Option<Record>, Error> {
        let Some(known) = self.entities.known.get(key) else {
            return self.load_entity(key);
        };
        if known.record.is_some() {
            return Ok(known.record.clone());
        }
        let Some(id) = known.id else { return Ok(None) };
        let mut statement =
            self.statement("SELECT scopes, touch, state FROM entity WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        rows.next()?.map_or(Ok(None), |row| record(row, 0))
    }

    pub(super) fn write_entity(&mut self, key: &EntityKey, record: Record) -> Result<(), Error> {
        self.known_entity(key)?.record = Some(record);
        Ok(())
    }

    /// The entity's entry in its home scope covers the log so far.
    pub(super) fn hear_at_home(
        &mut self,
        key: &EntityKey,
        origin: Origin,
        seq: u64,
    ) -> Result<(), Error> {
        self.known_entity(key)?.heard.get_or_insert_default().advance(origin, seq);
        Ok(())
    }

    fn known_entity(&mut self, key: &EntityKey) -> Result<&mut Known, Error> {
        if !self.entities.known.contains_key(key) {
            self.load_entity(key)?;
        }
        Ok(self.entities.known.get_mut(key).expect("loaded above"))
    }

    /// Read the row, and remember it without its record.
    fn load_entity(&mut self, key: &EntityKey) -> Result<Option<Record>, Error> {
        if self.entities.known.len() >= ENTITIES_MAX {
            self.write_entities()?;
        }
        let mut known = Known::default();
        let mut found = None;
        {
            let (by_id, by_key) = (
                "SELECT id, scopes, touch, state, heard FROM entity WHERE id = ?1",
                "SELECT id, scopes, touch, state, heard FROM entity WHERE key = ?1",
            );
            let id = self.recall_entity(key);
            let mut statement = self.statement(if id.is_some() { by_id } else { by_key })?;
            let mut rows = match id {
                Some(id) => statement.query([id])?,
                None => statement.query([key_bytes(key)])?,
            };
            if let Some(row) = rows.next()? {
                known.id = Some(row.get(0)?);
                found = record(row, 1)?;
                known.stored = heard(row, 4, found.as_ref().map(|record| &record.touch))?;
                known.heard.clone_from(&known.stored);
            }
        }
        if let Some(id) = known.id {
            self.remember_entity(key, id);
        }
        self.entities.known.insert(key.clone(), known);
        Ok(found)
    }

    /// A row for an entity that others refer to and that has not arrived.
    pub(super) fn add_unarrived(&mut self, key: &EntityKey) -> Result<i64, Error> {
        self.statement("INSERT INTO entity (key) VALUES (?1)")?.execute([key_bytes(key)])?;
        let id = self.connection.last_insert_rowid();
        if let Some(known) = self.entities.known.get_mut(key) {
            known.id = Some(id);
        }
        self.remember_entity(key, id);
        Ok(id)
    }

    /// Write what is gathered. Called before what is read in any other way than by key, and before
    /// the commit.
    pub(super) fn write_entities(&mut self) -> Result<(), Error> {
        let mut gathered: Vec<_> = self.entities.known.drain().collect();
        // By key, as they stand in the file.
        gathered.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        gathered.iter_mut().try_for_each(|(key, known)| self.write_known(key, known))
    }

    /// The number of an entity that is gathered, once it has a row: `None` if it is not gathered.
    pub(super) fn gathered_entity(&mut self, key: &EntityKey) -> Result<Option<i64>, Error> {
        let Some((key, mut known)) = self.entities.known.remove_entry(key) else {
            return Ok(None);
        };
        if known.id.is_none() {
            self.write_known(&key, &mut known)?;
        }
        let id = known.id;
        self.entities.known.insert(key, known);
        Ok(id)
    }

    fn write_known(&mut self, key: &EntityKey, known: &mut Known) -> Result<(), Error> {
        if !known.is_changed() {
            return Ok(());
        }
        let heard = known.heard_column();
        let columns = known.record.take().map(|record| Columns::of(&record));
        let id = match (known.id, columns) {
            (Some(id), Some(Columns { scopes, touch, state })) => {
                let sql = "UPDATE entity SET scopes = ?2, touch = ?3, state = ?4, heard = ?5
                           WHERE id = ?1";
                self.statement(sql)?.execute((id, scopes, touch, state, heard))?;
                id
            }
            (Some(id), None) => {
                let sql = "UPDATE entity SET heard = ?2 WHERE id = ?1";
                self.statement(sql)?.execute((id, heard))?;
                id
            }
            (None, columns) => {
                let sql = "INSERT INTO entity (key, scopes, touch, state, heard)
                           VALUES (?1, ?2, ?3, ?4, ?5)";
                let (scopes, touch, state) = match columns {
                    Some(Columns { scopes, touch, state }) => {
                        (Some(scopes), Some(touch), Some(state))
                    }
                    None => (None, None, None),
                };
                self.statement(sql)?.execute((key_bytes(key), scopes, touch, state, heard))?;
                self.connection.last_insert_rowid()
            }
        };
        if known.id.is_none() {
            self.remember_entity(key, id);
            known.id = Some(id);
        }
        let before = std::mem::replace(&mut known.stored, known.heard.clone());
        match &known.heard {
            Some(heard) => self.index_at_home(key, id, before.as_ref(), heard),
            None => Ok(()),
        }
    }

    /// The entities of a scope, each with what is known of it, in one walk.
    pub(super) fn read_entries(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Option<Record>)>, Error> {
        self.write_entities()?;
        let Some(number) = self.scope_number(scope)? else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        {
            let mut statement = self.statement(
                "SELECT key, scopes, touch, state FROM entity
                 WHERE key > ?1 AND key < ?2 AND heard IS NOT NULL ORDER BY key LIMIT ?3",
            )?;
            let (from, to) = keys_at_home(scope, after);
            let mut rows = statement.query((from, to, limit_column(limit)))?;
            while let Some(row) = rows.next()? {
                entries.push((key_column(row, 0)?, record(row, 1)?));
            }
        }
        let at_home = entries.len();
        let mut statement = self.statement(
            "SELECT e.key, n.scopes, n.touch, n.state
             FROM entry e CROSS JOIN entity n ON n.id = e.entity
             WHERE e.scope = ?1 AND e.key > ?2 ORDER BY e.key LIMIT ?3",
        )?;
        let mut rows = statement.query((number, key_or_first(after), limit_column(limit)))?;
        while let Some(row) = rows.next()? {
            entries.push((key_column(row, 0)?, record(row, 1)?));
        }
        if (1..entries.len()).contains(&at_home) {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.truncate(limit);
        }
        Ok(entries)
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
        self.write_entities()?;
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

/// What the entry of an entity's home scope covers, given the touch vector beside it.
pub fn heard(row: &Row<'_>, n: usize, touch: Option<&Vector>) -> Result<Option<Vector>, Error> {
    const WHAT: &str = "what an entity's home has heard of it";
    let bytes = row
        .get_ref(n)?
        .as_blob_or_null()
        .map_err(|e| Error::Damaged { what: WHAT, detail: e.to_string() })?;
    match (bytes, touch) {
        (None, _) => Ok(None),
        (Some([]), Some(touch)) => Ok(Some(touch.clone())),
        (Some(bytes), _) => decode(WHAT, bytes).map(Some),
    }
}

/// The bytes between which the keys of a home scope lie, those after `after`.
pub fn keys_at_home(scope: &str, after: Option<&EntityKey>) -> (Vec<u8>, Vec<u8>) {
    let (from, to) = home_bytes(scope);
    (from.max(key_or_first(after)), to)
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
