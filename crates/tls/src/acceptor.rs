//! The side that is called: a certificate from files, served for as long as nothing better lies there.
//!
//! Certificates are renewed while a region runs. So both files are read again when a connection
//! comes, no more often than every few seconds; if they hold something new that fits together, it is
//! served from then on. What does not fit together, such as a new certificate beside the old key
//! while a tool is between the two, is logged once and not served: the pair before it stays.
//! Connections that are open keep what they began with.

use crate::{BOTH_VERSIONS, HTTP_1, HTTP_2, Socket, limits, provider};
use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Where a server's certificate and its key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and behind it those that lead to an authority.
    pub cert: PathBuf,
    /// The certificate's private key, not encrypted.
    pub key: PathBuf,
}

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Cert,
    /// The key.
    Key,
}

/// Files that cannot be served. It says nothing of what is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FilesError {
    /// The one to look at.
    pub part: Part,
    /// For people.
    pub reason: String,
}

impl FilesError {
    fn new(part: Part, reason: impl Into<String>) -> Self {
        Self { part, reason: reason.into() }
    }
}

/// What is in the files.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(&self) -> Result<Contents, FilesError> {
        let read = |part, path: &Path| {
            let told = |e: io::Error| FilesError::new(part, format!("cannot be read: {e}"));
            fs::read(path).map_err(told)
        };
        Ok(Contents { cert: read(Part::Cert, &self.cert)?, key: read(Part::Key, &self.key)? })
    }
}

impl Contents {
    fn config(&self) -> Result<Arc<ServerConfig>, FilesError> {
        let cert = |reason: &str| FilesError::new(Part::Cert, reason);
        let key = |reason: &str| FilesError::new(Part::Key, reason);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<_, _>>()
            .map_err(|_| cert("is no certificate in PEM"))?;
        if chain.is_empty() {
            return Err(cert("has no -----BEGIN CERTIFICATE-----"));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| match e {
            pem::Error::NoItemsFound => key("has no private key, or an encrypted one"),
            _ => key("is no private key in PEM"),
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect(BOTH_VERSIONS)
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => key("is not the key of the certificate"),
                rustls::Error::InvalidCertificate(_) => cert("cannot be read as a certificate"),
                // Some tools leave the public half out of keys for elliptic curves.
                _ => key("is a key that cannot be served; `openssl pkey` may mend it"),
            })?;
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        // A ticket holds what is needed to resume, so that thousands of devices cost no memory.
        let tickets = Ticketer::new();
        config.ticketer = tickets.map_err(|_| key("cannot be served without randomness"))?;
        Ok(Arc::new(config))
    }
}

/// Takes connections with TLS. Clones are the same.
#[derive(Clone)]
pub struct Acceptor {
    shared: Arc<Shared>,
}

struct Shared {
    files: Files,
    look_every: Duration,
    served: Mutex<Served>,
}

struct Served {
    config: Arc<ServerConfig>,
    /// What it was made of.
    contents: Contents,
    /// What the last look found, whether it is served or not.
    found: Result<Contents, FilesError>,
    looked: Instant,
}

impl Acceptor {
    /// Serve what is in the files, which must fit together.
    pub fn open(files: Files) -> Result<Self, FilesError> {
        Self::looking_every(limits::LOOK_EVERY, files)
    }

    /// The same, with another time between looks at the files: for tests.
    pub fn looking_every(look_every: Duration, files: Files) -> Result<Self, FilesError> {
        let contents = files.read()?;
        let config = contents.config()?;
        let found = Ok(contents.clone());
        let served = Served { config, contents, found, looked: Instant::now() };
        Ok(Self { shared: Arc::new(Shared { files, look_every, served: Mutex::new(served) }) })
    }

    /// The handshake on a connection that has come. It waits for the caller, who may say nothing:
    /// bound it, and keep it off the loop that accepts.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Box<dyn Socket>> {
        let config = self.config().await;
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(Box::new(stream))
    }

    async fn config(&self) -> Arc<ServerConfig> {
        if self.shared.is_due() {
            let shared = self.shared.clone();
            // It reads files: not on a thread that serves sockets. Others go on with the last one.
            let _ = tokio::task::spawn_blocking(move || shared.look()).await;
        }
        self.shared.served().config.clone()
    }
}

impl Shared {
    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().expect("no panic under this lock")
    }

    /// True for one caller in each period.
    fn is_due(&self) -> bool {
        let mut served = self.served();
        let due = served.looked.elapsed() >= self.look_every;
        if due {
            served.looked = Instant::now();
        }
        due
    }

    /// Look at the files, and serve what is new in them if it can be served.
    fn look(&self) {
        let found = self.files.read();
        {
            let mut served = self.served();
            if served.found == found {
                return;
            }
            // They could not be read for a moment, and are what they were: its tickets stay good.
            if found.as_ref() == Ok(&served.contents) {
                served.found = found;
                return;
            }
        }
        let made = found.clone().and_then(|contents| Ok((contents.config()?, contents)));
        let now_served = {
            let mut served = self.served();
            served.found = found;
            made.map(|(config, contents)| (served.config, served.contents) = (config, contents))
        };
        match now_served {
            Ok(()) => tracing::info!("another certificate is served from now on"),
            Err(error) => {
                let file = match error.part {
                    Part::Cert => &self.files.cert,
                    Part::Key => &self.files.key,
                };
                let file = file.display();
                tracing::warn!(%file, %error, "the certificate before is still served");
            }
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("files", &self.shared.files).finish_non_exhaustive()
    }
}
