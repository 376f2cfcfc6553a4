//! Writes what shows of an entity into its typed row.
//!
//! A field that the schema does not know is left out, and so is a whole entity of an unknown
//! type: an older app keeps them, in the base row, without showing them. Defaults apply here, at
//! the last moment; nothing below ever stores one.

use super::error::Error;
use super::tables::{Table, Tables, quoted};
use super::{references, rows};
use landfall_model::id::{EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::{Field, FieldKind, Merge, ValueType};
use landfall_model::value::Value;
use landfall_sync::device::store::View;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::sync::Arc;

type Values = BTreeMap<String, Arc<ValueType>>;

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
            let mut json = String::new();
            write_list(&mut json, elements, element(&field.kind), values);
            json.into()
        }
    }
}

/// A field that was never written has its default. One that was cleared on purpose stays NULL,
/// unless the schema says that there is always a value.
fn or_default<'v>(field: &'v Field, value: Option<&'v Value>) -> Option<&'v Value> {
    match value {
        Some(Value::Null) if field.required => field.default.as_ref(),
        None => field.default.as_ref(),
        there => there,
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
            let mut json = String::new();
            write_value(&mut json, composite, &field.kind, values);
            return json.into();
        }
    };
    ToSqlOutput::Borrowed(borrowed)
}

fn element(kind: &FieldKind) -> &FieldKind {
    match kind {
        FieldKind::List(element) => element,
        other => other,
    }
}

fn write_value(out: &mut String, value: &Value, kind: &FieldKind, values: &Values) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        // JSON has no infinities, and NaN is NULL in columns too.
        Value::Float(x) if !x.get().is_finite() => out.push_str("null"),
        Value::Float(x) => out.push_str(&format!("{:?}", x.get())),
        Value::Text(s) if *kind == FieldKind::Json && is_json(s) => out.push_str(s),
        Value::Text(s) => write_text(out, s),
        Value::Bytes(bytes) => {
            out.push('"');
            bytes.iter().for_each(|b| out.push_str(&format!("{b:02x}")));
            out.push('"');
        }
        Value::Object(_) => write_object(out, value, kind, values),
        Value::List(items) => write_list(out, items, element(kind), values),
    }
}

fn write_list(out: &mut String, items: &[Value], kind: &FieldKind, values: &Values) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_value(out, item, kind, values);
    }
    out.push(']');
}

/// Every declared member, in order of declaration.
fn write_object(out: &mut String, value: &Value, kind: &FieldKind, values: &Values) {
    let declared = match kind {
        FieldKind::Object(name) => values.get(name).map_or(&[][..], |v| v.fields.as_slice()),
        _ => &[],
    };
    let Value::Object(members) = value else { return };
    out.push('{');
    for (at, field) in declared.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(out, &field.name);
        out.push(':');
        let member = members.iter().find(|m| m.field == field.id).map(|m| &m.value);
        let member = or_default(field, member).unwrap_or(&Value::Null);
        write_value(out, member, &field.kind, values);
    }
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}
