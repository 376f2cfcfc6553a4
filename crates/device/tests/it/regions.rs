//! Which region a device uses, and how much of the network: directories, conditions, policies.

use crate::world::{Region, SOON, World, count, eventually, order};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use landfall_device::{
    Client, Conditions, ConnectionState, DirectoryKey, Event, Fate, FixedToken, Network, OnMetered,
    Options, Policy, TokenError, TokenFuture, TokenProvider, TokenReason,
};
use landfall_sync::region::node::Directory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn is_at(client: &Client, name: &str) -> bool {
    client.connection() == ConnectionState::Online { region: name.to_owned() }
}

/// A list with one region, the second of the world, under a name that says who signed it.
fn directory(version: u64, key: &SigningKey, name: &str) -> Directory {
    let list =
        format!(r#"{{"version":{version},"regions":[{{"name":"{name}","urls":["1","0"]}}]}}"#);
    let signed = format!("{}.{}", BASE64.encode(r#"{"alg":"EdDSA"}"#), BASE64.encode(list));
    let signature = BASE64.encode(key.sign(signed.as_bytes()).to_bytes());
    Directory { version, jws: format!("{signed}.{signature}") }
}

#[test]
fn a_signed_directory_replaces_the_app_s_list_and_outlives_it() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let (ours, other) = (SigningKey::from_bytes(&[3; 32]), SigningKey::from_bytes(&[4; 32]));
    let options = |regions: &[usize]| -> Options {
        let mut options = world.options(&dir.path().join("a.db"), regions);
        options.network.directory_keys = vec![DirectoryKey(ours.verifying_key().to_bytes())];
        options
    };
    let give = |directory: Directory| {
        world.ask(move |regions| {
            regions.iter_mut().for_each(|r| r.node.set_directory(Some(directory.clone())));
        });
    };
    // One that somebody else has signed is no directory.
    give(directory(9, &other, "forged"));
    let client = Client::open(options(&[0])).unwrap();
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    assert!(is_at(&client, "r0"));
    client.close().unwrap();

    give(directory(2, &ours, "west"));
    let client = Client::open(options(&[0])).unwrap();
    eventually("the directory is followed", || is_at(&client, "west"));
    client.close().unwrap();

    // It is in the file: an app without any address finds its regions. An older one is not taken.
    give(directory(1, &ours, "old"));
    let client = Client::open(options(&[])).unwrap();
    eventually("a region is found", || is_at(&client, "west"));
    let dot = order(&client, "o1", "PLACED");
    eventually("accepted", || matches!(client.fate(dot).unwrap(), Fate::Accepted { .. }));
    assert!(is_at(&client, "west"));
}

#[test]
fn over_a_metered_network_writes_leave_and_rows_wait() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.policy = Policy { on_metered: OnMetered::Writes, ..Policy::default() };
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    client.set_conditions(Conditions { metered: true, low_power: false });
    let other = world.client(&dir.path().join("b.db"), &[0]);
    order(&other, "theirs", "PLACED");
    other.settle(SOON).unwrap();
    let dot = order(&client, "mine", "PLACED");
    let durable = Fate::Accepted { durable: true };
    eventually("the write is safe", || client.fate(dot).unwrap() == durable);
    assert_eq!(count(&client), 1, "rows wait");
    client.set_conditions(Conditions::default());
    eventually("rows come", || count(&client) == 2);
}

#[test]
fn a_file_that_another_process_holds_is_not_held_against_the_region() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let client = world.client(&path, &[0, 1]);
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    assert!(is_at(&client, "r0"));
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    eventually("the session ends", || !is_at(&client, "r0"));
    other.execute_batch("ROLLBACK").unwrap();
    client.settle(SOON).unwrap();
    assert!(is_at(&client, "r0"), "{:?}", client.connection());
}

#[test]
fn a_region_that_falls_silent_is_hedged_and_then_left() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0, 1]);
    // A hedge comes before anything is given up.
    options.network = Network { hedge_ms_min: 20, answer_ms_min: 2_000, ..options.network };
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    assert!(is_at(&client, "r0"));
    world.set_silent(0, true);
    let dot = order(&client, "o1", "PLACED");
    eventually("the second region takes it", || {
        matches!(client.fate(dot).unwrap(), Fate::Accepted { .. })
    });
    assert!(is_at(&client, "r0"), "the first is not left yet");
    eventually("the first is left", || is_at(&client, "r1"));
    world.set_silent(0, false);
    client.settle(SOON).unwrap();
    assert_eq!(count(&client), 1);
    world.replicated();
}

#[test]
fn a_refusal_that_waits_for_another_region_becomes_final_where_the_device_is() {
    let (world, dir) = (World::new(3), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0, 1, 2]);
    options.tokens = Arc::new(FixedToken("as user-7 only market/de".to_owned()));
    options.network.answer_ms_min = 20;
    let client = Client::open(options).unwrap();
    eventually("it is online", || is_at(&client, "r0"));
    world.set_silent(0, true);
    let dot = order(&client, "o1", "PLACED");
    eventually("the first region is left", || is_at(&client, "r1") || is_at(&client, "r2"));
    let here = client.connection();
    let refuses = move |r: &Region| r.store.iter_refusals().any(|(of, _)| of == dot);
    eventually("what it came with is refused there", || {
        world.ask(move |regions| regions.iter().any(refuses))
    });
    assert_eq!(client.fate(dot).unwrap(), Fate::Pending { sent: true });
    world.set_silent(0, false);
    eventually("the first one refuses it, too", || {
        matches!(client.fate(dot).unwrap(), Fate::Rejected { .. })
    });
    assert_eq!(client.connection(), here, "nothing else is a reason to move");
}

