//! Exit codes.

use std::process::ExitCode;

/// How a command ended. Most wrong arguments end the process before any command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    /// The command worked, and its answer is no.
    No = 1,
    /// Wrong arguments.
    Wrong = 2,
    /// It could not be done.
    Failed = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// `Done` if it holds, else `No`.
    pub(crate) fn yes(holds: bool) -> Self {
        if holds { Self::Done } else { Self::No }
    }
}
