//! A TCP proxy on loopback that stands for a stretch of network: it delays both ways, and can be
//! cut and mended while connections go through it.
//!
//! Bytes keep their order. A cut resets what is open and refuses what is new until it is mended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// Reads that may be on their way in one direction.
const IN_FLIGHT_MAX: usize = 256;

/// A running proxy. Dropping it closes all of its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    cut: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: std::sync::Mutex<SocketAddr>,
    delay_us: AtomicU64,
    bytes: AtomicU64,
    closed: AtomicBool,
}

impl Proxy {
    /// Forward connections from a loopback port (0: any) to `target`, each byte `delay` later than
    /// it came.
    pub(crate) async fn start(
        port: u16,
        target: SocketAddr,
        delay: Duration,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: std::sync::Mutex::new(target),
            delay_us: AtomicU64::new(delay.as_micros() as u64),
            bytes: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let (cut, watch) = watch::channel(false);
        let task = tokio::spawn(accept(listener, shared.clone(), watch));
        Ok(Self { address, shared, cut, task })
    }

    /// Cut or mend.
    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }

    pub(crate) fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Where connections made from now on go, for a target that came back elsewhere.
    pub(crate) fn set_target(&self, target: SocketAddr) {
        *self.shared.target.lock().expect("not poisoned") = target;
    }

    /// Bytes carried so far, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.cut.send_replace(true);
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, cut: watch::Receiver<bool>) {
    while let Ok((inbound, _)) = listener.accept().await {
        if *cut.borrow() {
            continue;
        }
        tokio::spawn(carry(inbound, shared.clone(), cut.clone()));
    }
}

async fn carry(inbound: TcpStream, shared: Arc<Shared>, mut cut: watch::Receiver<bool>) {
    let target = *shared.target.lock().expect("not poisoned");
    let Ok(outbound) = TcpStream::connect(target).await else { return };
    for stream in [&inbound, &outbound] {
        // Delay is the proxy's business; the kernel must not add its own.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, to_client) = inbound.into_split();
    let (from_server, to_server) = outbound.into_split();
    tokio::select! {
        () = pump(from_client, to_server, shared.clone()) => {}
        () = pump(from_server, to_client, shared.clone()) => {}
        _ = cut.wait_for(|cut| *cut) => {}
    }
}

/// One direction: what was read at one moment is written `delay` after it.
async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    shared: Arc<Shared>,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT_MAX);
    let read = async {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(n) = from.read(&mut buffer).await {
            let delay = Duration::from_micros(shared.delay_us.load(Ordering::Relaxed));
            let due = Instant::now() + delay;
            if n == 0 || sender.send((due, buffer[..n].to_vec())).await.is_err() {
                break;
            }
        }
        drop(sender);
    };
    let write = async {
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
