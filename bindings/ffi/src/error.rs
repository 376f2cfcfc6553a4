//! The one error of all calls: a stable code, a sentence, and the place in a refused batch.

use landfall_device::{Error, OpenError};

/// A call that failed. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum CallError {
    /// Every failure; programs look at the code.
    #[error("{code}: {detail}")]
    Failed {
        /// Stable, `LF` and four digits; docs/errors has them all.
        code: String,
        /// For people: what happened and what to do.
        detail: String,
        /// For a refused write: which edit of the batch, from 0 on.
        edit: Option<u32>,
        /// For a refused write: the field that is to blame, if one is.
        field: Option<String>,
    },
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        let refused = error.refused_edit();
        Self::Failed {
            code: error.code().to_owned(),
            detail: error.message().to_owned(),
            edit: refused.map(|r| u32::try_from(r.edit).unwrap_or(u32::MAX)),
            field: refused.and_then(|r| r.field.clone()),
        }
    }
}

impl From<OpenError> for CallError {
    fn from(error: OpenError) -> Self {
        let (code, detail) = (error.code().to_owned(), error.message().to_owned());
        Self::Failed { code, detail, edit: None, field: None }
    }
}
