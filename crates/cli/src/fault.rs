//! Errors of the command line, each with a stable code that docs/errors/README.md explains.
//!
//! What fails in the SDK or in a region brings a code along and keeps it. What fails here gets one
//! of these. What comes from a library without one is given the code of its class when it is
//! printed, so that no error leaves without ([`code_of`]).

use std::fmt;

/// The codes; `docs/errors/README.md` says what to do about each.
pub(crate) mod code {
    /// It could not be done, for a reason that has no code of its own.
    pub(crate) const OTHER: &str = "LF9000";
    /// A file or a directory cannot be read or written.
    pub(crate) const FILE: &str = "LF9001";
    /// An address cannot be listened on.
    pub(crate) const LISTEN: &str = "LF9002";
    /// The directory holds no world of `landfall dev`, or a damaged one.
    pub(crate) const NO_WORLD: &str = "LF9003";
    /// The schema has faults, which were told with codes of their own.
    pub(crate) const SCHEMA: &str = "LF9004";
    /// A name that nothing has: a type, a field, a region, a phone, a mutant.
    pub(crate) const UNKNOWN_NAME: &str = "LF9005";
    /// A value that does not fit its field.
    pub(crate) const VALUE: &str = "LF9006";
    /// A region's configuration that cannot work.
    pub(crate) const CONFIGURATION: &str = "LF9007";
    /// Arguments that mean nothing, or not together.
    pub(crate) const ARGUMENTS: &str = "LF9008";
    /// Something stands where new files would go.
    pub(crate) const IN_THE_WAY: &str = "LF9009";
    /// A line of a file that is no record.
    pub(crate) const LINE: &str = "LF9010";
    /// No region answered for what was asked, in time.
    pub(crate) const NO_REGION: &str = "LF9011";
    /// An import's journal is held, or does not fit the device's file.
    pub(crate) const JOURNAL: &str = "LF9012";
    /// A file that is nothing that can be inspected.
    pub(crate) const NOTHING_KNOWN: &str = "LF9013";
    /// A name of the schema that the language of generated code cannot have.
    pub(crate) const NAME_CLASH: &str = "LF9014";
}

/// An error with a code.
#[derive(Debug)]
pub(crate) struct Fault {
    pub code: &'static str,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}

/// An error with a code, as the commands return it.
pub(crate) fn new(code: &'static str, message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Fault { code, message: message.into() })
}

/// The code that stands nowhere in the error's text yet; `None` if one does.
pub(crate) fn code_of(error: &anyhow::Error) -> Option<&'static str> {
    if error.chain().any(|cause| starts_with_code(&cause.to_string())) {
        return None;
    }
    let io = error.chain().any(|cause| cause.is::<std::io::Error>());
    Some(if io { code::FILE } else { code::OTHER })
}

/// The error and what is behind it, each once: many libraries' errors say what is behind them.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(cause.trim_end_matches('.')) {
            continue;
        }
        if !text.is_empty() {
            text.truncate(text.trim_end_matches('.').len());
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// `LF` and four digits.
fn starts_with_code(text: &str) -> bool {
    let digits = text.strip_prefix("LF").unwrap_or_default();
    digits.len() >= 4 && digits.bytes().take(4).all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn nothing_is_told_twice() {
        let gone = || std::io::Error::other("File exists");
        let check = |error: anyhow::Error, expected: &str| assert_eq!(told(&error), expected);
        check(anyhow::Error::new(gone()).context("cannot write a: File exists."), {
            "cannot write a: File exists."
        });
        check(anyhow::Error::new(gone()).context("It could not be written."), {
            "It could not be written: File exists"
        });
        check(new(code::VALUE, "x").context("region north"), "region north: LF9006: x");
    }

    #[test]
    fn an_error_is_given_a_code_only_where_it_has_none() {
        let check = |error: anyhow::Error, expected: Option<&str>| {
            assert_eq!(code_of(&error), expected, "{error:#}");
        };
        check(new(code::VALUE, "x"), None);
        check(new(code::VALUE, "x").context("while reading"), None);
        check(anyhow::anyhow!("LF2009: Edit 1: no scope."), None);
        check(anyhow::anyhow!("LFX: no code"), Some(code::OTHER));
        let gone: Result<(), _> = Err(std::io::Error::other("gone"));
        check(gone.context("cannot read a").unwrap_err(), Some(code::FILE));
    }
}
