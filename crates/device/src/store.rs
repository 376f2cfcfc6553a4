//! The device's SQLite file: the app's tables, and beside them what is needed to sync them.
//!
//! The SDK's thread owns a [`Database`] and does everything that writes in
//! [`Database::transact`]: the app's own writes, and what regions tell. The app reads through
//! [`Database::reader`], or with any SQLite of its own, while that goes on.
//!
//! **Durability.** The file is in WAL mode. A *local* commit (`synchronous = NORMAL`) is in the
//! operating system's hands when it returns: it survives the process, and may be lost with the
//! power. A *durable* commit (`FULL`) returns after an fsync of the log. That one makes all earlier
//! commits durable with it, also local ones and those of other processes: commits of one file are
//! appended to one log, the fsync covers the log as a whole, recovery takes its frames in order up
//! to the last commit whose chained checksums hold, and a log is begun anew only after all of it
//! was synced into the database file. A commit that changed nothing would append nothing and sync
//! nothing, so a durable transaction always changes something.
//!
//! **Crash.** A transaction is there whole or not at all; there is nothing to repair at opening.
//! After an error the caller drops whatever it holds in memory and reads it again.
//!
//! **Several processes** (an extension, a widget, a background worker) may open one file. Each
//! transaction that may write takes the write lock before it reads, so numbers and clock readings are
//! given once; who waits longer than the busy timeout gets [`Error::Busy`]. What only asks
//! ([`Database::look`]) reads a snapshot, and waits for nobody. One of the processes syncs, by the
//! lease; the others notice what it wrote by [`Database::changed_elsewhere`].
//!
//! **Shared scopes.** The rows of `@shared` types may be in files of their own, which a reader sees
//! beside the account's as if they were one (`shared`). Such a file is like any other: it has its own
//! device id, its own lease and its own log.
//!
//! **In a browser** a file belongs to one worker and has one connection, without a log of changes:
//! each commit is synced by the file system's `flush`, whether it was asked to be durable or not.
//!
//! **In memory** ([`MemoryFile`]) a file has no log of changes either, and survives the client that
//! writes it, but not the process. Readers and the writer take turns.

mod bases;
mod deletions;
mod error;
pub mod inspect;
mod lease;
mod memory;
mod migrations;
mod open;
mod ops;
mod outcomes;
mod references;
mod rows;
pub mod salvage;
mod scopes;
mod search;
mod shared;
mod show;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod typed;

pub use error::{Error, OpenError};
pub use lease::Lease;
pub use memory::MemoryFile;
pub(crate) use search::table as search_table;
#[cfg(not(target_family = "wasm"))]
pub(crate) use shared::Beside;
pub(crate) use shared::{is_beside, subscriptions_beside};
pub(crate) use tables::quoted;
pub use transaction::Transaction;

use landfall_model::id::{EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::Schema;
use landfall_model::text::Typed;
use landfall_sync::device::store::Subscription;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};
use tables::Tables;

/// How a file is opened. The defaults suit a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long to wait for another process's transaction.
    pub busy_timeout: Duration,
    /// Memory for pages, in KiB, for each connection.
    pub cache_kib: u32,
    /// A file of up to this many bytes is read through and checked at opening.
    pub check_bytes_max: u64,
    /// A file that is made now can be made smaller again ([`Database::shrink`]). It costs a little
    /// with every page that is written.
    pub shrinks: bool,
    /// The path is the name of a [`MemoryFile`].
    pub in_memory: bool,
    /// Types whose rows another file has: this one has no tables for them, and drops those that it
    /// has from before.
    pub elsewhere: BTreeSet<TypeId>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            cache_kib: 8 << 10,
            check_bytes_max: 32 << 20,
            shrinks: false,
            in_memory: false,
            elsewhere: BTreeSet::new(),
        }
    }
}

/// What a file says of itself to somebody who does not open it.
#[cfg(not(target_family = "wasm"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    pub tenant: String,
    pub subject: String,
    /// Writes in the outbox.
    pub unsent: u64,
}

/// Look at a file without opening it for work: nothing of it changes.
#[cfg(not(target_family = "wasm"))]
pub fn peek(path: &Path) -> Result<Peek, OpenError> {
    let conn = open::peek(path)?;
    let account: Option<Vec<u8>> =
        rows::query_value(&conn, "SELECT value FROM _lf_fact WHERE name = 'sdk/account'", [])?;
    let account = account.and_then(|a| String::from_utf8(a).ok()).unwrap_or_default();
    let (tenant, subject) = account.split_once('\0').unwrap_or_default();
    let unsent: Option<i64> =
        rows::query_value(&conn, "SELECT count(*) FROM _lf_op WHERE state <= 2", [])?;
    let unsent = unsent.unwrap_or(0).max(0).unsigned_abs();
    Ok(Peek { tenant: tenant.to_owned(), subject: subject.to_owned(), unsent })
}

