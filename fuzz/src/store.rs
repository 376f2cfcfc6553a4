//! SQL as an app gives it: it reads, or it is refused, and it leaves nothing behind it.
//!
//! A client over a file in memory stays open for all inputs of a thread. After each, the tables are
//! as they were, the connection is as it was, and what is written next is seen.

use crate::world::{self, put, upsert};
use landfall_device::runtime::{Running, Runtime, Sleep, Task};
use landfall_device::store::MemoryFile;
use landfall_device::{
    Account, Clock, Edit, FieldEdit, Network, Options, Query, Random, Rows, Search, SqlValue,
};
use landfall_device::{Client, search_expression};
use std::sync::Arc;
use std::time::Duration;

/// Steps of one read: a statement of an input's length over a few rows needs less.
const STEPS_MAX: u64 = 200_000;

thread_local! {
    static FILE: Open = Open::new();
}

struct Open {
    client: Client,
    tables: Vec<Rows>,
    connection: Rows,
}

/// Nothing happens in the background, so an input does the same every time.
struct Still;

impl Runtime for Still {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }

    fn spawn(&self, _: &str, _: Task) -> std::io::Result<Running> {
        Ok(Running::detached())
    }
}

impl Clock for Still {
    fn now_ms(&self) -> i64 {
        world::NOW_MS
    }
}

impl Random for Still {
    fn next(&self) -> u64 {
        7
    }
}

/// A client that does nothing by itself, and never reads for long.
pub fn still(options: Options) -> Options {
    Options {
        clock: Arc::new(Still),
        random: Arc::new(Still),
        runtime: Arc::new(Still),
        network: Network { start_offline: true, ..Network::default() },
        read_steps_max: STEPS_MAX,
        ..options
    }
}

/// A few rows.
pub fn edits() -> Vec<Edit> {
    let note =
        |id: &str, title: &str| upsert("Note", id, &[("team", put("red")), ("title", put(title))]);
    vec![
        upsert("Order", "o1", &[("w", put("lyon")), ("status", put("open")), ("margin", put(7))]),
        upsert("Line", "l1", &[("order", put("o1")), ("sku", put("s"))]),
        note("n1", "milk and bread"),
        note("n2", "soy \"milk\" 100%"),
    ]
}

impl Open {
    fn new() -> Self {
        let account = Account { tenant: String::new(), subject: "ada".to_owned() };
        let options = still(Options::new("", world::schema(), account));
        let file = MemoryFile::new().expect("memory can be had");
        let client = Client::open_in_memory(options, &file).expect("a new file can be opened");
        client.write(&edits()).expect("the rows can be made");
        let (tables, connection) = (tables(&client), connection(&client));
        Self { client, tables, connection }
    }

    fn is_as_before(&self) {
        let client = &self.client;
        let times = || {
            let rows = read(client, "SELECT times FROM \"Seen\"");
            rows.scalar().and_then(SqlValue::as_i64).unwrap_or(0)
        };
        let before = times();
        let edit = FieldEdit::Increment(1);
        let edits: [Edit; 1] = [upsert("Seen", "s", &[("times", edit)])];
        client.write(&edits).expect("who has read does not keep others from writing");
        assert_eq!(times(), before + 1, "what was written is seen");
        assert_eq!(tables(client), self.tables, "who reads changes nothing");
        assert_eq!(connection(client), self.connection, "the next to read finds all as it was");
    }
}

