//! A region server: what it is told, how it starts, and how it ends.
//!
//! [`Server::start`] opens the store, binds the socket and starts the driver's thread, the accept
//! loop and a link per peer. It ends in one of two ways. [`ServerHandle::stop`] tells devices to
//! move on, waits for them as long as the configured grace lasts, and closes the store with its
//! marker. [`ServerHandle::kill`] drops everything as a crash would, for tests and drills.

use crate::auth::Keys;
pub use crate::driver::Error as StoreError;
use crate::driver::{self, Driver};
use crate::inputs::{Input, Inputs};
use crate::outbox::Waiting;
use crate::status::{Board, PeerStatus, Status, entries_between, log_heads};
use crate::world::{Clock, Entropy};
use crate::{api, limits, peers};
use landfall_model::id::RegionId;
use landfall_model::schema::Schema;
use landfall_sync::region::node::{Directory, LinkId, SessionId};
use landfall_tls::{Acceptor, Connector};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

/// Everything that a region server is told.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub region: RegionId,
    /// For people: `eu-west`.
    pub name: String,
    /// Holds the store.
    pub data_dir: PathBuf,
    /// Holds the marker; on another disk than the store where there is one, and in no backup.
    pub marker_dir: PathBuf,
    /// A name of this machine that no other has and that survives a restart.
    pub host: String,
    pub listen: SocketAddr,
    /// Serve TLS, and nothing without it. `None`: something in front of the server must.
    pub tls: Option<Acceptor>,
    /// Listen without TLS on an address that is not a loopback one.
    pub listen_beyond_loopback: bool,
    pub placement: u16,
    /// All other regions of the placement.
    pub peers: Vec<PeerConfig>,
    /// Reaches them; it knows whom to trust where a URL begins with `https`.
    pub connector: Connector,
    /// Regions that are lost for ever.
    pub lost: BTreeSet<RegionId>,
    /// Regions that must hold an op before its device may drop it.
    pub copies: usize,
    pub keys: Keys,
    pub limits: Limits,
    /// How long the driver lets others join a turn when there are several sessions.
    pub gather: Duration,
    /// How long [`ServerHandle::stop`] waits for devices to leave.
    pub grace: Duration,
    /// How long after its start the region takes back only some of the devices that went elsewhere
    /// meanwhile. None of this keeps out who has no other region.
    pub ramp: Duration,
    /// The list of regions that devices are given.
    pub directory: Option<Directory>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

#[derive(Debug, Clone)]
pub struct PeerConfig {
    pub region: RegionId,
    pub name: String,
    /// `https://host:port`, or `http://host:port` over a network that is trusted.
    pub url: String,
    /// Added to the way there and to the way back, to make a distant region of a near one.
    pub delay_ms: u64,
}

/// What sessions may cost; see [`crate::limits`] for the meanings.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub sessions_max: usize,
    pub frames_per_second: u32,
    pub frames_burst: u32,
    pub bytes_per_second: u32,
    pub bytes_burst: u32,
    pub hello_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: limits::SESSIONS_MAX,
            frames_per_second: limits::SESSION_FRAMES_PER_SECOND,
            frames_burst: limits::SESSION_FRAMES_BURST,
            bytes_per_second: limits::SESSION_BYTES_PER_SECOND,
            bytes_burst: limits::SESSION_BYTES_BURST,
            hello_within: limits::HELLO_WITHIN,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0} is not a loopback address; listening there without TLS must be asked for")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("peer {name}: {reason}")]
    Peer { name: String, reason: String },
    #[error(transparent)]
    Store(#[from] driver::Error),
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// A few first, to see that all is well; then more.
fn ramp(since_start: Duration, whole: Duration) -> u32 {
    match (since_start.as_millis() * 3).checked_div(whole.as_millis()) {
        Some(0) => 1,
        Some(1) => 10,
        Some(2) => 50,
        _ => 100,
    }
}

/// What all parts of a running server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub config: ServerConfig,
    pub inputs: Inputs,
    pub waiting: Waiting,
    pub board: Board,
    pub draining: AtomicBool,
    pub killed: AtomicBool,
    pub sessions: Arc<Semaphore>,
    pub links: Arc<Semaphore>,
    /// Numbers of sessions and links, never used twice in a process.
    ids: AtomicU64,
    started: Instant,
}

impl Shared {
    fn new(config: ServerConfig, inputs: Inputs) -> Self {
        Self {
            inputs,
            waiting: Waiting::default(),
            board: Board::default(),
            draining: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            sessions: Arc::new(Semaphore::new(config.limits.sessions_max)),
            links: Arc::new(Semaphore::new(limits::LINKS_MAX)),
            ids: AtomicU64::new(1),
            started: Instant::now(),
            config,
        }
    }

    /// Of a hundred devices that failed over, so many are taken back now.
    pub fn accepts_percent(&self) -> u32 {
        ramp(self.started.elapsed(), self.config.ramp)
    }

