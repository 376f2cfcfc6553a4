//! The pages of a file as SQLite would recover them: the file with the committed part of its log
//! over it. Formats: <https://www.sqlite.org/fileformat2.html>. Of a file on a disk one page is in
//! memory at a time; a browser hands a file over as a whole.

use crate::store::error::OpenError;
use crate::store::migrations::APPLICATION_ID;
use std::collections::{BTreeMap, BTreeSet};
#[cfg(not(target_family = "wasm"))]
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
#[cfg(not(target_family = "wasm"))]
use std::path::{Path, PathBuf};

/// What every file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The size of pages that this crate makes on disks, where none of the file's headers tells.
pub(super) const PAGE_BYTES: usize = 4_096;

/// How often the pages of long rows are read: as they are in the file, and out of older ones that are
/// free or in no place.
const CHAINED_TIMES: u64 = 4;

/// The log's own header, and the one before each page in it.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Where bytes are read from, at any place.
pub(super) trait Bytes: Read + Seek + std::fmt::Debug {}

impl<T: Read + Seek + std::fmt::Debug> Bytes for T {}

#[derive(Debug)]
pub(super) struct Pages {
    file: Box<dyn Bytes>,
    log: Option<Box<dyn Bytes>>,
    bytes: usize,
    reserved: usize,
    count: u64,
    /// Pages that the file itself has; those behind them are in the log.
    there: u64,
    /// Bytes of long rows that may still be read: each page of the file is in at most one. A file
    /// that says otherwise must not keep us for ever.
    chained: u64,
    /// Pages that the file should have behind its end.
    pub missing: u64,
    free: BTreeSet<u64>,
    /// The latest committed frame of each page: where its content begins in the log.
    framed: BTreeMap<u64, u64>,
    /// Contents behind the first damaged frame that belong to the same log.
    loose: Vec<u64>,
    pub frames_unread: u64,
    pub header_destroyed: bool,
}

