//! Orders change hands while their drivers are away and a region dies.
//!
//! Three regions as processes. Two clerks write at two of them at once, often to the same order;
//! one of these regions is killed in the middle and comes back on its files. Then each driver
//! comes back at another region than the one that he left, and has exactly his orders and lines.
//! `LANDFALL_TEST_ORDERS` sets the size.

use crate::world::{PATIENCE, World, eventually, rows};
use landfall_device::{Client, Fate, Options, Transaction, Value};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const HOME: &str = "region/lyon";
const LINES: usize = 3;
const DRIVERS: [&str; 3] = ["d1", "d2", "d3"];

/// Numbers that nothing else in a file looks like: the margin at first, and after a change.
const MARGIN: i64 = 0x5a17_3c9d_62b4_0f61;
const MARGIN_CHANGED: i64 = 0x6b28_4dae_73c5_1f72;

fn order_id(i: usize) -> String {
    format!("order-{i:05}")
}

/// Write all orders with their lines, in transactions of several.
fn stock_up(clerk: &Client, orders: usize) {
    for chunk in (0..orders).collect::<Vec<_>>().chunks(20) {
        let mut tx = clerk.transaction();
        for i in chunk {
            let order = order_id(*i);
            let fields = [
                ("market", Value::text("lyon")),
                ("customer", Value::text(format!("c{}", i % 5))),
                ("driver", Value::text(DRIVERS[i % 2])),
                ("placedAt", Value::Int(1_700_000_000_000_000 + *i as i64)),
                ("status", Value::text("PLACED")),
                ("marginCents", Value::Int(MARGIN)),
            ];
            tx = tx.upsert("Order", &order, fields);
            for n in 0..LINES {
                tx = tx.upsert("OrderLine", &format!("{order}#{n}"), line(&order, n));
            }
        }
        tx.commit().unwrap();
    }
}

