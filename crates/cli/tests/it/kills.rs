//! Devices killed, and stopped, in the middle of what they do: nothing lost, nothing twice.

use crate::throttle::Throttle;
use crate::victim::{LINES, Role, SUBJECT, Victim, sales, sell};
use crate::world::{PATIENCE, World, eventually, number};
use landfall_device::{Client, SyncLimits, Value};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longer than a victim that lives is silent.
const SOON: Duration = Duration::from_secs(20);

fn last_number(line: &str) -> i64 {
    line.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

fn offline(world: &World, token: &str) -> Client {
    let mut options = world.options(SUBJECT, &[0], token);
    options.network.start_offline = true;
    Client::open(options).unwrap()
}

#[test]
fn a_device_killed_while_it_writes_keeps_whole_transactions() {
    let world = World::new(1);
    let token = world.token(SUBJECT, &["*"], &["*"]);
    let file = world.file(SUBJECT);
    let (mut kept, mut told) = (0, Vec::new());
    for round in 0..6 {
        let victim = Victim::start(Role::Write, &file, &[], &token);
        let mut last = kept;
        // Each time after another number of writes, and somewhere within the next one.
        for _ in 0..3 + 7 * round {
            last = last_number(&victim.next(SOON).expect("it writes"));
        }
        std::thread::sleep(Duration::from_micros(130 * round));
        last = victim.kill().last().map_or(last, |line| last_number(line));
        let client = offline(&world, &token);
        let [orders, lines, sold] = sales(&client);
        assert!(orders == last || orders == last + 1, "{orders} orders, {last} were told");
        assert_eq!([lines, sold], [orders * LINES; 2], "whole transactions");
        kept = orders;
        told.push((last, orders));
        client.close().unwrap();
    }
    let client = Client::open(world.options(SUBJECT, &[0], &token)).unwrap();
    let next = sell(&client, kept).unwrap();
    // An order, its lines, and what is taken from stock; the two are of different home scopes.
    let (ops, entries) = ((kept + 1) * (1 + LINES + 1), (kept + 1) * 2);
    assert_eq!(next.last().map(|n| *n as i64), Some(ops), "numbers are dense");
    client.settle(PATIENCE).unwrap();
    assert_eq!(world.entries(0) as i64, entries, "each transaction came once");
    assert_eq!(fresh_sales(&world), [kept + 1, LINES * (kept + 1), LINES * (kept + 1)]);
    println!(
        "killed while writing 6 times; (told, kept) {told:?}; {entries} log entries at the region"
    );
}

fn fresh_sales(world: &World) -> [i64; 3] {
    let fresh = world.device("fresh", &[0]);
    ["catalog", "region/lyon"].iter().for_each(|s| fresh.subscribe(s).unwrap());
    fresh.settle(PATIENCE).unwrap();
    sales(&fresh)
}

/// A text that compression makes nothing of.
fn noise(n: u64) -> String {
    let mut state = n;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:016x}", state ^ (state >> 29))
    };
    (0..20).map(|_| next()).collect()
}

/// So many products, each also counted once.
fn fill(client: &Client, products: u64) {
    for n in 0..products {
        let fields = [("description", Value::text(noise(n)))];
        let tx = client.transaction().upsert("Product", &format!("p{n:05}"), fields);
        let tx = tx.upsert("Stock", "mug", [("product", Value::text("mug"))]);
        tx.increment("Stock", "mug", "sold", 1).commit().unwrap();
    }
}

const PRODUCTS: &str = "SELECT count(*) FROM Product";
const SOLD: &str = "SELECT sum(sold) FROM Stock";

