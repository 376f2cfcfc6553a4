//! `landfall export` and `landfall import`.

use crate::binary::{landfall_in, stdout};
use crate::device::Dev;
use serde_json::Value as Json;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// One of each: what a field can hold.
const SCHEMA: &str = r#"
enum Size { SMALL LARGE }
type Place @value { street: String! since: Instant fee: Decimal @decimal(precision: 6, scale: 3) raw: Bytes }
type Thing @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID! team: ID! title: String other: Thing @ref(onDelete: KEEP)
  small: Int big: Int64 share: Float sure: Boolean price: Decimal @decimal(precision: 12, scale: 2)
  at: Instant day: Date time: LocalTime zoned: ZonedDateTime raw: Bytes any: JSON file: Blob size: Size
  place: Place names: [String!] sums: [Decimal!] @decimal(precision: 8, scale: 2)
  labels: [String!] @set marks: [Int!] @set votes: Counter body: Text }
type Part @entity(strategy: LAST_WRITE_WINS, parent: "thing") {
  id: ID! thing: Thing! @ref(onDelete: CASCADE) what: String }
"#;

struct Place {
    folder: tempfile::TempDir,
    _dev: Dev,
}

impl Place {
    fn new() -> Self {
        Self::with(SCHEMA)
    }

    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join("app.graphql");
        std::fs::write(&schema, text).unwrap();
        let dev = Dev::start(&folder.path().join(".landfall"), &schema);
        Self { folder, _dev: dev }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    #[track_caller]
    fn run(&self, code: i32, args: &[&str]) -> Output {
        let output = landfall_in(self.path(), args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}{errors}", stdout(&output));
        output
    }

    #[track_caller]
    fn summary(&self, code: i32, args: &[&str]) -> Json {
        let output = self.run(code, &[args, &["--json"]].concat());
        serde_json::from_str(&stdout(&output)).expect("one JSON object")
    }
}

fn things() -> String {
    let mut lines = String::new();
    let full = r#"{"id":"t-0","team":"red","title":"a, \"b\"\nc","other":"t-9","small":-2147483648,"big":9223372036854775807,"share":0.30000000000000004,"sure":true,"price":"-0.07","at":"2026-01-31T10:30:00.000001Z","day":"2024-02-29","time":"23:59:59","zoned":"2026-01-31T10:30:00+01:00[Europe/Paris]","raw":"00ff","any":"{ \"b\": 1.50, \"a\": [] }","file":"sha256:00","size":"LARGE","place":{"street":"Rue É","since":"1969-12-31T23:59:59Z","fee":"0.500","raw":"0a"},"names":["b","a","b"],"sums":["1.50","-2.00"],"labels":["x","y"],"marks":[-1,2],"votes":-7,"body":"line 1\n\"two\" 😀"}"#;
    lines.push_str(full);
    lines.push('\n');
    let empty = r#"{"id":"t-1","team":"red","title":"","other":null,"small":null,"big":null,"share":null,"sure":null,"price":null,"at":null,"day":null,"time":null,"zoned":null,"raw":null,"any":null,"file":null,"size":null,"place":null,"names":null,"sums":null,"labels":[],"marks":[],"votes":0,"body":""}"#;
    lines.push_str(empty);
    lines.push('\n');
    lines
}

#[test]
fn what_is_exported_and_imported_elsewhere_is_exported_the_same() {
    let (first, second) = (Place::new(), Place::new());
    first.write("in.ndjson", &things());
    first.write("parts.csv", "id,thing,what\np-1,t-0,\"\"\np-2,t-0,\np-3,t-1,\" wide \"\n");
    first.run(0, &["import", "Thing", "in.ndjson"]);
    first.run(0, &["import", "Part", "parts.csv"]);
    let scope = ["--scope", "team/red"];
    let export = |place: &Place, kind: &str, file: &str| {
        place.run(0, &[&["export", kind, "--out", file][..], &scope].concat());
        place.read(file)
    };
    // The file was written as an export writes it.
    assert_eq!(export(&first, "Thing", "out.ndjson"), things());
    assert_eq!(export(&first, "Part", "out.csv"), first.read("parts.csv"));
    for format in ["ndjson", "csv"] {
        let (things, parts) = (format!("things.{format}"), format!("parts-2.{format}"));
        let was = [export(&first, "Thing", &things), export(&first, "Part", &parts)];
        second.write(&things, &was[0]);
        second.write(&parts, &was[1]);
        second.run(0, &["import", "Thing", &things]);
        second.run(0, &[&["import", "Part", &parts][..], &scope].concat());
        let is = [export(&second, "Thing", &things), export(&second, "Part", &parts)];
        assert_eq!(is, was, "{format}");
    }
}

