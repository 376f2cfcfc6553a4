//! The typed tables: one per entity type of the app's schema, for the app to read with plain SQL.
//!
//! A table has the type's name and a column for each field, and besides `_home`, the home scope,
//! and `_pending`, 1 while some of the row is not yet held by enough regions. Its key is (id,
//! `_home`). What a column holds:
//!
//! | field | column |
//! |---|---|
//! | ID, String, enum, Date, LocalTime, ZonedDateTime, JSON, Blob, Text | TEXT |
//! | a reference | TEXT: the id |
//! | Int, Int64, Counter | INTEGER |
//! | Boolean | INTEGER: 0 or 1 |
//! | Instant | INTEGER: microseconds since 1970-01-01T00:00:00Z |
//! | Decimal | INTEGER: minor units, 12.50 at scale 2 is 1250, so that ORDER BY and SUM are exact |
//! | Float | REAL; NaN is NULL |
//! | Bytes | BLOB |
//! | a value object, a list, a set | TEXT: JSON, with member names; see `text_form` |
//!
//! Tables follow the schema at opening, and only grow: a new field is a new column, a field or
//! type with another name is renamed with all it holds, one that is gone stays and is no longer
//! written. Rows are derived from what the file keeps besides, so where their shape changed they
//! are marked stale: whoever opened the file then shows them anew. Indexes come and go with the
//! schema, those of full text too ([`super::search`]).

use super::error::{Error, OpenError};
use super::{references, rows, search};
use crate::text_form::FORM;
use landfall_model::hash::hash128;
use landfall_model::id::{FieldId, TypeId};
use landfall_model::schema::{EntityType, Field, FieldKind, Merge, Schema, ValueType};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The field that is the first part of every table's key.
pub(super) const ID: &str = "id";

/// How the tables of one schema are written.
#[derive(Debug)]
pub(super) struct Tables {
    pub by_kind: BTreeMap<TypeId, Table>,
    pub values: BTreeMap<String, Arc<ValueType>>,
}

/// Writes take the id, the home scope, whether it is pending, and the columns, in this order.
#[derive(Debug)]
pub(super) struct Table {
    /// As SQL writes it.
    pub name: String,
    pub columns: Vec<Field>,
    pub upsert: String,
    /// Takes the id and the home scope.
    pub delete: String,
    /// Some column shows NULL where the entity that it names is deleted.
    pub refers: bool,
}

impl Tables {
    #[cfg(not(target_family = "wasm"))]
    pub fn new(schema: &Schema) -> Self {
        Self::of(schema, &BTreeSet::new())
    }

    /// Without those that another file has.
    pub fn of(schema: &Schema, elsewhere: &BTreeSet<TypeId>) -> Self {
        let here = schema.types.iter().filter(|(id, _)| !elsewhere.contains(id));
        let by_kind = here.map(|(id, kind)| (*id, Table::new(kind))).collect();
        Self { by_kind, values: schema.values.clone() }
    }
}

