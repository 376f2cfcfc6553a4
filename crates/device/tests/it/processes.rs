//! Several openings of one file, and openings that end without a word.

use crate::world::{SOON, World, eventually};
use landfall_device::{Client, ConnectionState, Fate, Value};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const NONE: [(&str, Value); 0] = [];

/// Set in the process that a test starts and kills: the file that it writes.
const VICTIM_FILE: &str = "LANDFALL_TEST_VICTIM_FILE";

fn sell(client: &Client) -> Vec<landfall_device::Dot> {
    let t = client.transaction().upsert("Stock", "s", NONE).increment("Stock", "s", "sold", 1);
    t.commit().unwrap().dots
}

fn sold(client: &Client) -> i64 {
    client.get("Stock", "s").unwrap().and_then(|r| r.integer("sold")).unwrap_or(0)
}

#[test]
fn three_openings_of_one_file_give_every_number_once() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let clients: Vec<Client> = (0..3).map(|_| world.client(&path, &[0, 1])).collect();
    clients[2].subscribe("catalog").unwrap();
    let writers = clients.iter().cloned().map(|client| {
        thread::spawn(move || (0..50).flat_map(|_| sell(&client)).collect::<Vec<_>>())
    });
    let writers: Vec<_> = writers.collect();
    let dots: Vec<_> = writers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    let numbers: BTreeSet<u64> = dots.iter().map(|d| d.seq).collect();
    assert_eq!(numbers, (1..=150).collect());
    assert_eq!(dots.iter().map(|d| d.device).collect::<BTreeSet<_>>().len(), 1);
    let online = |c: &&Client| matches!(c.connection(), ConnectionState::Online { .. });
    eventually("one of them pushes all", || clients[0].outbox_status().unwrap().is_empty());
    assert_eq!(clients.iter().filter(online).count(), 1, "one of them syncs");
    assert!(clients.iter().all(|c| sold(c) == 150));
    assert_eq!(
        world.received().iter().map(|(_, n, dense)| (*n, *dense)).collect::<Vec<_>>(),
        [(150, true)]
    );
    // When it goes, another takes over.
    let syncing = clients.iter().position(|c| online(&c)).unwrap();
    clients[syncing].close().unwrap();
    let left = &clients[(syncing + 1) % 3];
    sell(left);
    eventually("another one pushes", || left.outbox_status().unwrap().is_empty());
}

#[test]
fn an_abandoned_client_leaves_its_writes_and_its_lease() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let dead = world.client(&path, &[0]);
    eventually("it syncs", || matches!(dead.connection(), ConnectionState::Online { .. }));
    dead.go_offline();
    let dots = sell(&dead);
    dead.abandon().unwrap();
    assert_eq!(dead.outcomes().unwrap_err().code(), "LF2104");
    let client = world.client(&path, &[0]);
    assert_eq!(sold(&client), 1);
    assert_eq!(client.outbox_status().unwrap().pending, 1);
    // The lease of who is gone without a word runs out by itself, and not before.
    eventually("it waits", || client.connection() == ConnectionState::Standby);
    eventually("it pushes", || client.outbox_status().unwrap().is_empty());
    assert_eq!(client.fate(dots[0]).unwrap(), Fate::Accepted { durable: true });
    drop(dead);
}

#[test]
fn what_one_opening_subscribes_another_fetches() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let afar = world.client(&dir.path().join("b.db"), &[0]);
    sell(&afar);
    afar.settle(SOON).unwrap();
    let path = dir.path().join("a.db");
    let first = world.client(&path, &[0]);
    eventually("it syncs", || matches!(first.connection(), ConnectionState::Online { .. }));
    let second = world.client(&path, &[0]);
    let mut events = second.events();
    second.subscribe("catalog").unwrap();
    eventually("the row is here", || sold(&second) == 1);
    assert_eq!(second.connection(), ConnectionState::Standby);
    assert!(events.next_within(SOON).is_some());
}

#[test]
fn an_opening_dropped_without_a_word_loses_nothing() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    for round in 1..=5 {
        let client = world.client(&path, &[0, 1]);
        client.subscribe("catalog").unwrap();
        for _ in 0..10 {
            sell(&client);
        }
        assert_eq!(sold(&client), round * 10);
    }
    let client = world.client(&path, &[0, 1]);
    client.settle(SOON).unwrap();
    assert_eq!(sold(&client), 50);
    assert_eq!(world.received().len(), 1);
}

/// Not a test of its own: what the next one kills.
#[test]
fn victim() {
    let Ok(path) = std::env::var(VICTIM_FILE) else { return };
    let world = World::new(2);
    let client = world.client(path.as_ref(), &[0, 1]);
    client.subscribe("catalog").unwrap();
    loop {
        sell(&client);
        println!("sold {}", sold(&client));
    }
}

#[test]
fn a_killed_process_keeps_what_it_was_told_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::victim", "--nocapture"])
        .env(VICTIM_FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let (mut told, mut lines_read) = (0, 0);
    for line in lines.map_while(Result::ok) {
        if let Some(count) = line.trim().rsplit_once("sold ") {
            told = count.1.parse().unwrap();
        }
        lines_read += 1;
        if lines_read == 200 {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    assert!(told > 100, "{told}");
    let mut options = World::new(1).options(&path, &[]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    let kept = sold(&client);
    assert!(kept == told || kept == told + 1, "{kept} of {told}");
    let next = sell(&client)[0].seq;
    assert_eq!(next, kept as u64 + 1, "numbers go on where they were");
}

#[test]
fn what_only_asks_waits_for_no_process_that_holds_the_file() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let mut options = world.options(&path, &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    client.subscribe("catalog").unwrap();
    let dots = sell(&client);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(client.fate(dots[0]).unwrap(), Fate::Pending { sent: false });
    assert_eq!(client.outbox_status().unwrap().pending, dots.len() as u64);
    assert!(client.outcomes().unwrap().is_empty());
    assert!(client.progress("catalog").unwrap().is_some());
    assert!(!client.digest().unwrap().is_empty());
    assert_eq!(client.drain(Duration::ZERO).unwrap_err().code(), "LF2109");
    assert_eq!(client.settle(Duration::ZERO).unwrap_err().code(), "LF2106");
    other.execute_batch("ROLLBACK").unwrap();
    // What was written is seen at once by who asks, whoever wrote it.
    let second = sell(&client);
    assert_eq!(client.fate(second[0]).unwrap(), Fate::Pending { sent: false });
}
