//! What a test is told: why a call failed, and what the world still waits for.

use landfall_device as device;
use std::fmt;

/// Codes of errors that the testkit itself gives; those of a client keep their own.
pub mod code {
    /// Something is still under way after much longer than it could take.
    pub const UNSETTLED: &str = "LF8001";
    /// A control names a type or a field that the schema does not have.
    pub const UNKNOWN_NAME: &str = "LF8002";
    /// No region refuses a write for good with this word.
    pub const NO_REFUSAL: &str = "LF8003";
    /// The account has the right by a wider name than the one that is taken from it.
    pub const WIDER_RIGHT: &str = "LF8004";
    /// Work goes on for ever without time passing.
    pub const NEVER_IDLE: &str = "LF8005";
}

/// A call of the testkit that failed.
#[derive(Clone)]
pub struct Error {
    code: &'static str,
    message: String,
    waiting: Vec<Waiting>,
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

    /// For a world that did not settle: who waits for what.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), waiting: Vec::new() }
    }

    pub(crate) fn unsettled(waiting: Vec<Waiting>) -> Self {
        let all: Vec<String> = waiting.iter().map(ToString::to_string).collect();
        let all = if all.is_empty() { "frames on their way".to_owned() } else { all.join("; ") };
        let message = format!("The world did not settle. Still waiting: {all}.");
        Self { waiting, ..Self::new(code::UNSETTLED, message) }
    }

    pub(crate) fn never_idle() -> Self {
        let message = "Work of the world goes on for ever though no time passes: a listener that \
                       answers each update with a write does that.";
        Self::new(code::NEVER_IDLE, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Error {}

impl From<device::Error> for Error {
    fn from(error: device::Error) -> Self {
        Self::new(error.code(), error.message())
    }
}

impl From<device::OpenError> for Error {
    fn from(error: device::OpenError) -> Self {
        Self::new(error.code(), error.message())
    }
}

/// A device that has something left to do, or cannot know whether it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The device, as [`crate::Device::name`] says it.
    pub device: String,
    /// What for.
    pub reason: Reason,
    /// Writes in its outbox.
    pub unsent: u64,
    /// Scopes that are not wholly here.
    pub scopes: Vec<String>,
}

/// What a device waits for. All but [`Reason::Unfinished`] end only when the test does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is cut off: [`crate::Device::offline`].
    Offline,
    /// The app wants no network: [`landfall_device::Client::go_offline`].
    SwitchedOff,
    /// The region is down: [`crate::Region::stop`].
    RegionStopped,
    /// Its token has expired and it gets no other: [`crate::Device::expire_token`].
    TokenExpired,
    /// Nothing that the test asked for: it is not done yet.
    Unfinished,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            Reason::Offline => "is offline",
            Reason::SwitchedOff => "was switched offline by the app",
            Reason::RegionStopped => "finds no region",
            Reason::TokenExpired => "has no token that is good",
            Reason::Unfinished => "is not done",
        };
        write!(f, "{} {why}, {} writes unsent", self.device, self.unsent)?;
        match self.scopes.as_slice() {
            [] => Ok(()),
            scopes => write!(f, ", not wholly here: {}", scopes.join(", ")),
        }
    }
}

/// A world in which nothing is left to do but what waits for the test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Devices that wait for something that the test took away, by name.
    pub waiting: Vec<Waiting>,
}

impl Settled {
    /// True if no device waits for anything.
    pub fn is_quiet(&self) -> bool {
        self.waiting.is_empty()
    }
}
