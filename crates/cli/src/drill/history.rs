//! What a device's process writes down of itself, line by line, beside its file.
//!
//! A line is in the operating system's hands when the call that writes it returns, so it survives the
//! process; the last one may be torn, and is left out. What the lines mean:
//!
//! - `begins` comes before a transaction is committed and `wrote` after it: an op that is told was
//!   committed. A transaction that only began may have been committed or not.
//! - What was committed and not told, because the process was killed in between, is in the device's
//!   file. The next process tells all own ops that it finds there (`life`), before it sends anything.
//!   Only what was sent, and safe, and forgotten by the file before the kill is in neither; of each
//!   life that is one transaction at most.
//! - `fate` comes after the device's file has taken a region's answer in.
//! - `shows` is what the app's tables showed at one moment.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use landfall_model::id::Dot;
use landfall_model::op::Sealed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A line, with when it was written, in milliseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub at_ms: i64,
    #[serde(flatten)]
    pub entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A process has opened the file; lives count from 0. Own ops that it found in it.
    Life {
        life: u64,
        found: Vec<Known>,
    },
    /// The device id that ops are made under.
    Id {
        device: String,
    },
    /// A transaction is about to be committed; they count within a life.
    Begins {
        n: u64,
        edits: String,
    },
    /// It was committed.
    Wrote {
        n: u64,
        ops: Vec<Known>,
    },
    /// It was refused, and left no trace.
    Refused {
        n: u64,
        code: String,
        message: String,
    },
    /// An own write went a step further.
    Fate {
        dot: String,
        fate: Fate,
        code: Option<String>,
    },
    /// An own write came to something.
    Outcome {
        dot: String,
        outcome: String,
    },
    /// Counters that only count up, by home scope and id, and how many rows there are in all.
    Shows {
        tallies: BTreeMap<String, i64>,
        rows: i64,
    },
    /// The app is about to subscribe, or to let go.
    Subscribes {
        scope: String,
    },
    LetsGo {
        scope: String,
    },
    /// The connection changed its state.
    Connection {
        state: String,
    },
    /// The process ends in order.
    Ends,
}

/// How far a write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Accepted,
    /// As many regions have it as are asked for.
    Durable,
    Rejected,
}

/// An own op; without payload where the file had forgotten it by the time it was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub dot: String,
    pub payload: Option<String>,
}

impl Known {
    pub(crate) fn new(dot: Dot, sealed: Option<&Sealed>) -> Self {
        let payload = sealed.map(|s| BASE64.encode(&s.payload));
        Self { dot: dot.to_string(), payload }
    }

    /// `Err`: the line was not written by this build.
    pub(crate) fn open(&self) -> anyhow::Result<(Dot, Option<Sealed>)> {
        let dot = self.dot.parse().with_context(|| format!("{:?} is no op", self.dot))?;
        let Some(payload) = &self.payload else { return Ok((dot, None)) };
        let bytes = BASE64.decode(payload).context("a payload")?;
        Ok((dot, Some(Sealed::decode(&bytes)?)))
    }
}

/// A history that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    file: Mutex<File>,
}

impl Writer {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        if file.metadata()?.len() > 0 {
            // A line that a killed process did not finish must not take the next one with it.
            file.write_all(b"\n")?;
        }
        Ok(Self { file: Mutex::new(file) })
    }

    pub(crate) fn tell(&self, entry: Entry) -> anyhow::Result<()> {
        use landfall_region::world::Clock;
        let line = Line { at_ms: crate::world::WallClock.now_ms(), entry };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes()).context("the history")
    }
}

/// All lines of a history; those that a kill has torn are left out. None if there is no file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_takes_no_other_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        assert_eq!(read(&path).expect("no file is no history").len(), 0);
        Writer::open(&path).expect("a file").tell(Entry::Ends).expect("told");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(b"{\"at_ms\":1,\"what\":\"en").expect("written");
        let writer = Writer::open(&path).expect("a file");
        writer.tell(Entry::Subscribes { scope: "w/1".to_owned() }).expect("told");
        let entries: Vec<Entry> =
            read(&path).expect("lines").into_iter().map(|line| line.entry).collect();
        assert_eq!(entries, [Entry::Ends, Entry::Subscribes { scope: "w/1".to_owned() }]);
    }
}
