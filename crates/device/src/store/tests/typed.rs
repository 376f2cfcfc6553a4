//! Typed rows: what each kind of field looks like to plain SQL, and how tables follow a schema.

use super::super::{Database, OpenError, Options};
use super::{Folder, committed, kind, plain, schema};
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::schema::Schema;
use landfall_model::value::Value;
use landfall_sync::device::store::{Base, Store, View};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;

const EVERYTHING: &str = r#"
enum Colour { RED GREEN }
type Address @value { street: String!  zip: String  floor: Int  plan: Bytes  extra: JSON  due: Date }
type Thing @entity(strategy: CRDT, scope: "team/{team}") {
  id: ID!
  team: ID!
  text: String
  small: Int
  large: Int64
  real: Float
  flag: Boolean
  money: Decimal @decimal(precision: 18, scale: 2)
  at: Instant
  on: Date
  time: LocalTime
  zoned: ZonedDateTime
  raw: Bytes
  json: JSON
  photo: Blob
  colour: Colour
  address: Address
  friend: Thing @ref(onDelete: KEEP)
  list: [Int!]
  places: [Address!]
  labels: [String!] @set
  votes: Counter
  body: Text
}
"#;

fn field(schema: &Schema, of: &str, name: &str) -> FieldId {
    schema.entity_named(of).unwrap().field_named(name).unwrap().id
}

fn member(schema: &Schema, name: &str) -> FieldId {
    schema.values["Address"].fields.iter().find(|f| f.name == name).unwrap().id
}

fn thing(database: &Database, id: &str) -> EntityKey {
    EntityKey::new("team/1", kind(database, "Thing"), id)
}

