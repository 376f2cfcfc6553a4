//! Which files are opened, and that the others keep their bytes.

use super::super::migrations::{self, APPLICATION_ID, VERSION};
use super::super::{Database, Error, OpenError, Options};
use super::{Folder, ORDERS, committed, plain, schema};
use landfall_sync::device::store::{Meta, Store};
use std::collections::BTreeMap;
use std::path::Path;

/// Opening is refused with this code, and no file in the folder is another one afterwards.
fn check_refused(folder: &Folder, code: &str) -> OpenError {
    let before = contents(folder.0.path());
    let refused = Database::open(&folder.file(), &schema(ORDERS), Options::default());
    let error = refused.expect_err("a file that must be refused");
    assert_eq!(error.code(), code, "{error}: {error:?}");
    assert!(!error.advice().is_empty());
    assert_eq!(contents(folder.0.path()), before);
    error
}

/// Files by name; without the index of the log, which readers share and SQLite makes anew.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
    let lasting = named.filter(|(name, _)| !name.ends_with("-shm"));
    let lasting = lasting.filter(|(_, path)| path.is_file());
    let read = lasting.map(|(name, path)| (name, std::fs::read(path).unwrap()));
    read.filter(|(name, bytes)| !(name.ends_with("-wal") && bytes.is_empty())).collect()
}

#[test]
fn every_new_file_has_what_the_migrations_make() {
    let side_tables = |conn: &rusqlite::Connection| -> Vec<(String, Option<String>)> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE name LIKE '%\\_lf\\_%' ESCAPE '\\'
            ORDER BY name";
        let mut statement = conn.prepare(sql).unwrap();
        let all = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        all.map(Result::unwrap).collect()
    };
    let folder = Folder::new();
    let migrated = plain(&folder.file());
    migrations::migrate(&migrated, 0).unwrap();
    let expected = side_tables(&migrated);
    assert!(expected.len() > 20, "{expected:?}");
    // The first of this process goes through the migrations, the others take what came of it.
    for _ in 0..2 {
        assert_eq!(side_tables(&Folder::new().open(ORDERS).conn), expected);
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.file(), b"Dear diary, today I did not write SQLite.".repeat(200))
        .unwrap();
    assert!(matches!(check_refused(&folder, "LF2202"), OpenError::Foreign));
}

#[test]
fn another_apps_database_is_refused() {
    for mode in ["DELETE", "WAL"] {
        let folder = Folder::new();
        let other = plain(&folder.file());
        other.pragma_update(None, "journal_mode", mode).unwrap();
        other.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
        drop(other);
        assert!(matches!(check_refused(&folder, "LF2202"), OpenError::Foreign), "{mode}");
    }
}

#[test]
fn another_apps_database_is_refused_while_it_is_in_use() {
    let folder = Folder::new();
    let other = plain(&folder.file());
    other.pragma_update(None, "journal_mode", "WAL").unwrap();
    other.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    check_refused(&folder, "LF2202");
    other.execute_batch("INSERT INTO theirs VALUES (2)").unwrap();
    check_refused(&folder, "LF2202");
}

#[test]
fn a_database_marked_by_another_app_is_refused_even_if_it_is_empty() {
    let folder = Folder::new();
    plain(&folder.file()).pragma_update(None, "user_version", 3).unwrap();
    check_refused(&folder, "LF2202");
    plain(&folder.file()).pragma_update(None, "application_id", 42).unwrap();
    check_refused(&folder, "LF2202");
}

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let folder = Folder::new();
    drop(folder.open(ORDERS));
    plain(&folder.file()).pragma_update(None, "user_version", VERSION + 1).unwrap();
    let error = check_refused(&folder, "LF2203");
    let (found, known) = (VERSION + 1, VERSION);
    assert!(matches!(error, OpenError::Newer { found: f, known: k } if f == found && k == known));
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = Folder::new();
    drop(folder.open(ORDERS));
    let whole = std::fs::read(folder.file()).unwrap();

    // Its beginning is gone: nobody can say what it was.
    let mut bytes = whole.clone();
    bytes[..16].fill(0);
    std::fs::write(folder.file(), &bytes).unwrap();
    check_refused(&folder, "LF2202");

    // Its end is gone.
    std::fs::write(folder.file(), &whole[..whole.len() / 2]).unwrap();
    check_refused(&folder, "LF2204");

    // Something wrote over its middle.
    for page in [1, 2, whole.len() / 4096 / 2] {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0x55);
        std::fs::write(folder.file(), &bytes).unwrap();
        let error = check_refused(&folder, "LF2204");
        assert!(matches!(error, OpenError::Store(Error::Damaged(_))));
    }

    std::fs::write(folder.file(), &whole).unwrap();
    drop(folder.open(ORDERS));
}

#[test]
fn a_large_file_is_not_read_through_at_opening() {
    let folder = Folder::new();
    drop(folder.open(ORDERS));
    let mut bytes = std::fs::read(folder.file()).unwrap();
    let last = bytes.len() - 4096;
    bytes[last..].fill(0x55);
    std::fs::write(folder.file(), &bytes).unwrap();
    let options = Options { check_bytes_max: 4096, ..Options::default() };
    let database = Database::open(&folder.file(), &schema(ORDERS), options).unwrap();
    assert!(matches!(database.check(), Err(Error::Damaged(_))));
}

#[test]
fn a_place_where_no_file_can_be_is_refused() {
    let folder = Folder::new();
    let missing = folder.0.path().join("no such folder").join("app.db");
    let error = Database::open(&missing, &schema(ORDERS), Options::default()).unwrap_err();
    assert_eq!(error.code(), "LF2201");
    let error = Database::open(folder.0.path(), &schema(ORDERS), Options::default()).unwrap_err();
    assert_eq!(error.code(), "LF2201");
}

#[test]
fn a_creation_that_was_killed_is_begun_anew() {
    let folder = Folder::new();
    // The first thing that a creation writes is the journal mode.
    plain(&folder.file()).pragma_update(None, "journal_mode", "WAL").unwrap();
    assert!(std::fs::metadata(folder.file()).unwrap().len() > 0);
    committed(&mut folder.open(ORDERS), |t| t.put_meta(&Meta::default()));

    let folder = Folder::new();
    std::fs::write(folder.file(), b"").unwrap();
    drop(folder.open(ORDERS));
}

#[test]
fn what_only_the_log_holds_is_read_before_the_file_is_judged() {
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    committed(&mut database, |t| t.put_meta(&Meta::default()));
    // As after a kill: the file and its log, copied while nothing was written back.
    let copy = Folder::new();
    for (name, bytes) in contents(folder.0.path()) {
        std::fs::write(copy.0.path().join(name), bytes).unwrap();
    }
    let bytes = std::fs::read(copy.file()).unwrap();
    assert_eq!(bytes[68..72], [0; 4], "the application id is in the log alone");
    assert_eq!(committed(&mut copy.open(ORDERS), |t| t.meta()), Some(Meta::default()));
}

#[test]
fn a_file_says_whose_it_is_and_of_which_format() {
    let folder = Folder::new();
    drop(folder.open(ORDERS));
    let bytes = std::fs::read(folder.file()).unwrap();
    assert_eq!(bytes[68..72], APPLICATION_ID.to_be_bytes());
    assert_eq!(bytes[60..64], VERSION.to_be_bytes());
}

#[test]
fn names_that_look_like_addresses_are_names() {
    let folder = Folder::new();
    let path = folder.0.path().join("file:app.db?mode=memory");
    drop(Database::open(&path, &schema(ORDERS), Options::default()).unwrap());
    assert!(path.is_file());
}
