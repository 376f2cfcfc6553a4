//! What a blob says of itself, looked at before the library reads it.
//!
//! Blobs come from devices. The library takes room for as many changes, dependencies and edits as a
//! blob claims, and columns of equal values are stored as one value and a count: a hundred bytes can
//! claim the memory of the whole machine, and a failed allocation ends the process. So the counts are
//! added up first, without taking any room.
//!
//! A blob is `"loro"`, 16 bytes of checksum, the form (2 bytes, big endian), then blocks, each with its
//! length before it. A block is the postcard form of five numbers and eight byte strings. Of these the
//! header (first) counts dependencies, `ops` (sixth) has a column per property of an edit, and
//! `delete_start_ids` (seventh) one per property of a deletion. Which container is edited, and by what
//! name (third and fourth), is the same in every block of a [`Document`], so it is compared; so is that
//! edits only insert text and delete it. The rest takes what its bytes take.
//!
//! [`Document`]: super::Document

use super::Unreadable;

/// Counts that the blobs of a part may claim beyond one per byte that they have. Regular deletions, such
/// as of every other character, cost next to no bytes, so some are needed. Each costs up to 500 bytes of
/// memory, and where edits of others are merged, time that grows with their square: seconds for these.
pub const CLAIMS_BEYOND_BYTES_MAX: u64 = 1 << 16;

const MAGIC: &[u8] = b"loro";
const CHECKSUM_BYTES: usize = 16;
/// The form of updates; snapshots are made by regions and devices for themselves, and have another.
const UPDATES: [u8; 2] = [0, 4];
/// Kinds of values: inserted text, and a deletion.
const VALUE_KINDS: [u8; 2] = [5, 9];
/// One container: a text at the root, by the first of the names. And the names.
const CONTAINERS: &[u8] = &[1, 4, 1, 2, 0, 0];
const NAMES: &[u8] = b"\x04text";

/// Look at a blob that an op carries, without reading it: it is in the form of updates, does nothing
/// but insert text and delete it, and claims no more changes, dependencies, edits, deletions and
/// characters deleted backwards than it has bytes, and [`CLAIMS_BEYOND_BYTES_MAX`].
pub fn check_update(blob: &[u8]) -> Result<(), Unreadable> {
    check_updates([blob])
}

/// The same of blobs that are read at once, with one [`CLAIMS_BEYOND_BYTES_MAX`] for all of them: those
/// that wait for others are all in memory.
pub(super) fn check_updates<'b>(
    blobs: impl IntoIterator<Item = &'b [u8]>,
) -> Result<(), Unreadable> {
    let mut left = CLAIMS_BEYOND_BYTES_MAX;
    let mut blobs = blobs.into_iter();
    blobs.try_for_each(|blob| update(blob, &mut left)).ok_or_else(|| {
        Unreadable("it is no update of a text, or claims more than it can hold".to_owned())
    })
}

/// Takes what a blob claims off what is left.
fn update(blob: &[u8], left: &mut u64) -> Option<()> {
    *left = left.checked_add(blob.len() as u64)?;
    let mut bytes = Bytes(blob);
    bytes.frame()?;
    while !bytes.0.is_empty() {
        block(bytes.string()?, left)?;
    }
    Some(())
}

fn block(block: &[u8], left: &mut u64) -> Option<()> {
    let mut bytes = Bytes(block);
    for _counter_and_lamport in 0..4 {
        bytes.number()?;
    }
    let changes = bytes.number()?;
    let header = bytes.string()?;
    let _times_and_messages = bytes.string()?;
    // Last, places in trees: a document has none.
    if bytes.string()? != CONTAINERS || bytes.string()? != NAMES || bytes.string()? != b"" {
        return None;
    }
    let (ops, deletions) = (bytes.string()?, bytes.string()?);
    claim(left, changes)?;
    claim(left, dependencies(header, changes)?)?;
    let [container, place, kind, length] = columns(ops)?;
    claim(left, longest([container, place, length])?.max(rows(kind, Column::ValueKind)?))?;
    if !deletions.is_empty() {
        let [author, counter, length] = columns(deletions)?;
        claim(left, longest([author, counter, length])?)?;
        claim(left, backwards(length)?)?;
    }
    Some(())
}

fn claim(left: &mut u64, count: u64) -> Option<()> {
    *left = left.checked_sub(count)?;
    Some(())
}

