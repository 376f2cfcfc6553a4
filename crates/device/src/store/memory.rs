//! A file in memory: the whole of a database, without a disk below it.
//!
//! Whoever tests an app wants a file that is there at once and gone with the test, and that outlives
//! the client on it, as a real one does. SQLite has that: a database under a name, which all
//! connections of the process share and which goes with the last of them. A [`MemoryFile`] is one
//! connection that is always there.

use super::error::Error;
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What SQLite calls the file system in which such files are.
pub(super) const FILE_SYSTEM: &str = "memdb";

/// Names are shared by the whole process, so none is given twice.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A file in this process's memory. It is there for as long as this value is, or a client that has
/// it open; a transaction that was committed is in it, whatever becomes of the client.
pub struct MemoryFile {
    path: PathBuf,
    /// Never used, only held. A connection may go to another thread, but not be shared.
    _held: Mutex<Connection>,
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
        Ok(Self { path, _held: Mutex::new(held) })
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
