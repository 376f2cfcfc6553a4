//! Devices as processes of their own, for tests that kill and stop them.
//!
//! A victim is this test program with one test picked and the role in its environment. It tells
//! what it does line by line. It never outlives its test by more than its own limit.

use crate::world::{PATIENCE, number, options, schema};
use landfall_device::{Client, ConnectionState, Event, SyncLimits, Value};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "LANDFALL_TEST_ROLE";
const FILE: &str = "LANDFALL_TEST_FILE";
const URLS: &str = "LANDFALL_TEST_URLS";
const TOKEN: &str = "LANDFALL_TEST_TOKEN";

/// The account of all victims.
pub(crate) const SUBJECT: &str = "victim";

/// What a victim does until it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Write, offline, as fast as it can: `wrote N` when N sales are told to be in the file.
    Write,
    /// Push and fetch: `loading N of M` and then `complete` as the catalogue comes.
    Sync,
    /// Push and fetch in slots, as in the background: `slot` when one is about to be
    /// opened, `done` when nothing was left to do.
    Slot,
    /// Write and sync, together with others on the same file, until a file `stop` lies beside it:
    /// `dot N` for each write, `busy` for one that another process kept from the file,
    /// `online` and `standby` as the lease moves.
    Share,
}

/// A running victim.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Child,
    lines: Receiver<String>,
}

impl Victim {
    pub(crate) fn start(role: Role, file: &Path, urls: &[String], token: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim::works_until_it_is_killed", "--nocapture"])
            .env(ROLE, format!("{role:?}"))
            .env(FILE, file)
            .env(URLS, urls.join(" "))
            .env(TOKEN, token)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The harness writes before the first line, on the same one.
                let told = line.rsplit_once("told: ").map(|(_, told)| told.to_owned());
                if told.is_some_and(|told| sender.send(told).is_err()) {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// What it tells next, if it tells something in time.
    pub(crate) fn next(&self, within: Duration) -> Option<String> {
        // Both mean that it tells nothing: a silent victim, and one that has ended.
        self.lines.recv_timeout(within).ok()
    }

    /// SIGKILL. What it told until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Wait for its end. What it told until then.
    pub(crate) fn wait(mut self) -> Vec<String> {
        assert!(self.child.wait().unwrap().success());
        self.lines.iter().collect()
    }

    /// SIGSTOP and SIGCONT.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One sale in one transaction: an order, its lines, and what it takes from stock.
pub(crate) fn sell(client: &Client, n: i64) -> Result<Vec<u64>, landfall_device::Error> {
    let order = format!("order-{n}");
    let fields = [
        ("market", Value::text("lyon")),
        ("placedAt", Value::Int(n)),
        ("status", Value::text("PLACED")),
    ];
    let mut tx = client.transaction().upsert("Order", &order, fields);
    for line in 0..LINES {
        let fields = [
            ("order", Value::text(order.as_str())),
            ("sku", Value::text("mug")),
            ("quantity", Value::Int(1)),
        ];
        tx = tx.upsert("OrderLine", &format!("{order}#{line}"), fields);
    }
    let tx = tx.upsert("Stock", "mug", [("product", Value::text("mug"))]);
    let receipt = tx.increment("Stock", "mug", "sold", LINES).commit()?;
    Ok(receipt.dots.iter().map(|d| d.seq).collect())
}

/// Lines of an order.
pub(crate) const LINES: i64 = 3;

/// Sales in a file: orders, lines, and what the counter says.
pub(crate) fn sales(client: &Client) -> [i64; 3] {
    ["SELECT count(*) FROM \"Order\"", "SELECT count(*) FROM OrderLine", SOLD]
        .map(|sql| number(client, sql))
}

const SOLD: &str = "SELECT coalesce(sum(sold), 0) FROM Stock";

/// Not a test of its own: what the others kill. See [`Role`].
#[test]
fn works_until_it_is_killed() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let var = |name| std::env::var(name).unwrap();
    let (file, token) = (PathBuf::from(var(FILE)), var(TOKEN));
    let urls: Vec<String> = var(URLS).split_whitespace().map(str::to_owned).collect();
    let mut options = options(&file, SUBJECT, &urls, &token, schema());
    options.network.start_offline = role == "Write" || role == "Slot";
    let client = Client::open(options).unwrap();
    let until = Instant::now() + PATIENCE;
    match role.as_str() {
        "Write" => {
            let mut n = sales(&client)[0];
            while Instant::now() < until {
                sell(&client, n).unwrap();
                n += 1;
                println!("told: wrote {n}");
            }
        }
        "Sync" => {
            client.subscribe("catalog").unwrap();
            while Instant::now() < until {
                tell_progress(&client);
                thread::sleep(Duration::from_millis(5));
            }
        }
        "Slot" => {
            let deadline = Duration::from_secs(2);
            let limits = SyncLimits { deadline, bytes_max: None, priority_min: 0 };
            client.subscribe("catalog").unwrap();
            while Instant::now() < until {
                println!("told: slot");
                if client.sync_once(limits).unwrap().done {
                    println!("told: done");
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        _ => share(&client, &file.with_file_name("stop"), until),
    }
}

fn tell_progress(client: &Client) {
    if let Some(p) = client.progress("catalog").unwrap() {
        let state = if p.complete() { "complete" } else { "loading" };
        println!("told: {state} {} of {}", p.rows, p.total);
    }
}

fn share(client: &Client, stop: &Path, until: Instant) {
    let mut events = client.events();
    while Instant::now() < until && !stop.exists() {
        while let Some(event) = events.next_within(Duration::ZERO) {
            match event {
                Event::Connection(ConnectionState::Online { .. }) => println!("told: online"),
                Event::Connection(ConnectionState::Standby) => println!("told: standby"),
                _ => {}
            }
        }
        let sold = client.transaction().upsert("Stock", "mug", [("product", Value::text("mug"))]);
        match sold.increment("Stock", "mug", "sold", 1).commit() {
            Ok(receipt) => receipt.dots.iter().for_each(|d| println!("told: dot {}", d.seq)),
            // The file is another's at the moment; nothing was written.
            Err(error) => println!("told: busy {}", error.code()),
        }
        thread::sleep(Duration::from_millis(4));
    }
}
