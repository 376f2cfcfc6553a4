//! A catalogue that every account reads, and that the device keeps once.

use crate::world::{SOON, Wire, World, eventually, order};
use landfall_device::transport::{Connecting, Connection, Traffic, Transport};
use landfall_device::{
    Account, Accounts, Client, ConnectionState, Coverage, Event, Fate, FixedToken, Network,
    Options, Query, RegionUrl, SignOut, SqlValue, TokenFuture, TokenProvider, TokenReason, Value,
    compile,
};
use landfall_sync::wire::DeviceFrame;
use landfall_sync::wire::device_frame::Kind;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

const SHOP: &str = r#"
type Product @entity(strategy: LAST_WRITE_WINS, scope: "catalog") @shared {
  id: ID!  name: String! @search  price: Int }
type Variant @entity(strategy: LAST_WRITE_WINS, parent: "product") {
  id: ID!  product: Product! @ref(onDelete: CASCADE)  size: String }
type Order @entity(strategy: LAST_WRITE_WINS, scope: "market/{market}") {
  id: ID!  market: ID!  status: String  product: Product @ref(onDelete: KEEP) }
"#;

/// Products of the tests' catalogue.
const PRODUCTS: usize = 300;

/// A word that is in the name of every product and nowhere else.
const WORD: &str = "Darjeeling";

fn world() -> World {
    World::of(SHOP, 1, Arc::default())
}

fn account(subject: &str) -> Account {
    Account { tenant: "acme".into(), subject: subject.into() }
}

fn options(world: &World, dir: &Path) -> Options {
    world.options(dir, &[0])
}

fn accounts(world: &World, dir: &Path) -> Accounts {
    Accounts::new(dir.join("accounts"), options(world, dir)).unwrap()
}

fn sign_in(accounts: &Accounts, subject: &str) -> Client {
    sign_in_with(accounts, subject, Arc::new(FixedToken(format!("as {subject}"))))
}

fn sign_in_with(accounts: &Accounts, subject: &str, tokens: Arc<dyn TokenProvider>) -> Client {
    let client = accounts.sign_in(account(subject), tokens).unwrap();
    client.subscribe("catalog").unwrap();
    client.subscribe("market/fr").unwrap();
    client
}

/// The same accounts, without a network until they are told.
fn offline(world: &World, dir: &Path) -> Accounts {
    let mut options = options(world, dir);
    options.network.start_offline = true;
    Accounts::new(dir.join("accounts"), options).unwrap()
}

/// Who writes the catalogue: the operator's own client, elsewhere.
fn publisher(world: &World, dir: &Path) -> Client {
    let mut options = options(world, &dir.join("publisher.db"));
    options.account = account("shop");
    options.tokens = Arc::new(FixedToken("as shop +catalog".to_owned()));
    options.publishes = true;
    let client = Client::open(options).unwrap();
    client.subscribe("catalog").unwrap();
    client
}

fn publish(client: &Client, products: usize) {
    let mut tx = client.transaction();
    for n in 0..products {
        let name = format!("{WORD} no {n}");
        tx = tx.upsert("Product", &format!("p{n}"), [("name", name.into()), ("price", 1.into())]);
    }
    tx.commit().unwrap();
    client.settle(SOON).unwrap();
}

fn rename(client: &Client, id: &str, name: &str) {
    client.transaction().upsert("Product", id, [("name", name.into())]).commit().unwrap();
    client.settle(SOON).unwrap();
}

fn number(client: &Client, sql: &str) -> i64 {
    client.query(sql, []).unwrap().scalar().and_then(SqlValue::as_i64).unwrap()
}

fn products(client: &Client) -> usize {
    number(client, "SELECT count(*) FROM Product") as usize
}

fn coverage(client: &Client) -> Coverage {
    client.progress("catalog").unwrap().map_or(Coverage::Partial, |p| p.coverage)
}

