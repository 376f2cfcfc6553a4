//! Subscriptions, pins, rows to ask for again, rows removed, and cuts.

use super::error::Error;
use super::rows;
use landfall_model::id::{EntityKey, RegionId, Scope, StreamId};
use landfall_model::vector::{Origin, Vector};
use landfall_sync::device::store::{Pass, Subscription, Terms};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// The columns of a subscription, in the order in which they are read and written.
const COLUMNS: &str = "scope, cursor, pass, provisional, loading, rows_taken, rows_total, denied,
    keep_ms, priority, rows_max, bytes_max, ttl_ms, asked_ms, synced_ms, short";

pub(super) fn all(conn: &Connection) -> Result<Vec<(Scope, Subscription)>, Error> {
    all_of(conn, "main")
}

/// Those of a file that has this name in the connection.
pub(super) fn all_of(conn: &Connection, file: &str) -> Result<Vec<(Scope, Subscription)>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM {file}._lf_subscription ORDER BY scope");
    rows::query_all(conn, &sql, [], |row| Ok((row.get(0)?, subscription_at(row)?)))
}

pub(super) fn get(conn: &Connection, scope: &str) -> Result<Option<Subscription>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM _lf_subscription WHERE scope = ?");
    rows::query_one(conn, &sql, [scope], subscription_at)
}

pub(super) fn put(conn: &Connection, scope: &str, sub: &Subscription) -> Result<(), Error> {
    let pass = sub.pass.as_ref().map(|p| rows::pack(&(&p.start, &p.after, &p.from)));
    let sql = format!(
        "INSERT OR REPLACE INTO _lf_subscription ({COLUMNS})
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    let terms = &sub.terms;
    let params = params![
        scope,
        rows::pack(&sub.cursor),
        pass,
        sub.provisional.as_ref().map(rows::pack),
        sub.loading,
        rows::bits(sub.rows_taken),
        rows::bits(sub.rows_total),
        sub.denied,
        terms.keep_ms.map(rows::bits),
        terms.priority,
        terms.rows_max.map(rows::bits),
        terms.bytes_max.map(rows::bits),
        terms.ttl_ms.map(rows::bits),
        sub.asked_ms,
        sub.synced_ms,
        sub.short,
    ];
    rows::execute(conn, &sql, params)?;
    Ok(())
}

pub(super) fn remove(conn: &Connection, scope: &str) -> Result<(), Error> {
    rows::execute(conn, "DELETE FROM _lf_subscription WHERE scope = ?", [scope])?;
    Ok(())
}

fn subscription_at(row: &Row<'_>) -> Result<Subscription, Error> {
    let pass: Option<(Vector, Option<EntityKey>, Vector)> = rows::packed_or_null_at(row, 2)?;
    let provisional: Option<(RegionId, Vector)> = rows::packed_or_null_at(row, 3)?;
    Ok(Subscription {
        cursor: rows::packed_at(row, 1)?,
        pass: pass.map(|(start, after, from)| Pass { start, after, from }),
        provisional,
        loading: row.get(4)?,
        rows_taken: rows::from_bits(row.get(5)?),
        rows_total: rows::from_bits(row.get(6)?),
        denied: row.get(7)?,
        terms: Terms {
            keep_ms: row.get::<_, Option<i64>>(8)?.map(rows::from_bits),
            priority: row.get(9)?,
            rows_max: row.get::<_, Option<i64>>(10)?.map(rows::from_bits),
            bytes_max: row.get::<_, Option<i64>>(11)?.map(rows::from_bits),
            ttl_ms: row.get::<_, Option<i64>>(12)?.map(rows::from_bits),
        },
        asked_ms: row.get(13)?,
        synced_ms: row.get(14)?,
        short: row.get(15)?,
    })
}

pub(super) fn put_pin(conn: &Connection, key: &EntityKey, pinned: bool) -> Result<(), Error> {
    let sql = match pinned {
        true => "INSERT OR IGNORE INTO _lf_pin (home, kind, id) VALUES (?, ?, ?)",
        false => "DELETE FROM _lf_pin WHERE home = ? AND kind = ? AND id = ?",
    };
    rows::execute(conn, sql, params![key.home, key.kind.0, key.id])?;
    Ok(())
}

pub(super) fn is_pinned(conn: &Connection, key: &EntityKey) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM _lf_pin WHERE home = ? AND kind = ? AND id = ?";
    let params = params![key.home, key.kind.0, key.id];
    Ok(rows::query_value::<i64>(conn, sql, params)?.is_some())
}

