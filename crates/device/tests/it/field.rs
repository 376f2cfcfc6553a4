//! What teams need when something went wrong on somebody's device: why a row does not show, a
//! write taken back, a row brought back, and a bundle for support that tells nobody's data.

use crate::world::{SOON, World, eventually, order};
use landfall_device::explain::{Answer, Why};
use landfall_device::{Account, Client, ConnectionState, FixedToken, Options, Value, explain};
use std::sync::Arc;

fn status(client: &Client, id: &str) -> Option<String> {
    let row = client.get("Order", id).unwrap()?;
    row.text("status").map(str::to_owned)
}

/// Offline, with no session left that a write could still go out on.
pub fn offline(client: &Client) {
    client.go_offline();
    eventually("offline", || client.connection() == ConnectionState::Offline);
}

fn receives(client: &Client, id: &str, expected: Option<&str>) {
    let shows = || status(client, id).as_deref() == expected;
    eventually(&format!("{id} shows {expected:?}"), shows);
}

#[test]
fn an_unsent_write_is_taken_back_and_no_region_hears_of_it() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let client = world.client(&dir.path().join("a.db"), &[0]);
    client.subscribe("market/fr").unwrap();
    order(&client, "o-1", "PLACED");
    client.settle(SOON).unwrap();
    offline(&client);
    let paid = order(&client, "o-1", "PAID");
    let second = order(&client, "o-2", "PLACED");
    let line = [("order", "o-2".into()), ("sku", "x".into()), ("quantity", Value::Int(1))];
    client.transaction().upsert("OrderLine", "l-1", line).commit().unwrap();
    assert_eq!(client.cancel(paid).unwrap().dots, [paid]);
    assert_eq!(status(&client, "o-1").as_deref(), Some("PLACED"));
    let cancelled = client.cancel(second).unwrap();
    assert_eq!((cancelled.dots.len(), cancelled.dependants.len()), (1, 1));
    assert!(client.outbox_status().unwrap().is_empty());
    assert_eq!(client.fate(paid).unwrap(), landfall_device::Fate::Unknown);

    // Also when the process ends here: what is sent are voids, so numbers stay dense.
    client.close().unwrap();
    let client = world.client(&dir.path().join("a.db"), &[0]);
    let last = order(&client, "o-3", "PLACED");
    client.settle(SOON).unwrap();
    eventually("all numbers are filled", || {
        world.received()[0].2 && world.received()[0].1 == last.seq
    });
    assert_eq!(client.cancel(last).unwrap_err().code(), "LF2021");
    assert_eq!(client.cancel(second).unwrap_err().code(), "LF2022");
    assert_eq!(client.fate(paid).unwrap(), landfall_device::Fate::Unknown, "it arrived nowhere");
    let other = world.client(&dir.path().join("b.db"), &[1]);
    other.subscribe("market/fr").unwrap();
    other.settle(SOON).unwrap();
    let rows = other.query("SELECT id, status FROM \"Order\" ORDER BY id", []).unwrap();
    let rows: Vec<(&str, &str)> =
        rows.iter().map(|r| (r.text("id").unwrap(), r.text("status").unwrap())).collect();
    assert_eq!(rows, [("o-1", "PLACED"), ("o-3", "PLACED")]);
}

