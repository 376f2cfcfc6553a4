//! `landfall dev`, killed in the midst of its work and started again.

use crate::device::{Dev, ends};
use crate::world::{eventually, options, rows, schema};
use landfall_device::Client;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

const ORDERS: &str = "SELECT id FROM \"Order\"";
const MARKETS: [&str; 2] = ["region/france", "region/germany"];

/// A world with two phones at work, one in each of the markets.
fn start(dir: &Path) -> Dev {
    Dev::with(dir, &["--phones", "2", "--wan", "none"].map(OsStr::new))
}

/// What a phone shows, as another process sees it.
fn shows(dir: &Path, words: &[&str]) -> BTreeSet<String> {
    let text = ends(dir, 0, &[words, &["--json", "query", ORDERS]].concat());
    let id = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(row["id"].as_str()?.to_owned())
    };
    text.lines().filter_map(id).collect()
}

/// What is in a phone's file, by a copy: the file is left as the kill left it.
fn in_file(dir: &Path, name: &str) -> BTreeSet<String> {
    let copy = tempfile::tempdir().unwrap();
    for ending in [".db", ".db-wal"] {
        let file = format!("{name}{ending}");
        std::fs::copy(dir.join("devices").join(&file), copy.path().join(&file)).unwrap();
    }
    let path = copy.path().join(format!("{name}.db"));
    let client = Client::open(options(&path, name, &[], "", schema())).unwrap();
    rows(&client, ORDERS).into_keys().collect()
}

#[test]
fn a_world_that_is_killed_at_work_comes_up_with_all_that_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let first = start(dir);
    for market in MARKETS {
        ends(dir, 0, &["eve", "subscribe", market]);
    }
    let mut seen = BTreeSet::new();
    eventually("both phones have sold", || {
        seen = shows(dir, &["eve"]);
        seen.len() > 3
            && (1..=2).all(|n| !shows(dir, &[&format!("phone-{n}"), "--offline"]).is_empty())
    });
    drop(first);
    let unsent = ["market=france", "placedAt=now", "status=PLACED"];
    ends(dir, 0, &[&["eve", "--offline", "put", "Order", "unsent"][..], &unsent].concat());
    let phones: Vec<BTreeSet<String>> =
        (1..=2).map(|n| in_file(dir, &format!("phone-{n}"))).collect();
    let mut had: BTreeSet<String> = phones.iter().flatten().chain(&seen).cloned().collect();

    let second = start(dir);
    for (n, held) in (1..).zip(&phones) {
        let shown = shows(dir, &[&format!("phone-{n}"), "--offline"]);
        assert!(shown.is_superset(held), "phone-{n}: {held:?} before, {shown:?} now");
    }
    ends(dir, 0, &["eve", "status"]);
    had.insert("unsent".to_owned());
    // Regions have it, or get it from the phones, which go on; and each tells what all have.
    let regions = second.started["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 3);
    for region in regions {
        let region = region["name"].as_str().unwrap();
        let fresh = format!("at-{region}");
        for market in MARKETS {
            ends(dir, 0, &[&fresh, "--region", region, "subscribe", market]);
        }
        eventually("a region has all, and more comes", || {
            let now = shows(dir, &[&fresh, "--region", region]);
            now.is_superset(&had) && now.len() > had.len()
        });
    }
}
