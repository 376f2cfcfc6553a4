//! Several people on one device.

use crate::world::{SOON, World, eventually, order};
use landfall_device::{Account, Accounts, Client, FixedToken, KnownAccount, SignOut, Value};
use landfall_sync::region::node::LinkId;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn account(subject: &str) -> Account {
    Account { tenant: "acme".into(), subject: subject.into() }
}

fn accounts(world: &World, dir: &Path) -> Accounts {
    Accounts::new(dir.join("accounts"), world.options(dir, &[0])).unwrap()
}

fn sign_in(accounts: &Accounts, subject: &str) -> Client {
    let token = FixedToken(format!("as {subject}"));
    let client = accounts.sign_in(account(subject), Arc::new(token)).unwrap();
    client.subscribe("market/fr").unwrap();
    client
}

fn ids(client: &Client) -> Vec<String> {
    let rows = client.query("SELECT id FROM \"Order\" ORDER BY id", []).unwrap();
    rows.iter().map(|row| row.text("id").unwrap_or_default().to_owned()).collect()
}

/// Who pushed, as region 0 knows, and how many writes.
fn authors(world: &World) -> Vec<(String, u64)> {
    let mut all: Vec<(String, u64)> = world.ask(|regions| {
        let devices = regions[0].store.iter_devices();
        let author = |r: &landfall_sync::region::store::DeviceRecord| {
            (r.principal.as_deref().unwrap_or_default().to_owned(), r.received.highest())
        };
        devices.map(|(_, r)| author(r)).collect()
    });
    all.sort();
    all
}

/// The bytes of an account's file, its log included.
fn bytes_of(dir: &Path, client: &Client) -> Vec<u8> {
    let open = client.account().clone();
    client.close().unwrap();
    let mut all = Vec::new();
    for entry in fs::read_dir(dir.join("accounts")).unwrap() {
        let path = entry.unwrap().path();
        if landfall_device::store::peek(&path).is_ok_and(|p| p.subject == open.subject) {
            all.extend(fs::read(path).unwrap());
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

#[test]
fn who_signs_out_offline_finds_the_writes_again_and_another_sees_none_of_them() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    anna.go_offline();
    order(&anna, "written-by-anna", "PLACED");
    assert_eq!(accounts.sign_out(&anna, SignOut::Keep).unwrap(), 1);

    let ben = sign_in(&accounts, "ben");
    order(&ben, "written-by-ben", "PLACED");
    ben.settle(SOON).unwrap();
    assert_eq!(authors(&world), [("ben".to_owned(), 1)]);
    let both = [("anna", 1), ("ben", 0)];
    let known = both.map(|(s, unsent)| KnownAccount { account: account(s), unsent });
    assert_eq!(accounts.list().unwrap(), known);
    let of_ben = bytes_of(dir.path(), &ben);
    assert!(holds(&of_ben, "written-by-ben"), "the search finds what is there");
    assert!(!holds(&of_ben, "written-by-anna"));

    let anna = sign_in(&accounts, "anna");
    anna.settle(SOON).unwrap();
    assert_eq!(authors(&world), [("anna".to_owned(), 1), ("ben".to_owned(), 1)]);
    assert_eq!(ids(&anna).len(), 2);
}

#[test]
fn signing_out_waits_for_what_is_unsent_and_fails_without_a_loss() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    anna.go_offline();
    order(&anna, "o1", "PLACED");
    let wait = SignOut::Wait(Duration::from_millis(20));
    assert_eq!(accounts.sign_out(&anna, wait).unwrap_err().code(), "LF2109");
    assert_eq!(ids(&anna).len(), 1, "the client is open as before");
    anna.go_online();
    assert_eq!(accounts.sign_out(&anna, SignOut::Wait(SOON)).unwrap(), 0);
    assert_eq!(accounts.list().unwrap(), []);
    assert_eq!(authors(&world), [("anna".to_owned(), 1)]);
}

#[test]
fn who_discards_leaves_nothing_behind() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    anna.go_offline();
    order(&anna, "o1", "PLACED");
    assert_eq!(accounts.sign_out(&anna, SignOut::Discard).unwrap(), 1);
    assert_eq!(fs::read_dir(dir.path().join("accounts")).unwrap().count(), 0);
    let anna = sign_in(&accounts, "anna");
    anna.settle(SOON).unwrap();
    assert_eq!((ids(&anna), authors(&world)), (vec![], vec![]));
}

