//! Devices and regions: what was written arrives, once, wherever it has to.

use crate::world::{SOON, World, eventually, order};
use landfall_device::{
    Client, ConnectionState, Coverage, Event, Fate, SqlValue, TokenFuture, TokenProvider,
    TokenReason, Value,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NONE: [(&str, Value); 0] = [];

fn orders(client: &Client) -> Vec<(String, String)> {
    let rows = client.query("SELECT id, status FROM \"Order\" ORDER BY id", []).unwrap();
    let text = |v: &SqlValue| v.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|r| (text(&r.values()[0]), text(&r.values()[1]))).collect()
}

#[test]
fn what_is_written_offline_arrives_once_online() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0, 1]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.subscribe("catalog").unwrap();
    let dot = order(&client, "o1", "PLACED");
    for _ in 0..10 {
        let sold =
            client.transaction().upsert("Stock", "s", NONE).increment("Stock", "s", "sold", 1);
        sold.commit().unwrap();
    }
    assert_eq!(client.settle(Duration::from_millis(50)).unwrap_err().code(), "LF2106");
    assert_eq!(client.traffic().up(), 0);
    let mut fates = client.fates();
    client.go_online();
    client.settle(SOON).unwrap();
    assert!(matches!(client.connection(), ConnectionState::Online { region } if region == "r0"));
    assert_eq!(client.fate(dot).unwrap(), Fate::Accepted { durable: true });
    assert!(client.outbox_status().unwrap().is_empty());
    assert!(client.subscriptions().unwrap().iter().all(|p| p.complete()));
    assert_eq!(client.get("Stock", "s").unwrap().unwrap().integer("sold"), Some(10));
    let mut seen = Vec::new();
    while let Some(Event::Fate { dot: of, fate, .. }) = fates.next_within(Duration::ZERO) {
        if of == dot {
            seen.push(fate);
        }
    }
    assert_eq!(seen.last(), Some(&Fate::Accepted { durable: true }));
    assert!(seen.len() <= 3, "{seen:?}");
    assert!(world.received().iter().all(|(_, _, dense)| *dense));
}

#[test]
fn two_devices_on_two_regions_converge() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let a = world.client(&dir.path().join("a.db"), &[0]);
    let b = world.client(&dir.path().join("b.db"), &[1]);
    for client in [&a, &b] {
        client.subscribe("market/fr").unwrap();
        client.subscribe("catalog").unwrap();
    }
    for n in 0..20 {
        order(&a, &format!("a{n}"), "PLACED");
        order(&b, &format!("b{n}"), "PLACED");
        order(if n % 2 == 0 { &a } else { &b }, "shared", &n.to_string());
        for client in [&a, &b] {
            let stock = client.transaction().upsert("Stock", "s", NONE);
            stock.increment("Stock", "s", "sold", 1).commit().unwrap();
        }
    }
    a.settle(SOON).unwrap();
    b.settle(SOON).unwrap();
    eventually("both see the same", || orders(&a).len() == 41 && orders(&a) == orders(&b));
    let sold = |c: &Client| c.get("Stock", "s").unwrap().and_then(|r| r.integer("sold"));
    eventually("both count all", || sold(&a) == Some(40) && sold(&b) == Some(40));
}

#[test]
fn another_region_sends_only_what_is_new() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let writer = world.client(&dir.path().join("w.db"), &[1]);
    writer.subscribe("market/fr").unwrap();
    let long = "x".repeat(200);
    for chunk in 0..10 {
        let mut t = writer.transaction();
        for n in 0..100 {
            let fields = [("market", "fr".into()), ("status", long.as_str().into())];
            t = t.upsert("Order", &format!("o{chunk}-{n}"), fields);
        }
        t.commit().unwrap();
    }
    writer.settle(SOON).unwrap();
    let reader = world.client(&dir.path().join("r.db"), &[0, 1]);
    reader.subscribe("market/fr").unwrap();
    reader.settle(SOON).unwrap();
    let first = reader.traffic().down();
    assert_eq!(orders(&reader).len(), 1000);
    assert!(first > 200_000, "{first} bytes");

    reader.go_offline();
    order(&writer, "new", "PLACED");
    writer.settle(SOON).unwrap();
    world.replicated();
    world.set_up(0, false);
    reader.go_online();
    let moved = |c: &Client| c.connection() == ConnectionState::Online { region: "r1".into() };
    eventually("the reader moved", || moved(&reader));
    reader.settle(SOON).unwrap();
    assert_eq!(orders(&reader).len(), 1001);
    let second = reader.traffic().down() - first;
    assert!(second < first / 20, "{second} bytes after {first}");
    // It stays where it works.
    world.set_up(0, true);
    order(&writer, "newer", "PLACED");
    eventually("live there", || orders(&reader).len() == 1002);
    assert!(moved(&reader));
}

