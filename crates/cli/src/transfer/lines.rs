//! The records of a file, one after the other, each with its place.
//!
//! A file is read from front to back and never held as a whole. A record that cannot be read is a
//! record all the same: what is wrong with it, and where.

use super::cells::{self, RECORD_BYTES_MAX};
use super::{Format, value};
use crate::fault::{self, code};
use anyhow::Context;
use landfall_model::schema::EntityType;
use serde_json::{Map, Value as Json};
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct At {
    pub offset: u64,
    /// The line that begins here, from 1.
    pub line: u64,
}

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    pub line: u64,
    /// Where the next one begins.
    pub end: At,
    /// As it stands in the file, without the end of its line.
    pub raw: String,
    pub fields: Result<Map<String, Json>, Bad>,
}

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
    pub code: &'static str,
    pub reason: String,
}

#[derive(Debug)]
pub(super) struct Lines<'k> {
    input: BufReader<File>,
    format: Format,
    kind: &'k EntityType,
    /// Names of the columns, in CSV.
    header: Vec<String>,
    at: At,
    path: String,
}

impl<'k> Lines<'k> {
    /// From the beginning, or from a place that this gave before.
    pub fn open(
        path: &Path,
        format: Format,
        kind: &'k EntityType,
        from: Option<At>,
    ) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        let at = At { offset: 0, line: 1 };
        let input = BufReader::new(file);
        let mut lines = Self { input, format, kind, header: Vec::new(), at, path: name };
        if format == Format::Csv {
            lines.read_header()?;
        }
        if let Some(at) = from.filter(|at| at.offset > 0) {
            lines.input.seek(SeekFrom::Start(at.offset))?;
            lines.at = at;
        }
        Ok(lines)
    }

    fn read_header(&mut self) -> anyhow::Result<()> {
        let line = self.at.line;
        let path = self.path.clone();
        let wrong = |column: u64, code, reason: String| {
            fault::new(code, format!("{path}:{line}:{column}: {reason}"))
        };
        let Some((_, raw)) = self.next_raw()? else {
            let reason = "the file is empty; its first line names the fields".to_owned();
            return Err(wrong(1, code::LINE, reason));
        };
        let raw = raw.map_err(|bad| wrong(bad.column, bad.code, bad.reason))?;
        let raw = raw.strip_prefix('\u{feff}').unwrap_or(&raw);
        let cells =
            cells::split(raw).map_err(|w| wrong(w.column, code::LINE, w.reason.to_owned()))?;
        for cell in &cells {
            let name = cell.text.trim();
            if self.kind.field_named(name).is_none() {
                return Err(wrong(cell.column, code::UNKNOWN_NAME, unknown(self.kind, name)));
            }
            if self.header.iter().any(|n| n == name) {
                let reason = format!("`{name}` stands twice; keep one");
                return Err(wrong(cell.column, code::LINE, reason));
            }
            self.header.push(name.to_owned());
        }
        if !self.header.iter().any(|name| name == "id") {
            let reason = "the first line names no `id`; add that column".to_owned();
            return Err(wrong(1, code::LINE, reason));
        }
        Ok(())
    }

    /// The next record that is not an empty line; `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<Record>> {
        loop {
            let Some((line, raw)) = self.next_raw()? else { return Ok(None) };
            let raw = match raw {
                Ok(raw) => raw,
                Err(bad) => {
                    let (end, raw) = (self.at, String::new());
                    return Ok(Some(Record { line, end, raw, fields: Err(bad) }));
                }
            };
            if raw.trim().is_empty() {
                continue;
            }
            let fields = match self.format {
                Format::Ndjson => object(&raw, line),
                Format::Csv => self.cells(&raw, line),
            };
            return Ok(Some(Record { line, end: self.at, raw, fields }));
        }
    }

    /// The next record's line and text, or what is wrong with it.
    fn next_raw(&mut self) -> anyhow::Result<Option<(u64, Result<String, Bad>)>> {
        let line = self.at.line;
        let quotes = self.format == Format::Csv;
        let (bytes, read, long) = cells::next_record(&mut self.input, quotes)
            .with_context(|| format!("cannot read {}", self.path))?;
        if read == 0 {
            return Ok(None);
        }
        self.at.offset += read;
        self.at.line += (bytes.iter().filter(|b| **b == b'\n').count() as u64).max(1);
        let bad = |reason: String| Bad { line, column: 1, code: code::LINE, reason };
        if long {
            let reason = format!("the record is longer than {RECORD_BYTES_MAX} bytes; split it");
            return Ok(Some((line, Err(bad(reason)))));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let column = String::from_utf8_lossy(before).chars().count() as u64 + 1;
            Bad { column, ..bad("is no UTF-8; save the file as UTF-8".to_owned()) }
        });
        Ok(Some((line, text.map(|t| t.trim_end_matches(['\n', '\r']).to_owned()))))
    }

    fn cells(&self, raw: &str, line: u64) -> Result<Map<String, Json>, Bad> {
        let bad = |at: (u64, u64), code, reason: String| Bad {
            line: line + at.0,
            column: at.1,
            code,
            reason,
        };
        let cells = cells::split(raw)
            .map_err(|w| bad((w.line, w.column), code::LINE, w.reason.to_owned()))?;
        if cells.len() != self.header.len() {
            let (found, wanted) = (cells.len(), self.header.len());
            let reason = format!("{found} cells where the first line names {wanted} fields");
            return Err(bad((0, 1), code::LINE, reason));
        }
        let mut fields = Map::new();
        for (name, cell) in self.header.iter().zip(&cells) {
            let Some(field) = self.kind.field_named(name) else { continue };
            let text = (cell.quoted || !cell.text.is_empty()).then_some(cell.text.as_str());
            let json = value::of_cell(&value::whole(field), text)
                .map_err(|e| bad((cell.line, cell.column), code::VALUE, format!("`{name}` {e}")))?;
            fields.insert(name.clone(), json);
        }
        Ok(fields)
    }

    /// Where a field's value stands in a record, for a fault in it.
    pub fn place_of(&self, record: &Record, field: Option<&str>) -> (u64, u64) {
        let start = (record.line, 1);
        let Some(field) = field else { return start };
        match self.format {
            Format::Ndjson => (record.line, column_of(&record.raw, field).unwrap_or(1)),
            Format::Csv => {
                let at = self.header.iter().position(|name| name == field);
                let cells = cells::split(&record.raw).unwrap_or_default();
                let cell = at.and_then(|at| cells.get(at));
                cell.map_or(start, |c| (record.line + c.line, c.column))
            }
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn offset(&self) -> u64 {
        self.at.offset
    }
}

/// A name that the type does not have.
pub(super) fn unknown(kind: &EntityType, name: &str) -> String {
    let known: Vec<&str> = kind.fields.iter().map(|f| &*f.name).collect();
    format!("{} has no field `{name}`; it has {}", kind.name, known.join(", "))
}

fn object(raw: &str, line: u64) -> Result<Map<String, Json>, Bad> {
    let bad = |column: u64, reason: String| Bad { line, column, code: code::LINE, reason };
    match serde_json::from_str::<Json>(raw) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err(bad(1, "a line is one JSON object: {\"id\":\"…\", …}".to_owned())),
        Err(error) => {
            let told = error.to_string();
            let what = told.split(" at line ").next().unwrap_or_default();
            let before = raw.as_bytes().get(..error.column().saturating_sub(1));
            let column =
                before.map_or(1, |b| String::from_utf8_lossy(b).chars().count() as u64 + 1);
            Err(bad(column, format!("is no JSON: {what}")))
        }
    }
}

