//! What is opened, what is refused, and that a refused file is left as it is.

use super::super::marker::{MarkerFile, Verdict, Why};
use super::super::{Database, OpenError, Options};
use super::{append, commit, open, origin, temporary};
use landfall_model::id::RegionId;
use landfall_sync::region::store::{Identity, Store};
use rusqlite::Connection;
use std::fs;
use std::path::Path;

/// Refused with this code, with advice, and byte for byte as before.
#[track_caller]
fn refused(path: &Path, options: &Options, code: &str) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = Database::open(path, options).unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(!error.advice().is_empty());
    assert_eq!(fs::read(path).unwrap(), before, "the file was touched");
    error
}

#[test]
fn a_new_store_is_empty_and_opens_again() {
    let (directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| append(d, 1..=3));
    database.close().unwrap();
    let mut database = open(&path);
    commit(&mut database, |d| assert_eq!(d.head(origin(1, 0)).unwrap().seq, 3));
    drop(database);
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|f| f.unwrap().path()).collect();
    assert!(!left.iter().any(|p| p.to_string_lossy().contains("-new-")), "{left:?}");
}

#[cfg(unix)]
#[test]
fn a_new_store_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| append(d, 1..=3));
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn an_empty_file_counts_as_none() {
    let (_directory, path) = temporary();
    fs::write(&path, "").unwrap();
    open(&path).close().unwrap();
}

#[test]
fn what_was_committed_survives_without_a_close() {
    let (directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| append(d, 1..=3));
    database.begin().unwrap();
    append(&mut database, 4..=5);
    // The disk as a crash at this moment leaves it.
    let copy = directory.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let of = |p: &Path| format!("{}{suffix}", p.display());
        fs::copy(of(&path), of(&copy)).unwrap();
    }
    let mut after = open(&copy);
    commit(&mut after, |d| {
        assert_eq!(d.head(origin(1, 0)).unwrap().seq, 3);
        assert_eq!(d.log(origin(1, 0), 0, usize::MAX).unwrap().len(), 3);
    });
    assert_eq!(after.facts("h").unwrap().commits, 1);
}

#[test]
fn another_programs_file_is_refused() {
    let (_directory, path) = temporary();
    fs::write(&path, "a file of words, and not of rows").unwrap();
    refused(&path, &Options::default(), "LF5002");
    fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x); PRAGMA application_id = 7").unwrap();
    connection.close().unwrap();
    let error = refused(&path, &Options::default(), "LF5002");
    assert!(matches!(error, OpenError::Foreign), "{error:?}");
}

#[test]
fn a_newer_layout_is_refused() {
    let (_directory, path) = temporary();
    open(&path).close().unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.close().unwrap();
    let error = refused(&path, &Options::default(), "LF5003");
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
}

#[test]
fn a_draft_of_the_layout_is_refused() {
    let (_directory, path) = temporary();
    open(&path).close().unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.close().unwrap();
    let error = refused(&path, &Options::default(), "LF5003");
    assert!(matches!(error, OpenError::Draft), "{error:?}");
}

#[test]
fn a_newer_layout_that_is_only_in_the_write_ahead_log_is_refused() {
    let (directory, path) = temporary();
    open(&path).close().unwrap();
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    let copy = directory.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::copy(directory.path().join("region.db-wal"), directory.path().join("copy.db-wal")).unwrap();
    refused(&copy, &Options::default(), "LF5003");
}

#[test]
fn a_damaged_file_is_refused() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| append(d, 1..=500));
    database.close().unwrap();
    let whole = fs::read(&path).unwrap();

    fs::write(&path, &whole[..60]).unwrap();
    refused(&path, &Options::default(), "LF5004");

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(&path, &Options::default(), "LF5004");

    // The page that holds the tables' definitions, behind the header.
    let mut broken = whole.clone();
    broken[100..2_000].fill(0x5a);
    fs::write(&path, &broken).unwrap();
    refused(&path, &Options::default(), "LF5004");

    // A page deep inside is found only by reading all of it.
    let mut broken = whole;
    let at = broken.len() - 4_096;
    broken[at..].fill(0x5a);
    fs::write(&path, &broken).unwrap();
    refused(&path, &Options { verify: true, ..Options::default() }, "LF5004");
    assert!(!open(&path).check().unwrap().is_empty());
}

#[test]
fn a_store_that_is_open_is_not_opened_again() {
    let (_directory, path) = temporary();
    let first = open(&path);
    refused(&path, &Options::default(), "LF5005");
    drop(first);
    open(&path);
}

#[test]
fn a_missing_directory_is_an_error_and_is_not_made() {
    let (directory, _) = temporary();
    let path = directory.path().join("missing").join("region.db");
    let error = Database::open(&path, &Options::default()).unwrap_err();
    assert_eq!(error.code(), "LF5001");
    assert!(!directory.path().join("missing").exists());
}

#[test]
fn a_restored_older_copy_is_noticed_by_the_marker() {
    let (directory, path) = temporary();
    let mut marker = MarkerFile::new(directory.path(), RegionId(1));
    let mut database = open(&path);
    let identity = Identity { region: RegionId(1), incarnation: 1_000 };
    commit(&mut database, |d| d.set_identity(identity).unwrap());
    commit(&mut database, |d| append(d, 1..=3));
    database.close().unwrap();
    let backup = fs::read(&path).unwrap();

    let mut database = open(&path);
    for seq in 4..=6 {
        commit(&mut database, |d| append(d, [seq]));
    }
    marker.write(&database.facts("here").unwrap(), 0).unwrap();
    commit(&mut database, |d| append(d, [7]));
    database.close().unwrap();

    let judge = |host: &str| marker.judge(&open(&path).facts(host).unwrap());
    let different = |why| Verdict::Different { why };
    assert_eq!(judge("here"), Verdict::Same, "it went on behind the marker");
    assert_eq!(judge("there"), different(Why::OtherHost));

    // Over the store's own bytes: the file's number stays.
    let ahead = fs::read(&path).unwrap();
    fs::write(&path, &backup).unwrap();
    assert_eq!(judge("here"), different(Why::Older { store: 2, marker: 5 }));

    // The store as it was last, but in a new file. The first one stays, for its number not to be
    // given again.
    fs::rename(&path, directory.path().join("moved.db")).unwrap();
    fs::write(&path, &ahead).unwrap();
    assert_eq!(judge("here"), different(Why::OtherFile));
}

#[test]
fn a_restored_copy_that_lived_on_elsewhere_is_noticed_by_the_marker() {
    let (directory, path) = temporary();
    let mut marker = MarkerFile::new(directory.path(), RegionId(1));
    let mut database = open(&path);
    let first = Identity { region: RegionId(1), incarnation: 1_000 };
    commit(&mut database, |d| d.set_identity(first).unwrap());
    marker.write(&database.facts("here").unwrap(), 0).unwrap();
    // Elsewhere it began a new incarnation, and went further than the marker.
    commit(&mut database, |d| d.set_identity(Identity { incarnation: 2_000, ..first }).unwrap());
    let verdict = marker.judge(&database.facts("here").unwrap());
    assert_eq!(verdict, Verdict::Different { why: Why::OtherLife });
}