#[test]
fn a_region_that_refuses_everybody_keeps_nobody_from_the_others() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    world.set_refuses(0, true);
    let client = world.client(&dir.path().join("a.db"), &[0, 1]);
    let dot = order(&client, "o1", "PLACED");
    eventually("the other region takes it", || {
        matches!(client.fate(dot).unwrap(), Fate::Accepted { .. })
    });
    assert!(is_at(&client, "r1"));
}

#[test]
fn a_hedge_over_a_metered_network_brings_no_rows_either() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0, 1]);
    let policy = Policy { on_metered: OnMetered::Writes, ..Policy::default() };
    options.network = Network { hedge_ms_min: 20, policy, ..options.network };
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    client.set_conditions(Conditions { metered: true, low_power: false });
    let other = world.client(&dir.path().join("b.db"), &[1]);
    order(&other, "theirs", "PLACED");
    other.settle(SOON).unwrap();
    let durable = |dot| client.fate(dot).unwrap() == Fate::Accepted { durable: true };
    let first = order(&client, "first", "PLACED");
    eventually("a session for writes alone", || durable(first));
    assert_eq!(count(&client), 1, "rows wait");
    world.set_silent(0, true);
    let late = order(&client, "late", "PLACED");
    eventually("the second region is gone on with", || is_at(&client, "r1"));
    eventually("the late write is safe", || durable(late));
    let last = order(&client, "last", "PLACED");
    eventually("and so is what follows", || durable(last));
    assert_eq!(count(&client), 3, "rows still wait");
    client.set_conditions(Conditions::default());
    eventually("rows come", || count(&client) == 4);
}

/// Gives tokens, or has none; and counts how often it was asked.
#[derive(Default)]
struct Fickle {
    asked: AtomicUsize,
    has_none: AtomicBool,
}

impl TokenProvider for Fickle {
    fn token(&self, _: TokenReason) -> TokenFuture {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let token = match self.has_none.load(Ordering::Relaxed) {
            true => Err(TokenError { message: "nobody is signed in".to_owned() }),
            false => Ok("token".to_owned()),
        };
        Box::pin(async move { token })
    }
}

#[test]
fn a_probe_for_which_the_app_has_no_token_is_not_held_against_the_region() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let tokens = Arc::new(Fickle::default());
    let mut options = world.options(&dir.path().join("a.db"), &[0, 1]);
    options.tokens = tokens.clone();
    let (survey_ms, probe_ms, hedge_ms_min, answer_ms_min) = (20, 20, 20, 2_000);
    options.network =
        Network { survey_ms, probe_ms, hedge_ms_min, answer_ms_min, ..options.network };
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    assert!(is_at(&client, "r0"));
    tokens.has_none.store(true, Ordering::Relaxed);
    let asked = || tokens.asked.load(Ordering::Relaxed);
    let before = asked();
    eventually("the other region is to be probed again and again", || asked() > before + 3);
    tokens.has_none.store(false, Ordering::Relaxed);
    world.set_silent(0, true);
    let dot = order(&client, "o1", "PLACED");
    eventually("it is good for a hedge", || {
        matches!(client.fate(dot).unwrap(), Fate::Accepted { .. })
    });
    assert!(is_at(&client, "r0"), "the first is not left yet");
}

#[test]
fn a_hedge_is_paid_for_by_pushes_and_by_nothing_else() {
    let (world, dir) = (World::new(3), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0, 1, 2]);
    let (hedge_ms_min, hedge_percent, answer_ms_min) = (20, 30, 1_500);
    options.network = Network { hedge_ms_min, hedge_percent, answer_ms_min, ..options.network };
    let client = Client::open(options).unwrap();
    client.subscribe("market/fr").unwrap();
    client.settle(SOON).unwrap();
    assert!(is_at(&client, "r0"));
    // There is one at the beginning.
    world.set_silent(0, true);
    let first = order(&client, "first", "PLACED");
    eventually("the second region takes it", || {
        matches!(client.fate(first).unwrap(), Fate::Accepted { .. })
    });
    eventually("the first is left", || is_at(&client, "r1"));
    world.set_silent(0, false);
    client.settle(SOON).unwrap();
    for _ in 0..10 {
        let up = client.traffic().up();
        client.network_changed();
        eventually("the region is asked whether it is there", || client.traffic().up() > up);
    }
    let mut events = client.events();
    world.set_silent(1, true);
    let late = order(&client, "late", "PLACED");
    loop {
        match events.next_within(SOON).expect("an event") {
            Event::Fate { dot, fate: Fate::Accepted { .. }, .. } if dot == late => {
                panic!("one push does not pay for a hedge");
            }
            Event::Connection(ConnectionState::Online { region }) => {
                assert_eq!(region, "r2", "the silent one is left");
                break;
            }
            _ => {}
        }
    }
    client.settle(SOON).unwrap();
}
