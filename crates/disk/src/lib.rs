//! A disk that loses what was not synced, for tests of stores that are SQLite files.
//!
//! A process that is killed leaves its files as they were; a loss of power does not. What was written
//! and not synced may be there, or not, or in part, and in any order. A [`Disk`] is a folder that
//! behaves so: SQLite writes its files as ever, and the disk notes which writes it has asked to be
//! synced. After [`Disk::cut_after`] so many changes nothing is written any more, and the store that
//! has the files open meets errors. Then the test drops the store, and [`Disk::power_on`] leaves in
//! the folder what a real disk might: all that was synced, and of the rest a random part, with writes
//! torn at their sectors.
//!
//! The store under test needs no knowledge of it: the file system becomes SQLite's default one in this
//! process ([`vfs`]), and files in other folders go through it untouched. Nothing waits for a real
//! disk, so a cut costs no more than the writes themselves.

mod image;
#[cfg(test)]
mod tests;
mod vfs;

use image::Image;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folders of this process that lose what was not synced.
static DISKS: Mutex<BTreeMap<PathBuf, Arc<Mutex<State>>>> = Mutex::new(BTreeMap::new());

/// A folder whose files lose what was not synced when the power goes; for as long as this value is.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    chance: ChaCha8Rng,
    /// Changes until the power goes.
    left: Option<u64>,
    off: bool,
    lies: bool,
    files: BTreeMap<PathBuf, Image>,
    /// Files that were removed, as long as that is not synced: they may come back.
    removed: BTreeMap<PathBuf, Image>,
}

impl Disk {
    /// Files that SQLite opens in this folder from now on are on the disk. What they hold is synced.
    pub fn new(folder: &Path, seed: u64) -> io::Result<Self> {
        vfs::install();
        let folder = folder.canonicalize()?;
        let state = State {
            chance: ChaCha8Rng::seed_from_u64(seed),
            left: None,
            off: false,
            lies: false,
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
        };
        let state = Arc::new(Mutex::new(state));
        lock(&DISKS).insert(folder.clone(), state.clone());
        Ok(Self { folder, state })
    }

    /// The power goes at the change after so many: a write, a new length, a sync, or a removal. That
    /// one is not done, or in part.
    pub fn cut_after(&self, changes: u64) {
        lock(&self.state).left = Some(changes);
    }

    /// The power has gone.
    pub fn is_off(&self) -> bool {
        lock(&self.state).off
    }

    /// The power goes now.
    pub fn cut(&self) {
        lock(&self.state).off = true;
    }

    /// From now on a sync is confirmed and not done, as some disks do it.
    pub fn lie(&self) {
        lock(&self.state).lies = true;
    }

    /// A number below this one, from the disk's source of chance.
    pub fn below(&self, n: u64) -> u64 {
        lock(&self.state).chance.random_range(0..n)
    }

    /// Leave in the folder what the loss of power left. Nobody may have a file open.
    pub fn power_on(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        for (path, left) in state.what_is_left() {
            match left {
                Some(bytes) => fs::write(path, bytes)?,
                None => remove(&path)?,
            }
        }
        state.off = false;
        state.left = None;
        drop(state);
        // What processes share in memory is gone with them.
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with("-shm") {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        lock(&DISKS).remove(&self.folder);
    }
}

impl State {
    /// A change is asked for: whether it is done.
    fn change(&mut self) -> bool {
        if let Some(left) = &mut self.left {
            self.off |= *left == 0;
            *left = left.saturating_sub(1);
        }
        !self.off
    }

    /// The files after a loss of power, and those that are gone (`None`).
    fn what_is_left(&mut self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let files = std::mem::take(&mut self.files);
        let mut removed = std::mem::take(&mut self.removed);
        let mut left = Vec::new();
        // Sometimes all that was handed over had reached the disk, and sometimes nothing.
        let keep = [0, 30, 50, 80, 100][self.chance.random_range(0..5)];
        for (path, image) in files {
            // One that was removed in another way, such as a draft.
            if !path.exists() {
                continue;
            }
            let before = removed.remove(&path);
            let named = image.is_named() || self.chance.random_range(0..100) < 50;
            let image = if named { Some(image) } else { before };
            left.push((path, image.map(|image| image.left(keep, &mut self.chance))));
        }
        for (path, image) in removed {
            if self.chance.random_range(0..100) < 50 {
                left.push((path, Some(image.left(keep, &mut self.chance))));
            }
        }
        left
    }

    /// The names of files are on the disk as they are now.
    fn sync_names(&mut self) {
        self.removed.clear();
        self.files.values_mut().for_each(Image::name);
    }
}

/// One open file.
#[derive(Debug)]
struct Handle {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

/// A change that the file system below is not to do, because there is no power.
#[derive(Debug)]
struct Off;

impl Handle {
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Off> {
        self.change(|image| image.write(offset, bytes))
    }

    fn truncate(&self, len: u64) -> Result<(), Off> {
        self.change(|image| image.truncate(len))
    }

    /// What is under way when the power goes may be on the disk.
    fn change(&self, change: impl FnOnce(&mut Image)) -> Result<(), Off> {
        let mut state = lock(&self.state);
        let was_off = state.off;
        let done = state.change();
        if let Some(image) = state.files.get_mut(&self.path).filter(|_| !was_off) {
            change(image);
        }
        if done { Ok(()) } else { Err(Off) }
    }

    fn sync(&self) -> Result<(), Off> {
        let mut state = lock(&self.state);
        if !state.change() {
            return Err(Off);
        }
        if !state.lies {
            let image = state.files.get_mut(&self.path);
            // SQLite syncs the folder with a file that it has made.
            let new = image.is_some_and(|image| {
                image.sync();
                !image.is_named()
            });
            if new {
                state.sync_names();
            }
        }
        Ok(())
    }
}

/// The disk that a file is on.
fn of(path: &Path) -> Option<Arc<Mutex<State>>> {
    lock(&DISKS).get(path.parent()?).cloned()
}

/// A file has been opened, or made, on a disk.
fn opened(path: &Path, state: Arc<Mutex<State>>) -> Handle {
    let of = |path: &Path| Image::of(fs::read(path).unwrap_or_default());
    lock(&state).files.entry(path.to_owned()).or_insert_with(|| of(path));
    Handle { path: path.to_owned(), state }
}

/// A file is removed; the names in its folder are then synced, or not yet.
fn removed(path: &Path, state: &Mutex<State>, synced: bool) -> Result<(), Off> {
    let mut state = lock(state);
    if !state.change() {
        return Err(Off);
    }
    if let Some(image) = state.files.remove(path) {
        state.removed.insert(path.to_owned(), image);
    }
    if synced && !state.lies {
        state.sync_names();
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A panic of a test leaves nothing half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
