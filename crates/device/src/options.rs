//! What an app says when it opens a client, and what it lends: tokens, time, randomness.
//!
//! The SDK is the outermost layer in an app's process, as the binary is in a server's. So the
//! system's clock and its random source are read here, behind traits that tests replace.

use crate::error::{Error, OpenError, code};
use crate::runtime::Runtime;
use crate::transport::Transport;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use landfall_model::id::{Scope, TypeId};
use landfall_model::schema::{self, Schema};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(not(target_family = "wasm"))]
pub use native::SystemClock;

/// Whose data a file holds. Every account has a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The customer of the backend's operator; free text, `""` where there is only one.
    pub tenant: String,
    /// The user, as tokens name it (`sub`). Ops carry it as their principal.
    pub subject: String,
}

impl Account {
    /// Both names are kept, and hashed, with a NUL between them. One with a NUL inside could be taken
    /// for another account's.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.tenant.contains('\0') || self.subject.contains('\0') {
            let message = "A name of the account holds a NUL. Name the account without it.";
            return Err(Error::new(code::ACCOUNT_NAME, message));
        }
        Ok(())
    }
}

/// A region and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionUrl {
    /// For people: `eu-west`.
    pub name: String,
    /// `https://host`, without a path or with the prefix of one; `http://host:port` where nobody
    /// can listen on the way, since the token travels as it is.
    pub url: String,
}

impl RegionUrl {
    /// A region by name and URL.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into() }
    }

    /// It is reached over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    }
}

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenReason {
    /// A session is about to begin; a cached token will do.
    Connect,
    /// The region refused the last one as expired or unreadable; a cached one will not do.
    Refused,
}

/// The app cannot give a token now. The client stays offline and asks again after its backoff;
/// no write is lost or rejected by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token: {message}")]
pub struct TokenError {
    /// For people who read logs.
    pub message: String,
}

/// A token on its way.
pub type TokenFuture = Pin<Box<dyn Future<Output = Result<String, TokenError>> + Send>>;

/// Gives bearer tokens (JWT), when a session begins.
pub trait TokenProvider: Send + Sync + 'static {
    /// A token for the account that the client was opened for.
    fn token(&self, reason: TokenReason) -> TokenFuture;
}

/// The same token every time: for tools and tests.
#[derive(Clone, Default)]
pub struct FixedToken(pub String);

impl TokenProvider for FixedToken {
    fn token(&self, _: TokenReason) -> TokenFuture {
        let token = self.0.clone();
        Box::pin(async move { Ok(token) })
    }
}

impl fmt::Debug for FixedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedToken")
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z, as well as the device knows.
    fn now_ms(&self) -> i64;
}

/// Gives random numbers, from which device ids are made.
pub trait Random: Send + Sync + 'static {
    /// 64 random bits that no other device draws.
    fn next(&self) -> u64;
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next(&self) -> u64 {
        let mut bytes = [0; 8];
        #[expect(clippy::disallowed_methods, reason = "the SDK is the edge of the app's process")]
        getrandom::fill(&mut bytes).expect("a device without randomness cannot name itself");
        u64::from_ne_bytes(bytes)
    }
}

/// How the client uses the network. All times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Stay offline until [`crate::Client::go_online`].
    pub start_offline: bool,
    /// A region that has not greeted within this time is given up for the next one.
    pub ready_ms_max: u64,
    /// The first wait after every region was tried in vain; it doubles from there.
    pub backoff_ms_min: u64,
    /// The longest wait. Each wait is drawn between half of it and the whole.
    pub backoff_ms_max: u64,
    /// How often the file is asked whether another process wrote to it.
    pub poll_ms: u64,
    /// Incoming frames that may share one transaction.
    pub frames_per_transaction: usize,
    /// How long one region is waited for before the next is greeted, too.
    pub race_ms: u64,
    /// Writes that were not answered within twice the usual time, but no sooner and no later than
    /// this, are offered to a second region as well...
    pub hedge_ms_min: u64,
    /// ... the latest.
    pub hedge_ms_max: u64,
    /// Of a hundred pushes, so many may be offered to a second region. 0: none ever.
    pub hedge_percent: u32,
    /// A region that has been silent for four times the usual time, but no less and no more than
    /// this, is left for another...
    pub answer_ms_min: u64,
    /// ... the latest.
    pub answer_ms_max: u64,
    /// How long a region that failed is left alone, in the middle: between half of it and half as
    /// much again. No sooner than after half of it a device moves without need.
    pub dwell_ms: u64,
    /// The time between the probes that a region must answer before it is gone back to.
    pub probe_ms: u64,
    /// How often other regions are looked at in case one is nearer; only where that costs the user
    /// nothing.
    pub survey_ms: u64,
    /// What syncing may cost the user.
    pub policy: Policy,
    /// Keys that directories of regions are signed with. None: no directory is taken.
    pub directory_keys: Vec<DirectoryKey>,
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryKey(pub [u8; 32]);

impl FromStr for DirectoryKey {
    type Err = DirectoryKeyError;

