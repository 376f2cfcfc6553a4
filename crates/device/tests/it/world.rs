//! A small world: the real region state machines over memory, replicating with each other on one
//! thread, and a transport that leads there. It has no faults but the ones that a test asks for.

use landfall_device::transport::{Connecting, Connection, Traffic, Transport, TransportError};
use landfall_device::{
    Account, Client, Clock, Dot, FixedToken, Network, Options, RegionUrl, SqlValue, SystemClock,
};
use landfall_model::id::{DeviceId, RegionId};
use landfall_model::schema::{Schema, compile};
use landfall_sync::region::Config;
use landfall_sync::region::access::{Authenticator, Author, Denial};
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::node::{LinkId, Node, SessionId};
use landfall_sync::wire::{DeviceFrame, RegionFrame};
use prost::Message;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc;

pub const SDL: &str = r#"
type Order @entity(strategy: LAST_WRITE_WINS, scope: "market/{market}") {
  id: ID!  market: ID!  status: String @index  total: Decimal @decimal(precision: 12, scale: 2)
  note: Text  tags: [String!] @set  shipTo: Address }
type OrderLine @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!  order: Order! @ref(onDelete: CASCADE)  sku: String!  quantity: Int! }
type Stock @entity(strategy: CRDT, scope: "catalog") { id: ID!  sold: Counter }
type Address @value { street: String  city: String }
"#;

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(20);

type ToDevice = mpsc::Sender<Result<RegionFrame, TransportError>>;

type Question = Box<dyn FnOnce(&mut [Region]) + Send>;

enum Command {
    Open { region: usize, session: u64, to_device: ToDevice },
    Frame { region: usize, session: u64, frame: DeviceFrame },
    Gone { region: usize, session: u64 },
    Up { region: usize, up: bool, done: Sender<()> },
    Ask(Question),
    Stop,
}

pub struct Region {
    pub node: Node,
    pub store: MemoryStore,
    up: bool,
    /// Nothing that devices send is heard.
    silent: bool,
    /// It takes no token, whatever others say.
    refuses: Arc<AtomicBool>,
    sessions: BTreeMap<u64, ToDevice>,
}

pub struct World {
    commands: Sender<Command>,
    sessions: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    regions: usize,
    pub schema: Arc<Schema>,
}

struct Anyone {
    /// Tokens that are refused.
    expired: Arc<Mutex<Vec<String>>>,
    /// All are.
    refuses: Arc<AtomicBool>,
}

impl Authenticator for Anyone {
    fn device(&self, token: &str, _: i64) -> Result<Author, Denial> {
        let refused = self.refuses.load(Ordering::Relaxed);
        if refused || self.expired.lock().unwrap().iter().any(|t| t == token) {
            return Err(Denial { code: "token_expired", message: "too old".to_owned() });
        }
        // `as anna`; `as anna only market/fr` may see less, `as shop +catalog` publishes.
        let mut words = token.strip_prefix("as ").unwrap_or("user-7").split(' ');
        let subject = words.next().unwrap_or_default().into();
        let words: Vec<&str> = words.collect();
        let publishes = words.iter().filter_map(|w| w.strip_prefix('+')).map(Into::into).collect();
        let (scopes, audiences) = match words.iter().position(|w| *w == "only") {
            Some(at) => (words[at + 1..].iter().map(|w| (*w).into()).collect(), Vec::new()),
            None => (vec!["*".into()], vec!["*".into()]),
        };
        Ok(Author { subject, scopes, audiences, publishes, expires_ms: i64::MAX })
    }

    fn peer(&self, _: &str, _: i64) -> Result<(), Denial> {
        Ok(())
    }
}

impl World {
    pub fn new(regions: usize) -> Self {
        Self::refusing(regions, Arc::default())
    }

    pub fn refusing(regions: usize, expired: Arc<Mutex<Vec<String>>>) -> Self {
        Self::of(SDL, regions, expired)
    }

