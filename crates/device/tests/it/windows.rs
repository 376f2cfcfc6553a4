//! Windows that are followed by keys: they show what a new run would, cost look-ups and not runs,
//! and show columns of what their rows refer to.

use crate::world::{SOON, World};
use landfall_device::store::{self, Database};
use landfall_device::{
    Client, Dot, Edit, Query, Row, RowChange, Search, SqlValue, Value, Watch, WatchUpdate, apply,
};
use landfall_model::id::EntityKey;
use landfall_sync::device::store::{Store, View};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SDL: &str = r#"
type Customer @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}") {
  id: ID!  shop: ID!  name: String  city: String }
type Order @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}") {
  id: ID!  shop: ID!  customer: Customer @ref(onDelete: KEEP)  rank: Int  total: Float  note: String
  place: Int @index }
type Line @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!  order: Order! @ref(onDelete: CASCADE)  sku: String }
"#;

fn client(path: &Path) -> (World, Client) {
    let world = World::of(SDL, 1, Arc::default());
    let mut options = world.options(path, &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    (world, client)
}

fn put(client: &Client, kind: &str, id: &str, fields: &[(&str, Value)]) {
    let shop = ("shop", Value::text("a"));
    let fields = fields.iter().cloned().chain((kind != "Line").then_some(shop));
    client.transaction().upsert(kind, id, fields).commit().unwrap();
}

fn next(watch: &mut Watch) -> WatchUpdate {
    watch.next_within(SOON).expect("an update").expect("no error")
}

/// The latest update there is, carried out on a copy.
fn settled(watch: &mut Watch, copy: &mut Vec<Row>) {
    while let Some(update) = watch.next_within(Duration::from_millis(60)) {
        let update = update.unwrap();
        apply(copy, &update.changes);
        assert_eq!(*copy, *update.rows);
    }
}

#[test]
fn a_window_shows_at_every_moment_what_a_new_run_would() {
    let dir = tempfile::tempdir().unwrap();
    let (_world, client) = client(&dir.path().join("a.db"));
    let sql = "SELECT o.*, c.name AS \"customer.name\" FROM \"Order\" AS o
        LEFT JOIN Customer AS c ON c.id = o.customer WHERE o.note IS NOT 'out'
        ORDER BY o.rank DESC, o.total, o.id LIMIT 7";
    let query = Query::table("Order").filter("note IS NOT ?", ["out".into()]);
    let query = query.descending("rank").ascending("total").limit(7).include("customer", ["name"]);
    let mut watch = client.observe(query).unwrap();
    let mut copy = Vec::new();
    let mut seed = 5_u64;
    let mut draw = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % n
    };
    for step in 0..60 {
        for _ in 0..=draw(4) {
            let id = format!("o{}", draw(60));
            let rank = if draw(5) == 0 { Value::Null } else { Value::Int(draw(9) as i64) };
            let total = if draw(5) == 0 { Value::Null } else { (draw(4) as f64 / 2.0).into() };
            let note = ["in", "out", "in"][draw(3) as usize];
            let customer = Value::text(format!("c{}", draw(4)));
            match draw(6) {
                0 => {
                    let name = Value::text(format!("name {step}"));
                    put(&client, "Customer", &format!("c{}", draw(4)), &[("name", name)]);
                }
                1 if client.get("Order", &id).unwrap().is_some() => {
                    client.transaction().delete("Order", &id).commit().unwrap();
                }
                _ => {
                    let fields = [("rank", rank), ("total", total), ("note", note.into())];
                    let customer = ("customer", customer);
                    put(&client, "Order", &id, &[&fields[..], &[customer]].concat());
                }
            }
        }
        settled(&mut watch, &mut copy);
        let expected: Vec<Row> = client.query(sql, []).unwrap().into_iter().collect();
        assert_eq!(copy, expected, "step {step}");
    }
    let explained = watch.explain().unwrap();
    println!("{explained}");
    assert!(explained.refreshes > 4 * explained.runs, "{explained}");
}

