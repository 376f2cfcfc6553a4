//! The status page of `landfall dev`: what it says, and what its buttons do.

use crate::binary::landfall_in;
use crate::device::Dev;
use crate::world::eventually;
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::TcpStream;

const SCHEMA: &str = r#"
type Note @entity(strategy: CRDT, scope: "team/{team}")
  @audience(scope: "reader/{reader}", hide: [price], write: [title]) {
  id: ID! team: ID! reader: ID title: String price: Int labels: [String!] @set votes: Counter }
"#;

struct Page {
    folder: tempfile::TempDir,
    address: String,
    _dev: Dev,
}

impl Page {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join("app.graphql");
        std::fs::write(&schema, SCHEMA).unwrap();
        let dev = Dev::start(&folder.path().join(".landfall"), &schema);
        let page = dev.started["page"].as_str().unwrap();
        let address = page.strip_prefix("http://").unwrap().to_owned();
        Self { folder, address, _dev: dev }
    }

    /// Status and body of a request, with these headers.
    fn ask(&self, line: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    fn get(&self, path: &str) -> Json {
        let host = format!("host: {}\r\n", self.address);
        let (_, body) = self.ask(&format!("GET {path}"), &host, "");
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
    }

    fn act(&self, what: &Json) -> Json {
        let headers = format!("host: {}\r\ncontent-type: application/json\r\n", self.address);
        let (_, body) = self.ask("POST /do", &headers, &what.to_string());
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{what}: {e}: {body}"))
    }

    fn write(&self, line: &str) -> Json {
        self.act(&json!({ "do": "write", "phone": "page", "line": line }))
    }

    fn link(&self, from: u64, to: u64) -> Json {
        let links = self.get("/status.json")["links"].clone();
        let links = links.as_array().expect("links").clone();
        links.into_iter().find(|l| l["from"] == from && l["to"] == to).expect("the link")
    }
}

#[test]
fn a_link_that_is_cut_and_a_region_that_is_down_are_told_and_mended() {
    let page = Page::new();
    let up = |i: usize| !page.get("/status.json")["regions"][i]["status"].is_null();
    eventually("links are up", || page.link(0, 1)["connected"] == true);
    page.act(&json!({ "do": "link", "from": 0, "to": 1, "cut": true }));
    eventually("the link is cut both ways", || {
        [page.link(0, 1), page.link(1, 0)]
            .iter()
            .all(|l| l["cut"] == true && l["connected"] == false)
    });
    assert_eq!(page.link(0, 2)["cut"], false);
    page.act(&json!({ "do": "link", "from": 1, "to": 0, "cut": false }));
    page.act(&json!({ "do": "region", "region": 2, "run": false }));
    assert!(!up(2));
    eventually("a peer that is down is not connected", || page.link(0, 2)["connected"] == false);
    page.act(&json!({ "do": "region", "region": 2, "run": true }));
    eventually("the region is back", || up(2) && page.link(0, 2)["connected"] == true);
    let told = page.act(&json!({ "do": "region", "region": 9, "run": true }));
    assert!(told["error"].as_str().unwrap().contains("LF9005"), "{told}");
}

#[test]
fn a_row_is_explained_with_its_writers_and_its_audiences() {
    let page = Page::new();
    page.get("/status.json");
    let told = page.write("Note n/1 team=red reader=r-1 title='Two words' votes+=2 labels+=a");
    assert_eq!(told["done"], "page wrote Note n/1", "{told}");
    let put = ["device", "anna", "put", "Note", "from-anna", "team=red", "title=Mine"];
    assert!(landfall_in(page.folder.path(), &put).status.success());
    let row = || page.get("/row.json?phone=page&type=Note&id=n%2F1&home=team%2Fred");
    eventually("a region has confirmed it", || row()["fields"][3]["by"] == "page");
    let row = row();
    let title = &row["fields"][3];
    assert_eq!((&title["name"], &title["value"]), (&"title".into(), &"Two words".into()));
    let audience = json!({ "scope": "reader/r-1", "hidden": ["price"], "may_write": ["title"] });
    assert_eq!(row["audiences"], json!([audience]));
    assert_eq!(row["held_by"], json!(["team/red"]));
    assert_eq!(row["fields"][5]["elements"], json!([{ "value": "a", "by": ["page"] }]));
    // The phone of the terminal is found by its file, and the page's holds what it wrote.
    eventually("the terminal's row is here, with its writer", || {
        let status = page.get("/status.json");
        let phones = status["phones"].as_array().unwrap();
        let anna = phones.iter().any(|p| p["name"] == "anna" && p["switchable"] == false);
        let path = "/row.json?phone=page&type=Note&id=from-anna&home=team%2Fred";
        anna && page.get(path)["fields"][3]["by"] == "anna"
    });
    let rows = page.get("/rows.json?phone=page&type=Note&id=n&after=");
    assert_eq!((rows["rows"].as_array().unwrap().len(), &rows["count"]), (1, &2.into()));
    let feed = page.get("/status.json")["feed"].clone();
    let line = feed.as_array().unwrap().iter().find(|l| l["id"] == "n/1").expect("its line");
    assert_eq!((&line["phone"], &line["kind"]), (&"page".into(), &"Note".into()));
}

#[test]
fn a_phone_is_taken_offline_and_back() {
    let page = Page::new();
    page.get("/status.json");
    let phone = || page.get("/status.json")["phones"][0].clone();
    eventually("it is online", || phone()["state"] == "online");
    page.act(&json!({ "do": "phone", "phone": "page", "online": false }));
    eventually("it is offline", || phone()["state"] == "offline");
    page.write("Note n-1 team=red title=x");
    assert_eq!(phone()["pending"], 1);
    page.act(&json!({ "do": "phone", "phone": "page", "online": true }));
    eventually("its write is safe", || phone()["pending"] == 0 && phone()["accepted"] == 0);
    let told = page.write("Note n-1 votes=3");
    assert!(told["error"].as_str().unwrap().starts_with("LF9006"), "{told}");
}

#[test]
fn pages_of_others_can_do_nothing() {
    let page = Page::new();
    let act = json!({ "do": "region", "region": 0, "run": false }).to_string();
    let host = format!("host: {}\r\n", page.address);
    // What a form of another origin can send without asking.
    let (code, _) = page.ask("POST /do", &format!("{host}content-type: text/plain\r\n"), &act);
    assert_eq!(code, 415);
    // A name that was made to lead here.
    let named = "host: elsewhere.example\r\ncontent-type: application/json\r\n";
    assert_eq!(page.ask("POST /do", named, &act).0, 403);
    assert_eq!(page.ask("GET /status.json", named, "").0, 403);
    assert!(!page.get("/status.json")["regions"][0]["status"].is_null());
}

#[test]
fn the_page_is_one_file_and_asks_nobody_else() {
    let page = Page::new();
    let (code, html) = page.ask("GET /", &format!("host: {}\r\n", page.address), "");
    assert_eq!(code, 200);
    for part in ["https://", "src=\"http", "@import", "url("] {
        assert!(!html.contains(part), "{part}");
    }
}