#[test]
fn a_file_that_was_imported_is_not_taken_again() {
    let place = Place::new();
    place.write("in.csv", "id,team,votes\na,red,5\nb,red,6\n");
    let first = place.summary(0, &["import", "Thing", "in.csv"]);
    assert_eq!((&first["applied"], &first["was_done"]), (&2.into(), &false.into()));
    let again = place.summary(0, &["import", "Thing", "in.csv"]);
    assert_eq!((&again["rows"], &again["was_done"]), (&2.into(), &true.into()));
    // Another device that has never seen the rows fetches them first, and finds no difference.
    let other = place.summary(0, &["import", "Thing", "in.csv", "--as", "other"]);
    assert_eq!((&other["applied"], &other["unchanged"]), (&0.into(), &2.into()));
    // A counter is brought to the file's figure, not added to.
    place.write("more.csv", "id,team,votes\na,red,9\n");
    place.summary(0, &["import", "Thing", "more.csv", "--as", "other"]);
    let output = place.run(0, &["export", "Thing", "--scope", "team/red", "--format", "csv"]);
    let text = stdout(&output);
    assert!(text.contains("\na,red,") && text.contains(",9,"), "{text}");
}

#[test]
fn a_row_that_cannot_be_taken_is_told_with_its_place_and_stops_no_other() {
    let place = Place::new();
    let rows = "{\"id\":\"a\",\"team\":\"red\",\"price\":\"1.005\"}\n\
                {\"id\":\"b\",\"team\":\"red\"}\n\
                {\"id\":\"c\",\"team\":\"red\",\"colour\":1}\n\
                {\"id\":\"d\",\"team\":\n\
                {\"team\":\"red\"}\n\
                {\"id\":\"e\"}\n\
                {\"id\":\"f\",\"team\":\"red\",\"small\":3000000000}\n\
                {\"id\":\"g\",\"team\":\"red\",\"votes\":4}\n";
    place.write("in.ndjson", rows);
    let output = place.run(1, &["import", "Thing", "in.ndjson"]);
    let (told, errors) = (stdout(&output), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(told.contains("8 rows: 2 written, 0 as they were, 6 rejected"), "{told}");
    for part in [
        "in.ndjson:1:32: LF9006: `price` has at most 2 digits after the point",
        "in.ndjson:3:33: LF9005: Thing has no field `colour`; it has id, team",
        "in.ndjson:4:17: LF9010: is no JSON",
        "in.ndjson:5:1: LF9006: there is no id",
        "in.ndjson:6:1: LF2009: ",
        "in.ndjson:7:32: LF2006: ",
    ] {
        assert!(errors.contains(part), "{part:?} is missing in:\n{errors}");
    }
    let rejects = place.read("in.ndjson.rejects.ndjson");
    let rejects: Vec<Json> = rejects.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let lines: Vec<u64> = rejects.iter().map(|r| r["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3, 4, 5, 6, 7]);
    assert_eq!(rejects[0]["row"], rows.lines().next().unwrap());
    // Without a network, too, something is sent later only if something was written.
    place.write("same.ndjson", "{\"id\":\"b\",\"team\":\"red\"}\n");
    let again = ["import", "Thing", "same.ndjson", "--offline"];
    let told = stdout(&place.run(0, &again));
    assert!(told.starts_with("1 row: 0 written") && !told.contains("sends it"), "{told}");
    place.write("new.ndjson", "{\"id\":\"n\",\"team\":\"red\"}\n");
    let told = stdout(&place.run(0, &["import", "Thing", "new.ndjson", "--offline"]));
    assert!(told.contains("1 written") && told.contains("sends it"), "{told}");
    // A file that is something else is not taken for rejects.
    place.write("mine.txt", "mine");
    let args = ["import", "Thing", "in.ndjson", "--again", "--rejects", "mine.txt"];
    let output = place.run(3, &args);
    assert!(String::from_utf8_lossy(&output.stderr).contains("LF9009"));
    assert_eq!(place.read("mine.txt"), "mine");
    let csv = "id,team,title\nx,red,\"a\nb\"\ny,red\nz,red,\"open\n";
    place.write("in.csv", csv);
    let output = place.run(1, &["import", "Thing", "in.csv"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("in.csv:4:1: LF9010: 2 cells"), "{errors}");
    assert!(errors.contains("in.csv:5:7: LF9010: the quotation mark"), "{errors}");
    place.write("head.csv", "id,tem\na,red\n");
    let output = place.run(3, &["import", "Thing", "head.csv"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("head.csv:1:4: Thing has no field `tem`"), "{errors}");
    // Nothing would ever come of a scope that no row is in.
    place.write("parts.csv", "id,thing\np,b\n");
    let output = place.run(3, &["import", "Part", "parts.csv", "--scope", "tem/red"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("LF9005: `tem/red` is no scope"), "{errors}");
}

#[test]
fn an_import_that_is_killed_goes_on_and_takes_no_row_twice() {
    const ROWS: u64 = 12_000;
    let place = Place::new();
    let mut text = "id,team,votes,labels\n".to_owned();
    for n in 0..ROWS {
        // Some that are rejected, so that the file of rejects is held to the same.
        let votes = if n % 1_000 == 7 { "many".to_owned() } else { (n % 5 + 1).to_string() };
        writeln!(text, "r-{n:05},red,{votes},\"[\"\"a\"\"]\"").unwrap();
    }
    place.write("in.csv", &text);
    let journal = || {
        let files = std::fs::read_dir(place.path().join(".landfall/devices"));
        let mut files = files.into_iter().flatten().flatten().map(|f| f.path());
        files.find(|p| p.extension().is_some_and(|e| e == "journal"))
    };
    let marks =
        || journal().and_then(|p| std::fs::read_to_string(p).ok()).map_or(0, |t| t.lines().count());
    let mut kills = 0;
    loop {
        let before = marks();
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["import", "Thing", "in.csv", "--json"])
            .current_dir(place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Some transactions later, wherever that is in one of them.
        while kills < 4 && marks() < before + 4 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if kills < 4 {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            continue;
        }
        let output = child.wait_with_output().unwrap();
        let summary: Json = serde_json::from_slice(&output.stdout).expect("a summary");
        let rejected = ROWS / 1_000;
        assert!(summary["rows_before"].as_u64().unwrap() > 1_000, "{summary}");
        assert_eq!(summary["rows"], ROWS, "{summary}");
        assert_eq!(summary["rejected"], rejected, "{summary}");
        assert_eq!(summary["applied"], ROWS - rejected, "{summary}");
        // A row that is taken a second time would be found as it should be.
        assert_eq!(summary["unchanged"], 0, "{summary}");
        break;
    }
    assert_eq!(place.read("in.csv.rejects.ndjson").lines().count() as u64, ROWS / 1_000);
    let output = place.run(0, &["export", "Thing", "--scope", "team/red"]);
    let rows: Vec<Json> =
        stdout(&output).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let votes: u64 = rows.iter().map(|r| r["votes"].as_u64().unwrap()).sum();
    let expected: u64 = (0..ROWS).filter(|n| n % 1_000 != 7).map(|n| n % 5 + 1).sum();
    assert_eq!((rows.len() as u64, votes), (ROWS - ROWS / 1_000, expected));
}

#[test]
fn what_an_audience_does_not_see_is_not_in_its_file() {
    const JOBS: &str = r#"
        type Job @entity(strategy: CRDT, scope: "region/{region}")
          @audience(scope: "technician/{technician}", hide: ["price", "labels"], write: ["title"]) {
          id: ID! region: ID! technician: ID title: String price: Int labels: [String!] @set }"#;
    let place = Place::with(JOBS);
    let rows = "{\"id\":\"a\",\"region\":\"fr\",\"technician\":\"bea\",\"title\":\"Boiler\",\
                \"price\":90,\"labels\":[\"urgent\"]}\n";
    place.write("in.ndjson", rows);
    place.run(0, &["import", "Job", "in.ndjson"]);
    let export = |as_whom: &str, out: &str, scopes: &[&str]| {
        let scopes: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
        place.run(0, &[&["export", "Job", "--as", as_whom, "--out", out][..], &scopes].concat());
        place.read(out)
    };
    let (home, audience) = ("region/fr", "technician/bea");
    let seen = export("bea", "bea.ndjson", &[audience]);
    assert_eq!(
        seen,
        "{\"id\":\"a\",\"region\":\"fr\",\"technician\":\"bea\",\"title\":\"Boiler\"}\n"
    );
    let cells = export("bea", "bea.csv", &[audience]);
    assert_eq!(cells, "id,region,technician,title\na,fr,bea,Boiler\n");
    assert_eq!(export("both", "both.ndjson", &[home, audience]), rows);
    let both = ["export", "Job", "--scope", home, "--scope", audience, "--format", "csv"];
    let refused = place.run(2, &both);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("LF9008") && errors.contains("price, labels"), "{errors}");
    // What was exported clears nothing where it is imported.
    place.write("bea.csv", &cells.replace("Boiler", "Heater"));
    place.run(0, &["import", "Job", "bea.csv"]);
    place.run(0, &["import", "Job", "bea.ndjson", "--as", "other"]);
    assert_eq!(export("export", "out.ndjson", &[home]), rows);
}