#[test]
fn a_change_of_what_rows_refer_to_updates_those_rows_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (_world, client) = client(&dir.path().join("a.db"));
    put(&client, "Customer", "c1", &[("name", "Ann".into()), ("city", "Lyon".into())]);
    put(&client, "Customer", "c2", &[("name", "Bob".into())]);
    for (id, customer) in [("o1", "c1"), ("o2", "c2"), ("o3", "c1"), ("o4", "nobody")] {
        put(&client, "Order", id, &[("customer", customer.into())]);
    }
    let query = Query::table("Order").limit(10).include("customer", ["name", "city"]);
    let mut watch = client.observe(query).unwrap();
    let first = next(&mut watch);
    let names: Vec<Option<&str>> = first.rows.iter().map(|r| r.text("customer.name")).collect();
    assert_eq!(names, [Some("Ann"), Some("Bob"), Some("Ann"), None]);
    assert!(first.incremental);
    let before = watch.explain().unwrap();
    put(&client, "Customer", "c1", &[("name", "Anna".into())]);
    let update = next(&mut watch);
    let at: Vec<(usize, String)> = update
        .changes
        .iter()
        .map(|change| match change {
            RowChange::Update { new, columns, row, .. } => {
                (*new, columns.iter().map(|c| row.columns()[*c].as_str()).collect())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let name = || "customer.name".to_owned();
    assert_eq!(at, [(0, name()), (2, name())]);
    let after = watch.explain().unwrap();
    assert_eq!((after.lookups - before.lookups, after.runs - before.runs), (2, 0));
    assert_eq!(after.tables.len(), 2);
    // A customer that no row shows is looked up by nobody; one that comes is shown.
    put(&client, "Customer", "c9", &[("name", "Zoe".into())]);
    put(&client, "Customer", "nobody", &[("name", "Now".into())]);
    assert_eq!(next(&mut watch).rows[3].text("customer.name"), Some("Now"));
    assert_eq!(watch.explain().unwrap().lookups - after.lookups, 1);
    client.transaction().delete("Customer", "c2").commit().unwrap();
    assert_eq!(next(&mut watch).rows[1].get("customer.name"), Some(&SqlValue::Null));
}

#[test]
fn a_child_shows_columns_of_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let (_world, client) = client(&dir.path().join("a.db"));
    put(&client, "Order", "o", &[("note", "urgent".into())]);
    put(&client, "Line", "l", &[("order", "o".into()), ("sku", "s".into())]);
    let mut watch = client.observe(Query::table("Line").include("order", ["note"])).unwrap();
    assert_eq!(next(&mut watch).rows[0].text("order.note"), Some("urgent"));
    put(&client, "Order", "o", &[("note", "later".into())]);
    assert_eq!(next(&mut watch).rows[0].text("order.note"), Some("later"));
}

#[test]
fn a_query_says_how_it_is_followed_and_what_would_help() {
    let dir = tempfile::tempdir().unwrap();
    let (_world, client) = client(&dir.path().join("a.db"));
    let explain = |query: Query| {
        let mut watch = client.observe(query).unwrap();
        next(&mut watch);
        watch.explain().unwrap()
    };
    let window = explain(Query::table("Order").ascending("rank").limit(5));
    assert!(window.incremental && window.runs == 1, "{window}");
    assert!(window.advice.unwrap().contains("@index on `rank`"));
    let by_key = explain(Query::table("Order").limit(5));
    assert_eq!(by_key.advice, None);
    let other = "customer IN (SELECT id FROM Customer)";
    let anew = explain(Query::table("Order").filter(other, []));
    assert!(!anew.incremental && anew.tables.len() == 2 && anew.why.contains("other rows"));
    let joined =
        explain(Query::table("Order").include("customer", ["name"]).descending("customer.name"));
    assert!(!joined.incremental && joined.why.contains("another table"), "{joined}");
    let sql = client.watch("SELECT 1", []).unwrap();
    assert!(sql.explain().unwrap().tables.is_empty());
    client.close().unwrap();
    assert_eq!(sql.explain().unwrap_err().code(), "LF2104");
}

#[test]
fn a_limit_may_be_beyond_any_number_of_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (_world, client) = client(&dir.path().join("a.db"));
    put(&client, "Order", "a", &[]);
    for limit in [u64::MAX, i64::MAX as u64 + 1, 0] {
        let mut watch = client.observe(Query::table("Order").limit(limit)).unwrap();
        assert_eq!(next(&mut watch).rows.len(), usize::from(limit > 0), "{limit}");
    }
}

#[test]
fn an_include_of_what_is_not_there_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_world, client) = client(&dir.path().join("a.db"));
    let check = |query: Query| assert_eq!(client.observe(query).unwrap_err().code(), "LF2103");
    check(Query::table("Order").include("note", ["name"]));
    check(Query::table("Order").include("nobody", ["name"]));
    check(Query::table("Order").include("customer", ["colour"]));
    check(Query::table("Order").include("customer", ["name"]).ascending("customer.city"));
}

/// Typed rows as if they had been synced.
fn fill(path: &Path, world: &World, orders: i64) {
    let kind = world.schema.entity_named("Order").unwrap();
    let field = |name: &str| kind.field_named(name).unwrap().id;
    let mut database = Database::open(path, &world.schema, store::Options::default()).unwrap();
    let filled: Result<(), store::Error> = database.transact(false, |t| {
        for n in 0..orders {
            let registers = [("place", Value::Int(n)), ("rank", Value::Int(n))];
            let registers = registers.map(|(name, value)| (field(name), value)).into();
            let key = EntityKey::new("shop/a", kind.id, format!("o{n:06}"));
            t.show(&key, Some(&View { registers, ..View::default() }))?;
        }
        Ok(())
    });
    filled.unwrap();
}