    /// A world of another schema.
    pub fn of(sdl: &str, regions: usize, expired: Arc<Mutex<Vec<String>>>) -> Self {
        let schema = Arc::new(compile(sdl).unwrap_or_else(|faults| panic!("{faults:?}")));
        let (commands, inbox) = channel();
        let of_world = schema.clone();
        let work = move || serve(regions, &of_world, &expired, &inbox);
        let thread = Some(thread::spawn(work));
        Self { commands, sessions: Arc::default(), thread, regions, schema }
    }

    /// Options of a client of this world that prefers the regions in this order.
    pub fn options(&self, path: &Path, order: &[usize]) -> Options {
        let account = Account { tenant: "acme".into(), subject: "user-7".into() };
        let mut options = Options::new(path, self.schema.clone(), account);
        let region = |r: &usize| RegionUrl::new(format!("r{r}"), r.to_string());
        options.regions = order.iter().map(region).collect();
        options.tokens = Arc::new(FixedToken("token".to_owned()));
        options.transport = Arc::new(self.wire());
        options.network = Network { poll_ms: 20, backoff_ms_min: 10, ..Network::default() };
        options
    }

    pub fn client(&self, path: &Path, order: &[usize]) -> Client {
        Client::open(self.options(path, order)).unwrap()
    }

    pub fn wire(&self) -> Wire {
        Wire { commands: self.commands.clone(), sessions: self.sessions.clone() }
    }

    pub fn set_up(&self, region: usize, up: bool) {
        let (done, wait) = channel();
        self.commands.send(Command::Up { region, up, done }).unwrap();
        wait.recv().unwrap();
    }

    pub fn set_silent(&self, region: usize, silent: bool) {
        self.ask(move |regions| regions[region].silent = silent);
    }

    pub fn set_refuses(&self, region: usize, refuses: bool) {
        self.ask(move |regions| regions[region].refuses.store(refuses, Ordering::Relaxed));
    }

    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut [Region]) -> T + Send + 'static,
    ) -> T {
        let (answer, wait) = channel();
        let ask = move |regions: &mut [Region]| answer.send(question(regions)).unwrap();
        self.commands.send(Command::Ask(Box::new(ask))).unwrap();
        wait.recv().unwrap()
    }

    /// The numbers that region 0 has of each device.
    pub fn received(&self) -> Vec<(DeviceId, u64, bool)> {
        self.ask(|regions| {
            let devices = regions[0].store.iter_devices();
            devices
                .map(|(d, r)| {
                    (d, r.received.highest(), r.received.contiguous() == r.received.highest())
                })
                .collect()
        })
    }

    /// Wait until all regions hold the same.
    pub fn replicated(&self) {
        let same = || {
            self.ask(|regions| {
                regions.windows(2).all(|w| {
                    w[0].node.vector().covers(w[1].node.vector())
                        && w[1].node.vector().covers(w[0].node.vector())
                })
            })
        };
        eventually("regions hold the same", same);
        assert!(self.regions > 0);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..SOON.as_millis() / 5 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("in vain: {what}");
}

/// Orders that show.
pub fn count(client: &Client) -> usize {
    let rows = client.query("SELECT count(*) FROM \"Order\"", []).unwrap();
    rows.scalar().and_then(SqlValue::as_i64).unwrap_or_default() as usize
}

/// Write an order of the French market.
pub fn order(client: &Client, id: &str, status: &str) -> Dot {
    let fields = [("market", "fr".into()), ("status", status.into())];
    client.transaction().upsert("Order", id, fields).commit().unwrap().dots[0]
}

/// The transport: a region's URL is its index.
#[derive(Clone)]
pub struct Wire {
    commands: Sender<Command>,
    sessions: Arc<AtomicU64>,
}

impl Transport for Wire {
    fn connect(&self, region: RegionUrl, traffic: Arc<Traffic>) -> Connecting {
        let (commands, session) =
            (self.commands.clone(), self.sessions.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let region = region.url.parse().expect("an index");
            let (to_device, mut from_region) = mpsc::channel(8);
            let (outgoing, mut from_device) = mpsc::unbounded_channel::<DeviceFrame>();
            let (to_client, incoming) = mpsc::channel(8);
            let _ = commands.send(Command::Open { region, session, to_device });
            let counted = traffic.clone();
            tokio::spawn(async move {
                while let Some(frame) = from_device.recv().await {
                    counted.add_up(frame.encoded_len());
                    let _ = commands.send(Command::Frame { region, session, frame });
                }
                let _ = commands.send(Command::Gone { region, session });
            });
            tokio::spawn(async move {
                while let Some(frame) = from_region.recv().await {
                    if let Ok(frame) = &frame {
                        traffic.add_down(RegionFrame::encoded_len(frame));
                    }
                    if to_client.send(frame).await.is_err() {
                        return;
                    }
                }
            });
            Ok(Connection { outgoing, incoming })
        })
    }
}

