//! Deletions that can be undone: what each took, until newer ones need its place.

use super::error::Error;
use super::rows;
use landfall_model::id::EntityKey;
use landfall_sync::device::store::Deletion;
use rusqlite::{Connection, params};

pub(super) fn put(
    conn: &Connection,
    key: &EntityKey,
    deletion: Option<&Deletion>,
) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_deletion WHERE home = ? AND kind = ? AND id = ?";
    rows::execute(conn, sql, params![key.home, key.kind.0, key.id])?;
    if let Some(deletion) = deletion {
        let sql = "INSERT INTO _lf_deletion (home, kind, id, about) VALUES (?, ?, ?, ?)";
        let about = rows::pack(deletion);
        rows::execute(conn, sql, params![key.home, key.kind.0, key.id, about])?;
    }
    Ok(())
}

pub(super) fn get(conn: &Connection, key: &EntityKey) -> Result<Option<Deletion>, Error> {
    let sql = "SELECT about FROM _lf_deletion WHERE home = ? AND kind = ? AND id = ?";
    let params = params![key.home, key.kind.0, key.id];
    rows::query_one(conn, sql, params, |row| rows::packed_at(row, 0))
}

/// The length of a value stands before it in its row: nothing of the values is read.
pub(super) fn trim(conn: &Connection, count: usize, bytes: usize) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_deletion WHERE at <= (
          SELECT max(at) FROM (
            SELECT at, row_number() OVER latest AS nth, sum(length(about)) OVER latest AS bytes
            FROM _lf_deletion WINDOW latest AS (ORDER BY at DESC ROWS UNBOUNDED PRECEDING))
          WHERE nth > ? OR bytes > ?)";
    rows::execute(conn, sql, params![rows::limit(count), rows::limit(bytes)]).map(drop)
}

pub(super) fn forget(conn: &Connection, home: &str) -> Result<(), Error> {
    rows::execute(conn, "DELETE FROM _lf_deletion WHERE home = ?", [home]).map(drop)
}
