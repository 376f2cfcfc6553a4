//! Full-text indexes: that they follow the typed rows, and the schema.

use super::{Folder, committed, kind, plain, schema};
use crate::store::Database;
use landfall_model::id::EntityKey;
use landfall_model::value::Value;
use landfall_sync::device::store::{Store, View};

const NOTES: &str = r#"
type Note @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID!  team: ID!  title: String @search(prefix: [2])  body: Text @search(prefix: [2])  plain: String }
"#;

/// Show a note with this title and this body, or take it away.
fn show(database: &mut Database, sdl: &str, id: &str, words: Option<(&str, &str)>) {
    let schema = schema(sdl);
    let note = schema.types.values().find(|t| t.field_named("body").is_some()).unwrap();
    let field = |name: &str| note.fields.iter().find(|f| f.name == name).unwrap().id;
    let key = EntityKey::new("team/1", note.id, id);
    let view = words.map(|(title, body)| View {
        registers: [(field("title"), Value::text(title))].into(),
        texts: [(field("body"), body.to_owned())].into(),
        ..View::default()
    });
    committed(database, |t| t.show(&key, view.as_ref()));
}

/// Ids that an expression finds, as the app's SQL asks.
fn found(database: &Database, table: &str, expression: &str) -> Vec<String> {
    let reader = database.reader().unwrap();
    let sql = format!(
        "SELECT n.id FROM \"_search_{table}\" AS s JOIN \"{table}\" AS n ON n.rowid = s.rowid
        WHERE \"_search_{table}\" MATCH ? ORDER BY n.id"
    );
    let mut statement = reader.prepare(&sql).unwrap();
    let ids = statement.query_map([expression], |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

/// The index holds exactly the words of the typed rows.
fn check_whole(database: &Database, table: &str) {
    let sql = format!(
        "INSERT INTO \"_search_{table}\" (\"_search_{table}\", rank) VALUES ('integrity-check', 1)"
    );
    database.conn.execute_batch(&sql).unwrap();
}

#[test]
fn whatever_changes_a_typed_row_changes_its_index() {
    let folder = Folder::new();
    let mut database = folder.open(NOTES);
    let check = |database: &Database, expression: &str, expected: &[&str]| {
        assert_eq!(found(database, "Note", expression), expected, "{expression}");
        check_whole(database, "Note");
    };
    show(&mut database, NOTES, "a", Some(("Shopping", "Milk and crème")));
    show(&mut database, NOTES, "b", Some(("Milk run", "")));
    check(&database, "milk", &["a", "b"]);
    check(&database, "title : milk", &["b"]);
    check(&database, "CREME", &["a"]);
    check(&database, "mi*", &["a", "b"]);
    show(&mut database, NOTES, "a", Some(("Shopping", "Bread")));
    check(&database, "milk", &["b"]);
    check(&database, "shopping bread", &["a"]);
    show(&mut database, NOTES, "a", None);
    check(&database, "shopping", &[]);
    // A transaction that is not kept leaves none of its words.
    let failed: Result<(), super::Error> = database.transact(false, |t| {
        let key = EntityKey::new("team/1", schema(NOTES).entity_named("Note").unwrap().id, "b");
        t.show(&key, None)?;
        Err(super::Error::Full)
    });
    assert!(failed.is_err());
    check(&database, "milk", &["b"]);
    // Another tool packs the file: rows and index still belong together.
    drop(database);
    plain(&folder.file()).execute_batch("VACUUM").unwrap();
    let mut database = folder.open(NOTES);
    check(&database, "milk", &["b"]);
    show(&mut database, NOTES, "b", Some(("Tea run", "")));
    check(&database, "milk", &[]);
}

#[test]
fn an_index_follows_the_schema_at_opening() {
    let folder = Folder::new();
    let without = NOTES.replace("@search(prefix: [2])", "");
    let mut database = folder.open(&without);
    show(&mut database, &without, "a", Some(("Shopping", "Milk")));
    let tables = |database: &Database| -> i64 {
        let sql = "SELECT count(*) FROM sqlite_schema
            WHERE name GLOB '_search_*' OR name GLOB '_lf_search_*'";
        database.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(tables(&database), 0);
    // A new version of the app searches: what is there is found.
    let database = folder.open(NOTES);
    assert_eq!(found(&database, "Note", "milk"), ["a"]);
    check_whole(&database, "Note");
    // The next one cuts words otherwise.
    let trigram = NOTES.replace("@search(prefix: [2])", "@search(tokenizer: TRIGRAM)");
    let database = folder.open(&trigram);
    assert_eq!(found(&database, "Note", "hoppin"), ["a"]);
    assert_eq!(kind(&database, "Note"), schema(NOTES).entity_named("Note").unwrap().id);
    // And one gives other names.
    let renamed = NOTES
        .replace("type Note", "type Card @was(name: \"Note\")")
        .replace("title: String", "label: String @was(name: \"title\")");
    let database = folder.open(&renamed);
    assert_eq!(found(&database, "Card", "label : shopping"), ["a"]);
    check_whole(&database, "Card");
    // The last one searches no more.
    let database = folder.open(&without);
    assert_eq!(tables(&database), 0);
}

#[test]
fn types_that_trade_their_names_keep_their_words() {
    let types = |a: (&str, &str), b: (&str, &str)| {
        let of = |(name, was): (&str, &str)| {
            let was = if was.is_empty() { String::new() } else { format!("@was(name: \"{was}\")") };
            format!(
                "type {name} {was} @entity(strategy: CRDT, scope: \"a\") {{
                id: ID!  title: String @search }}"
            )
        };
        of(a) + "\n" + &of(b)
    };
    let folder = Folder::new();
    let (before, after) = (types(("One", ""), ("Two", "")), types(("Two", "One"), ("One", "Two")));
    let mut database = folder.open(&before);
    for (name, title) in [("One", "first"), ("Two", "second")] {
        let schema = schema(&before);
        let kind = schema.entity_named(name).unwrap();
        let title = (kind.field_named("title").unwrap().id, title.into());
        let view = View { registers: [title].into(), ..View::default() };
        committed(&mut database, |t| t.show(&EntityKey::new("a", kind.id, name), Some(&view)));
    }
    drop(database);
    let database = folder.open(&after);
    assert_eq!(found(&database, "Two", "first"), ["One"]);
    assert_eq!(found(&database, "One", "second"), ["Two"]);
    check_whole(&database, "One");
    check_whole(&database, "Two");
}

#[test]
fn words_of_a_row_that_left_are_in_the_file_no_more() {
    let folder = Folder::new();
    let mut database = folder.open(NOTES);
    // Words as an index keeps them: in lower case, and of one that comes first only the end.
    let is_there = |database: &Database, word: &str| {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        database.conn.query_row(checkpoint, [], |_| Ok(())).unwrap();
        let bytes = std::fs::read(folder.file()).unwrap();
        bytes.windows(word.len()).any(|part| part == word.as_bytes())
    };
    for n in 0..300 {
        show(&mut database, NOTES, &format!("n{n}"), Some(("Plain", &format!("word{n} other{n}"))));
    }
    show(&mut database, NOTES, "secret", Some(("Plain", "Before xylograph")));
    assert!(is_there(&database, "xylograph"));
    // An edit takes the word it replaces, a leave takes the last one.
    show(&mut database, NOTES, "secret", Some(("Plain", "After zymurgist")));
    assert!(!is_there(&database, "xylograph"), "after an edit");
    assert!(is_there(&database, "zymurgist"));
    show(&mut database, NOTES, "secret", None);
    assert!(!is_there(&database, "zymurgist"), "after a leave");
    assert!(is_there(&database, "word299"), "the same search finds what is there");
}

#[test]
fn typing_in_a_searched_text_keeps_its_index() {
    let folder = Folder::new();
    let mut database = folder.open(NOTES);
    for n in 0..300 {
        let words: Vec<String> =
            (0..100).map(|w| format!("w{}", (n * 37 + w * 11) % 900)).collect();
        show(&mut database, NOTES, &format!("n{n}"), Some(("Plain", &words.join(" "))));
    }
    for length in [100, 1_000, 10_000] {
        let words: Vec<String> = (0..length).map(|w| format!("w{}", w * 7 % 900)).collect();
        let mut body = words.join(" ");
        show(&mut database, NOTES, "typed", Some(("Plain", &body)));
        let began = std::time::Instant::now();
        for letter in "andmore".chars() {
            body.push(letter);
            show(&mut database, NOTES, "typed", Some(("Plain", &body)));
        }
        println!("a letter in a text of {length} words: {:?}", began.elapsed() / 7);
        let last = body.rsplit(' ').next().unwrap();
        assert_eq!(found(&database, "Note", last), ["typed"]);
    }
    check_whole(&database, "Note");
}
