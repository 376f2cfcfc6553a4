//! Which rows were last shown with which `SET_NULL` references, and how.
//!
//! Written by [`super::show`] with the row, for types that have such fields only. So whoever sees an
//! entity deleted, or reborn, finds the rows that show it otherwise by one range of the key, and
//! nothing is walked.

use super::error::Error;
use super::rows;
use landfall_model::id::{EntityKey, FieldId, TypeId};
use landfall_sync::device::store::{Referred, View};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// The row shows these references now, or is gone.
pub(super) fn note(conn: &Connection, of: &EntityKey, view: Option<&View>) -> Result<(), Error> {
    let before = noted(conn, of)?;
    let none = BTreeMap::new();
    let now = view.map_or(&none, |view| &view.references);
    for (field, was) in before.iter().filter(|(field, was)| now.get(field) != Some(*was)) {
        let sql = "DELETE FROM _lf_reference WHERE kind = ? AND id = ? AND gone = ?
            AND of_home = ? AND of_kind = ? AND of_id = ? AND field = ?";
        rows::execute(
            conn,
            sql,
            params![was.kind.0, was.id, was.gone, of.home, of.kind.0, of.id, field.0],
        )?;
    }
    for (field, is) in now.iter().filter(|(field, is)| before.get(field) != Some(*is)) {
        let sql = "INSERT INTO _lf_reference (kind, id, gone, of_home, of_kind, of_id, field)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        rows::execute(
            conn,
            sql,
            params![is.kind.0, is.id, is.gone, of.home, of.kind.0, of.id, field.0],
        )?;
    }
    Ok(())
}

fn noted(conn: &Connection, of: &EntityKey) -> Result<BTreeMap<FieldId, Referred>, Error> {
    let sql = "SELECT field, kind, id, gone FROM _lf_reference
        WHERE of_home = ? AND of_kind = ? AND of_id = ?";
    let all = rows::query_all(conn, sql, params![of.home, of.kind.0, of.id], |row| {
        let referred = Referred { kind: TypeId(row.get(1)?), id: row.get(2)?, gone: row.get(3)? };
        Ok((FieldId(row.get(0)?), referred))
    })?;
    Ok(all.into_iter().collect())
}

/// Rows that show a reference to this id as gone, or as there; each once.
pub(super) fn referrers(
    conn: &Connection,
    kind: TypeId,
    id: &str,
    gone: bool,
) -> Result<Vec<EntityKey>, Error> {
    let sql = "SELECT DISTINCT of_home, of_kind, of_id FROM _lf_reference
        WHERE kind = ? AND id = ? AND gone = ? ORDER BY of_home, of_kind, of_id";
    rows::query_all(conn, sql, params![kind.0, id, gone], |row| Ok(rows::key_at(row, 0)?))
}

/// The type's rows are about to be shown anew, under a schema that may refer otherwise.
pub(super) fn forget(conn: &Connection, of: TypeId) -> Result<(), Error> {
    rows::execute(conn, "DELETE FROM _lf_reference WHERE of_kind = ?", [of.0]).map(drop)
}
