//! Phones in terminals, on a world that `landfall dev` runs.

use crate::binary::{repository, stdout};
use serde_json::Value as Json;
use std::ffi::OsStr;
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

/// A running world; it ends with the test, by SIGKILL.
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
        Self::with(dir, &["--schema".as_ref(), schema.as_os_str()])
    }

    pub(crate) fn with(dir: &Path, more: &[&OsStr]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["dev", "--json", "--seconds", "120", "--port", "0"])
            .args(more)
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
    world(dir, SCHEMA)
}

fn world(dir: &Path, text: &str) -> Dev {
    let schema = dir.join("app.graphql");
    std::fs::write(&schema, text).unwrap();
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

const JOBS: &str = r#"
enum Status { OPEN DONE }
type Address @value { street: String zip: String! built: Date }
type Job @entity(strategy: CRDT, scope: "region/{region}")
  @audience(scope: "technician/{technician}", write: ["title"]) {
  id: ID! region: ID! technician: ID title: String status: Status price: Int
  due: Date cost: Decimal @decimal(precision: 8, scale: 2) extra: JSON to: Address body: Text
  tags: [String!] @set }
type Order @entity(strategy: CRDT, scope: "region/{region}") { id: ID! region: ID! }
"#;

/// What it says on both outputs, if it ends with this code.
#[track_caller]
pub(crate) fn ends(dir: &Path, code: i32, words: &[&str]) -> String {
    let output = phone(dir, words[0], &words[1..], "");
    let text = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
    text
}

#[test]
fn what_a_region_refuses_ends_with_1_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let _world = world(dir, JOBS);
    let check = |code: i32, words: &[&str], parts: &[&str]| {
        let text = ends(dir, code, words);
        for part in parts {
            assert!(text.contains(part), "{words:?}: {part:?} is missing in: {text}");
        }
    };
    let scopes = ["--scope", "region/fr", "--audience", "technician/bea"];
    let bea = |words: &[&'static str]| [&["bea"][..], &scopes, words].concat();
    let put = ["ann", "put", "Job", "j-1", "region=de", "technician=bea", "price=5"];
    check(0, &["ann", "subscribe", "region/de"], &[]);
    check(0, &put, &["two regions have it"]);
    check(0, &["ann", "put", "Job", "j-1"], &["nothing to change"]);
    check(0, &bea(&["subscribe", "technician/bea"]), &[]);
    check(0, &bea(&["get", "Job", "j-1"]), &["j-1"]);
    check(1, &bea(&["put", "Job", "j-1", "price=6"]), &["refused (LF4007) at `price`"]);
    check(0, &bea(&["put", "Job", "j-1", "title=x"]), &["two regions have it"]);
    let create = bea(&["put", "Job", "j-2", "region=de", "title=x"]);
    check(1, &create, &["LF4007", "would be in `region/de`", "writes in region/fr"]);
    check(1, &bea(&["subscribe", "region/de"]), &["denied (not_allowed)"]);
    for scope in ["regio/fr", "region/*", ""] {
        check(3, &["ann", "subscribe", scope], &["LF9005", "region/{region}, technician/{tech"]);
    }
    // What was refused can be made again, or be done with, by its short name.
    let outcomes = ends(dir, 0, &bea(&["outcomes"]));
    assert_eq!(outcomes.lines().count(), 2, "{outcomes}");
    let write = outcomes.split_whitespace().next().unwrap();
    let named = |verb| [&["bea"][..], &scopes, &[verb, write]].concat();
    check(1, &named("resubmit"), &["LF4007"]);
    let text = ends(dir, 0, &bea(&["outcomes"]));
    for write in text.lines().map(|line| line.split_whitespace().next().unwrap()) {
        ends(dir, 0, &[&["bea"][..], &scopes, &["dismiss", write]].concat());
    }
    check(0, &bea(&["outcomes"]), &["nothing"]);
}

#[test]
fn a_script_ends_at_the_line_that_fails_and_says_which_lines_regions_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let _world = world(dir, JOBS);
    ends(dir, 0, &["ann", "subscribe", "region/fr"]);
    let check = |code: i32, scope: &str, lines: &[&str], said: &[&str], unsaid: &[&str]| {
        let scopes = ["--scope", scope, "--audience", "technician/ann"];
        let output = phone(dir, "ann", &scopes, &lines.join("\n"));
        let text = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{lines:?}: {text}");
        for part in said {
            assert!(text.contains(part), "{lines:?}: {part:?} is missing in: {text}");
        }
        for part in unsaid {
            assert!(!text.contains(part), "{lines:?}: {part:?} is in: {text}");
        }
    };
    let [one, two, de] =
        ["put Job j-1 region=fr price=1", "put Job j-2 region=fr", "put Job j-3 region=de"];
    let get = "get Job j-1";
    // What this phone refuses. The lines before it are done, and reach the regions.
    let ended = [one, "", "# a note", "put Job j-9 title=x", two, get];
    check(3, "*", &ended, &["line 4: LF2009"], &["price"]);
    check(3, "*", &[two, "put Nope x", get], &["line 2: LF9005"], &["price"]);
    check(2, "*", &["frobnicate", get], &["line 1: LF9008", "no command"], &["price"]);
    check(0, "*", &["get Job j-0", get, "quit", "frobnicate"], &["no Job `j-0`", "price"], &[]);
    ends(dir, 0, &["bob", "subscribe", "region/fr"]);
    let held = ends(dir, 0, &["bob", "query", "SELECT id FROM Job ORDER BY id"]);
    assert!(held.contains("j-1") && held.contains("2 rows"), "{held}");
    // What regions refuse comes when the lines are done.
    let refused = [get, de, "put Job j-1 price=2", "subscribe region/de", get];
    let told = ["line 2: refused (LF4007)", "line 4: region/de: denied (not_allowed)", "price"];
    check(1, "region/fr", &refused, &told, &["line 3", "line 1"]);
    // It is told once: this script asked for nothing that was refused.
    check(0, "region/fr", &[get], &["price"], &["refused", "denied"]);
}