/// The column, from 1, at which the value of a key of an object begins.
fn column_of(raw: &str, key: &str) -> Option<u64> {
    let (mut depth, mut inside, mut escaped) = (0, false, false);
    let (mut start, mut is_key, mut found) = (0, false, false);
    for (at, (byte, c)) in raw.char_indices().enumerate() {
        if inside {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    inside = false;
                    let word: Result<String, _> = serde_json::from_str(&raw[start..=byte]);
                    found = depth == 1 && is_key && word.is_ok_and(|word| word == key);
                }
                _ => {}
            }
            continue;
        }
        if found && !c.is_whitespace() && c != ':' {
            return Some(at as u64 + 1);
        }
        match c {
            '"' => (inside, start) = (true, byte),
            '{' | '[' => (depth, is_key) = (depth + 1, true),
            '}' | ']' => depth -= 1,
            ':' => is_key = false,
            ',' => is_key = true,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_key() {
        let check = |raw: &str, expected: Option<u64>| {
            assert_eq!(column_of(raw, "b"), expected, "{raw}");
        };
        check(r#"{"a":1,"b":2}"#, Some(12));
        check(r#"{"é":1, "b" : "x"}"#, Some(15));
        check(r#"{"a":"b","b":[1]}"#, Some(14));
        check(r#"{"a":{"b":1},"b":true}"#, Some(18));
        check(r#"{"a":["b"],"b":1}"#, Some(16));
        check(r#"{"a":"\"b\"","b":{}}"#, Some(18));
        check(r#"{"a":1}"#, None);
    }

    #[test]
    fn a_line_that_is_no_object_says_where() {
        let check = |raw: &str, column: u64, part: &str| {
            let bad = object(raw, 7).expect_err(raw);
            assert_eq!((bad.line, bad.column), (7, column), "{bad:?}");
            assert!(bad.reason.contains(part), "{bad:?}");
        };
        check("[1]", 1, "one JSON object");
        check("{\"a\":}", 6, "expected value");
    }
}
