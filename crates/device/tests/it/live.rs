//! Live queries: the first update has all, the next ones only what changed.

use crate::world::{SOON, World, eventually};
use landfall_device::{
    Client, Coverage, Error, Query, Row, RowChange, Watch, WatchListener, WatchUpdate, apply,
};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn offline(world: &World, path: &std::path::Path) -> Client {
    let mut options = world.options(path, &[0]);
    options.network.start_offline = true;
    Client::open(options).unwrap()
}

fn put(client: &Client, id: &str, status: &str) {
    let fields = [("market", "fr".into()), ("status", status.into())];
    client.transaction().upsert("Order", id, fields).commit().unwrap();
}

fn next(watch: &mut Watch) -> WatchUpdate {
    watch.next_within(SOON).expect("an update").expect("no error")
}

fn told(update: &WatchUpdate) -> Vec<String> {
    let change = |c: &RowChange| match c {
        RowChange::Remove { old } => format!("-{old}"),
        RowChange::Insert { new, row } => format!("+{new} {}", row.text("id").unwrap()),
        RowChange::Move { old, new } => format!("{old}>{new}"),
        RowChange::Update { old, new, columns, row } => {
            let columns: Vec<&str> = columns.iter().map(|c| row.columns()[*c].as_str()).collect();
            format!("{old}~{new} {}", columns.join(","))
        }
    };
    update.changes.iter().map(change).collect()
}

#[test]
fn a_window_is_told_in_the_fewest_changes() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    for (id, status) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")] {
        put(&client, id, status);
    }
    let query = Query::table("Order").filter("status <> ?", ["0".into()]).ascending("status");
    let mut watch = client.observe(query.limit(3)).unwrap();
    let first = next(&mut watch);
    assert_eq!(told(&first), ["+0 a", "+1 b", "+2 c"]);
    assert!(first.incremental);
    assert_eq!(first.coverage, Coverage::Partial, "nothing is subscribed");

    let mut copy: Vec<Row> = first.rows.to_vec();
    let mut check = |expected: &[&str]| {
        let update = next(&mut watch);
        assert_eq!(told(&update), expected);
        apply(&mut copy, &update.changes);
        assert_eq!(copy, *update.rows);
    };
    put(&client, "b", "25");
    check(&["1~1 status"]);
    put(&client, "a", "26");
    check(&["1>0", "0~1 status"]);
    put(&client, "c", "0");
    check(&["-2", "+2 d"]);
    client.transaction().delete("Order", "b").commit().unwrap();
    check(&["-0"]);
    // Not in the window, and another table: nothing to tell.
    put(&client, "z", "0");
    let stock: [(&str, landfall_device::Value); 0] = [];
    client.transaction().upsert("Stock", "s", stock).commit().unwrap();
    assert!(watch.next_within(Duration::from_millis(100)).is_none());
}

struct Listener(Mutex<Sender<Result<WatchUpdate, Error>>>);

impl WatchListener for Listener {
    fn updated(&self, update: WatchUpdate) {
        let _ = self.0.lock().unwrap().send(Ok(update));
    }

    fn failed(&self, error: Error) {
        let _ = self.0.lock().unwrap().send(Err(error));
    }
}

#[test]
fn any_sql_is_run_anew_and_says_so_and_ends_with_its_handle() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let (sender, updates) = channel();
    let listener = Arc::new(Listener(Mutex::new(sender)));
    let sql = "SELECT market, count(*) AS orders FROM \"Order\" GROUP BY market";
    let handle = client.watch_with(sql, [], listener).unwrap();
    let first = updates.recv_timeout(SOON).unwrap().unwrap();
    assert!(first.rows.is_empty() && !first.incremental);
    put(&client, "a", "1");
    let second = updates.recv_timeout(SOON).unwrap().unwrap();
    assert_eq!(second.rows[0].integer("orders"), Some(1));
    put(&client, "b", "1");
    let third = updates.recv_timeout(SOON).unwrap().unwrap();
    assert!(matches!(&third.changes[..], [RowChange::Update { columns, .. }] if *columns == [1]));
    drop(handle);
    put(&client, "c", "1");
    // The listener is gone with its sender, so the channel ends.
    assert!(updates.recv_timeout(SOON).is_err());
}

struct Panics;

impl WatchListener for Panics {
    fn updated(&self, _: WatchUpdate) {
        panic!("the app's own fault");
    }