#[test]
fn two_devices_that_restore_one_order_end_with_one_order() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let clients = [0, 1].map(|n| {
        let client = world.client(&dir.path().join(format!("{n}.db")), &[n]);
        client.subscribe("market/fr").unwrap();
        client
    });
    let [a, b] = &clients;
    order(a, "o-1", "PLACED");
    a.transaction()
        .splice("Order", "o-1", "note", 0, 0, "at the door")
        .add_to_set("Order", "o-1", "tags", "gift".into())
        .upsert(
            "OrderLine",
            "l-1",
            [("order", "o-1".into()), ("sku", "x".into()), ("quantity", Value::Int(3))],
        )
        .commit()
        .unwrap();
    receives(b, "o-1", Some("PLACED"));
    eventually("the line, too", || b.get("OrderLine", "l-1").unwrap().is_some());
    let before = b.get("Order", "o-1").unwrap().unwrap();
    a.transaction().delete("Order", "o-1").commit().unwrap();
    receives(b, "o-1", None);
    a.settle(SOON).unwrap();
    assert_eq!(a.explain("Order", "market/fr", "o-1").unwrap().word(), "deleted");
    let told = b.explain_id("Order", "o-1").unwrap();
    assert!(told.to_string().contains("it can be restored"), "{told}");

    clients.iter().for_each(offline);
    for client in &clients {
        assert_eq!(client.restore("Order", "market/fr", "o-1").unwrap().keys.len(), 2);
    }
    clients.iter().for_each(Client::go_online);
    a.settle(SOON).unwrap();
    b.settle(SOON).unwrap();
    let same = || a.digest().unwrap() == b.digest().unwrap();
    eventually("both hold the same", same);
    for client in &clients {
        let after = client.get("Order", "o-1").unwrap().unwrap();
        for column in ["status", "note", "tags", "market"] {
            assert_eq!(after.get(column), before.get(column), "{column}");
        }
        let lines = client.query("SELECT quantity FROM OrderLine", []).unwrap();
        assert_eq!((lines.len(), lines.scalar().and_then(|v| v.as_i64())), (1, Some(3)));
    }
    assert_eq!(a.restore("Order", "market/fr", "o-9").unwrap_err().code(), "LF2024");
}

#[test]
fn a_device_says_why_a_row_does_not_show() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let client = world.client(&path, &[0]);
    let found = client.explain_id("Order", "o-1").unwrap();
    assert_eq!(found.word(), "not_subscribed");
    assert!(found.to_string().contains("no region has been heard"), "{found}");
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    let found = client.explain("Order", "market/fr", "o-1").unwrap();
    assert!(matches!(found.row.answer, Answer::NotThere { as_of_ms } if as_of_ms > 0), "{found}");
    offline(&client);
    order(&client, "o-1", "PLACED");
    let found = client.explain_id("Order", "o-1").unwrap();
    assert_eq!(found.word(), "pending");
    assert!(found.to_string().contains("waits for a connection"), "{found}");
    client.go_online();
    client.settle(SOON).unwrap();
    eventually("a region confirms it", || {
        client.explain_id("Order", "o-1").unwrap().word() == "present"
    });
    let found = client.explain_id("Order", "o-1").unwrap();
    assert_eq!(found.row.scopes[0].why, Why::Home);
    let json = found.to_json();
    assert_eq!(json["scopes"][0]["holds"], true);
    assert_eq!(json["fields"].as_array().unwrap().len(), 2);
    assert_eq!(client.explain_id("Nota", "o-1").unwrap_err().code(), "LF2001");
    client.close().unwrap();
    // A file that is not open says the same.
    let of_file = |schema| explain::of_file(&path, schema, "Order", "o-1", 0).unwrap();
    assert_eq!(of_file(Some(&*world.schema)).word(), "present");
    assert_eq!(of_file(None).kind, "Order");
    let wrong = explain::of_file(&path, None, "Nota", "o-1", 0).unwrap_err();
    assert_eq!(wrong.code(), "LF2001");
}

const EVERYTHING: &str = r#"
enum Mood { CALM STORMY }
type Place @value { street: String  depth: Int }
type Sheet @entity(strategy: CRDT, scope: "desk/{desk}") @audience(scope: "reader/{reader}") {
  id: ID!  desk: ID!  reader: ID  name: String  size: Int  large: Int64  ratio: Float  done: Boolean
  cost: Decimal @decimal(precision: 12, scale: 2)  at: Instant  on: Date  hour: LocalTime
  zoned: ZonedDateTime  seal: Bytes  any: JSON  mood: Mood  place: Place  body: Text
  labels: [String!] @set  votes: Counter }
"#;

