//! The open store: one connection, one transaction at a time.
//!
//! The driver owns the [`Database`] and brackets the node's work with [`Database::begin`] and
//! [`Database::commit`]. When `commit` has returned, the transaction is on the disk (WAL with
//! synchronous=FULL: one fsync), and only then may anything leave the region. If a call fails, or
//! the work is given up, the driver calls [`Database::rollback`]; if the process dies instead,
//! SQLite does the same at the next opening.
//!
//! Beside the file there is memory that only saves look-ups: numbers of names ([`super::names`]),
//! heads of logs, devices ([`super::devices`]), and how many entries a scope gained; and what the
//! transaction gathers to write it in fewer rows: entities ([`super::entities`]) and records of ops
//! ([`super::dots`]). A rollback throws it away. What is written last before the commit: what was
//! gathered, heads, devices, sizes, and the commit counter.

use landfall_model::id::RegionId;
use landfall_model::vector::Origin;
use landfall_sync::region::store::{Head, Identity};
use rusqlite::{CachedStatement, Connection, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use super::devices::Devices;
use super::dots::Dots;
use super::entities::Entities;
use super::error::{Error, OpenError};
use super::marker::{Facts, FileIdentity};
use super::names::Names;
use super::open;
use super::values::Number;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for pages of the file, bytes.
    pub cache_bytes: usize,
    /// Size to which the write-ahead log is cut back after a checkpoint, bytes.
    pub wal_bytes_max: u64,
    /// Read and check the whole file before it is used. Takes time in proportion to its size.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, wal_bytes_max: 64 << 20, verify: false }
    }
}

/// A region's store in an SQLite file. See the module's description.
#[derive(Debug)]
pub struct Database {
    // Fields are dropped in this order: the lock outlives the connection.
    pub(super) connection: Connection,
    _lock: File,
    /// Taken once: if another file is put in its place, this one still is what is written to.
    file: FileIdentity,
    pub(super) names: Names,
    pub(super) heads: Heads,
    pub(super) devices: Devices,
    pub(super) dots: Dots,
    pub(super) entities: Entities,
    /// Entries that scopes gained in this transaction, by scope number.
    pub(super) grown: HashMap<i64, u64>,
    /// Whether there is a document, once asked; never goes back to false.
    pub(super) any_text: Option<bool>,
    commits: u64,
    /// SQLite's count of changed rows when the transaction began; none is open without it.
    begun_at: Option<u64>,
}

/// Heads of all logs, and those that the open transaction moved.
#[derive(Debug, Default)]
pub(super) struct Heads {
    pub(super) of: BTreeMap<Origin, Head>,
    pub(super) moved: BTreeSet<Origin>,
}

impl Database {
    /// Open the store at `path`, or make it if there is nothing. A file that is anything else than
    /// a store that this build can use is left as it is.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let (connection, lock) = open::open(path, options)?;
        let mut database = Self {
            connection,
            _lock: lock,
            file: FileIdentity::of(path)?,
            names: Names::new(),
            heads: Heads::default(),
            devices: Devices::new(),
            dots: Dots::default(),
            entities: Entities::default(),
            grown: HashMap::new(),
            any_text: None,
            commits: 0,
            begun_at: None,
        };
        database.begin()?;
        database.commits = database.read_commits()?;
        database.commit()?;
        Ok(database)
    }

    /// Start a transaction; nobody else can write until it ends.
    pub fn begin(&mut self) -> Result<(), Error> {
        if self.begun_at.is_some() {
            return Err(Error::OutOfTransaction);
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        self.begun_at = Some(self.connection.total_changes());
        if self.heads.of.is_empty() {
            self.heads.of = self.read_heads()?;
        }
        Ok(())
    }

    /// Make the transaction durable. If this fails, nothing of it is kept.
    pub fn commit(&mut self) -> Result<(), Error> {
        let committed = self.try_commit();
        if committed.is_err() {
            self.rollback();
        }
        committed
    }

    fn try_commit(&mut self) -> Result<(), Error> {
        let begun_at = self.begun_at.ok_or(Error::OutOfTransaction)?;
        self.write_entities()?;
        self.write_dots()?;
        self.write_grown()?;
        self.write_heads()?;
        self.write_devices()?;
        let changed = self.connection.total_changes() != begun_at;
        if changed {
            self.statement("UPDATE meta SET commits = commits + 1")?.execute(())?;
        }
        self.statement("COMMIT")?.execute(())?;
        self.begun_at = None;
        self.commits += u64::from(changed);
        Ok(())
    }

    /// Give up the transaction, if one is open.
    pub fn rollback(&mut self) {
        self.begun_at = None;
        self.names.forget();
        self.heads = Heads::default();
        self.devices = Devices::new();
        self.dots = Dots::default();
        self.entities.clear();
        self.grown.clear();
        // After some errors SQLite has rolled back by itself. Should it fail to now, the next
        // `begin` fails, and the driver gives up the store.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// What the marker beside the store is compared with: see [`super::marker`].
    pub fn facts(&mut self, host: &str) -> Result<Facts, Error> {
        self.begin()?;
        let identity = self.read_identity();
        self.commit()?;
        let identity = identity?;
        Ok(Facts { host: host.to_owned(), file: self.file, identity, commits: self.commits })
    }

    /// Check all of the file; what is found is empty if it is sound. For operators: it takes time.
    pub fn check(&self) -> Result<Vec<String>, Error> {
        match self.integrity() {
            // So broken that the check itself cannot go on.
            Err(Error::Damaged { detail, .. }) => Ok(vec![detail]),
            other => other,
        }
    }

    fn integrity(&self) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check")?;
        let lines = statement.query_map((), |row| row.get(0))?;
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Close cleanly: the write-ahead log is moved into the file.
    pub fn close(mut self) -> Result<(), Error> {
        self.rollback();
        self.connection.flush_prepared_statement_cache();
        self.connection.close().map_err(|(_, error)| error.into())
    }

    /// A prepared statement, within a transaction only.
    pub(super) fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        if self.connection.is_autocommit() {
            return Err(Error::OutOfTransaction);
        }
        Ok(self.connection.prepare_cached(sql)?)
    }

    fn read_commits(&self) -> Result<u64, Error> {
        let mut statement = self.statement("SELECT commits FROM meta")?;
        Ok(statement.query_row((), |row| row.get::<_, i64>(0))? as u64)
    }

    pub(super) fn read_identity(&self) -> Result<Option<Identity>, Error> {
        let mut statement = self.statement("SELECT region, incarnation FROM meta")?;
        let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (region, incarnation): (Option<u16>, Option<Number>) =
            statement.query_row((), columns)?;
        let identity = |(r, i): (u16, Number)| Identity { region: RegionId(r), incarnation: i.0 };
        Ok(region.zip(incarnation).map(identity))
    }

    pub(super) fn write_identity(&mut self, identity: Identity) -> Result<(), Error> {
        self.statement("UPDATE meta SET region = ?1, incarnation = ?2")?
            .execute((identity.region.0, Number(identity.incarnation)))?;
        Ok(())
    }
}
