//! The SQL of reads: the app's own statements, and those that live queries are made of.

pub(crate) mod search;
mod statement;

use super::{READ_BYTES_MAX, Row, Rows, SqlValue};
use crate::error::{Error, code};
use crate::store::{self, quoted};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, params_from_iter};
use std::sync::Arc;

/// Run one statement that reads. Fails with `LF2102` if it is not understood, does something else, or
/// takes another number of parameters; with `LF2115` if it or its answer comes to too much.
pub(crate) fn query(conn: &Connection, sql: &str, params: &[SqlValue]) -> Result<Rows, Error> {
    let mut statement = prepare(conn, sql, params.len())?;
    let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query(params_from_iter(params)).map_err(failed)?;
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = found.next().map_err(failed)? {
        let values = (0..columns.len()).map(|at| Ok(value(row.get_ref(at).map_err(failed)?)));
        let values = values.collect::<Result<Arc<[SqlValue]>, Error>>()?;
        bytes += size_of::<Row>() + values.iter().map(SqlValue::bytes).sum::<usize>();
        if bytes > READ_BYTES_MAX {
            return Err(too_large());
        }
        rows.push(Row { columns: columns.clone(), values });
    }
    Ok(Rows { columns, rows })
}

fn prepare<'c>(
    conn: &'c Connection,
    sql: &str,
    params: usize,
) -> Result<CachedStatement<'c>, Error> {
    // SQLite does some of what a statement says while it prepares it.
    statement::check(sql)?;
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
        rusqlite::Error::SqliteFailure(e, _)
            if matches!(
                e.code,
                rusqlite::ErrorCode::OperationInterrupted | rusqlite::ErrorCode::TooBig
            ) =>
        {
            return too_large().because(error);
        }
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