/// What SQLite keeps beside a file while it is open.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Remove a file that nobody has open. One that is not there is removed already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let companions = COMPANIONS.map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    // The log first: without its file it says nothing, the file without its log might.
    for path in companions.iter().map(PathBuf::as_path).chain([path]) {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Steps of SQLite's machine between two looks at how many are left.
const STEPS_PER_LOOK: u64 = 10_000;

/// Run what reads on a connection, and end the statement that takes the last of so many steps.
pub(crate) fn within_steps<T>(
    conn: &mut Connection,
    steps_max: u64,
    work: impl FnOnce(&Connection) -> T,
) -> Result<T, Error> {
    let mut looks = steps_max / STEPS_PER_LOOK;
    let ends = move || {
        let ends = looks == 0;
        looks = looks.saturating_sub(1);
        ends
    };
    conn.progress_handler(STEPS_PER_LOOK as i32, Some(ends))?;
    let done = work(conn);
    conn.progress_handler(0, None::<fn() -> bool>)?;
    Ok(done)
}

/// The subscriptions, as a reader sees them.
pub(crate) fn subscriptions(conn: &Connection) -> Result<Vec<(Scope, Subscription)>, Error> {
    scopes::all(conn)
}

/// Ask a file something in one snapshot, without opening it for work: what `work` writes fails.
#[cfg(not(target_family = "wasm"))]
pub fn view<T>(
    path: &Path,
    schema: &Schema,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, OpenError> {
    let conn = open::current(path)?;
    let snapshot = conn.unchecked_transaction()?;
    let tables = Tables::new(schema);
    Ok(work(&mut Transaction { conn: &snapshot, tables: &tables })?)
}

/// One process's way to write a file.
#[derive(Debug)]
pub struct Database {
    conn: Connection,
    tables: Arc<Tables>,
    #[cfg(not(target_family = "wasm"))]
    path: PathBuf,
    #[cfg(not(target_family = "wasm"))]
    options: Options,
    /// What `synchronous` was last set to; unknown at first.
    durable: Option<bool>,
    seen_version: i64,
}

impl Database {
    /// Open a file, or make it where there is none, and bring its tables to the schema. A file that
    /// is refused keeps its bytes.
    pub fn open(path: &Path, schema: &Schema, options: Options) -> Result<Self, OpenError> {
        let conn = open::writer(path, schema, &options)?;
        let seen_version = data_version(&conn)?;
        Ok(Self {
            conn,
            tables: Arc::new(Tables::of(schema, &options.elsewhere)),
            #[cfg(not(target_family = "wasm"))]
            path: path.to_owned(),
            #[cfg(not(target_family = "wasm"))]
            options,
            durable: None,
            seen_version,
        })
    }

    /// Do `work` in one transaction: all of it is kept, or nothing if it fails or panics.
    ///
    /// `durable` makes this commit, and every commit before it, survive a loss of power.
    pub fn transact<T, E: From<Error>>(
        &mut self,
        durable: bool,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.set_durable(durable)?;
        let begin = self.conn.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begin.map_err(Error::from)?;
        let before = transaction.total_changes();
        let done = work(&mut Transaction { conn: &transaction, tables: &self.tables })?;
        if durable && transaction.total_changes() == before {
            leave_a_mark(&transaction)?;
        }
        transaction.commit().map_err(Error::from)?;
        Ok(done)
    }

    /// Which commits of others this connection has seen; another number after each of them.
    pub fn version(&self) -> Result<i64, Error> {
        data_version(&self.conn)
    }

    /// Keep what was typed, in a commit of its own. False, and nothing is kept, if somebody else
    /// has committed since the file had this version.
    pub fn keep_typed(
        &mut self,
        version: i64,
        key: &EntityKey,
        field: FieldId,
        typed: &Typed,
    ) -> Result<bool, Error> {
        self.set_durable(false)?;
        rows::execute(&self.conn, "BEGIN IMMEDIATE", [])?;
        let kept = match self.version() {
            Ok(now) if now == version => {
                typed::add(&self.conn, key, field, typed).and_then(|()| self.end("COMMIT"))
            }
            Ok(_) => return self.end("ROLLBACK").map(|()| false),
            Err(error) => Err(error),
        };
        if kept.is_err() && !self.conn.is_autocommit() {
            self.end("ROLLBACK")?;
        }
        kept.map(|()| true)
    }

    fn end(&self, how: &str) -> Result<(), Error> {
        rows::execute(&self.conn, how, []).map(drop)
    }

    /// Ask something in one snapshot. It waits for no process that writes; what `work` writes is not
    /// kept.
    pub fn look<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let snapshot = self.conn.unchecked_transaction().map_err(Error::from)?;
        work(&mut Transaction { conn: &snapshot, tables: &self.tables })
    }

    /// What asks the same on a reader's connection.
    pub(crate) fn asker(&self) -> Asker {
        Asker { tables: self.tables.clone() }
    }

    /// A connection that only reads, for the app's SQL. It sees each transaction whole. A query
    /// left open keeps the log of changes from being emptied.
    #[cfg(not(target_family = "wasm"))]
    pub fn reader(&self) -> Result<Connection, Error> {
        self.reader_beside(&[])
    }

    /// Like [`Database::reader`], with other files beside this one.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn reader_beside(&self, files: &[Beside<'_>]) -> Result<Connection, Error> {
        open::reader(&self.path, &self.options, files)
    }

    /// Run what only reads on the one connection that a browser's file has. Whatever a statement
    /// leaves open is rolled back. That each only reads is checked where it is prepared: to forbid
    /// the connection to write would have SQLite prepare all of its statements anew.
    #[cfg(target_family = "wasm")]
    pub fn read<T, E: From<Error>>(
        &mut self,
        steps_max: u64,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let done = within_steps(&mut self.conn, steps_max, work)?;
        let conn = &self.conn;
        if !conn.is_autocommit() {
            rows::execute(conn, "ROLLBACK", [])?;
        }
        done
    }

    /// Whether another process, or another handle of this one, has committed since this was last
    /// asked.
    pub fn changed_elsewhere(&mut self) -> Result<bool, Error> {
        let version = data_version(&self.conn)?;
        Ok(std::mem::replace(&mut self.seen_version, version) != version)
    }

    /// The subscriptions, without waiting for who writes.
    pub fn subscriptions(&self) -> Result<Vec<(Scope, Subscription)>, Error> {
        scopes::all(&self.conn)
    }

    /// Bytes of the file that hold something; what is free is used again.
    pub fn bytes_used(&self) -> Result<u64, Error> {
        let pages = self.number("page_count")?.saturating_sub(self.number("freelist_count")?);
        Ok(pages.saturating_mul(self.number("page_size")?))
    }

    /// Give so many of the free pages back to the file system, if the file was made to be able to.
    /// True when no more can be.
    pub fn shrink(&self, pages_max: u32) -> Result<bool, Error> {
        let free = self.number("freelist_count")?;
        // Each step frees one page.
        let mut statement =
            self.conn.prepare(&format!("PRAGMA incremental_vacuum({pages_max})"))?;
        let mut steps = statement.query([])?;
        while steps.next()?.is_some() {}
        let left = self.number("freelist_count")?;
        Ok(left == 0 || left >= free)
    }

    fn number(&self, pragma: &str) -> Result<u64, Error> {
        let n: i64 = self.conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
        Ok(n.max(0).unsigned_abs())
    }

    /// What the file says of itself, in numbers. Reads all of it.
    pub fn inspect(&self) -> Result<inspect::Inspection, Error> {
        inspect::of(&self.conn)
    }

    /// Rows that regions have confirmed.
    pub fn rows(&self) -> Result<u64, Error> {
        bases::count(&self.conn)
    }

    /// Read the whole file and check its structure; takes time in proportion to its size.
    pub fn check(&self) -> Result<(), Error> {
        open::check(&self.conn)
    }

    /// Become the process that syncs, for `ttl_ms` from `now_ms` (milliseconds since 1970) on;
    /// false if another one is. All processes of a file use one `ttl_ms`, above the busy timeout.
    pub fn acquire_lease(&mut self, holder: &str, now_ms: i64, ttl_ms: i64) -> Result<bool, Error> {
        self.transact(false, |t| lease::acquire(t.conn, holder, now_ms, ttl_ms))
    }

    /// Stay the process that syncs; false if it took too long and another one is by now.
    pub fn renew_lease(&mut self, holder: &str, now_ms: i64, ttl_ms: i64) -> Result<bool, Error> {
        self.transact(false, |t| lease::renew(t.conn, holder, now_ms, ttl_ms))
    }

    pub fn release_lease(&mut self, holder: &str) -> Result<(), Error> {
        self.transact(false, |t| lease::release(t.conn, holder))
    }

    /// Who syncs, whether or not the lease has ended.
    pub fn lease(&self) -> Result<Option<Lease>, Error> {
        lease::current(&self.conn)
    }

    /// Only outside of a transaction: within one, SQLite ignores the change.
    fn set_durable(&mut self, durable: bool) -> Result<(), Error> {
        if self.durable != Some(durable) {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.durable = Some(durable);
        }
        Ok(())
    }
}

/// Asks a file, on any connection that reads it, what the state machine's store knows.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    tables: Arc<Tables>,
}

impl Asker {
    /// See [`Database::look`].
    pub fn look<T, E: From<Error>>(
        &self,
        conn: &Connection,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let snapshot = conn.unchecked_transaction().map_err(Error::from)?;
        work(&mut Transaction { conn: &snapshot, tables: &self.tables })
    }
}

/// Whether something was typed that is not part of its op yet, on any connection to a file.
pub(crate) fn has_typed(conn: &Connection) -> Result<bool, Error> {
    typed::any(conn)
}

/// Changes with the commits of others only.
fn data_version(conn: &Connection) -> Result<i64, Error> {
    let version = rows::query_value(conn, "PRAGMA data_version", [])?;
    version.ok_or_else(|| Error::Damaged("the file has no version".to_owned()))
}

/// A change that means nothing, so that there is something to sync.
fn leave_a_mark(conn: &Connection) -> Result<(), Error> {
    let sql = "INSERT INTO _lf_fact (name, value) VALUES ('mark', 1)
        ON CONFLICT (name) DO UPDATE SET value = value + 1";
    rows::execute(conn, sql, []).map(drop)
}
