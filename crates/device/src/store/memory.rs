//! A file in memory: the whole of a database, without a disk below it.
//!
//! Whoever tests an app wants a file that is there at once and gone with the test, and that outlives
//! the client on it, as a real one does. SQLite has that: a database under a name, which all
//! connections of the process share and which goes with the last of them. A [`MemoryFile`] is one
//! connection that is always there.

use super::error::{Error, OpenError};
use super::{Database, Options};
use landfall_model::schema::Schema;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What SQLite calls the file system in which such files are.
pub(super) const FILE_SYSTEM: &str = "memdb";

/// Names are shared by the whole process, so none is given twice.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Files with the tables of a schema and nothing in them, the latest last. To make tables costs
/// several times what a copy of them does, and tests of an app open files all the time.
static BLANKS: Mutex<VecDeque<(Arc<Schema>, MemoryFile)>> = Mutex::new(VecDeque::new());

/// So many of them are kept: a suite of tests has a schema or two.
const BLANKS_KEPT: usize = 4;

/// A file in this process's memory. It is there for as long as this value is, or a client that has
/// it open; a transaction that was committed is in it, whatever becomes of the client.
pub struct MemoryFile {
    path: PathBuf,
    /// Only held, and copied from. A connection may go to another thread, but not be shared.
    held: Mutex<Connection>,
}

impl MemoryFile {
    /// A new and empty file.
    pub fn new() -> Result<Self, Error> {
        // Only names that begin with a slash are shared.
        let path = PathBuf::from(format!("/landfall-{}", LAST.fetch_add(1, Ordering::Relaxed)));
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let held = Connection::open_with_flags_and_vfs(&path, access, FILE_SYSTEM)?;
        Ok(Self { path, held: Mutex::new(held) })
    }

    /// A new file that has the tables of a schema already. A client that limits its file's size
    /// cannot make this one smaller again.
    pub fn with_tables(schema: &Arc<Schema>) -> Result<Self, OpenError> {
        let mut blanks = lock(&BLANKS);
        if let Some((_, blank)) = blanks.iter().find(|(of, _)| of == schema) {
            return Ok(blank.copy()?);
        }
        let blank = Self::new()?;
        let options = Options { in_memory: true, ..Options::default() };
        drop(Database::open(blank.path(), schema, options)?);
        let copy = blank.copy()?;
        blanks.push_back((schema.clone(), blank));
        if blanks.len() > BLANKS_KEPT {
            blanks.pop_front();
        }
        Ok(copy)
    }

    /// Another file that holds the same.
    fn copy(&self) -> Result<Self, Error> {
        const ALL_PAGES: i32 = -1;
        let copy = Self::new()?;
        let done = Backup::new(&lock(&self.held), &mut lock(&copy.held))?.step(ALL_PAGES)?;
        if done == StepResult::Done { Ok(copy) } else { Err(Error::Busy) }
    }

    /// Its name, as SQLite has it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryFile").field(&self.path).finish()
    }
}

/// Nothing is left half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
