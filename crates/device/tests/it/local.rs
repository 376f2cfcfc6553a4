//! `@local` types: everything that others can, and nothing of it leaves the device.

use crate::world::{SOON, World};
use landfall_device::{
    Account, Accounts, Client, Clock, Coverage, FixedToken, Query, SignOut, SystemClock,
    Transaction, Value,
};
use landfall_sync::region::store::Store;
use std::sync::Arc;

const SDL: &str = r#"
type Note @entity(strategy: CRDT, scope: "team/{team}") { id: ID!  team: ID!  title: String }
type Draft @local {
  id: ID!  title: String! @search  size: Int @default(value: 7)  body: Text @search
  labels: [String!] @set  votes: Counter  about: Note @ref(onDelete: SET_NULL)
  next: Draft @ref(onDelete: SET_NULL) }
"#;

fn note(client: &Client, id: &str, title: &str) {
    let fields = [("team", "red".into()), ("title", Value::text(title))];
    client.transaction().upsert("Note", id, fields).commit().unwrap();
}

fn draft(client: &Client, id: &str, fields: &[(&str, &str)]) {
    let fields = fields.iter().map(|(f, v)| (*f, Value::text(*v)));
    client.transaction().upsert("Draft", id, fields).commit().unwrap();
}

#[test]
fn local_rows_are_written_and_read_like_others_and_never_sent() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let client = world.client(&path, &[0]);
    client.subscribe("team/red").unwrap();
    let written = client
        .transaction()
        .upsert("Draft", "d", [("title", Value::text("One")), ("about", "n".into())])
        .splice("Draft", "d", "body", 0, 0, "hello")
        .add_to_set("Draft", "d", "labels", "x".into())
        .increment("Draft", "d", "votes", 2)
        .upsert("Note", "n", [("team", Value::text("red")), ("title", "N".into())])
        .upsert("Draft", "e", [("title", "Two")].map(|(f, v)| (f, Value::text(v))))
        .commit()
        .unwrap();
    assert_eq!((written.dots.len(), written.keys.len()), (1, 3), "only what is sent has a fate");
    client
        .transaction()
        .splice("Draft", "d", "body", 5, 0, " there")
        .increment("Draft", "d", "votes", 1)
        .update("Draft", "d", [("title", Value::text("One more"))])
        .commit()
        .unwrap();
    let check = |client: &Client| {
        let row = client.get("Draft", "d").unwrap().unwrap();
        assert_eq!((row.text("title"), row.text("body")), (Some("One more"), Some("hello there")));
        assert_eq!((row.integer("votes"), row.text("labels")), (Some(3), Some("[\"x\"]")));
        assert_eq!((row.integer("size"), row.integer("_pending")), (Some(7), Some(0)));
        assert_eq!(client.search("Draft", "hello more", 5).unwrap().len(), 1);
    };
    check(&client);
    client.settle(SOON).unwrap();
    assert_eq!(world.received().iter().map(|(_, n, dense)| (*n, *dense)).max(), Some((1, true)));
    let keys = world.ask(|regions| regions[0].store.entities(None, 100).unwrap().len());
    assert_eq!(keys, 1, "the region has the note and nothing else");

    // They stay when all scopes go, and over a restart; and no digest has them.
    let other = world.client(&dir.path().join("b.db"), &[0]);
    other.subscribe("team/red").unwrap();
    other.settle(SOON).unwrap();
    assert_eq!(client.digest().unwrap(), other.digest().unwrap());
    client.unsubscribe("team/red").unwrap();
    client.close().unwrap();
    let client = world.client(&path, &[0]);
    check(&client);
    client.transaction().delete("Draft", "d").commit().unwrap();
    assert_eq!(client.get("Draft", "d").unwrap(), None);
    draft(&client, "d", &[("title", "Anew")]);
    let row = client.get("Draft", "d").unwrap().unwrap();
    assert_eq!((row.text("body"), row.integer("votes")), (Some(""), Some(0)));
    let missing = client.transaction().update("Draft", "nobody", [("title", "x".into())]).commit();
    assert_eq!(missing.unwrap_err().code(), "LF2014");
    let empty: [(&str, Value); 0] = [];
    let required = client.transaction().upsert("Draft", "f", empty).commit();
    assert_eq!(required.unwrap_err().code(), "LF2008");
}