fn too_large() -> Error {
    let message = "The read takes more steps, or more memory, than it may. Ask for less.";
    Error::new(code::READ_TOO_LARGE, message)
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

/// The views that the app made, by name and text.
pub(crate) fn views(conn: &Connection) -> Result<Vec<(String, String)>, Error> {
    let files = query(conn, "SELECT name FROM pragma_database_list", &[])?;
    let mut views = Vec::new();
    for file in files.iter().filter_map(|row| row.text("name")) {
        let sql =
            format!("SELECT name, sql FROM {}.sqlite_schema WHERE type = 'view'", quoted(file));
        let both = |row: &Row| Some((row.text("name")?.to_owned(), row.text("sql")?.to_owned()));
        views.extend(query(conn, &sql, &[])?.iter().filter_map(both));
    }
    Ok(views)
}

/// SQLite's plan of a statement, a step a line.
pub(crate) fn steps(
    conn: &Connection,
    sql: &str,
    params: &[SqlValue],
) -> Result<Vec<String>, Error> {
    let plan = query(conn, &format!("EXPLAIN QUERY PLAN {sql}"), params)?;
    let detail = |row: &Row| row.text("detail").map(str::to_owned);
    Ok(plan.iter().filter_map(detail).collect())
}

/// One table's window, for a live query, in statements. The key is always the last part of the
/// order, so the order is total and a row that did not change does not move.
#[derive(Debug)]
pub(crate) struct WindowSql {
    pub table: String,
    pub filter: Option<String>,
    /// Columns, and whether they fall.
    pub order: Vec<(String, bool)>,
    pub includes: Vec<Included>,
}

/// Columns of the row that a reference leads to.
#[derive(Debug)]
pub(crate) struct Included {
    /// The column that holds the reference.
    pub reference: String,
    /// The table that it leads to.
    pub table: String,
    pub columns: Vec<String>,
    /// The row referred to is in the same home scope, as a parent is.
    pub same_home: bool,
}

impl Included {
    /// True if a column of the window, `customer.name`, is one of these.
    pub fn shows(&self, column: &str) -> bool {
        let inside = column.strip_prefix(&self.reference).and_then(|rest| rest.strip_prefix('.'));
        inside.is_some_and(|inside| self.columns.iter().any(|c| c == inside))
    }
}

impl WindowSql {
    /// All of it, up to so many rows.
    pub fn window(&self, limit: Option<u64>) -> String {
        let mut sql = self.rows("");
        sql.push_str(" ORDER BY ");
        for (column, falls) in &self.order {
            sql.push_str(&self.placed(column));
            sql.push_str(if *falls { " DESC, " } else { ", " });
        }
        sql.push_str(&format!("{}, {}", self.placed("id"), self.placed("_home")));
        if let Some(limit) = limit {
            // SQLite knows no larger number.
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        sql
    }

    /// The row of an id and a home scope, which are its last parameters, if it is in the window.
    pub fn row(&self) -> String {
        self.rows("\"id\" = ? AND \"_home\" = ?")
    }

    fn rows(&self, besides: &str) -> String {
        let table = quoted(&self.table);
        // On lines of its own: a comment in it ends there.
        let filter = self.filter.as_ref().map(|f| format!("(\n{f}\n)"));
        let both: Vec<&str> =
            filter.as_deref().into_iter().chain(Some(besides).filter(|b| !b.is_empty())).collect();
        let wanted = match both.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", both.join(" AND ")),
        };
        if self.includes.is_empty() {
            return format!("SELECT * FROM {table}{wanted}");
        }
        let (mut columns, mut joins) = ("t.*".to_owned(), String::new());
        for (at, included) in self.includes.iter().enumerate() {
            for column in &included.columns {
                let shown = quoted(&format!("{}.{column}", included.reference));
                columns.push_str(&format!(", r{at}.{} AS {shown}", quoted(column)));
            }
            joins.push_str(&included.join(at));
        }
        format!("SELECT {columns} FROM (SELECT * FROM {table}{wanted}) AS t{joins}")
    }

    /// A column as the order names it.
    fn placed(&self, column: &str) -> String {
        let included = self.includes.iter().position(|i| i.shows(column));
        match included {
            Some(at) => {
                let inside = &column[self.includes[at].reference.len() + 1..];
                format!("r{at}.{}", quoted(inside))
            }
            None if self.includes.is_empty() => quoted(column),
            None => format!("t.{}", quoted(column)),
        }
    }
}

impl Included {
    fn join(&self, at: usize) -> String {
        let (table, reference) = (quoted(&self.table), quoted(&self.reference));
        if self.same_home {
            return format!(
                " LEFT JOIN {table} AS r{at} ON r{at}.\"id\" = t.{reference}
                AND r{at}.\"_home\" = t.\"_home\""
            );
        }
        format!(
            " LEFT JOIN {table} AS r{at} ON r{at}.rowid =
            (SELECT rowid FROM {table} WHERE \"id\" = t.{reference}
            ORDER BY \"_home\" <> t.\"_home\", \"_home\" LIMIT 1)"
        )
    }
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
        check("SELECT 1; PRAGMA query_only = 0", &[]);
        check("BEGIN", &[]);
        check("ATTACH DATABASE ':memory:' AS x", &[]);
        check("EXPLAIN PRAGMA case_sensitive_like = 1", &[]);
    }

    #[test]
    fn a_read_that_comes_to_too_much_is_ended_and_the_next_is_not() {
        let mut conn = conn();
        let mut read = |sql: &str| {
            let done = store::within_steps(&mut conn, 100_000, |conn| query(conn, sql, &[]));
            done.unwrap().map(|rows| rows.len()).map_err(|e| e.code().to_owned())
        };
        let numbers = |end: &str| {
            format!("WITH n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n {end}) SELECT x FROM n")
        };
        let too_much = Err("LF2115".to_owned());
        assert_eq!(read(&numbers("")), too_much);
        assert_eq!(read(&numbers("WHERE x < 50")), Ok(50));
        let bytes = READ_BYTES_MAX / 2;
        assert_eq!(read(&format!("SELECT zeroblob({bytes}) UNION ALL VALUES (1)")), Ok(2));
        assert_eq!(read(&format!("VALUES (zeroblob({bytes})), (zeroblob({bytes}))")), too_much);
        assert_eq!(read("SELECT 1"), Ok(1));
    }

    #[test]
    fn a_window_has_a_total_order() {
        let window = WindowSql {
            table: "a\"b".into(),
            filter: Some("x > ?".into()),
            order: vec![("y".into(), true)],
            includes: Vec::new(),
        };
        assert_eq!(
            window.window(Some(3)),
            "SELECT * FROM \"a\"\"b\" WHERE (\nx > ?\n) ORDER BY \"y\" DESC, \"id\", \"_home\" \
             LIMIT 3"
        );
    }
}
