//! Exit codes, the same for all commands.

use crate::fault::{Fault, code};
use std::process::ExitCode;

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  the answer is no: a schema has errors, a seed failed, a row was refused, nothing was found
  2  wrong arguments
  3  it could not be done: a file, a port, a disk

Every error has a code; docs/errors/README.md says what to do about it.";

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
    /// How a command ends that failed with this.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Fault>() {
            Some(fault) if fault.code == code::ARGUMENTS => Self::Wrong,
            _ => Self::Failed,
        }
    }

    /// `Done` if it holds, else `No`.
    pub(crate) fn yes(holds: bool) -> Self {
        if holds { Self::Done } else { Self::No }
    }
}