/// Files of a kind in the directory of accounts.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir.join("accounts")).unwrap().map(|e| e.unwrap().path());
    all.filter(|p| p.extension().is_some_and(|e| e == extension)).collect()
}

/// How often the catalogue's word is in files of a kind, their logs included.
fn mentions(dir: &Path, extension: &str) -> usize {
    let with_log = |path: &PathBuf| {
        let mut bytes = fs::read(path).unwrap();
        let log = path.with_extension(format!("{extension}-wal"));
        bytes.extend(fs::read(log).unwrap_or_default());
        bytes
    };
    let count =
        |bytes: Vec<u8>| bytes.windows(WORD.len()).filter(|w| w == &WORD.as_bytes()).count();
    files(dir, extension).iter().map(with_log).map(count).sum()
}

#[test]
fn the_second_account_has_the_catalogue_at_once_and_downloads_none_of_it() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let shop = publisher(&world, dir.path());
    publish(&shop, PRODUCTS);
    let anna = sign_in(&accounts(&world, dir.path()), "anna");
    anna.settle(SOON).unwrap();
    assert_eq!((products(&anna), coverage(&anna)), (PRODUCTS, Coverage::Complete));
    let of_anna = anna.traffic().down();
    order(&anna, "o1", "PLACED");
    anna.settle(SOON).unwrap();
    accounts(&world, dir.path()).sign_out(&anna, SignOut::Keep).unwrap();

    let ben = sign_in(&offline(&world, dir.path()), "ben");
    assert_eq!((products(&ben), coverage(&ben)), (PRODUCTS, Coverage::Complete));
    assert_eq!(ben.search("Product", &format!("{WORD} 7"), 9).unwrap().len(), 1);
    ben.go_online();
    ben.settle(SOON).unwrap();
    assert_eq!(number(&ben, "SELECT count(*) FROM \"Order\""), 1, "his own scope came");
    let of_ben = ben.traffic().down();
    println!("{PRODUCTS} products: the first account {of_anna} bytes, the second {of_ben}");
    assert!(of_ben * 10 < of_anna, "{of_ben} of {of_anna}");
    ben.close().unwrap();
    assert!(mentions(dir.path(), "shared") >= PRODUCTS, "the search finds what is there");
    assert_eq!(mentions(dir.path(), "landfall"), 0);
    assert_eq!((files(dir.path(), "shared").len(), files(dir.path(), "landfall").len()), (1, 2));
}

#[test]
fn accounts_that_are_open_at_once_hear_of_changes_whoever_syncs() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let shop = publisher(&world, dir.path());
    publish(&shop, 3);
    let accounts = accounts(&world, dir.path());
    let both = [sign_in(&accounts, "anna"), sign_in(&accounts, "ben")];
    let join = "SELECT o.id, p.name FROM \"Order\" o JOIN Product p ON p.id = o.product";
    let mut watches = Vec::new();
    for client in &both {
        client.settle(SOON).unwrap();
        let id = format!("of-{}", client.account().subject);
        let fields = [("market", "fr".into()), ("product", "p1".into())];
        client.transaction().upsert("Order", &id, fields).commit().unwrap();
        let window = client.observe(Query::table("Product").ascending("name")).unwrap();
        let shown = Query::table("Order").include("product", ["name"]);
        watches.push((window, client.watch(join, []).unwrap(), client.observe(shown).unwrap()));
    }
    let mut events = both[1].events();
    rename(&shop, "p1", "Assam");
    for ((window, joined, shown), client) in watches.iter_mut().zip(&both) {
        let own = format!("of-{}", client.account().subject);
        for watch in [joined, shown] {
            let has = |row: &landfall_device::Row| {
                let name = row.text("name").or_else(|| row.text("product.name"));
                row.text("id") == Some(&own) && name == Some("Assam")
            };
            until(watch, |rows| rows.iter().any(has));
        }
        until(window, |rows| rows.len() == 3 && rows[0].text("name") == Some("Assam"));
    }
    let told = |e: &Event| matches!(e, Event::Changed { .. } | Event::ChangedElsewhere);
    assert!(std::iter::from_fn(|| events.next_within(SOON)).any(|e| told(&e)));
    // When one goes, the other one syncs.
    both[0].close().unwrap();
    rename(&shop, "p2", "Keemun");
    let tells = "SELECT count(*) FROM Product WHERE name = 'Keemun'";
    eventually("the one that is left syncs", || number(&both[1], tells) == 1);
    both[1].settle(SOON).unwrap();
}

