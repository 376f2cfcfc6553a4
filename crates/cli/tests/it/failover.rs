//! A region falls silent, hangs up, drains, or comes and goes: where the device's writes end up, how
//! soon, and what it downloads for it. With figures, which are printed and never judged.
//!
//! Regions are processes; a proxy in front of each is the network. `LANDFALL_TEST_ROUNDS` sets how
//! often each fault is tried.

use crate::world::{PATIENCE, World, eventually, number};
use landfall_chaos::{Profile, Proxy, Way};
use landfall_device::{
    Client, ConnectionState, Dot, Event, Fate, Network, RegionUrl, SyncLimits, Value,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const HOME: &str = "region/lyon";

/// A world with a network in front of it.
struct Fronted {
    world: World,
    proxies: Vec<Proxy>,
    runtime: Runtime,
}

impl Fronted {
    fn new(regions: usize) -> Self {
        let world = World::new(regions);
        let runtime = Runtime::new().expect("a runtime");
        let proxy = |region: usize| {
            let target = SocketAddr::from(([127, 0, 0, 1], world.port(region)));
            runtime.block_on(Proxy::start(0, target, Profile::PERFECT)).expect("a proxy")
        };
        let proxies = (0..regions).map(proxy).collect();
        Self { world, proxies, runtime }
    }

    fn device(&self, name: &str, network: Network) -> Client {
        let token = self.world.token(name, &["*"], &["*"]);
        let mut options = self.world.options(name, &[], &token);
        options.network = network;
        let url = |(i, p): (usize, &Proxy)| {
            RegionUrl::new(format!("r{}", i + 1), format!("http://{}", p.address()))
        };
        options.regions = self.proxies.iter().enumerate().map(url).collect();
        let client = Client::open(options).expect("a device");
        client.subscribe(HOME).expect("subscribed");
        client
    }

    fn all_ways(&self, way: Way) {
        self.proxies.iter().for_each(|p| p.set_way(way));
    }
}

fn rounds() -> usize {
    let given = std::env::var("LANDFALL_TEST_ROUNDS").ok();
    given.map_or(3, |n| n.parse().expect("a number"))
}

fn sell(client: &Client, id: &str) -> Dot {
    let fields = [("market", Value::text("lyon")), ("status", Value::text("PLACED"))];
    // Names that do not compress, as those of real customers.
    let name = landfall_model::hash::hash64(id.as_bytes());
    let customer = ("customer", Value::text(format!("customer {name:016x}{:016x}", !name ^ 0x5a)));
    let placed = ("placedAt", Value::Int(1_700_000_000_000_000));
    let tx = client.transaction().upsert("Order", id, fields.into_iter().chain([customer, placed]));
    tx.commit().expect("a write").dots[0]
}

/// Until some region has taken the write.
fn acked(client: &Client, dot: Dot) {
    eventually("a region takes the write", || {
        matches!(client.fate(dot).expect("a fate"), Fate::Accepted { .. })
    });
}

fn online_at(client: &Client) -> Option<String> {
    match client.connection() {
        ConnectionState::Online { region } => Some(region),
        _ => None,
    }
}

fn until_online(client: &Client, region: &str) {
    eventually("the device is online", || online_at(client).as_deref() == Some(region));
}

/// What the times of many rounds come to, for people.
fn show(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100).saturating_sub(1)];
    println!("{what}: {} rounds, p50 {:.1?}, p99 {:.1?}", took.len(), at(50), at(99));
}

/// Rows that a device has before its region fails.
const ROWS: usize = 2_000;

fn fill(client: &Client) {
    let ids: Vec<String> = (0..ROWS).map(|i| format!("stock-{i:05}")).collect();
    for chunk in ids.chunks(200) {
        let mut tx = client.transaction();
        for id in chunk {
            let note = ("customer", Value::text(format!("customer of {id}")));
            let placed = ("placedAt", Value::Int(1_700_000_000_000_000));
            let status = ("status", Value::text("DELIVERED"));
            tx = tx.upsert("Order", id, [("market", Value::text("lyon")), status, note, placed]);
        }
        tx.commit().expect("written");
    }
    client.settle(PATIENCE).expect("settled");
}

/// One fault, many times: a device that has everything is online at the first region, the fault
/// strikes, the app writes. Times from the write to an ack, and bytes received from then on.
fn strike(front: &Fronted, what: &str, fault: impl Fn(&Fronted)) {
    let (mut took, mut delta) = (Vec::new(), Vec::new());
    for round in 0..rounds() {
        front.all_ways(Way::Open);
        let client = front.device("courier", Network::default());
        until_online(&client, "r1");
        client.settle(PATIENCE).expect("settled");
        acked(&client, sell(&client, &format!("{what}-{round}-before")));
        let down = client.traffic().down();
        fault(front);
        let began = Instant::now();
        acked(&client, sell(&client, &format!("{what}-{round}")));
        took.push(began.elapsed());
        until_online(&client, "r2");
        client.settle(PATIENCE).expect("settled");
        delta.push(client.traffic().down() - down);
        client.close().expect("closed");
    }
    show(&format!("{what}: write to ack elsewhere"), took);
    delta.sort_unstable();
    println!("{what}: bytes downloaded after it, median {}", delta[delta.len() / 2]);
}

