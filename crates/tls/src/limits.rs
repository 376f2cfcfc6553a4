//! Limits of TLS. How long a handshake may take is the caller's: it bounds the whole connection.

use std::time::Duration;

/// The files of a served certificate are looked at no more often than this, when a connection
/// comes. Tools renew weeks before the end, so it is about what reading two small files costs.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
