//! One file as the disk has it: what was synced, and what was written since.

use rand::{Rng, RngExt};

/// What a disk writes whole or not at all, bytes.
const SECTOR: u64 = 512;

/// Of a hundred writes that are kept, so many are kept in part.
const TORN: u32 = 25;

#[derive(Debug)]
pub struct Image {
    synced: Vec<u8>,
    since: Vec<Change>,
    /// The folder has the file's name, also after a loss of power.
    named: bool,
}

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate { len: u64 },
}

impl Image {
    /// A file that was there before. An empty one has just been made.
    pub fn of(bytes: Vec<u8>) -> Self {
        let named = !bytes.is_empty();
        Self { synced: bytes, since: Vec::new(), named }
    }

    pub fn is_named(&self) -> bool {
        self.named
    }

    pub fn name(&mut self) {
        self.named = true;
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.since.push(Change::Write { offset, bytes: bytes.to_owned() });
    }

    pub fn truncate(&mut self, len: u64) {
        self.since.push(Change::Truncate { len });
    }

    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.since) {
            self.apply(change);
        }
    }

    /// What a loss of power leaves: all that was synced, and of the other changes each with a chance of
    /// `keep` in a hundred, some of these in part.
    pub fn left(mut self, keep: u32, chance: &mut impl Rng) -> Vec<u8> {
        for change in std::mem::take(&mut self.since) {
            if chance.random_range(0..100) >= keep {
                continue;
            }
            match change {
                Change::Write { offset, bytes }
                    if keep < 100 && chance.random_range(0..100) < TORN =>
                {
                    self.tear(offset, &bytes, chance);
                }
                whole => self.apply(whole),
            }
        }
        self.synced
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Write { offset, bytes } => self.put(offset, &bytes),
            Change::Truncate { len } => self.synced.truncate(len as usize),
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if self.synced.len() < end {
            self.synced.resize(end, 0);
        }
        self.synced[start..end].copy_from_slice(bytes);
    }

    /// Each sector of a write by itself.
    fn tear(&mut self, mut offset: u64, mut bytes: &[u8], chance: &mut impl Rng) {
        while !bytes.is_empty() {
            let room = (SECTOR - offset % SECTOR) as usize;
            let (sector, rest) = bytes.split_at(room.min(bytes.len()));
            if chance.random_range(0..2) == 0 {
                self.put(offset, sector);
            }
            offset += sector.len() as u64;
            bytes = rest;
        }
    }
}
