//! Parts of scopes on real files: budgets, the disk, pins, and slots in the background.

use crate::world::{SOON, World, count, eventually, order};
use landfall_device::{Client, ConnectionState, Coverage, Query, SyncLimits, Terms};
use std::time::Duration;

const ORDERS: usize = 3_000;

/// A world with many orders in it.
fn filled() -> World {
    let world = World::new(1);
    let dir = tempfile::tempdir().unwrap();
    let writer = world.client(&dir.path().join("writer.db"), &[0]);
    for page in 0..ORDERS / 500 {
        let mut tx = writer.transaction();
        for n in 0..500 {
            let id = format!("o{:05}", page * 500 + n);
            let status = "x".repeat(200);
            let fields = [("market", "fr".into()), ("status", status.as_str().into())];
            tx = tx.upsert("Order", &id, fields);
        }
        tx.commit().unwrap();
    }
    writer.drain(SOON).unwrap();
    world
}

#[test]
fn a_budget_is_kept_said_and_raised() {
    let (world, dir) = (filled(), tempfile::tempdir().unwrap());
    let client = world.client(&dir.path().join("a.db"), &[0]);
    let terms = Terms { rows_max: Some(700), ..Terms::default() };
    client.subscribe_with("market/fr", terms).unwrap();
    client.settle(SOON).unwrap();
    assert_eq!(count(&client), 700);
    let progress = client.progress("market/fr").unwrap().unwrap();
    assert_eq!(progress.coverage, Coverage::Partial);
    assert!(progress.missing.for_room && progress.as_of_ms > 0);
    let mut watch = client.observe(Query::table("Order").limit(5)).unwrap();
    assert_eq!(watch.next_within(SOON).unwrap().unwrap().coverage, Coverage::Partial);
    // A row that is not here is fetched when it is asked for.
    assert_eq!(client.get("Order", "o02999").unwrap(), None);
    client.pin("Order", "market/fr", "o02999").unwrap();
    eventually("the pinned row", || client.get("Order", "o02999").unwrap().is_some());
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    assert_eq!(count(&client), ORDERS);
    assert!(client.progress("market/fr").unwrap().unwrap().complete());
    assert_eq!(client.outcomes().unwrap(), []);
}

