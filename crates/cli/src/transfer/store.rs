//! SQL of imports and exports, on a device's own tables.

use landfall_device::{Client, Error, Row, SqlValue};
use landfall_model::schema::EntityType;

/// Rows that are read at a time.
const PAGE_ROWS: i64 = 500;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The rows behind an id and home scope, in their order: a page of them.
pub(super) fn page(
    client: &Client,
    kind: &EntityType,
    after: Option<(&str, &str)>,
) -> Result<Vec<Row>, Error> {
    let table = quoted(&kind.name);
    let sql = match after {
        Some(_) => format!(
            "SELECT * FROM {table} WHERE (\"id\", \"_home\") > (?, ?)
            ORDER BY \"id\", \"_home\" LIMIT {PAGE_ROWS}"
        ),
        None => format!("SELECT * FROM {table} ORDER BY \"id\", \"_home\" LIMIT {PAGE_ROWS}"),
    };
    let params: Vec<SqlValue> =
        after.into_iter().flat_map(|(id, home)| [id.into(), home.into()]).collect();
    Ok(client.query(&sql, params)?.into_iter().collect())
}

pub(super) fn count(client: &Client, kind: &EntityType) -> Result<i64, Error> {
    let sql = format!("SELECT count(*) FROM {}", quoted(&kind.name));
    Ok(client.query(&sql, [])?.scalar().and_then(SqlValue::as_i64).unwrap_or(0))
}

/// The row that an import writes to; of several with this id, the one in `home`.
pub(super) fn row(
    client: &Client,
    kind: &EntityType,
    id: &str,
    home: Option<&str>,
) -> Result<Option<Row>, Error> {
    let table = quoted(&kind.name);
    let rows = match home {
        Some(home) => {
            let sql = format!("SELECT * FROM {table} WHERE \"id\" = ? AND \"_home\" = ?");
            client.query(&sql, [id.into(), home.into()])?
        }
        None => client.query(&format!("SELECT * FROM {table} WHERE \"id\" = ?"), [id.into()])?,
    };
    Ok(rows.into_iter().next())
}

/// Which device this file is, in hexadecimal, and the number of its last write: it grows with every
/// transaction that writes, and within it.
pub(super) fn last_write(client: &Client) -> Result<(String, u64), Error> {
    let rows = client.query("SELECT hex(device), last_seq FROM _lf_meta", [])?;
    let row = rows.get(0);
    let value = |at: usize| row.and_then(|r| r.values().get(at));
    let device = value(0).and_then(SqlValue::as_str).unwrap_or_default().to_owned();
    let seq = value(1).and_then(SqlValue::as_i64).unwrap_or(0);
    Ok((device, seq.cast_unsigned()))
}
