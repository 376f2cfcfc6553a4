//! Regions, accounts and ops for the tests.

use crate::client::Client;
use landfall_model::id::{DeviceId, Dot, EntityKey, RegionId};
use landfall_model::op::{Action, Change, FieldChange, Op, Tx};
use landfall_model::schema::{Schema, compile};
use landfall_model::stamp::Hlc;
use landfall_model::value::Value;
use landfall_region::auth::{Claims, Keys, Secret, issue_dev_token};
use landfall_region::server::{Limits, PeerConfig, Server, ServerConfig, ServerHandle};
use landfall_region::tls::Connector;
use landfall_region::world::{Clock, Entropy};
use landfall_sync::wire;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::net::TcpListener;
use wire::device_frame::Kind as ToRegion;
use wire::region_frame::Kind as FromRegion;

const SDL: &str = r#"
type Item @entity(strategy: LAST_WRITE_WINS, scope: "shop") {
  id: ID!
  title: String
}
"#;

/// The scope of all items.
pub const SHOP: &str = "shop";

#[derive(Debug)]
pub struct WallClock;

impl Clock for WallClock {
    fn now_ms(&self) -> i64 {
        now_ms()
    }
}

#[allow(clippy::disallowed_methods, reason = "tests of real processes run in real time")]
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64
}

/// Numbers that do not repeat; nothing here must be unguessable.
#[derive(Debug, Default)]
pub struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().zip(n.iter().cycle()).for_each(|(b, n)| *b = *n);
    }
}

pub fn schema() -> Arc<Schema> {
    Arc::new(compile(SDL).expect("a sound schema"))
}

const DEVELOPMENT: [u8; 32] = [1; 32];
const PEER: [u8; 32] = [2; 32];

pub fn keys() -> Keys {
    Keys::new(Some(Secret::from_bytes(DEVELOPMENT)), Secret::from_bytes(PEER))
}

pub fn token(subject: &str, scopes: &[&str], expires_ms: i64) -> String {
    let claims = Claims::new(subject, scopes.iter().copied(), Vec::<String>::new(), expires_ms);
    issue_dev_token(&Secret::from_bytes(DEVELOPMENT), &claims).expect("a token")
}

pub fn config(region: u16, directory: &Path) -> ServerConfig {
    ServerConfig {
        region: RegionId(region),
        name: format!("region-{region}"),
        data_dir: directory.join(format!("data-{region}")),
        marker_dir: directory.join("markers"),
        host: "test".to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        listen_beyond_loopback: false,
        placement: 0,
        peers: Vec::new(),
        connector: Connector::default(),
        lost: BTreeSet::new(),
        copies: 2,
        keys: keys(),
        limits: Limits::default(),
        gather: Duration::ZERO,
        ramp: Duration::ZERO,
        directory: None,
        grace: Duration::from_millis(200),
        clock: Arc::new(WallClock),
        entropy: Arc::new(Counting::default()),
    }
}

/// One region alone.
pub async fn region() -> (ServerHandle, TempDir) {
    region_with(|_| {}).await
}

pub async fn region_with(change: impl FnOnce(&mut ServerConfig)) -> (ServerHandle, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(1, directory.path());
    change(&mut config);
    (start(config).await, directory)
}

pub async fn start(config: ServerConfig) -> ServerHandle {
    Server::start(config, schema()).await.expect("the region starts")
}

/// Two regions that are each other's peer, each way with this delay.
pub async fn pair(delay_ms: u64) -> (ServerHandle, ServerHandle, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let listeners = [bind().await, bind().await];
    let addresses = listeners.each_ref().map(|l| l.local_addr().expect("an address"));
    let mut handles = Vec::new();
    for (i, listener) in listeners.into_iter().enumerate() {
        let mut config = config(i as u16 + 1, directory.path());
        let other = 1 - i;
        config.peers.push(PeerConfig {
            region: RegionId(other as u16 + 1),
            name: format!("region-{}", other + 1),
            url: format!("http://{}", addresses[other]),
            delay_ms,
        });
        handles.push(Server::start_on(listener, config, schema()).await.expect("a region"));
    }
    let second = handles.pop().expect("two");
    (handles.pop().expect("two"), second, directory)
}

pub async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// A device and its account.
#[derive(Debug, Clone)]
pub struct Device {
    pub id: DeviceId,
    pub subject: String,
    next: u64,
}

