//! Several people on one device.

use crate::world::{SOON, World, eventually, order};
use landfall_device::{Account, Accounts, Client, Fate, FixedToken, KnownAccount, SignOut, Value};
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

/// Somebody without an account sells some tea, offline.
fn sell(accounts: &Accounts, anonymous: &Account, count: i64) {
    let guest = accounts.sign_in(anonymous.clone(), Arc::new(FixedToken::default())).unwrap();
    guest.go_offline();
    let none: [(&str, Value); 0] = [];
    let sale = guest.transaction().upsert("Stock", "tea", none);
    sale.increment("Stock", "tea", "sold", count).commit().unwrap();
    guest.close().unwrap();
}

fn sold(anna: &Client) -> Option<i64> {
    let rows = anna.query("SELECT sold FROM \"Stock\"", []).unwrap();
    rows.scalar().and_then(landfall_device::SqlValue::as_i64)
}

fn file_of(dir: &Path, subject: &str) -> std::path::PathBuf {
    let known = |path: &Path| landfall_device::store::peek(path).unwrap().subject;
    let files = fs::read_dir(dir.join("accounts")).unwrap().map(|e| e.unwrap().path());
    files.into_iter().find(|p| known(p) == subject).unwrap()
}

#[test]
fn what_is_written_behind_a_claim_that_was_killed_is_taken_over_by_the_next() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    accounts.sign_out(&sign_in(&accounts, "anna"), SignOut::Keep).unwrap();
    let anonymous = accounts.anonymous();
    sell(&accounts, &anonymous, 3);
    let (file, copy) = (file_of(dir.path(), &anonymous.subject), dir.path().join("copy"));
    fs::copy(&file, &copy).unwrap();
    accounts.claim(&anonymous, &account("anna")).unwrap();
    // As if the process had died before it removed the file; and the user went on without an account.
    fs::rename(&copy, &file).unwrap();
    sell(&accounts, &anonymous, 4);
    accounts.claim(&anonymous, &account("anna")).unwrap();
    assert_eq!(accounts.list().unwrap().len(), 1);
    assert_eq!(sold(&sign_in(&accounts, "anna")), Some(7), "each sale once, and all of them");
}

#[test]
fn an_anonymous_name_that_is_used_again_is_claimed_again() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    accounts.sign_out(&sign_in(&accounts, "anna"), SignOut::Keep).unwrap();
    let anonymous = accounts.anonymous();
    for _ in 0..3 {
        sell(&accounts, &anonymous, 2);
        accounts.claim(&anonymous, &account("anna")).unwrap();
    }
    assert_eq!(sold(&sign_in(&accounts, "anna")), Some(6));
}

#[test]
fn a_claimed_write_that_cannot_be_made_yet_waits_for_the_app() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    anna.go_offline();
    accounts.sign_out(&anna, SignOut::Keep).unwrap();
    let guest = sign_in(&accounts, "guest");
    order(&guest, "o1", "PLACED");
    guest.settle(SOON).unwrap();
    crate::field::offline(&guest);
    // Anna's file has never heard of the order.
    let paid = [("status", Value::text("PAID"))];
    let update = guest.transaction().update("Order", "o1", paid).commit().unwrap().dots[0];
    order(&guest, "o2", "PLACED");
    guest.close().unwrap();
    assert_eq!(accounts.claim(&account("guest"), &account("anna")).unwrap(), 2);
    let anna = sign_in(&accounts, "anna");
    anna.settle(SOON).unwrap();
    assert_eq!(ids(&anna), ["o1", "o2"], "what could be made was");
    let outcomes = anna.outcomes().unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].dot, update);
    match anna.fate(update).unwrap() {
        Fate::Rejected { code, .. } => assert_eq!(code, "LF2131"),
        other => panic!("{other:?}"),
    }
    // Nobody signs out over it.
    let wait = accounts.sign_out(&anna, SignOut::Wait(SOON)).unwrap_err();
    assert_eq!(wait.code(), "LF2109");
    anna.resubmit(update).unwrap();
    anna.settle(SOON).unwrap();
    assert_eq!(anna.get("Order", "o1").unwrap().unwrap().text("status"), Some("PAID"));
    accounts.sign_out(&anna, SignOut::Wait(SOON)).unwrap();
    assert_eq!(accounts.list().unwrap(), []);
}

#[test]
fn what_is_written_while_the_account_signs_out_is_not_lost() {
    for round in 0..12 {
        let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
        let accounts = accounts(&world, dir.path());
        let anna = sign_in(&accounts, "anna");
        let writer = anna.clone();
        // Somebody goes on writing until the client is closed.
        let writes = std::thread::spawn(move || {
            let mut written = Vec::new();
            for n in 0..100_000 {
                let id = format!("o{n}");
                let fields = [("market", "fr".into()), ("status", "PLACED".into())];
                match writer.transaction().upsert("Order", &id, fields).commit() {
                    Ok(_) => written.push(id),
                    Err(error) => {
                        assert_eq!(error.code(), "LF2104");
                        break;
                    }
                }
                std::thread::sleep(Duration::from_millis(n % 4));
            }
            written
        });
        std::thread::sleep(Duration::from_millis(10 + round * 3));
        let left = accounts.sign_out(&anna, SignOut::Wait(SOON));
        let mut written = writes.join().unwrap();
        if let Err(error) = &left {
            assert_eq!(error.code(), "LF2109");
            let again = sign_in(&accounts, "anna");
            accounts.sign_out(&again, SignOut::Wait(SOON)).unwrap();
        }
        assert_eq!(accounts.list().unwrap(), []);
        let reader = sign_in(&accounts, "ben");
        reader.settle(SOON).unwrap();
        written.sort();
        assert_eq!(ids(&reader), written, "round {round}, {left:?}");
    }
}

#[test]
fn a_name_with_a_nul_could_pass_for_another_s_and_is_refused() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let accounts = accounts(&world, dir.path());
    let name = |tenant: &str, subject: &str| Account {
        tenant: tenant.to_owned(),
        subject: subject.to_owned(),
    };
    let anonymous = accounts.anonymous();
    let token = || Arc::new(FixedToken("as anna".to_owned()));
    accounts.sign_in(anonymous.clone(), token()).unwrap().close().unwrap();
    for account in [name("acme\0anna", "b"), name("acme", "anna\0b")] {
        let refused = accounts.sign_in(account.clone(), token()).unwrap_err();
        assert_eq!(refused.code(), "LF2114");
        assert_eq!(accounts.claim(&anonymous, &account).unwrap_err().code(), "LF2114");
    }
    let known: Vec<Account> = accounts.list().unwrap().into_iter().map(|k| k.account).collect();
    assert_eq!(known, [anonymous]);
}
