//! What the machine gives without Landfall: bare SQLite doing a region's rows and a device's rows,
//! and the disk's own fsync. Figures stand beside these, measured in the same run.

use super::report::Times;
use anyhow::Context;
use rusqlite::Connection;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// What [`region_ops`] is called where a figure stands beside it.
pub(super) const PLAIN_ROWS: &str = "bare SQLite, plain rows";

/// Ops that bare SQLite commits together.
const BATCH: u32 = 256;

/// Rows of a device in one transaction.
const DEVICE_BATCH: u32 = 1_000;

/// What a small commit appends to a write-ahead log: a few pages.
const APPENDED: usize = 4 * 4_096;

/// Ops per second: read and write the entity, its log entry, its number as received, the change
/// index and a read model, a plain row for each, and with each batch the head of the log, durable.
///
/// Not what a region writes: its own layout packs the received numbers of a device into few rows
/// and has no read model.
pub(super) fn region_ops(dir: &Path, ops: u32, payload: usize) -> anyhow::Result<f64> {
    let mut connection = open(dir, "bare-region.db", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE entity (key BLOB PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID, STRICT;
         CREATE TABLE log (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, entry BLOB NOT NULL) STRICT;
         CREATE TABLE received (device INTEGER, seq INTEGER, fingerprint BLOB NOT NULL,
             PRIMARY KEY (device, seq)) WITHOUT ROWID, STRICT;
         CREATE TABLE head (stream INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
         CREATE TABLE changed (scope INTEGER, seq INTEGER, key BLOB NOT NULL,
             PRIMARY KEY (scope, seq)) WITHOUT ROWID, STRICT;
         CREATE TABLE model (id TEXT PRIMARY KEY, description TEXT, price INTEGER) STRICT;",
    )?;
    let (bytes, hash) = (vec![7_u8; payload], [9_u8; 16]);
    let began = Instant::now();
    for first in (0..ops).step_by(BATCH as usize) {
        let tx = connection.transaction()?;
        {
            let mut read = tx.prepare_cached("SELECT state FROM entity WHERE key = ?1")?;
            let mut entity = tx.prepare_cached("REPLACE INTO entity VALUES (?1, ?2)")?;
            let mut log = tx.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3)")?;
            let mut received = tx.prepare_cached("INSERT INTO received VALUES (?1, ?2, ?3)")?;
            let mut changed = tx.prepare_cached("INSERT INTO changed VALUES (1, ?1, ?2)")?;
            let mut model = tx.prepare_cached("REPLACE INTO model VALUES (?1, ?2, ?3)")?;
            for op in first..ops.min(first + BATCH) {
                let id = format!("product-{op:07}");
                let key = id.as_bytes();
                let mut rows = read.query([key])?;
                rows.next()?;
                entity.execute((key, &bytes))?;
                log.execute((op, &hash, &bytes))?;
                received.execute((op % 64, op, &hash))?;
                changed.execute((op, key))?;
                model.execute((&id, "a product of which a few words are said", op))?;
            }
            tx.prepare_cached("REPLACE INTO head VALUES (1, ?1)")?.execute([first])?;
        }
        tx.commit()?;
    }
    Ok(f64::from(ops) / began.elapsed().as_secs_f64())
}

/// Rows per second into a typed table and a table of what was synced, as a device keeps them.
pub(super) fn device_rows(dir: &Path, rows: u32, payload: usize) -> anyhow::Result<f64> {
    let mut connection = open(dir, "bare-device.db", "NORMAL")?;
    connection.execute_batch(
        "CREATE TABLE product (id TEXT PRIMARY KEY, description TEXT, price INTEGER) STRICT;
         CREATE TABLE synced (key BLOB PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID, STRICT;",
    )?;
    let (text, state) = ("d".repeat(payload / 2), vec![7_u8; payload / 2]);
    let began = Instant::now();
    for first in (0..rows).step_by(DEVICE_BATCH as usize) {
        let tx = connection.transaction()?;
        {
            let mut product = tx.prepare_cached("INSERT INTO product VALUES (?1, ?2, ?3)")?;
            let mut synced = tx.prepare_cached("INSERT INTO synced VALUES (?1, ?2)")?;
            for row in first..rows.min(first + DEVICE_BATCH) {
                let id = format!("product-{row:07}");
                product.execute((&id, &text, row))?;
                synced.execute((id.as_bytes(), &state))?;
            }
        }
        tx.commit()?;
    }
    Ok(f64::from(rows) / began.elapsed().as_secs_f64())
}

/// How long commits take, of one small row each.
pub(super) fn commits(dir: &Path, commits: u32, synchronous: &str) -> anyhow::Result<Times> {
    let connection = open(dir, &format!("bare-{synchronous}.db"), synchronous)?;
    connection.execute_batch(
        "CREATE TABLE edit (n INTEGER PRIMARY KEY, at INTEGER, key TEXT NOT NULL) STRICT;",
    )?;
    let mut edit = connection.prepare("INSERT INTO edit VALUES (?1, ?2, ?3)")?;
    let one = |n| {
        let began = Instant::now();
        edit.execute((n, n / 2, "k"))?;
        Ok(began.elapsed())
    };
    (0..commits).map(one).collect()
}

/// Bytes appended by bare SQLite, a row and a commit each time.
pub(super) struct Log(Connection);

impl Log {
    pub fn open(dir: &Path, name: &str, synchronous: &str) -> anyhow::Result<Self> {
        let connection = open(dir, name, synchronous)?;
        connection.execute_batch(
            "CREATE TABLE log (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;",
        )?;
        Ok(Self(connection))
    }

    pub fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.0.prepare_cached("INSERT INTO log (bytes) VALUES (?1)")?.execute([bytes])?;
        Ok(())
    }
}

/// How long the disk takes to make a small append durable, one after the other.
pub(super) fn fsyncs(dir: &Path, times: u32) -> anyhow::Result<Vec<Duration>> {
    let path = dir.join("fsyncs");
    let mut file =
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let bytes = [7_u8; APPENDED];
    let one = |_| {
        let began = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        Ok(began.elapsed())
    };
    (0..times).map(one).collect()
}

fn open(dir: &Path, name: &str, synchronous: &str) -> anyhow::Result<Connection> {
    let connection = Connection::open(dir.join(name))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -(64 << 10))?;
    Ok(connection)
}