#[test]
fn a_device_killed_while_it_pushes_has_each_write_arrive_once() {
    const WRITES: u64 = 2_400;
    const ROUNDS: u64 = 4;
    let world = World::new(1);
    let token = world.token(SUBJECT, &["*"], &["*"]);
    let client = offline(&world, &token);
    fill(&client, WRITES);
    client.close().unwrap();
    let slow = Throttle::new(world.port(0), 800_000);
    let mut seen = Vec::new();
    for round in 0..ROUNDS {
        let (before, sent) = (world.entries(0), slow.up());
        let victim = Victim::start(Role::Sync, &world.file(SUBJECT), &[slow.url()], &token);
        // In turn: within a frame, and at the moment at which one has been committed.
        eventually("it pushes", || {
            let moved = world.entries(0) > before || before == WRITES;
            moved || (round % 2 == 0 && slow.up() > sent + 30_000)
        });
        victim.kill();
        seen.push(world.entries(0));
    }
    assert!(seen.iter().any(|n| (1..WRITES).contains(n)), "killed in the middle: {seen:?}");
    let client = Client::open(world.options(SUBJECT, &[0], &token)).unwrap();
    client.settle(PATIENCE).unwrap();
    assert_eq!(world.entries(0), WRITES, "each transaction came once: {seen:?}");
    let fresh = world.device("fresh", &[0]);
    fresh.subscribe("catalog").unwrap();
    fresh.settle(PATIENCE).unwrap();
    let arrived = [PRODUCTS, SOLD].map(|sql| number(&fresh, sql));
    assert_eq!(arrived, [WRITES as i64; 2]);
    println!("killed while pushing {WRITES} writes, {seen:?} at the region; arrived {arrived:?}");
}

/// Slots in the background are short, and the system ends the process when it likes.
#[test]
fn a_device_killed_in_slots_loses_nothing_and_has_nothing_applied_twice() {
    const WRITES: u64 = 1_000;
    const ROWS: u64 = 6_000;
    const PER_WRITE: u64 = 100;
    const OWN: &str = "SELECT count(*) FROM Product WHERE id LIKE 'p%'";
    let world = World::new(1);
    let writer = world.device("writer", &[0]);
    for first in (0..ROWS).step_by(PER_WRITE as usize) {
        let product = |n: u64| (format!("q{n:05}"), [("description", Value::text(noise(n)))]);
        let tx = (first..first + PER_WRITE)
            .map(product)
            .fold(writer.transaction(), |tx, (id, f)| tx.upsert("Product", &id, f));
        tx.commit().unwrap();
    }
    writer.settle(PATIENCE).unwrap();
    let token = world.token(SUBJECT, &["*"], &["*"]);
    let client = offline(&world, &token);
    fill(&client, WRITES);
    client.close().unwrap();

    let all = WRITES + ROWS / PER_WRITE;
    let slow = Throttle::new(world.port(0), 800_000);
    let (mut seen, mut draw) = (Vec::new(), 7_u64);
    for _ in 0..10 {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Less than all pushes take; then more than a part of the rows that arrives as a whole.
        let (least, spread) =
            if world.entries(0) < all { (10_000, 110_000) } else { (250_000, 250_000) };
        let (bytes, pause_us) = (least + (draw >> 33) % spread, (draw >> 40) % 30_000);
        let passed = || slow.up() + slow.down();
        let before = passed();
        let victim = Victim::start(Role::Slot, &world.file(SUBJECT), &[slow.url()], &token);
        assert_eq!(victim.next(SOON).as_deref(), Some("slot"));
        eventually("the slot moves something", || {
            let done = victim.next(Duration::ZERO).as_deref() == Some("done");
            done || passed() > before + bytes
        });
        std::thread::sleep(Duration::from_micros(pause_us));
        victim.kill();
        let client = offline(&world, &token);
        let here = [OWN, SOLD].map(|sql| number(&client, sql));
        assert_eq!(here, [WRITES as i64; 2], "all own writes show, and each counts once");
        seen.push((world.entries(0), number(&client, PRODUCTS) - here[0]));
        client.close().unwrap();
    }
    let cut_off = |(n, rows): &(u64, i64)| *n < all || *rows < ROWS as i64;
    assert!(seen.iter().any(cut_off), "killed with work left: {seen:?}");

    let client = offline(&world, &token);
    let limits = SyncLimits { deadline: PATIENCE, bytes_max: None, priority_min: 0 };
    let report = client.sync_once(limits).unwrap();
    assert!(report.done && report.unsent == 0, "{report:?}");
    assert_eq!(client.outcomes().unwrap(), []);
    assert_eq!(world.entries(0), all, "each transaction came once: {seen:?}");
    let fresh = world.device("fresh", &[0]);
    fresh.subscribe("catalog").unwrap();
    fresh.settle(PATIENCE).unwrap();
    assert_eq!(fresh.digest().unwrap(), client.digest().unwrap());
    let arrived = [PRODUCTS, SOLD].map(|sql| number(&fresh, sql));
    assert_eq!(arrived, [(WRITES + ROWS) as i64, WRITES as i64]);
    println!("killed in 10 slots, entries at the region and rows from it: {seen:?}");
}