impl Table {
    fn new(kind: &EntityType) -> Self {
        let columns: Vec<Field> = columns(kind).cloned().collect();
        let named: Vec<String> = columns.iter().map(|f| quoted(&f.name)).collect();
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<String>();
        let upsert = format!(
            "INSERT INTO {table} (\"id\", \"_home\", \"_pending\"{names}) VALUES (?, ?, ?{holes})
            ON CONFLICT (\"id\", \"_home\") DO UPDATE
            SET \"_pending\" = excluded.\"_pending\"{sets}",
            table = quoted(&kind.name),
            names = list(&mut named.iter().map(|n| format!(", {n}"))),
            holes = ", ?".repeat(named.len()),
            sets = list(&mut named.iter().map(|n| format!(", {n} = excluded.{n}"))),
        );
        let table = quoted(&kind.name);
        let delete = format!("DELETE FROM {table} WHERE \"id\" = ? AND \"_home\" = ?");
        let refers = columns.iter().any(|f| f.nulled_with().is_some());
        Self { name: table, columns, upsert, delete, refers }
    }
}

/// Whether the tables are those of this schema, as far as names and shapes go.
pub(super) fn are_current(conn: &Connection, schema: &Schema) -> Result<bool, Error> {
    let followed: Option<Vec<u8>> =
        rows::query_value(conn, "SELECT value FROM _lf_fact WHERE name = 'schema'", [])?;
    Ok(followed.is_some_and(|f| f == followed_form(schema)))
}

/// Bring the tables to this schema, which has none of the types that are elsewhere. Within a
/// transaction.
pub(super) fn follow(
    conn: &Connection,
    schema: &Schema,
    elsewhere: &BTreeSet<TypeId>,
) -> Result<(), OpenError> {
    search::drop_changed(conn, schema)?;
    elsewhere.iter().try_for_each(|kind| forget(conn, *kind))?;
    let names = schema.types.values().map(|t| (t.id.0, t.name.clone())).collect();
    rename_tables(conn, &names)?;
    for kind in schema.types.values() {
        if table_is_known(conn, kind.id)? {
            rename_columns(conn, kind)?;
            add_columns(conn, kind)?;
        } else {
            create(conn, kind)?;
        }
        note_shape(conn, kind, schema)?;
    }
    follow_indexes(conn, schema)?;
    search::build_missing(conn, schema)?;
    let sql = "INSERT OR REPLACE INTO _lf_fact (name, value) VALUES ('schema', ?)";
    rows::execute(conn, sql, [followed_form(schema)])?;
    Ok(())
}

/// A schema, and the form in which rows show under it.
fn followed_form(schema: &Schema) -> Vec<u8> {
    [&schema.fingerprint()[..], &[FORM]].concat()
}

/// Types whose rows were shown under another shape.
pub(super) fn stale(conn: &Connection) -> Result<Vec<TypeId>, Error> {
    let sql = "SELECT kind FROM _lf_table WHERE stale ORDER BY kind";
    rows::query_all(conn, sql, [], |row| Ok(TypeId(row.get(0)?)))
}

pub(super) fn mark_shown(conn: &Connection, kind: TypeId) -> Result<(), Error> {
    rows::execute(conn, "UPDATE _lf_table SET stale = 0 WHERE kind = ?", [kind.0])?;
    Ok(())
}

/// How a column is stored. The scale is part of it: another scale gives old numbers another
/// meaning.
struct Storage {
    declared: &'static str,
    scale: Option<u8>,
}

impl Storage {
    fn of(field: &Field) -> Self {
        let declared = match (&field.kind, field.merge) {
            (_, Merge::Set | Merge::Text) => "TEXT",
            (_, Merge::Counter) => "INTEGER",
            (kind, Merge::Register) => declared(kind),
        };
        let scale = match field.kind {
            FieldKind::Decimal { scale, .. } if field.merge != Merge::Set => Some(scale),
            _ => None,
        };
        Self { declared, scale }
    }

    fn label(&self) -> String {
        let scale = self.scale.map(|s| format!(" scale {s}")).unwrap_or_default();
        format!("{}{scale}", self.declared)
    }
}

fn declared(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Int
        | FieldKind::Int64
        | FieldKind::Boolean
        | FieldKind::Decimal { .. }
        | FieldKind::Instant
        | FieldKind::Counter => "INTEGER",
        FieldKind::Float => "REAL",
        FieldKind::Bytes => "BLOB",
        FieldKind::Id
        | FieldKind::String
        | FieldKind::Date
        | FieldKind::LocalTime
        | FieldKind::ZonedDateTime
        | FieldKind::Json
        | FieldKind::Blob
        | FieldKind::Enum(_)
        | FieldKind::Object(_)
        | FieldKind::Ref(_)
        | FieldKind::List(_)
        | FieldKind::Text => "TEXT",
    }
}

fn columns(kind: &EntityType) -> impl Iterator<Item = &Field> {
    kind.fields.iter().filter(|f| f.name != ID)
}

/// Another file has the type's rows from now on: a table here would hide them.
fn forget(conn: &Connection, kind: TypeId) -> Result<(), Error> {
    let sql = "SELECT name FROM _lf_table WHERE kind = ?";
    let Some(name) = rows::query_value::<String>(conn, sql, [kind.0])? else { return Ok(()) };
    conn.execute_batch(&format!("DROP TABLE {}", quoted(&name)))?;
    rows::execute(conn, "DELETE FROM _lf_table WHERE kind = ?", [kind.0])?;
    rows::execute(conn, "DELETE FROM _lf_column WHERE kind = ?", [kind.0])?;
    references::forget(conn, kind)
}

fn table_is_known(conn: &Connection, kind: TypeId) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM _lf_table WHERE kind = ?";
    Ok(rows::query_value::<i64>(conn, sql, [kind.0])?.is_some())
}

