//! How frames travel between this device and a region.
//!
//! The engine asks a [`Transport`] for a [`Connection`]: two queues of whole frames. Nothing here
//! is durable and nothing here decides anything; a connection that breaks is dropped with what
//! was in it, and the session begins anew. `Http` is the transport of production; browsers and
//! tests pass in their own.

#[cfg(not(target_family = "wasm"))]
mod http;

#[cfg(not(target_family = "wasm"))]
pub use http::Http;

/// Whom [`Http`] trusts to certify regions.
#[cfg(not(target_family = "wasm"))]
pub use landfall_tls::Trust;

/// The frames themselves, for transports outside of this crate.
pub use landfall_sync::wire;

use crate::options::RegionUrl;
use landfall_sync::wire::{DeviceFrame, RegionFrame};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Frames that may wait to be taken in before the transport stops reading.
pub const INCOMING_FRAMES_MAX: usize = 64;

/// A connection under way.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send>>;

/// Opens connections to regions.
pub trait Transport: Send + Sync + 'static {
    /// Connect to a region. Dropping the future gives up. The transport counts what it carries
    /// in `traffic`, in bytes as they travel.
    fn connect(&self, region: RegionUrl, traffic: Arc<Traffic>) -> Connecting;
}

/// One open connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    /// Frames to the region, in order. Closed when the connection is gone.
    pub outgoing: mpsc::UnboundedSender<DeviceFrame>,
    /// Frames from the region, in order; the error, if there is one, comes last.
    pub incoming: mpsc::Receiver<Result<RegionFrame, TransportError>>,
}

/// Why a connection was not made or did not last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// For people who read logs; names no account and no token.
    pub message: String,
    /// For programs: `certificate_refused`. It is told as the code of a connection that waits.
    pub code: Option<&'static str>,
}

impl TransportError {
    /// An error with its cause in words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None }
    }
}

/// Bytes carried since the client was opened, over all its connections: frames as they travel,
/// compressed, without the framing of HTTP and TCP.
#[derive(Default)]
pub struct Traffic {
    up: AtomicU64,
    down: AtomicU64,
}

impl Traffic {
    /// Bytes sent to regions.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes received from regions.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// For transports: so many bytes went out.
    pub fn add_up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// For transports: so many bytes came in.
    pub fn add_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes up, {} bytes down", self.up(), self.down())
    }
}