fn read(client: &Client, sql: &str) -> Rows {
    client.query(sql, []).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn tables(client: &Client) -> Vec<Rows> {
    ["Order", "Line", "Note"].map(|t| read(client, &format!("SELECT * FROM \"{t}\""))).to_vec()
}

/// What statements could change of the connection that the next ones share.
fn connection(client: &Client) -> Rows {
    read(
        client,
        "SELECT 'a' LIKE 'A', (SELECT count(*) FROM pragma_database_list),
         (SELECT * FROM pragma_query_only), (SELECT * FROM pragma_foreign_keys),
         (SELECT * FROM pragma_recursive_triggers), (SELECT * FROM pragma_busy_timeout),
         (SELECT * FROM pragma_cache_size), (SELECT * FROM pragma_temp_store),
         (SELECT * FROM pragma_max_page_count), (SELECT * FROM pragma_reverse_unordered_selects),
         (SELECT count(*) FROM temp.sqlite_schema)",
    )
}

/// A statement as it is; and as the filter of a window.
pub fn sql(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    FILE.with(|open| {
        let params: Vec<SqlValue> = text.matches('?').map(|_| SqlValue::Integer(1)).collect();
        let done = open.client.query(text, params.clone());
        if let Err(error) = done {
            assert!(error.code().starts_with("LF21"), "{error}");
        }
        if let Ok(watch) = open.client.watch(text, params.clone()) {
            watch.explain().expect("what is watched can be explained");
        }
        let window = Query::table("Order").filter(text, params).descending("margin").limit(3);
        let window = window.include("note", ["title"]);
        if let Ok(watch) = open.client.observe(window) {
            watch.explain().expect("what is watched can be explained");
        }
        open.is_as_before();
    });
}

/// What people type, and what experts do.
pub fn search(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    FILE.with(|open| {
        for search in [Search::new("Note", text), Search::new("Note", text).as_typed()] {
            let search = search.within(["title"]).highlight();
            open.client.search_with(&search).expect("what people type is never a fault");
        }
        let joined = "SELECT count(*) FROM \"Note_search\" WHERE \"Note_search\" MATCH ?";
        let _ = open.client.query(joined, [search_expression(text).into()]);
        if let Err(error) = open.client.search_with(&Search::new("Note", text).raw()) {
            assert_eq!(error.code(), "LF2102", "{error}");
        }
        open.is_as_before();
    });
}

pub fn sql_seeds() -> Vec<(String, Vec<u8>)> {
    let statements = [
        "SELECT * FROM \"Order\" WHERE status = ? ORDER BY margin DESC LIMIT 3",
        "WITH n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT sum(x) FROM n",
        "WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT o.id, l.sku, row_number() OVER (ORDER BY l.id) FROM \"Order\" o JOIN \"Line\" l ON l.\"order\" = o.id",
        "EXPLAIN QUERY PLAN SELECT * FROM \"Note\" -- which index?",
        "/* all */ VALUES (1, 'a', x'00', 2.5e3, NULL)",
        "status = ? AND margin BETWEEN 1 AND 9",
        "id IN (SELECT \"order\" FROM \"Line\") OR date('now') > \"on\"",
        "SELECT json_group_array(title), printf('%.3f|%s', 1.5, title) FROM \"Note\" GROUP BY team",
        "SELECT * FROM pragma_table_info('Order')",
        "PRAGMA query_only = 0",
        "BEGIN",
        "ATTACH DATABASE ':memory:' AS x",
        "SAVEPOINT a",
        "SELECT 1; PRAGMA case_sensitive_like = 1",
        "1); BEGIN; --",
        "CREATE TEMP TABLE \"Order\" (id)",
        "DELETE FROM \"Order\"",
        "EXPLAIN PRAGMA foreign_keys = 1",
        "; ;PRAGMA cache_size = 1",
        "SELECT zeroblob(1000000000), printf('%1000000000d', 1)",
    ];
    crate::frames::numbered("sql", statements.map(|sql| sql.as_bytes().to_vec()))
}

pub fn search_seeds() -> Vec<(String, Vec<u8>)> {
    let texts = [
        "milk bread*",
        "\"soy milk\"* -title:x",
        "title : milk NOT soy",
        "NEAR(milk bread, 2) OR ^milk + \"and\"",
        "100% (a) AND {title} : b",
        "Zoë 😀 \u{0} *",
    ];
    crate::frames::numbered("search", texts.map(|text| text.as_bytes().to_vec()))
}
