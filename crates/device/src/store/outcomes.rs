//! Outcomes of own ops: kept until the app has dealt with them.

use super::error::Error;
use super::rows;
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::stamp::Stamp;
use landfall_model::value::Value;
use landfall_sync::device::store::Outcome;
use rusqlite::{Connection, Row, params};

/// True if it is new.
pub(super) fn add(
    conn: &Connection,
    dot: Dot,
    key: &EntityKey,
    outcome: &Outcome,
) -> Result<bool, Error> {
    let (what, field, about) = columns(outcome);
    let sql = "INSERT OR IGNORE INTO _lf_outcome
        (device, seq, what, field, home, kind, id, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let (device, seq) = (dot.device.0, rows::bits(dot.seq));
    let params = params![device, seq, what, field, key.home, key.kind.0, key.id, about];
    Ok(rows::execute(conn, sql, params)? > 0)
}

/// In the order in which they came.
pub(super) fn all(conn: &Connection) -> Result<Vec<(Dot, EntityKey, Outcome)>, Error> {
    let sql = "SELECT device, seq, what, about, home, kind, id FROM _lf_outcome ORDER BY rowid";
    rows::query_all(conn, sql, [], |row| {
        Ok((rows::dot_at(row, 0)?, rows::key_at(row, 4)?, outcome_at(row)?))
    })
}

pub(super) fn remove(conn: &Connection, dot: Dot) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_outcome WHERE device = ? AND seq = ?";
    rows::execute(conn, sql, params![dot.device.0, rows::bits(dot.seq)])?;
    Ok(())
}

/// The number of an outcome, the field that is part of its name, and what else there is to it.
pub(super) fn columns(outcome: &Outcome) -> (i64, i64, Option<Vec<u8>>) {
    match outcome {
        Outcome::Rejected { code, field, detail } => {
            (0, -1, Some(rows::pack(&(code, field, detail))))
        }
        Outcome::Overwritten { field, lost, by } => {
            (1, i64::from(field.0), Some(rows::pack(&(field, lost, by))))
        }
        Outcome::Deleted => (2, -1, None),
        Outcome::Left => (3, -1, None),
        Outcome::RolledBack => (4, -1, None),
    }
}

fn outcome_at(row: &Row<'_>) -> Result<Outcome, Error> {
    let about = row.get_ref(3)?.as_blob_or_null();
    outcome_of(row.get(2)?, about.map_err(|e| Error::Damaged(e.to_string()))?)
}

/// The way back from [`columns`].
pub(super) fn outcome_of(what: i64, about: Option<&[u8]>) -> Result<Outcome, Error> {
    let about = about.unwrap_or_default();
    Ok(match what {
        0 => {
            let (code, field, detail): (String, Option<FieldId>, String) = rows::unpack(about)?;
            Outcome::Rejected { code, field, detail }
        }
        1 => {
            let (field, lost, by): (FieldId, Value, Stamp) = rows::unpack(about)?;
            Outcome::Overwritten { field, lost, by }
        }
        2 => Outcome::Deleted,
        3 => Outcome::Left,
        4 => Outcome::RolledBack,
        other => return Err(Error::Damaged(format!("an outcome of kind {other}"))),
    })
}
