//! Parts of scopes: how far a subscription is and what it lacks, and keeping within the disk.

use super::Inner;
use crate::error::Error;
use crate::event::{Coverage, Missing, Progress};
use crate::store::{self, Database};
use landfall_model::id::Scope;
use landfall_sync::device::store::Subscription;

/// Rows evicted in one step. The app's writes wait no longer than for one.
const ROWS_EVICTED_MAX: u64 = 500;

/// Pages given back to the file system in one step.
const PAGES_FREED_MAX: u32 = 1_000;

/// A file that has grown too large is brought down to this much of its limit, in percent, so that
/// it is not evicted from at every change.
const LOW_WATER_PERCENT: u64 = 90;

/// What is left to do so that the file is within its limit. Forgotten in a crash: the file is
/// looked at anew then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing, as far as was looked.
    Enough,
    /// So many rows are to go.
    Evict(u64),
    /// What they left is to be given back to the file system.
    Shrink,
}

impl Inner {
    /// A step of letting go of what has grown too old: one transaction. True when nothing is left.
    pub fn tidy(&self) -> Result<bool, Error> {
        self.run(|node, t, now| Ok(node.tidy(t, now)?))
    }

    /// A step of evicting rows, where the file is larger than the app allows: one transaction. Rows
    /// that may not go stay, and the file with them. True when there is nothing more to do.
    pub fn keep_within(&self) -> Result<bool, Error> {
        let step = self.room_step();
        if !matches!(step, Ok(false)) {
            self.taken_in();
        }
        step
    }

    fn room_step(&self) -> Result<bool, Error> {
        let Some(most) = self.options.disk_bytes_max else { return Ok(true) };
        let begun = self.lock()?.as_ref().ok_or_else(Error::closed)?.room;
        let room = if begun == Room::Enough { self.over(most)? } else { begun };
        let next = match room {
            Room::Enough => Room::Enough,
            Room::Evict(rows) => self.evict(rows)?,
            Room::Shrink if self.on_file(|file| file.shrink(PAGES_FREED_MAX))? => Room::Enough,
            Room::Shrink => Room::Shrink,
        };
        self.lock()?.as_mut().ok_or_else(Error::closed)?.room = next;
        Ok(next == Room::Enough)
    }

    /// What is to be done about a file of which so many bytes may be in use.
    fn over(&self, most: u64) -> Result<Room, Error> {
        let bytes = self.on_file(|file| file.bytes_used())?;
        if bytes <= most {
            return Ok(Room::Enough);
        }
        // Asked only now: to count rows takes a look at each of them.
        let rows = self.on_file(|file| file.rows())?;
        let over = bytes - most.saturating_mul(LOW_WATER_PERCENT) / 100;
        Ok(match rows {
            0 => Room::Enough,
            _ => Room::Evict((over.saturating_mul(rows) / bytes).max(1)),
        })
    }

    fn evict(&self, rows: u64) -> Result<Room, Error> {
        let batch = rows.min(ROWS_EVICTED_MAX) as usize;
        let gone = self.run(|node, t, now| Ok(node.make_room(t, batch, now)?))? as u64;
        Ok(if gone == 0 || gone >= rows { Room::Shrink } else { Room::Evict(rows - gone) })
    }

    fn on_file<T>(
        &self,
        ask: impl FnOnce(&Database) -> Result<T, store::Error>,
    ) -> Result<T, Error> {
        Ok(ask(&self.lock()?.as_ref().ok_or_else(Error::closed)?.database)?)
    }
}

/// How far a subscription is, as the file says.
pub(super) fn progress(scope: &Scope, sub: &Subscription) -> Progress {
    let missing = Missing {
        older_than_ms: sub.terms.keep_ms,
        for_room: sub.short,
        denied: sub.denied.clone(),
    };
    let coverage = match () {
        () if missing.denied.is_some() => Coverage::Partial,
        () if sub.loading => Coverage::Loading,
        () if missing.is_nothing() => Coverage::Complete,
        () => Coverage::Partial,
    };
    let (rows, total, as_of_ms) = (sub.rows_taken, sub.rows_total, sub.synced_ms);
    Progress { scope: scope.clone(), rows, total, coverage, missing, as_of_ms }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::options::{Account, Options};
    use landfall_model::id::EntityKey;
    use landfall_sync::device::node::Output;
    use landfall_sync::device::store::{Base, Store, Terms};
    use std::sync::Arc;

    const SDL: &str =
        "type Note @entity(strategy: CRDT, scope: \"team/{team}\") { id: ID! team: ID! }";

    /// A file with so many rows, of which none may stay.
    pub(crate) fn filled(dir: &tempfile::TempDir, rows: u64) -> Arc<Inner> {
        let account = Account { tenant: String::new(), subject: "u".into() };
        let options = Options::from_sdl(dir.path().join("a.db"), SDL, account).unwrap();
        let inner = Inner::open(Options { disk_bytes_max: Some(1), ..options }, false).unwrap();
        inner.subscribe("team/a", Terms::default()).unwrap();
        let kind = inner.options.schema.entity_named("Note").unwrap().id;
        inner
            .run(|_, t, _| {
                for n in 0..rows {
                    let key = EntityKey::new("team/a", kind, format!("n{n:06}"));
                    t.put_base(&key, &Base { holds: ["team/a".into()].into(), ..Base::default() })?;
                }
                Ok(((), Output::default()))
            })
            .unwrap();
        inner
    }

    #[test]
    fn room_is_made_a_step_at_a_time_until_there_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let rows = 5 * ROWS_EVICTED_MAX + 7;
        let inner = filled(&dir, rows);
        inner.lock().unwrap().as_mut().unwrap().taking_in = true;
        let held = || inner.on_file(|file| file.rows()).unwrap();
        let is_taking_in = || inner.lock().unwrap().as_ref().unwrap().taking_in;
        assert_eq!(held(), rows);
        let mut steps = 0;
        loop {
            let before = held();
            let done = inner.keep_within().unwrap();
            steps += 1;
            assert!(before - held() <= ROWS_EVICTED_MAX, "one step is short");
            assert_eq!(is_taking_in(), !done, "who waits is told at the end");
            if done {
                break;
            }
        }
        assert_eq!(held(), 0);
        assert!(steps > rows / ROWS_EVICTED_MAX, "{steps} steps");
        let free = rusqlite::Connection::open(&inner.options.path).unwrap();
        let free: i64 = free.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
        assert_eq!(free, 0, "what is free is given back");
    }

    #[test]
    fn rows_that_may_not_go_end_it() {
        let dir = tempfile::tempdir().unwrap();
        let inner = filled(&dir, 3);
        (0..3).for_each(|n| {
            let kind = inner.options.schema.entity_named("Note").unwrap().id;
            let key = EntityKey::new("team/a", kind, format!("n{n:06}"));
            inner.run(|node, t, _| Ok(((), node.pin(t, &key, true)?))).unwrap();
        });
        let steps = (0..10).take_while(|_| !inner.keep_within().unwrap()).count();
        assert!(steps < 3, "{steps} steps");
        assert_eq!(inner.on_file(|file| file.rows()).unwrap(), 3);
    }
}