#[test]
fn a_device_leaves_a_region_that_fails_and_downloads_what_it_lacks() {
    let mut front = Fronted::new(2);
    let clerk = front.device("clerk", Network::default());
    fill(&clerk);
    clerk.close().expect("closed");
    let courier = front.device("courier", Network::default());
    courier.settle(PATIENCE).expect("settled");
    assert_eq!(number(&courier, r#"SELECT count(*) FROM "Order""#), ROWS as i64);
    let whole = courier.traffic().down();
    println!("all {ROWS} rows: {whole} bytes downloaded");
    courier.close().expect("closed");

    strike(&front, "black hole", |f| f.proxies[0].set_way(Way::Swallowing));
    strike(&front, "cut", |f| f.proxies[0].set_way(Way::Cut));

    // Draining is the region's own word: the process is asked to end.
    front.all_ways(Way::Open);
    let mut took = Vec::new();
    for round in 0..rounds() {
        let client = front.device("courier", Network::default());
        until_online(&client, "r1");
        client.settle(PATIENCE).expect("settled");
        acked(&client, sell(&client, &format!("drain-{round}-before")));
        let down = client.traffic().down();
        front.world.terminate(0);
        let began = Instant::now();
        eventually("the device moves", || online_at(&client).as_deref() == Some("r2"));
        acked(&client, sell(&client, &format!("drain-{round}")));
        took.push(began.elapsed());
        front.world.await_end(0);
        front.world.start(0);
        client.settle(PATIENCE).expect("settled");
        let delta = client.traffic().down() - down;
        assert!(delta * 10 < whole, "{delta} of {whole} bytes are downloaded again");
        client.close().expect("closed");
    }
    show("drain: signal to ack elsewhere", took);

    // Nothing was lost and nothing came twice.
    let after = front.device("auditor", Network::default());
    after.settle(PATIENCE).expect("settled");
    let sold = number(&after, r#"SELECT count(*) FROM "Order" WHERE status = 'PLACED'"#);
    assert_eq!(sold, 6 * rounds() as i64);
    drop(front.runtime);
}

#[test]
fn a_region_that_comes_and_goes_is_gone_back_to_once_it_stays() {
    let front = Fronted::new(2);
    let network = Network { dwell_ms: 2_000, probe_ms: 200, ..Network::default() };
    let client = front.device("courier", network);
    let mut events = client.events();
    until_online(&client, "r1");
    // Ten times it is there for a moment.
    for i in 0..10 {
        front.proxies[0].set_way(Way::Cut);
        acked(&client, sell(&client, &format!("gone-{i}")));
        std::thread::sleep(Duration::from_millis(150));
        front.proxies[0].set_way(Way::Open);
        acked(&client, sell(&client, &format!("back-{i}")));
        std::thread::sleep(Duration::from_millis(150));
    }
    let mut moves = Vec::new();
    while let Some(event) = events.next_within(Duration::from_millis(1)) {
        if let Event::Connection(ConnectionState::Online { region }) = event {
            moves.push(region);
        }
    }
    println!("while it came and went, the device was at {moves:?}");
    assert!(moves.len() <= 3, "flapping: {moves:?}");
    let began = Instant::now();
    until_online(&client, "r1");
    println!("back after {:.1?} of quiet", began.elapsed());
}

/// Slots end at any moment, by their limits or by the process's end; what is pushed is pushed once.
#[test]
fn a_slot_in_the_background_moves_what_is_queued_over_a_bad_network() {
    const QUEUED: usize = 1_000;
    let front = Fronted::new(1);
    front.proxies[0].set_profile(Profile::THREE_G);
    let network = Network { start_offline: true, ..Network::default() };
    let client = front.device("courier", network);
    for i in 0..QUEUED {
        sell(&client, &format!("order-{i:04}"));
    }
    let limits = SyncLimits { deadline: Duration::from_secs(30), bytes_max: None, priority_min: 0 };
    let began = Instant::now();
    let report = client.sync_once(limits).expect("a slot");
    println!(
        "{QUEUED} writes over 3G: done {} after {:.1?}, {} bytes up, {} down, {} unsent",
        report.done,
        began.elapsed(),
        report.bytes_up,
        report.bytes_down,
        report.unsent
    );
    assert!(report.done, "{report:?}");

    // The same, cut short again and again, by time and by bytes: at first before a region has
    // greeted, then in the middle of the pushes and of the rows. Slots grow, so there is an end.
    for i in 0..QUEUED {
        sell(&client, &format!("more-{i:04}"));
    }
    let mut slots = 0;
    loop {
        slots += 1;
        let deadline = Duration::from_millis(170 * slots);
        let bytes_max = (slots % 3 == 0).then_some(2_000 * slots);
        let report =
            client.sync_once(SyncLimits { deadline, bytes_max, priority_min: 0 }).expect("a slot");
        if report.done {
            break;
        }
        assert!(slots < 100, "no end: {report:?}");
    }
    println!("{QUEUED} more in {slots} slots that were cut short");
    client.close().expect("closed");
    front.proxies[0].set_profile(Profile::PERFECT);
    let after = front.device("auditor", Network::default());
    after.settle(PATIENCE).expect("settled");
    assert_eq!(number(&after, r#"SELECT count(*) FROM "Order""#), 2 * QUEUED as i64);
    assert_eq!(front.world.entries(0), 2 * QUEUED as u64, "each transaction is logged once");
}
