//! Child processes, and the regions of a world that run: in this process, or each as a child.
//!
//! A child is this same binary. It ends with its parent, because its standard input closes. A region
//! has a configuration file that is written anew at every start, so a kill is a real SIGKILL and a
//! restart has nothing but the files to go on from.

use crate::region::{File, Peer};
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use landfall_region::server::{ServerConfig, ServerHandle};
use landfall_region::status::Status;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A child must say where it listens within this; opening a store reads it.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A child must answer for its status, and end when it is asked to, within these.
const STATUS_WITHIN: Duration = Duration::from_secs(5);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How often an ending child is looked at.
const END_POLL: Duration = Duration::from_millis(5);

/// A process of this binary, killed by SIGKILL when it is dropped.
#[derive(Debug)]
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Start it; `with` says its arguments, and where its output goes.
    pub(crate) fn start(with: impl FnOnce(&mut Command)) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        with(command.stdin(Stdio::piped()));
        Ok(Self(command.spawn()?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// What it writes to standard output, once, if that was piped.
    pub(crate) fn take_output(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// A line of its input.
    pub(crate) fn say(&mut self, line: &str) {
        // One that does not listen any more has ended; that is looked at elsewhere.
        let _ = self.0.stdin.as_mut().map(|input| writeln!(input, "{line}"));
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// It ends when this end of its input closes.
    pub(crate) fn ask_to_end(&mut self) {
        drop(self.0.stdin.take());
    }

    /// True if it ended in order, and in time. What does not end by itself is killed.
    pub(crate) async fn end(mut self, within: Duration) -> bool {
        self.ask_to_end();
        let until = Instant::now() + within;
        loop {
            match self.0.try_wait() {
                Ok(None) if Instant::now() < until => tokio::time::sleep(END_POLL).await,
                Ok(ended) => return ended.is_some_and(|status| status.success()),
                Err(_) => return false,
            }
        }
    }

    /// The same, for as long as it takes, and blocking: for one that has nothing to do but to end.
    pub(crate) fn wait(&mut self) {
        self.ask_to_end();
        // An error says that it has ended already.
        let _ = self.0.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A region that runs.
#[derive(Debug)]
pub(super) enum Running {
    Here(Box<ServerHandle>),
    Child(Process),
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Here(server) => server.address(),
            Self::Child(process) => process.address,
        }
    }

    /// `None` if it does not answer.
    pub async fn status(&self) -> Option<Status> {
        match self {
            Self::Here(server) => Some(server.status()),
            Self::Child(process) => process.status().await,
        }
    }

    /// End it as a crash would; a process by SIGKILL.
    pub async fn kill(self) {
        match self {
            Self::Here(server) => server.kill().await,
            // Dropping it kills it, and waits for the end.
            Self::Child(process) => drop(process),
        }
    }

    /// True if its files were closed in order.
    pub async fn stop(self) -> bool {
        match self {
            Self::Here(server) => server.stop().await,
            Self::Child(process) => process.child.end(STOP_WITHIN).await,
        }
    }
}

/// A region that is a child.
#[derive(Debug)]
pub(super) struct Process {
    pub child: Child,
    address: SocketAddr,
}

/// The files that a child reads: what is the same for all of them.
#[derive(Debug)]
pub(super) struct Files {
    pub schema: PathBuf,
    pub dev_key: PathBuf,
    pub peer_key: PathBuf,
    /// What the child writes to standard error is added to this file; else it goes to the parent's.
    pub log: Option<PathBuf>,
}

impl Process {
    /// Start a region with what `config` says of places, peers and copies.
    pub async fn start(config: &ServerConfig, files: &Files) -> anyhow::Result<Self> {
        let path = config.data_dir.with_file_name("region.toml");
        write_config(&path, config, files)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let log = files.log.as_deref().map(log_file).transpose()?;
        let mut child = Child::start(|command| {
            command.args(["region", "--with-parent", "--config"]).arg(&path);
            command.stdout(Stdio::piped());
            if let Some(log) = log {
                command.stderr(log);
            }
        })?;
        let Some(stdout) = child.take_output() else { bail!("the child has no output") };
        let read = tokio::task::spawn_blocking(move || greeting(stdout));
        let address = tokio::time::timeout(START_WITHIN, read)
            .await
            .with_context(|| format!("it does not listen within {START_WITHIN:?}"))???;
        Ok(Self { child, address })
    }

    async fn status(&self) -> Option<Status> {
        tokio::time::timeout(STATUS_WITHIN, get_status(self.address)).await.ok()?.ok()
    }
}

fn write_config(path: &Path, config: &ServerConfig, files: &Files) -> anyhow::Result<()> {
    let peer = |p: &landfall_region::server::PeerConfig| Peer {
        region: p.region.0,
        name: p.name.clone(),
        url: p.url.clone(),
    };
    let file = File {
        region: config.region.0,
        name: config.name.clone(),
        schema: std::path::absolute(&files.schema)?,
        data_dir: std::path::absolute(&config.data_dir)?,
        marker_dir: Some(std::path::absolute(&config.marker_dir)?),
        listen: config.listen,
        tls: None,
        listen_beyond_loopback: false,
        peers: config.peers.iter().map(peer).collect(),
        peer_roots: None,
        peer_roots_only: false,
        lost: config.lost.iter().map(|r| r.0).collect(),
        copies: Some(config.copies),
        peer_key: std::path::absolute(&files.peer_key)?,
        dev_key: Some(std::path::absolute(&files.dev_key)?),
        jwks: None,
        ramp_ms: config.ramp.as_millis() as u64,
        directory: None,
        grace_ms: config.grace.as_millis() as u64,
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, toml::to_string(&file)?)?;
    Ok(())
}

/// A file that what a child tells is added to.
pub(crate) fn log_file(path: &Path) -> anyhow::Result<std::fs::File> {
    let open = std::fs::OpenOptions::new().create(true).append(true).open(path);
    open.with_context(|| format!("cannot write {}", path.display()))
}

/// The address in the line with which a region says that it is up.
fn greeting(stdout: ChildStdout) -> anyhow::Result<SocketAddr> {
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let Some((_, address)) = line.trim().rsplit_once("http://") else {
        bail!("its process ended before it listened");
    };
    Ok(address.parse()?)
}

async fn get_status(address: SocketAddr) -> anyhow::Result<Status> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let request = Request::get("/v1/status").header("host", address.to_string());
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}