impl Pages {
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(unreachable)?;
        let log = match File::open(beside(path, "-wal")) {
            Ok(log) => Some(Box::new(log) as Box<dyn Bytes>),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            // One that is there and is passed over would not be missed.
            Err(error) => return Err(unreachable(error)),
        };
        Self::of(Box::new(file), log, PAGE_BYTES)
    }

    /// `bytes` is the size of a page where no header tells.
    pub(super) fn of(
        file: Box<dyn Bytes>,
        log: Option<Box<dyn Bytes>>,
        bytes: usize,
    ) -> Result<Self, OpenError> {
        let mut pages = Self {
            file,
            log,
            bytes,
            reserved: 0,
            count: 0,
            there: 0,
            chained: 0,
            missing: 0,
            free: BTreeSet::new(),
            framed: BTreeMap::new(),
            loose: Vec::new(),
            frames_unread: 0,
            header_destroyed: false,
        };
        let header = pages.header();
        pages.read_log();
        // A first page in the log is newer.
        let first = pages.page(1).filter(|p| p.starts_with(MAGIC));
        let header = first.or(header);
        let there = length(&mut *pages.file).div_ceil(pages.bytes as u64);
        let framed = pages.framed.keys().next_back().copied().unwrap_or(0);
        pages.count = there.max(framed);
        (pages.there, pages.chained) = (there, CHAINED_TIMES * pages.length_with_log());
        if let Some(header) = &header {
            let id = number(header, 68);
            // A file that is being made has its one page before it has a name.
            let unfinished = id == 0 && pages.count <= 1;
            if id != u64::from(APPLICATION_ID.cast_unsigned()) && !unfinished {
                return Err(OpenError::Foreign);
            }
        }
        // The header's own count is to be believed if it was written with the last change.
        let told = header.as_deref().filter(|h| number(h, 24) == number(h, 92));
        let told = told.map_or(0, |h| number(h, 28));
        pages.missing = told.saturating_sub(pages.count);
        if let Some(header) = header {
            pages.walk_free(number(&header, 32), number(&header, 36));
        }
        Ok(pages)
    }

    /// The file's header, if it is one.
    fn header(&mut self) -> Option<Vec<u8>> {
        let mut header = vec![0; 100];
        let read = read_at(&mut *self.file, 0, &mut header);
        let bytes = usize::from(header[16]) << 8 | usize::from(header[17]);
        let bytes = if bytes == 1 { 65_536 } else { bytes };
        let sane = bytes.is_power_of_two() && (512..=65_536).contains(&bytes);
        if !read || !header.starts_with(MAGIC) || !sane {
            self.header_destroyed = true;
            return None;
        }
        self.bytes = bytes;
        self.reserved = header[20].into();
        Some(header)
    }

    /// Which frames of the log count: in order, as long as their chained checksums hold, up to the
    /// last one that ends a transaction.
    fn read_log(&mut self) {
        let mut header = [0; LOG_HEADER];
        let Some(log) = self.log.as_deref_mut() else { return };
        let length = length(log);
        if !read_at(log, 0, &mut header) || number(&header, 0) >> 1 != 0x377f_0682 >> 1 {
            return self.read_headless_log(length);
        }
        let big = number(&header, 0) & 1 == 1;
        let bytes = usize::try_from(number(&header, 8)).unwrap_or(0);
        if bytes.is_power_of_two() && (512..=65_536).contains(&bytes) {
            if self.header_destroyed {
                self.bytes = bytes;
            } else if bytes != self.bytes {
                // Of a file with other pages, or of this one with a damaged head.
                self.frames_unread = length.div_ceil((FRAME_HEADER + bytes) as u64);
                return;
            }
        }
        let mut sum = checksum((0, 0), &header[..24], big);
        let mut holds = sum == (word(&header, 24, true), word(&header, 28, true));
        let salt = header[16..24].to_vec();
        let mut open: Vec<(u64, u64)> = Vec::new();
        let mut strange = 0;
        let mut at = LOG_HEADER as u64;
        let mut frame = vec![0; FRAME_HEADER + self.bytes];
        while read_at(log, at, &mut frame) {
            let (head, content) = frame.split_at(FRAME_HEADER);
            let of_this_log = head[8..16] == salt[..];
            let page = number(head, 0);
            let content_at = at + FRAME_HEADER as u64;
            if holds {
                sum = checksum(checksum(sum, &head[..8], big), content, big);
                holds = of_this_log && sum == (word(head, 16, true), word(head, 20, true));
            }
            if holds {
                open.push((page, content_at));
                if number(head, 4) > 0 {
                    self.framed.extend(open.drain(..));
                }
            } else if of_this_log {
                self.frames_unread += 1 + std::mem::take(&mut strange);
                self.loose.push(content_at);
            } else {
                // Damaged, or, if none of this log follows, of an earlier round.
                strange += 1;
            }
            at += frame.len() as u64;
        }
        if holds && at < length {
            // Frames are whole unless the end is cut off.
            self.frames_unread += 1;
        }
    }

    /// A log whose own head is destroyed: which of its frames count cannot be told.
    fn read_headless_log(&mut self, length: u64) {
        let frame = (FRAME_HEADER + self.bytes) as u64;
        let first = LOG_HEADER as u64;
        let whole = length.saturating_sub(first) / frame;
        self.loose.extend((0..whole).map(|n| first + n * frame + FRAME_HEADER as u64));
        self.frames_unread = length.div_ceil(frame);
    }

    /// The pages that hold nothing, by the list that leads through them. There are so many.
    fn walk_free(&mut self, first: u64, told: u64) {
        let mut trunk = first;
        let mut free = BTreeSet::new();
        while trunk != 0 {
            let Some(page) = self.page(trunk).filter(|_| trunk <= self.count) else { return };
            if !free.insert(trunk) {
                return;
            }
            let entries = usize::try_from(number(&page, 4)).unwrap_or(usize::MAX);
            if entries > self.usable() / 4 - 2 {
                return;
            }
            free.extend((0..entries).map(|n| number(&page, 8 + 4 * n)));
            trunk = number(&page, 0);
        }
        // A list that is broken somewhere is not believed: a page of rows might be on it.
        if free.len() as u64 == told {
            self.free = free;
        }
    }

    /// The numbers of all pages that can be read, and how many cannot.
    pub(super) fn numbers(&self) -> (Vec<u64>, u64) {
        let behind = self.framed.range(self.there + 1..).map(|(page, _)| *page);
        let numbers: Vec<u64> = (1..=self.there).chain(behind).collect();
        let missing = self.count - numbers.len() as u64;
        (numbers, missing)
    }

    pub(super) fn free(&self) -> Vec<u64> {
        self.free.iter().copied().collect()
    }

    /// A page in the chain of a long row; `None` where there is none, or more of them were read than
    /// the file has.
    pub(super) fn chained(&mut self, number: u64) -> Option<Vec<u8>> {
        self.chained = self.chained.checked_sub(self.bytes as u64)?;
        self.page(number).filter(|_| number <= self.count)
    }

    pub(super) fn is_free(&self, number: u64) -> bool {
        self.free.contains(&number)
    }

    /// Bytes of a page that SQLite uses.
    pub(super) fn usable(&self) -> usize {
        self.bytes - self.reserved
    }

    /// A page's content; `None` if it lies behind the end of the file.
    pub(super) fn page(&mut self, number: u64) -> Option<Vec<u8>> {
        let mut page = vec![0; self.bytes];
        let read = match (self.framed.get(&number), self.log.as_deref_mut()) {
            (Some(at), Some(log)) => read_at(log, *at, &mut page),
            _ => {
                let at = number.checked_sub(1)? * self.bytes as u64;
                read_at(&mut *self.file, at, &mut page)
            }
        };
        read.then_some(page)
    }

    /// How many contents of the log stand behind its first damaged frame.
    pub(super) fn loose_count(&self) -> usize {
        self.loose.len()
    }

    /// One of these, in order; `None` if it cannot be read.
    pub(super) fn loose(&mut self, nth: usize) -> Option<Vec<u8>> {
        let mut page = vec![0; self.bytes];
        let at = *self.loose.get(nth)?;
        read_at(self.log.as_deref_mut()?, at, &mut page).then_some(page)
    }

    fn length_with_log(&mut self) -> u64 {
        let log = match &mut self.log {
            Some(log) => length(&mut **log),
            None => 0,
        };
        length(&mut *self.file) + log
    }
}

