//! Records of received ops.
//!
//! What a device pushes comes in order, and so do the positions that it gets: one row stands for a
//! run of ops. What one transaction adds is gathered in memory, and written before anything is read
//! of the same device and before the commit.

use landfall_model::id::{DeviceId, Dot};
use landfall_model::op::{Fingerprint, Tx};
use landfall_model::vector::Position;
use landfall_sync::region::store::DotRecord;
use rusqlite::Row;
use std::collections::BTreeMap;

use super::database::Database;
use super::error::Error;
use super::values::{Bytes16, Number};

/// Ops of one row. A look-up reads one run, and a removal may write two.
const RUN_MAX: u64 = 128;

/// Bytes of a fingerprint.
const PRINT: usize = 16;

/// A row of `dot`.
#[derive(Debug)]
struct Run {
    first: u64,
    /// Order of arrival among the ops under one dot; above 0 for a single op only.
    n: i64,
    /// Number of the log.
    origin: i64,
    /// Position and transaction of the first op.
    position: u64,
    tx: Tx,
    fingerprints: Vec<u8>,
}

/// What the open transaction added and learned.
#[derive(Debug, Default)]
pub struct Dots {
    added: BTreeMap<DeviceId, Vec<Run>>,
    /// No record of the device is above this number.
    tops: BTreeMap<DeviceId, u64>,
}

impl Run {
    fn of(seq: u64, n: i64, origin: i64, record: &DotRecord) -> Self {
        let (position, tx) = (record.position.seq, record.tx);
        Self { first: seq, n, origin, position, tx, fingerprints: record.fingerprint.0.to_vec() }
    }

    fn count(&self) -> u64 {
        (self.fingerprints.len() / PRINT) as u64
    }

    fn last(&self) -> u64 {
        self.first.saturating_add(self.count() - 1)
    }

    /// How far positions and transactions have gone up at the op so far behind the first.
    fn step(&self, by: u64) -> u64 {
        if self.tx.count == 1 { by } else { 0 }
    }

    /// Add the op, if it goes on where the run ends.
    fn add(&mut self, seq: u64, origin: i64, record: &DotRecord) -> bool {
        let by = self.count();
        let goes_on = |from: u64, by: u64, to: u64| from.checked_add(by) == Some(to);
        let fits = by < RUN_MAX
            && self.origin == origin
            && self.tx.count == record.tx.count
            && goes_on(self.first, by, seq)
            && goes_on(self.position, self.step(by), record.position.seq)
            && goes_on(self.tx.first, self.step(by), record.tx.first);
        if fits {
            self.fingerprints.extend(record.fingerprint.0);
        }
        fits
    }

    /// The ops of these numbers, which are in it.
    fn part(&self, first: u64, last: u64) -> Self {
        let (from, to) = (first - self.first, last - self.first + 1);
        let bytes = from as usize * PRINT..to as usize * PRINT;
        let step = self.step(from);
        Self {
            first,
            n: self.n,
            origin: self.origin,
            position: self.position.saturating_add(step),
            tx: Tx { first: self.tx.first.saturating_add(step), ..self.tx },
            fingerprints: self.fingerprints[bytes].to_vec(),
        }
    }

    fn in_row(row: &Row<'_>) -> Result<Self, Error> {
        let (first, position, tx_first): (Number, Number, Number) =
            (row.get(0)?, row.get(3)?, row.get(4)?);
        let fingerprints: Vec<u8> = row.get(6)?;
        if fingerprints.is_empty() || !fingerprints.len().is_multiple_of(PRINT) {
            let detail = format!("{} bytes of fingerprints", fingerprints.len());
            return Err(Error::Damaged { what: "a run of ops", detail });
        }
        Ok(Self {
            first: first.0,
            n: row.get(1)?,
            origin: row.get(2)?,
            position: position.0,
            tx: Tx { first: tx_first.0, count: row.get(5)? },
            fingerprints,
        })
    }
}

impl Database {
    pub(super) fn read_dots(&mut self, dot: Dot) -> Result<Vec<DotRecord>, Error> {
        let mut runs = self.runs(dot.device, dot.seq, dot.seq, usize::MAX)?;
        runs.sort_by_key(|run| run.n);
        runs.iter().map(|run| self.record_in(run, dot.seq)).collect()
    }

    /// A fingerprint that is recorded under the dot keeps its first position.
    pub(super) fn write_dot(&mut self, dot: Dot, record: DotRecord) -> Result<(), Error> {
        let origin = self.name_origin(record.position.origin)?;
        if self.top_of(dot.device)?.is_none_or(|top| dot.seq > top) {
            self.dots.tops.insert(dot.device, dot.seq);
            let runs = self.dots.added.entry(dot.device).or_default();
            if !runs.last_mut().is_some_and(|run| run.add(dot.seq, origin, &record)) {
                runs.push(Run::of(dot.seq, 0, origin, &record));
            }
            return Ok(());
        }
        let before = self.read_dots(dot)?;
        if before.iter().all(|known| known.fingerprint != record.fingerprint) {
            self.insert_run(dot.device, &Run::of(dot.seq, before.len() as i64, origin, &record))?;
        }
        Ok(())
    }