/// The statement that makes a type's table.
pub(super) fn definition(kind: &EntityType, what: &str) -> String {
    let column = |f: &Field| format!("  {} {},\n", quoted(&f.name), Storage::of(f).declared);
    let columns_sql: String = columns(kind).map(column).collect();
    format!(
        "CREATE {what} {} (\n  \"id\" TEXT NOT NULL,\n  \"_home\" TEXT NOT NULL,\n  \
        \"_pending\" INTEGER NOT NULL,\n{columns_sql}  PRIMARY KEY (\"id\", \"_home\"))",
        quoted(&kind.name)
    )
}

fn create(conn: &Connection, kind: &EntityType) -> Result<(), Error> {
    conn.execute_batch(&definition(kind, "TABLE"))?;
    let sql = "INSERT INTO _lf_table (kind, name, shape, stale) VALUES (?, ?, x'', 0)";
    rows::execute(conn, sql, params![kind.id.0, kind.name])?;
    columns(kind).try_for_each(|field| note_column(conn, kind, field))
}

fn add_columns(conn: &Connection, kind: &EntityType) -> Result<(), OpenError> {
    for field in columns(kind) {
        let (storage, now) = (Storage::of(field), Storage::of(field).label());
        let sql = "SELECT storage FROM _lf_column WHERE kind = ? AND field = ?";
        let was: Option<String> = rows::query_value(conn, sql, params![kind.id.0, field.id.0])?;
        match was {
            Some(was) if was == now => {}
            Some(was) => {
                let (table, column) = (kind.name.clone(), field.name.clone());
                return Err(OpenError::SchemaConflict { table, column, was, now });
            }
            None => {
                let (table, column) = (quoted(&kind.name), quoted(&field.name));
                let declared = storage.declared;
                conn.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {declared}"))?;
                note_column(conn, kind, field)?;
            }
        }
    }
    Ok(())
}

fn note_column(conn: &Connection, kind: &EntityType, field: &Field) -> Result<(), Error> {
    let sql = "INSERT INTO _lf_column (kind, field, name, storage) VALUES (?, ?, ?, ?)";
    let storage = Storage::of(field).label();
    rows::execute(conn, sql, params![kind.id.0, field.id.0, field.name, storage])?;
    Ok(())
}

fn rename_tables(conn: &Connection, wanted: &BTreeMap<u32, String>) -> Result<(), Error> {
    let sql = "SELECT kind, name FROM _lf_table";
    let known = rows::query_all(conn, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for step in renames(&known.into_iter().collect(), wanted) {
        let (from, to) = (quoted(&step.from), quoted(&step.to));
        conn.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))?;
        let sql = "UPDATE _lf_table SET name = ? WHERE kind = ?";
        rows::execute(conn, sql, params![step.to, step.number])?;
    }
    Ok(())
}