pub(super) fn pins(conn: &Connection) -> Result<Vec<EntityKey>, Error> {
    let sql = "SELECT home, kind, id FROM _lf_pin ORDER BY home, kind, id";
    rows::query_all(conn, sql, [], |row| Ok(rows::key_at(row, 0)?))
}

pub(super) fn add_refetch(conn: &Connection, scope: &str, key: &EntityKey) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO _lf_refetch (scope, home, kind, id) VALUES (?, ?, ?, ?)";
    rows::execute(conn, sql, params![scope, key.home, key.kind.0, key.id])?;
    Ok(())
}

pub(super) fn refetches(
    conn: &Connection,
    scope: &str,
    after: Option<&EntityKey>,
    limit: usize,
) -> Result<Vec<EntityKey>, Error> {
    let (home, kind, id) = rows::place(after);
    let sql = "SELECT home, kind, id FROM _lf_refetch
        WHERE scope = ? AND (home, kind, id) > (?, ?, ?)
        ORDER BY home, kind, id LIMIT ?";
    let params = params![scope, home, kind, id, rows::limit(limit)];
    rows::query_all(conn, sql, params, |row| Ok(rows::key_at(row, 0)?))
}

pub(super) fn remove_refetch(conn: &Connection, scope: &str, key: &EntityKey) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_refetch WHERE scope = ? AND home = ? AND kind = ? AND id = ?";
    rows::execute(conn, sql, params![scope, key.home, key.kind.0, key.id])?;
    Ok(())
}

pub(super) fn add_removed(
    conn: &Connection,
    scope: &str,
    key: &EntityKey,
    touch: &Vector,
) -> Result<(), Error> {
    let sql = "INSERT OR REPLACE INTO _lf_removed (scope, home, kind, id, touch)
        VALUES (?, ?, ?, ?, ?)";
    rows::execute(conn, sql, params![scope, key.home, key.kind.0, key.id, rows::pack(touch)])?;
    Ok(())
}

pub(super) fn removed(conn: &Connection) -> Result<Vec<(Scope, EntityKey, Vector)>, Error> {
    let sql = "SELECT scope, home, kind, id, touch FROM _lf_removed
        ORDER BY scope, home, kind, id";
    rows::query_all(conn, sql, [], |row| {
        Ok((row.get(0)?, rows::key_at(row, 1)?, rows::packed_at(row, 4)?))
    })
}

pub(super) fn forget_removed(conn: &Connection, scope: &str, key: &EntityKey) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_removed WHERE scope = ? AND home = ? AND kind = ? AND id = ?";
    rows::execute(conn, sql, params![scope, key.home, key.kind.0, key.id])?;
    Ok(())
}

pub(super) fn cuts(conn: &Connection) -> Result<BTreeMap<Origin, u64>, Error> {
    let sql = "SELECT region, incarnation, stream, last FROM _lf_cut";
    let cuts = rows::query_all(conn, sql, [], |row| {
        let origin = Origin {
            region: RegionId(row.get(0)?),
            incarnation: rows::from_bits(row.get(1)?),
            stream: StreamId(row.get(2)?),
        };
        Ok((origin, rows::from_bits(row.get(3)?)))
    })?;
    Ok(cuts.into_iter().collect())
}

pub(super) fn put_cut(conn: &Connection, origin: Origin, last: u64) -> Result<(), Error> {
    let sql = "INSERT OR REPLACE INTO _lf_cut (region, incarnation, stream, last)
        VALUES (?, ?, ?, ?)";
    let (incarnation, last) = (rows::bits(origin.incarnation), rows::bits(last));
    rows::execute(conn, sql, params![origin.region.0, incarnation, origin.stream.0, last])?;
    Ok(())
}