#[test]
fn a_device_killed_in_its_first_sync_goes_on_where_it_was() {
    const ROWS: u64 = 4_500;
    let world = World::new(1);
    let writer = world.device("writer", &[0]);
    fill(&writer, ROWS);
    writer.settle(PATIENCE).unwrap();
    let whole = world.device("whole", &[0]);
    whole.subscribe("catalog").unwrap();
    whole.settle(PATIENCE).unwrap();
    let (digest, bytes) = (whole.digest().unwrap(), whole.traffic().down());

    let token = world.token(SUBJECT, &["*"], &["*"]);
    let slow = Throttle::new(world.port(0), 400_000);
    let mut at: Vec<i64> = Vec::new();
    for round in 1..=2 {
        let kept = at.last().copied().unwrap_or(0);
        let victim = Victim::start(Role::Sync, &world.file(SUBJECT), &[slow.url()], &token);
        let mut line = victim.next(SOON).expect("it tells its progress");
        assert!(taken(&line) >= kept, "it starts at {line:?}, and had {kept}");
        while line.starts_with("loading") && taken(&line) <= kept {
            line = victim.next(SOON).expect("rows come");
        }
        // Somewhere in the next chunk.
        std::thread::sleep(Duration::from_millis(90 * round));
        line = victim.kill().pop().unwrap_or(line);
        assert!(line.starts_with("loading"), "it was slow enough: {line:?}");
        at.push(taken(&line));
    }
    assert!(at[0] > 0 && at[1] > at[0], "killed in the middle, and again further on: {at:?}");
    let kept = at.last().copied().unwrap_or(0);
    let through = slow.down();
    let client = Client::open(world.options(SUBJECT, &[0], &token)).unwrap();
    client.settle(PATIENCE).unwrap();
    let rest = client.traffic().down();
    assert_eq!(client.digest().unwrap(), digest);
    assert_eq!(number(&client, PRODUCTS), ROWS as i64);
    let share = 1.0 - kept as f64 / ROWS as f64;
    let most = bytes as f64 * (share + 0.05);
    assert!((rest as f64) < most, "{rest} bytes for {share:.2} of {bytes}");
    println!(
        "killed in the first sync of {ROWS} rows at {at:?}; {bytes} bytes in one go, {through} passed before, {rest} for the rest"
    );
}

/// `loading N of M` is N.
fn taken(line: &str) -> i64 {
    let count = line.split(' ').nth(1).and_then(|n| n.parse().ok());
    count.unwrap_or_else(|| panic!("{line:?}"))
}

/// Victims that share a file, and what they have told.
struct Sharing {
    victims: Vec<Victim>,
    dots: Vec<Vec<i64>>,
    online: Vec<bool>,
    busy: usize,
}

impl Sharing {
    fn hear(&mut self) {
        for (i, victim) in self.victims.iter().enumerate() {
            while let Some(line) = victim.next(Duration::ZERO) {
                hear_line(&line, &mut self.dots[i], &mut self.online[i], &mut self.busy);
            }
        }
    }