#[test]
fn a_region_that_hangs_up_is_followed_by_the_next() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let client = world.client(&dir.path().join("a.db"), &[0, 1]);
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    world.set_up(0, false);
    world.set_up(1, false);
    order(&client, "o1", "PLACED");
    let waits = |c: &Client| matches!(c.connection(), ConnectionState::Waiting { .. });
    eventually("no region answers", || waits(&client));
    world.set_up(1, true);
    client.settle(SOON).unwrap();
    assert_eq!(client.connection(), ConnectionState::Online { region: "r1".into() });
}

/// Gives `old` until it is told that this will not do.
struct Tokens(Mutex<Vec<TokenReason>>);

impl TokenProvider for Tokens {
    fn token(&self, reason: TokenReason) -> TokenFuture {
        self.0.lock().unwrap().push(reason);
        let token = if reason == TokenReason::Refused { "new" } else { "old" };
        Box::pin(async move { Ok(token.to_owned()) })
    }
}

#[test]
fn an_expired_token_is_replaced_and_is_no_fate() {
    let expired = Arc::new(Mutex::new(vec!["old".to_owned()]));
    let (world, dir) = (World::refusing(1, expired), tempfile::tempdir().unwrap());
    let tokens = Arc::new(Tokens(Mutex::default()));
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.tokens = tokens.clone();
    let client = Client::open(options).unwrap();
    let dot = order(&client, "o1", "PLACED");
    client.settle(SOON).unwrap();
    // One region alone cannot hold two copies; it asks for as many as there are.
    assert!(matches!(client.fate(dot).unwrap(), Fate::Accepted { .. }));
    let reasons = tokens.0.lock().unwrap().clone();
    assert_eq!(reasons, [TokenReason::Connect, TokenReason::Refused]);
}

#[test]
fn a_scope_that_is_left_is_gone_and_comes_back() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = world.client(&dir.path().join("a.db"), &[0]);
    client.subscribe("market/fr").unwrap();
    order(&client, "o1", "PLACED");
    client.settle(SOON).unwrap();
    client.unsubscribe("market/fr").unwrap();
    eventually("the row left", || orders(&client).is_empty());
    assert_eq!(client.progress("market/fr").unwrap(), None);
    // Nothing answers while it is looked at: on a fast machine the rows could be there before.
    world.set_up(0, false);
    client.subscribe("market/fr").unwrap();
    assert_eq!(client.progress("market/fr").unwrap().unwrap().coverage, Coverage::Loading);
    world.set_up(0, true);
    client.settle(SOON).unwrap();
    assert_eq!(client.progress("market/fr").unwrap().unwrap().coverage, Coverage::Complete);
    assert_eq!(orders(&client).len(), 1);
}

#[tokio::test]
async fn what_must_not_block_waits_by_a_future() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(1);
    let client = world.client(&folder.path().join("a.db"), &[0]);
    client.go_offline();
    client
        .transaction()
        .upsert("Stock", "tea", NONE)
        .increment("Stock", "tea", "sold", 1)
        .commit()
        .unwrap();
    let early = client.settle_async(Duration::from_millis(30)).await;
    assert_eq!(early.unwrap_err().code(), "LF2106");
    client.go_online();
    client.settle_async(SOON).await.unwrap();
    client.close_async().await.unwrap();
    assert_eq!(client.outbox_status().unwrap_err().code(), "LF2104");
}
