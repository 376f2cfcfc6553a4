//! Base rows: what regions have confirmed, with the scopes that hold each row here.
//!
//! The holds of a row stand in the row; the table by scope is an index over them, touched only
//! when they change. A row that its home scope holds and no other has nothing there: the column is
//! empty, and the key tells the scope.

use super::error::Error;
use super::rows;
use landfall_model::hash::hash64;
use landfall_model::id::{EntityKey, FieldId, Scope};
use landfall_model::text::Text;
use landfall_sync::device::store::{Base, Held, TextMark};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeSet;

pub(super) fn get(conn: &Connection, key: &EntityKey) -> Result<Option<Base>, Error> {
    let sql = "SELECT holds, touch, state FROM _lf_base WHERE home = ? AND kind = ? AND id = ?";
    rows::query_one(conn, sql, params![key.home, key.kind.0, key.id], |row| base_at(row, 0, key))
}

pub(super) fn put(conn: &Connection, key: &EntityKey, base: &Base) -> Result<(), Error> {
    write(conn, key, base, &rows::pack(&base.entity), &indexed(conn, key)?)
}

/// Where there is no row of it. `state` is the entity, encoded.
pub(super) fn add(
    conn: &Connection,
    key: &EntityKey,
    base: &Base,
    state: &[u8],
) -> Result<(), Error> {
    write(conn, key, base, state, &BTreeSet::new())
}

/// `before`: the scopes under which the row stands in the index.
fn write(
    conn: &Connection,
    key: &EntityKey,
    base: &Base,
    state: &[u8],
    before: &BTreeSet<Scope>,
) -> Result<(), Error> {
    let at_home = base.holds.len() == 1 && base.holds.contains(&key.home);
    let none = BTreeSet::new();
    let after = if at_home { &none } else { &base.holds };
    for scope in before.difference(after) {
        release(conn, scope, key)?;
    }
    for scope in after.difference(before) {
        let sql = "INSERT INTO _lf_hold (scope, home, kind, id) VALUES (?, ?, ?, ?)";
        rows::execute(conn, sql, params![scope, key.home, key.kind.0, key.id])?;
    }
    let names: Vec<&str> = base.holds.iter().map(AsRef::as_ref).collect();
    let holds = if at_home { Vec::new() } else { rows::pack(&names) };
    let touch = rows::pack(&(&base.touch, &base.joined));
    let sql = "INSERT INTO _lf_base (home, kind, id, holds, touch, state)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (home, kind, id) DO UPDATE
        SET holds = excluded.holds, touch = excluded.touch, state = excluded.state";
    rows::execute(conn, sql, params![key.home, key.kind.0, key.id, holds, touch, state])?;
    Ok(())
}

/// Names of base rows, own ops and own births within a range of keys. `ALL`: to have each once, SQLite
/// would gather the whole range before the first.
pub(super) fn known(
    conn: &Connection,
    first: &EntityKey,
    last: &EntityKey,
    limit: usize,
) -> Result<Vec<EntityKey>, Error> {
    let sql = "SELECT home, kind, id FROM _lf_base
          WHERE (home, kind, id) >= (?1, ?2, ?3) AND (home, kind, id) <= (?4, ?5, ?6)
        UNION ALL SELECT home, kind, id FROM _lf_birth
          WHERE (home, kind, id) >= (?1, ?2, ?3) AND (home, kind, id) <= (?4, ?5, ?6)
        UNION ALL SELECT home, kind, id FROM _lf_op
          WHERE (home, kind, id) >= (?1, ?2, ?3) AND (home, kind, id) <= (?4, ?5, ?6)
        LIMIT ?7";
    let (a, z, limit) = (first, last, rows::limit(limit));
    let params = params![a.home, a.kind.0, a.id, z.home, z.kind.0, z.id, limit];
    rows::query_all(conn, sql, params, |row| Ok(rows::key_at(row, 0)?))
}

pub(super) fn remove(conn: &Connection, key: &EntityKey) -> Result<(), Error> {
    for scope in indexed(conn, key)? {
        release(conn, &scope, key)?;
    }
    let key = params![key.home, key.kind.0, key.id];
    let sql = "DELETE FROM _lf_base WHERE home = ? AND kind = ? AND id = ?";
    rows::execute(conn, sql, key)?;
    rows::execute(conn, "DELETE FROM _lf_text WHERE home = ? AND kind = ? AND id = ?", key)?;
    rows::execute(conn, "DELETE FROM _lf_text_mark WHERE home = ? AND kind = ? AND id = ?", key)?;
    Ok(())
}

