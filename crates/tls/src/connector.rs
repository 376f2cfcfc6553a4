//! The side that calls: a TCP connection, and where the URL asks for it TLS over it.
//!
//! A peer is verified before a byte of the caller's leaves: name, dates and authority. Sessions are
//! resumed, in memory, for as long as the connector or a clone of it lives, and their peers are not
//! verified again: who was believed once is believed until the process ends. Nothing is sent before
//! the handshake is over (no early data).

use crate::trust::{RootsError, Trust};
use crate::{BOTH_VERSIONS, HTTP_2, Socket, provider};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where to connect, and whether with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    /// Whom the certificate must be for; without it there is no TLS.
    name: Option<ServerName<'static>>,
}

/// Parts of a URL that name no place to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Another scheme.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// A host that cannot stand in a certificate.
    #[error("its host is no name and no address that a certificate can be for")]
    Host,
}

impl Endpoint {
    /// From the parts of a URL; an IPv6 address is in brackets, as there. Without a port it is 80
    /// for `http` and 443 for `https`.
    pub fn new(scheme: &str, host: &str, port: Option<u16>) -> Result<Self, EndpointError> {
        let (usual, name) = match scheme {
            "http" => (80, None),
            "https" => {
                let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
                let name = ServerName::try_from(bare.unwrap_or(host).to_owned());
                (443, Some(name.map_err(|_| EndpointError::Host)?))
            }
            _ => return Err(EndpointError::Scheme),
        };
        Ok(Self { host: host.to_owned(), port: port.unwrap_or(usual), name })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// With TLS.
    pub fn is_secure(&self) -> bool {
        self.name.is_some()
    }
}

/// Why there is no connection. It names the host and nothing that was to be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is there.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// Something answered that is not TLS.
    #[error("{address} does not speak TLS")]
    NotTls {
        /// `host:port`.
        address: String,
    },
    /// Whoever answered could not show that it is who it should be.
    #[error("the certificate of {address} is refused: {why}")]
    Refused {
        /// `host:port`.
        address: String,
        /// For people.
        why: String,
    },
    /// It speaks TLS, and not HTTP/2.
    #[error("{address} does not offer HTTP/2 (h2 by ALPN)")]
    NotHttp2 {
        /// `host:port`.
        address: String,
    },
    /// The two did not come to terms, or the connection broke.
    #[error("no TLS with {address}: {reason}")]
    Handshake {
        /// `host:port`.
        address: String,
        /// For people.
        reason: String,
    },
}

impl Error {
    /// Whoever answered may be somebody else than the one that was meant.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    fn of_handshake(address: String, error: &io::Error) -> Self {
        let told = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match told {
            Some(rustls::Error::InvalidCertificate(fault)) => {
                Self::Refused { address, why: why_refused(fault) }
            }
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls { address },
            Some(
                rustls::Error::NoApplicationProtocol
                | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol),
            ) => Self::NotHttp2 { address },
            _ => Self::Handshake { address, reason: error.to_string() },
        }
    }
}

fn why_refused(fault: &CertificateError) -> String {
    use CertificateError as E;
    let why = match fault {
        E::UnknownIssuer => {
            "no authority that is trusted here has signed it (one of a company's own is given as \
             roots; a server must also send the certificates in between)"
        }
        E::Expired | E::ExpiredContext { .. } => "it has expired, or the clock here is ahead",
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "it is not valid yet, or the clock here is behind"
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for other names",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it is not meant for servers",
        other => return other.to_string(),
    };
    why.to_owned()
}

/// Connects to regions. Clones share what sessions are resumed with.
#[derive(Clone)]
pub struct Connector {
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// A connector that trusts these authorities.
    pub fn new(trust: &Trust) -> Result<Self, RootsError> {
        let mut tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect(BOTH_VERSIONS)
            .with_root_certificates(trust.roots()?)
            .with_no_client_auth();
        tls.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(Self { tls: Arc::new(tls) })
    }

    /// Connect, for HTTP/2. It waits as long as TCP does: the caller bounds it. Dropping the future
    /// gives up.
    pub async fn connect(&self, to: &Endpoint) -> Result<Box<dyn Socket>, Error> {
        let stream = TcpStream::connect(to.address()).await.map_err(Error::Connect)?;
        // Frames are small and awaited: never hold one back for the next.
        stream.set_nodelay(true).map_err(Error::Connect)?;
        let Some(name) = &to.name else { return Ok(Box::new(stream)) };
        let handshake = TlsConnector::from(self.tls.clone()).connect(name.clone(), stream);
        let stream = handshake.await.map_err(|e| Error::of_handshake(to.address(), &e))?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP_2) {
            return Err(Error::NotHttp2 { address: to.address() });
        }
        Ok(Box::new(stream))
    }
}

impl Default for Connector {
    /// Trusts public authorities.
    fn default() -> Self {
        Self::new(&Trust::Public).expect("the public authorities are compiled in")
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
