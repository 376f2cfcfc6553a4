//! The store on real files: conformance, opening, typed rows, and several handles on one file.

mod opening;
mod power;
mod search;
mod sharing;
mod typed;

use super::{Database, Error, MemoryFile, Options, Transaction, rows};
use landfall_model::id::{EntityKey, TypeId};
use landfall_model::schema::{Schema, compile};
use landfall_sync::device::conformance;
use landfall_sync::device::store::{Meta, Store};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const ORDERS: &str = r#"
type Order @entity(strategy: LAST_WRITE_WINS, scope: "warehouse/{warehouse}") {
  id: ID!
  warehouse: ID!
  total: Decimal! @decimal(precision: 12, scale: 2)
  note: Text
}
"#;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("app.db")
    }

    fn open(&self, sdl: &str) -> Database {
        Database::open(&self.file(), &schema(sdl), Options::default()).unwrap()
    }
}

fn schema(sdl: &str) -> Schema {
    compile(sdl).unwrap()
}

fn kind(database: &Database, name: &str) -> TypeId {
    let tables = &database.tables.by_kind;
    let quoted = format!("\"{name}\"");
    *tables.iter().find(|(_, t)| t.upsert.contains(&quoted)).expect("a type of the test").0
}

fn key(kind: TypeId, id: &str) -> EntityKey {
    EntityKey::new("warehouse/lyon", kind, id)
}

/// As the command line of SQLite would open it.
fn plain(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn committed<T>(
    database: &mut Database,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> T {
    database.transact(false, work).unwrap()
}

#[test]
fn sqlite_conforms() {
    // Open for as long as the process, so that the suite can hold a transaction by itself.
    conformance::run(|| {
        let folder = Box::leak(Box::new(Folder::new()));
        let database: &'static Database = Box::leak(Box::new(folder.open(ORDERS)));
        database.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        Transaction { conn: &database.conn, tables: &database.tables }
    });
}

fn open_in_memory(file: &MemoryFile) -> Database {
    let options = Options { in_memory: true, ..Options::default() };
    Database::open(file.path(), &schema(ORDERS), options).unwrap()
}

#[test]
fn a_file_in_memory_conforms() {
    conformance::run(|| {
        let file: &'static MemoryFile = Box::leak(Box::new(MemoryFile::new().unwrap()));
        let database: &'static Database = Box::leak(Box::new(open_in_memory(file)));
        database.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        Transaction { conn: &database.conn, tables: &database.tables }
    });
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let meta = Meta { last_seq: 9, ..Meta::default() };
    let folder = Folder::new();
    committed(&mut folder.open(ORDERS), |t| t.put_meta(&meta));
    assert_eq!(committed(&mut folder.open(ORDERS), |t| t.meta()), Some(meta.clone()));
    let (file, other) = (MemoryFile::new().unwrap(), MemoryFile::new().unwrap());
    committed(&mut open_in_memory(&file), |t| t.put_meta(&meta));
    assert_eq!(committed(&mut open_in_memory(&file), |t| t.meta()), Some(meta));
    assert_eq!(committed(&mut open_in_memory(&other), |t| t.meta()), None);
}

#[test]
fn a_file_in_memory_that_has_its_tables_is_like_one_that_gets_them() {
    let tables = |file: &MemoryFile| -> Vec<String> {
        let database = open_in_memory(file);
        let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY rowid";
        rows::query_all(&database.conn, sql, [], |row| Ok(row.get(0)?)).unwrap()
    };
    let plain = tables(&MemoryFile::new().unwrap());
    let orders = Arc::new(schema(ORDERS));
    let meta = Meta { last_seq: 9, ..Meta::default() };
    for _ in 0..2 {
        let file = MemoryFile::with_tables(&orders).unwrap();
        assert_eq!(committed(&mut open_in_memory(&file), |t| t.meta()), None, "nothing is in it");
        committed(&mut open_in_memory(&file), |t| t.put_meta(&meta));
        assert_eq!(tables(&file), plain);
    }
    let notes = "type Note @entity(strategy: CRDT, scope: \"n\") { id: ID! }";
    let other = MemoryFile::with_tables(&Arc::new(schema(notes))).unwrap();
    assert_ne!(tables(&other), plain, "each schema has its own");
}

#[test]
fn readers_of_a_file_in_memory_see_commits_and_cannot_write() {
    let file = MemoryFile::new().unwrap();
    let mut database = open_in_memory(&file);
    let reader = database.reader().unwrap();
    let seen = || -> i64 {
        reader.query_row("SELECT count(*) FROM _lf_meta", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(seen(), 0);
    committed(&mut database, |t| t.put_meta(&Meta::default()));
    assert_eq!(seen(), 1);
    assert!(reader.execute("DELETE FROM _lf_meta", []).is_err());
}

#[test]
fn a_transaction_that_fails_or_panics_leaves_nothing() {
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    let failed: Result<(), Error> = database.transact(false, |t| {
        t.put_meta(&Meta::default())?;
        Err(Error::Full)
    });
    assert!(matches!(failed, Err(Error::Full)));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        committed(&mut database, |t| -> Result<(), Error> {
            t.put_meta(&Meta::default())?;
            panic!("as planned")
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(committed(&mut database, |t| t.meta()), None);
}

#[test]
fn a_durable_commit_syncs_the_log_and_a_local_one_does_not() {
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    let level = |t: &mut Transaction<'_>| -> Result<i64, Error> {
        Ok(t.conn.query_row("PRAGMA synchronous", [], |row| row.get(0))?)
    };
    for (durable, expected) in [(false, 1), (true, 2), (true, 2), (false, 1)] {
        assert_eq!(database.transact(durable, level).unwrap(), expected);
    }
}

#[test]
fn a_durable_commit_has_something_to_sync_even_if_nothing_changed() {
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    let log_bytes = || {
        let mut log = folder.file().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).unwrap().len()
    };
    let before = log_bytes();
    database.transact(false, |t| t.meta()).unwrap();
    assert_eq!(log_bytes(), before);
    database.transact(true, |t| t.meta()).unwrap();
    assert!(log_bytes() > before);
}

#[test]
fn facts_of_the_sdk_are_kept_by_name() {
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    committed(&mut database, |t| {
        assert_eq!(t.fact("schema")?, None);
        t.put_fact("directory", b"one")?;
        t.put_fact("directory", b"two")?;
        assert_eq!(t.fact("directory")?, Some(b"two".to_vec()));
        Ok(())
    });
}

#[test]
fn outcomes_come_in_order_and_go_when_dismissed() {
    use landfall_model::id::{DeviceId, Dot};
    use landfall_sync::device::store::Outcome;
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    let order = key(kind(&database, "Order"), "o1");
    let dot = |seq| Dot::new(DeviceId::from_number(1), seq);
    let refused = Outcome::Rejected { code: "LF4001".into(), field: None, detail: "no".into() };
    committed(&mut database, |t| {
        t.add_outcome(dot(2), &order, &refused)?;
        t.add_outcome(dot(1), &order, &Outcome::Deleted)?;
        t.add_outcome(dot(2), &order, &Outcome::Left)?;
        t.add_outcome(dot(2), &order, &refused)?;
        Ok(())
    });
    let listed = [
        (dot(2), order.clone(), refused),
        (dot(1), order.clone(), Outcome::Deleted),
        (dot(2), order.clone(), Outcome::Left),
    ];
    assert_eq!(committed(&mut database, |t| t.outcomes()), listed);
    committed(&mut database, |t| t.remove_outcomes(dot(2)));
    assert_eq!(committed(&mut database, |t| t.outcomes()), listed[1..2]);
}