fn line(order: &str, n: usize) -> [(&'static str, Value); 4] {
    [
        ("order", Value::text(order)),
        ("sku", Value::text(format!("sku-{n}"))),
        ("quantity", Value::Int(n as i64 + 1)),
        ("unitPrice", Value::Int(1_000 * n as i64)),
    ]
}

/// One clerk's day: every second order, and of every fifth both clerks think that it is theirs.
/// Lines come and go on orders that the other one hands over.
fn reassign(clerk: &Client, me: usize, orders: usize, done: &AtomicUsize) {
    for i in 0..orders {
        let order = order_id(i);
        let mut tx = clerk.transaction();
        if i % 2 == me || i % 5 == 0 {
            let to = if i % 17 == 0 { 2 } else { (i + 1 + me * usize::from(i % 5 == 0)) % 2 };
            tx = tx.update("Order", &order, [("driver", Value::text(DRIVERS[to]))]);
            if i % 7 == 0 {
                tx = tx.update("Order", &order, [("marginCents", Value::Int(MARGIN_CHANGED))]);
            }
            if i % 23 == 0 {
                tx = tx.update("Order", &order, [("driver", Value::Null)]);
            }
        } else if i % 3 == 0 {
            tx = tx.upsert("OrderLine", &format!("{order}#new{me}"), line(&order, 7));
        } else if i % 11 == 0 {
            tx = tx.delete("OrderLine", &format!("{order}#0"));
        } else {
            let quantity = [("quantity", Value::Int(100 + me as i64))];
            tx = tx.update("OrderLine", &format!("{order}#1"), quantity);
        }
        tx.commit().unwrap();
        done.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
}

const ORDERS_SQL: &str = "SELECT id, market, customer, driver, placedAt, status, marginCents";
const LINES_SQL: &str = "SELECT l.id, l.\"order\", l.sku, l.quantity, l.unitPrice FROM OrderLine l";

/// A driver's device holds what the office shows of him, and nothing else.
#[track_caller]
fn check_driver(what: &str, device: &Client, office: &Client, driver: &str) -> usize {
    let his = format!("{ORDERS_SQL} FROM \"Order\" WHERE driver = '{driver}'");
    let orders = rows(office, &his);
    assert_same(what, &rows(device, &format!("{ORDERS_SQL} FROM \"Order\"")), &orders);
    let his =
        format!("{LINES_SQL} JOIN \"Order\" o ON o.id = l.\"order\" WHERE o.driver = '{driver}'");
    assert_same(what, &rows(device, LINES_SQL), &rows(office, &his));
    orders.len()
}

type Table = std::collections::BTreeMap<String, String>;

#[track_caller]
fn assert_same(what: &str, found: &Table, expected: &Table) {
    let missing: Vec<_> = expected.iter().filter(|(id, _)| !found.contains_key(*id)).collect();
    let extra: Vec<_> = found.iter().filter(|(id, _)| !expected.contains_key(*id)).collect();
    let other = expected.iter().filter(|(id, row)| found.get(*id).is_some_and(|f| f != *row));
    let other: Vec<_> = other.map(|(id, row)| (id, row, &found[id])).collect();
    assert!(
        missing.is_empty() && extra.is_empty() && other.is_empty(),
        "{what}: {} expected, {} missing {:?}, {} too many {:?}, {} different {:?}",
        expected.len(),
        missing.len(),
        missing.iter().take(3).collect::<Vec<_>>(),
        extra.len(),
        extra.iter().take(3).collect::<Vec<_>>(),
        other.len(),
        other.iter().take(3).collect::<Vec<_>>(),
    );
}

fn subscribed(client: Client, scope: &str) -> Client {
    client.subscribe(scope).unwrap();
    client
}

fn driver(world: &World, name: &str, driver: &str, order: &[usize]) -> Client {
    let scope = format!("driver/{driver}");
    let client = subscribed(world.reader(name, order, &scope), &scope);
    client.settle(PATIENCE).unwrap();
    client
}

/// A third device of the first driver, which is with another region every moment until all is done.
/// Each of its cursors lies between what regions have told each other.
fn wander(openings: &[Options], scope: &str, work: &AtomicUsize, all: usize) {
    let mut stays = 0;
    while work.load(Ordering::Relaxed) < all {
        let client = Client::open(openings[stays % openings.len()].clone()).unwrap();
        client.subscribe(scope).unwrap();
        // In vain where the region is down.
        let _ = client.settle(Duration::from_millis(500));
        thread::sleep(Duration::from_millis(stays as u64 % 4 * 10));
        client.close().unwrap();
        stays += 1;
    }
}

/// Both clerks at work; the second one's region dies at a third and is back at two thirds.
fn work_through_a_crash(world: &mut World, clerks: &[Client; 2], orders: usize, wandering: bool) {
    let done = AtomicUsize::new(0);
    let token = world.token("wanderer", &[], &["driver/d1"]);
    let openings = [0, 2, 1].map(|region| world.options("wanderer", &[region], &token));
    thread::scope(|scope| {
        if wandering {
            scope.spawn(|| wander(&openings, "driver/d1", &done, 2 * orders));
        }
        for (me, clerk) in clerks.iter().enumerate() {
            let done = &done;
            scope.spawn(move || reassign(clerk, me, orders, done));
        }
        let wait = |part: usize| {
            eventually("the clerks work", || done.load(Ordering::Relaxed) >= 2 * orders * part / 3);
        };
        wait(1);
        assert!(world.entries(1) > 0, "the region has taken something in");
        world.kill(1);
        wait(2);
        world.start(1);
    });
}

#[test]
fn orders_that_change_hands_while_a_region_dies_end_with_their_drivers() {
    hand_over(false);
}

#[test]
fn a_driver_who_wanders_between_regions_meanwhile_has_his_orders_too() {
    hand_over(true);
}

/// The smallest case of the above. One region's driver has seen the line's position while the line
/// was not his; at the other region the order has been his before the line came.
#[test]
fn a_line_that_comes_after_its_order_changed_hands_reaches_the_driver() {
    let mut world = World::new(2);
    let clerks = [("clerk-a", [0, 1]), ("clerk-b", [1, 0])];
    let clerks = clerks.map(|(name, order)| subscribed(world.device(name, &order), HOME));
    stock_up(&clerks[0], 2);
    clerks[0].settle(PATIENCE).unwrap();
    world.wait_until_equal();
    clerks[1].settle(PATIENCE).unwrap();
    // Order 1 is driver 2's. Region 0 alone: it gets a line, and driver 1 has a cursor above it.
    let order = order_id(1);
    world.kill(1);
    let tx = clerks[0].transaction().upsert("OrderLine", "late", line(&order, 9));
    accepted(&clerks[0], tx);
    // Else it pushes the line to region 1 too, where that gets a second position.
    clerks[0].go_offline();
    driver(&world, "driver-1", "d1", &[0]).close().unwrap();
    // Region 1 alone: the order becomes driver 1's.
    world.kill(0);
    world.start(1);
    let tx = clerks[1].transaction().update("Order", &order, [("driver", Value::text("d1"))]);
    accepted(&clerks[1], tx);
    world.start(0);
    world.wait_until_equal();
    clerks[0].go_online();
    clerks.iter().for_each(|c| c.settle(PATIENCE).unwrap());
    let fresh = driver(&world, "fresh", "d1", &[1]);
    check_driver("a fresh device", &fresh, &clerks[0], "d1");
    let back = driver(&world, "driver-1", "d1", &[1]);
    check_driver("the driver", &back, &clerks[0], "d1");
}

fn accepted(clerk: &Client, tx: Transaction) {
    let dot = tx.commit().unwrap().dots[0];
    eventually("a region accepts it", || matches!(clerk.fate(dot).unwrap(), Fate::Accepted { .. }));
}

fn hand_over(wandering: bool) {
    let orders = std::env::var("LANDFALL_TEST_ORDERS").map_or(150, |n| n.parse().unwrap());
    let mut world = World::new(3);
    let clerks = [("clerk-a", [0, 1, 2]), ("clerk-b", [1, 2, 0])];
    let clerks = clerks.map(|(name, order)| subscribed(world.device(name, &order), HOME));
    stock_up(&clerks[0], orders);
    clerks[0].settle(PATIENCE).unwrap();
    world.wait_until_equal();
    let office = subscribed(world.device("office", &[2, 0, 1]), HOME);
    clerks.iter().chain([&office]).for_each(|c| c.settle(PATIENCE).unwrap());
    let away = [driver(&world, "driver-1", "d1", &[0]), driver(&world, "driver-2", "d2", &[1])];
    let customer = world.reader("customer", &[2], "customer/c0");
    let customer = subscribed(customer, "customer/c0");
    customer.settle(PATIENCE).unwrap();
    for (device, name) in away.iter().zip(DRIVERS) {
        assert_eq!(check_driver("at first", device, &office, name), orders / 2);
    }
    away.iter().chain([&customer]).for_each(|c| c.close().unwrap());

    work_through_a_crash(&mut world, &clerks, orders, wandering);
    clerks.iter().for_each(|c| c.settle(PATIENCE).unwrap());
    world.wait_until_equal();
    // Opened anew, so that nothing that is still on its way hides a difference.
    office.close().unwrap();
    let office = subscribed(world.device("office", &[0, 1, 2]), HOME);
    office.settle(PATIENCE).unwrap();

    let mut counts = Vec::new();
    for (i, name) in DRIVERS.into_iter().enumerate() {
        // Driver 1 left region 0 and comes back at 1, the one that died; driver 2 left 1, comes at 2.
        let back = driver(&world, &format!("driver-{}", i + 1), name, &[(i + 1) % 3, 0]);
        counts.push(check_driver("back at another region", &back, &office, name));
        for region in 0..3 {
            let fresh = driver(&world, &format!("fresh-{name}-{region}"), name, &[region]);
            check_driver(&format!("fresh at region {region}"), &fresh, &office, name);
            fresh.close().unwrap();
        }
        back.close().unwrap();
    }
    if wandering {
        let wanderer = driver(&world, "wanderer", "d1", &[2, 0, 1]);
        check_driver("the wanderer", &wanderer, &office, "d1");
    }
    println!("{orders} orders; the drivers hold {counts:?} in the end");
    check_customer(&world, &office);
}

/// The customer has their orders, and not one byte of a margin in any of their files.
fn check_customer(world: &World, office: &Client) {
    let customer = subscribed(world.reader("customer", &[1], "customer/c0"), "customer/c0");
    customer.settle(PATIENCE).unwrap();
    let columns = "SELECT id, market, customer, driver, placedAt, status FROM \"Order\"";
    let theirs = rows(office, &format!("{columns} WHERE customer = 'c0'"));
    assert_same("the customer", &rows(&customer, columns), &theirs);
    let shown = "SELECT count(*) FROM \"Order\" WHERE marginCents IS NOT NULL";
    assert_eq!(crate::world::number(&customer, shown), 0);
    let mut searched = 0;
    for open in [true, false] {
        let margins = [MARGIN, MARGIN_CHANGED].map(|m| search(&world.file("customer"), m));
        assert_eq!(margins.each_ref().map(|(found, _)| found.len()), [0, 0], "{margins:?}");
        searched += margins[0].1;
        if open {
            customer.close().unwrap();
        }
    }
    // The same search finds what is there: nothing is proved by a search that finds nothing.
    let control = [MARGIN, MARGIN_CHANGED].map(|m| search(&world.file("office"), m));
    assert!(control.iter().all(|(found, _)| !found.is_empty()), "{control:?}");
    println!("customer: {} orders, 0 hits in {searched} bytes; office: {control:?}", theirs.len());
}

/// Where a number is found, in any form that it could have, in a device's files; and how many
/// bytes were searched.
fn search(db: &Path, number: i64) -> (Vec<String>, usize) {
    let (mut found, mut searched) = (Vec::new(), 0);
    let name = db.file_name().unwrap().to_str().unwrap();
    for entry in std::fs::read_dir(db.parent().unwrap()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        // With -wal, -shm, -journal and whatever else lies beside it.
        if !file.starts_with(name) {
            continue;
        }
        let bytes = std::fs::read(db.with_file_name(&file)).unwrap();
        searched += bytes.len();
        for (form, needle) in forms(number) {
            let hits = bytes.windows(needle.len()).filter(|w| *w == needle).count();
            if hits > 0 {
                found.push(format!("{file}: {hits} as {form}"));
            }
        }
    }
    assert!(searched > 0, "{name} has files");
    (found, searched)
}

fn forms(number: i64) -> Vec<(&'static str, Vec<u8>)> {
    let hex = format!("{number:x}");
    vec![
        // SQLite's integers and CBOR's (behind 1b) are both of this form.
        ("8 bytes, big end first", number.to_be_bytes().to_vec()),
        ("8 bytes, small end first", number.to_le_bytes().to_vec()),
        ("decimal", number.to_string().into_bytes()),
        ("hexadecimal", hex.clone().into_bytes()),
        ("HEXADECIMAL", hex.to_uppercase().into_bytes()),
        ("protobuf varint", varint(number as u64)),
        ("protobuf zigzag", varint(((number << 1) ^ (number >> 63)) as u64)),
        ("SQLite varint", sqlite_varint(number as u64)),
        ("float", (number as f64).to_be_bytes().to_vec()),
    ]
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Nine bytes: seven bits each, high ones first, and eight in the last.
fn sqlite_varint(n: u64) -> Vec<u8> {
    let high = (0..8).map(|i| (n >> (57 - 7 * i)) as u8 & 0x7f | 0x80);
    high.chain([n as u8]).collect()
}
