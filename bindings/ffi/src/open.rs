//! What an app says when it opens a client, and the token that it lends.

use crate::accounts::AccountsOptions;
use crate::error::CallError;
use crate::network::{self, NetworkOptions};
use landfall_device::{self as device, Account, Options, RegionUrl, TokenFuture};
use std::sync::Arc;

/// Everything that opening a client needs, tokens apart.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OpenOptions {
    /// The account's file; made if it is not there. Two accounts never share one.
    pub path: String,
    /// The app's schema, as GraphQL SDL.
    pub schema: String,
    /// The customer of the backend's operator; `""` where there is only one.
    pub tenant: String,
    /// The user, as tokens name it (`sub`).
    pub subject: String,
    /// Regions in order of preference. None: the client never syncs.
    pub regions: Vec<Region>,
    /// Stay offline until told otherwise.
    pub start_offline: bool,
    /// Evict rows when more than so many bytes of the file are in use; nothing: never.
    #[uniffi(default = None)]
    pub disk_bytes_max: Option<u64>,
    /// What syncing may cost, whose directory of regions is followed, and who may certify them.
    #[uniffi(default = None)]
    pub network: Option<NetworkOptions>,
}

/// A region and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Region {
    /// For people: `eu-west`.
    pub name: String,
    /// `https://host`, without a path or with the prefix of one; `http://host:port` where nobody
    /// can listen on the way, since the token travels as it is.
    pub url: String,
}

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TokenReason {
    /// A session is about to begin; a cached token will do.
    Connect,
    /// The region refused the last one as expired or unreadable; a cached one will not do.
    Refused,
}

/// The app cannot give a token now. The client asks again after its backoff; no write is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum TokenError {
    /// Why, for people who read logs.
    #[error("{detail}")]
    Unavailable {
        /// For people who read logs.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for TokenError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unavailable { detail: error.reason }
    }
}

/// Gives bearer tokens (JWT), when a session begins.
#[uniffi::export(with_foreign)]
#[async_trait::async_trait]
pub trait TokenProvider: Send + Sync {
    /// A token for the account that the client was opened for. Given up when the client closes.
    async fn token(&self, reason: TokenReason) -> Result<String, TokenError>;
}

struct Tokens(Arc<dyn TokenProvider>);

impl device::TokenProvider for Tokens {
    fn token(&self, reason: device::TokenReason) -> TokenFuture {
        let provider = self.0.clone();
        let reason = match reason {
            device::TokenReason::Connect => TokenReason::Connect,
            device::TokenReason::Refused => TokenReason::Refused,
        };
        Box::pin(async move {
            let token = provider.token(reason).await;
            token.map_err(|e| device::TokenError { message: e.to_string() })
        })
    }
}

/// The device's provider for this one.
pub(crate) fn provider(tokens: Arc<dyn TokenProvider>) -> Arc<dyn device::TokenProvider> {
    Arc::new(Tokens(tokens))
}

/// The device's options for these.
pub(crate) fn options(
    options: OpenOptions,
    tokens: Arc<dyn TokenProvider>,
) -> Result<Options, CallError> {
    let account = Account { tenant: options.tenant, subject: options.subject };
    let mut opened = Options::from_sdl(options.path, &options.schema, account)?;
    opened.regions = options.regions.into_iter().map(region).collect();
    opened.tokens = provider(tokens);
    opened.network.start_offline = options.start_offline;
    opened.disk_bytes_max = options.disk_bytes_max;
    if let Some(network) = options.network {
        network::apply(network, &mut opened)?;
    }
    Ok(opened)
}

/// The device's options for all accounts.
pub(crate) fn defaults(options: &AccountsOptions) -> Result<Options, CallError> {
    let nobody = Account { tenant: String::new(), subject: String::new() };
    let mut defaults = Options::from_sdl("", &options.schema, nobody)?;
    defaults.regions = options.regions.iter().cloned().map(region).collect();
    defaults.network.start_offline = options.start_offline;
    defaults.disk_bytes_max = options.disk_bytes_max;
    if let Some(network) = options.network.clone() {
        network::apply(network, &mut defaults)?;
    }
    Ok(defaults)
}

fn region(region: Region) -> RegionUrl {
    RegionUrl::new(region.name, region.url)
}
