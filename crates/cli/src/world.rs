//! A world on this machine: several region servers, each with its own files and socket, and
//! between them and around them proxies that stand for the network. The servers run in this
//! process, or each in one of its own.
//!
//! `landfall dev`, `replay`, `drill` and `bench` are built on it. Peers reach a region through a proxy
//! each, and devices through the one in front of it, so each stretch can be delayed or cut by itself.
//! Devices of the drill have proxies of their own instead, one for each region; most of a benchmark's
//! have none.

mod description;
mod faults;
mod process;
mod wan;

pub(crate) use description::Description;
pub(crate) use faults::Faults;
pub(crate) use process::{Child, log_file};
pub(crate) use wan::Wan;

use crate::fault::{self, code};
use anyhow::Context;
use landfall_chaos::{Profile, Proxy, Way};
use landfall_device::{Account, Client, FixedToken, Options, RegionUrl};
use landfall_model::id::RegionId;
use landfall_model::schema::Schema;
use landfall_region::auth::{Claims, Keys, Secret, issue_dev_token};
use landfall_region::server::{Limits, PeerConfig, Server, ServerConfig};
use landfall_region::status::Status;
use landfall_region::store::Database;
use landfall_region::tls::Connector;
use landfall_region::world::{Clock, Entropy};
use landfall_sync::digest;
use landfall_sync::region::store::Store;
use process::{Files, Process, Running};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A region's store, in its data directory.
const STORE_FILE: &str = "region.db";

/// What all regions share, in the world's directory.
const DEV_KEY: &str = "dev.key";
const PEER_KEY: &str = "peer.key";
const SCHEMA_FILE: &str = "schema.graphql";

/// How long a development token is good for.
const TOKEN_DAYS: i64 = 30;

#[derive(Debug)]
pub(crate) struct WorldOptions {
    pub schema: Arc<Schema>,
    pub regions: usize,
    pub dir: PathBuf,
    pub wan: Wan,
    /// Ports for devices, one per region from this one on; 0 lets the system choose.
    pub port: u16,
    /// Run each region as a process of its own, on the schema with this text.
    pub processes: Option<String>,
    /// What such a process tells goes into a file in its directory.
    pub logs: bool,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct World {
    options: WorldOptions,
    regions: Vec<Region>,
    secret: Secret,
    peer_secret: Secret,
    /// What peer `.0` uses to reach region `.1`.
    links: BTreeMap<(usize, usize), Proxy>,
    /// Regions that were ended as by a crash, so far.
    kills: u64,
}

#[derive(Debug)]
struct Region {
    name: String,
    dir: PathBuf,
    /// Where devices find it, running or not.
    front: Proxy,
    server: Option<Running>,
}

impl World {
    pub(crate) async fn start(options: WorldOptions) -> anyhow::Result<Self> {
        // Ports come before files: a start that fails for a taken port leaves nothing behind.
        // Proxies come before servers; until then they lead nowhere.
        let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
        let mut regions = Vec::new();
        let mut links = BTreeMap::new();
        for i in 0..options.regions {
            let name = options.wan.name(i).to_owned();
            let dir = options.dir.join(&name);
            let port = if options.port == 0 { 0 } else { options.port + i as u16 };
            let front = Proxy::start(port, nowhere, Profile::PERFECT).await.map_err(|error| {
                let message =
                    format!("cannot listen on 127.0.0.1:{port} for {name}: {error}; try --port");
                fault::new(code::LISTEN, message)
            })?;
            regions.push(Region { name, dir, front, server: None });
            for j in (0..options.regions).filter(|j| *j != i) {
                let delay = options.wan.one_way(i, j);
                links.insert((i, j), Proxy::start(0, nowhere, Profile::delayed(delay)).await?);
            }
        }
        let entropy = OsEntropy;
        let secret = Secret::load_or_create(&options.dir.join(DEV_KEY), &entropy)?;
        let peer_secret = Secret::load_or_create(&options.dir.join(PEER_KEY), &entropy)?;
        if let Some(sdl) = &options.processes {
            std::fs::write(options.dir.join(SCHEMA_FILE), sdl).context("the schema's file")?;
        }
        let mut world = Self { options, regions, secret, peer_secret, links, kills: 0 };
        for i in 0..world.len() {
            world.start_region(i).await?;
        }
        Ok(world)
    }

    pub(crate) fn len(&self) -> usize {
        self.regions.len()
    }

    pub(crate) fn name(&self, region: usize) -> &str {
        &self.regions[region].name
    }

