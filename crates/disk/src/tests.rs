//! What SQLite promises of a disk that syncs, and what it cannot promise of one that lies.

use super::Disk;
use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;

fn open(path: &Path, synchronous: &str) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 5)?;
    connection.execute_batch("CREATE TABLE IF NOT EXISTS n (n INTEGER PRIMARY KEY, filler)")?;
    Ok(connection)
}

fn insert(connection: &Connection, n: i64) -> Result<usize, rusqlite::Error> {
    connection.execute("INSERT INTO n VALUES (?1, zeroblob(3000))", [n])
}

/// Write until the power goes: how many commits returned, and how many are there afterwards.
fn written_and_left(seed: u64, synchronous: &str, lies: bool) -> (i64, Result<i64, String>) {
    let folder = TempDir::new().unwrap();
    let disk = Disk::new(folder.path(), seed).unwrap();
    let path = folder.path().join("file.db");
    let connection = open(&path, synchronous).unwrap();
    if lies {
        disk.lie();
    }
    disk.cut_after(20 + disk.below(200));
    let written = (1..).find(|n| insert(&connection, *n).is_err()).unwrap() - 1;
    assert!(disk.is_off());
    drop(connection);
    disk.power_on().unwrap();
    let left = open(&path, synchronous).and_then(|connection| {
        let sql = "SELECT count(*), coalesce(max(n), 0) FROM n";
        connection.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)))
    });
    let left = left.map_err(|e| e.to_string()).and_then(|(count, last): (i64, i64)| {
        if count == last { Ok(count) } else { Err(format!("{count} of {last} are there")) }
    });
    (written, left)
}

#[test]
fn what_was_synced_is_there_and_nothing_in_part() {
    for seed in 0..60 {
        let (written, left) = written_and_left(seed, "FULL", false);
        let left = left.unwrap();
        assert!((written..=written + 1).contains(&left), "seed {seed}: {left} of {written}");
    }
}

#[test]
fn what_was_not_synced_is_lost_from_the_end() {
    let runs: Vec<_> = (0..60).map(|seed| written_and_left(seed, "NORMAL", false)).collect();
    let short = runs.iter().filter(|(written, left)| left.clone().unwrap() < *written).count();
    assert!(short > 10, "{short} lost something");
    let whole = runs.iter().filter(|(written, left)| left.clone().unwrap() >= *written).count();
    assert!(whole > 10, "{whole} lost nothing");
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let runs: Vec<_> = (0..60).map(|seed| written_and_left(seed, "FULL", true)).collect();
    let short = |(written, left): &(i64, Result<i64, String>)| {
        left.as_ref().is_ok_and(|left| left < written) || left.is_err()
    };
    assert!(runs.iter().filter(|run| short(run)).count() > 10);
}

#[test]
fn files_elsewhere_are_as_they_are() {
    let folders = [(); 2].map(|()| TempDir::new().unwrap());
    let disk = Disk::new(folders[0].path(), 1).unwrap();
    disk.cut();
    let [on, off] = folders.each_ref().map(|f| open(&f.path().join("file.db"), "FULL"));
    assert!(on.is_err());
    insert(&off.unwrap(), 1).unwrap();
}
