//! `landfall region`: one region, from a configuration file.

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use crate::world::{OsEntropy, WallClock};
use anyhow::Context;
use landfall_model::id::RegionId;
use landfall_region::auth::{Keys, Secret};
use landfall_region::server::{Limits, PeerConfig, Server, ServerConfig, StartError, StoreError};
use landfall_region::tls::{Acceptor, Connector, Files, Part, Trust};
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
    /// Serve TLS; if not given, something in front of the region must.
    pub tls: Option<Tls>,
    #[serde(default)]
    pub listen_beyond_loopback: bool,
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// Authorities (PEM) that may certify peers, besides those that browsers trust.
    pub peer_roots: Option<PathBuf>,
    /// Trust those alone.
    #[serde(default)]
    pub peer_roots_only: bool,
    /// Regions that are lost for ever.
    #[serde(default)]
    pub lost: Vec<u16>,
    /// As many regions as there are, at most [`COPIES`], if not given.
    pub copies: Option<usize>,
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

/// What a region shows of itself; both files are in PEM, and read again when they change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
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

/// Regions that hold a write before its device lets go of it, where there are so many.
const COPIES: usize = 2;

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
    let config = config(file, base, &Source { path: &args.config, text: &text })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let name = config.name.clone();
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let server = Server::start(config, schema).await.map_err(told)?;
        terminal::say(format!("{name} listens on {scheme}://{}", server.address()));
        tokio::select! {
            () = crate::dev::wait_for_interrupt() => {}
            () = input_closed(), if args.with_parent => {}
        }
        terminal::note("draining");
        let clean = server.stop().await;
        terminal::note(if clean {
            "stopped"
        } else {
            "stopped; the store was not closed in order"
        });
        Ok(if clean { Exit::Done } else { Exit::Failed })
    })
}

