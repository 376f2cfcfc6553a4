//! Opens a file: decides whether it is ours before a byte of it changes, then brings it up to date.
//!
//! The file is looked at only through SQLite. Reading it by other means would, at closing, drop
//! the locks that this process holds on it through other connections. The connection that looks
//! may not write the log of changes back into the file when it closes, so a file that is refused
//! keeps its bytes.

use super::error::{Error, OpenError};
use super::migrations::{self, APPLICATION_ID, VERSION};
#[cfg(not(target_family = "wasm"))]
use super::shared::Beside;
use super::{Options, memory, tables};
#[cfg(not(target_family = "wasm"))]
use crate::read::READ_BYTES_MAX;
use landfall_model::schema::Schema;
#[cfg(not(target_family = "wasm"))]
use rusqlite::ErrorCode;
use rusqlite::config::DbConfig;
#[cfg(not(target_family = "wasm"))]
use rusqlite::limits::Limit;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior, ffi};
use std::path::Path;
#[cfg(not(target_family = "wasm"))]
use std::time::Duration;

/// Statements of one connection that stay prepared: those of the side tables, and two for each
/// type of a large schema.
const STATEMENTS_KEPT: usize = 512;

/// The log of changes is cut to this size, in bytes, when it starts anew.
const WAL_BYTES_KEPT: i64 = 16 << 20;

/// Pages in the log at which it is moved into the file. A page that is written again and again, as
/// those of a long text are while it is typed, is moved once.
const CHECKPOINT_PAGES: i64 = 3_500;

/// Between two tries of something that SQLite does not wait for.
#[cfg(not(target_family = "wasm"))]
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// What a file holds.
enum Found {
    /// Nothing yet; or only what a creation that was killed left behind.
    Nothing,
    Version(i32),
}

/// The connection that writes.
pub(super) fn writer(
    path: &Path,
    schema: &Schema,
    options: &Options,
) -> Result<Connection, OpenError> {
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut conn = connect(path, access, options.in_memory)?;
    conn.busy_timeout(options.busy_timeout)?;
    if conn.is_readonly(MAIN_DB)? {
        // SQLite opens a file for reading where it may not write.
        let error = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(rusqlite::Error::SqliteFailure(error, None).into());
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // What is in memory has no disk below it that could damage it.
    if matches!(look(&mut conn)?, Found::Version(_)) && !options.in_memory {
        check_whole(&conn, options.check_bytes_max)?;
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    configure(&conn, options)?;
    match options.elsewhere.is_empty() {
        true => bring_up_to_date(&mut conn, schema, options)?,
        false => {
            let own = schema.part(|kind| !options.elsewhere.contains(&kind.id));
            bring_up_to_date(&mut conn, &own, options)?;
        }
    }
    Ok(conn)
}

/// A connection that cannot write, to a file that a writer has opened.
#[cfg(not(target_family = "wasm"))]
pub(super) fn reader(
    path: &Path,
    options: &Options,
    beside: &[Beside<'_>],
) -> Result<Connection, Error> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options.in_memory)?;
    conn.busy_timeout(options.busy_timeout)?;
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, (READ_BYTES_MAX / 4) as i32)?;
    set_cache(&conn, options)?;
    for (at, file) in beside.iter().enumerate() {
        file.put(&conn, at)?;
    }
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// A connection that looks at a file, ours or not.
pub(super) fn peek(path: &Path) -> Result<Connection, OpenError> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, false)?;
    match look(&mut conn)? {
        Found::Version(_) => Ok(conn),
        Found::Nothing => Err(OpenError::Foreign),
    }
}

/// A connection that cannot write, to a file of the format that this build writes.
#[cfg(not(target_family = "wasm"))]
pub(super) fn current(path: &Path) -> Result<Connection, OpenError> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, false)?;
    match look(&mut conn)? {
        Found::Version(VERSION) => Ok(conn),
        Found::Version(found) => Err(OpenError::Older { found, known: VERSION }),
        Found::Nothing => Err(OpenError::Foreign),
    }
}

/// All of the file is read and its structure checked.
pub(super) fn check(conn: &Connection) -> Result<(), Error> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Error::Damaged(verdict)) }
}