fn rename_columns(conn: &Connection, kind: &EntityType) -> Result<(), Error> {
    let sql = "SELECT field, name FROM _lf_column WHERE kind = ?";
    let known = rows::query_all(conn, sql, [kind.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let wanted = columns(kind).map(|f| (f.id.0, f.name.clone())).collect();
    for step in renames(&known.into_iter().collect(), &wanted) {
        let (table, from, to) = (quoted(&kind.name), quoted(&step.from), quoted(&step.to));
        conn.execute_batch(&format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}"))?;
        let sql = "UPDATE _lf_column SET name = ? WHERE kind = ? AND field = ?";
        rows::execute(conn, sql, params![step.to, kind.id.0, step.number])?;
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Rename {
    number: u32,
    from: String,
    to: String,
}

/// What to rename, in this order. Names move in circles now and then, and one that is gone may
/// stand where another wants to be; so all that move step aside first.
fn renames(known: &BTreeMap<u32, String>, wanted: &BTreeMap<u32, String>) -> Vec<Rename> {
    let claimed: BTreeSet<String> = wanted.values().map(|n| n.to_ascii_lowercase()).collect();
    let moves = |(number, name): &(&u32, &String)| match wanted.get(number) {
        Some(new) => new != *name,
        None => claimed.contains(&name.to_ascii_lowercase()),
    };
    let moving: Vec<(&u32, &String)> = known.iter().filter(moves).collect();
    let aside = |number: &u32| format!("_lf_was_{number:x}");
    let away = moving.iter().map(|(number, name)| Rename {
        number: **number,
        from: (*name).clone(),
        to: aside(number),
    });
    let back = moving.iter().filter_map(|(number, _)| {
        let to = wanted.get(number)?.clone();
        Some(Rename { number: **number, from: aside(number), to })
    });
    away.chain(back).filter(|step| step.from != step.to).collect()
}

/// Keep the shape under which rows are shown from now on; rows shown under another are stale.
fn note_shape(conn: &Connection, kind: &EntityType, schema: &Schema) -> Result<(), Error> {
    let shape = hash128(format!("{FORM}\n{}", shape(&kind.fields, schema)).as_bytes());
    let sql = "SELECT 1 FROM _lf_table WHERE shape IS NOT ? AND kind = ?";
    if rows::query_value::<i64>(conn, sql, params![shape, kind.id.0])?.is_some() {
        references::forget(conn, kind.id)?;
    }
    let sql = "UPDATE _lf_table SET shape = ?1,
        stale = EXISTS (SELECT 1 FROM _lf_base) OR EXISTS (SELECT 1 FROM _lf_op)
        WHERE kind = ?2 AND shape IS NOT ?1";
    rows::execute(conn, sql, params![shape, kind.id.0])?;
    Ok(())
}

/// All that decides how rows look besides the names of their columns. Only ever compared for being
/// equal: if it differs without need, rows are shown once too often.
fn shape(fields: &[Field], schema: &Schema) -> String {
    let field = |f: &Field| {
        let looks = format!("{:?}", (f.id, &f.kind, f.merge, f.required, &f.default));
        let nulled = f.nulled_with().map_or("", |_| " set-null");
        looks + nulled + &members(&f.kind, schema)
    };
    let mut fields: Vec<String> = fields.iter().map(field).collect();
    fields.sort();
    fields.join("\n")
}

fn members(kind: &FieldKind, schema: &Schema) -> String {
    match kind {
        FieldKind::List(element) => members(element, schema),
        FieldKind::Object(name) => schema.values.get(name).map_or(String::new(), |value| {
            let names: Vec<(FieldId, &str)> =
                value.fields.iter().map(|f| (f.id, f.name.as_str())).collect();
            format!("{names:?}{{{}}}", shape(&value.fields, schema))
        }),
        _ => String::new(),
    }
}

/// Indexes are named by number, so that renames keep them.
fn follow_indexes(conn: &Connection, schema: &Schema) -> Result<(), Error> {
    let mut wanted: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for kind in schema.types.values() {
        for field in columns(kind).filter(|f| f.index) {
            let name = format!("_lf_index_{:x}_{:x}", kind.id.0, field.id.0);
            wanted.insert(name, (&kind.name, &field.name));
        }
    }
    let sql = "SELECT name FROM sqlite_schema
        WHERE type = 'index' AND name GLOB '[_]lf[_]index[_]*'";
    let there: BTreeSet<String> =
        rows::query_all(conn, sql, [], |row| Ok(row.get(0)?))?.into_iter().collect();
    for name in there.iter().filter(|name| !wanted.contains_key(*name)) {
        conn.execute_batch(&format!("DROP INDEX {}", quoted(name)))?;
    }
    for (name, (table, column)) in wanted.iter().filter(|(name, _)| !there.contains(*name)) {
        let (name, table, column) = (quoted(name), quoted(table), quoted(column));
        conn.execute_batch(&format!("CREATE INDEX {name} ON {table} ({column})"))?;
    }
    Ok(())
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_move_step_aside_first() {
        let named = |names: &[(u32, &str)]| -> BTreeMap<u32, String> {
            names.iter().map(|(n, name)| (*n, (*name).to_owned())).collect()
        };
        let check = |known, wanted, expected: &[(u32, &str, &str)]| {
            let steps = renames(&named(known), &named(wanted));
            let steps: Vec<(u32, &str, &str)> =
                steps.iter().map(|s| (s.number, s.from.as_str(), s.to.as_str())).collect();
            assert_eq!(steps, expected);
        };
        check(&[(1, "a"), (2, "gone")], &[(1, "a"), (3, "new")], &[]);
        check(&[(1, "a")], &[(1, "b")], &[(1, "a", "_lf_was_1"), (1, "_lf_was_1", "b")]);
        check(
            &[(1, "a"), (2, "b")],
            &[(1, "b"), (2, "a")],
            &[
                (1, "a", "_lf_was_1"),
                (2, "b", "_lf_was_2"),
                (1, "_lf_was_1", "b"),
                (2, "_lf_was_2", "a"),
            ],
        );
        // Gone, and in the way; then back.
        check(&[(1, "a")], &[(2, "A")], &[(1, "a", "_lf_was_1")]);
        check(&[(1, "_lf_was_1")], &[(1, "a")], &[(1, "_lf_was_1", "a")]);
    }
}