/// Codes and advice of a store that cannot be opened.
pub(crate) fn told(error: StartError) -> anyhow::Error {
    let error = match error {
        StartError::Store(StoreError::Directory(io) | StoreError::Marker(io)) => {
            return opened(&io.into());
        }
        error => error,
    };
    match &error {
        StartError::Store(StoreError::Open(open)) => opened(open),
        StartError::Store(StoreError::Store(store)) => {
            anyhow::anyhow!("{}: {store}. {}", store.code(), store.advice())
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

fn opened(error: &landfall_region::store::OpenError) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}. {}", error.code(), error.advice())
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

/// The configuration's file, for faults that have a place in it.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// A fault of a key that is in a table: at its own line, or at the one that sets all of it.
    fn fault_within(&self, table: &str, key: &str, message: &str) -> anyhow::Error {
        let name = format!("{table}.{key}");
        let line = [&name, table, key].into_iter().find_map(|key| self.line_of(key, 0));
        self.fault_at(line, &name, message)
    }

    /// A fault at the line that sets this key; of several, at the one counted from 0.
    fn fault(&self, key: &str, nth: usize, message: &str) -> anyhow::Error {
        self.fault_at(self.line_of(key, nth), key, message)
    }

    /// The line that sets this key, from 1; of several, the one counted from 0.
    fn line_of(&self, key: &str, nth: usize) -> Option<usize> {
        let sets = |line: &str| {
            line.trim_start()
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        let lines = self.text.lines().enumerate().filter(|(_, line)| sets(line));
        lines.map(|(at, _)| at + 1).nth(nth)
    }

    fn fault_at(&self, line: Option<usize>, key: &str, message: &str) -> anyhow::Error {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = format!("{}{line}: `{key}`: {message}", self.path.display());
        fault::new(code::CONFIGURATION, message)
    }
}

/// What the configuration says of itself, before anything is made by it.
fn check(file: &File, source: &Source<'_>) -> anyhow::Result<()> {
    let wrong = |key: &str, message: &str| Err(source.fault(key, 0, message));
    let mut numbers = BTreeSet::new();
    let regions = std::iter::once((file.region, &file.name));
    let regions = regions.chain(file.peers.iter().map(|p| (p.region, &p.name)));
    for (nth, (number, name)) in regions.enumerate() {
        if number == 0 {
            return Err(source.fault("region", nth, "regions are numbered from 1"));
        }
        if !numbers.insert(number) {
            let message = "each peer has a number of its own, and none has this region's";
            return Err(source.fault("region", nth, message));
        }
        if name.trim().is_empty() {
            return Err(source.fault("name", nth, "is empty; write one, like \"eu-west\""));
        }
    }
    if file.copies.is_some_and(|copies| !(1..=numbers.len()).contains(&copies)) {
        let message = match numbers.len() {
            1 => "there is one region: write 1, or name its peers".to_owned(),
            n => format!("there are {n} regions, this one and its peers: write 1 to {n}"),
        };
        return wrong("copies", &message);
    }
    if file.lost.contains(&file.region) {
        return wrong("lost", "names this region itself");
    }
    if file.jwks.is_none() && file.dev_key.is_none() {
        return wrong("jwks", "nobody could log in: name it, or `dev_key` for `landfall token`");
    }
    let open = file.tls.is_none() && !file.listen_beyond_loopback;
    if open && !file.listen.ip().is_loopback() {
        let message = format!(
            "{} is reached from other machines, without TLS; name a certificate by `tls`, or if \
             that is meant, write `listen_beyond_loopback = true`",
            file.listen.ip()
        );
        return wrong("listen", &message);
    }
    let plain = |peer: &Peer| {
        let host = peer.url.strip_prefix("http://");
        host.is_some_and(|host| !LOOPBACK.iter().any(|here| host.starts_with(here)))
    };
    if let (Some(nth), Some(_)) = (file.peers.iter().position(plain), &file.peer_roots) {
        let message =
            "goes in the clear, though `peer_roots` says who certifies peers: write https://";
        return Err(source.fault("url", nth, message));
    }
    Ok(())
}

/// How a host begins that is this machine.
const LOOPBACK: [&str; 3] = ["127.", "[::1]", "localhost"];

/// Keys of the configuration, each with what its file must be.
fn keys(file: &File, base: &Path, source: &Source<'_>) -> anyhow::Result<Keys> {
    let secret = |key: &str, path: &Path| {
        Secret::load_or_create(&base.join(path), &OsEntropy).map_err(|error| {
            let help = "is a file of 32 secret bytes, which is made if it is not there";
            source.fault(key, 0, &format!("{help}: {:#}", anyhow::Error::new(error)))
        })
    };
    let peer_key = secret("peer_key", &file.peer_key)?;
    let dev_key = file.dev_key.as_ref().map(|path| secret("dev_key", path)).transpose()?;
    let keys = Keys::new(dev_key, peer_key);
    let Some(path) = &file.jwks else { return Ok(keys) };
    keys.with_key_set(&base.join(path)).map_err(|error| {
        let help = "is a file with the public keys that sign tokens, {\"keys\":[…]}";
        source.fault("jwks", 0, &format!("{help}: {:#}", anyhow::Error::new(error)))
    })
}

/// What the region serves TLS with, if it does.
fn tls(file: &File, base: &Path, source: &Source<'_>) -> anyhow::Result<Option<Acceptor>> {
    let Some(Tls { cert, key }) = &file.tls else { return Ok(None) };
    let files = Files { cert: base.join(cert), key: base.join(key) };
    let acceptor = Acceptor::open(files).map_err(|error| {
        let (key, path, help) = match error.part {
            Part::Cert => ("cert", cert, "the certificate and those that lead to its authority"),
            Part::Key => ("key", key, "the certificate's private key, not encrypted"),
        };
        let path = path.display();
        source.fault_within("tls", key, &format!("names {help}, in PEM; {path} {error}"))
    })?;
    Ok(Some(acceptor))
}

/// How peers are reached: whom their certificates must be from.
fn connector(file: &File, base: &Path, source: &Source<'_>) -> anyhow::Result<Connector> {
    let Some(path) = &file.peer_roots else {
        if file.peer_roots_only {
            let message = "nobody would be trusted: name the authorities by `peer_roots`";
            return Err(source.fault("peer_roots_only", 0, message));
        }
        return Ok(Connector::default());
    };
    let wrong = |reason: String| {
        let help = "is a file with the certificates of authorities, in PEM";
        source.fault("peer_roots", 0, &format!("{help}: {reason}"))
    };
    let pem = std::fs::read(base.join(path)).map_err(|error| wrong(error.to_string()))?;
    let trust = if file.peer_roots_only { Trust::Only(pem) } else { Trust::PublicAnd(pem) };
    Connector::new(&trust).map_err(|error| wrong(error.to_string()))
}

fn config(file: File, base: &Path, source: &Source<'_>) -> anyhow::Result<ServerConfig> {
    check(&file, source)?;
    let data_dir = base.join(&file.data_dir);
    let (tls, connector) = (tls(&file, base, source)?, connector(&file, base, source)?);
    let keys = keys(&file, base, source)?;
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
        tls,
        listen_beyond_loopback: file.listen_beyond_loopback,
        placement: 0,
        peers: file.peers.into_iter().map(peer).collect(),
        connector,
        lost: file.lost.into_iter().map(RegionId).collect(),
        copies: file.copies.unwrap_or(COPIES),
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