/// Writes of somebody without an account: an order with a text and a set.
fn without_account(accounts: &Accounts) -> Account {
    let anonymous = accounts.anonymous();
    let client = accounts.sign_in(anonymous.clone(), Arc::new(FixedToken::default())).unwrap();
    client.go_offline();
    order(&client, "before", "PLACED");
    let tag = Value::text("gift");
    client.transaction().add_to_set("Order", "before", "tags", tag).commit().unwrap();
    client.transaction().splice("Order", "before", "note", 0, 0, "ring twice").commit().unwrap();
    client.close().unwrap();
    anonymous
}

fn check_claimed(world: &World, anna: &Client, count: u64) {
    let columns = "SELECT status, tags, note FROM \"Order\" WHERE id = 'before'";
    let shown = |client: &Client| format!("{:?}", client.query(columns, []).unwrap());
    let before = shown(anna);
    for part in ["PLACED", "gift", "ring twice"] {
        assert!(before.contains(part), "{before}");
    }
    anna.settle(SOON).unwrap();
    assert_eq!(shown(anna), before);
    assert_eq!(authors(world), [("anna".to_owned(), count)]);
}

#[test]
fn an_account_takes_over_what_was_done_without_one() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anonymous = without_account(&accounts);
    let count = accounts.claim(&anonymous, &account("anna")).unwrap();
    assert!(count >= 1);
    assert_eq!(accounts.list().unwrap().len(), 1);
    let anna = sign_in(&accounts, "anna");
    check_claimed(&world, &anna, count);
    let gone = accounts.claim(&anonymous, &account("anna")).unwrap_err();
    assert_eq!(gone.code(), "LF2110");
}

#[test]
fn an_account_that_is_here_already_takes_it_over_too() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    order(&anna, "own", "PLACED");
    anna.settle(SOON).unwrap();
    accounts.sign_out(&anna, SignOut::Keep).unwrap();
    let anonymous = without_account(&accounts);
    let count = accounts.claim(&anonymous, &account("anna")).unwrap();
    assert_eq!(accounts.list().unwrap().len(), 1);
    let anna = sign_in(&accounts, "anna");
    check_claimed(&world, &anna, 1 + count);
    assert_eq!(ids(&anna).len(), 2);
}

#[test]
fn a_claim_that_was_killed_before_its_end_takes_nothing_over_twice() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    accounts.sign_out(&anna, SignOut::Keep).unwrap();
    let anonymous = accounts.anonymous();
    let guest = accounts.sign_in(anonymous.clone(), Arc::new(FixedToken::default())).unwrap();
    guest.go_offline();
    let none: [(&str, Value); 0] = [];
    guest
        .transaction()
        .upsert("Stock", "tea", none)
        .increment("Stock", "tea", "sold", 3)
        .commit()
        .unwrap();
    guest.close().unwrap();
    let known = |path: &Path| landfall_device::store::peek(path).unwrap().subject;
    let files = fs::read_dir(dir.path().join("accounts")).unwrap().map(|e| e.unwrap().path());
    let file = files.into_iter().find(|p| known(p) == anonymous.subject).unwrap();
    let copy = dir.path().join("copy");
    fs::copy(&file, &copy).unwrap();
    accounts.claim(&anonymous, &account("anna")).unwrap();
    // As if the process had died before it removed the file.
    fs::rename(&copy, &file).unwrap();
    accounts.claim(&anonymous, &account("anna")).unwrap();
    assert_eq!(accounts.list().unwrap().len(), 1);
    let anna = sign_in(&accounts, "anna");
    let sold = anna.query("SELECT sold FROM \"Stock\"", []).unwrap();
    assert_eq!(sold.scalar().and_then(landfall_device::SqlValue::as_i64), Some(3));
}

#[test]
fn writes_that_regions_know_under_one_name_are_not_taken_over_under_another() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    // Two copies are asked for, and the other region asks for none: the write stays on its way.
    world.ask(|regions| regions[1].node.link_down(LinkId(1)));
    let guest = sign_in(&accounts, "guest");
    order(&guest, "o1", "PLACED");
    eventually("a region has it", || guest.outbox_status().unwrap().accepted == 1);
    guest.close().unwrap();
    let refused = accounts.claim(&account("guest"), &account("anna")).unwrap_err();
    assert_eq!(refused.code(), "LF2109");
    assert_eq!(accounts.list().unwrap()[0].account, account("guest"));
}
