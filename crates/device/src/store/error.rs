//! What can go wrong with a device's file. Codes are stable and listed in `docs/errors/`; messages
//! name no account, path or value.

use rusqlite::ErrorCode;

/// A transaction or a read that failed. Nothing of a failed transaction is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another process held the database for longer than the busy timeout")]
    Busy,
    #[error("there is no space left for the database")]
    Full,
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("the database cannot be read or written")]
    Failed(#[source] rusqlite::Error),
}

impl Error {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "LF2207",
            Self::Full => "LF2208",
            Self::Damaged(_) => "LF2204",
            Self::Failed(_) => "LF2209",
        }
    }

    /// What the app can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Busy => "Try again. No transaction may wait for a network or a person.",
            Self::Full => "Ask the user to free space. What was committed is safe.",
            Self::Damaged(_) => {
                "Keep a copy of the file: it may hold writes that were never sent, which `rescue` \
                 reads. Then open a new file, which takes everything else from a region."
            }
            Self::Failed(_) => "Close the database and open it again.",
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sql;
        match &error {
            // A value of a shape that this code never wrote.
            Sql::FromSqlConversionFailure(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::InvalidColumnType(..)
            | Sql::Utf8Error(..) => Self::Damaged(error.to_string()),
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
                Some(ErrorCode::DiskFull) => Self::Full,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Damaged(error.to_string())
                }
                _ => Self::Failed(error),
            },
        }
    }
}

/// A file that was not opened. Its bytes are as they were.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database file cannot be opened")]
    Unreachable(#[source] rusqlite::Error),
    #[error("the file is no Landfall database, or its beginning is destroyed")]
    Foreign,
    #[error("the file has format {found}; this build reads up to {known}")]
    Newer { found: i32, known: i32 },
    #[error("the file has format {found}; to look at a row takes {known}")]
    Older { found: i32, known: i32 },
    #[error("{table}.{column} is stored as {was}, and the schema now asks for {now}")]
    SchemaConflict { table: String, column: String, was: String, now: String },
    #[error("the file system cannot hold a database that several processes share")]
    NoWal,
    #[error(transparent)]
    Store(#[from] Error),
}

impl OpenError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "LF2201",
            Self::Foreign => "LF2202",
            Self::Newer { .. } => "LF2203",
            Self::Older { .. } => "LF2210",
            Self::SchemaConflict { .. } => "LF2205",
            Self::NoWal => "LF2206",
            Self::Store(error) => error.code(),
        }
    }

    /// What the app, or its author, can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "Check that the folder exists and that the app may write to it."
            }
            Self::Foreign => {
                "Choose another path. Landfall writes to no file that it did not make."
            }
            Self::Newer { .. } => {
                "Install the version of the app that wrote the file, or a newer one."
            }
            Self::Older { .. } => {
                "Open a copy of it with this version once, which brings it up to date."
            }
            Self::SchemaConflict { .. } => {
                "Give the field a new name and leave the old one out: a field keeps the way it is \
                 stored for ever."
            }
            Self::NoWal => "Put the file on the device's own storage, not on a network drive.",
            Self::Store(error) => error.advice(),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Unreachable(error),
            _ => Self::Store(error.into()),
        }
    }
}