pub(super) fn held_by(
    conn: &Connection,
    scope: &str,
    after: Option<&EntityKey>,
    limit: usize,
) -> Result<Vec<EntityKey>, Error> {
    let (home, kind, id) = rows::place(after);
    let sql = "SELECT home, kind, id FROM _lf_hold
          WHERE scope = ?1 AND (home, kind, id) > (?2, ?3, ?4)
        UNION ALL SELECT home, kind, id FROM _lf_base
          WHERE home = ?1 AND holds = x'' AND (home, kind, id) > (?2, ?3, ?4)
        ORDER BY home, kind, id LIMIT ?5";
    let params = params![scope, home, kind, id, rows::limit(limit)];
    rows::query_all(conn, sql, params, |row| Ok(rows::key_at(row, 0)?))
}

pub(super) fn count(conn: &Connection) -> Result<u64, Error> {
    let count: Option<i64> = rows::query_value(conn, "SELECT count(*) FROM _lf_base", [])?;
    Ok(rows::from_bits(count.unwrap_or(0)))
}

/// The length of a value stands before it in its row: nothing of the values is read.
pub(super) fn held(conn: &Connection, scope: &str) -> Result<Held, Error> {
    let sql = "SELECT count(*), coalesce(sum(length(b.state)), 0)
          FROM _lf_hold h JOIN _lf_base b USING (home, kind, id) WHERE h.scope = ?1
        UNION ALL SELECT count(*), coalesce(sum(length(state)), 0)
          FROM _lf_base WHERE home = ?1 AND holds = x''";
    let parts = rows::query_all(conn, sql, [scope], |row| {
        let (count, bytes) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
        Ok((rows::from_bits(count), rows::from_bits(bytes)))
    })?;
    let (rows, bytes) = parts.into_iter().fold((0, 0), |(n, b), (m, c)| (n + m, b + c));
    Ok(Held { rows, bytes })
}

/// A base row keeps its number while it is here, and the next one has a higher one.
pub(super) fn longest_held(
    conn: &Connection,
    scope: &str,
    skip: usize,
    limit: usize,
) -> Result<Vec<EntityKey>, Error> {
    let sql = "SELECT h.home, h.kind, h.id, b.rowid AS number
          FROM _lf_hold h JOIN _lf_base b USING (home, kind, id) WHERE h.scope = ?1
        UNION ALL SELECT home, kind, id, rowid FROM _lf_base WHERE home = ?1 AND holds = x''
        ORDER BY number LIMIT ?2 OFFSET ?3";
    let params = params![scope, rows::limit(limit), rows::limit(skip)];
    rows::query_all(conn, sql, params, |row| Ok(rows::key_at(row, 0)?))
}

pub(super) fn walk(
    conn: &Connection,
    after: Option<&EntityKey>,
    limit: usize,
) -> Result<Vec<(EntityKey, Base)>, Error> {
    let (home, kind, id) = rows::place(after);
    let sql = "SELECT home, kind, id, holds, touch, state FROM _lf_base
        WHERE (home, kind, id) > (?, ?, ?)
        ORDER BY home, kind, id LIMIT ?";
    let params = params![home, kind, id, rows::limit(limit)];
    let read = |row: &Row<'_>| {
        let key = rows::key_at(row, 0)?;
        let base = base_at(row, 3, &key)?;
        Ok((key, base))
    };
    rows::query_all(conn, sql, params, read)
}

pub(super) fn text(conn: &Connection, key: &EntityKey, field: FieldId) -> Result<Text, Error> {
    let sql = "SELECT document FROM _lf_text
        WHERE home = ? AND kind = ? AND id = ? AND field = ?";
    let params = params![key.home, key.kind.0, key.id, field.0];
    let text = rows::query_one(conn, sql, params, |row| rows::packed_at(row, 0))?;
    Ok(text.unwrap_or_default())
}

pub(super) fn text_print(
    conn: &Connection,
    key: &EntityKey,
    field: FieldId,
) -> Result<Option<u64>, Error> {
    let sql = "SELECT print FROM _lf_text WHERE home = ? AND kind = ? AND id = ? AND field = ?";
    let params = params![key.home, key.kind.0, key.id, field.0];
    Ok(rows::query_value(conn, sql, params)?.map(rows::from_bits))
}