impl Device {
    pub fn new(n: u64) -> Self {
        Self { id: DeviceId::from_number(n), subject: format!("user-{n}"), next: 1 }
    }

    pub fn hello(&self) -> wire::Hello {
        wire::Hello {
            versions: vec![1],
            token: token(&self.subject, &[SHOP], now_ms() + 60_000),
            devices: vec![self.id.0.to_vec().into()],
            placement: 0,
            sent_ms: now_ms(),
            codecs: vec![1],
            app: "test".to_owned(),
            schema: Default::default(),
            credit: 1 << 20,
            head_tokens: Vec::new(),
            directory: 0,
        }
    }

    /// A session that has been welcomed.
    pub async fn join(&self, address: SocketAddr) -> Client {
        self.join_and_hear(address).await.0
    }

    pub async fn join_and_hear(&self, address: SocketAddr) -> (Client, wire::Welcome) {
        self.greet(Client::connect(address, "/v1/session").await).await
    }

    /// A session over TLS that has been welcomed.
    pub async fn join_over(&self, connector: &Connector, address: SocketAddr) -> Client {
        self.greet(Client::connect_over(connector, address, "/v1/session").await).await.0
    }

    async fn greet(&self, mut client: Client) -> (Client, wire::Welcome) {
        client.send(ToRegion::Hello(self.hello()));
        let welcome = match client.next().await {
            Some(FromRegion::Welcome(welcome)) => welcome,
            other => panic!("no welcome but {other:?}"),
        };
        (client, welcome)
    }

    /// One transaction: an item of this title.
    pub fn create(&mut self, id: &str, title: &str) -> wire::push::Transaction {
        self.create_at(id, title, now_ms())
    }

    pub fn create_at(&mut self, id: &str, title: &str, ms: i64) -> wire::push::Transaction {
        let schema = schema();
        let kind = schema.entity_named("Item").expect("the type");
        let dot = Dot::new(self.id, self.next);
        self.next += 1;
        let change = Change::Register { value: Value::text(title), replaced: None };
        let field = kind.field_named("title").expect("the field").id;
        let op = Op {
            dot,
            hlc: Hlc::from_millis(ms),
            key: EntityKey::new(SHOP, kind.id, id),
            principal: self.subject.as_str().into(),
            tx: Tx { first: dot.seq, count: 1 },
            births: vec![dot],
            action: Action::Create { parent: None, changes: vec![FieldChange { field, change }] },
            needs: Vec::new(),
            expires_ms: None,
            preconditions: None,
            blobs: None,
        };
        wire::push::Transaction { ops: vec![op.seal().payload.to_vec().into()] }
    }
}

pub fn push(transactions: Vec<wire::push::Transaction>) -> ToRegion {
    ToRegion::Push(wire::Push { transactions })
}

pub fn subscribe(sub: u32) -> ToRegion {
    let scope = SHOP.to_owned();
    ToRegion::Subscribe(wire::Subscribe { sub, scope, ..wire::Subscribe::default() })
}

/// Subscribe, and read on until the scope is complete.
pub async fn catch_up(client: &mut Client) -> Vec<wire::Row> {
    client.send(subscribe(1));
    let mut rows = Vec::new();
    loop {
        let delta = client.delta().await;
        client.send(ToRegion::Credit(wire::Credit { bytes: delta.body.len() as u64 }));
        rows.extend(rows_of(&delta));
        if let Some(wire::delta::Place::Chunk(chunk)) = &delta.place
            && chunk.done
        {
            return rows;
        }
    }
}

pub fn rows_of(delta: &wire::Delta) -> Vec<wire::Row> {
    let body: wire::Body = prost::Message::decode(delta.body.clone()).expect("a body");
    body.rows
}

#[track_caller]
pub fn assert_accepted(fates: &wire::Fates, first: u64) {
    let accepted = |f: &wire::Fate| matches!(f.kind, Some(wire::fate::Kind::Accepted(_)));
    let [fate] = fates.fates.as_slice() else { panic!("one fate, not {fates:?}") };
    assert!(fate.first == first && accepted(fate), "{fate:?}");
}

/// Wait until `done`; panics if that takes too long.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + crate::client::PATIENCE;
    while !done() {
        assert!(tokio::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
