//! Parts of scopes: how far a subscription is and what it lacks, and keeping within the disk.

use super::Inner;
use crate::error::Error;
use crate::event::{Coverage, Missing, Progress};
use crate::store::{self, Database};
use landfall_model::id::Scope;
use landfall_sync::device::store::Subscription;

/// Rows evicted in one transaction.
const ROWS_EVICTED_MAX: u64 = 2_000;

/// A file that has grown too large is brought down to this much of its limit, in percent, so that
/// it is not evicted from at every change.
const LOW_WATER_PERCENT: u64 = 90;

impl Inner {
    /// Let go of what has grown too old, and of rows until the file is within its limit again.
    pub fn tidy(&self) -> Result<(), Error> {
        while !self.run(|node, t, now| Ok(node.tidy(t, now)?))? {}
        self.keep_within()
    }

    /// Evict rows if the file is larger than the app allows. Rows that may not go stay, and the
    /// file with them.
    pub fn keep_within(&self) -> Result<(), Error> {
        let Some(most) = self.options.disk_bytes_max else { return Ok(()) };
        let bytes = self.on_file(|file| file.bytes_used())?;
        if bytes <= most {
            return Ok(());
        }
        // Asked only now: to count rows takes a look at each of them.
        let rows = self.on_file(|file| file.rows())?;
        if rows == 0 {
            return Ok(());
        }
        let over = bytes - most.saturating_mul(LOW_WATER_PERCENT) / 100;
        let mut left = (over.saturating_mul(rows) / bytes).max(1);
        while left > 0 {
            let batch = left.min(ROWS_EVICTED_MAX);
            let gone = self.run(|node, t, now| Ok(node.make_room(t, batch as usize, now)?))?;
            if gone == 0 {
                break;
            }
            left = left.saturating_sub(gone as u64);
        }
        self.on_file(|file| file.shrink())
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