#[test]
fn a_slip_of_the_pen_is_told_with_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    drop(world(dir, JOBS));
    let check = |code: i32, words: &[&str], parts: &[&str]| {
        let text = ends(dir, code, &[&["ann", "--offline"], words].concat());
        for part in parts {
            assert!(text.contains(part), "{words:?}: {part:?} is missing in: {text}");
        }
    };
    let put = |code: i32, words: &[&str], parts: &[&str]| {
        check(code, &[&["put", "Job", "j-1", "region=fr"], words].concat(), parts);
    };
    put(0, &["title=Boiler", "status=OPEN"], &["saved on this phone"]);
    put(0, &["status=opn"], &["`opn` is no member of Status in this schema: OPEN, DONE", "saved"]);
    check(0, &["types"], &["Status  (enum)\n  OPEN, DONE", "Address  (value)"]);
    put(3, &["extra={\"a\""], &["LF2005", "field `extra`", "is JSON, like"]);
    put(0, &["extra={\"a\":1}"], &["saved"]);
    put(3, &["due=tomorrow"], &["LF2005", "like \"2026-01-31\""]);
    put(3, &["cost=a"], &["LF2005", "like \"12.50\""]);
    put(3, &["to={\"street\":\"x\"}"], &["LF2008", "`to.zip`"]);
    put(3, &["to={\"zipp\":\"x\"}"], &["LF2003", "`to.zipp`", "Address has street, zip, built"]);
    put(3, &["to={\"zip\":\"1\",\"built\":\"x\"}"], &["LF2005", "`to.built`", "2026-01-31"]);
    check(3, &["put", "Job", "j-9", "title=x"], &["LF2009", "`region`", "give region=…"]);
    put(2, &["title=a", "title=b"], &["LF9008", "`title` is set twice"]);
    put(2, &["body=a", "body+=b"], &["LF9008", "`body` is set twice"]);
    put(0, &["tags+=a", "tags+=b"], &["saved"]);
    check(2, &["query", ""], &["takes a statement"]);
    check(3, &["watch", "Nope"], &["LF9005", "no type `Nope`; it has Order, Job"]);
    check(3, &["query", "SELECT * FROM Order"], &["LF2102", "in quotation marks, \"Order\""]);
}

#[test]
fn what_others_wrote_does_not_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    drop(world(dir, JOBS));
    let title = "title=a\u{1b}[2Jb\u{9b}31m\u{7f}\nc";
    let words = ["ann", "--offline", "put", "Job", "j\u{1b}]0;x", "region=f\u{1b}r", title];
    ends(dir, 0, &words);
    let shown = |words: &[&str]| {
        let text = ends(dir, 0, &[&["ann", "--offline"], words].concat());
        let raw = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{words:?}: {text:?}");
        text
    };
    let query = "SELECT title FROM Job";
    for words in
        [&["get", "Job", "j\u{1b}]0;x"][..], &["query", query], &["--json", "query", query]]
    {
        let text = shown(words);
        assert!(text.contains("a\\u001b[2Jb\\u009b31m\\u007f\\nc"), "{text}");
    }
    shown(&["explain", "Job", "j\u{1b}]0;x"]);
    shown(&["status"]);
    ends(dir, 3, &["ann", "--offline", "get", "N\u{1b}ope", "x"]);
    let watched = watch_first_line(dir, &["--offline", "watch", "Job"]);
    assert!(watched.contains("a\\u001b[2J"), "{watched:?}");
}

/// The first line of a watch, whose reader then leaves; it ends by itself.
fn watch_first_line(dir: &Path, words: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["device".as_ref(), "--dir".as_ref(), dir.as_os_str()])
        .arg("ann")
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "{status}");
                return line;
            }
            None if std::time::Instant::now() > until => {
                let _ = child.kill();
                panic!("it goes on with nobody to read it");
            }
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
}