fn until(watch: &mut landfall_device::Watch, holds: impl Fn(&[landfall_device::Row]) -> bool) {
    loop {
        let update = watch.next_within(SOON).expect("an update").unwrap();
        if holds(&update.rows) {
            return;
        }
    }
}

#[test]
fn devices_write_no_shared_type() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let shop = publisher(&world, dir.path());
    publish(&shop, 1);
    let anna = sign_in(&accounts(&world, dir.path()), "anna");
    let plain = world.client(&dir.path().join("plain.db"), &[0]);
    plain.subscribe("catalog").unwrap();
    for client in [&anna, &plain] {
        client.settle(SOON).unwrap();
        assert_eq!(products(client), 1, "a client without accounts keeps them in its own file");
        let name = || [("name", Value::text("mine"))];
        let upsert = |id| client.transaction().upsert("Product", id, name()).commit();
        let child = [("product", Value::text("p0"))];
        let refused = [
            upsert("p0"),
            upsert("new"),
            client.transaction().update("Product", "p0", name()).commit(),
            client.transaction().delete("Product", "p0").commit(),
            client.transaction().upsert("Variant", "v", child).commit(),
        ];
        let codes: Vec<&str> = refused.iter().map(|r| r.as_ref().unwrap_err().code()).collect();
        assert_eq!(codes, ["LF2121"; 5]);
        let mixed = client.transaction().upsert("Order", "o", [("market", "fr".into())]);
        assert_eq!(mixed.delete("Product", "p0").commit().unwrap_err().code(), "LF2121");
        assert_eq!(number(client, "SELECT count(*) FROM \"Order\""), 0, "all or nothing");
    }
    // Regions have the last word: this one says that it publishes, and its token does not.
    let mut options = options(&world, &dir.path().join("pretender.db"));
    options.publishes = true;
    let pretender = Client::open(options).unwrap();
    let write = pretender.transaction().upsert("Product", "p9", [("name", "forged".into())]);
    let dot = write.commit().unwrap().dots[0];
    pretender.settle(SOON).unwrap();
    let fate = pretender.fate(dot).unwrap();
    assert!(matches!(&fate, Fate::Rejected { code: "LF4007", .. }), "{fate:?}");
    shop.settle(SOON).unwrap();
    assert_eq!(products(&shop), 1);
}

/// A token that changes.
#[derive(Clone, Default)]
struct Renewed(Arc<Mutex<String>>);

impl Renewed {
    fn set(&self, token: &str) {
        token.clone_into(&mut self.0.lock().unwrap());
    }
}

impl TokenProvider for Renewed {
    fn token(&self, _: TokenReason) -> TokenFuture {
        let token = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(token) })
    }
}

/// All sessions end, and begin again with the tokens of now.
fn begin_again(world: &World, clients: &[&Client]) {
    let online = |c: &&Client| matches!(c.connection(), ConnectionState::Online { .. });
    world.set_up(0, false);
    eventually("the sessions end", || !clients.iter().any(online));
    world.set_up(0, true);
    eventually("the sessions are back", || clients.iter().all(online));
}

