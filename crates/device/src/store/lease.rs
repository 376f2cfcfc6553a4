//! The sync lease: of all processes that write one file, one talks to the regions.
//!
//! A holder renews its lease well before it ends; the lease of one that was killed ends by itself.
//! A process that is suspended and wakes up after its lease went to another must not go on as if
//! nothing had happened: it asks [`holds`] in each transaction in which it takes in what a region
//! said, and gives up its session if the answer is no.

use super::error::Error;
use super::rows;
use rusqlite::{Connection, params};

/// Who syncs, as the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub holder: String,
    /// Milliseconds since 1970, by the holder's clock.
    pub expires_ms: i64,
    /// Goes up whenever the lease is taken or renewed: a holder that lives is seen to live even by
    /// a process whose clock was moved.
    pub beat: i64,
}

/// Take the lease if it is free, has ended, or is the holder's own. One that ends two terms away
/// was written under a clock that has since been set back, and counts as ended; one term would not
/// do, because `now_ms` was read before this call waited for the file.
pub(super) fn acquire(
    conn: &Connection,
    holder: &str,
    now_ms: i64,
    ttl_ms: i64,
) -> Result<bool, Error> {
    let sql = "INSERT INTO _lf_lease (one, holder, expires_ms, beat) VALUES (1, ?1, ?3, 1)
        ON CONFLICT (one) DO UPDATE
        SET holder = excluded.holder, expires_ms = excluded.expires_ms, beat = beat + 1
        WHERE holder = excluded.holder OR expires_ms <= ?2 OR expires_ms > ?4";
    let ends_ms = now_ms.saturating_add(ttl_ms);
    let believable_ms = ends_ms.saturating_add(ttl_ms);
    Ok(rows::execute(conn, sql, params![holder, now_ms, ends_ms, believable_ms])? > 0)
}

/// False if another process has taken it meanwhile.
pub(super) fn renew(
    conn: &Connection,
    holder: &str,
    now_ms: i64,
    ttl_ms: i64,
) -> Result<bool, Error> {
    let sql = "UPDATE _lf_lease SET expires_ms = ?, beat = beat + 1 WHERE holder = ?";
    Ok(rows::execute(conn, sql, params![now_ms.saturating_add(ttl_ms), holder])? > 0)
}

/// Free the lease, if it is the holder's.
pub(super) fn release(conn: &Connection, holder: &str) -> Result<(), Error> {
    // The row stays, so that its beat goes on.
    let sql = "UPDATE _lf_lease SET holder = '', expires_ms = 0 WHERE holder = ?";
    rows::execute(conn, sql, [holder])?;
    Ok(())
}

pub(super) fn holds(conn: &Connection, holder: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM _lf_lease WHERE holder = ?";
    Ok(rows::query_value::<i64>(conn, sql, [holder])?.is_some())
}

pub(super) fn current(conn: &Connection) -> Result<Option<Lease>, Error> {
    let sql = "SELECT holder, expires_ms, beat FROM _lf_lease WHERE holder <> ''";
    rows::query_one(conn, sql, [], |row| {
        Ok(Lease { holder: row.get(0)?, expires_ms: row.get(1)?, beat: row.get(2)? })
    })
}
