//! `landfall drill`: a short one, whole; what it does when its files are damaged or it is killed.

use crate::binary::{json, landfall, repository, stdout};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A seed whose trouble has kills of both kinds in its first seconds.
const SEED: &str = "3";

#[test]
fn processes_that_are_broken_and_mended_lose_nothing() {
    let args = ["--seed", SEED, "--regions", "3", "--devices", "3", "--seconds", "4"];
    let report = json(&[&["drill", "--json"], &args[..]].concat());
    assert_eq!(report["failed"], json!(0), "{report:#}");
    let round = &report["rounds"][0];
    assert!(!round["faults"].as_object().expect("faults").is_empty(), "{report:#}");
    assert!(round["acknowledged"].as_u64().expect("a count") > 10, "{report:#}");
    assert_eq!(round["checks"].as_array().expect("checks").len(), 9, "{report:#}");
}

#[test]
fn a_drill_starts_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("something"), "").unwrap();
    let output = landfall(&["drill", "--seconds", "1", "--keep", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("LF9009"), "{errors}\n{}", stdout(&output));
}

/// A copy of a round's directory, to be damaged.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copied(&path, &to),
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}

fn sql(path: &Path, sql: &str) -> usize {
    rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap()
}

fn add(path: &Path, lines: &str) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
}

#[test]
fn damage_on_the_disk_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, place) = (dir.path().join("kept"), dir.path().join("damaged"));
    let keep = kept.to_str().unwrap();
    let args = ["drill", "--seed", SEED, "--devices", "3", "--seconds", "3", "--keep", keep];
    assert_eq!(landfall(&args).status.code(), Some(0));
    let whole = kept.join(format!("seed-{SEED}"));
    let checked = |damage: &dyn Fn(&Path)| {
        let _ = std::fs::remove_dir_all(&place);
        copied(&whole, &place);
        damage(&place);
        landfall(&["drill", "--json", "--check", place.to_str().unwrap()])
    };
    let check = |expected: Option<[&str; 3]>, damage: &dyn Fn(&Path)| {
        let output = checked(damage);
        let told: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        let names = ["check", "finding", "invariant"].map(|name| told["failure"][name].as_str());
        assert_eq!(names, expected.map_or([None; 3], |names| names.map(Some)), "{told:#}");
        assert_eq!(output.status.code(), Some(i32::from(expected.is_some())));
    };
    // What is missing is not checked, and so nothing passes.
    let refuse = |expected: &str, damage: &dyn Fn(&Path)| {
        let output = checked(damage);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(expected), "{errors}");
        assert_eq!(output.status.code(), Some(3), "{}", stdout(&output));
    };
    check(None, &|_| ());
    check(Some(["logs", "logs", "I4"]), &|dir| {
        let last = "DELETE FROM log WHERE place = (SELECT max(place) FROM log)";
        assert_eq!(sql(&dir.join("us-east/data/region.db"), last), 1);
    });
    check(Some(["devices", "devices", "I3"]), &|dir| {
        let vote = "UPDATE Note SET votes = votes + 1";
        assert!(sql(&dir.join("device-0/device.db"), vote) > 0);
    });
    let history = |dir: &Path| dir.join("device-1/history.ndjson");
    check(Some(["ends", "survival", "I2"]), &|dir| {
        let dot = "00000000000000000000000000000001#7";
        let fate =
            json!({ "at_ms": 1, "what": "fate", "dot": dot, "fate": "accepted", "code": null });
        add(&history(dir), &format!("{fate}\n"));
    });
    check(Some(["shows", "sessions", "I5"]), &|dir| {
        let shows =
            |n: i64| json!({ "at_ms": 1, "what": "shows", "tallies": { "x": n }, "rows": 1 });
        add(&history(dir), &format!("{}\n{}\n", shows(2), shows(1)));
    });
    let removed = |path: &Path| std::fs::remove_file(path).unwrap();
    check(None, &|dir| add(&history(dir), "{\"at_ms\":1,\"wh"));
    refuse("LF9010", &|dir| add(&history(dir), "nonsense\n"));
    refuse("history.ndjson", &|dir| removed(&history(dir)));
    refuse("tells of no life", &|dir| std::fs::write(history(dir), "").unwrap());
    refuse("2 devices of a round that had 3", &|dir| removed(&dir.join("device-2/device.json")));
    refuse("2 regions of a round that had 3", &|dir| {
        std::fs::remove_dir_all(dir.join("us-east")).unwrap();
    });
    refuse("region.db", &|dir| removed(&dir.join("us-east/data/region.db")));
    refuse("device-0", &|dir| removed(&dir.join("device-0/device.db")));
    refuse("holds no round", &|dir| removed(&dir.join("round.json")));
}

/// Process ids whose command line names this directory.
fn processes_in(dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("a table of processes").flatten();
    let names_it = |path: &std::path::Path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(dir)
    };
    let found = entries.filter(|entry| names_it(&entry.path()));
    let me = std::process::id().to_string();
    let names = found.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|id| *id != me).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_drill_that_is_killed_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("kept");
    let place = keep.to_str().unwrap();
    let mut drill = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["drill", "--seed", SEED, "--devices", "2", "--seconds", "60", "--keep", place])
        .current_dir(repository())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    // The drill itself, three regions and two devices.
    while processes_in(place).len() < 6 {
        assert!(Instant::now() < until, "they do not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    drill.kill().unwrap();
    drill.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !processes_in(place).is_empty() {
        assert!(Instant::now() < until, "these stay: {:?}", processes_in(place));
        std::thread::sleep(Duration::from_millis(20));
    }
}
