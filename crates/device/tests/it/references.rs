//! What references show when the entity that they name is deleted: the same for all who hold its
//! home scope, whatever came first.

use crate::world::{SOON, World, eventually};
use landfall_device::{Client, Query, SqlValue, Value};
use std::sync::Arc;

const SDL: &str = r#"
type Customer @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}")
  @audience(scope: "rep/{rep}") {
  id: ID!  shop: ID!  rep: ID  name: String }
type Order @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}")
  @audience(scope: "rep/{rep}") {
  id: ID!  shop: ID!  rep: ID  note: String
  customer: Customer @ref(onDelete: SET_NULL)  payer: Customer @ref(onDelete: KEEP) }
"#;

fn put(client: &Client, kind: &str, id: &str, fields: &[(&str, &str)]) {
    let shared = [("shop", "a"), ("rep", "r")];
    let fields = shared.iter().chain(fields).map(|(f, v)| (*f, Value::text(*v)));
    client.transaction().upsert(kind, id, fields).commit().unwrap();
}

fn order(client: &Client, id: &str) {
    put(client, "Order", id, &[("customer", "c"), ("payer", "c")]);
}

/// What an order shows of its customer and its payer; nothing where there is no order.
fn shown(client: &Client, id: &str) -> Option<(Option<String>, Option<String>)> {
    let row = client.get("Order", id).unwrap()?;
    let text = |name: &str| row.text(name).map(str::to_owned);
    Some((text("customer"), text("payer")))
}

fn c() -> Option<String> {
    Some("c".to_owned())
}

/// One device deletes a customer while another writes an order of that customer, neither knowing of
/// the other; `first` says whose write reaches a region first.
fn check(first: usize) {
    let (world, dir) = (World::of(SDL, 2, Arc::default()), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let (a, b) = (world.client(&path("a.db"), &[0]), world.client(&path("b.db"), &[1]));
    for client in [&a, &b] {
        client.subscribe("shop/a").unwrap();
    }
    put(&a, "Customer", "c", &[("name", "Ann")]);
    order(&a, "old");
    a.settle(SOON).unwrap();
    eventually("both have it", || shown(&b, "old") == Some((c(), c())));
    for client in [&a, &b] {
        client.settle(SOON).unwrap();
        client.go_offline();
    }
    a.transaction().delete("Customer", "c").commit().unwrap();
    order(&b, "new");
    assert_eq!(shown(&a, "old"), Some((None, c())), "where it was deleted, at once");
    assert_eq!(shown(&b, "new"), Some((c(), c())), "where nobody knows");
    let both = [&a, &b];
    both[first].go_online();
    both[first].settle(SOON).unwrap();
    world.replicated();
    both[1 - first].go_online();
    // One that begins after all this is told the same.
    let begins = world.client(&path("n.db"), &[0]);
    begins.subscribe("shop/a").unwrap();
    let all = [&a, &b, &begins];
    let everywhere = |expected: &Option<String>| {
        all.iter().all(|client| {
            let both = Some((expected.clone(), c()));
            shown(client, "old") == both && shown(client, "new") == both
        })
    };
    eventually("null for all", || everywhere(&None));
    all.iter().for_each(|client| client.settle(SOON).unwrap());
    let digests: Vec<String> = all.iter().map(|client| client.digest().unwrap()).collect();
    assert!(digests.windows(2).all(|w| w[0] == w[1]), "stored state is the same");
    // What names nothing is found by plain SQL.
    let sql = "SELECT o.id FROM \"Order\" AS o LEFT JOIN Customer AS c ON c.id = o.payer
        WHERE o.payer IS NOT NULL AND c.id IS NULL";
    assert_eq!(begins.query(sql, []).unwrap().len(), 2);
    // The id is given to a customer again: nobody wrote into the orders, and they refer to it.
    put(&b, "Customer", "c", &[("name", "Ann again")]);
    eventually("shown again", || everywhere(&c()));
}

#[test]
fn a_delete_that_arrives_before_a_concurrent_reference_shows_null() {
    check(0);
}

#[test]
fn a_delete_that_arrives_after_a_concurrent_reference_shows_null() {
    check(1);
}

#[test]
fn an_audience_cannot_tell_a_deletion_and_shows_the_id() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let (office, rep) = (world.client(&path("o.db"), &[0]), world.client(&path("r.db"), &[0]));
    office.subscribe("shop/a").unwrap();
    rep.subscribe("rep/r").unwrap();
    put(&office, "Customer", "c", &[]);
    order(&office, "o");
    eventually("it is there", || {
        shown(&rep, "o").is_some() && rep.get("Customer", "c").unwrap().is_some()
    });
    office.transaction().delete("Customer", "c").commit().unwrap();
    eventually("it left", || rep.get("Customer", "c").unwrap().is_none());
    assert_eq!(shown(&rep, "o"), Some((c(), c())));
    assert_eq!(shown(&office, "o"), Some((None, c())));
}

#[test]
fn exactly_the_rows_that_refer_change_and_live_queries_hear_of_it() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let client = Client::open(options.clone()).unwrap();
    put(&client, "Customer", "c", &[]);
    put(&client, "Customer", "d", &[]);
    order(&client, "o1");
    put(&client, "Order", "o2", &[("customer", "d")]);
    put(&client, "Order", "o3", &[("customer", "nobody")]);
    let mut watch = client.observe(Query::table("Order")).unwrap();
    watch.next_within(SOON).unwrap().unwrap();
    client.transaction().delete("Customer", "c").commit().unwrap();
    let update = watch.next_within(SOON).unwrap().unwrap();
    assert_eq!(update.changes.len(), 1, "{:?}", update.changes);
    let customers = |rows: &[landfall_device::Row]| -> Vec<SqlValue> {
        rows.iter().map(|row| row.get("customer").cloned().unwrap()).collect()
    };
    let expected = [SqlValue::Null, "d".into(), "nobody".into()];
    assert_eq!(customers(&update.rows), expected);
    assert_eq!(update.rows[0].text("payer"), Some("c"));
    // A change of something else on the row does not bring the id back, nor does the next opening.
    put(&client, "Order", "o1", &[("note", "x")]);
    assert_eq!(shown(&client, "o1"), Some((None, c())));
    client.close().unwrap();
    let client = Client::open(options).unwrap();
    assert_eq!(shown(&client, "o1"), Some((None, c())));
    put(&client, "Customer", "c", &[]);
    assert_eq!(shown(&client, "o1"), Some((c(), c())));
}
