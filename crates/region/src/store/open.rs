//! Opening the file, and making it.
//!
//! Nothing is written to a file before it is known to be a store that this build can use: first
//! its header is read as plain bytes, then SQLite reads it without the right to write. A new store
//! is made whole under another name and then linked to its own, so a crash leaves no half-made
//! file under the path, and two processes cannot make one each.
//!
//! One process at a time has a store open: it holds a lock on a file beside it. The node keeps
//! state in memory that another writer would make wrong. Others may read the store.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::database::Options;
use super::error::OpenError;

/// "LFRG", in the file's header.
const APPLICATION_ID: u32 = 0x4c46_5247;

/// The steps from an empty file to the present layout. A step that has shipped never changes.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001-first.sql")];

/// Layouts up to this one were drafts, and no release had them.
const DRAFTS: u32 = 1;

/// How long to wait for a program that reads the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements that are kept; more than there are.
const STATEMENTS_MAX: usize = 128;

/// Pages in the write-ahead log after which it is moved into the file.
const CHECKPOINT_PAGES: u32 = 4_000;

/// The number of the layout that this build writes.
pub const LAYOUT: u32 = DRAFTS + MIGRATIONS.len() as u32;

pub fn open(path: &Path, options: &Options) -> Result<(Connection, File), OpenError> {
    let lock = lock(path)?;
    match header(path)? {
        Header::Absent => make(path)?,
        Header::Store => inspect(path, options)?,
        Header::Other => return Err(OpenError::Foreign),
        Header::Torn => return Err(OpenError::Damaged("its header is cut short".to_owned())),
    }
    let mut connection = Connection::open_with_flags(path, flags(true))?;
    configure(&connection, options)?;
    migrate(&mut connection, MIGRATIONS)?;
    Ok((connection, lock))
}

/// The lock is the kernel's, so it ends with the process however that ends. The file stays: were
/// it removed, two processes could lock two files of one name.
fn lock(path: &Path) -> Result<File, OpenError> {
    let beside = sibling(path, "-lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

enum Header {
    /// No file, or an empty one.
    Absent,
    Store,
    Other,
    Torn,
}

/// What the file's first bytes say. Reads them before SQLite has the file open: closing a file
/// drops all locks that the process has on it.
fn header(path: &Path) -> Result<Header, OpenError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(100).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Header::Absent),
        Err(error) => return Err(error.into()),
    };
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let application = bytes.get(68..72).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    Ok(match application {
        _ if bytes.is_empty() => Header::Absent,
        _ if !bytes.starts_with(&MAGIC[..MAGIC.len().min(bytes.len())]) => Header::Other,
        None => Header::Torn,
        Some(APPLICATION_ID) => Header::Store,
        Some(_) => Header::Other,
    })
}

fn flags(write: bool) -> OpenFlags {
    let access =
        if write { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Look at an existing store without the right to change it.
fn inspect(path: &Path, options: &Options) -> Result<(), OpenError> {
    let connection = Connection::open_with_flags(path, flags(false))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let found = layout(&connection)?;
    if found > LAYOUT {
        return Err(OpenError::Newer { found, known: LAYOUT });
    }
    if found == 0 {
        return Err(OpenError::Damaged("it has no layout".to_owned()));
    }
    if found <= DRAFTS {
        return Err(OpenError::Draft);
    }
    // Reads every table's definition.
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    if options.verify {
        verify(&connection)?;
    }
    Ok(())
}

fn verify(connection: &Connection) -> Result<(), OpenError> {
    let finding: String =
        connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
    if finding == "ok" { Ok(()) } else { Err(OpenError::Damaged(finding)) }
}

fn layout(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", (), |row| row.get(0))
}

/// Make a new store. It has its application id in the file itself, and not in the write-ahead
/// log, so that [`header`] finds it whatever happens later.
fn make(path: &Path) -> Result<(), OpenError> {
    let draft = sibling(path, &format!("-new-{}", std::process::id()));
    let made = make_draft(&draft).and_then(|()| publish(&draft, path));
    // Linked, or of no use.
    let _ = std::fs::remove_file(&draft);
    made
}

fn make_draft(draft: &Path) -> Result<(), OpenError> {
    // What a process of the same number left behind.
    let _ = std::fs::remove_file(draft);
    create_private(draft)?;
    let mut connection = Connection::open_with_flags(draft, flags(true))?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(&mut connection, MIGRATIONS)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// An empty file that its owner alone may read and write. SQLite gives the files that it makes
/// beside it the same rights.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    Ok(())
}

fn publish(draft: &Path, path: &Path) -> Result<(), OpenError> {
    // An empty file in the place of the store is nobody's data. A link never replaces a file.
    if std::fs::metadata(path).is_ok_and(|m| m.len() == 0) {
        std::fs::remove_file(path)?;
    }
    std::fs::hard_link(draft, path)?;
    sync_directory(path)
}

fn sync_directory(path: &Path) -> Result<(), OpenError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
}

fn configure(connection: &Connection, options: &Options) -> Result<(), OpenError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Without this, SQLite prepares a statement anew for each value that it is given, to see
    // whether another plan would suit the value better.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        // Some network file systems; a region on one would lose what it acknowledged.
        let cause = "the file system does not support a write-ahead log";
        return Err(OpenError::Io(std::io::Error::other(cause)));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", options.wal_bytes_max as i64)?;
    connection.pragma_update(None, "cache_size", -((options.cache_bytes >> 10) as i64))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Bring the layout up to date, one transaction per step.
fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), OpenError> {
    let done = layout(connection)?;
    for (step, number) in steps.iter().zip(DRAFTS + 1..).skip_while(|(_, number)| *number <= done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_leaves_the_step_before() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE b (x)"];
        assert!(migrate(&mut connection, &steps).is_err());
        assert_eq!(layout(&connection).unwrap(), DRAFTS + 1);
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1, "the second step is gone whole");
    }
}