fn connect(path: &Path, access: OpenFlags, in_memory: bool) -> rusqlite::Result<Connection> {
    // Not among the flags: names that are URIs. A path is a path.
    let access = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match in_memory {
        true => Connection::open_with_flags_and_vfs(path, access, memory::FILE_SYSTEM)?,
        false => Connection::open_with_flags(path, access)?,
    };
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(conn)
}

/// One snapshot tells it all: another process may be making the file at this moment.
fn look(conn: &mut Connection) -> Result<Found, OpenError> {
    let snapshot = conn.transaction()?;
    found(&snapshot)
}

fn found(conn: &Connection) -> Result<Found, OpenError> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, version) {
        (0, 0) if objects == 0 => Ok(Found::Nothing),
        (APPLICATION_ID, 1..=VERSION) => Ok(Found::Version(version)),
        (APPLICATION_ID, found) if found > VERSION => {
            Err(OpenError::Newer { found, known: VERSION })
        }
        (APPLICATION_ID, _) => Err(Error::Damaged("a file without a version".to_owned()).into()),
        _ => Err(OpenError::Foreign),
    }
}

/// Damage in a larger file shows when it is met: every read of SQLite's may answer so.
fn check_whole(conn: &Connection, bytes_max: u64) -> Result<(), Error> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max) { check(conn) } else { Ok(()) }
}

fn configure(conn: &Connection, options: &Options) -> Result<(), OpenError> {
    set_cache(conn, options)?;
    // Statements keep their plans: otherwise those with a limit or a range are planned at each use.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Deleted content is overwritten where its page is written anyway.
    conn.pragma_update_and_check(None, "secure_delete", "FAST", |_| Ok(()))?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Where the system's fsync leaves data in the drive's cache (Apple's), ask for the real one.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    if options.shrinks {
        // Takes effect only while the file has no tables yet.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    choose_journal(conn, options)?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    Ok(())
}

/// A browser's file has one connection and no memory to share with others, so it keeps what a
/// transaction overwrites in a second file. That one stays, cut to nothing, between transactions:
/// files that come and go are dear there.
#[cfg(target_family = "wasm")]
fn choose_journal(conn: &Connection, options: &Options) -> Result<(), OpenError> {
    if options.in_memory {
        return Ok(());
    }
    conn.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
    Ok(())
}

/// The log of changes. The mode is a property of the file, set once. SQLite does not wait when two
/// connections that look at an empty file both want to set it, so the waiting is done here.
#[cfg(not(target_family = "wasm"))]
fn choose_journal(conn: &Connection, options: &Options) -> Result<(), OpenError> {
    if options.in_memory {
        // What a transaction overwrites is kept in memory, too: there is no other way.
        return Ok(());
    }
    let mut waited = Duration::ZERO;
    loop {
        let mode = conn
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(OpenError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(OpenError::NoWal),
            // The index of the log is memory that processes share, and there is none.
            Err(OpenError::Unreachable(error)) if !is_read_only(&error) => {
                return Err(OpenError::NoWal);
            }
            Err(OpenError::Store(Error::Busy)) if waited < options.busy_timeout => {
                std::thread::sleep(BUSY_PAUSE);
                waited += BUSY_PAUSE;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn is_read_only(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ReadOnly)
}

fn set_cache(conn: &Connection, options: &Options) -> rusqlite::Result<()> {
    // A negative number counts KiB.
    conn.pragma_update(None, "cache_size", -i64::from(options.cache_kib))
}

/// Migrations and tables, in one durable transaction. A file that is current is not locked.
fn bring_up_to_date(
    conn: &mut Connection,
    schema: &Schema,
    options: &Options,
) -> Result<(), OpenError> {
    if matches!(look(conn)?, Found::Version(VERSION)) && tables::are_current(conn, schema)? {
        return Ok(());
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again: another process may have done it while this one waited.
    let from = match found(&transaction)? {
        Found::Nothing => 0,
        Found::Version(version) => version,
    };
    if from < VERSION {
        migrations::upgrade(&transaction, from)?;
    }
    if !tables::are_current(&transaction, schema)? {
        tables::follow(&transaction, schema, &options.elsewhere)?;
    }
    transaction.commit()?;
    Ok(())
}