fn serve(
    count: usize,
    schema: &Arc<Schema>,
    expired: &Arc<Mutex<Vec<String>>>,
    inbox: &Receiver<Command>,
) {
    let clock = SystemClock::new();
    let mut regions: Vec<Region> =
        (0..count).map(|r| region(r, count, schema, expired.clone(), clock.now_ms())).collect();
    // One link for each ordered pair: the first asks, the second answers.
    let mut links = BTreeMap::new();
    for a in 0..count {
        for b in (0..count).filter(|b| *b != a) {
            let link = LinkId(links.len() as u64);
            links.insert(link, (a, b));
            regions[a].node.link_up(link, true);
            regions[b].node.link_up(link, false);
        }
    }
    loop {
        match inbox.recv_timeout(Duration::from_millis(2)) {
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(command) => obey(&mut regions, command),
            Err(RecvTimeoutError::Timeout) => {}
        }
        while turn(&mut regions, &links, clock.now_ms()) {}
    }
}

fn region(
    index: usize,
    count: usize,
    schema: &Arc<Schema>,
    expired: Arc<Mutex<Vec<String>>>,
    now_ms: i64,
) -> Region {
    let config = Config {
        region: RegionId(index as u16),
        placement: 0,
        regions: (0..count as u16).map(RegionId).collect(),
        lost: Default::default(),
        copies: 2,
    };
    let mut store = MemoryStore::new();
    let refuses: Arc<AtomicBool> = Arc::default();
    let auth = Box::new(Anyone { expired, refuses: refuses.clone() });
    store.begin();
    let node =
        Node::open(&mut store, config, schema.clone(), auth, String::new(), false, now_ms).unwrap();
    store.commit();
    Region { node, store, up: true, silent: false, refuses, sessions: BTreeMap::new() }
}

fn obey(regions: &mut [Region], command: Command) {
    match command {
        Command::Open { region, session, to_device } => {
            // A region that is down drops the sender: the connection ends.
            if regions[region].up {
                regions[region].sessions.insert(session, to_device);
            }
        }
        Command::Frame { region, session, frame } => {
            if !regions[region].silent && regions[region].sessions.contains_key(&session) {
                regions[region].node.device_frame(SessionId(session), frame);
            }
        }
        Command::Gone { region, session } => {
            regions[region].sessions.remove(&session);
            regions[region].node.device_gone(SessionId(session));
        }
        Command::Up { region, up, done } => {
            regions[region].up = up;
            let gone = std::mem::take(&mut regions[region].sessions);
            gone.keys().for_each(|s| regions[region].node.device_gone(SessionId(*s)));
            done.send(()).unwrap();
        }
        Command::Ask(question) => question(regions),
        Command::Stop => {}
    }
}

/// Let every region work once. True if there is more.
fn turn(regions: &mut [Region], links: &BTreeMap<LinkId, (usize, usize)>, now_ms: i64) -> bool {
    let mut more = false;
    for index in 0..regions.len() {
        let at = &mut regions[index];
        at.store.begin();
        let out = at.node.work(&mut at.store, now_ms).unwrap();
        at.store.commit();
        more |= out.more;
        for (session, frame) in out.device {
            if let Some(to_device) = at.sessions.get(&session.0) {
                let _ = to_device.blocking_send(Ok(frame));
            }
        }
        for session in out.close {
            at.sessions.remove(&session.0);
        }
        for (link, frame) in out.peer {
            let (a, b) = links[&link];
            regions[if a == index { b } else { a }].node.peer_frame(link, frame);
            more = true;
        }
    }
    more
}
