//! Who is speaking, and what they may see and write.

use landfall_model::id::Scope;
use std::sync::Arc;

/// A verified token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// The subject; ops name it as their principal.
    pub subject: Arc<str>,
    /// Home scopes that it may read and write: exact names, or a prefix followed by `*`.
    pub scopes: Vec<Scope>,
    /// Audiences that it may read, and write as far as the schema lets that audience.
    pub audiences: Vec<Scope>,
    /// Shared scopes that it may write, and read: nobody else writes them, whatever home scopes it has.
    pub publishes: Vec<Scope>,
    /// Milliseconds since 1970 after which the session ends with `token_expired`.
    pub expires_ms: i64,
}

/// Why a token was not accepted; a stable code and a sentence.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Denial {
    pub code: &'static str,
    pub message: String,
}

/// Verifies tokens. Passed in, because keys and signatures are the binary's business.
pub trait Authenticator: Send {
    fn device(&self, token: &str, now_ms: i64) -> Result<Author, Denial>;
    fn peer(&self, token: &str, now_ms: i64) -> Result<(), Denial>;
}

impl Author {
    pub fn may_write_home(&self, scope: &str) -> bool {
        covers(&self.scopes, scope)
    }

    pub fn may_read(&self, scope: &str) -> bool {
        [&self.scopes, &self.audiences, &self.publishes].iter().any(|all| covers(all, scope))
    }

    pub fn may_publish(&self, scope: &str) -> bool {
        covers(&self.publishes, scope)
    }

    pub fn in_audience(&self, scope: &str) -> bool {
        covers(&self.audiences, scope)
    }
}

fn covers(patterns: &[Scope], scope: &str) -> bool {
    patterns.iter().any(|p| match p.strip_suffix('*') {
        Some(prefix) => scope.starts_with(prefix),
        None => **p == *scope,
    })
}
