//! The store as a whole: the contract, the file it opens or refuses, and what it costs.

mod equivalence;
mod opening;
mod plans;
mod power;
mod transactions;

use super::{Database, Options};
use landfall_model::id::{DeviceId, Dot, EntityKey, RegionId, StreamId, TypeId};
use landfall_model::vector::Origin;
use landfall_sync::region::conformance;
use landfall_sync::region::store::{LogRow, Store};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[test]
fn sqlite_does_what_every_store_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut n = 0;
    conformance::run(|| {
        n += 1;
        let mut database = open(&directory.path().join(format!("{n}.db")));
        database.begin().unwrap();
        database
    });
}

fn temporary() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("region.db");
    (directory, path)
}

fn open(path: &Path) -> Database {
    Database::open(path, &Options::default()).unwrap()
}

/// One committed transaction.
fn commit<T>(database: &mut Database, work: impl FnOnce(&mut Database) -> T) -> T {
    database.begin().unwrap();
    let result = work(database);
    database.commit().unwrap();
    result
}

fn key(id: &str) -> EntityKey {
    EntityKey::new("warehouse/lyon", TypeId(7), id)
}

fn dot(device: u64, seq: u64) -> Dot {
    Dot::new(DeviceId::from_number(device), seq)
}

fn origin(region: u16, stream: u16) -> Origin {
    Origin { region: RegionId(region), incarnation: 1_000, stream: StreamId(stream) }
}

fn log_row(seq: u64) -> LogRow {
    LogRow { seq, entry: vec![seq as u8; 20], hash: [seq as u8; 16] }
}

fn append(database: &mut Database, seqs: impl IntoIterator<Item = u64>) {
    seqs.into_iter().for_each(|seq| database.append(origin(1, 0), &log_row(seq)).unwrap());
}