#[test]
fn who_may_not_read_the_catalogue_does_not_see_it_and_takes_it_from_nobody() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let accounts = accounts(&world, dir.path());
    let tokens = Renewed::default();
    tokens.set("as anna");
    let anna = sign_in_with(&accounts, "anna", Arc::new(tokens.clone()));
    anna.settle(SOON).unwrap();
    let ben = sign_in(&accounts, "ben");
    ben.settle(SOON).unwrap();
    let mut names = anna.observe(Query::table("Product")).unwrap();
    until(&mut names, |rows| rows.len() == PRODUCTS);

    tokens.set("as anna only market/fr");
    begin_again(&world, &[&anna, &ben]);
    until(&mut names, <[_]>::is_empty);
    anna.settle(SOON).unwrap();
    assert_eq!((products(&anna), coverage(&anna)), (0, Coverage::Partial));
    let denied = anna.progress("catalog").unwrap().unwrap().missing.denied;
    assert_eq!(denied.as_deref(), Some("not_allowed"));
    assert_eq!(anna.search("Product", WORD, 9).unwrap().len(), 0);
    assert_eq!(number(&anna, "SELECT count(*) FROM Variant"), 0);
    ben.settle(SOON).unwrap();
    assert_eq!((products(&ben), coverage(&ben)), (PRODUCTS, Coverage::Complete));
    // It stays so without a network, after a restart.
    anna.close().unwrap();
    let offline = offline(&world, dir.path());
    let anna = sign_in_with(&offline, "anna", Arc::new(tokens.clone()));
    assert_eq!((products(&anna), coverage(&anna)), (0, Coverage::Partial));
    // A right that is given back shows what is here, and costs nothing.
    tokens.set("as anna");
    anna.go_online();
    anna.settle(SOON).unwrap();
    assert_eq!((products(&anna), coverage(&anna)), (PRODUCTS, Coverage::Complete));
    assert!(anna.traffic().down() < PRODUCTS as u64 * 10, "{}", anna.traffic().down());
}

#[test]
fn what_nobody_here_may_see_any_more_leaves_the_disk() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let accounts = accounts(&world, dir.path());
    let tokens = Renewed::default();
    tokens.set("as anna");
    let anna = sign_in_with(&accounts, "anna", Arc::new(tokens.clone()));
    anna.settle(SOON).unwrap();
    tokens.set("as anna only market/fr");
    begin_again(&world, &[&anna]);
    anna.settle(SOON).unwrap();
    assert_eq!(products(&anna), 0);
    anna.close().unwrap();
    // Another account, whom nothing has been said about, finds nothing.
    let ben = sign_in(&offline(&world, dir.path()), "ben");
    assert_eq!((products(&ben), coverage(&ben)), (0, Coverage::Loading));
    ben.go_online();
    ben.settle(SOON).unwrap();
    assert_eq!(products(&ben), PRODUCTS);
}

/// A transport on which one device's greeting never leaves.
#[derive(Clone)]
struct Held {
    wire: Wire,
    /// In hexadecimal.
    device: Arc<Mutex<String>>,
}