    pub fn next_session(&self) -> SessionId {
        SessionId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub fn next_link(&self) -> LinkId {
        LinkId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub fn status(&self) -> Status {
        let picture = self.board.picture();
        let counters = &self.board.counters;
        let commits = counters.commits.get();
        let peer = |p: &PeerConfig| {
            let seen = picture.peers.get(&p.region).cloned().unwrap_or_default();
            PeerStatus {
                region: p.region.0,
                name: p.name.clone(),
                connected: seen.connected,
                lag_entries: entries_between(&picture.vector, &seen.vector),
                behind_entries: entries_between(&seen.vector, &picture.vector),
            }
        };
        Status {
            region: self.config.region.0,
            name: self.config.name.clone(),
            incarnation: picture.incarnation,
            ready: picture.store_open && !self.is_draining(),
            draining: self.is_draining(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            sessions: picture.sessions,
            sessions_opened: counters.sessions_opened.get(),
            closed_slow: counters.closed_slow.get(),
            overloaded: counters.overloaded.get(),
            pushes: counters.pushes.get(),
            transactions: counters.transactions.get(),
            ops: counters.ops.get(),
            entries_from_peers: counters.entries_from_peers.get(),
            ops_per_second: picture.ops_per_second,
            commits,
            commit_us_mean: counters.commit_us.get().checked_div(commits).unwrap_or(0),
            store_failures: counters.store_failures.get(),
            frames_in: counters.frames_in.get(),
            frames_out: counters.frames_out.get(),
            deltas: counters.deltas.get(),
            delta_bodies: counters.delta_bodies.get(),
            vector: log_heads(&picture.vector),
            peers: self.config.peers.iter().map(peer).collect(),
            reports: picture.reports,
        }
    }
}

/// Starts region servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Start a region on the address of its configuration.
    pub async fn start(
        config: ServerConfig,
        schema: Arc<Schema>,
    ) -> Result<ServerHandle, StartError> {
        let address = config.listen;
        let open = config.tls.is_none() && !config.listen_beyond_loopback;
        if open && !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| StartError::Listen { address, source })?;
        Self::start_on(listener, config, schema).await
    }

    /// Start a region on a socket that is bound already.
    pub async fn start_on(
        listener: TcpListener,
        config: ServerConfig,
        schema: Arc<Schema>,
    ) -> Result<ServerHandle, StartError> {
        let listen = config.listen;
        let failed = |source| StartError::Listen { address: listen, source };
        let address = listener.local_addr().map_err(failed)?;
        let targets = peers::targets(&config.peers)?;
        let (inputs, queue) = Inputs::new();
        let shared = Arc::new(Shared::new(config, inputs));
        let opened = {
            let shared = Arc::clone(&shared);
            // Opening reads the disk: not on a thread that serves sockets.
            tokio::task::spawn_blocking(move || Driver::open(shared, schema, queue)).await
        };
        let driver = opened.map_err(|e| StartError::Thread(e.into()))??;
        let thread = std::thread::Builder::new()
            .name(format!("region-{}", shared.config.region.0))
            .spawn(move || driver.run())
            .map_err(StartError::Thread)?;
        let (closing, closed) = watch::channel(false);
        let mut tasks = vec![tokio::spawn(tick(shared.inputs.clone()))];
        for target in targets {
            tasks.push(tokio::spawn(peers::keep(Arc::clone(&shared), target)));
        }
        let accepting = tokio::spawn(api::serve(listener, Arc::clone(&shared), closed));
        tracing::info!(region = shared.config.region.0, %address, "the region is up");
        Ok(ServerHandle { address, shared, closing, accepting, tasks, thread: Some(thread) })
    }
}

async fn tick(inputs: Inputs) {
    let mut ticks = tokio::time::interval(limits::TICK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        inputs.send(Input::Tick);
    }
}

/// A running region. Dropped without [`ServerHandle::stop`], it ends as by
/// [`ServerHandle::kill`], but does not wait for its thread.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How often a draining server looks whether all sessions have left.
const DRAIN_POLL: Duration = Duration::from_millis(20);

impl ServerHandle {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn region(&self) -> RegionId {
        self.shared.config.region
    }

    /// What `/v1/status` shows.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Let no new sessions in, and tell those that are here to move to another region. Peers stay.
    pub fn drain(&self) {
        if !self.shared.draining.swap(true, Ordering::Relaxed) {
            self.shared.inputs.send(Input::Drain(self.shared.config.grace));
        }
    }

    /// End cleanly: drain, wait for at most the grace, close the connections, and then the store.
    /// False if the store could not be closed, or had failed before: its next start goes on from
    /// the last commit.
    pub async fn stop(mut self) -> bool {
        self.drain();
        let end = tokio::time::Instant::now() + self.shared.config.grace;
        while self.status().sessions > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        let (done, stopped) = oneshot::channel();
        self.shared.inputs.send(Input::Stop(done));
        // An error says that the thread has ended already.
        let clean = stopped.await.unwrap_or(false);
        let _ = self.closing.send(true);
        let _ = (&mut self.accepting).await;
        self.join().await;
        clean
    }

    /// End as by a crash: nothing is flushed, answered or marked.
    pub async fn kill(mut self) {
        self.abort();
        self.join().await;
    }

    fn abort(&self) {
        self.shared.killed.store(true, Ordering::Relaxed);
        self.shared.inputs.send(Input::Kill);
        self.accepting.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Wait for the driver's thread: the store is free when it has ended.
    async fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_takes_back_a_few_at_first() {
        let whole = Duration::from_secs(60);
        let after = |seconds| ramp(Duration::from_secs(seconds), whole);
        assert_eq!([0, 19, 20, 40, 60, 9_999].map(after), [1, 1, 10, 50, 100, 100]);
        assert_eq!(ramp(Duration::ZERO, Duration::ZERO), 100);
    }
}
