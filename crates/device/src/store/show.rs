//! Writes what shows of an entity into its typed row.
//!
//! A field that the schema does not know is left out, and so is a whole entity of an unknown
//! type: an older app keeps them, in the base row, without showing them. Defaults apply here, at
//! the last moment; nothing below ever stores one.

use super::error::Error;
use super::tables::{Table, Tables, quoted};
use super::{references, rows};
use crate::text_form::{self, Values, or_default};
use landfall_model::id::{EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::{Field, Merge};
use landfall_model::value::Value;
use landfall_sync::device::store::View;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};

/// Write the row as it shows now, or remove it; and note what it refers to.
pub(super) fn show(
    conn: &Connection,
    tables: &Tables,
    key: &EntityKey,
    view: Option<&View>,
) -> Result<(), Error> {
    let Some(table) = tables.by_kind.get(&key.kind) else {
        return references::note(conn, key, view);
    };
    match view {
        Some(view) => upsert(conn, table, &tables.values, key, view)?,
        None => rows::execute(conn, &table.delete, params![key.id, key.home]).map(drop)?,
    }
    match table.refers {
        true => references::note(conn, key, view),
        false => Ok(()),
    }
}

/// Rows of a type whose column is below a value, in key order after `after`.
pub(super) fn older(
    conn: &Connection,
    tables: &Tables,
    (kind, field): (TypeId, FieldId),
    floor: &Value,
    after: Option<&EntityKey>,
    limit: usize,
) -> Result<Vec<EntityKey>, Error> {
    let Some(table) = tables.by_kind.get(&kind) else { return Ok(Vec::new()) };
    let Some(column) = table.columns.iter().find(|c| c.id == field) else { return Ok(Vec::new()) };
    let (name, column_name) = (&table.name, quoted(&column.name));
    let sql = format!(
        "SELECT \"_home\", \"id\" FROM {name}
        WHERE {column_name} < ? AND (\"_home\", \"id\") > (?, ?)
        ORDER BY \"_home\", \"id\" LIMIT ?"
    );
    let (home, id) = after.map_or(("", ""), |key| (&*key.home, &*key.id));
    let floor = register(Some(floor), column, &tables.values);
    let params = params![floor, home, id, rows::limit(limit)];
    rows::query_all(conn, &sql, params, |row| {
        Ok(EntityKey { home: row.get::<_, Scope>(0)?, kind, id: row.get(1)? })
    })
}

fn upsert(
    conn: &Connection,
    table: &Table,
    values: &Values,
    key: &EntityKey,
    view: &View,
) -> Result<(), Error> {
    let mut statement = rows::statement(conn, &table.upsert)?;
    statement.raw_bind_parameter(1, &key.id)?;
    statement.raw_bind_parameter(2, &key.home)?;
    statement.raw_bind_parameter(3, view.pending)?;
    for (at, field) in table.columns.iter().enumerate() {
        statement.raw_bind_parameter(at + 4, column(field, values, view))?;
    }
    statement.raw_execute()?;
    Ok(())
}

fn column<'v>(field: &'v Field, values: &Values, view: &'v View) -> ToSqlOutput<'v> {
    match field.merge {
        Merge::Register => {
            register(or_default(field, view.registers.get(&field.id)), field, values)
        }
        Merge::Counter => view.counters.get(&field.id).copied().unwrap_or(0).into(),
        Merge::Text => ToSqlOutput::from(view.texts.get(&field.id).map_or("", String::as_str)),
        Merge::Set => {
            let elements = view.sets.get(&field.id).map_or(&[][..], Vec::as_slice);
            text_form::list(elements, &field.kind, values).into()
        }
    }
}

/// By the value's own shape: one that does not fit the schema is shown as it is.
fn register<'v>(value: Option<&'v Value>, field: &Field, values: &Values) -> ToSqlOutput<'v> {
    let borrowed = match value {
        None | Some(Value::Null) => ValueRef::Null,
        Some(Value::Bool(b)) => ValueRef::Integer(i64::from(*b)),
        Some(Value::Int(i)) => ValueRef::Integer(*i),
        Some(Value::Float(x)) => ValueRef::Real(x.get()),
        Some(Value::Text(s)) => ValueRef::Text(s.as_bytes()),
        Some(Value::Bytes(b)) => ValueRef::Blob(b),
        Some(composite @ (Value::Object(_) | Value::List(_))) => {
            return text_form::json(composite, &field.kind, values).into();
        }
    };
    ToSqlOutput::Borrowed(borrowed)
}