impl Transport for Held {
    fn connect(&self, region: RegionUrl, traffic: Arc<Traffic>) -> Connecting {
        let (connecting, held) = (self.wire.connect(region, traffic), self.device.clone());
        Box::pin(async move {
            let Connection { outgoing: on, incoming } = connecting.await?;
            let (outgoing, mut frames) = mpsc::unbounded_channel::<DeviceFrame>();
            tokio::spawn(async move {
                while let Some(frame) = frames.recv().await {
                    let is_held = match &frame.kind {
                        Some(Kind::Hello(hello)) => hex(&hello.devices[0]) == *held.lock().unwrap(),
                        _ => false,
                    };
                    if !is_held && on.send(frame).is_err() {
                        return;
                    }
                }
            });
            Ok(Connection { outgoing, incoming })
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

#[test]
fn a_refusal_in_a_session_on_the_catalogue_is_about_who_asked() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let anna = sign_in(&accounts(&world, dir.path()), "anna");
    anna.settle(SOON).unwrap();
    anna.close().unwrap();
    // The account's own session would tell first what it may read: it does not begin.
    let held = Held { wire: world.wire(), device: Arc::default() };
    let mut options = options(&world, dir.path());
    options.transport = Arc::new(held.clone());
    options.network.start_offline = true;
    let accounts = Accounts::new(dir.path().join("accounts"), options).unwrap();
    let token = FixedToken("as cleo only market/fr".to_owned());
    let cleo = sign_in_with(&accounts, "cleo", Arc::new(token));
    assert_eq!(products(&cleo), PRODUCTS, "nobody has said anything yet");
    let id = cleo.query("SELECT hex(device) FROM _lf_meta", []).unwrap();
    *held.device.lock().unwrap() = id.scalar().unwrap().as_str().unwrap().to_owned();
    let mut events = cleo.events();
    cleo.go_online();
    let is_denied = |e: Event| matches!(e, Event::Denied { scope, .. } if *scope == *"catalog");
    assert!(std::iter::from_fn(|| events.next_within(SOON)).any(is_denied));
    eventually("it is kept", || coverage(&cleo) == Coverage::Partial);
    assert_eq!((products(&cleo), cleo.granted()), (0, None));
    cleo.close().unwrap();
    let anna = sign_in(&offline(&world, dir.path()), "anna");
    assert_eq!((products(&anna), coverage(&anna)), (PRODUCTS, Coverage::Complete));
}

#[test]
fn the_catalogue_stays_while_one_account_has_it_and_goes_with_the_last() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let accounts = accounts(&world, dir.path());
    let (anna, ben) = (sign_in(&accounts, "anna"), sign_in(&accounts, "ben"));
    anna.settle(SOON).unwrap();
    ben.settle(SOON).unwrap();
    anna.unsubscribe("catalog").unwrap();
    assert_eq!(anna.progress("catalog").unwrap(), None);
    accounts.sign_out(&anna, SignOut::Discard).unwrap();
    assert_eq!((products(&ben), coverage(&ben)), (PRODUCTS, Coverage::Complete));
    // The last one that wants it lets go; the file stays for the account.
    ben.unsubscribe("catalog").unwrap();
    assert_eq!(products(&ben), 0);
    ben.settle(SOON).unwrap();
    ben.subscribe("catalog").unwrap();
    ben.settle(SOON).unwrap();
    assert_eq!(products(&ben), PRODUCTS);
    let other = Account { tenant: "other".into(), subject: "anna".into() };
    let stranger = accounts.sign_in(other, Arc::new(FixedToken("as anna".into()))).unwrap();
    assert_eq!(products(&stranger), 0, "a tenant has its own");
    accounts.sign_out(&stranger, SignOut::Discard).unwrap();
    accounts.sign_out(&ben, SignOut::Discard).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("accounts")).unwrap().count(), 0);
}

#[test]
fn who_claims_what_was_done_without_an_account_keeps_the_catalogue() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let accounts = accounts(&world, dir.path());
    let anonymous = Account { tenant: "acme".into(), ..accounts.anonymous() };
    let guest = accounts.sign_in(anonymous.clone(), Arc::new(FixedToken("as guest".into())));
    let guest = guest.unwrap();
    guest.subscribe("catalog").unwrap();
    guest.settle(SOON).unwrap();
    guest.close().unwrap();
    accounts.claim(&anonymous, &account("anna")).unwrap();
    let offline = offline(&world, dir.path());
    let anna = offline.sign_in(account("anna"), Arc::new(FixedToken::default())).unwrap();
    assert_eq!((products(&anna), coverage(&anna)), (PRODUCTS, Coverage::Complete));
    accounts.sign_out(&anna, SignOut::Discard).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("accounts")).unwrap().count(), 0);
}

/// A transport that lets so many frames through on each connection, and then nothing.
struct Dammed {
    wire: Wire,
    frames: usize,
}

