//! Writing by name, reading by SQL, and what is told when something is wrong.

use crate::world::{SOON, World, eventually};
use landfall_device::{
    Account, Client, ConnectionState, Coverage, Error, Fate, Options, SqlValue, SyncLimits, Value,
    WriteReceipt,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

fn offline(world: &World, path: &std::path::Path) -> Client {
    let mut options = world.options(path, &[0]);
    options.network.start_offline = true;
    Client::open(options).unwrap()
}

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Wait on a thread that has no runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match poll(future.as_mut()) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn writes_show_at_once_in_plain_sql() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let receipt = client
        .transaction()
        .upsert("Order", "o1", [("market", "fr".into()), ("total", "12.50".into())])
        .add_to_set("Order", "o1", "tags", "gift".into())
        .splice("Order", "o1", "note", 0, 0, "ring twice")
        .upsert("Order", "o1", [("shipTo", r#"{"city": "Lyon"}"#.into())])
        .upsert(
            "OrderLine",
            "l1",
            [("order", "o1".into()), ("sku", "s".into()), ("quantity", Value::Int(3))],
        )
        .upsert("Stock", "s", [] as [(&str, Value); 0])
        .increment("Stock", "s", "sold", 2)
        .increment("Stock", "s", "sold", 1)
        .commit()
        .unwrap();
    assert_eq!(receipt.dots.len(), 3, "edits of one entity are one op");
    let order = client.get("Order", "o1").unwrap().unwrap();
    assert_eq!(order.integer("total"), Some(1250));
    assert_eq!(order.text("tags"), Some(r#"["gift"]"#));
    assert_eq!(order.text("note"), Some("ring twice"));
    assert_eq!(order.text("shipTo"), Some(r#"{"street":null,"city":"Lyon"}"#));
    assert_eq!(order.integer("_pending"), Some(1));
    let sold = client.query("SELECT sold FROM Stock WHERE id = ?", ["s".into()]).unwrap();
    assert_eq!(sold.scalar(), Some(&SqlValue::Integer(3)));

    let again = client.transaction().update("Order", "o1", [("status", "SENT".into())]);
    again.remove_from_set("Order", "o1", "tags", "gift".into()).commit().unwrap();
    let order = client.get("Order", "o1").unwrap().unwrap();
    assert_eq!((order.text("status"), order.text("tags")), (Some("SENT"), Some("[]")));

    client.transaction().delete("Order", "o1").commit().unwrap();
    assert_eq!(client.get("Order", "o1").unwrap(), None);
    assert_eq!(client.query("SELECT * FROM OrderLine", []).unwrap().len(), 0);
    assert_eq!(client.fate(receipt.dots[0]).unwrap(), Fate::Pending { sent: false });
    let status = client.outbox_status().unwrap();
    assert_eq!((status.pending, status.accepted), (5, 0));
    assert!(status.oldest_ms.is_some());
}

#[test]
fn a_home_is_named_for_the_edit_before_it() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    for (id, market) in [("o1", "fr"), ("o1", "de"), ("o2", "fr")] {
        client.transaction().upsert("Order", id, [("market", market.into())]).commit().unwrap();
    }
    let status = |status: &str| [("status", Value::text(status))];
    let unclear = client.transaction().update("Order", "o1", status("SENT")).commit();
    assert_eq!(unclear.unwrap_err().code(), "LF2013");
    // The last call goes on with the first edit, and that is the one that is meant.
    let tx = client.transaction().update("Order", "o1", status("SENT"));
    let tx = tx.update("Order", "o2", status("PLACED"));
    tx.add_to_set("Order", "o1", "tags", "gift".into()).in_home("market/de").commit().unwrap();
    let sql = "SELECT id, _home, status FROM \"Order\" WHERE status IS NOT NULL ORDER BY id";
    let rows = client.query(sql, []).unwrap();
    let rows: Vec<_> = rows.iter().map(|r| (r.text("id").unwrap(), r.text("_home"))).collect();
    assert_eq!(rows, [("o1", Some("market/de")), ("o2", Some("market/fr"))]);
}

#[test]
fn what_cannot_be_written_is_refused_whole_and_says_why() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let order = || client.transaction().upsert("Order", "o1", [("market", "fr".into())]);
    let check = |done: Result<WriteReceipt, Error>, word: &str| {
        let error = done.unwrap_err();
        assert!(error.code().starts_with("LF20"), "{error}");
        assert!(error.message().contains(word), "{error}");
        assert_eq!(client.query("SELECT * FROM \"Order\"", []).unwrap().len(), 0);
    };
    check(order().upsert("Nothing", "x", [("a", Value::Null)]).commit(), "type");
    check(order().update("Order", "o1", [("colour", Value::Null)]).commit(), "field");
    check(order().update("Order", "o2", [("status", "SENT".into())]).commit(), "entity");
    check(order().increment("Order", "o1", "status", 1).commit(), "merge");
    check(order().update("Order", "o1", [("status", Value::Int(1))]).commit(), "type");
    check(order().update("Order", "o1", [("total", "1.005".into())]).commit(), "range");
    check(client.transaction().upsert("Order", "o9", [("status", "x".into())]).commit(), "home");
    assert!(client.outbox_status().unwrap().is_empty());
    assert_eq!(client.query("DELETE FROM \"Order\"", []).unwrap_err().code(), "LF2102");
}

#[test]
fn a_file_is_opened_for_its_own_account_only() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    offline(&world, &path).close().unwrap();
    let account = Account { tenant: "acme".into(), subject: "somebody else".into() };
    let options = Options::new(&path, world.schema.clone(), account);
    assert_eq!(Client::open(options).unwrap_err().code(), "LF2107");
}

#[test]
fn a_closed_client_says_so() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    client.subscribe("catalog").unwrap();
    let progress = client.progress("catalog").unwrap().unwrap();
    assert_eq!(progress.coverage, Coverage::Loading);
    let other = client.clone();
    client.close().unwrap();
    assert_eq!(other.subscribe("catalog").unwrap_err().code(), "LF2104");
    assert_eq!(other.query("SELECT 1", []).unwrap_err().code(), "LF2104");
    assert_eq!(other.watch("SELECT 1", []).unwrap_err().code(), "LF2104");
}

#[test]
fn a_named_transaction_is_written_once_also_by_the_next_opening() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let sell = |client: &Client, name: &str| {
        let t = client.transaction().upsert("Stock", "tea", [] as [(&str, Value); 0]);
        t.increment("Stock", "tea", "sold", 1).commit_once(name).unwrap()
    };
    let sold = |client: &Client| client.get("Stock", "tea").unwrap().unwrap().get("sold").cloned();
    let client = Client::open(options.clone()).unwrap();
    let first = sell(&client, "tab:1");
    assert_eq!(sell(&client, "tab:1"), first);
    assert_eq!(sold(&client), Some(SqlValue::Integer(1)));
    client.close().unwrap();
    let client = Client::open(options).unwrap();
    assert_eq!(sell(&client, "tab:1"), first);
    assert_ne!(sell(&client, "tab:2"), first);
    assert_eq!(sold(&client), Some(SqlValue::Integer(2)));
    (0..100).for_each(|n| drop(sell(&client, &format!("other:{n}"))));
    assert_eq!(sold(&client), Some(SqlValue::Integer(102)));
}

#[test]
fn what_a_transaction_creates_and_deletes_leaves_nothing() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = Client::open(world.options(&dir.path().join("a.db"), &[0])).unwrap();
    client.subscribe("market/fr").unwrap();
    let market = || [("market", Value::from("fr".to_owned()))];
    let receipt = client.transaction().upsert("Order", "o1", market()).delete("Order", "o1");
    let receipt = receipt.commit().unwrap();
    client.settle(SOON).unwrap();
    let fates: Vec<Fate> = receipt.dots.iter().map(|dot| client.fate(*dot).unwrap()).collect();
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Accepted { .. })), "{fates:?}");
    assert_eq!(client.get("Order", "o1").unwrap(), None);
    assert_eq!(client.outcomes().unwrap(), []);
    client.transaction().upsert("Order", "o1", market()).commit().unwrap();
    client.settle(SOON).unwrap();
    assert!(client.get("Order", "o1").unwrap().is_some(), "the id is free for another life");
}

#[test]
fn futures_are_waited_for_outside_of_any_runtime_and_given_up_at_will() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    client.transaction().upsert("Stock", "s", [] as [(&str, Value); 0]).commit().unwrap();
    let error = wait(client.settle_async(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.code(), "LF2106");
    let error = wait(client.drain_async(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.code(), "LF2109");
    let limits =
        SyncLimits { deadline: Duration::from_secs(3_600), bytes_max: None, priority_min: 0 };
    {
        let mut slot = pin!(client.sync_once_async(limits));
        assert!(poll(slot.as_mut()).is_pending());
    }
    eventually("the slot that was given up is over", || {
        client.connection() == ConnectionState::Offline
    });
}