    pub(crate) fn one_way(&self, from: usize, to: usize) -> Duration {
        self.options.wan.one_way(from, to)
    }

    pub(crate) fn url(&self, region: usize) -> String {
        format!("http://{}", self.regions[region].front.address())
    }

    /// Where the region itself listens, without the proxy in front of it; `None` if it does not run.
    pub(crate) fn straight_address(&self, region: usize) -> Option<SocketAddr> {
        Some(self.regions[region].server.as_ref()?.address())
    }

    /// The way that one region's questions to another take.
    pub(crate) fn link(&self, from: usize, to: usize) -> &Proxy {
        &self.links[&(from, to)]
    }

    /// The region itself, without the proxy in front of it.
    pub(crate) fn straight_url(&self, region: usize) -> anyhow::Result<String> {
        let server = self.regions[region].server.as_ref().context("the region does not run")?;
        Ok(format!("http://{}", server.address()))
    }

    /// `None` if it does not run as a process of its own.
    pub(crate) fn process_id(&self, region: usize) -> Option<u32> {
        match self.regions[region].server.as_ref()? {
            Running::Here(_) => None,
            Running::Child(process) => Some(process.child.id()),
        }
    }

    /// How a region's process ended, if it has, though nobody ended it.
    pub(crate) fn process_ended(&mut self, region: usize) -> Option<String> {
        match self.regions[region].server.as_mut()? {
            Running::Here(_) => None,
            Running::Child(process) => process.child.ended(),
        }
    }

    /// A country's region: the same every time, whatever the number of devices.
    pub(crate) fn region_for(&self, country: &str) -> usize {
        (landfall_model::hash::hash64(country.as_bytes()) % self.len() as u64) as usize
    }

    /// Start a region that is not running, on the files that it has.
    pub(crate) async fn start_region(&mut self, i: usize) -> anyhow::Result<()> {
        let name = self.regions[i].name.clone();
        let config = self.config(i);
        let server =
            self.run(config).await.with_context(|| format!("region {name} cannot start"))?;
        self.regions[i].front.set_target(server.address());
        for ((_, to), link) in &self.links {
            if *to == i {
                link.set_target(server.address());
            }
        }
        self.regions[i].server = Some(server);
        Ok(())
    }

    async fn run(&self, config: ServerConfig) -> anyhow::Result<Running> {
        if self.options.processes.is_none() {
            let server = Server::start(config, self.options.schema.clone()).await;
            let server = server.map_err(crate::region::told)?;
            return Ok(Running::Here(Box::new(server)));
        }
        let [schema, dev_key, peer_key] =
            [SCHEMA_FILE, DEV_KEY, PEER_KEY].map(|name| self.options.dir.join(name));
        let log = config.data_dir.with_file_name("log");
        let files = Files { schema, dev_key, peer_key, log: self.options.logs.then_some(log) };
        Ok(Running::Child(Process::start(&config, &files).await?))
    }

    /// End a region as a crash would: a process by SIGKILL.
    pub(crate) async fn kill_region(&mut self, i: usize) {
        if let Some(server) = self.regions[i].server.take() {
            self.kills += 1;
            server.kill().await;
        }
    }

    /// End a region in order. False if it could not close its files so.
    pub(crate) async fn stop_region(&mut self, i: usize) -> bool {
        match self.regions[i].server.take() {
            Some(server) => server.stop().await,
            None => true,
        }
    }

    /// Ask a region that is a process to end; it tells its devices first.
    pub(crate) fn ask_to_end(&mut self, i: usize) {
        if let Some(Running::Child(process)) = &mut self.regions[i].server {
            process.child.ask_to_end();
        }
    }

    /// Throw a region's files away, as if its disk had burned.
    pub(crate) fn wipe_region(&mut self, i: usize) -> anyhow::Result<()> {
        let dir = &self.regions[i].dir;
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
    }

    /// Cut or mend the way that one region's questions to another take.
    pub(crate) fn set_link_cut(&self, from: usize, to: usize, cut: bool) {
        self.links[&(from, to)].set_way(way(cut));
    }

    /// Cut or mend the way that devices take to a region.
    pub(crate) fn set_front_cut(&self, region: usize, cut: bool) {
        self.regions[region].front.set_way(way(cut));
    }

    /// Have the way that devices take to a region swallow what is sent, and answer nothing.
    pub(crate) fn set_front_silent(&self, region: usize) {
        self.regions[region].front.set_way(Way::Swallowing);
    }

