//! What was typed into a text and is not part of its op yet.
//!
//! An own op of a text that has not left grows with what is typed, and is written anew, with the
//! whole of what shows of the text, each time that it does. Under a user's fingers that is too much
//! for a long text: a commit that only adds to the op which the last one wrote is kept here, as a
//! row of its own. It is as durable as any other write. Whoever does anything else with the file
//! takes it into the op first; see [`crate::inner`].

use super::error::Error;
use super::rows;
use landfall_model::id::{EntityKey, FieldId};
use rusqlite::{Connection, params};

pub(super) fn add(
    conn: &Connection,
    key: &EntityKey,
    field: FieldId,
    update: &[u8],
) -> Result<(), Error> {
    let sql = "INSERT INTO _lf_typed (home, kind, id, field, bytes) VALUES (?, ?, ?, ?, ?)";
    rows::execute(conn, sql, params![key.home, key.kind.0, key.id, field.0, update])?;
    Ok(())
}

pub(super) fn any(conn: &Connection) -> Result<bool, Error> {
    let any = rows::query_value(conn, "SELECT EXISTS (SELECT 1 FROM _lf_typed)", [])?;
    Ok(any.unwrap_or(false))
}

/// In the order in which it was typed.
pub(super) fn all(conn: &Connection) -> Result<Vec<(EntityKey, FieldId, Vec<u8>)>, Error> {
    let sql = "SELECT home, kind, id, field, bytes FROM _lf_typed ORDER BY n";
    rows::query_all(conn, sql, [], |row| {
        Ok((rows::key_at(row, 0)?, FieldId(row.get(3)?), row.get(4)?))
    })
}

pub(super) fn clear(conn: &Connection) -> Result<(), Error> {
    rows::execute(conn, "DELETE FROM _lf_typed", [])?;
    Ok(())
}