/// Every kind of value, each told from all that a bundle could have by itself.
fn plant(client: &Client, id: &str, mark: &str) {
    let text = |what: &str| Value::text(format!("{mark}-{what}"));
    let fields = [
        ("desk", text("desk")),
        ("reader", text("reader")),
        ("name", text("name")),
        ("size", Value::Int(918_273_645)),
        ("large", Value::Int(8_182_736_455_463_728)),
        ("ratio", Value::from(0.182_736_455)),
        ("cost", "73645.91".into()),
        ("at", Value::Int(918_273_645_546_372)),
        ("on", "2391-07-19".into()),
        ("hour", "19:37:53.918".into()),
        ("zoned", "2391-07-19T19:37:53+01:00[Pacific/Chatham]".into()),
        ("seal", Value::Bytes(mark.as_bytes().to_vec())),
        ("any", Value::text(format!("{{\"{mark}-any\": 918273645}}"))),
        ("mood", "STORMY".into()),
        ("place", Value::text(format!("{{\"street\": \"{mark}-street\", \"depth\": 918273}}"))),
    ];
    client
        .transaction()
        .upsert("Sheet", id, fields)
        .splice("Sheet", id, "body", 0, 0, &format!("{mark}-body"))
        .add_to_set("Sheet", id, "labels", text("label"))
        .increment("Sheet", id, "votes", 918_273)
        .commit()
        .unwrap();
}

#[test]
fn a_support_bundle_has_nothing_of_what_the_user_wrote() {
    let folder = tempfile::Builder::new().prefix("quagga-folder").tempdir().unwrap();
    let path = folder.path().join("quagga-file.db");
    let account = Account { tenant: "quagga-tenant".into(), subject: "quagga-subject".into() };
    let mut options = Options::from_sdl(&path, EVERYTHING, account).unwrap();
    options.tokens = Arc::new(FixedToken("quagga-token".into()));
    let client = Client::open(options).unwrap();
    client.subscribe("desk/quagga-desk").unwrap();
    client.subscribe("reader/quagga-reader").unwrap();
    plant(&client, "quagga-id", "quagga");
    plant(&client, "quagga-gone", "quagga");
    client.transaction().delete("Sheet", "quagga-gone").commit().unwrap();
    client.pin("Sheet", "desk/quagga-desk", "quagga-id").unwrap();
    assert!(
        client.transaction().update("Sheet", "quagga-none", [("size", 1.into())]).commit().is_err()
    );

    let bundle = client.support_bundle().unwrap();
    let hex: String = "quagga".bytes().map(|b| format!("{b:02x}")).collect();
    let planted = [
        "quagga", "uagg", &hex, "cXVhZ2dh", "918273", "8182736", "182736", "73645", "7364591",
        "2391", "19:37", "Chatham", "STORMY", "CALM",
    ];
    for text in planted {
        assert!(!bundle.to_lowercase().contains(&text.to_lowercase()), "{text} in {bundle}");
    }
    // And it has what it is for.
    let json: serde_json::Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(json["types"][0]["type"], "Sheet");
    assert_eq!(json["outbox"][0]["state"], "unsent");
    assert!(json["outbox"][0]["count"].as_u64().unwrap() >= 3);
    let scopes = json["subscriptions"].as_array().unwrap();
    let forms: Vec<&str> = scopes.iter().map(|s| s["form"].as_str().unwrap()).collect();
    assert_eq!(forms, ["desk/{desk}", "reader/{reader}"]);
    assert_ne!(scopes[0]["scope"], scopes[1]["scope"]);
    assert_eq!(json["file"]["faults"], 0);
    assert_eq!(json["connection"]["errors"][0]["code"], "LF2014");
    // The same name has another hash in the next bundle.
    let again: serde_json::Value = serde_json::from_str(&client.support_bundle().unwrap()).unwrap();
    assert_ne!(again["subscriptions"][0]["scope"], scopes[0]["scope"]);
    assert_eq!(again["file"]["format"], json["file"]["format"]);
}