#[test]
fn a_file_stays_within_its_limit_and_pinned_rows_stay_in_it() {
    let (world, dir) = (filled(), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.disk_bytes_max = Some(800_000);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    order(&client, "mine", "PLACED");
    client.pin("Order", "market/fr", "mine").unwrap();
    client.subscribe("market/fr").unwrap();
    client.go_online();
    client.settle(SOON).unwrap();
    let here = count(&client);
    assert!((100..ORDERS).contains(&here), "{here} rows");
    assert!(client.progress("market/fr").unwrap().unwrap().missing.for_room);
    assert!(client.get("Order", "mine").unwrap().is_some());
    client.close().unwrap();
    let bytes = std::fs::metadata(dir.path().join("a.db")).unwrap().len();
    assert!(bytes < 1_600_000, "{bytes} bytes");
}

#[test]
fn a_slot_ends_when_all_is_done_or_its_limits_are_met_and_the_next_goes_on() {
    let (world, dir) = (filled(), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    for n in 0..200 {
        order(&client, &format!("mine-{n}"), "PLACED");
    }
    client.subscribe("market/fr").unwrap();
    let slot = |bytes_max| {
        client.sync_once(SyncLimits { deadline: SOON, bytes_max, priority_min: 0 }).unwrap()
    };
    let first = slot(Some(1));
    assert!(!first.done && first.bytes_up + first.bytes_down > 0);
    let mut last = slot(None);
    for _ in 0..3 {
        last = slot(None);
    }
    assert!(last.done && last.unsent == 0);
    assert_eq!(count(&client), ORDERS + 200);
    world.set_up(0, false);
    order(&client, "late", "PLACED");
    let limits =
        SyncLimits { deadline: Duration::from_millis(30), bytes_max: None, priority_min: 0 };
    let cut = client.sync_once(limits).unwrap();
    assert!(!cut.done && cut.unsent == 1);
}

#[test]
fn a_slot_asks_for_nothing_of_lower_priorities_than_it_is_for() {
    let (world, dir) = (filled(), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.subscribe_with("market/de", Terms { priority: 5, ..Terms::default() }).unwrap();
    order(&client, "mine", "PLACED");
    let slot = |priority_min| {
        client.sync_once(SyncLimits { deadline: SOON, bytes_max: None, priority_min }).unwrap()
    };
    let urgent = slot(5);
    assert!(urgent.done && urgent.unsent == 0, "{urgent:?}");
    let coverage = |scope: &str| client.progress(scope).unwrap().unwrap().coverage;
    assert_eq!(coverage("market/de"), Coverage::Complete);
    assert_eq!(coverage("market/fr"), Coverage::Loading);
    assert_eq!(count(&client), 1);
    eventually("the slot's end", || client.connection() == ConnectionState::Offline);
    let rest = slot(0);
    assert!(rest.done, "{rest:?}");
    assert_eq!(count(&client), ORDERS + 1);
}

#[test]
fn a_slot_ends_as_the_app_wants_it_that_goes_online_meanwhile() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    world.set_up(0, false);
    let limits =
        SyncLimits { deadline: Duration::from_millis(500), bytes_max: None, priority_min: 9 };
    std::thread::scope(|scope| {
        let slot = scope.spawn(|| client.sync_once(limits).unwrap());
        eventually("the slot", || client.connection() != ConnectionState::Offline);
        client.go_online();
        slot.join().unwrap();
    });
    world.set_up(0, true);
    client.settle(SOON).unwrap();
    assert!(client.progress("market/fr").unwrap().unwrap().complete());
}

/// A catalogue that is much larger than what the device may hold. `LANDFALL_TEST_PRODUCTS` sets how
/// large; the device keeps the same part of it.
#[test]
fn of_a_large_catalogue_a_part_is_held_and_nothing_absent_reads_as_deleted() {
    let products = std::env::var("LANDFALL_TEST_PRODUCTS").map_or(5_000, |n| n.parse().unwrap());
    let (rows_max, disk_bytes_max) = (products / 25, products as u64 * 100);
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let writer = world.client(&dir.path().join("writer.db"), &[0]);
    for page in 0..products / 1_000 {
        let mut tx = writer.transaction();
        for n in page * 1_000..(page + 1) * 1_000 {
            let fields = [("market", "fr".into()), ("status", "a product".into())];
            tx = tx.upsert("Order", &format!("p{n:07}"), fields);
        }
        tx.commit().unwrap();
    }
    writer.drain(SOON * 60).unwrap();

    let path = dir.path().join("a.db");
    let mut options = world.options(&path, &[0]);
    options.disk_bytes_max = Some(disk_bytes_max);
    let client = Client::open(options).unwrap();
    let terms = Terms { rows_max: Some(rows_max as u64), ..Terms::default() };
    client.subscribe_with("market/fr", terms).unwrap();
    client.settle(SOON * 60).unwrap();
    let here = count(&client);
    assert!(here > 0 && here <= rows_max, "{here} rows");
    let progress = client.progress("market/fr").unwrap().unwrap();
    assert_eq!(progress.coverage, Coverage::Partial);
    assert!(progress.missing.for_room);

    // What is absent was neither deleted nor overwritten: a change of it elsewhere says nothing,
    // and it can be had at any time.
    let absent = format!("p{:07}", products - 1);
    assert_eq!(client.get("Order", &absent).unwrap(), None);
    order(&writer, &absent, "CHANGED");
    writer.drain(SOON).unwrap();
    client.settle(SOON).unwrap();
    assert_eq!((count(&client), client.outcomes().unwrap()), (here, vec![]));
    client.pin("Order", "market/fr", &absent).unwrap();
    eventually("the absent product", || client.get("Order", &absent).unwrap().is_some());
    let down = client.traffic().down();
    client.close().unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes <= disk_bytes_max, "{bytes} bytes");
    println!("{here} of {products} products here, {bytes} bytes on disk, {down} received");
}

#[test]
fn slots_and_the_apps_own_wish_for_the_network_do_not_undo_one_another() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    let is_online = || matches!(client.connection(), ConnectionState::Online { .. });
    let slot = |deadline: Duration| {
        let client = client.clone();
        std::thread::spawn(move || {
            client.sync_once(SyncLimits { deadline, bytes_max: None, priority_min: 0 }).unwrap()
        })
    };
    // Nothing can be done, so each slot lasts until its time is over.
    world.set_up(0, false);
    order(&client, "o1", "PLACED");
    let (short, long) = (slot(Duration::from_millis(50)), slot(SOON));
    assert!(!short.join().unwrap().done);
    world.set_up(0, true);
    assert!(long.join().unwrap().done, "the end of one slot is not the end of another");
    eventually("offline again", || client.connection() == ConnectionState::Offline);

    // The app goes online while a slot is open.
    world.set_up(0, false);
    order(&client, "o2", "PLACED");
    let other = slot(SOON);
    eventually("the slot is open", || client.connection() != ConnectionState::Offline);
    client.go_online();
    world.set_up(0, true);
    assert!(other.join().unwrap().done);
    eventually("still online", is_online);

    // To go offline ends every slot.
    client.go_offline();
    eventually("offline", || client.connection() == ConnectionState::Offline);
    let last = slot(SOON);
    assert!(last.join().unwrap().done);
    eventually("offline behind it", || client.connection() == ConnectionState::Offline);
    world.set_up(0, false);
    order(&client, "o3", "PLACED");
    let ended = slot(SOON * 2);
    eventually("the slot is open", || client.connection() != ConnectionState::Offline);
    client.go_offline();
    eventually("offline at once", || client.connection() == ConnectionState::Offline);
    eventually("its wait is over", || ended.is_finished());
    assert!(!ended.join().unwrap().done);
    assert_eq!(client.connection(), ConnectionState::Offline);
}

#[test]
fn a_wait_may_be_of_any_length() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let client = world.client(&dir.path().join("a.db"), &[0]);
    order(&client, "o1", "PLACED");
    client.settle(Duration::MAX).unwrap();
    client.drain(Duration::MAX).unwrap();
    let limits = SyncLimits { deadline: Duration::MAX, bytes_max: None, priority_min: 0 };
    assert!(client.sync_once(limits).unwrap().done);
}