#[test]
fn a_change_in_a_large_table_costs_a_look_up_and_no_run() {
    const ORDERS: i64 = 100_000;
    const CHANGES: u32 = 60;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let world = World::of(SDL, 1, Arc::default());
    fill(&path, &world, ORDERS);
    let mut options = world.options(&path, &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    let mut phase = 0;
    let mut cost = |name: &str, mut watch: Watch, looks_up: bool| {
        let first = next(&mut watch);
        assert_eq!(first.rows.len(), 50);
        let began = watch.explain().unwrap();
        let mut spent = Duration::ZERO;
        phase += 1;
        for n in 0..CHANGES {
            // From far below to the top.
            let top = Value::Int(ORDERS * phase + i64::from(n));
            let id = format!("o{:06}", i64::from(n) * 7 + phase);
            put(&client, "Order", &id, &[("place", top.clone()), ("rank", top)]);
            let update = next(&mut watch);
            assert_eq!(update.rows[0].text("id"), Some(&*id));
            assert_eq!(update.changes.len(), 2, "one row goes, one comes");
            spent += watch.explain().unwrap().last_cost;
        }
        let ended = watch.explain().unwrap();
        println!(
            "{name}: the first run {:?}, a change {:?} ({} runs, {} look-ups)",
            began.last_cost,
            spent / CHANGES,
            ended.runs - began.runs,
            ended.lookups
        );
        if looks_up {
            assert_eq!((ended.runs - began.runs, ended.lookups), (0, u64::from(CHANGES)));
        } else {
            assert_eq!(ended.runs - began.runs, u64::from(CHANGES));
        }
    };
    println!("{ORDERS} rows, a window of 50");
    let by = |column: &str| client.observe(Query::table("Order").descending(column).limit(50));
    cost("by keys, with an index", by("place").unwrap(), true);
    let again = |column: &str| {
        client.watch(&format!("SELECT * FROM \"Order\" ORDER BY {column} DESC, id LIMIT 50"), [])
    };
    cost("by keys, without an index", by("rank").unwrap(), true);
    cost("run anew, with an index", again("place").unwrap(), false);
    cost("run anew, without an index", again("rank").unwrap(), false);
}

const SHOPS: &str = r#"
type Customer @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}") {
  id: ID!  shop: ID!  name: String @search }
type Order @entity(strategy: LAST_WRITE_WINS, scope: "shop/{shop}") {
  id: ID!  shop: ID!  customer: Customer @ref(onDelete: SET_NULL)  rank: Int  note: String @search
  seen: Counter }
type Line @entity(strategy: LAST_WRITE_WINS, parent: "order") {
  id: ID!  order: Order! @ref(onDelete: CASCADE)  count: Int
  by: Customer @ref(onDelete: SET_NULL) }
type Mark @local { id: ID!  rank: Int  customer: Customer @ref(onDelete: SET_NULL) }
"#;

/// What people do on two devices that share two shops, in which the same ids are used.
struct People<'w> {
    world: &'w World,
    clients: [Client; 2],
    seed: u64,
    last: Vec<Dot>,
}

impl People<'_> {
    fn draw(&mut self, n: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % n
    }

    fn key(&mut self, kind: &str) -> EntityKey {
        let shop = ["shop/a", "shop/b"][self.draw(2) as usize];
        let (letter, most) = if kind == "Customer" { ("c", 3) } else { ("o", 6) };
        let id = self.world.schema.entity_named(kind).unwrap().id;
        EntityKey::new(shop, id, format!("{letter}{}", self.draw(most)))
    }

    /// One thing that somebody does, or tries in vain.
    fn act(&mut self) {
        let at = self.draw(3).min(1) as usize;
        let client = self.clients[at].clone();
        let customer = Value::text(format!("c{}", self.draw(3)));
        let words = ["milk", "milk and bread", "out", "bread"][self.draw(4) as usize];
        let number = Value::Int(self.draw(4) as i64);
        let order = self.key("Order");
        let shop = Value::text(order.home.strip_prefix("shop/").unwrap());
        let tx = client.transaction();
        let written = match self.draw(16) {
            0..=4 => tx
                .upsert(
                    "Order",
                    &order.id,
                    [
                        ("shop", shop),
                        ("customer", customer),
                        ("rank", number),
                        ("note", words.into()),
                    ],
                )
                .commit(),
            5 | 6 => {
                let id = format!("c{}", self.draw(3));
                tx.upsert("Customer", &id, [("shop", shop), ("name", words.into())]).commit()
            }
            7 | 8 => {
                let id = format!("{}-{}", order.id, self.draw(2));
                let fields = [("order", (&*order.id).into()), ("count", number), ("by", customer)];
                tx.upsert("Line", &id, fields).commit()
            }
            9 => {
                let id = format!("m{}", self.draw(2));
                tx.upsert("Mark", &id, [("rank", number), ("customer", customer)]).commit()
            }
            10 | 11 => {
                let kind = if self.draw(3) == 0 { "Order" } else { "Customer" };
                let key = self.key(kind);
                client.write(&[Edit::Delete { key }])
            }
            12 => {
                let kind = if self.draw(2) == 0 { "Order" } else { "Customer" };
                let key = self.key(kind);
                client.restore(kind, &key.home, &key.id)
            }
            13 => {
                let undone = self.last.pop().map(|dot| self.clients[0].cancel(dot));
                drop(undone);
                return;
            }
            14 => {
                let online = self.draw(2) == 0;
                return if online {
                    self.clients[0].go_online()
                } else {
                    self.clients[0].go_offline()
                };
            }
            _ => {
                let on = self.draw(3) > 0;
                let done =
                    if on { client.subscribe("shop/b") } else { client.unsubscribe("shop/b") };
                return done.unwrap();
            }
        };
        if let (Ok(receipt), 0) = (written, at) {
            self.last.extend(receipt.dots);
        }
    }
}