    /// Listen until so much is true; panics if that takes too long.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(5));
            self.hear();
        }
    }

    fn counts(&self) -> Vec<usize> {
        self.dots.iter().map(Vec::len).collect()
    }

    /// Stop one outside of a transaction: one that is stopped within holds the file, as SQLite has
    /// it, and the others can but wait. Then it is let go on and stopped again.
    fn stop(&mut self, i: usize) {
        for _ in 0..20 {
            self.victims[i].signal("STOP");
            self.hear();
            let (before, end) = (self.counts(), Instant::now() + Duration::from_secs(1));
            let more = |s: &Self| (0..3).all(|o| o == i || s.dots[o].len() > before[o] + 2);
            while Instant::now() < end && !more(self) {
                std::thread::sleep(Duration::from_millis(5));
                self.hear();
            }
            if more(self) {
                return;
            }
            self.victims[i].signal("CONT");
            std::thread::sleep(Duration::from_millis(37));
        }
        panic!("it was within a transaction each time");
    }
}

fn hear_line(line: &str, dots: &mut Vec<i64>, online: &mut bool, busy: &mut usize) {
    match line.split(' ').next() {
        Some("dot") => dots.push(last_number(line)),
        Some("online") => *online = true,
        Some("standby") => *online = false,
        _ => {
            assert_eq!(line, "busy LF2207", "a write fails for no other reason");
            *busy += 1;
        }
    }
}

#[test]
fn of_three_processes_on_one_file_two_go_on_while_the_third_is_stopped() {
    let world = World::new(1);
    let token = world.token(SUBJECT, &["*"], &["*"]);
    let start = || Victim::start(Role::Share, &world.file(SUBJECT), &[world.url(0)], &token);
    let victims: Vec<Victim> = (0..3).map(|_| start()).collect();
    let (dots, online) = (vec![Vec::new(); 3], vec![false; 3]);
    let mut all = Sharing { victims, dots, online, busy: 0 };
    all.until("all write, one syncs", |s| {
        s.dots.iter().all(|d| d.len() > 20) && s.online.iter().filter(|o| **o).count() == 1
    });
    let holder = all.online.iter().position(|o| *o).unwrap();
    all.stop(holder);
    let (at, pushed) = (all.counts(), world.entries(0));
    // Longer than its lease: another one takes over and pushes what all three wrote.
    all.until("the lease moves", |s| (0..3).any(|i| i != holder && s.online[i]));
    let heir = (0..3).position(|i| i != holder && all.online[i]).unwrap();
    eventually("the heir pushes", || world.entries(0) > pushed + 20);
    all.hear();
    let meanwhile = all.counts();
    assert_eq!(meanwhile[holder], at[holder], "the stopped one is silent");
    all.victims[holder].signal("CONT");
    all.until("the third writes again, and has seen that it lost the lease", |s| {
        s.dots[holder].len() > at[holder] + 20 && !s.online[holder]
    });
    assert!(all.online[heir], "the heir keeps the lease");
    std::fs::write(world.file(SUBJECT).with_file_name("stop"), "").unwrap();
    let Sharing { victims, mut dots, mut online, mut busy } = all;
    for (i, victim) in victims.into_iter().enumerate() {
        for line in victim.wait() {
            hear_line(&line, &mut dots[i], &mut online[i], &mut busy);
        }
    }
    let given: Vec<i64> = dots.concat();
    let distinct: BTreeSet<i64> = given.iter().copied().collect();
    assert_eq!(distinct.len(), given.len(), "none twice");
    assert_eq!(distinct, (1..=given.len() as i64).collect(), "none left out");
    let client = Client::open(world.options(SUBJECT, &[0], &token)).unwrap();
    client.settle(PATIENCE).unwrap();
    assert_eq!(world.entries(0) as usize, given.len());
    let each = dots.iter().map(Vec::len).collect::<Vec<_>>();
    println!(
        "process {holder} stopped at {at:?}, {heir} took over; {meanwhile:?} when it went on; {each:?} in the end, {busy} waits in vain, dots 1..={}",
        given.len()
    );
}