    pub(super) fn read_dot_records(
        &mut self,
        device: DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DotRecord)>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let (mut numbers, mut end) = (0, u64::MAX);
        for run in self.runs(device, from, u64::MAX, limit)? {
            if run.first > end {
                break;
            }
            for seq in run.first.max(from)..=run.last().min(end) {
                found.push((seq, run.n, self.record_in(&run, seq)?));
                if run.n == 0 {
                    numbers += 1;
                    if numbers == limit {
                        end = seq;
                        break;
                    }
                }
            }
        }
        found.sort_by_key(|(seq, n, _)| (*seq, *n));
        Ok(found.into_iter().map(|(seq, _, record)| (seq, record)).collect())
    }

    pub(super) fn delete_dots(
        &mut self,
        device: DeviceId,
        first: u64,
        last: u64,
    ) -> Result<(), Error> {
        for run in self.runs(device, first, last, usize::MAX)? {
            self.statement("DELETE FROM dot WHERE device = ?1 AND first = ?2 AND n = ?3")?
                .execute((Bytes16(device.0), Number(run.first), run.n))?;
            if run.first < first {
                self.insert_run(device, &run.part(run.first, first - 1))?;
            }
            if run.last() > last {
                self.insert_run(device, &run.part(last + 1, run.last()))?;
            }
        }
        Ok(())
    }

    /// Called last before a commit.
    pub(super) fn write_dots(&mut self) -> Result<(), Error> {
        while let Some((device, runs)) = self.dots.added.pop_first() {
            runs.iter().try_for_each(|run| self.insert_run(device, run))?;
        }
        self.dots.tops.clear();
        Ok(())
    }

    /// Runs of a device that reach into these numbers, ascending, until they have `most` numbers.
    fn runs(
        &mut self,
        device: DeviceId,
        first: u64,
        last: u64,
        most: usize,
    ) -> Result<Vec<Run>, Error> {
        for run in self.dots.added.remove(&device).unwrap_or_default() {
            self.insert_run(device, &run)?;
        }
        let mut statement = self.statement(
            "SELECT first, n, origin, position, tx_first, tx_count, fingerprints FROM dot
             WHERE device = ?1 AND first >= ?2 AND first <= ?3 ORDER BY first, n",
        )?;
        let from = Number(first.saturating_sub(RUN_MAX - 1));
        let mut rows = statement.query((Bytes16(device.0), from, Number(last)))?;
        let (mut runs, mut numbers, mut end) = (Vec::new(), 0_u64, 0);
        while let Some(row) = rows.next()? {
            let run = Run::in_row(row)?;
            if numbers >= most as u64 && run.first > end {
                break;
            }
            if run.last() < first {
                continue;
            }
            if run.n == 0 {
                numbers = numbers.saturating_add(run.last() - run.first.max(first) + 1);
                end = run.last();
            }
            runs.push(run);
        }
        Ok(runs)
    }

    fn insert_run(&self, device: DeviceId, run: &Run) -> Result<(), Error> {
        self.statement(
            "INSERT INTO dot
             (device, first, n, origin, position, tx_first, tx_count, fingerprints)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            Bytes16(device.0),
            Number(run.first),
            run.n,
            run.origin,
            Number(run.position),
            Number(run.tx.first),
            run.tx.count,
            &run.fingerprints,
        ))?;
        Ok(())
    }

    fn record_in(&mut self, run: &Run, seq: u64) -> Result<DotRecord, Error> {
        let op = run.part(seq, seq);
        let origin = self.origin_named(op.origin)?;
        let mut fingerprint = Fingerprint::VOID;
        fingerprint.0.copy_from_slice(&op.fingerprints);
        let position = Position { origin, seq: op.position };
        Ok(DotRecord { fingerprint, position, tx: op.tx })
    }

    /// The highest number of the device that may have a record.
    fn top_of(&mut self, device: DeviceId) -> Result<Option<u64>, Error> {
        if let Some(top) = self.dots.tops.get(&device) {
            return Ok(Some(*top));
        }
        let top = self.read_top(device)?;
        if let Some(top) = top {
            self.dots.tops.insert(device, top);
        }
        Ok(top)
    }

    fn read_top(&self, device: DeviceId) -> Result<Option<u64>, Error> {
        // Runs of 0 do not overlap: the one that begins last ends last.
        let mut statement = self.statement(
            "SELECT first, n, origin, position, tx_first, tx_count, fingerprints FROM dot
             WHERE device = ?1 AND n = 0 ORDER BY first DESC LIMIT 1",
        )?;
        let mut rows = statement.query([Bytes16(device.0)])?;
        Ok(rows.next()?.map(Run::in_row).transpose()?.map(|run| run.last()))
    }
}
