//! Search: what is found, in which order, and that no text that people type is a fault.

use crate::world::{SOON, World, eventually};
use landfall_device::{Client, Rows, Search, SqlValue, search_expression};
use std::path::Path;
use std::sync::Arc;

const SDL: &str = r#"
type Note @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID!  team: ID!  title: String @search  order: Int  body: Text @search }
type Part @entity(strategy: LAST_WRITE_WINS, scope: "catalog") {
  id: ID!  code: String @search(tokenizer: TRIGRAM)  order: String @search(tokenizer: TRIGRAM) }
type Bare @entity(strategy: LAST_WRITE_WINS, scope: "catalog") { id: ID!  name: String }
"#;

fn world() -> World {
    World::of(SDL, 1, Arc::default())
}

fn offline(world: &World, path: &Path) -> Client {
    let mut options = world.options(path, &[0]);
    options.network.start_offline = true;
    Client::open(options).unwrap()
}

fn note(client: &Client, team: &str, id: &str, title: &str, body: &str) {
    let fields = [("team", team.into()), ("title", title.into())];
    let note = client.transaction().upsert("Note", id, fields);
    note.splice("Note", id, "body", 0, 0, body).commit().unwrap();
}

fn ids(rows: &Rows) -> Vec<&str> {
    rows.iter().map(|row| row.text("id").unwrap()).collect()
}

#[test]
fn words_are_found_best_first_with_the_place_where_they_stand() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    note(
        &client,
        "red",
        "a",
        "Shopping",
        "Bread, two litres of milk, and a very long list besides",
    );
    note(&client, "red", "b", "Milk", "Milk, milk and breadcrumbs");
    note(&client, "blue", "c", "Other", "Nothing of that");
    let rows = client.search("Note", "milk bread*", 10).unwrap();
    assert_eq!(ids(&rows), ["b", "a"]);
    let columns =
        ["id", "_home", "_pending", "team", "title", "order", "body", "_rank", "_snippet"];
    assert_eq!(rows.columns(), columns);
    let (first, second) = (rows.get(0).unwrap(), rows.get(1).unwrap());
    assert!(first.get("_rank").unwrap().as_f64() < second.get("_rank").unwrap().as_f64());
    assert_eq!(first.text("title"), Some("Milk"));
    let snippet = second.text("_snippet").unwrap();
    assert!(snippet.contains("[Bread], two litres of [milk]"), "{snippet}");
    assert_eq!(client.search("Note", "milk", 1).unwrap().len(), 1);

    let with = |search: Search| client.search_with(&search).unwrap();
    assert_eq!(ids(&with(Search::new("Note", "milk").within(["title"]))), ["b"]);
    assert_eq!(with(Search::new("Note", "\"of milk\"")).len(), 1);
    assert_eq!(with(Search::new("Note", "li mil").as_typed()).len(), 0);
    assert_eq!(with(Search::new("Note", "long mil").as_typed()).len(), 1);
    assert_eq!(with(Search::new("Note", "mil ").as_typed()).len(), 0);
    assert_eq!(ids(&with(Search::new("Note", "shopping OR other").raw())).len(), 2);
    // A filter names columns of the row; its parameters are counted from 1.
    let team = |team: &str| {
        let search = Search::new("Note", "of*")
            .filter("title <> ?2 AND team = ?1", [team.into(), "x".into()]);
        with(search).len()
    };
    assert_eq!((team("red"), team("blue"), team("green")), (1, 1, 0));
    let marked = with(Search::new("Note", "shopping").marks("<b>", "</b>").highlight());
    assert_eq!(marked.get(0).unwrap().text("_marked_title"), Some("<b>Shopping</b>"));
    assert!(marked.get(0).unwrap().text("_marked_body").unwrap().starts_with("Bread"));
    let short = with(Search::new("Note", "besides").snippet_words(2));
    assert_eq!(short.get(0).unwrap().text("_snippet"), Some("…list [besides]"));
}

#[test]
fn the_index_can_be_joined_in_sql_of_the_apps_own() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    note(&client, "red", "a", "Milk", "");
    note(&client, "blue", "b", "Milk", "");
    let sql = "SELECT n.id FROM \"_search_Note\" AS s JOIN Note AS n ON n.rowid = s.rowid
        WHERE \"_search_Note\" MATCH ? AND n.team = ? ORDER BY s.rank";
    let rows = client.query(sql, [search_expression("mil*").into(), "blue".into()]).unwrap();
    assert_eq!(ids(&rows), ["b"]);
}

