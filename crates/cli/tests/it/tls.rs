//! Regions as processes that serve TLS, as an operator sets them up.

use crate::authority::{Authority, FAR};
use crate::binary::{landfall, repository, stdout};
use crate::world::{PATIENCE, SCHEMA, free_port, number, options, schema};
use landfall_device::transport::{Http, Trust};
use landfall_device::{Client, Value};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A running region; it ends with the test.
struct Region {
    child: Child,
    url: String,
}

impl Drop for Region {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Region {
    /// One of two that dial each other.
    fn start(dir: &Path, number: usize, ports: [u16; 2]) -> Self {
        let (schema, other) = (repository().join(SCHEMA), 3 - number);
        let config = format!(
            "region = {number}\nname = \"r{number}\"\nschema = {schema:?}\n\
             data_dir = \"r{number}/data\"\nlisten = \"127.0.0.1:{0}\"\n\
             tls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n\
             peer_roots = \"ca.pem\"\npeer_roots_only = true\n\
             peer_key = \"peer.key\"\ndev_key = \"dev.key\"\n\
             [[peers]]\nregion = {other}\nname = \"r{other}\"\nurl = \"https://127.0.0.1:{1}\"\n",
            ports[number - 1],
            ports[other - 1],
        );
        let path = dir.join(format!("{number}.toml"));
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["region", "--with-parent", "--config"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = line.find("https://").unwrap_or_else(|| panic!("no TLS: {line:?}"));
        Self { child, url: line[at..].trim().to_owned() }
    }
}

#[test]
fn a_write_reaches_two_regions_and_another_device_over_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, ours) = (folder.path(), Authority::new("ours"));
    ours.certify("127.0.0.1", FAR).write(dir);
    std::fs::write(dir.join("ca.pem"), &ours.pem).unwrap();
    let ports = [free_port(), free_port()];
    let regions = [1, 2].map(|number| Region::start(dir, number, ports));
    let device = |name: &str, region: usize| {
        let words = ["token", "--dir", dir.to_str().unwrap(), "--subject", name];
        let token = stdout(&landfall(&[&words[..], &["--scope", "*", "--audience", "*"]].concat()));
        let path = dir.join("devices").join(format!("{name}.db"));
        let urls = [regions[region].url.clone()];
        let mut options = options(&path, name, &urls, token.trim(), schema());
        let trust = Trust::Only(ours.pem.clone().into());
        options.transport = Arc::new(Http::trusting(&trust).unwrap());
        let client = Client::open(options).unwrap();
        client.subscribe("region/fr").unwrap();
        client
    };
    let (ann, bob) = (device("ann", 0), device("bob", 1));
    let fields = [
        ("market", Value::text("fr")),
        ("status", Value::text("PLACED")),
        ("placedAt", Value::Int(1_700_000_000_000_000)),
    ];
    ann.transaction().upsert("Order", "o-1", fields).commit().unwrap();
    // Until two regions hold it, one of which has it from the other.
    ann.drain(PATIENCE).unwrap();
    bob.settle(PATIENCE).unwrap();
    crate::world::eventually("it shows at the other", || {
        number(&bob, r#"SELECT count(*) FROM "Order""#) == 1
    });
    ann.close().unwrap();
    bob.close().unwrap();
}
