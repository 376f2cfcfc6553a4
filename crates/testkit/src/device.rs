//! A device of the world: a production client, its file, and what a test does to it.

use crate::accounts::{OTHERS, Tokens, lock};
use crate::error::{Error, Reason, Waiting};
use crate::kit::Testkit;
use crate::limits;
use crate::network::Wire;
use crate::time::{Owner, Process};
use crate::world::{REGION, World};
use landfall_device::store::MemoryFile;
use landfall_device::{
    Account, Client, Clock, ConnectionState, Coverage, Network, Options, Random, RegionUrl, code,
};
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A handle to a device; clones are the same device.
#[derive(Debug, Clone)]
pub struct Device {
    pub(crate) kit: Testkit,
    pub(crate) machine: Arc<Machine>,
}

impl Device {
    /// `ann/phone`: the account and the device's own name.
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// The account, which is also its tokens' subject.
    pub fn account(&self) -> &str {
        &self.machine.account
    }

    /// The app's client. After [`Device::restart`] it is another one.
    pub fn client(&self) -> Client {
        lock(&self.machine.process).client.clone()
    }

    /// The network goes, and with it what is on its way. The app is not told; it finds the
    /// connection lost and tries again by itself.
    pub fn offline(&self) {
        self.kit.world().cut_off(self.name());
    }

    /// The network is back. The client finds it at its next attempt, which [`Testkit::settle`] waits
    /// for.
    pub fn online(&self) {
        self.kit.world().reconnect(self.name());
    }

    /// The app's process is killed and started again. Nothing is closed and nothing is flushed; the
    /// file stays as it is. The dead process held the lease on syncing, so the new one waits until it
    /// has run out (5 s), as it would on a phone. Live queries and clients of before are at their
    /// end.
    pub fn restart(&self) -> Result<Client, Error> {
        let machine = &self.machine;
        let mut process = lock(&machine.process);
        self.kit.world().time.kill(process.owner);
        process.client.abandon()?;
        *process = machine.start(self.kit.world(), process.life + 1)?;
        Ok(process.client.clone())
    }

    /// The account's token has expired, on all its devices, and the app cannot get another one: the
    /// user has to sign in again. Sessions end, writes wait in the outbox, reads go on.
    pub fn expire_token(&self) {
        lock(&self.kit.world().accounts).expire(self.account());
        self.kit.world().end_sessions(self.account());
    }

    /// The user has signed in again: the app has a good token. Without it before, the token is merely
    /// renewed at the next session.
    pub fn renew_token(&self) {
        lock(&self.kit.world().accounts).renew(self.account());
    }
}

/// What stays of a device when its process dies.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    account: String,
    file: File,
    seed: u64,
    process: Mutex<Running>,
}

#[derive(Debug)]
enum File {
    Memory(MemoryFile),
    Disk(PathBuf),
}

/// One process of a device.
#[derive(Debug)]
struct Running {
    client: Client,
    owner: Owner,
    /// Counts processes.
    life: u64,
}

impl Machine {
    /// Make the device and open its file, below `directory` or in memory.
    pub fn new(
        world: &Arc<World>,
        account: &str,
        device: &str,
        directory: Option<&PathBuf>,
        seed: u64,
    ) -> Result<Self, Error> {
        let file = match directory {
            Some(directory) => File::Disk(directory.join(format!("{account}-{device}.landfall"))),
            None => {
                let file = MemoryFile::with_tables(&world.schema);
                File::Memory(file.map_err(landfall_device::OpenError::from)?)
            }
        };
        let name = format!("{account}/{device}");
        let seed = name.bytes().fold(seed, |s, b| mixed(s ^ u64::from(b)));
        let process = Self::open(world, &name, account, &file, seed, 0)?;
        let (process, account) = (Mutex::new(process), account.to_owned());
        Ok(Self { name, account, file, seed, process })
    }

    fn start(&self, world: &Arc<World>, life: u64) -> Result<Running, Error> {
        Self::open(world, &self.name, &self.account, &self.file, self.seed, life)
    }

    fn open(
        world: &Arc<World>,
        name: &str,
        account: &str,
        file: &File,
        seed: u64,
        life: u64,
    ) -> Result<Running, Error> {
        let owner = world.time.new_owner();
        let of_tokens = world.clone();
        let tokens = Tokens {
            accounts: world.accounts.clone(),
            account: account.to_owned(),
            now_ms: Box::new(move || of_tokens.now_ms()),
        };
        let wire =
            Wire { world: world.clone(), device: name.to_owned(), account: account.to_owned() };
        let options = Options {
            path: match file {
                File::Disk(path) => path.clone(),
                File::Memory(file) => file.path().to_owned(),
            },
            schema: world.schema.clone(),
            account: Account { tenant: String::new(), subject: account.to_owned() },
            regions: vec![RegionUrl::new(REGION, "")],
            tokens: Arc::new(tokens),
            clock: Arc::new(WorldClock(world.clone())),
            random: Arc::new(Seeded(AtomicU64::new(mixed(seed ^ life)))),
            transport: Arc::new(wire),
            runtime: Arc::new(Process { time: world.time.clone(), owner }),
            network: Network { poll_ms: limits::POLL_MS, ..Network::default() },
            disk_bytes_max: None,
            read_steps_max: landfall_device::READ_STEPS_MAX,
            shared: None,
            publishes: account == OTHERS,
        };
        let client = match file {
            File::Memory(file) => Client::open_in_memory(options, file)?,
            File::Disk(_) => Client::open(options)?,
        };
        Ok(Running { client, owner, life })
    }

    pub fn client(&self) -> Client {
        lock(&self.process).client.clone()
    }

    /// What the device waits for; `None` if nothing is left to do, or the app has closed it.
    pub fn waiting(&self, world: &World) -> Result<Option<Waiting>, Error> {
        let client = self.client();
        // Asks once, and does not wait.
        let settled = pin!(client.settle_async(Duration::ZERO));
        match settled.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => return Ok(None),
            Poll::Ready(Err(e)) if e.code() == code::CLOSED => return Ok(None),
            Poll::Ready(Err(e)) if e.code() != code::UNSETTLED => return Err(e.into()),
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        let outbox = client.outbox_status()?;
        let subscriptions = client.subscriptions()?;
        let scopes = subscriptions.iter().filter(|p| p.coverage == Coverage::Loading);
        let reason = if client.connection() == ConnectionState::Offline {
            Reason::SwitchedOff
        } else if world.is_cut_off(&self.name) {
            Reason::Offline
        } else if !world.is_up() {
            Reason::RegionStopped
        } else if lock(&world.accounts).is_stuck(&self.account) {
            Reason::TokenExpired
        } else {
            Reason::Unfinished
        };
        Ok(Some(Waiting {
            device: self.name.clone(),
            reason,
            unsent: outbox.pending + outbox.accepted,
            scopes: scopes.map(|p| p.scope.to_string()).collect(),
        }))
    }
}

/// The world's time.
struct WorldClock(Arc<World>);

impl Clock for WorldClock {
    fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }
}

/// The same numbers in every run.
struct Seeded(AtomicU64);

impl Random for Seeded {
    fn next(&self) -> u64 {
        mixed(self.0.fetch_add(GOLDEN, Ordering::Relaxed))
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea, Flood 2014): every input another output, and neighbours far apart.
fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