impl Transport for Dammed {
    fn connect(&self, region: RegionUrl, traffic: Arc<Traffic>) -> Connecting {
        let (connecting, frames) = (self.wire.connect(region, traffic), self.frames);
        Box::pin(async move {
            let Connection { outgoing, mut incoming } = connecting.await?;
            let (through, dammed) = mpsc::channel(1);
            tokio::spawn(async move {
                for _ in 0..frames {
                    let Some(frame) = incoming.recv().await else { return };
                    let _ = through.send(frame).await;
                }
                through.closed().await;
                drop(incoming);
            });
            Ok(Connection { outgoing, incoming: dammed })
        })
    }
}

#[test]
fn a_first_download_that_is_killed_goes_on_under_another_account() {
    const MANY: usize = 2_500;
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), MANY);
    let mut options = options(&world, dir.path());
    options.transport = Arc::new(Dammed { wire: world.wire(), frames: 3 });
    options.network = Network { answer_ms_min: 60_000, answer_ms_max: 60_000, ..options.network };
    let slow = Accounts::new(dir.path().join("accounts"), options).unwrap();
    let anna = sign_in(&slow, "anna");
    let taken = |c: &Client| c.progress("catalog").unwrap().map_or(0, |p| p.rows);
    eventually("a part is here", || taken(&anna) > 0);
    anna.abandon().unwrap();

    let ben = sign_in(&offline(&world, dir.path()), "ben");
    let here = products(&ben);
    assert!(here > 0 && here < MANY, "{here}");
    assert_eq!(coverage(&ben), Coverage::Loading);
    ben.go_online();
    ben.settle(SOON).unwrap();
    assert_eq!((products(&ben), coverage(&ben)), (MANY, Coverage::Complete));
    let whole = world.client(&dir.path().join("whole.db"), &[0]);
    whole.subscribe("catalog").unwrap();
    whole.settle(SOON).unwrap();
    let (rest, all) = (ben.traffic().down(), whole.traffic().down());
    println!("{here} of {MANY} were here: {rest} bytes of {all}");
    assert!(rest * (MANY as u64) < all * (MANY + 300 - here) as u64, "{rest} of {all}");
}

#[test]
fn rows_of_a_type_that_becomes_shared_leave_the_accounts_file() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let before = Arc::new(compile(&SHOP.replace(" @shared", "")).unwrap());
    let defaults = Options { schema: before, ..options(&world, dir.path()) };
    let old = Accounts::new(dir.path().join("accounts"), defaults).unwrap();
    let anna = sign_in(&old, "anna");
    anna.settle(SOON).unwrap();
    assert_eq!(products(&anna), PRODUCTS);
    anna.close().unwrap();
    assert!(mentions(dir.path(), "landfall") > 0);
    // The app's next version wants the catalogue because the last one did.
    let new = accounts(&world, dir.path());
    let anna = new.sign_in(account("anna"), Arc::new(FixedToken("as anna".into()))).unwrap();
    anna.settle(SOON).unwrap();
    assert_eq!((products(&anna), coverage(&anna)), (PRODUCTS, Coverage::Complete));
    let tables = "SELECT count(*) FROM main.sqlite_schema WHERE name LIKE '%Product%'";
    assert_eq!(number(&anna, tables), 0);
    assert_eq!(number(&anna, "SELECT count(*) FROM main._lf_base"), 0);
}

#[test]
fn a_shared_file_that_is_destroyed_is_made_anew() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    publish(&publisher(&world, dir.path()), PRODUCTS);
    let accounts = accounts(&world, dir.path());
    let anna = sign_in(&accounts, "anna");
    anna.settle(SOON).unwrap();
    anna.close().unwrap();
    let path = files(dir.path(), "shared").remove(0);
    fs::write(&path, vec![7; 40_000]).unwrap();
    let anna = sign_in(&accounts, "anna");
    anna.settle(SOON).unwrap();
    assert_eq!(products(&anna), PRODUCTS);
}
