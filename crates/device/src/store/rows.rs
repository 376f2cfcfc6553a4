//! Between SQL values and the model's types.

use super::error::Error;
use landfall_model::codec;
use landfall_model::id::{DeviceId, Dot, EntityKey, Scope, TypeId};
use minicbor::{Decode, Encode};
use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

/// An unsigned number with its bits in a signed column. For columns that are never compared.
pub(super) fn bits(n: u64) -> i64 {
    n.cast_signed()
}

/// The way back from [`bits`].
pub(super) fn from_bits(n: i64) -> u64 {
    n.cast_unsigned()
}

/// A number for a comparison; those that no file reaches count as the highest.
pub(super) fn rank(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn limit(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The columns home, kind and id, from column `at` on.
pub(super) fn key_at(row: &Row<'_>, at: usize) -> rusqlite::Result<EntityKey> {
    let kind = TypeId(row.get(at + 1)?);
    Ok(EntityKey { home: row.get::<_, Scope>(at)?, kind, id: row.get(at + 2)? })
}

/// The columns device and seq, from column `at` on.
pub(super) fn dot_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Dot> {
    Ok(Dot::new(DeviceId(row.get(at)?), from_bits(row.get(at + 1)?)))
}

/// Where a walk in key order stands: behind a key, or before all of them.
pub(super) fn place(after: Option<&EntityKey>) -> (&str, i64, &str) {
    after.map_or(("", -1, ""), |key| (&key.home, i64::from(key.kind.0), &key.id))
}

pub(super) fn pack<T: Encode<()>>(value: &T) -> Vec<u8> {
    codec::to_bytes(value)
}

pub(super) fn unpack<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T, Error> {
    codec::from_bytes(bytes).map_err(|e| Error::Damaged(e.to_string()))
}

/// The canonical bytes in column `at`.
pub(super) fn packed_at<T: for<'b> Decode<'b, ()>>(row: &Row<'_>, at: usize) -> Result<T, Error> {
    unpack(row.get_ref(at)?.as_blob().map_err(wrong_type)?)
}

/// The canonical bytes in column `at`, which may be NULL.
pub(super) fn packed_or_null_at<T: for<'b> Decode<'b, ()>>(
    row: &Row<'_>,
    at: usize,
) -> Result<Option<T>, Error> {
    let bytes = row.get_ref(at)?.as_blob_or_null().map_err(wrong_type)?;
    bytes.map(unpack).transpose()
}

fn wrong_type(error: rusqlite::types::FromSqlError) -> Error {
    Error::Damaged(error.to_string())
}

/// Run a statement that returns no rows.
pub(super) fn execute(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, Error> {
    Ok(statement(conn, sql)?.execute(params)?)
}

/// The one row of a query, if there is one.
pub(super) fn query_one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut statement = statement(conn, sql)?;
    let mut rows = statement.query_and_then(params, read)?;
    rows.next().transpose()
}

pub(super) fn query_all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    statement(conn, sql)?.query_and_then(params, read)?.collect()
}

/// The first column of a query's one row, if there is one.
pub(super) fn query_value<T: FromSql>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Option<T>, Error> {
    Ok(statement(conn, sql)?.query_row(params, |row| row.get(0)).optional()?)
}

pub(super) fn statement<'c>(conn: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, Error> {
    Ok(conn.prepare_cached(sql)?)
}