/// A column of the one row, as plain SQL reads it.
fn read(database: &Database, table: &str, column: &str) -> Sql {
    let sql = format!("SELECT \"{column}\" FROM \"{table}\"");
    database.reader().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn text(s: &str) -> Sql {
    Sql::Text(s.to_owned())
}

#[test]
fn every_kind_of_register_comes_back() {
    let folder = Folder::new();
    let mut database = folder.open(EVERYTHING);
    let schema = schema(EVERYTHING);
    let key = thing(&database, "t1");
    let mut check = |name: &str, value: Value, expected: Sql| {
        let id = field(&schema, "Thing", name);
        let view = View { registers: [(id, value)].into(), ..View::default() };
        committed(&mut database, |t| t.show(&key, Some(&view)));
        assert_eq!(read(&database, "Thing", name), expected, "{name}");
    };
    check("text", "it's \"ü\" \0 𝄞".into(), text("it's \"ü\" \0 𝄞"));
    check("text", "007".into(), text("007"));
    check("text", Value::Null, Sql::Null);
    check("small", Value::Int(-5), Sql::Integer(-5));
    for edge in [i64::MIN, i64::MAX] {
        check("large", Value::Int(edge), Sql::Integer(edge));
        check("money", Value::Int(edge), Sql::Integer(edge));
        check("at", Value::Int(edge), Sql::Integer(edge));
    }
    check("real", 0.1.into(), Sql::Real(0.1));
    check("real", f64::MAX.into(), Sql::Real(f64::MAX));
    check("real", f64::NEG_INFINITY.into(), Sql::Real(f64::NEG_INFINITY));
    check("real", f64::NAN.into(), Sql::Null);
    check("flag", true.into(), Sql::Integer(1));
    check("flag", false.into(), Sql::Integer(0));
    check("on", "2026-01-31".into(), text("2026-01-31"));
    check("time", "23:59:59".into(), text("23:59:59"));
    let zoned = "2026-01-31T10:00:00+01:00[Europe/Paris]";
    check("zoned", zoned.into(), text(zoned));
    check("raw", Value::Bytes(vec![0, 255, 7]), Sql::Blob(vec![0, 255, 7]));
    check("raw", Value::Bytes(vec![]), Sql::Blob(vec![]));
    check("json", r#"{"b": 1.50, "a": [null]}"#.into(), text(r#"{"b": 1.50, "a": [null]}"#));
    check("photo", "b3:00ff".into(), text("b3:00ff"));
    check("colour", "GREEN".into(), text("GREEN"));
    check("colour", "MAUVE".into(), text("MAUVE"));
    check("friend", "t2".into(), text("t2"));
    check("list", Value::List(vec![1.into(), 2.into()]), text("[1,2]"));
    check("list", Value::List(vec![]), text("[]"));
    // From a newer version of the app: shown as it is.
    check("small", "twelve".into(), text("twelve"));
}

#[test]
fn value_objects_are_json_with_member_names() {
    let folder = Folder::new();
    let mut database = folder.open(EVERYTHING);
    let schema = schema(EVERYTHING);
    let key = thing(&database, "t1");
    let id = |name| member(&schema, name);
    let unknown = FieldId(1);
    let address = Value::object([
        (id("street"), "Rue de l'\"Échelle\"\n".into()),
        (id("floor"), Value::Int(-1)),
        (id("plan"), Value::Bytes(vec![0xab, 0x01])),
        (id("extra"), r#"{"pi": 3.10}"#.into()),
        (unknown, Value::Int(9)),
    ]);
    let small = Value::object([(id("street"), "B".into()), (id("extra"), "not json".into())]);
    let list = Value::List(vec![small, Value::Null]);
    let (one, many) = (field(&schema, "Thing", "address"), field(&schema, "Thing", "places"));
    let registers = [(one, address), (many, list)].into();
    committed(&mut database, |t| t.show(&key, Some(&View { registers, ..View::default() })));

    let expected = r#"{"street":"Rue de l'\"Échelle\"\n","zip":null,"floor":-1,"plan":"qwE=","extra":{"pi": 3.10},"due":null}"#;
    assert_eq!(read(&database, "Thing", "address"), text(expected));
    let expected = r#"[{"street":"B","zip":null,"floor":null,"plan":null,"extra":"not json","due":null},null]"#;
    assert_eq!(read(&database, "Thing", "places"), text(expected));
    let sql = "SELECT json_extract(address, '$.street'),
        json_valid(address) AND json_valid(places) FROM Thing";
    let reader = database.reader().unwrap();
    assert!(reader.query_row(sql, [], |row| row.get::<_, bool>(1)).unwrap());
}

#[test]
fn sets_counters_and_texts_are_always_there() {
    let folder = Folder::new();
    let mut database = folder.open(EVERYTHING);
    let schema = schema(EVERYTHING);
    let key = thing(&database, "t1");
    committed(&mut database, |t| t.show(&key, Some(&View::default())));
    assert_eq!(read(&database, "Thing", "labels"), text("[]"));
    assert_eq!(read(&database, "Thing", "votes"), Sql::Integer(0));
    assert_eq!(read(&database, "Thing", "body"), text(""));
    assert_eq!(read(&database, "Thing", "_pending"), Sql::Integer(0));

    let id = |name| field(&schema, "Thing", name);
    let view = View {
        sets: [(id("labels"), vec!["a\\".into(), "b".into()])].into(),
        counters: [(id("votes"), -3)].into(),
        texts: [(id("body"), "hello".to_owned())].into(),
        pending: true,
        ..View::default()
    };
    committed(&mut database, |t| t.show(&key, Some(&view)));
    assert_eq!(read(&database, "Thing", "labels"), text(r#"["a\\","b"]"#));
    assert_eq!(read(&database, "Thing", "votes"), Sql::Integer(-3));
    assert_eq!(read(&database, "Thing", "body"), text("hello"));
    assert_eq!(read(&database, "Thing", "_pending"), Sql::Integer(1));
    assert_eq!(read(&database, "Thing", "id"), text("t1"));
    assert_eq!(read(&database, "Thing", "_home"), text("team/1"));
}

#[test]
fn decimals_add_up_and_sort_exactly() {
    let folder = Folder::new();
    let mut database = folder.open(EVERYTHING);
    let money = field(&schema(EVERYTHING), "Thing", "money");
    for (id, cents) in [("a", 10), ("b", 20), ("c", -70), ("d", 9_007_199_254_740_993)] {
        let key = thing(&database, id);
        let view = View { registers: [(money, Value::Int(cents))].into(), ..View::default() };
        committed(&mut database, |t| t.show(&key, Some(&view)));
    }
    let reader = database.reader().unwrap();
    let sum: i64 = reader.query_row("SELECT sum(money) FROM Thing", [], |r| r.get(0)).unwrap();
    assert_eq!(sum, 9_007_199_254_740_953);
    let sql = "SELECT group_concat(id, '') FROM (SELECT id FROM Thing ORDER BY money)";
    assert_eq!(reader.query_row(sql, [], |r| r.get::<_, String>(0)).unwrap(), "cabd");
}

#[test]
fn rows_are_keyed_by_id_and_home_and_go_one_by_one() {
    let folder = Folder::new();
    let mut database = folder.open(EVERYTHING);
    let kind = kind(&database, "Thing");
    let keys = ["team/1", "team/2"].map(|home| EntityKey::new(home, kind, "t1"));
    let unknown = EntityKey::new("team/1", landfall_model::id::TypeId(7), "t1");
    committed(&mut database, |t| {
        for key in keys.iter().chain([&unknown]) {
            t.show(key, Some(&View::default()))?;
        }
        t.show(&unknown, None)?;
        t.show(&keys[0], None)
    });
    assert_eq!(read(&database, "Thing", "_home"), text("team/2"));
}

#[test]
fn defaults_show_and_are_never_stored() {
    const SDL: &str = r#"
type Shop @entity(strategy: LAST_WRITE_WINS, scope: "shop/{id}") {
  id: ID!  stars: Int! @default(value: 3)  city: String @default(value: "Lyon")
}"#;
    let folder = Folder::new();
    let mut database = folder.open(SDL);
    let shop = EntityKey::new("shop/1", kind(&database, "Shop"), "1");
    committed(&mut database, |t| t.show(&shop, Some(&View::default())));
    assert_eq!(read(&database, "Shop", "stars"), Sql::Integer(3));
    assert_eq!(read(&database, "Shop", "city"), text("Lyon"));
    let schema = schema(SDL);
    let cleared = ["stars", "city"].map(|name| (field(&schema, "Shop", name), Value::Null));
    let view = View { registers: cleared.into(), ..View::default() };
    committed(&mut database, |t| t.show(&shop, Some(&view)));
    assert_eq!(read(&database, "Shop", "stars"), Sql::Integer(3));
    assert_eq!(read(&database, "Shop", "city"), Sql::Null);
}

/// The columns of a table with their declared types.
fn columns(folder: &Folder, table: &str) -> String {
    let conn = plain(&folder.file());
    let sql = "SELECT group_concat(name || ' ' || type, ', ') FROM pragma_table_info(?)";
    conn.query_row(sql, [table], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
}

fn indexes(folder: &Folder) -> Vec<String> {
    let conn = plain(&folder.file());
    let sql = "SELECT sql FROM sqlite_schema WHERE name GLOB '_lf_index*' ORDER BY sql";
    let mut statement = conn.prepare(sql).unwrap();
    let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    found.map(|sql| sql.unwrap().split_once(" ON ").unwrap().1.to_owned()).collect()
}

const SHOP: &str = r#"type Shop @entity(strategy: LAST_WRITE_WINS, scope: "shop/{id}")"#;

#[test]
fn tables_grow_with_the_schema_and_keep_what_is_gone() {
    let folder = Folder::new();
    drop(folder.open(&format!("{SHOP} {{ id: ID!  a: Int @index  b: String }}")));
    let base = "id TEXT, _home TEXT, _pending INTEGER";
    assert_eq!(columns(&folder, "Shop"), format!("{base}, a INTEGER, b TEXT"));
    assert_eq!(indexes(&folder), [r#""Shop" ("a")"#]);

    drop(folder.open(&format!("{SHOP} {{ id: ID!  a: Int  order: Float @index }}")));
    assert_eq!(columns(&folder, "Shop"), format!("{base}, a INTEGER, b TEXT, order REAL"));
    assert_eq!(indexes(&folder), [r#""Shop" ("order")"#]);

    let other = r#"type Other @local { id: ID! }"#;
    drop(folder.open(&format!("{SHOP} {{ id: ID!  b: String }} {other}")));
    assert_eq!(columns(&folder, "Shop"), format!("{base}, a INTEGER, b TEXT, order REAL"));
    assert_eq!(columns(&folder, "Other"), base);
}

#[test]
fn renamed_fields_and_types_keep_their_rows() {
    let folder = Folder::new();
    let first = format!("{SHOP} {{ id: ID!  a: Int  b: Int @index }}");
    let mut database = folder.open(&first);
    let shop = EntityKey::new("shop/1", kind(&database, "Shop"), "1");
    let schema = schema(&first);
    let registers = [("a", 1), ("b", 2)].map(|(n, v)| (field(&schema, "Shop", n), v.into()));
    let view = View { registers: registers.into(), ..View::default() };
    committed(&mut database, |t| t.show(&shop, Some(&view)));
    drop(database);

    // Two fields change places, and the type has a new name.
    let second = r#"type Store @was(name: "Shop") @entity(strategy: LAST_WRITE_WINS, scope: "shop/{id}") {
        id: ID!  b: Int @was(name: "a")  a: Int @was(name: "b") @index }"#;
    let mut database = folder.open(second);
    assert_eq!(read(&database, "Store", "b"), Sql::Integer(1));
    assert_eq!(read(&database, "Store", "a"), Sql::Integer(2));
    assert_eq!(indexes(&folder), [r#""Store" ("a")"#]);
    assert_eq!(columns(&folder, "Shop"), "");
    committed(&mut database, |t| t.show(&shop, Some(&view)));
    assert_eq!(read(&database, "Store", "b"), Sql::Integer(1));
    // A new name is no new look.
    assert_eq!(committed(&mut database, |t| t.stale_types()), []);
}

#[test]
fn a_field_never_changes_the_way_it_is_stored() {
    let decimal = |scale| format!("Decimal @decimal(precision: 9, scale: {scale})");
    for (was, now, told) in [
        ("Int".to_owned(), "String".to_owned(), ("INTEGER", "TEXT")),
        (decimal(2), decimal(3), ("INTEGER scale 2", "INTEGER scale 3")),
        ("Int".to_owned(), decimal(0), ("INTEGER", "INTEGER scale 0")),
    ] {
        let folder = Folder::new();
        let with = |kind: &str| format!("{SHOP} {{ id: ID!  a: {kind}  b: Int }}");
        drop(folder.open(&with(&was)));
        let before = std::fs::read(folder.file()).unwrap();
        let opened = Database::open(&folder.file(), &schema(&with(&now)), Options::default());
        let Err(error @ OpenError::SchemaConflict { .. }) = opened else { panic!("{was}, {now}") };
        assert_eq!(error.code(), "LF2205");
        let expected =
            format!("Shop.a is stored as {}, and the schema now asks for {}", told.0, told.1);
        assert_eq!(error.to_string(), expected);
        assert_eq!(std::fs::read(folder.file()).unwrap(), before);
        drop(folder.open(&with(&was)));
    }
}

#[test]
fn rows_of_another_shape_are_stale_until_shown_anew() {
    let folder = Folder::new();
    let other = r#"type Other @entity(strategy: LAST_WRITE_WINS, scope: "o/{id}") { id: ID! }"#;
    let mut database = folder.open(&format!("{SHOP} {{ id: ID! }} {other}"));
    let shop = kind(&database, "Shop");
    assert_eq!(committed(&mut database, |t| t.stale_types()), []);
    committed(&mut database, |t| {
        t.put_base(&EntityKey::new("shop/1", shop, "1"), &Base::default())
    });
    drop(database);

    let grown = format!("{SHOP} {{ id: ID!  a: Int @default(value: 1) }} {other}");
    drop(folder.open(&grown));
    let mut database = folder.open(&grown);
    assert_eq!(committed(&mut database, |t| t.stale_types()), [shop]);
    committed(&mut database, |t| t.mark_shown(shop));
    drop(database);
    assert_eq!(committed(&mut folder.open(&grown), |t| t.stale_types()), []);

    let other_default = grown.replace("value: 1", "value: 2");
    assert_eq!(committed(&mut folder.open(&other_default), |t| t.stale_types()), [shop]);
}

#[test]
fn older_rows_are_found_by_what_they_show() {
    const SDL: &str = r#"
type Visit @entity(strategy: LAST_WRITE_WINS, scope: "s/{s}") { id: ID! s: ID! at: Instant @window }
type Stay @entity(strategy: LAST_WRITE_WINS, scope: "s/{s}") { id: ID! s: ID! on: Date @window }
"#;
    let folder = Folder::new();
    let (mut database, schema) = (folder.open(SDL), schema(SDL));
    let mut check = |of: &str, name: &str, values: [Value; 3], floor: Value, expected: &[&str]| {
        let (kind, field) = (schema.entity_named(of).unwrap().id, field(&schema, of, name));
        let keys = ["a", "b", "c"].map(|id| EntityKey::new("s/1", kind, id));
        committed(&mut database, |t| {
            for (key, value) in keys.iter().zip(values) {
                let registers = BTreeMap::from([(field, value)]);
                t.show(key, Some(&View { registers, ..View::default() }))?;
            }
            t.show(&EntityKey::new("s/1", kind, "no age"), Some(&View::default()))
        });
        let older = |database: &mut Database, after: Option<&EntityKey>, limit| {
            let found = committed(database, |t| t.older(kind, field, &floor, after, limit));
            found.into_iter().map(|key| key.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(older(&mut database, None, 9), expected);
        assert_eq!(older(&mut database, None, 1), expected[..1]);
        assert_eq!(older(&mut database, Some(&keys[0]), 9), expected[1..]);
    };
    let at = |ms: i64| Value::Int(ms * 1_000);
    check("Visit", "at", [at(10), at(20), at(5)], at(20), &["a", "c"]);
    let on = |date: &str| Value::text(date);
    let dates = ["2026-01-30", "2026-01-31", "2025-12-31"].map(on);
    check("Stay", "on", dates, on("2026-01-31"), &["a", "c"]);
}
