//! What was typed into a text and is not part of its op yet.
//!
//! An own op of a text that has not left grows with what is typed, and is written anew, with the
//! whole of what shows of the text, each time that it does. Under a user's fingers that is too much
//! for a long text: a commit that only adds to the op which the last one wrote is kept here, as a
//! row of its own. It is as durable as any other write. Whoever does anything else with the file
//! takes it into the op first; see [`crate::inner`].

use super::error::Error;
use super::rows::{self, unpack};
use landfall_model::codec;
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::text::Typed;
use rusqlite::{Connection, params};

pub(super) fn add(
    conn: &Connection,
    key: &EntityKey,
    field: FieldId,
    typed: &Typed,
) -> Result<(), Error> {
    let sql = "INSERT INTO _lf_typed (home, kind, id, field, bytes) VALUES (?, ?, ?, ?, ?)";
    let bytes = codec::to_bytes(typed);
    rows::execute(conn, sql, params![key.home, key.kind.0, key.id, field.0, bytes])?;
    Ok(())
}

pub(super) fn any(conn: &Connection) -> Result<bool, Error> {
    let any = rows::query_value(conn, "SELECT EXISTS (SELECT 1 FROM _lf_typed)", [])?;
    Ok(any.unwrap_or(false))
}

/// In the order in which it was typed.
pub(super) fn all(conn: &Connection) -> Result<Vec<(EntityKey, FieldId, Typed)>, Error> {
    let sql = "SELECT home, kind, id, field, bytes FROM _lf_typed ORDER BY n";
    let rows = rows::query_all(conn, sql, [], |row| {
        let bytes: Vec<u8> = row.get(4)?;
        Ok((rows::key_at(row, 0)?, FieldId(row.get(3)?), bytes))
    })?;
    let decoded = rows.into_iter().map(|(key, field, bytes)| Ok((key, field, unpack(&bytes)?)));
    decoded.collect()
}

pub(super) fn clear(conn: &Connection) -> Result<(), Error> {
    rows::execute(conn, "DELETE FROM _lf_typed", [])?;
    Ok(())
}
