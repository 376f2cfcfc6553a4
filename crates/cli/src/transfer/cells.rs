//! Comma-separated values as RFC 4180 has them, with the place of every cell.
//!
//! Two things are asked here that most readers of the format do not tell: on which line and in
//! which column a cell begins, for messages; and whether it stood in quotes, because an empty cell
//! is null and `""` is an empty text.

use std::io::{self, BufRead};

/// A record is no longer than this, in bytes. Ops are far smaller.
pub(super) const RECORD_BYTES_MAX: usize = 4 << 20;

/// One cell of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub text: String,
    pub quoted: bool,
    /// Lines from the record's first, from 0; and column, from 1, in characters.
    pub line: u64,
    pub column: u64,
}

/// The text of the next record with its line ends, which may be several lines; empty at the end of
/// the file. `true` if it is longer than allowed: its text is cut, and the rest was skipped.
pub(super) fn next_record(
    input: &mut impl BufRead,
    quotes: bool,
) -> io::Result<(Vec<u8>, u64, bool)> {
    let (mut record, mut bytes, mut long) = (Vec::new(), 0, false);
    let mut inside = false;
    loop {
        let before = record.len();
        let read = input.read_until(b'\n', &mut record)?;
        bytes += read as u64;
        if quotes {
            let marks = record[before..].iter().filter(|b| **b == b'"').count();
            inside ^= marks % 2 == 1;
        }
        if record.len() > RECORD_BYTES_MAX {
            record.truncate(RECORD_BYTES_MAX);
            long = true;
        }
        if read == 0 || !inside || long {
            return Ok((record, bytes, long));
        }
    }
}

/// A place in a record, and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub line: u64,
    pub column: u64,
    pub reason: &'static str,
}

/// The cells of a record.
pub(super) fn split(record: &str) -> Result<Vec<Cell>, Wrong> {
    let record = record.strip_suffix('\n').unwrap_or(record);
    let record = record.strip_suffix('\r').unwrap_or(record);
    let mut rest = record.chars().peekable();
    let (mut line, mut column) = (0, 1);
    let mut cells = Vec::new();
    loop {
        let mut cell = Cell { text: String::new(), quoted: false, line, column };
        if rest.next_if_eq(&'"').is_some() {
            cell.quoted = true;
            column += 1;
            loop {
                let Some(c) = rest.next() else {
                    let reason = "the quotation mark is never closed; write `\"` at its end";
                    return Err(Wrong { line: cell.line, column: cell.column, reason });
                };
                column += 1;
                match c {
                    '"' if rest.next_if_eq(&'"').is_some() => {
                        column += 1;
                        cell.text.push('"');
                    }
                    '"' => break,
                    '\n' => {
                        (line, column) = (line + 1, 1);
                        cell.text.push('\n');
                    }
                    c => cell.text.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != ',') {
                if c == '"' {
                    let reason = "a quotation mark within a cell; quote the whole cell, and write \
                                  `\"\"` for each mark in it";
                    return Err(Wrong { line, column, reason });
                }
                column += 1;
                cell.text.push(c);
            }
        }
        cells.push(cell);
        match rest.next() {
            None => return Ok(cells),
            Some(',') => column += 1,
            Some(_) => {
                let reason = "text behind the closing quotation mark; write `,` there";
                return Err(Wrong { line, column, reason });
            }
        }
    }
}

/// A cell as it is written; `None` is null.
pub(super) fn quote(out: &mut String, text: Option<&str>) {
    let Some(text) = text else { return };
    // A reader that trims would change a cell with blanks at its ends.
    let plain = !text.is_empty()
        && !text.contains(['"', ',', '\n', '\r'])
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace);
    if plain {
        out.push_str(text);
    } else {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(record: &str) -> Vec<(String, bool)> {
        let cells = split(record).expect("cells");
        cells.into_iter().map(|c| (c.text, c.quoted)).collect()
    }

    #[test]
    fn what_is_quoted_is_read_as_it_was() {
        for text in ["", "a", "a,b", "say \"hi\"", "two\nlines", "\r\n", " x ", "ü,\"\""] {
            let mut record = "1,".to_owned();
            quote(&mut record, Some(text));
            let cells = texts(&format!("{record}\n"));
            assert_eq!(cells[1].0, text, "{record:?}");
        }
    }

    #[test]
    fn an_empty_cell_is_told_from_an_empty_text() {
        assert_eq!(
            texts(",\"\",\r\n"),
            [(String::new(), false), (String::new(), true), (String::new(), false)]
        );
    }

    #[test]
    fn cells_know_their_place() {
        let cells = split("é,\"a\nb\",c").expect("cells");
        let places: Vec<_> = cells.iter().map(|c| (c.line, c.column)).collect();
        assert_eq!(places, [(0, 1), (0, 3), (1, 4)]);
        let check = |record: &str, line, column| {
            let wrong = split(record).expect_err(record);
            assert_eq!((wrong.line, wrong.column), (line, column), "{record}");
        };
        check("a,b\"c", 0, 4);
        check("a,\"b", 0, 3);
        check("\"a\"b", 0, 4);
    }

    #[test]
    fn a_record_goes_on_where_a_quoted_line_ends() {
        let mut input = &b"a,\"b\nc\"\nd\n"[..];
        let record =
            |input: &mut &[u8]| String::from_utf8(next_record(input, true).unwrap().0).unwrap();
        assert_eq!(record(&mut input), "a,\"b\nc\"\n");
        assert_eq!(record(&mut input), "d\n");
        assert_eq!(record(&mut input), "");
    }
}
