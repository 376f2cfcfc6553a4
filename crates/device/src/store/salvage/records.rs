//! Rows out of a page, whatever the tree above it says.

use super::pages::Pages;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Column {
    Null,
    Int(i64),
    Real,
    Text(String),
    Blob(Vec<u8>),
}

impl Column {
    /// The bytes of a blob; `None` for anything else.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    pub columns: Vec<Column>,
}

/// What a page gave.
#[derive(Debug, Default)]
pub(super) struct OfPage {
    pub table_rows: Vec<Record>,
    pub index_rows: Vec<Record>,
    /// Cells that could not be read.
    pub broken_cells: u64,
    /// The page is of no kind that a tree has, and is not the rest of a long row either as far as
    /// that can be told; or it has lost its content.
    pub senseless: bool,
}

/// Kinds of pages, by their first byte.
const TABLE_LEAF: u8 = 13;
const INDEX_LEAF: u8 = 10;
const INNER: [u8; 2] = [2, 5];

/// Rows have at most so many columns: those of the largest side table.
const COLUMNS_MAX: usize = 32;

/// Longer rows than this were never written.
const ROW_BYTES_MAX: usize = 64 << 20;

pub(super) fn of_page(pages: &mut Pages, number: u64, page: &[u8]) -> OfPage {
    let mut read = OfPage::default();
    let start = if number == 1 { 100 } else { 0 };
    let kind = page[start];
    match kind {
        TABLE_LEAF | INDEX_LEAF => {}
        // Its numbers lead to other pages, all of which are looked at anyway.
        kind if INNER.contains(&kind) => return read,
        _ => {
            read.senseless = page.iter().all(|b| *b == 0) || number == 1;
            return read;
        }
    }
    let cells = usize::from(short(page, start + 3));
    if start + 8 + 2 * cells > page.len() {
        read.senseless = true;
        return read;
    }
    for n in 0..cells {
        let at = usize::from(short(page, start + 8 + 2 * n));
        match cell(pages, page, at, kind) {
            Some(record) if kind == TABLE_LEAF => read.table_rows.push(record),
            Some(record) => read.index_rows.push(record),
            None => read.broken_cells += 1,
        }
    }
    read
}

fn cell(pages: &mut Pages, page: &[u8], at: usize, kind: u8) -> Option<Record> {
    let (bytes, at) = varint(page, at)?;
    let bytes = usize::try_from(bytes).ok().filter(|b| *b <= ROW_BYTES_MAX)?;
    let at = match kind {
        TABLE_LEAF => varint(page, at)?.1,
        _ => at,
    };
    let usable = pages.usable();
    let most = match kind {
        TABLE_LEAF => usable - 35,
        _ => (usable - 12) * 64 / 255 - 23,
    };
    if bytes <= most {
        return record(page.get(at..at + bytes)?);
    }
    // The rest of a long row stands in a chain of pages of its own.
    let least = (usable - 12) * 32 / 255 - 23;
    let here = least + (bytes - least) % (usable - 4);
    let here = if here <= most { here } else { least };
    let mut payload = page.get(at..at + here)?.to_vec();
    let mut next = four(page.get(at + here..at + here + 4)?);
    while payload.len() < bytes {
        let rest = pages.chained(next)?;
        let take = (bytes - payload.len()).min(usable - 4);
        payload.extend_from_slice(rest.get(4..4 + take)?);
        next = four(&rest[..4]);
    }
    record(&payload)
}

fn record(bytes: &[u8]) -> Option<Record> {
    let (header, mut at) = varint(bytes, 0)?;
    let header = usize::try_from(header).ok().filter(|h| *h <= bytes.len())?;
    let mut body = header;
    let mut columns = Vec::new();
    while at < header {
        let (kind, next) = varint(bytes, at)?;
        at = next;
        let (column, width) = column(bytes, body, kind)?;
        body += width;
        columns.push(column);
        if columns.len() > COLUMNS_MAX {
            return None;
        }
    }
    (at == header && body == bytes.len()).then_some(Record { columns })
}

/// A column by its serial type, and its width.
fn column(bytes: &[u8], at: usize, kind: u64) -> Option<(Column, usize)> {
    let width = match kind {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        long => usize::try_from((long - 12) / 2).ok()?,
    };
    let content = bytes.get(at..at.checked_add(width)?)?;
    let column = match kind {
        0 => Column::Null,
        8 => Column::Int(0),
        9 => Column::Int(1),
        7 => Column::Real,
        1..=6 => {
            let negative = content[0] & 0x80 != 0;
            let start = if negative { -1 } else { 0 };
            Column::Int(content.iter().fold(start, |n: i64, b| n << 8 | i64::from(*b)))
        }
        long if long % 2 == 0 => Column::Blob(content.to_vec()),
        _ => Column::Text(std::str::from_utf8(content).ok()?.to_owned()),
    };
    Some((column, width))
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for n in 0..9 {
        let byte = *bytes.get(at.checked_add(n)?)?;
        if n == 8 {
            return Some((value << 8 | u64::from(byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + n + 1));
        }
    }
    None
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn four(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}