    /// As `landfall directory key` prints it: base64url without padding.
    fn from_str(text: &str) -> Result<Self, DirectoryKeyError> {
        let bytes = BASE64.decode(text).map_err(|_| DirectoryKeyError)?;
        let key = bytes.try_into().map_err(|_| DirectoryKeyError)?;
        Ok(Self(key))
    }
}

/// The text is no key of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Ed25519 public key is 32 bytes in base64url, 43 characters")]
pub struct DirectoryKeyError;

/// What the user's network and battery are like now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Bytes cost the user money.
    pub metered: bool,
    /// The device saves its battery.
    pub low_power: bool,
}

/// What syncing may cost the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What is synced over a metered network.
    pub on_metered: OnMetered,
    /// Bytes a day, both ways, over metered networks; own writes still leave beyond it. Days are
    /// those of UTC. `None`: no limit.
    pub metered_bytes_a_day: Option<u64>,
    /// While the device saves its battery, writes wait so long for others to leave with them, in
    /// milliseconds; and nothing is done that need not be, such as a look at other regions.
    pub low_power_gather_ms: u64,
}

/// What is synced over a metered network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMetered {
    /// Everything, as over any other.
    #[default]
    All,
    /// Own writes and what becomes of them; rows wait.
    Writes,
    /// Nothing.
    Nothing,
}

impl Default for Policy {
    fn default() -> Self {
        Self { on_metered: OnMetered::All, metered_bytes_a_day: None, low_power_gather_ms: 2_000 }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            start_offline: false,
            ready_ms_max: 4_000,
            backoff_ms_min: 100,
            backoff_ms_max: 5_000,
            poll_ms: 200,
            frames_per_transaction: 64,
            race_ms: 150,
            hedge_ms_min: 250,
            hedge_ms_max: 1_000,
            hedge_percent: 5,
            answer_ms_min: 400,
            answer_ms_max: 4_000,
            dwell_ms: 300_000,
            probe_ms: 30_000,
            survey_ms: 900_000,
            policy: Policy::default(),
            directory_keys: Vec::new(),
        }
    }
}

impl Network {
    pub(crate) fn ready(&self) -> Duration {
        Duration::from_millis(self.ready_ms_max)
    }

    pub(crate) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.max(1))
    }
}

/// Everything that [`crate::Client::open`] needs.
#[derive(Clone)]
pub struct Options {
    /// The account's file; made if it is not there. Two accounts never share one.
    pub path: PathBuf,
    /// The app's schema.
    pub schema: Arc<Schema>,
    /// Whose file it is.
    pub account: Account,
    /// Regions in order of preference. None: the client never syncs.
    pub regions: Vec<RegionUrl>,
    /// Where tokens come from.
    pub tokens: Arc<dyn TokenProvider>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for device ids and backoff.
    pub random: Arc<dyn Random>,
    /// What carries the frames.
    pub transport: Arc<dyn Transport>,
    /// What syncing and live queries run on.
    pub runtime: Arc<dyn Runtime>,
    /// Timeouts and waits.
    pub network: Network,
    /// Evict rows when more than so many bytes of the file are in use. What arrives together may
    /// exceed it for a moment; a file that was made under a limit shrinks back. `None`: never. Rows that the
    /// app pinned and rows with own writes that are not yet safe stay whatever it costs.
    pub disk_bytes_max: Option<u64>,
    /// The directory in which the rows of `@shared` types are kept once for all accounts of a tenant
    /// that name it. [`Accounts`](crate::Accounts) says its own. `None`: they are in the account's file,
    /// as in a browser and in memory they always are.
    pub shared: Option<PathBuf>,
    /// Steps of SQLite's machine that one read may take, live queries' among them: one that goes on
    /// for ever would keep its thread for ever. A phone makes some ten million in a second. What takes
    /// more ends with `LF2115`; usually [`READ_STEPS_MAX`](crate::READ_STEPS_MAX).
    pub read_steps_max: u64,
    /// The app writes `@shared` types, for which the account's token must let it publish them. For an
    /// operator's tools: on people's devices such writes are refused with `LF2121`.
    pub publishes: bool,
}

impl Options {
    /// The scopes whose rows are kept beside the account's file, each with its types.
    pub(crate) fn shared_scopes(&self) -> BTreeMap<Scope, BTreeSet<TypeId>> {
        match self.shared {
            Some(_) if !cfg!(target_family = "wasm") => self.schema.shared_scopes(),
            _ => BTreeMap::new(),
        }
    }

    /// The types whose tables are not in the account's file.
    pub(crate) fn elsewhere(&self) -> BTreeSet<TypeId> {
        self.shared_scopes().into_values().flatten().collect()
    }
}

/// Read the text of a schema. Fails with `LF2101` and its first fault.
pub fn compile(sdl: &str) -> Result<Schema, OpenError> {
    schema::compile(sdl).map_err(|faults| OpenError::schema(&faults))
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("path", &self.path)
            .field("regions", &self.regions)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