/// How many dependencies the header of a block claims: authors, the length of each change but the
/// last, a run-length column of whether a change depends on the one before it, and one of how many
/// others each depends on.
fn dependencies(header: &[u8], changes: u64) -> Option<u64> {
    let mut bytes = Bytes(header);
    let authors = bytes.number()?;
    bytes.skip(authors.checked_mul(8)?)?;
    for _length in 1..changes {
        bytes.number()?;
    }
    let mut on_their_own = 0;
    while on_their_own < changes {
        on_their_own = bytes.number()?.checked_add(on_their_own)?;
    }
    let (mut seen, mut claimed) = (0, 0_u64);
    while seen < changes {
        let run = bytes.run()?;
        for _ in 0..run.values {
            claimed = bytes.number()?.checked_mul(run.each)?.checked_add(claimed)?;
        }
        seen = run.rows()?.checked_add(seen)?;
    }
    Some(claimed)
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Column {
    /// Numbers, in one byte or more.
    Number,
    /// The kind of a value, in one byte.
    ValueKind,
}

/// A table that is stored by columns.
fn columns<const N: usize>(table: &[u8]) -> Option<[&[u8]; N]> {
    let mut bytes = Bytes(table);
    // One table, of so many columns.
    if bytes.number()? != 1 || bytes.number()? != N as u64 {
        return None;
    }
    let mut columns = [&[][..]; N];
    for column in &mut columns {
        *column = bytes.string()?;
    }
    bytes.0.is_empty().then_some(columns)
}

/// The rows of the longest of columns of numbers.
fn longest<const N: usize>(columns: [&[u8]; N]) -> Option<u64> {
    columns.into_iter().try_fold(0, |most, column| Some(rows(column, Column::Number)?.max(most)))
}

fn rows(column: &[u8], kind: Column) -> Option<u64> {
    let mut bytes = Bytes(column);
    let mut rows = 0_u64;
    while !bytes.0.is_empty() {
        let run = bytes.run()?;
        rows = run.rows()?.checked_add(rows)?;
        for _ in 0..run.values {
            match kind {
                Column::Number => drop(bytes.wide()?),
                Column::ValueKind if VALUE_KINDS.contains(&bytes.byte()?) => {}
                Column::ValueKind => return None,
            }
        }
    }
    Some(rows)
}

/// How many characters the deletions remove that go backwards, each of which is walked to. The column
/// holds what each length is above the one before it, and has been found to have few rows.
fn backwards(column: &[u8]) -> Option<u64> {
    let mut bytes = Bytes(column);
    let (mut length, mut all) = (0_i128, 0_u64);
    while !bytes.0.is_empty() {
        let run = bytes.run()?;
        for _ in 0..run.values {
            let above = bytes.signed()?;
            for _ in 0..run.each {
                length = length.checked_add(above)?;
                if length < 0 {
                    all = all.checked_add(u64::try_from(-length).ok()?)?;
                }
            }
        }
    }
    Some(all)
}

/// A run in a column: one value for many rows, or many values for a row each.
struct Run {
    values: u64,
    each: u64,
}

impl Run {
    fn rows(&self) -> Option<u64> {
        self.values.checked_mul(self.each)
    }
}

/// What has not been read yet. `None` is said of bytes that end too early or make no sense.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The frame of an update; what is left are its blocks.
    fn frame(&mut self) -> Option<()> {
        let rest = self.0.strip_prefix(MAGIC)?.get(CHECKSUM_BYTES..)?;
        self.0 = rest.strip_prefix(&UPDATES)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<&'a [u8]> {
        let (skipped, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(skipped)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.skip(length)
    }

    fn number(&mut self) -> Option<u64> {
        u64::try_from(self.wide()?).ok()
    }

    /// A number of up to 128 bits in groups of seven, the lowest first.
    fn wide(&mut self) -> Option<u128> {
        let mut number = 0_u128;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// The same with its sign in the lowest bit.
    fn signed(&mut self) -> Option<i128> {
        let number = self.wide()?;
        let half = (number >> 1) as i128;
        Some(if number & 1 == 0 { half } else { -half - 1 })
    }

    /// The count before a run, with its sign in the lowest bit: below zero it counts values.
    fn run(&mut self) -> Option<Run> {
        match self.number()? {
            0 => None,
            signed if signed & 1 == 0 => Some(Run { values: 1, each: signed >> 1 }),
            signed => Some(Run { values: (signed >> 1) + 1, each: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Version};
    use super::*;

    fn changes(document: &Document) -> Vec<u8> {
        document.changes_since(&Version::default()).unwrap()
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut with_length = Vec::new();
        number(bytes.len() as u64, &mut with_length);
        with_length.extend_from_slice(bytes);
        with_length
    }

    fn number(mut number: u64, to: &mut Vec<u8>) {
        while number > 0x7f {
            to.push(number as u8 | 0x80);
            number >>= 7;
        }
        to.push(number as u8);
    }

    /// A column of one value, so many times.
    fn run(count: u64, value: u8) -> Vec<u8> {
        let mut column = Vec::new();
        number(count << 1, &mut column);
        column.push(value);
        string(&column)
    }

    /// A header of so many changes of one length and one author, each depending on so many others.
    fn header(changes: u64, on_each: u64) -> Vec<u8> {
        let mut header = vec![1, 7, 0, 0, 0, 0, 0, 0, 0];
        header.extend((1..changes).map(|_| 1));
        number(changes, &mut header);
        number(changes << 1, &mut header);
        number(on_each, &mut header);
        header
    }

    fn blob(changes: u64, header: &[u8], ops: &[u8], deletions: &[u8]) -> Vec<u8> {
        let mut block = vec![0, 1, 0, 1];
        number(changes, &mut block);
        block.extend(string(header));
        block.extend([string(b""), string(CONTAINERS), string(NAMES), string(b"")].concat());
        block.extend([string(ops), string(deletions), string(b"")].concat());
        let frame = [MAGIC, &[0; CHECKSUM_BYTES], &UPDATES];
        [frame.concat(), string(&block)].concat()
    }

    fn ops(rows: u64, kind: u8) -> Vec<u8> {
        [vec![1, 4], run(rows, 0), run(1, 0), run(1, kind), run(1, 1)].concat()
    }

    fn deletions(rows: u64) -> Vec<u8> {
        [vec![1, 3], run(1, 0), run(rows, 2), run(1, 2)].concat()
    }

    /// One of so many characters.
    fn deletion(length: i64) -> Vec<u8> {
        let mut column = vec![2];
        number(((length << 1) ^ (length >> 63)) as u64, &mut column);
        [vec![1, 3], run(1, 0), run(1, 2), string(&column)].concat()
    }

    #[test]
    fn what_documents_write_passes() {
        let document = Document::default();
        document.set_author(u64::MAX - 7);
        check_update(&changes(&document)).unwrap();
        document.splice(0, 0, &"ab\u{1F600}".repeat(5_000)).unwrap();
        for at in (0..3_500).rev() {
            document.splice(at * 2, 1, "").unwrap();
        }
        for at in (3_000..9_000).rev() {
            document.splice(at, 1, "").unwrap();
        }
        let other = Document::default();
        other.set_author(2);
        other.splice(0, 0, "first").unwrap();
        document.import(&changes(&other)).unwrap();
        document.splice(3, 2, "second").unwrap();
        let all = changes(&document);
        check_update(&all).unwrap();
        let since = document.changes_since(&other.version()).unwrap();
        check_update(&since).unwrap();
        assert!(all.len() < 40_000, "deletions are stored as runs: {} bytes", all.len());
    }

    #[test]
    fn counts_are_limited_wherever_they_stand() {
        let (none, few) = (deletions(1), ops(1, 9));
        assert_eq!(check_update(&blob(1, &header(1, 0), &few, &none)), Ok(()));
        assert_eq!(check_update(&blob(3, &header(3, 2), &ops(90, 9), &deletions(90))), Ok(()));
        assert_eq!(check_update(&blob(1, &header(1, 0), &few, &deletion(1 << 29))), Ok(()));
        assert_eq!(check_update(&blob(1, &header(1, 0), &few, &deletion(-900))), Ok(()));
        let many = CLAIMS_BEYOND_BYTES_MAX * 2;
        for (what, bytes) in [
            ("changes", blob(u64::from(u32::MAX), &header(1, 0), &few, &none)),
            ("dependencies", blob(1, &header(1, many), &few, &none)),
            ("dependencies of many", blob(1_000, &header(1_000, many / 1_000), &few, &none)),
            ("more than a number", blob(8, &header(8, u64::MAX / 4), &few, &none)),
            ("edits", blob(1, &header(1, 0), &ops(many, 5), b"")),
            ("deletions", blob(1, &header(1, 0), &few, &deletions(many))),
            ("another kind", blob(1, &header(1, 0), &ops(1, 11), b"")),
            ("a long way back", blob(1, &header(1, 0), &few, &deletion(-(many as i64)))),
        ] {
            assert!(check_update(&bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn blocks_share_one_limit_and_so_do_blobs() {
        let third = CLAIMS_BEYOND_BYTES_MAX / 3;
        let one = blob(1, &header(1, 0), &ops(third, 5), b"");
        let second = one[MAGIC.len() + CHECKSUM_BYTES + UPDATES.len()..].to_vec();
        let two = [one.clone(), second.clone()].concat();
        assert_eq!(check_update(&two), Ok(()));
        assert!(check_update(&[&*two, &second, &second].concat()).is_err());
        assert_eq!(check_updates([&*one, &one]), Ok(()));
        assert!(check_updates([&*one, &one, &one, &one]).is_err());
    }

    #[test]
    fn only_the_text_is_edited() {
        let document = Document::default();
        document.splice(0, 0, "text").unwrap();
        let honest = changes(&document);
        check_update(&honest).unwrap();
        for (what, edit) in [
            ("a name", (NAMES, &b"\x04test"[..])),
            ("a list", (CONTAINERS, &[1, 4, 1, 1, 0, 0][..])),
        ] {
            let (from, to) = edit;
            let at = honest.windows(from.len()).position(|w| w == from).unwrap();
            let mut other = honest.clone();
            other.splice(at..at + from.len(), to.iter().copied());
            assert!(check_update(&other).is_err(), "{what}");
        }
    }

    #[test]
    fn a_snapshot_is_no_update_and_neither_is_less_than_one() {
        let document = Document::default();
        document.splice(0, 0, "text").unwrap();
        let snapshot = super::super::export(&document.0, loro::ExportMode::Snapshot).unwrap();
        assert!(check_update(&snapshot).is_err());
        let update = changes(&document);
        for length in 0..update.len() {
            let short = check_update(&update[..length]);
            assert!(short.is_err() || length == 22, "{length} bytes");
        }
    }
}
