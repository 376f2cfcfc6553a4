//! How far an import has come, so that one that was killed goes on and takes no row twice.
//!
//! The journal lies beside the device's file, one for each content of a file. A mark is written to
//! it, and is on disk, *before* each transaction: where in the file the transaction begins and
//! ends, and the number of the device's last write. The transaction raises that number. So the
//! device's file itself tells, after any crash and any loss of power, which transactions it has:
//! the last mark whose number is not above the file's own is where to go on, at its beginning if
//! the numbers are equal, else at its end.
//!
//! Nobody else may write with the device's name while an import of it is unfinished; a lock keeps
//! a second import away.

use super::lines::At;
use crate::fault::{self, code};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What an import has come to at a place of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub at: At,
    pub rows: u64,
    pub applied: u64,
    pub unchanged: u64,
    pub rejected: u64,
    /// The length of the file of rejects.
    pub rejects_bytes: u64,
}

/// Before a transaction: the device's last write, and where the transaction begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub seq: u64,
    pub start: Tally,
    pub end: Tally,
    /// There is nothing behind `end`.
    #[serde(default)]
    pub done: bool,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    device: String,
}

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Held as long as this is.
    _lock: File,
}

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    Start,
    At(Tally),
    Done(Tally),
}

impl Journal {
    /// The journal of the content with this hash, and where it says to go on. `again` forgets what
    /// it says.
    pub fn open(
        dir: &Path,
        name: &str,
        hash: &str,
        (device, seq): (&str, u64),
        again: bool,
    ) -> anyhow::Result<(Self, Resume)> {
        let lock = lock(dir, name)?;
        let path = dir.join(format!("{name}-import-{hash}.journal"));
        if again && path.exists() {
            std::fs::remove_file(&path).with_context(|| cannot("remove", &path))?;
        }
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| cannot("read", &path))?,
        };
        let (head, marks, whole) = read(&text);
        if head.as_ref().is_some_and(|head| head.device != device) {
            let message = format!(
                "{} is of another device than its file `{name}.db` is now: one of them was copied \
                 or restored; --again imports from the beginning",
                path.display()
            );
            return Err(fault::new(code::JOURNAL, message));
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| cannot("write", &path))?;
        // A line that was cut short by a crash promised nothing.
        file.set_len(whole as u64)?;
        if head.is_none() {
            append(&mut file, &Head { device: device.to_owned() })?;
        }
        Ok((Self { file, _lock: lock }, resume(&marks, seq)))
    }

    /// On disk when this returns.
    pub fn mark(&mut self, mark: &Mark) -> anyhow::Result<()> {
        append(&mut self.file, mark)
    }
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {}", path.display())
}

/// The lock is the system's: it ends with the process, however that ends.
fn lock(dir: &Path, name: &str) -> anyhow::Result<File> {
    let path: PathBuf = dir.join(format!("{name}-import.lock"));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| cannot("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another import runs as `{name}`; wait, or name another by --as");
            Err(fault::new(code::JOURNAL, message))
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| cannot("lock", &path)),
    }
}

fn append(file: &mut File, line: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    file.write_all(text.as_bytes()).context("cannot write the import's journal")?;
    file.sync_data().context("cannot write the import's journal")
}

/// The head, the marks, and the bytes of all lines that are whole.
fn read(text: &str) -> (Option<Head>, Vec<Mark>, usize) {
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let mut whole = 0;
    let Some(head) = lines.next() else { return (None, Vec::new(), 0) };
    let Ok(parsed) = serde_json::from_str::<Head>(head) else { return (None, Vec::new(), 0) };
    whole += head.len();
    let mut marks = Vec::new();
    for line in lines {
        let Ok(mark) = serde_json::from_str::<Mark>(line) else { break };
        whole += line.len();
        marks.push(mark);
    }
    (Some(parsed), marks, whole)
}

/// See the module's description.
fn resume(marks: &[Mark], seq: u64) -> Resume {
    match marks.iter().rfind(|mark| mark.seq <= seq) {
        None => Resume::Start,
        Some(mark) if mark.done => Resume::Done(mark.end),
        Some(mark) if mark.seq == seq => Resume::At(mark.start),
        Some(mark) => Resume::At(mark.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(rows: u64) -> Tally {
        Tally { rows, ..Tally::default() }
    }

    fn mark(seq: u64, from: u64, to: u64) -> Mark {
        Mark { seq, start: tally(from), end: tally(to), done: false }
    }

    #[test]
    fn the_devices_own_number_says_where_to_go_on() {
        let marks = [mark(0, 0, 5), mark(5, 5, 9), mark(9, 9, 12)];
        let check = |seq: u64, rows: u64| {
            assert_eq!(resume(&marks, seq), Resume::At(tally(rows)), "{seq}");
        };
        check(0, 0); // the first transaction was not committed
        check(5, 5); // the second was not
        check(9, 9); // the third was not
        check(12, 12); // all were
        assert_eq!(resume(&[], 7), Resume::Start);
    }

    #[test]
    fn what_a_loss_of_power_took_from_the_device_is_done_again() {
        // The journal knows of three transactions, the device's file of the first alone.
        let marks = [mark(0, 0, 5), mark(5, 5, 9), mark(9, 9, 12)];
        assert_eq!(resume(&marks[..], 5), Resume::At(tally(5)));
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let head = "{\"device\":\"AB\"}\n";
        let line = serde_json::to_string(&mark(1, 0, 2)).unwrap() + "\n";
        let text = format!("{head}{line}{}", &line[..10]);
        let (_, marks, whole) = read(&text);
        assert_eq!((marks.len(), whole), (1, head.len() + line.len()));
    }

    #[test]
    fn a_second_import_of_one_device_is_kept_away() {
        let dir = tempfile::tempdir().unwrap();
        let first = Journal::open(dir.path(), "import", "h", ("AB", 0), false).unwrap();
        let second = Journal::open(dir.path(), "import", "h", ("AB", 0), false);
        assert!(second.unwrap_err().to_string().contains("another import"));
        drop(first);
        let copied = Journal::open(dir.path(), "import", "h", ("CD", 0), false);
        assert!(copied.unwrap_err().to_string().contains("--again"));
    }
}