    fn failed(&self, _: Error) {}
}

#[test]
fn a_listener_that_panics_hurts_no_other() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let faulty = client.watch_with("SELECT id FROM Stock", [], Arc::new(Panics)).unwrap();
    let mut watch = client.observe(Query::table("Order")).unwrap();
    assert!(told(&next(&mut watch)).is_empty());
    put(&client, "a", "1");
    assert_eq!(told(&next(&mut watch)), ["+0 a"]);
    drop(faulty);
}

#[test]
fn a_query_waits_for_no_process_that_holds_the_file() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let client = offline(&world, &path);
    put(&client, "a", "1");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut watch = client.observe(Query::table("Order")).unwrap();
    assert_eq!(told(&next(&mut watch)), ["+0 a"]);
    other.execute_batch("ROLLBACK").unwrap();
    put(&client, "b", "1");
    assert_eq!(told(&next(&mut watch)), ["+1 b"]);
}

#[test]
fn faulty_queries_are_told_to_the_caller() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let check = |done: Result<Watch, Error>, code: &str| assert_eq!(done.unwrap_err().code(), code);
    check(client.observe(Query::table("Nothing")), "LF2103");
    check(client.observe(Query::table("Order").ascending("colour")), "LF2103");
    check(client.observe(Query::table("Order").filter("colour = 1", [])), "LF2102");
    check(client.watch("SELECT", []), "LF2102");
}

#[test]
fn a_query_hears_what_comes_from_afar_and_when_it_is_all() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let writer = world.client(&dir.path().join("w.db"), &[0]);
    put(&writer, "a", "1");
    writer.settle(SOON).unwrap();
    let client = offline(&world, &dir.path().join("a.db"));
    client.subscribe("market/fr").unwrap();
    let mut watch = client.observe(Query::table("Order")).unwrap();
    assert_eq!(next(&mut watch).coverage, Coverage::Loading);
    client.go_online();
    let mut last = next(&mut watch);
    while last.coverage != Coverage::Complete {
        last = next(&mut watch);
    }
    assert_eq!(last.rows.len(), 1);
    put(&writer, "a", "2");
    let update = next(&mut watch);
    assert_eq!(update.rows[0].text("status"), Some("2"));
}

#[test]
fn of_updates_that_nobody_fetches_few_wait_and_none_is_missing() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let mut watch = client.observe(Query::table("Order")).unwrap();
    for n in 0..100 {
        let told = watch.explain().unwrap().updates;
        put(&client, &format!("o{n:03}"), "1");
        eventually("it is told", || watch.explain().unwrap().updates > told);
    }
    let (mut copy, mut fetched) = (Vec::new(), 0);
    while copy.len() < 100 {
        let update = next(&mut watch);
        apply(&mut copy, &update.changes);
        assert_eq!(copy, *update.rows);
        fetched += 1;
    }
    assert!(fetched <= 17, "{fetched} waited");
    put(&client, "o050", "2");
    assert_eq!(told(&next(&mut watch)), ["50~50 status"]);
    client.close().unwrap();
    assert!(watch.next_within(SOON).is_none(), "the end is told behind them");
}

#[test]
fn a_query_over_views_of_the_app_s_own_hears_of_the_tables_behind_them() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    offline(&world, &path).close().unwrap();
    let app = rusqlite::Connection::open(&path).unwrap();
    app.execute_batch(
        "CREATE VIEW kept AS SELECT * FROM Stock WHERE sold IS NOT 7;
         CREATE VIEW \"What There Is\" AS SELECT id FROM KEPT",
    )
    .unwrap();
    drop(app);
    let client = offline(&world, &path);
    put(&client, "a", "1");
    let sql = "SELECT id FROM \"Order\" UNION ALL SELECT id FROM \"what there is\"";
    let mut any = client.watch(sql, []).unwrap();
    let filter = "id IN (SELECT id FROM \"What There Is\")";
    let mut window = client.observe(Query::table("Order").filter(filter, [])).unwrap();
    assert_eq!(told(&next(&mut any)), ["+0 a"]);
    assert!(told(&next(&mut window)).is_empty());
    let stock: [(&str, landfall_device::Value); 0] = [];
    client.transaction().upsert("Stock", "a", stock).commit().unwrap();
    assert_eq!(next(&mut any).rows.len(), 2);
    assert_eq!(told(&next(&mut window)), ["+0 a"]);
}
