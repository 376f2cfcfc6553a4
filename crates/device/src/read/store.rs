//! The SQL of reads: the app's own statements, and those that live queries are made of.

use super::{Row, Rows, SqlValue};
use crate::error::{Error, code};
use crate::store;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, params_from_iter};
use std::sync::Arc;

/// Run one statement that reads. Fails with `LF2102` if it is not understood, writes, or takes
/// another number of parameters.
pub(crate) fn query(conn: &Connection, sql: &str, params: &[SqlValue]) -> Result<Rows, Error> {
    let mut statement = prepare(conn, sql, params.len())?;
    let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query(params_from_iter(params)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let values = (0..columns.len()).map(|at| Ok(value(row.get_ref(at).map_err(failed)?)));
        let values = values.collect::<Result<_, Error>>()?;
        rows.push(Row { columns: columns.clone(), values });
    }
    Ok(Rows { columns, rows })
}

fn prepare<'c>(
    conn: &'c Connection,
    sql: &str,
    params: usize,
) -> Result<CachedStatement<'c>, Error> {
    let statement = conn.prepare_cached(sql).map_err(failed)?;
    if !statement.readonly() {
        let message = "The statement writes. Write through a transaction, so that it syncs.";
        return Err(Error::new(code::QUERY, message));
    }
    let wanted = statement.parameter_count();
    if wanted != params {
        let message = format!("The statement takes {wanted} parameters, and got {params}.");
        return Err(Error::new(code::QUERY, message));
    }
    Ok(statement)
}

/// SQLite's words about the statement are for its author; they hold no value of a row.
fn failed(error: rusqlite::Error) -> Error {
    let text = match &error {
        rusqlite::Error::SqlInputError { msg, .. } => Some(msg.clone()),
        rusqlite::Error::MultipleStatement => Some("several statements in one".to_owned()),
        rusqlite::Error::SqliteFailure(e, Some(msg))
            if e.code == rusqlite::ErrorCode::Unknown
                || e.code == rusqlite::ErrorCode::ReadOnly =>
        {
            Some(msg.clone())
        }
        _ => None,
    };
    match text {
        Some(text) => {
            Error::new(code::QUERY, format!("SQLite refused the statement: {text}.")).because(error)
        }
        None => store::Error::from(error).into(),
    }
}

fn value(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(i) => SqlValue::Integer(i),
        ValueRef::Real(x) => SqlValue::Real(x),
        ValueRef::Text(s) => SqlValue::Text(String::from_utf8_lossy(s).into_owned()),
        ValueRef::Blob(b) => SqlValue::Blob(b.to_vec()),
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(i) => ValueRef::Integer(*i),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(s) => ValueRef::Text(s.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

/// All columns of an entity's row, in every home scope that has one.
pub(crate) fn rows_of_id(conn: &Connection, table: &str, id: &str) -> Result<Rows, Error> {
    let sql = format!("SELECT * FROM {} WHERE \"id\" = ? ORDER BY \"_home\"", quoted(table));
    query(conn, &sql, &[id.into()])
}

/// One table's window, for a live query. The key is always the last part of the order, so the
/// order is total and a row that did not change does not move.
pub(crate) fn window(
    table: &str,
    filter: Option<&str>,
    order: &[(String, bool)],
    limit: Option<u64>,
) -> String {
    let mut sql = format!("SELECT * FROM {}", quoted(table));
    if let Some(filter) = filter {
        // On lines of its own: a comment in it ends there.
        sql.push_str(&format!(" WHERE (\n{filter}\n)"));
    }
    sql.push_str(" ORDER BY ");
    for (column, descending) in order {
        sql.push_str(&quoted(column));
        sql.push_str(if *descending { " DESC, " } else { ", " });
    }
    sql.push_str("\"id\", \"_home\"");
    if let Some(limit) = limit {
        sql.push_str(&format!(" LIMIT {limit}"));
    }
    sql
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (id TEXT, n INTEGER); INSERT INTO t VALUES ('a', 1)")
            .unwrap();
        conn
    }

    #[test]
    fn rows_come_with_their_names() {
        let rows = query(&conn(), "SELECT id, n + ?1 AS m FROM t", &[SqlValue::Integer(2)]);
        let rows = rows.unwrap();
        assert_eq!(rows.columns(), ["id", "m"]);
        assert_eq!(rows.get(0).unwrap().integer("m"), Some(3));
        assert_eq!(rows.get(0).unwrap().text("id"), Some("a"));
    }

    #[test]
    fn statements_that_are_wrong_are_told_apart_from_files_that_are() {
        let check = |sql: &str, params: &[SqlValue]| {
            assert_eq!(query(&conn(), sql, params).unwrap_err().code(), "LF2102", "{sql}");
        };
        check("SELEC 1", &[]);
        check("SELECT nothing FROM t", &[]);
        check("SELECT ?", &[]);
        check("SELECT 1", &[SqlValue::Null]);
        check("DELETE FROM t", &[]);
        check("SELECT 1; SELECT 2", &[]);
    }

    #[test]
    fn a_window_has_a_total_order() {
        let sql = window("a\"b", Some("x > ?"), &[("y".into(), true)], Some(3));
        assert_eq!(
            sql,
            "SELECT * FROM \"a\"\"b\" WHERE (\nx > ?\n) ORDER BY \"y\" DESC, \"id\", \"_home\" \
             LIMIT 3"
        );
    }
}
