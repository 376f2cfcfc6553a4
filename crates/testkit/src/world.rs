//! The region and the ways to it, as devices and the test share them.
//!
//! The region is the production node over a store in memory, driven as a server drives it: frames go
//! in, one turn is one transaction, and frames leave after its commit. It is work of the world like
//! any other, woken by what arrives and once a second. Stopping it drops the node's memory and every
//! connection, and leaves the store.

use crate::accounts::{Accounts, Gate, TOKEN_EXPIRED, lock};
use crate::limits;
use crate::network::Down;
use crate::refusal::{self, Rule};
use crate::time::{Time, WORLD};
use landfall_device::Schema;
use landfall_device::transport::TransportError;
use landfall_model::id::RegionId;
use landfall_sync::region::Config;
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::node::{Node, SessionId};
use landfall_sync::wire::{self, DeviceFrame, RegionFrame};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use wire::device_frame::Kind as FromDevice;
use wire::region_frame::Kind as ToDevice;

/// What devices call the region.
pub(crate) const REGION: &str = "testkit";

/// Everything but the devices.
pub(crate) struct World {
    pub time: Arc<Time>,
    pub schema: Arc<Schema>,
    pub accounts: Arc<Mutex<Accounts>>,
    pub here: Mutex<Here>,
    /// Frames that have left one side and not reached the other.
    pub in_flight: Arc<AtomicUsize>,
    wake: Notify,
    starts_ms: i64,
}

/// The region and its connections.
pub(crate) struct Here {
    /// The process; `None` while it is down.
    node: Option<Node>,
    pub store: MemoryStore,
    sessions: BTreeMap<u64, Session>,
    last_session: u64,
    /// Devices that are cut off.
    offline: BTreeSet<String>,
    /// What a frame takes, one way.
    pub delay: Duration,
    pub rules: Vec<Rule>,
}

/// Who a connection belongs to, and its end at the region.
struct Session {
    device: String,
    account: String,
    to_device: mpsc::UnboundedSender<Down>,
}

