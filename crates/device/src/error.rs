//! What callers are told when something fails.
//!
//! Inside, every layer has an error of its own that says all it knows. What leaves the crate is
//! one small type: a stable code that programs look at, and a sentence for people that says what
//! to do and names no value, account or path. `docs/errors/` has every code.

use crate::store;
use landfall_model::schema::Diagnostic;
use landfall_sync::device::node::{Problem, RefusedEdit};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Codes of errors that the client itself gives. Those of the file are in [`crate::store`], those
/// of a refused edit come from the state machine
/// ([`Problem`](landfall_sync::device::node::Problem)).
pub mod code {
    /// The schema has faults.
    pub const SCHEMA: &str = "LF2101";
    /// The SQL was not understood, writes, or took the wrong parameters.
    pub const QUERY: &str = "LF2102";
    /// The live query names a table or a column that is not there.
    pub const LIVE_QUERY: &str = "LF2103";
    /// The read took more steps or bytes than it may.
    pub const READ_TOO_LARGE: &str = "LF2115";
    /// The client was closed.
    pub const CLOSED: &str = "LF2104";
    /// The threads of the client could not be started.
    pub const THREAD: &str = "LF2105";
    /// The client did not settle in time.
    pub const UNSETTLED: &str = "LF2106";
    /// The device did not get a version of a text in time.
    pub const TEXT_NOT_HERE: &str = "LF2108";
    /// The file belongs to another account.
    pub const OTHER_ACCOUNT: &str = "LF2107";
    /// Writes are still unsent.
    pub const UNSENT: &str = "LF2109";
    /// Files of accounts could not be listed, moved or removed.
    pub const ACCOUNT_FILES: &str = "LF2110";
    /// A name of an account cannot be kept.
    pub const ACCOUNT_NAME: &str = "LF2114";
    /// A rescue document cannot be written, or is none.
    pub const RESCUE: &str = "LF2113";
    /// The scope is the one of local rows.
    pub const LOCAL_SCOPE: &str = "LF2130";
    /// The search names a type or a field that is not searched.
    pub const SEARCH: &str = "LF2120";
    /// The authorities that are to be trusted cannot be read.
    pub const ROOTS: &str = "LF2140";
    /// A key of the directory of regions is none.
    pub const DIRECTORY_KEY: &str = "LF2310";
}

/// A call that failed. Nothing of it was kept.
#[derive(Clone)]
pub struct Error {
    code: &'static str,
    message: String,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Stable, `LF` and four digits.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// For people: what happened and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// For a refused write: which edit of the transaction, and which of its fields.
    pub fn refused_edit(&self) -> Option<&RefusedEdit> {
        self.source()?.downcast_ref()
    }

    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None }
    }

    pub(crate) fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    pub(crate) fn problem(problem: Problem) -> Self {
        Self::new(problem.code(), format!("{problem}."))
    }

    pub(crate) fn closed() -> Self {
        Self::new(code::CLOSED, "The client was closed. Open it again.")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{self} ({cause:?})"),
            None => write!(f, "{self}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|c| c as &(dyn StdError + 'static))
    }
}

impl From<RefusedEdit> for Error {
    fn from(refused: RefusedEdit) -> Self {
        let field = refused.field.as_ref().map(|f| format!(", field `{f}`")).unwrap_or_default();
        let problem = refused.problem;
        Self::new(problem.code(), format!("Edit {}{field}: {problem}.", refused.edit + 1))
            .because(refused)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::new(error.code(), format!("{error}. {}", error.advice())).because(error)
    }
}

/// A client that was not opened. The file is as it was.
#[derive(Clone)]
pub struct OpenError(Error);

impl OpenError {
    /// Stable, `LF` and four digits.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// For people: what happened and what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn schema(faults: &[Diagnostic]) -> Self {
        let first = faults.first().map_or("", |d| d.message.as_str());
        let message = format!("The schema has {} faults; the first: {first}", faults.len());
        Self(Error::new(code::SCHEMA, message))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for OpenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<store::Error> for OpenError {
    fn from(error: store::Error) -> Self {
        Self(error.into())
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        error.0
    }
}

impl From<store::OpenError> for OpenError {
    fn from(error: store::OpenError) -> Self {
        let message = format!("{error}. {}", error.advice());
        Self(Error::new(error.code(), message).because(error))
    }
}