pub(super) fn put_text(
    conn: &Connection,
    key: &EntityKey,
    field: FieldId,
    text: &Text,
) -> Result<(), Error> {
    if text.is_empty() {
        let sql = "DELETE FROM _lf_text WHERE home = ? AND kind = ? AND id = ? AND field = ?";
        rows::execute(conn, sql, params![key.home, key.kind.0, key.id, field.0])?;
    } else {
        let document = rows::pack(text);
        let print = rows::bits(hash64(&document));
        let sql = "INSERT INTO _lf_text (home, kind, id, field, print, document)
            VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (home, kind, id, field) DO UPDATE
            SET print = excluded.print, document = excluded.document";
        rows::execute(conn, sql, params![key.home, key.kind.0, key.id, field.0, print, document])?;
    }
    Ok(())
}

pub(super) fn text_mark(
    conn: &Connection,
    key: &EntityKey,
    field: FieldId,
) -> Result<Option<TextMark>, Error> {
    let sql = "SELECT births, version FROM _lf_text_mark
        WHERE home = ? AND kind = ? AND id = ? AND field = ?";
    rows::query_one(conn, sql, params![key.home, key.kind.0, key.id, field.0], |row| {
        Ok(TextMark { births: rows::packed_at(row, 0)?, version: row.get(1)? })
    })
}

pub(super) fn put_text_mark(
    conn: &Connection,
    key: &EntityKey,
    field: FieldId,
    mark: Option<&TextMark>,
) -> Result<(), Error> {
    match mark {
        Some(mark) => {
            let sql = "INSERT OR REPLACE INTO _lf_text_mark
                (home, kind, id, field, births, version) VALUES (?, ?, ?, ?, ?, ?)";
            let (births, version) = (rows::pack(&mark.births), &mark.version);
            let params = params![key.home, key.kind.0, key.id, field.0, births, version];
            rows::execute(conn, sql, params)?
        }
        None => {
            let sql = "DELETE FROM _lf_text_mark
                WHERE home = ? AND kind = ? AND id = ? AND field = ?";
            rows::execute(conn, sql, params![key.home, key.kind.0, key.id, field.0])?
        }
    };
    Ok(())
}

pub(super) fn put_child(
    conn: &Connection,
    parent: &EntityKey,
    child: &EntityKey,
) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO _lf_child
        (parent_home, parent_kind, parent_id, home, kind, id) VALUES (?, ?, ?, ?, ?, ?)";
    let (p, c) = (parent, child);
    rows::execute(conn, sql, params![p.home, p.kind.0, p.id, c.home, c.kind.0, c.id])?;
    Ok(())
}

pub(super) fn children(conn: &Connection, parent: &EntityKey) -> Result<Vec<EntityKey>, Error> {
    let sql = "SELECT home, kind, id FROM _lf_child
        WHERE parent_home = ? AND parent_kind = ? AND parent_id = ?
        ORDER BY home, kind, id";
    let params = params![parent.home, parent.kind.0, parent.id];
    rows::query_all(conn, sql, params, |row| Ok(rows::key_at(row, 0)?))
}

fn base_at(row: &Row<'_>, at: usize, key: &EntityKey) -> Result<Base, Error> {
    let (touch, joined) = rows::packed_at(row, at + 1)?;
    let holds = indexed_at(row, at)?.unwrap_or_else(|| BTreeSet::from([key.home.clone()]));
    Ok(Base { holds, touch, joined, entity: rows::packed_at(row, at + 2)? })
}

/// The scopes under which a row stands in the index.
fn indexed(conn: &Connection, key: &EntityKey) -> Result<BTreeSet<Scope>, Error> {
    let sql = "SELECT holds FROM _lf_base WHERE home = ? AND kind = ? AND id = ?";
    let params = params![key.home, key.kind.0, key.id];
    let indexed = rows::query_one(conn, sql, params, |row| indexed_at(row, 0))?;
    Ok(indexed.flatten().unwrap_or_default())
}

/// `None` if the row's home scope alone holds it.
fn indexed_at(row: &Row<'_>, at: usize) -> Result<Option<BTreeSet<Scope>>, Error> {
    if row.get_ref(at)?.as_blob().is_ok_and(<[u8]>::is_empty) {
        return Ok(None);
    }
    let names: Vec<String> = rows::packed_at(row, at)?;
    Ok(Some(names.into_iter().map(Scope::from).collect()))
}

fn release(conn: &Connection, scope: &str, key: &EntityKey) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_hold WHERE scope = ? AND home = ? AND kind = ? AND id = ?";
    rows::execute(conn, sql, params![scope, key.home, key.kind.0, key.id])?;
    Ok(())
}