fn length(file: &mut dyn Bytes) -> u64 {
    file.seek(SeekFrom::End(0)).unwrap_or(0)
}

/// All of the buffer, or false.
fn read_at(file: &mut dyn Bytes, at: u64, buffer: &mut [u8]) -> bool {
    file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(buffer)).is_ok()
}

#[cfg(not(target_family = "wasm"))]
fn unreachable(error: std::io::Error) -> OpenError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    let text = Some(error.to_string());
    OpenError::Unreachable(rusqlite::Error::SqliteFailure(code, text))
}

#[cfg(not(target_family = "wasm"))]
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Four bytes, the highest first.
fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at, true))
}

fn word(bytes: &[u8], at: usize, big: bool) -> u32 {
    let Some(four) = bytes.get(at..at + 4) else { return 0 };
    let four: [u8; 4] = four.try_into().expect("four bytes");
    if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}

/// The log's running sum over pairs of words.
fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], big: bool) -> (u32, u32) {
    for at in (0..bytes.len()).step_by(8) {
        a = a.wrapping_add(word(bytes, at, big)).wrapping_add(b);
        b = b.wrapping_add(word(bytes, at + 4, big)).wrapping_add(a);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of four pages that belongs to this crate.
    fn file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut bytes = vec![0; 4 * PAGE_BYTES];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..18].copy_from_slice(&(PAGE_BYTES as u16).to_be_bytes());
        bytes[68..72].copy_from_slice(&APPLICATION_ID.to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn what_a_file_says_of_itself_costs_no_more_than_its_length() {
        let (_dir, path) = file();
        let mut pages = Pages::open(&path).unwrap();
        // A chain that leads to itself.
        let read = (0..1_000).take_while(|_| pages.chained(2).is_some()).count();
        assert_eq!(read, 4 * CHAINED_TIMES as usize);
        // A frame of the log for the last page that there could be.
        pages.framed.insert(u32::MAX.into(), 0);
        pages.count = u32::MAX.into();
        let (numbers, missing) = pages.numbers();
        assert_eq!(numbers, [1, 2, 3, 4, u32::MAX.into()]);
        assert_eq!(missing, u64::from(u32::MAX) - 5);
    }

    #[test]
    fn a_list_of_free_pages_of_another_length_than_is_told_is_not_believed() {
        let (_dir, path) = file();
        let mut bytes = std::fs::read(&path).unwrap();
        // Page 3 is the list, and names page 4.
        bytes[32..36].copy_from_slice(&3_u32.to_be_bytes());
        let list = 2 * PAGE_BYTES;
        bytes[list + 4..list + 8].copy_from_slice(&1_u32.to_be_bytes());
        bytes[list + 8..list + 12].copy_from_slice(&4_u32.to_be_bytes());
        let mut free = |told: u32| {
            bytes[36..40].copy_from_slice(&told.to_be_bytes());
            std::fs::write(&path, &bytes).unwrap();
            Pages::open(&path).unwrap().free()
        };
        assert_eq!(free(2), [3, 4]);
        assert_eq!(free(3), [0; 0]);
    }
}
