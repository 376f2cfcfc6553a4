//! What a device's process writes down of itself, line by line, beside its file.
//!
//! A line is in the operating system's hands when the call that writes it returns, so it survives the
//! process. The last line of a process that was killed may be torn, and is left out; whatever else
//! cannot be read is an error, for a history that lost lines would let everything pass. What the
//! lines mean:
//!
//! - `begins` comes before a transaction is committed and `wrote` after it: an op that is told was
//!   committed. A transaction that only began may have been committed or not.
//! - What was committed and not told, because the process was killed in between, is in the device's
//!   file. The next process tells all own ops that it finds there (`life`), before it sends anything.
//!   Only what was sent, and safe, and forgotten by the file before the kill is in neither; of each
//!   life that is one transaction at most.
//! - `fate` comes after the device's file has taken a region's answer in.
//! - `shows` is what the app's tables showed at one moment.

use crate::fault::{self, code};
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

/// All lines of a history but those that a kill has torn. `Err`: there is no history, no process has
/// begun one, or it has lost lines.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines: Vec<Line> = Vec::new();
    let mut torn = None;
    for (nth, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line: Line = match serde_json::from_slice(bytes) {
            Ok(line) => line,
            // A process that is killed ends in the middle of a line; the next one goes on below it.
            Err(error) if error.is_eof() => {
                torn.get_or_insert(nth);
                continue;
            }
            Err(error) => return Err(damaged(path, nth, &format!("is no entry: {error}"))),
        };
        let begins_a_life = matches!(line.entry, Entry::Life { .. });
        if let Some(torn) = torn.take().filter(|_| !begins_a_life) {
            return Err(damaged(path, torn, "ends early, and no process ended there"));
        }
        if lines.is_empty() && !begins_a_life {
            return Err(damaged(path, nth, "comes before the life of any process"));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        let message = format!("{} tells of no life of a process", path.display());
        return Err(fault::new(code::NOTHING_KNOWN, message));
    }
    Ok(lines)
}

fn damaged(path: &Path, line: usize, how: &str) -> anyhow::Error {
    fault::new(code::LINE, format!("{}, line {line} {how}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Entry = Entry::Life { life: 0, found: Vec::new() };

    fn add(path: &Path, bytes: &[u8]) {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("a file");
        file.write_all(bytes).expect("written");
    }

    fn subscribes() -> Entry {
        Entry::Subscribes { scope: "w/1".to_owned() }
    }

    fn entries(path: &Path) -> Vec<Entry> {
        read(path).expect("a history").into_iter().map(|line| line.entry).collect()
    }

    #[test]
    fn a_torn_line_takes_no_other_with_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        let start = || {
            let writer = Writer::open(&path).expect("a file");
            writer.tell(LIFE).expect("told");
            writer
        };
        start().tell(Entry::Ends).expect("told");
        start();
        add(&path, b"{\"at_ms\":1,\"what\":\"en");
        // Killed before it began, and while it did.
        Writer::open(&path).expect("a file");
        Writer::open(&path).expect("a file");
        add(&path, b"{\"at_ms\":2,\"what\":\"life\",\"li");
        start().tell(subscribes()).expect("told");
        add(&path, b"{\"at_ms\":3,\"what\":\"sh\xc3");
        assert_eq!(entries(&path), [LIFE, Entry::Ends, LIFE, LIFE, subscribes()]);
    }

    #[test]
    fn a_history_that_lost_lines_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        let check = |lines: &[&str], expected: &str| {
            std::fs::write(&path, lines.join("\n")).expect("written");
            let error = fault::told(&read(&path).expect_err("it is damaged"));
            assert!(error.contains(expected), "{lines:?}: {error}");
            assert!(error.contains(path.to_str().expect("a path")), "{error}");
        };
        let life = r#"{"at_ms":1,"what":"life","life":0,"found":[]}"#;
        let ends = r#"{"at_ms":2,"what":"ends"}"#;
        let torn = r#"{"at_ms":2,"wh"#;
        check(&[life, torn, ends], "LF9010");
        check(&[life, torn, ends], "line 2 ends early");
        check(&[life, "", torn, ends], "line 2 ends early");
        check(&[life, ends, "nonsense", life], "line 3 is no entry");
        check(&[life, r#"{"at_ms":2,"what":"unheard of"}"#], "line 2 is no entry");
        check(&[ends, life], "line 1 comes before the life");
        check(&[""], "LF9013");
        check(&[torn], "tells of no life");
        std::fs::remove_file(&path).expect("removed");
        let error = read(&path).expect_err("no file is no history");
        assert!(fault::told(&error).contains(path.to_str().expect("a path")), "{error:#}");
    }
}
