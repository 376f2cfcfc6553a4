//! Connections that nobody in between can read or pretend to be: TLS 1.2 and 1.3, by rustls.
//!
//! Devices and regions dial through a [`Connector`], which knows whom to [`Trust`]; a region that
//! serves TLS itself takes connections through an [`Acceptor`], which follows its certificate's
//! files. Both give a [`Socket`], encrypted or not, and know nothing of what it carries. Nothing
//! here is durable: what a session may be resumed with is in memory.
//!
//! Cryptography is *ring*'s, named for each configuration: no default is set for the process, so an
//! app that uses rustls itself is left alone. Randomness and the date come from the operating
//! system, here alone below the binary: neither is anything that a caller should replace.

mod acceptor;
mod connector;
pub mod limits;
mod trust;

pub use acceptor::{Acceptor, Files, FilesError, Part};
pub use connector::{Connector, Endpoint, EndpointError, Error};
pub use trust::{RootsError, Trust};

use rustls::crypto::CryptoProvider;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, with TLS or without.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// How HTTP/2 and HTTP/1.1 are called when the two sides agree on one (ALPN).
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// Said where *ring*'s suites meet the versions of TLS.
const BOTH_VERSIONS: &str = "ring has suites for TLS 1.2 and 1.3";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
