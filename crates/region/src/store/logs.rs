//! Logs, their heads and their cuts.
//!
//! An entry's row is keyed by one number made of the log's number and its own. Heads are kept in
//! memory while a transaction is open, and written once, last before the commit, however many
//! entries were appended.

use landfall_model::vector::Origin;
use landfall_sync::region::store::{Head, LogRow};
use rusqlite::OptionalExtension;
use std::collections::BTreeMap;

use super::database::Database;
use super::error::Error;
use super::values::{Bytes16, Number};

/// Bits of a place that hold the entry's number: a log has room for 10^12 entries.
const SEQ_BITS: u32 = 40;
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

fn place(origin: i64, seq: u64) -> i64 {
    origin << SEQ_BITS | seq.min(SEQ_MAX) as i64
}

impl Database {
    pub(super) fn read_head(&self, origin: Origin) -> Head {
        self.heads.of.get(&origin).copied().unwrap_or_default()
    }

    pub(super) fn read_heads(&mut self) -> Result<BTreeMap<Origin, Head>, Error> {
        let rows: Vec<(i64, Number, Bytes16)> = self
            .statement("SELECT origin, seq, hash FROM head")?
            .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let named = |(origin, seq, hash): (i64, Number, Bytes16)| {
            Ok((self.origin_named(origin)?, Head { seq: seq.0, hash: hash.0 }))
        };
        rows.into_iter().map(named).collect()
    }

    /// Called last before a commit.
    pub(super) fn write_heads(&mut self) -> Result<(), Error> {
        for origin in std::mem::take(&mut self.heads.moved) {
            let number = self.name_origin(origin)?;
            match self.heads.of.get(&origin) {
                Some(head) => self
                    .statement(
                        "INSERT INTO head (origin, seq, hash) VALUES (?1, ?2, ?3)
                         ON CONFLICT (origin) DO UPDATE SET seq = ?2, hash = ?3",
                    )?
                    .execute((number, Number(head.seq), Bytes16(head.hash)))?,
                None => self.statement("DELETE FROM head WHERE origin = ?1")?.execute([number])?,
            };
        }
        Ok(())
    }

    fn move_head(&mut self, origin: Origin, head: Option<Head>) {
        match head {
            Some(head) => self.heads.of.insert(origin, head),
            None => self.heads.of.remove(&origin),
        };
        self.heads.moved.insert(origin);
    }

    pub(super) fn write_entry(&mut self, origin: Origin, row: &LogRow) -> Result<(), Error> {
        let head = self.read_head(origin).seq;
        if Some(row.seq) != head.checked_add(1) || row.seq > SEQ_MAX {
            return Err(Error::NotNext { head, got: row.seq });
        }
        let number = self.name_origin(origin)?;
        self.statement("INSERT INTO log (place, hash, entry) VALUES (?1, ?2, ?3)")?.execute((
            place(number, row.seq),
            Bytes16(row.hash),
            &row.entry,
        ))?;
        self.move_head(origin, Some(Head { seq: row.seq, hash: row.hash }));
        Ok(())
    }

    pub(super) fn read_log(
        &mut self,
        origin: Origin,
        after: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogRow>, Error> {
        let Some(number) = self.origin_number(origin)? else { return Ok(Vec::new()) };
        let mut statement = self.statement(
            "SELECT place, hash, entry FROM log WHERE place > ?1 AND place <= ?2 ORDER BY place",
        )?;
        let mut rows = statement.query((place(number, after), place(number, SEQ_MAX)))?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (place, hash): (i64, Bytes16) = (row.get(0)?, row.get(1)?);
            let entry: Vec<u8> = row.get(2)?;
            bytes += entry.len();
            found.push(LogRow { seq: place as u64 & SEQ_MAX, entry, hash: hash.0 });
            if bytes > max_bytes {
                break;
            }
        }
        Ok(found)
    }

    pub(super) fn cut_log(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        let head = self.read_head(origin);
        if last >= head.seq {
            return Ok(());
        }
        let number = self.name_origin(origin)?;
        self.statement("DELETE FROM log WHERE place > ?1 AND place <= ?2")?
            .execute((place(number, last), place(number, SEQ_MAX)))?;
        let hash = self
            .statement("SELECT hash FROM log WHERE place = ?1")?
            .query_row([place(number, last)], |row| row.get(0))
            .optional()?;
        match hash {
            Some(Bytes16(hash)) => self.move_head(origin, Some(Head { seq: last, hash })),
            None if last == 0 => self.move_head(origin, None),
            None => {
                let detail = format!("entry {last} is missing below the head {}", head.seq);
                return Err(Error::Damaged { what: "a log has a gap", detail });
            }
        }
        Ok(())
    }

    pub(super) fn read_cuts(&mut self) -> Result<Vec<(Origin, u64)>, Error> {
        let rows: Vec<(i64, Number)> = self
            .statement("SELECT origin, last FROM cut")?
            .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let named = |(origin, last): (i64, Number)| Ok((self.origin_named(origin)?, last.0));
        let mut cuts: Vec<_> = rows.into_iter().map(named).collect::<Result<_, Error>>()?;
        cuts.sort_unstable();
        Ok(cuts)
    }

    pub(super) fn write_cut(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        let number = self.name_origin(origin)?;
        self.statement("INSERT OR REPLACE INTO cut (origin, last) VALUES (?1, ?2)")?
            .execute((number, Number(last)))?;
        Ok(())
    }
}