/// Updates are carried out on the copy until it is what the same question gives now.
fn comes_to(what: &str, watch: &mut Watch, copy: &mut Vec<Row>, now: impl Fn() -> Vec<Row>) {
    crate::world::eventually(what, || {
        while let Some(update) = watch.next_within(Duration::from_millis(1)) {
            let update = update.unwrap();
            apply(copy, &update.changes);
            assert_eq!(*copy, *update.rows, "{what}: the changes make the rows");
        }
        *copy == now()
    });
}

#[test]
fn whatever_happens_live_queries_come_to_what_a_fresh_one_shows() {
    let world = World::of(SHOPS, 1, Arc::default());
    let customer_of = |column: &str| {
        format!(
            "(SELECT c.name FROM Customer AS c WHERE c.id = t.{column}
              ORDER BY c._home = t._home DESC, c._home LIMIT 1) AS \"{column}.name\""
        )
    };
    let orders = format!(
        "SELECT t.*, {} FROM \"Order\" AS t WHERE t.note IS NOT 'out'
         ORDER BY t.rank DESC, t.id, t._home LIMIT 4",
        customer_of("customer")
    );
    let lines = format!(
        "SELECT t.*, (SELECT o.note FROM \"Order\" AS o WHERE o.id = t.\"order\" AND o._home = t._home)
           AS \"order.note\", {} FROM Line AS t ORDER BY t.count, t.id, t._home LIMIT 5",
        customer_of("by")
    );
    let marks = format!("SELECT t.*, {} FROM Mark AS t ORDER BY t.id", customer_of("customer"));
    let pending = "SELECT * FROM \"Order\" WHERE _pending = 1 ORDER BY rank, id, _home LIMIT 3";
    for seed in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let clients = ["a.db", "b.db"].map(|name| {
            let client = world.client(&dir.path().join(name), &[0]);
            client.subscribe("shop/a").unwrap();
            client.subscribe("shop/b").unwrap();
            client
        });
        let client = clients[0].clone();
        let search = Search::new("Order", "milk");
        let order = Query::table("Order").filter("note IS NOT ?", ["out".into()]);
        let order = order.descending("rank").limit(4).include("customer", ["name"]);
        let line = Query::table("Line").ascending("count").limit(5).include("order", ["note"]);
        let mut watches = [
            client.observe(order).unwrap(),
            client.observe(line.include("by", ["name"])).unwrap(),
            client.observe(Query::table("Mark").include("customer", ["name"])).unwrap(),
            client
                .observe(
                    Query::table("Order").filter("_pending = 1", []).ascending("rank").limit(3),
                )
                .unwrap(),
            client.observe_search(&search).unwrap(),
        ];
        let mut copies = [const { Vec::new() }; 5];
        let mut people = People { world: &world, clients, seed: seed * 77 + 5, last: Vec::new() };
        for step in 0..120 {
            for _ in 0..=people.draw(3) {
                people.act();
            }
            let sql = [orders.as_str(), &lines, &marks, pending];
            for (at, (watch, copy)) in watches.iter_mut().zip(&mut copies).enumerate() {
                let what = format!("seed {seed}, step {step}, query {at}");
                comes_to(&what, watch, copy, || match sql.get(at) {
                    Some(sql) => client.query(sql, []).unwrap().into_iter().collect(),
                    None => client.search_with(&search).unwrap().into_iter().collect(),
                });
            }
        }
        people.clients.iter().for_each(|client| client.close().unwrap());
    }
}
