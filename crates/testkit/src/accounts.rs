//! Accounts: what each may read and write, and the tokens that say so.
//!
//! As in production, a token says what its bearer may do from the moment it is given until it
//! expires, and a session is as good as the token that opened it. So a right that is given or taken
//! here ends the account's sessions as an expired token does, and its devices come back with a new
//! token. Signatures are left out: nobody forges anything in a test.

use crate::limits;
use landfall_device::{TokenFuture, TokenProvider, TokenReason};
use landfall_sync::region::access::{Authenticator, Author, Denial};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The account by which the test itself writes. It publishes shared types, too.
pub(crate) const OTHERS: &str = "others";

/// What a region says of a token that is too old.
pub(crate) const TOKEN_EXPIRED: &str = "token_expired";

/// What an account may do: names of scopes, or prefixes that end in `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Home scopes to read and write.
    pub scopes: Vec<String>,
    /// Audiences to read, and to write as far as the schema lets them.
    pub audiences: Vec<String>,
}

impl Rights {
    /// Everything.
    pub fn all() -> Self {
        Self { scopes: vec!["*".to_owned()], audiences: vec!["*".to_owned()] }
    }

    /// These home scopes, and no audience.
    pub fn scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), audiences: Vec::new() }
    }

    /// These audiences, too.
    pub fn audiences<S: Into<String>>(mut self, audiences: impl IntoIterator<Item = S>) -> Self {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }
}

#[derive(Debug)]
struct Account {
    rights: Rights,
    /// Tokens of an earlier revision count as expired.
    revision: u64,
    /// The app has no newer token than one of this revision.
    stuck_at: Option<u64>,
}

impl Default for Account {
    fn default() -> Self {
        Self { rights: Rights::all(), revision: 1, stuck_at: None }
    }
}

/// All accounts; who is not among them may do everything.
#[derive(Debug, Default)]
pub(crate) struct Accounts(BTreeMap<String, Account>);

impl Accounts {
    /// From now on the account may do this and nothing else.
    pub fn set(&mut self, name: &str, rights: Rights) {
        let account = self.account(name);
        account.rights = rights;
        account.revision += 1;
    }

    pub fn rights(&mut self, name: &str) -> &Rights {
        &self.account(name).rights
    }

    /// The token has expired, and the app gets no other one.
    pub fn expire(&mut self, name: &str) {
        let account = self.account(name);
        account.stuck_at.get_or_insert(account.revision);
        account.revision += 1;
    }

    /// The app gets a new token again.
    pub fn renew(&mut self, name: &str) {
        self.account(name).stuck_at = None;
    }

    /// The account's devices cannot open a session.
    pub fn is_stuck(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|a| a.stuck_at.is_some())
    }

    fn account(&mut self, name: &str) -> &mut Account {
        self.0.entry(name.to_owned()).or_default()
    }

    fn token(&mut self, name: &str, now_ms: i64) -> String {
        let account = self.account(name);
        let revision = account.stuck_at.unwrap_or(account.revision);
        format!("{revision} {} {name}", now_ms + limits::TOKEN_LIFE_MS)
    }

    fn read(&mut self, token: &str, now_ms: i64) -> Result<Author, Denial> {
        let denial = |code, message: &str| Denial { code, message: message.to_owned() };
        let mut words = token.splitn(3, ' ');
        let revision = words.next().and_then(|w| w.parse::<u64>().ok());
        let expires_ms = words.next().and_then(|w| w.parse::<i64>().ok());
        let (Some(revision), Some(expires_ms), Some(name)) = (revision, expires_ms, words.next())
        else {
            return Err(denial("unauthenticated", "not a token of this world"));
        };
        let account = self.account(name);
        if revision < account.revision || now_ms >= expires_ms {
            return Err(denial(TOKEN_EXPIRED, "the token has expired; come back with a new one"));
        }
        let scopes = |all: &[String]| all.iter().map(|s| s.as_str().into()).collect();
        Ok(Author {
            subject: name.into(),
            scopes: scopes(&account.rights.scopes),
            audiences: scopes(&account.rights.audiences),
            publishes: if name == OTHERS { vec!["*".into()] } else { Vec::new() },
            expires_ms,
        })
    }
}

/// The accounts, as the region asks them.
pub(crate) struct Gate(pub Arc<Mutex<Accounts>>);

impl Authenticator for Gate {
    fn device(&self, token: &str, now_ms: i64) -> Result<Author, Denial> {
        lock(&self.0).read(token, now_ms)
    }

    fn peer(&self, _: &str, _: i64) -> Result<(), Denial> {
        Err(Denial { code: "unauthenticated", message: "there is one region".to_owned() })
    }
}

/// The accounts, as a device asks them.
pub(crate) struct Tokens {
    pub accounts: Arc<Mutex<Accounts>>,
    pub account: String,
    pub now_ms: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl TokenProvider for Tokens {
    fn token(&self, _: TokenReason) -> TokenFuture {
        let token = lock(&self.accounts).token(&self.account, (self.now_ms)());
        Box::pin(async move { Ok(token) })
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