#[test]
fn trigrams_find_the_inside_of_words() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let fields = [("code", "AX-4711-B"), ("order", "first")].map(|(f, v)| (f, v.into()));
    client.transaction().upsert("Part", "p", fields).commit().unwrap();
    assert_eq!(client.search("Part", "471", 5).unwrap().len(), 1);
    assert_eq!(client.search("Part", "11-b", 5).unwrap().len(), 1);
    let within = Search::new("Part", "irs").within(["order"]);
    assert_eq!(client.search_with(&within).unwrap().len(), 1);
    assert_eq!(client.search("Part", "47", 5).unwrap().len(), 0, "shorter than three");
}

#[test]
fn no_text_that_people_type_is_a_fault() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    note(&client, "red", "a", "Milk", "AND OR NOT");
    let all = |text: &str| {
        for search in
            [Search::new("Note", text), Search::new("Note", text).within(["title", "body"])]
        {
            client.search_with(&search.as_typed()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        }
        let found = client.search("Note", text, 5);
        found.unwrap_or_else(|e| panic!("{text:?}: {e}"));
    };
    let signs: Vec<char> = "\"*():^-+{}AORNDTE. \0\u{1}'ü𝄞\u{301}\\\n,;%_[]milk".chars().collect();
    let mut seed = 11_u64;
    let mut draw = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % n
    };
    for _ in 0..3_000 {
        let text: String = (0..draw(14)).map(|_| signs[draw(signs.len())]).collect();
        all(&text);
    }
    for text in ["", " ", "\"", "*", "AND", "NEAR(", "title:", "a AND", "-", "!!!", "\"\"", "\0"] {
        all(text);
    }
    all(&"word ".repeat(10_000));
    assert_eq!(client.search("Note", "not and", 5).unwrap().len(), 1);
    assert_eq!(client.search("Note", "milk !!! …", 5).unwrap().len(), 1, "signs part words");
    assert_eq!(client.search("Note", "!!!", 5).unwrap().len(), 0);
    let raw = client.search_with(&Search::new("Note", "title:").raw());
    assert_eq!(raw.unwrap_err().code(), "LF2102");
}

#[test]
fn a_search_of_what_is_not_searched_says_so() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    let check = |search: Search, code: &str| {
        assert_eq!(client.search_with(&search).unwrap_err().code(), code);
        assert_eq!(client.observe_search(&search).unwrap_err().code(), code);
    };
    check(Search::new("Nothing", "x"), "LF2120");
    check(Search::new("Bare", "x"), "LF2120");
    check(Search::new("Note", "x").within(["team"]), "LF2120");
    check(Search::new("Note", "x").filter("colour = 1", []), "LF2102");
    check(Search::new("Note", "\"").raw(), "LF2102");
}

#[test]
fn what_comes_from_afar_is_found_and_what_goes_is_not() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let writer = world.client(&dir.path().join("w.db"), &[0]);
    writer.subscribe("team/red").unwrap();
    for n in 0..20 {
        note(&writer, "red", &format!("n{n}"), "Milk", &format!("number{n}"));
    }
    writer.settle(SOON).unwrap();
    let client = world.client(&dir.path().join("a.db"), &[0]);
    client.subscribe("team/red").unwrap();
    client.settle(SOON).unwrap();
    assert_eq!(client.search("Note", "milk", 50).unwrap().len(), 20);
    writer.transaction().delete("Note", "n3").commit().unwrap();
    writer.transaction().update("Note", "n4", [("title", "Tea".into())]).commit().unwrap();
    let left = || client.search("Note", "milk", 50).unwrap().len() == 18;
    eventually("the index follows", left);
    client.unsubscribe("team/red").unwrap();
    assert_eq!(client.search("Note", "milk", 50).unwrap().len(), 0);
    let words = "SELECT count(*) FROM \"_search_Note\" WHERE \"_search_Note\" MATCH 'number7'";
    assert_eq!(client.query(words, []).unwrap().scalar(), Some(&SqlValue::Integer(0)));
}

#[test]
fn a_live_search_is_run_anew_and_tells_what_changed() {
    let (world, dir) = (world(), tempfile::tempdir().unwrap());
    let client = offline(&world, &dir.path().join("a.db"));
    note(&client, "red", "a", "Milk", "");
    let mut watch = client.observe_search(&Search::new("Note", "milk")).unwrap();
    let first = watch.next_within(SOON).unwrap().unwrap();
    assert_eq!((first.rows.len(), first.incremental), (1, false));
    note(&client, "red", "b", "Milk", "more");
    let second = watch.next_within(SOON).unwrap().unwrap();
    assert_eq!(second.rows.len(), 2);
    client.transaction().delete("Note", "a").commit().unwrap();
    let third = watch.next_within(SOON).unwrap().unwrap();
    assert_eq!(third.rows[0].text("id"), Some("b"));
    let explained = watch.explain().unwrap();
    assert!(!explained.incremental && explained.why.contains("rank"), "{explained}");
    assert_eq!((explained.runs, explained.tables), (3, vec!["Note".to_owned()]));
}
