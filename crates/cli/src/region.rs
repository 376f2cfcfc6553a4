//! `landfall region`: one region, from a configuration file.

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use crate::world::{OsEntropy, WallClock};
use anyhow::Context;
use landfall_model::id::RegionId;
use landfall_region::auth::{Keys, Secret};
use landfall_region::server::{Limits, PeerConfig, Server, ServerConfig, StartError, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The region's configuration (TOML); docs/operating.md explains it
    #[arg(long)]
    config: PathBuf,
    /// End, as by SIGTERM, when standard input closes: a parent that is killed leaves no region
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// The file. Unknown keys are errors: a misspelt limit is worse than none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub region: u16,
    pub name: String,
    pub schema: PathBuf,
    pub data_dir: PathBuf,
    /// Outside of what is backed up; `data_dir/../marker` if not given.
    pub marker_dir: Option<PathBuf>,
    #[serde(default = "loopback")]
    pub listen: SocketAddr,
    #[serde(default)]
    pub listen_beyond_loopback: bool,
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// Regions that are lost for ever.
    #[serde(default)]
    pub lost: Vec<u16>,
    #[serde(default = "two")]
    pub copies: usize,
    /// Shared by all regions of the world; made if it is not there.
    pub peer_key: PathBuf,
    /// Trust tokens signed with this key. For development only.
    pub dev_key: Option<PathBuf>,
    /// Trust the public keys in this JWKS file.
    pub jwks: Option<PathBuf>,
    #[serde(default = "grace")]
    pub grace_ms: u64,
    /// How long after its start the region takes back only some of the devices that failed over.
    #[serde(default = "ramp")]
    pub ramp_ms: u64,
    /// The list of regions for devices, as `landfall directory sign` made it.
    pub directory: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    pub region: u16,
    pub name: String,
    pub url: String,
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 7400).into()
}

fn two() -> usize {
    2
}

fn grace() -> u64 {
    5_000
}

fn ramp() -> u64 {
    60_000
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(&args.config)
        .with_context(|| format!("cannot read {}", args.config.display()))?;
    // The library's message points at line and column.
    let file: File = toml::from_str(&text).map_err(|error| {
        let message = format!("in {}: {error}", args.config.display());
        fault::new(code::CONFIGURATION, message)
    })?;
    let base = args.config.parent().unwrap_or(Path::new("."));
    let schema = Arc::new(crate::schema::load(&base.join(&file.schema))?);
    let config = config(file, base)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let name = config.name.clone();
        let server = Server::start(config, schema).await.map_err(told)?;
        terminal::say(format!("{name} listens on http://{}", server.address()));
        tokio::select! {
            () = crate::dev::wait_for_interrupt() => {}
            () = input_closed(), if args.with_parent => {}
        }
        terminal::note("draining");
        server.stop().await;
        terminal::note("stopped");
        Ok(Exit::Done)
    })
}

/// Codes and advice of a store that cannot be opened.
fn told(error: StartError) -> anyhow::Error {
    match &error {
        StartError::Store(StoreError::Open(open)) => {
            anyhow::anyhow!("{}: {open}. {}", open.code(), open.advice())
        }
        StartError::Listen { address, source } => {
            let message = format!("cannot listen on {address}: {source}; `listen` names another");
            fault::new(code::LISTEN, message)
        }
        StartError::NotLoopback(_) | StartError::Peer { .. } => {
            fault::new(code::CONFIGURATION, error.to_string())
        }
        _ => error.into(),
    }
}

/// Until nobody holds the other end of standard input.
async fn input_closed() {
    let (sender, closed) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for a blocking task at its end.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = sender.send(());
    });
    let _ = closed.await;
}

fn config(file: File, base: &Path) -> anyhow::Result<ServerConfig> {
    let numbers = || file.peers.iter().map(|p| p.region);
    let wrong = |message: &str| Err(fault::new(code::CONFIGURATION, message));
    if file.region == 0 || numbers().any(|n| n == 0) {
        return wrong("regions are numbered from 1");
    }
    let others: BTreeSet<u16> = numbers().filter(|n| *n != file.region).collect();
    if others.len() != file.peers.len() {
        return wrong("each peer has a number of its own, and none has this region's");
    }
    if file.lost.contains(&file.region) {
        return wrong("`lost` names this region itself");
    }
    if file.jwks.is_none() && file.dev_key.is_none() {
        return wrong("nobody could log in: name `jwks`, or `dev_key` for `landfall token`");
    }
    let data_dir = base.join(&file.data_dir);
    let peer_key = Secret::load_or_create(&base.join(&file.peer_key), &OsEntropy)?;
    let dev_key = file.dev_key.map(|p| Secret::load_or_create(&base.join(p), &OsEntropy));
    let mut keys = Keys::new(dev_key.transpose()?, peer_key);
    if let Some(path) = &file.jwks {
        keys = keys.with_key_set(&base.join(path)).context("`jwks`, the public keys")?;
    }
    let marker_dir = match file.marker_dir {
        Some(dir) => base.join(dir),
        None => data_dir.parent().unwrap_or(base).join("marker"),
    };
    let directory = file.directory.map(|path| crate::directory::read(&base.join(path)));
    let peer =
        |p: Peer| PeerConfig { region: RegionId(p.region), name: p.name, url: p.url, delay_ms: 0 };
    Ok(ServerConfig {
        region: RegionId(file.region),
        name: file.name,
        data_dir,
        marker_dir,
        host: host_name(),
        listen: file.listen,
        listen_beyond_loopback: file.listen_beyond_loopback,
        placement: 0,
        peers: file.peers.into_iter().map(peer).collect(),
        lost: file.lost.into_iter().map(RegionId).collect(),
        copies: file.copies,
        keys,
        limits: Limits::default(),
        gather: Duration::ZERO,
        grace: Duration::from_millis(file.grace_ms),
        ramp: Duration::from_millis(file.ramp_ms),
        directory: directory.transpose()?,
        clock: Arc::new(WallClock),
        entropy: Arc::new(OsEntropy),
    })
}

/// What tells this machine from another that a disk image may have been copied to.
fn host_name() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let id = read("/etc/machine-id").filter(|s| !s.trim().is_empty());
    id.or_else(|| read("/etc/hostname")).unwrap_or_default().trim().to_owned()
}