impl World {
    pub fn new(schema: Arc<Schema>, starts_ms: i64) -> Arc<Self> {
        let here = Here {
            node: None,
            store: MemoryStore::new(),
            sessions: BTreeMap::new(),
            last_session: 0,
            offline: BTreeSet::new(),
            delay: Duration::ZERO,
            rules: Vec::new(),
        };
        let world = Arc::new(Self {
            time: Arc::default(),
            schema,
            accounts: Arc::default(),
            here: Mutex::new(here),
            in_flight: Arc::default(),
            wake: Notify::new(),
            starts_ms,
        });
        world.start();
        world.time.spawn(WORLD, Box::pin(serve(world.clone())));
        world
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.time.now().as_millis()).unwrap_or(i64::MAX);
        self.starts_ms.saturating_add(passed)
    }

    // ---- the region's process ----

    /// Open the node on its store, if it is down.
    pub fn start(&self) {
        let now_ms = self.now_ms();
        let mut here = lock(&self.here);
        if here.node.is_some() {
            return;
        }
        let config = Config {
            region: RegionId(0),
            placement: 0,
            regions: [RegionId(0)].into(),
            lost: BTreeSet::new(),
            copies: 2,
        };
        let gate = Box::new(Gate(self.accounts.clone()));
        here.store.begin();
        let (schema, token) = (self.schema.clone(), String::new());
        let node = Node::open(&mut here.store, config, schema, gate, token, true, now_ms);
        here.node = Some(node.expect("a store in memory does not fail"));
        here.store.commit();
    }

    pub fn stop(&self) {
        let mut here = lock(&self.here);
        here.node = None;
        here.sessions.clear();
    }

    pub fn is_up(&self) -> bool {
        lock(&self.here).node.is_some()
    }

    /// One transaction of the region. True if there is more to do at once.
    fn turn(&self) -> bool {
        let now_ms = self.now_ms();
        let mut here = lock(&self.here);
        let Here { node: Some(node), store, .. } = &mut *here else { return false };
        store.begin();
        let out = node.work(store, now_ms).expect("a store in memory does not fail");
        store.commit();
        for (SessionId(id), frame) in out.device {
            here.send(id, frame);
        }
        for SessionId(id) in out.close {
            here.end(id);
        }
        out.more
    }

    // ---- connections ----

    /// Why a device cannot connect now, if so.
    pub fn obstacle(&self, device: &str) -> Option<TransportError> {
        let here = lock(&self.here);
        if here.offline.contains(device) {
            return Some(TransportError::new("the device is offline"));
        }
        here.node.is_none().then(|| TransportError::new("the region is down"))
    }

    pub fn connect(
        &self,
        device: &str,
        account: &str,
        to_device: mpsc::UnboundedSender<Down>,
    ) -> Result<u64, TransportError> {
        if let Some(error) = self.obstacle(device) {
            return Err(error);
        }
        let mut here = lock(&self.here);
        here.last_session += 1;
        let (device, account) = (device.to_owned(), account.to_owned());
        let id = here.last_session;
        here.sessions.insert(id, Session { device, account, to_device });
        Ok(id)
    }

    /// A device's frame has arrived. Nobody hears one of a connection that is no more.
    pub fn frame(&self, session: u64, frame: DeviceFrame) {
        let mut here = lock(&self.here);
        if !here.sessions.contains_key(&session) {
            return;
        }
        if let Some(FromDevice::Push(push)) = &frame.kind {
            here.note_refusals(push);
        }
        if let Some(node) = &mut here.node {
            node.device_frame(SessionId(session), frame);
        }
        drop(here);
        self.wake.notify_one();
    }

    /// The device has hung up, and all that it sent before has arrived.
    pub fn hung_up(&self, session: u64) {
        lock(&self.here).end(session);
        self.wake.notify_one();
    }

    // ---- what the test does to them ----

    /// A device loses its network: what is on its way is lost in both directions.
    pub fn cut_off(&self, device: &str) {
        let mut here = lock(&self.here);
        here.offline.insert(device.to_owned());
        for id in here.sessions_where(|s| s.device == device) {
            if let Some(session) = here.sessions.get(&id) {
                // The device may have hung up at the same moment.
                let _ = session.to_device.send(Down::Cut);
            }
            here.end(id);
        }
    }

    pub fn reconnect(&self, device: &str) {
        lock(&self.here).offline.remove(device);
    }

    pub fn is_cut_off(&self, device: &str) -> bool {
        lock(&self.here).offline.contains(device)
    }

    /// End an account's sessions as those of an expired token end.
    pub fn end_sessions(&self, account: &str) {
        let mut here = lock(&self.here);
        for id in here.sessions_where(|s| s.account == account) {
            let error = wire::Error {
                code: TOKEN_EXPIRED.to_owned(),
                message: "the token has expired; come back with a new one".to_owned(),
                retry_after_ms: 0,
            };
            here.send(id, RegionFrame { kind: Some(ToDevice::Error(error)) });
            here.end(id);
        }
    }
}

impl Here {
    fn send(&mut self, session: u64, frame: RegionFrame) {
        if let Some(session) = self.sessions.get(&session) {
            // The device may have hung up at the same moment.
            let _ = session.to_device.send(Down::Frame(Box::new(frame)));
        }
    }

    /// The connection ends once what was sent on it has arrived.
    fn end(&mut self, session: u64) {
        self.sessions.remove(&session);
        if let Some(node) = &mut self.node {
            node.device_gone(SessionId(session));
        }
    }

    fn sessions_where(&self, which: impl Fn(&Session) -> bool) -> Vec<u64> {
        self.sessions.iter().filter(|(_, s)| which(s)).map(|(id, _)| *id).collect()
    }

    fn note_refusals(&mut self, push: &wire::Push) {
        if !self.rules.is_empty() {
            self.store.begin();
            refusal::note(&mut self.rules, &mut self.store, push);
            self.store.commit();
        }
    }
}

/// The region's work: a turn whenever something arrived, and once a second. It ends with the world,
/// which drops it.
async fn serve(world: Arc<World>) {
    loop {
        while world.turn() {}
        let tick = world.time.until(world.time.now() + limits::REGION_TICK);
        tokio::select! {
            biased;
            () = world.wake.notified() => {}
            () = tick => {}
        }
    }
}
