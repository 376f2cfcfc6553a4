//! Files of devices, looked at from outside.

use crate::binary::stdout;
use crate::device::Dev;
use landfall_device::{Account, Client, Options};
use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SCHEMA: &str = r#"
type Note @entity(strategy: CRDT, scope: "team/{team}") @audience(scope: "reader/{reader}") {
  id: ID!  team: ID!  reader: ID  title: String  votes: Counter }
"#;

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_landfall")).args(words).output().expect("the binary starts")
}

/// What it says, if it ends with this code.
fn says(code: i32, words: &[&str]) -> String {
    let output = run(words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {errors}{}", stdout(&output));
    format!("{}{errors}", stdout(&output))
}

fn json(code: i32, words: &[&str]) -> Json {
    let output = run(words);
    assert_eq!(output.status.code(), Some(code), "{words:?}");
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// A phone's file with three unsent writes, in a world that is gone.
fn phone(dir: &Path) -> String {
    let schema = dir.join("notes.graphql");
    fs::write(&schema, SCHEMA).unwrap();
    drop(Dev::start(dir, &schema));
    let dir_arg = dir.to_str().unwrap();
    for (id, title) in [("n-1", "Milk"), ("n-2", "Bread"), ("n-3", "Salt")] {
        let title = format!("title={title}");
        let words =
            ["device", "--dir", dir_arg, "--offline", "ann", "put", "Note", id, "team=red", &title];
        says(0, &words);
    }
    dir.join("devices/ann.db").to_str().unwrap().to_owned()
}

#[test]
fn a_devices_file_says_what_is_in_it_and_why_a_row_shows() {
    let folder = tempfile::tempdir().unwrap();
    let file = phone(folder.path());
    let text = says(0, &["inspect", &file]);
    for part in ["its structure is sound", "account ann", "Note  unsent", "Subscriptions"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let found = json(0, &["inspect", &file, "--json"]);
    assert_eq!(
        (&found["writes"][0]["count"], &found["writes"][0]["state"]),
        (&3.into(), &"unsent".into())
    );
    let schema = folder.path().join("notes.graphql");
    let explain = ["inspect", &file, "--explain", "Note", "n-1"];
    let text = says(0, &[&explain[..], &["--schema", schema.to_str().unwrap()]].concat());
    for part in ["Note n-1 in team/red", "1 own write", "title", "reader/{reader}"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let told = json(0, &[&explain[..], &["--json"]].concat());
    assert_eq!(told["answer"], "pending");
    assert!(says(3, &["inspect", &file, "--explain", "Nota", "n-1"]).contains("LF2001"));
    let dir = folder.path().to_str().unwrap();
    let device = ["device", "--dir", dir, "--offline", "--json", "ann"];
    let told = json(0, &[&device[..], &["explain", "Note", "n-1"]].concat());
    let write = told["writes"][0]["dot"].as_str().unwrap();
    // The short form, which `explain` prints.
    let short = &write[write.find('#').unwrap() - 8..];
    let told_plainly =
        says(0, &["device", "--dir", dir, "--offline", "ann", "explain", "Note", "n-1"]);
    assert!(told_plainly.contains(short), "{short}: {told_plainly}");
    let cancelled = json(0, &[&device[..], &["cancel", short]].concat());
    assert_eq!(cancelled["cancelled"][0], write);
    assert!(says(3, &[&device[..], &["cancel", write]].concat()).contains("LF2022"));
    let deleted = says(0, &[&device[..], &["delete", "Note", "n-2"]].concat());
    assert!(deleted.contains("pending"), "{deleted}");
    says(0, &[&device[..], &["restore", "Note", "team/red", "n-2"]].concat());
    assert!(says(0, &[&device[..], &["get", "Note", "n-2"]].concat()).contains("Bread"));
}

#[test]
fn a_damaged_file_is_told_and_its_writes_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = phone(folder.path());
    let mut bytes = fs::read(&file).unwrap();
    let before = bytes.clone();
    bytes[..50].fill(0);
    fs::write(&file, &bytes).unwrap();
    let told = json(1, &["inspect", &file, "--json"]);
    assert_eq!((&told["unsent"], &told["header_destroyed"]), (&3.into(), &true.into()));
    let out = folder.path().join("ann.lfrescue");
    let out = out.to_str().unwrap();
    let text = says(1, &["inspect", &file, "--rescue", out]);
    assert!(text.contains("3  never sent") && text.contains("head of the file"), "{text}");
    assert_eq!(fs::read(&file).unwrap(), bytes, "only read");
    let saved = json(1, &["inspect", out, "--json"]);
    assert_eq!(saved["unsent"], 3);
    assert!(says(2, &["inspect", out, "--explain", "Note", "n-1"]).contains("LF9008"));

    // A page in the middle is gone: SQLite says so, and what is left is shown.
    let mut torn = before;
    let page = 4_096;
    let op = torn.windows(4).position(|w| w == b"Milk").unwrap() / page;
    torn[op * page..(op + 1) * page].fill(0);
    fs::write(&file, &torn).unwrap();
    let text = says(1, &["inspect", &file]);
    assert!(text.contains("DAMAGED") || text.contains("cannot read this file"), "{text}");

    let other = folder.path().join("notes.graphql");
    let check = |path: &str, code: &str| {
        assert!(says(3, &["inspect", path]).contains(code), "{path}");
    };
    check(other.to_str().unwrap(), "LF9013");
    check(folder.path().join("none").to_str().unwrap(), "LF9001");
}

#[test]
fn what_a_file_says_of_its_account_does_not_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, out, bundle) = (path("a.db"), path("a.lfrescue"), path("bundle.json"));
    let [tenant, subject] = ["t\u{9b}31m\n", "ann\u{1b}[2J\u{7f}"].map(str::to_owned);
    let account = Account { tenant, subject };
    let client = Client::open(Options::from_sdl(&file, SCHEMA, account).unwrap()).unwrap();
    client.transaction().upsert("Note", "n-1", [("team", "red".into())]).commit().unwrap();
    client.close().unwrap();
    let said = serde_json::json!({ "landfall_support": 1, "account": "ann\u{1b}[2J",
        "connection": { "state": "t\u{9b}31m" } });
    fs::write(&bundle, said.to_string()).unwrap();
    for words in [
        &["inspect", &file][..],
        &["inspect", &file, "--rescue", &out],
        &["inspect", &out],
        &["inspect", &bundle],
    ] {
        for flag in [&[][..], &["--json"]] {
            if words.contains(&"--rescue") {
                // It takes the place of no other.
                let _ = fs::remove_file(&out);
            }
            let text = says(0, &[words, flag].concat());
            let raw = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(raw, None, "{words:?} {flag:?}: {text:?}");
            assert!(text.contains("ann\\u001b[2J") && text.contains("t\\u009b31m"), "{text}");
        }
    }
}

#[test]
fn a_support_bundle_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.json");
    let bundle = serde_json::json!({
        "landfall_support": 1, "sdk": "0.1.0", "at_ms": 1_769_860_799_999_i64, "account": "a1b2",
        "numbers": { "device": "00ff", "last": 7, "sent": 5 },
        "connection": { "state": "waiting", "bytes_up": 1, "bytes_down": 2,
            "history": [{ "at_ms": 1_000, "state": "waiting", "code": "overloaded" }],
            "errors": [{ "at_ms": 2_000, "code": "LF2208" }] },
        "file": { "format": 4, "pages": 9, "faults": 0 },
        "outbox": [{ "type": "Note", "state": "unsent", "count": 2, "bytes": 300, "oldest_ms": 1 }],
        "outcomes": [], "subscriptions": [],
    });
    fs::write(&path, bundle.to_string()).unwrap();
    let text = says(0, &["inspect", path.to_str().unwrap()]);
    for part in ["2026-01-31 11:59:59 UTC", "Note  unsent", "overloaded", "LF2208"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
