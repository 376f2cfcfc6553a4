//! `landfall replay`: figures against an independent computation, in another language.
//!
//! The real data are not part of the project; set `LANDFALL_DATA` to a directory that holds them
//! to have them replayed too.

use crate::binary::{json, repository};
use serde_json::{Value, json};
use std::process::Command;

const SAMPLE: &str = "examples/shop/retail-sample.csv";

/// What the figures must be; `None`, with a message, where there is no Node.
fn independent(file: &str) -> Option<Value> {
    let script = repository().join("crates/cli/tests/retail.mjs");
    let output = Command::new("node").arg(script).arg(file).current_dir(repository()).output();
    match output {
        Ok(o) if o.status.success() => Some(serde_json::from_slice(&o.stdout).expect("JSON")),
        _ => {
            eprintln!("SKIPPED: no node to compute the figures independently");
            None
        }
    }
}

#[track_caller]
fn check_retail(file: &str, more: &[&str]) -> Option<Value> {
    let expected = independent(file)?;
    let args = [&["replay", "retail", file, "--json"], more].concat();
    let report = json(&args);
    for figure in ["lines", "quantity", "revenue", "stock_sha256"] {
        assert_eq!(report[figure], expected[figure], "{figure} in {report:#}");
    }
    assert_eq!(report["converged"], json!(true), "{report:#}");
    Some(report)
}

#[test]
fn orders_arrive_whole_and_once() {
    check_retail(SAMPLE, &["--regions", "3", "--devices", "6"]);
}

#[test]
fn orders_arrive_whole_and_once_through_faults() {
    for seed in ["1", "2", "3"] {
        check_retail(SAMPLE, &["--regions", "3", "--devices", "6", "--faults", seed]);
    }
}

#[test]
fn orders_arrive_whole_and_once_through_regions_killed_as_processes() {
    let mut kills = 0;
    for seed in ["2", "5"] {
        let faults = ["--devices", "6", "--processes", "--faults", seed];
        let Some(report) = check_retail(SAMPLE, &faults) else { return };
        kills += report["region_kills"].as_u64().expect("a count");
    }
    assert!(kills > 2, "{kills} kills are no trial");
}

#[test]
fn a_small_world_of_one_region_works_too() {
    check_retail(SAMPLE, &["--regions", "1", "--devices", "2"]);
}

#[test]
fn concurrent_editing_ends_in_the_recorded_text() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("trace.json");
    // Two authors type at the same time, then each goes on from the merge of both.
    let trace = json!({
        "endContent": "Hi, dear World!", "numAgents": 2,
        "txns": [
            { "parents": [], "agent": 0, "patches": [[0, 0, "Hello World"]] },
            { "parents": [0], "agent": 0, "patches": [[0, 5, "Hi,"]] },
            { "parents": [0], "agent": 1, "patches": [[11, 0, "!"]] },
            { "parents": [1, 2], "agent": 1, "patches": [[4, 0, "dear "]] },
        ],
    });
    std::fs::write(&path, trace.to_string()).expect("written");
    let report = json(&["replay", "text", path.to_str().expect("a path of text"), "--json"]);
    assert_eq!(report["matches_end_content"], json!(true), "{report:#}");
    assert_eq!(report["edits"], json!(4));
}

#[test]
fn the_real_orders_arrive_whole_and_once() {
    let file = "online-retail-2010-12_2011-06.csv.gz";
    match std::env::var("LANDFALL_DATA") {
        Ok(dir) => {
            check_retail(&format!("{dir}/{file}"), &["--devices", "40"]);
        }
        Err(_) => eprintln!("SKIPPED: LANDFALL_DATA does not say where {file} is"),
    }
}
