//! Phones in terminals, on a world that `landfall dev` runs.

use crate::binary::{repository, stdout};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const SCHEMA: &str = r#"
type Note @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID!
  team: ID!
  title: String
  due: Instant
  cost: Decimal @decimal(precision: 8, scale: 2)
  body: Text
  labels: [String!] @set
  votes: Counter
}
"#;

/// A running world; it ends with the test.
pub(crate) struct Dev {
    child: Child,
    /// What it said at its start.
    pub started: Json,
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Dev {
    /// A world in `dir`, on ports that are free.
    pub(crate) fn start(dir: &Path, schema: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["dev", "--json", "--seconds", "120", "--port", "0"])
            .args(["--schema".as_ref(), schema.as_os_str()])
            .args(["--dir".as_ref(), dir.as_os_str()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Self { child, started }
    }
}

fn dev(dir: &Path) -> Dev {
    let schema = dir.join("notes.graphql");
    std::fs::write(&schema, SCHEMA).unwrap();
    Dev::start(dir, &schema)
}

fn phone(dir: &Path, name: &str, words: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["device".as_ref(), "--dir".as_ref(), dir.as_os_str()])
        .arg(name)
        .args(words)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn says(dir: &Path, name: &str, words: &[&str]) -> String {
    let output = phone(dir, name, words, "");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {words:?}: {errors}");
    stdout(&output)
}

#[test]
fn two_phones_of_one_team_see_what_each_writes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let world = dev(dir);
    let put = ["put", "Note", "n-1", "team=red", "title=Milk", "votes+=2", "cost=1.50"];
    assert_eq!(says(dir, "ann", &put), "two regions have it\n");
    assert_eq!(says(dir, "bob", &["subscribe", "team/red"]), "");
    let query = ["query", "SELECT id, title, votes FROM Note"];
    assert_eq!(
        says(dir, "bob", &query),
        "id   title  votes\n───  ─────  ─────\nn-1  Milk       2\n1 row\n"
    );
    // A file of commands: offline, and back.
    let script = "offline\nput Note n-1 votes+=1 labels+=food body=\"two litres\"\n\
                  # nobody has it yet\nstatus\nonline\n";
    let output = phone(dir, "bob", &[], script);
    let text = stdout(&output);
    assert!(text.contains("1 not answered") || text.contains("3 not answered"), "{text}");
    assert!(output.status.success());
    says(dir, "ann", &["subscribe", "team/red"]);
    let row = says(dir, "ann", &["get", "Note", "n-1"]);
    for line in ["votes     3", "body      two litres", "cost      1.50"] {
        assert!(row.contains(line), "{line}: {row}");
    }
    drop(world);
    // The world is gone, the phones are not.
    let output = phone(dir, "ann", &["--offline", "put", "Note", "n-1", "title=Bread"], "");
    assert_eq!(stdout(&output), "saved on this phone\n");
}

#[test]
fn a_phone_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let check = |words: &[&str], code: i32, part: &str| {
        let output = phone(folder.path(), "ann", words, "");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {errors}");
        assert!(errors.contains(part), "{words:?}: {errors}");
    };
    check(&["status"], 3, "error: LF9003: ");
    check(&["status"], 3, "`landfall dev` makes it");
    let world = dev(folder.path());
    check(&["frobnicate"], 2, "There is no command `frobnicate`");
    check(&["put", "Nota", "1"], 3, "error: LF9005: the schema has no type `Nota`; it has Note");
    check(&["put", "Note", "1", "votes=3"], 3, "`votes` is a counter: add with votes+=1");
    check(&["put", "Note", "1", "title=x"], 3, "LF2009");
    check(&["query", "SELECT nothing"], 3, "LF2102");
    drop(world);
}