    pub(crate) fn link_cut(&self, from: usize, to: usize) -> bool {
        self.links[&(from, to)].way() == Way::Cut
    }

    pub(crate) fn front_cut(&self, region: usize) -> bool {
        self.regions[region].front.way() == Way::Cut
    }

    pub(crate) fn is_running(&self, region: usize) -> bool {
        self.regions[region].server.is_some()
    }

    /// `None` while the region does not run, or does not answer.
    pub(crate) async fn status(&self, region: usize) -> Option<Status> {
        self.regions[region].server.as_ref()?.status().await
    }

    /// How often a region was ended as by a crash.
    pub(crate) fn kills(&self) -> u64 {
        self.kills
    }

    /// Bytes between regions so far.
    pub(crate) fn link_bytes(&self) -> u64 {
        self.links.values().map(|link| link.bytes_up() + link.bytes_down()).sum()
    }

    /// Bytes between devices and regions so far.
    pub(crate) fn front_bytes(&self) -> u64 {
        self.regions.iter().map(|r| r.front.bytes_up() + r.front.bytes_down()).sum()
    }

    fn config(&self, i: usize) -> ServerConfig {
        let region = &self.regions[i];
        let peer = |j: usize| PeerConfig {
            region: RegionId(j as u16 + 1),
            name: self.regions[j].name.clone(),
            url: format!("http://{}", self.links[&(i, j)].address()),
            delay_ms: 0,
        };
        ServerConfig {
            region: RegionId(i as u16 + 1),
            name: region.name.clone(),
            data_dir: region.dir.join("data"),
            marker_dir: region.dir.join("marker"),
            host: "this machine".to_owned(),
            listen: ([127, 0, 0, 1], 0).into(),
            tls: None,
            listen_beyond_loopback: false,
            placement: 0,
            peers: (0..self.len()).filter(|j| *j != i).map(peer).collect(),
            connector: Connector::default(),
            lost: Default::default(),
            copies: self.len().min(2),
            keys: Keys::new(Some(self.secret.clone()), self.peer_secret.clone()),
            limits: Limits::default(),
            gather: Duration::ZERO,
            ramp: Duration::ZERO,
            directory: None,
            grace: Duration::from_secs(2),
            clock: Arc::new(WallClock),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// What other commands find in the world's directory.
    pub(crate) fn describe(&self, page: &str, schema: String) -> Description {
        let regions = self.regions.iter().map(|r| description::Region {
            name: r.name.clone(),
            url: format!("http://{}", r.front.address()),
        });
        Description { page: page.to_owned(), regions: regions.collect(), schema }
    }

    /// A token of the development key.
    pub(crate) fn token(
        &self,
        subject: &str,
        scopes: &[&str],
        audiences: &[&str],
    ) -> anyhow::Result<String> {
        let expires_ms = WallClock.now_ms() + TOKEN_DAYS * 86_400_000;
        let claims =
            Claims::new(subject, scopes.iter().copied(), audiences.iter().copied(), expires_ms);
        Ok(issue_dev_token(&self.secret, &claims)?)
    }

    /// A device that may do everything, nearest to the given region and then to the others.
    pub(crate) fn device(&self, subject: &str, nearest: usize) -> anyhow::Result<Client> {
        self.device_with(subject, nearest, &["*"], &["*"])
    }

    pub(crate) fn device_with(
        &self,
        subject: &str,
        nearest: usize,
        scopes: &[&str],
        audiences: &[&str],
    ) -> anyhow::Result<Client> {
        let mut options = self.device_options(subject, scopes, audiences)?;
        options.regions = (0..self.len())
            .map(|i| (nearest + i) % self.len())
            .map(|i| RegionUrl::new(self.name(i), self.url(i)))
            .collect();
        Client::open(options).with_context(|| format!("device {subject}"))
    }

    /// What a device is opened with, but for its regions.
    pub(crate) fn device_options(
        &self,
        subject: &str,
        scopes: &[&str],
        audiences: &[&str],
    ) -> anyhow::Result<Options> {
        let dir = self.options.dir.join("devices");
        std::fs::create_dir_all(&dir)?;
        let account = Account { tenant: String::new(), subject: subject.to_owned() };
        let path = dir.join(format!("{subject}.db"));
        let mut options = Options::new(path, self.options.schema.clone(), account);
        options.tokens = Arc::new(FixedToken(self.token(subject, scopes, audiences)?));
        Ok(options)
    }

    /// Wait until all regions hold the same logs.
    pub(crate) async fn wait_until_equal(
        &self,
        within: Duration,
        mut told: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let lag = self.lag().await;
            if lag == 0 {
                return Ok(());
            }
            anyhow::ensure!(started.elapsed() < within, "regions are still {lag} entries apart");
            told(lag);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Log entries that some running region has and another one lacks, in all. One that does not
    /// say what it has counts as one behind.
    pub(crate) async fn lag(&self) -> u64 {
        let mut heads: Vec<BTreeMap<_, u64>> = Vec::new();
        for server in self.regions.iter().filter_map(|r| r.server.as_ref()) {
            let Some(status) = server.status().await else { return 1 };
            let head =
                |h: landfall_region::status::LogHead| ((h.region, h.incarnation, h.stream), h.seq);
            heads.push(status.vector.into_iter().map(head).collect());
        }
        let mut most: BTreeMap<_, u64> = BTreeMap::new();
        for (log, seq) in heads.iter().flatten() {
            let at = most.entry(*log).or_default();
            *at = (*at).max(*seq);
        }
        let behind = |h: &BTreeMap<_, u64>| -> u64 {
            most.iter().map(|(log, seq)| seq - h.get(log).copied().unwrap_or(0)).sum()
        };
        heads.iter().map(behind).sum()
    }

    /// End all regions cleanly, then read the digest of each from its files.
    pub(crate) async fn stop_and_digest(mut self) -> anyhow::Result<Vec<String>> {
        self.stop().await;
        let schema = self.options.schema.clone();
        let digest = |region: &Region| -> anyhow::Result<String> {
            let mut store = open_store(&region.dir.join("data"))?;
            Ok(digest::of_region(&mut store, |t| schema.text_fields(t))?.hex())
        };
        self.regions.iter().map(digest).collect()
    }

    /// A stopped region's file.
    pub(crate) fn store_path(&self, region: usize) -> PathBuf {
        self.regions[region].dir.join("data").join(STORE_FILE)
    }

    /// What is in it, for reading.
    pub(crate) fn open_stopped(&self, region: usize) -> anyhow::Result<Database> {
        open_store(&self.regions[region].dir.join("data"))
    }

    /// Bytes of all documents in a stopped region's store.
    pub(crate) fn stored_text_bytes(&self, region: usize) -> anyhow::Result<u64> {
        let mut store = self.open_stopped(region)?;
        let mut bytes = 0;
        for (key, _) in store.entities(None, usize::MAX)? {
            for field in self.options.schema.text_fields(key.kind) {
                bytes += store.text(&key, field)?.stored_bytes() as u64;
            }
        }
        Ok(bytes)
    }

    /// End all regions. False if one of them could not close its files in order.
    pub(crate) async fn stop(&mut self) -> bool {
        let servers: Vec<Running> =
            self.regions.iter_mut().filter_map(|r| r.server.take()).collect();
        let mut clean = true;
        for server in servers {
            clean &= server.stop().await;
        }
        clean
    }
}

/// A token of the development key in a directory, for home scopes, audiences, and shared scopes to
/// publish.
pub(crate) fn dev_token(
    dir: &Path,
    subject: &str,
    (scopes, audiences, publishes): (&[String], &[String], &[String]),
    expires_ms: i64,
) -> anyhow::Result<String> {
    let path = dir.join(DEV_KEY);
    if !path.exists() {
        let message = format!(
            "{} is not there; `landfall dev` makes it, or a region that names it as `dev_key`",
            path.display()
        );
        return Err(fault::new(code::NO_WORLD, message));
    }
    let secret = Secret::load_or_create(&path, &OsEntropy).context("the development key")?;
    let claims = Claims::new(subject, scopes, audiences, expires_ms);
    Ok(issue_dev_token(&secret, &Claims { publishes: publishes.to_vec(), ..claims })?)
}

/// A stopped region's store, for reading; `dir` is its data directory.
pub(crate) fn open_store(dir: &Path) -> anyhow::Result<Database> {
    let path = dir.join(STORE_FILE);
    // Opened as it is, one that is gone would be made anew, with nothing in it.
    std::fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut store = Database::open(&path, &landfall_region::store::Options::default())?;
    store.begin()?;
    Ok(store)
}

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now_ms(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |d| d.as_millis() as i64)
    }
}

/// The system's random numbers.
#[derive(Debug)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has random numbers");
    }
}

fn way(cut: bool) -> Way {
    if cut { Way::Cut } else { Way::Open }
}
