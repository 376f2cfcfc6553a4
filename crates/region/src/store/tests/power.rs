//! The power goes at a random moment. What is there afterwards is the store as it was at the last
//! commit that returned, or at the one that was under way, whole.

use super::super::{Database, Options};
use super::equivalence::{World, all};
use super::temporary;
use landfall_disk::Disk;
use landfall_sync::region::memory::MemoryStore;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

/// Losses of power in the life of one store.
const CUTS: usize = 8;

/// Changes of the disk before the power goes, at most. A commit takes a dozen or so.
const CHANGES_MAX: u64 = 150;

#[test]
fn after_a_loss_of_power_all_commits_are_there_and_nothing_in_part() {
    for seed in 0..40 {
        if let Err(message) = (Life::new(seed, false)).and_then(Life::live) {
            panic!("seed {seed}: {message}");
        }
    }
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = |seed: &u64| Life::new(*seed, true).and_then(Life::live).is_err();
    assert!((0..12).any(|seed| noticed(&seed)), "the test would see no lost commit");
}

/// A store on a disk that may fail, and what should be in it.
struct Life {
    disk: Disk,
    path: PathBuf,
    _folder: tempfile::TempDir,
    world: World<ChaCha8Rng>,
    /// As the last commit that returned left it.
    committed: MemoryStore,
}

impl Life {
    fn new(seed: u64, lies: bool) -> Result<Self, String> {
        let (folder, path) = temporary();
        let disk = Disk::new(folder.path(), seed).map_err(|e| e.to_string())?;
        open(&path)?.close().map_err(|e| e.to_string())?;
        if lies {
            disk.lie();
        }
        let world = World(ChaCha8Rng::seed_from_u64(seed));
        Ok(Self { disk, path, _folder: folder, world, committed: MemoryStore::new() })
    }

    fn live(mut self) -> Result<(), String> {
        for cut in 0..CUTS {
            self.disk.cut_after(self.disk.below(CHANGES_MAX));
            let under_way = self.until_the_power_goes()?;
            self.disk.power_on().map_err(|e| e.to_string())?;
            // It may go again while the store is opened.
            if self.disk.below(3) == 0 {
                self.disk.cut_after(self.disk.below(20));
                drop(open(&self.path));
                self.disk.cut();
                self.disk.power_on().map_err(|e| e.to_string())?;
            }
            self.compare(cut, under_way)?;
        }
        Ok(())
    }

    /// Gives the store as the commit that was under way would have left it, if one was.
    fn until_the_power_goes(&mut self) -> Result<Option<MemoryStore>, String> {
        // Opened as soon as there is a cut to come, which may be in the opening.
        let Some(mut database) = self.unless_off(open(&self.path))? else { return Ok(None) };
        loop {
            let mut memory = self.committed.clone();
            memory.begin();
            if self.unless_off(database.begin())?.is_none() {
                return Ok(None);
            }
            for _ in 0..self.disk.below(60) {
                let choices = self.world.0.clone();
                let expected = self.world.call(&mut memory);
                let got = World(choices).call(&mut database);
                if self.disk.is_off() {
                    return Ok(None);
                }
                if got != expected {
                    return Err(format!("{got} and not {expected}"));
                }
            }
            if self.disk.below(10) == 0 {
                database.rollback();
                continue;
            }
            memory.commit();
            if self.unless_off(database.commit())?.is_none() {
                return Ok(Some(memory));
            }
            self.committed = memory;
            match self.disk.below(20) {
                0 => {
                    let closed = database.close();
                    let opened = closed.map_err(|e| e.to_string()).and_then(|()| open(&self.path));
                    let Some(opened) = self.unless_off(opened)? else { return Ok(None) };
                    database = opened;
                }
                // What takes thousands of commits otherwise: the log is moved, and begun anew.
                1 => checkpoint(&database),
                _ => {}
            }
        }
    }

    /// An error is one of the disk, if it has no power.
    fn unless_off<T, E: ToString>(&self, answer: Result<T, E>) -> Result<Option<T>, String> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.disk.is_off() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The store is as one of the two, and goes on from there.
    fn compare(&mut self, cut: usize, under_way: Option<MemoryStore>) -> Result<(), String> {
        let mut database = open(&self.path)?;
        let findings = database.check().map_err(|e| e.to_string())?;
        if !findings.is_empty() {
            return Err(format!("after cut {cut}: {findings:?}"));
        }
        database.begin().map_err(|e| e.to_string())?;
        let found = all(&mut database);
        database.rollback();
        let choices = [Some(self.committed.clone()), under_way].into_iter().flatten();
        for mut memory in choices {
            memory.begin();
            let same = all(&mut memory) == found;
            memory.rollback();
            if same {
                self.committed = memory;
                return Ok(());
            }
        }
        Err(format!("after cut {cut} it is neither as before the last commit nor as after it"))
    }
}

/// Little memory for pages, so that some are written before the commit.
fn open(path: &Path) -> Result<Database, String> {
    let options = Options { cache_bytes: 16 << 10, verify: true, ..Options::default() };
    Database::open(path, &options).map_err(|e| e.to_string())
}

fn checkpoint(database: &Database) {
    // Fails where there is no power.
    let _ = database.connection.query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(()));
}
