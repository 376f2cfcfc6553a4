//! A TCP proxy on loopback that stands for a stretch of network: it delays both ways, evenly or not,
//! is as wide as it is told, and can be cut, swallow everything or what goes one way, and be mended,
//! while connections go through it.
//!
//! Bytes keep their order, and none is lost but by a cut. A side that has said its last word is still
//! answered, as over any network; where one side breaks off, so does the proxy with the other. It holds at most [`IN_FLIGHT_MAX`] reads
//! in each direction; beyond that the sender feels it, as in a full queue of a router.

use crate::profile::Profile;
use crate::random::Random;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

/// The same on a stretch with a bound: what is read at one moment arrives at one moment.
const NARROW_READ_BYTES: usize = 4 << 10;

/// Reads that may be on their way in one direction.
pub const IN_FLIGHT_MAX: usize = 256;

/// Whether bytes get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They do.
    Open,
    /// Open connections are reset, new ones are closed at once.
    Cut,
    /// Nothing comes through and nobody is told: connections open, and then are silent. What was
    /// sent arrives when the way is open again, as TCP would send it again.
    Swallowing,
    /// The same, for what is sent by those who connected; what is sent to them arrives.
    SwallowingUp,
    /// The same, for what is sent to those who connected; what they send arrives.
    SwallowingDown,
}

impl Way {
    fn swallows(self, upwards: bool) -> bool {
        match self {
            Self::Open | Self::Cut => false,
            Self::Swallowing => true,
            Self::SwallowingUp => upwards,
            Self::SwallowingDown => !upwards,
        }
    }
}

/// A running proxy. Dropping it closes all of its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    state: watch::Sender<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    way: Way,
    /// How often it was cut. A cut that is over before anybody looked still was one.
    cuts: u64,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    profile: Mutex<Profile>,
    up: AtomicU64,
    down: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Forward connections from a loopback port (0: any) to `target`. Fails where the port is taken.
    pub async fn start(port: u16, target: SocketAddr, profile: Profile) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            profile: Mutex::new(profile),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        });
        let (state, watch) = watch::channel(State { way: Way::Open, cuts: 0 });
        let task = tokio::spawn(accept(listener, shared.clone(), watch));
        Ok(Self { address, shared, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Let bytes through, or not.
    pub fn set_way(&self, way: Way) {
        self.state.send_modify(|s| {
            s.way = way;
            s.cuts += u64::from(way == Way::Cut);
        });
    }

    /// Whether bytes get through.
    pub fn way(&self) -> Way {
        self.state.borrow().way
    }

    /// Reset what is open now; what comes next is carried again.
    pub fn reset(&self) {
        self.state.send_modify(|s| s.cuts += 1);
    }

    /// What bytes that are read from now on go through.
    pub fn set_profile(&self, profile: Profile) {
        *locked(&self.shared.profile) = profile;
    }

    /// Where connections made from now on go, for a target that came back elsewhere.
    pub fn set_target(&self, target: SocketAddr) {
        *locked(&self.shared.target) = target;
    }

    /// Bytes carried so far from those who connected.
    pub fn bytes_up(&self) -> u64 {
        self.shared.up.load(Ordering::Relaxed)
    }

    /// Bytes carried so far to those who connected.
    pub fn bytes_down(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set_way(Way::Cut);
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, state: watch::Receiver<State>) {
    while let Ok((inbound, _)) = listener.accept().await {
        if state.borrow().way == Way::Cut {
            continue;
        }
        tokio::spawn(carry(inbound, shared.clone(), state.clone()));
    }
}

async fn carry(inbound: TcpStream, shared: Arc<Shared>, mut state: watch::Receiver<State>) {
    let cuts = state.borrow().cuts;
    let target = *locked(&shared.target);
    let Ok(outbound) = TcpStream::connect(target).await else { return };
    for stream in [&inbound, &outbound] {
        // Delay is the proxy's business; the kernel must not add its own.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, mut to_client) = inbound.into_split();
    let (from_server, mut to_server) = outbound.into_split();
    let is_cut = {
        let (up, down) = (Pump::new(&shared, true, &state), Pump::new(&shared, false, &state));
        let both = async {
            tokio::try_join!(
                up.carry(from_client, &mut to_server),
                down.carry(from_server, &mut to_client)
            )
        };
        tokio::select! {
            carried = both => carried.is_err(),
            _ = state.wait_for(|s| s.way == Way::Cut || s.cuts != cuts) => true,
        }
    };
    if is_cut {
        // A reset, where the regular end of a dropped half would say that all is well.
        for half in [to_client, to_server] {
            let _ = half.as_ref().set_zero_linger();
            half.forget();
        }
    }
}

/// One direction of one connection.
struct Pump {
    shared: Arc<Shared>,
    upwards: bool,
    state: watch::Receiver<State>,
}

impl Pump {
    fn new(shared: &Arc<Shared>, upwards: bool, state: &watch::Receiver<State>) -> Self {
        Self { shared: shared.clone(), upwards, state: state.clone() }
    }

    fn width(&self, profile: Profile) -> Option<u64> {
        if self.upwards { profile.up } else { profile.down }
    }

    /// What was read at one moment is written when it has passed the stretch, up to the regular end
    /// of what is sent this way. An error: one of the sides is gone.
    async fn carry(
        &self,
        mut from: tcp::OwnedReadHalf,
        to: &mut tcp::OwnedWriteHalf,
    ) -> io::Result<()> {
        let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT_MAX);
        let counter = if self.upwards { &self.shared.up } else { &self.shared.down };
        let read = async {
            let mut buffer = vec![0; READ_BYTES];
            let mut passed = Instant::now();
            // The same on every connection.
            let (mut due, mut random) = (passed, Random::default());
            loop {
                let profile = *locked(&self.shared.profile);
                let width = self.width(profile);
                let most = if width.is_some() { NARROW_READ_BYTES } else { READ_BYTES };
                let read = from.read(&mut buffer[..most]).await;
                // Of an end, too, nobody is told while everything is swallowed.
                let gone = self.until_heard().await.is_err();
                let n = read?;
                if n == 0 || gone {
                    break;
                }
                // Bytes queue for the narrowest place one behind the other; then all are delayed,
                // and none overtakes another.
                passed = passed.max(Instant::now()) + took(n, width);
                let jitter = random.below(profile.jitter.as_micros() as u64 + 1);
                due = due.max(passed + profile.delay + Duration::from_micros(jitter));
                if sender.send((due, buffer[..n].to_vec())).await.is_err() {
                    break;
                }
            }
            drop(sender);
            io::Result::Ok(())
        };
        let write = async {
            while let Some((due, bytes)) = receiver.recv().await {
                tokio::time::sleep_until(due).await;
                if self.until_heard().await.is_err() {
                    break;
                }
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                to.write_all(&bytes).await?;
            }
            // A side that is gone by now shows in the other direction.
            let _ = to.shutdown().await;
            io::Result::Ok(())
        };
        tokio::try_join!(read, write).map(drop)
    }

    /// Until bytes are not swallowed. An error: the proxy is gone.
    async fn until_heard(&self) -> Result<(), watch::error::RecvError> {
        self.state.clone().wait_for(|s| !s.way.swallows(self.upwards)).await.map(drop)
    }
}

/// How long so many bytes take through a place so wide.
fn took(bytes: usize, bytes_per_second: Option<u64>) -> Duration {
    let Some(width) = bytes_per_second else { return Duration::ZERO };
    Duration::from_micros(bytes as u64 * 1_000_000 / width.max(1))
}

#[cfg(test)]
mod tests;
