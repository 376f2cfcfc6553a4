//! What can go wrong with a region's store. Codes are stable and listed in `docs/errors/`; messages
//! hold nothing of what is stored.

use rusqlite::ErrorCode;

/// A call that failed. The transaction is to be rolled back, except after [`Error::NotNext`],
/// which has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no space left for the store")]
    Full,
    #[error("the store is damaged: {what}: {detail}")]
    Damaged { what: &'static str, detail: String },
    #[error("the store cannot be read or written")]
    Failed(#[source] rusqlite::Error),
    /// Also what a peer's answer with a gap leads to.
    #[error("the log's head is {head}, so entry {got} does not follow")]
    NotNext { head: u64, got: u64 },
    #[error("the store was used outside of a transaction, or a transaction was begun in another")]
    OutOfTransaction,
}

impl Error {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "LF5006",
            Self::Damaged { .. } => "LF5004",
            Self::Failed(_) => "LF5007",
            Self::NotNext { .. } | Self::OutOfTransaction => "LF5008",
        }
    }

    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Full => "Free space on the store's disk. What was committed is safe.",
            Self::Damaged { .. } => DAMAGED,
            Self::Failed(_) => "Look at the disk, then restart the region.",
            Self::NotNext { .. } | Self::OutOfTransaction => {
                "Restart the region, and report this: it is a mistake in Landfall."
            }
        }
    }
}

/// A file that was not opened. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store's file cannot be read or made")]
    Io(#[source] std::io::Error),
    #[error("the file is not a region's store")]
    Foreign,
    #[error("the store has layout {found}; this build knows up to {known}")]
    Newer { found: u32, known: u32 },
    #[error("the store was written by a build from before the first release")]
    Draft,
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error("another process has the store open")]
    InUse,
    #[error("the store belongs to region {found}, and this is to be region {wanted}")]
    OfAnother { found: u16, wanted: u16 },
    #[error("there is no space left for the store")]
    Full,
    #[error("the store cannot be opened")]
    Failed(#[source] rusqlite::Error),
}

impl OpenError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "LF5001",
            Self::Foreign => "LF5002",
            Self::Newer { .. } | Self::Draft => "LF5003",
            Self::Damaged(_) => "LF5004",
            Self::InUse => "LF5005",
            Self::OfAnother { .. } => "LF5009",
            Self::Full => "LF5006",
            Self::Failed(_) => "LF5007",
        }
    }

    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Io(_) => "Look at the path, its permissions and the space on its disk.",
            Self::Foreign => "Name another path: this file belongs to something else.",
            Self::Newer { .. } => {
                "Run the version of Landfall that wrote the store, or a later one."
            }
            Self::Draft => {
                "Start the region on an empty store: it takes what is missing from its peers. Or \
                 take the data out with `landfall export` of the build that wrote it."
            }
            Self::Damaged(_) => DAMAGED,
            Self::OfAnother { .. } => {
                "Give the region the number that it has for life, or a store of its own."
            }
            Self::Full => "Free space on the store's disk. What was committed is safe.",
            Self::InUse => "Stop the other process, or give this one a store of its own.",
            Self::Failed(_) => "Look at the disk, then start the region again.",
        }
    }
}

const DAMAGED: &str = "Keep a copy of the file and its -wal. Then restore a backup, or start the \
                       region on an empty store: it takes what is missing from its peers.";

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            return Self::Damaged { what: "SQLite", detail: error.to_string() };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Failed(error),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Damaged { detail, .. } => Self::Damaged(detail),
            Error::Full => Self::Full,
            Error::Failed(cause) => Self::Failed(cause),
            other => Self::Io(std::io::Error::other(other)),
        }
    }
}

/// A broken file, or a value of a shape that this code never wrote.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as Sql;
    match error {
        Sql::FromSqlConversionFailure(..)
        | Sql::IntegralValueOutOfRange(..)
        | Sql::InvalidColumnType(..)
        | Sql::Utf8Error(..) => true,
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_one_code_wherever_it_shows() {
        let sqlite = || {
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
            rusqlite::Error::SqliteFailure(full, None)
        };
        assert_eq!(Error::from(sqlite()).code(), "LF5006");
        assert_eq!(OpenError::from(sqlite()).code(), "LF5006");
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(OpenError::from(io).code(), "LF5006");
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(OpenError::from(gone).code(), "LF5001");
    }
}
