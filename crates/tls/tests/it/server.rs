//! A port behind which is TLS, or something else.

use crate::authority::Certified;
use landfall_tls::{Acceptor, Connector, Endpoint, Error, Files, Socket, Trust};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than any test waits for what does come.
pub const SOON: Duration = Duration::from_secs(20);

/// What a server says to whoever gets through to it.
pub const HELLO: &[u8] = b"hello";

pub struct Server {
    pub address: SocketAddr,
    pub folder: TempDir,
    /// What callers said after their handshake.
    pub heard: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    /// Looks at its files at every connection.
    pub async fn start(certified: &Certified) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = certified.write(folder.path());
        let acceptor =
            Acceptor::looking_every(Duration::ZERO, Files { cert, key }).expect("it is served");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, notes) = (acceptor.clone(), notes.clone());
                tokio::spawn(async move {
                    let Ok(mut socket) = acceptor.accept(stream).await else { return };
                    let _ = socket.write_all(HELLO).await;
                    let _ = socket.flush().await;
                    let mut bytes = Vec::new();
                    let _ = socket.read_to_end(&mut bytes).await;
                    notes.lock().unwrap().extend(bytes);
                });
            }
        });
        Self { address, folder, heard }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new("https", "127.0.0.1", Some(self.address.port())).unwrap()
    }

    /// Write other files in the place of those that are served.
    pub fn renew(&self, certified: &Certified) {
        certified.write(self.folder.path());
    }
}

pub fn trusting(pem: &str) -> Connector {
    Connector::new(&Trust::Only(pem.into())).expect("authorities")
}

/// Connect, say something, and hear what the server says to all.
pub async fn call(connector: &Connector, endpoint: &Endpoint) -> Result<Box<dyn Socket>, Error> {
    let connecting = timeout(SOON, connector.connect(endpoint));
    let mut socket = connecting.await.expect("an end in time")?;
    socket.write_all(b"a secret").await.unwrap();
    socket.flush().await.unwrap();
    let mut hello = [0; HELLO.len()];
    timeout(SOON, socket.read_exact(&mut hello)).await.expect("in time").unwrap();
    assert_eq!(hello, HELLO);
    Ok(socket)
}

/// A way to a server that counts, for each connection, the bytes that came back over it.
pub async fn counted(to: SocketAddr) -> (Endpoint, mpsc::UnboundedReceiver<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (counts, counted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(to).await.unwrap();
            let (_, down) = copy_bidirectional(&mut near, &mut far).await.unwrap();
            let _ = counts.send(down);
        }
    });
    (Endpoint::new("https", "127.0.0.1", Some(port)).unwrap(), counted)
}