#[test]
fn local_rows_are_in_live_queries_and_follow_what_they_refer_to() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    note(&client, "n", "Note");
    draft(&client, "d", &[("title", "One"), ("about", "n"), ("next", "e")]);
    draft(&client, "e", &[("title", "Two")]);
    let query = Query::table("Draft").include("about", ["title"]).ascending("title");
    let mut watch = client.observe(query).unwrap();
    let mut next = || watch.next_within(SOON).unwrap().unwrap();
    let first = next();
    assert_eq!(first.rows[0].text("about.title"), Some("Note"));
    note(&client, "n", "Note, changed");
    assert_eq!(next().rows[0].text("about.title"), Some("Note, changed"));
    client.transaction().delete("Note", "n").commit().unwrap();
    assert_eq!(next().rows[0].text("about"), None);
    assert_eq!(client.get("Draft", "d").unwrap().unwrap().text("next"), Some("e"));
    client.transaction().delete("Draft", "e").commit().unwrap();
    assert_eq!(client.get("Draft", "d").unwrap().unwrap().text("next"), None);
    let mut only = client.observe(Query::table("Draft")).unwrap();
    assert_eq!(only.next_within(SOON).unwrap().unwrap().coverage, Coverage::Complete);
}

#[test]
fn local_rows_come_along_when_an_account_takes_over_what_was_done_without_one() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let defaults = world.options(dir.path(), &[0]);
    let accounts = Accounts::new(dir.path().join("accounts"), defaults).unwrap();
    let anna = Account { tenant: "acme".into(), subject: "anna".into() };
    let sign_in = |who: &Account| {
        let client = accounts.sign_in(who.clone(), Arc::new(FixedToken("as anna".into()))).unwrap();
        client.go_offline();
        client
    };
    let client = sign_in(&anna);
    draft(&client, "both", &[("title", "Anna's")]);
    accounts.sign_out(&client, SignOut::Keep).unwrap();
    let anonymous = accounts.anonymous();
    let client = sign_in(&anonymous);
    draft(&client, "both", &[("title", "Nobody's")]);
    draft(&client, "d", &[("title", "Mine")]);
    client.transaction().splice("Draft", "d", "body", 0, 0, "words").commit().unwrap();
    client.close().unwrap();
    accounts.claim(&anonymous, &anna).unwrap();
    let client = sign_in(&anna);
    let shown = |id: &str, field: &str| {
        client.get("Draft", id).unwrap().unwrap().text(field).map(str::to_owned)
    };
    assert_eq!(shown("both", "title").as_deref(), Some("Anna's"));
    assert_eq!(shown("d", "title").as_deref(), Some("Mine"));
    assert_eq!(shown("d", "body").as_deref(), Some("words"));
    assert_eq!(client.search("Draft", "words", 5).unwrap().len(), 1);
}

#[test]
fn no_region_is_asked_for_local_rows_so_none_can_take_them_away() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let client = world.client(&dir.path().join("a.db"), &[0]);
    draft(&client, "d", &[("title", "Mine")]);
    for refused in [client.subscribe("lf_local"), client.unsubscribe("lf_local")] {
        assert_eq!(refused.unwrap_err().code(), "LF2130");
    }
    client.settle(SOON).unwrap();
    assert_eq!(client.subscriptions().unwrap(), []);
    assert!(client.get("Draft", "d").unwrap().is_some());
}

/// The system's clock, years ahead.
struct Ahead;

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        SystemClock::new().now_ms() + 3 * 365 * 86_400_000
    }
}

#[test]
fn a_local_write_wins_over_the_one_before_it_also_once_a_wrong_clock_was_put_right() {
    let (world, dir) = (World::of(SDL, 1, Arc::default()), tempfile::tempdir().unwrap());
    let mut options = world.options(&dir.path().join("a.db"), &[0]);
    options.clock = Arc::new(Ahead);
    options.network.start_offline = true;
    let client = Client::open(options).unwrap();
    draft(&client, "d", &[("title", "One")]);
    let label = |tx: Transaction| tx.add_to_set("Draft", "d", "labels", "x".into()).commit();
    label(client.transaction()).unwrap();
    note(&client, "n", "Note");
    // The region says what time it is, and the device follows.
    client.subscribe("team/red").unwrap();
    client.go_online();
    client.settle(SOON).unwrap();
    draft(&client, "d", &[("title", "Two")]);
    let shown =
        |column: &str| client.get("Draft", "d").unwrap().unwrap().text(column).map(str::to_owned);
    assert_eq!(shown("title").as_deref(), Some("Two"));
    for labels in ["[]", "[\"x\"]"] {
        match labels {
            "[]" => drop(
                client.transaction().remove_from_set("Draft", "d", "labels", "x".into()).commit(),
            ),
            _ => drop(label(client.transaction())),
        }
        assert_eq!(shown("labels").as_deref(), Some(labels));
    }
}
