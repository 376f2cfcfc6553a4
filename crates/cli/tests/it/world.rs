//! Regions as processes, and devices on real files, for tests that kill things.
//!
//! Each region is the binary itself on a configuration file. It is killed by SIGKILL and ends with
//! the test, because it holds the other end of a pipe.

use crate::binary::{landfall, repository, stdout};
use landfall_device::{Account, Client, FixedToken, Options, RegionUrl, Schema};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes that does happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The example's schema, which all of these tests run on.
pub(crate) const SCHEMA: &str = "examples/shop/schema.graphql";

#[derive(Debug)]
pub(crate) struct World {
    dir: TempDir,
    ports: Vec<u16>,
    processes: Vec<Option<Child>>,
    schema: Arc<Schema>,
}

impl World {
    /// So many regions, running.
    pub(crate) fn new(regions: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ports: Vec<u16> = (0..regions).map(|_| free_port()).collect();
        for i in 0..regions {
            std::fs::write(dir.path().join(format!("{i}.toml")), config(i, &ports)).unwrap();
        }
        let processes = ports.iter().map(|_| None).collect();
        let mut world = Self { dir, ports, processes, schema: schema() };
        (0..regions).for_each(|i| world.start(i));
        world
    }

    pub(crate) fn url(&self, region: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[region])
    }

    pub(crate) fn port(&self, region: usize) -> u16 {
        self.ports[region]
    }

    /// Start a region on the files that it has, and wait until it listens.
    pub(crate) fn start(&mut self, region: usize) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["region", "--with-parent", "--config"])
            .arg(self.dir.path().join(format!("{region}.toml")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens on"), "region {region} does not start: {line:?}");
        self.processes[region] = Some(child);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, region: usize) {
        let mut child = self.processes[region].take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    /// SIGTERM: the region tells its devices to leave, and ends.
    pub(crate) fn terminate(&self, region: usize) {
        let child = self.processes[region].as_ref().expect("it runs");
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(kill.expect("a command").success());
    }

    /// Wait until a region that was told to end has ended.
    pub(crate) fn await_end(&mut self, region: usize) {
        self.processes[region].take().expect("it ran").wait().expect("ended");
    }

    /// What a running region says of itself.
    pub(crate) fn status(&self, region: usize) -> Json {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[region])).expect("it listens");
        let request = "GET /v1/status HTTP/1.1\r\nhost: region\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("a response");
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// Entries of all logs that a region holds: one for each transaction and home scope. What comes
    /// again makes none.
    pub(crate) fn entries(&self, region: usize) -> u64 {
        let heads = self.status(region)["vector"].clone();
        heads.as_array().expect("a vector").iter().filter_map(|h| h["seq"].as_u64()).sum()
    }

    /// Wait until all regions hold the same logs.
    pub(crate) fn wait_until_equal(&self) {
        let vector = |i| self.status(i)["vector"].clone();
        eventually("regions hold the same", || {
            (1..self.ports.len()).all(|i| vector(i) == vector(0))
        });
    }

    pub(crate) fn token(&self, subject: &str, scopes: &[&str], audiences: &[&str]) -> String {
        let dir = self.dir.path().to_str().expect("a path of text");
        let mut args = vec!["token", "--dir", dir, "--subject", subject];
        scopes.iter().for_each(|s| args.extend(["--scope", *s]));
        audiences.iter().for_each(|a| args.extend(["--audience", *a]));
        stdout(&landfall(&args)).trim().to_owned()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("devices").join(format!("{name}.db"))
    }

    /// Options of a device that prefers the regions in this order.
    pub(crate) fn options(&self, name: &str, order: &[usize], token: &str) -> Options {
        let regions = order.iter().map(|i| self.url(*i)).collect::<Vec<_>>();
        options(&self.file(name), name, &regions, token, self.schema.clone())
    }

    /// A device that may do everything.
    pub(crate) fn device(&self, name: &str, order: &[usize]) -> Client {
        let token = self.token(name, &["*"], &["*"]);
        Client::open(self.options(name, order, &token)).expect("a device")
    }

    /// A device that may read these audiences, and write what they let it.
    pub(crate) fn reader(&self, name: &str, order: &[usize], audience: &str) -> Client {
        let token = self.token(name, &[], &[audience]);
        Client::open(self.options(name, order, &token)).expect("a device")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn schema() -> Arc<Schema> {
    let sdl = std::fs::read_to_string(repository().join(SCHEMA)).expect("the example");
    Arc::new(landfall_model::schema::compile(&sdl).expect("a sound schema"))
}

pub(crate) fn options(
    path: &Path,
    subject: &str,
    urls: &[String],
    token: &str,
    schema: Arc<Schema>,
) -> Options {
    std::fs::create_dir_all(path.parent().expect("a file in a directory")).unwrap();
    let account = Account { tenant: String::new(), subject: subject.to_owned() };
    let mut options = Options::new(path, schema, account);
    options.tokens = Arc::new(FixedToken(token.to_owned()));
    options.regions = urls.iter().map(|url| RegionUrl::new(url, url)).collect();
    options
}

fn config(region: usize, ports: &[u16]) -> String {
    let schema = repository().join(SCHEMA);
    let mut text = format!(
        "region = {0}\nname = \"r{0}\"\nschema = {schema:?}\ndata_dir = \"r{0}/data\"\n\
         marker_dir = \"r{0}/marker\"\nlisten = \"127.0.0.1:{1}\"\n\
         peer_key = \"peer.key\"\ndev_key = \"dev.key\"\nramp_ms = 0\n",
        region + 1,
        ports[region]
    );
    for (peer, port) in ports.iter().enumerate().filter(|(peer, _)| *peer != region) {
        let number = peer + 1;
        write!(text, "[[peers]]\nregion = {number}\nname = \"r{number}\"\n").unwrap();
        writeln!(text, "url = \"http://127.0.0.1:{port}\"").unwrap();
    }
    text
}

/// A port that is free now, below those that the system gives to outgoing connections: one of
/// these could take it while its region is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16 % 10_000;
    for _ in 0..10_000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Rows of a query as text, by their first column.
pub(crate) fn rows(client: &Client, sql: &str) -> BTreeMap<String, String> {
    let rows = client.query(sql, []).expect("a query");
    let text = |v: &landfall_device::SqlValue| format!("{v:?}");
    let row = |r: &landfall_device::Row| {
        let rest: Vec<String> = r.values()[1..].iter().map(text).collect();
        (r.values()[0].as_str().expect("an id").to_owned(), rest.join(", "))
    };
    rows.iter().map(row).collect()
}

/// The one number that a query gives.
pub(crate) fn number(client: &Client, sql: &str) -> i64 {
    let rows = client.query(sql, []).expect("a query");
    rows.scalar().and_then(landfall_device::SqlValue::as_i64).expect("a number")
}
