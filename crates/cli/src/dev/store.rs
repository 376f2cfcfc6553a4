//! SQL of the status page: what phones' files hold, read through the SDK as an app would read it,
//! and what lies beside the app's tables, to explain a row.

use landfall_device::{Client, Error, Row, SqlValue};

/// Rows of a page.
pub(super) const ROWS_MAX: i64 = 60;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Rows of a type whose id begins with some text, in the order of their ids, after one of them.
pub(super) fn rows(
    client: &Client,
    kind: &str,
    from: &str,
    after: &str,
) -> Result<Vec<Row>, Error> {
    let sql = format!(
        "SELECT * FROM {} WHERE substr(\"id\", 1, length(?1)) = ?1 AND \"id\" > ?2
        ORDER BY \"id\", \"_home\" LIMIT {}",
        quoted(kind),
        ROWS_MAX + 1
    );
    Ok(client.query(&sql, [from.into(), after.into()])?.into_iter().collect())
}

pub(super) fn row(client: &Client, kind: &str, id: &str, home: &str) -> Result<Option<Row>, Error> {
    let sql = format!("SELECT * FROM {} WHERE \"id\" = ? AND \"_home\" = ?", quoted(kind));
    Ok(client.query(&sql, [id.into(), home.into()])?.into_iter().next())
}

pub(super) fn count(client: &Client, kind: &str) -> Result<i64, Error> {
    let rows = client.query(&format!("SELECT count(*) FROM {}", quoted(kind)), [])?;
    Ok(rows.scalar().and_then(SqlValue::as_i64).unwrap_or(0))
}

/// Home scopes of a type's rows, some of them.
pub(super) fn homes(client: &Client, kind: &str) -> Result<Vec<String>, Error> {
    let sql = format!("SELECT DISTINCT \"_home\" FROM {} LIMIT 50", quoted(kind));
    let rows = client.query(&sql, [])?;
    Ok(rows.iter().filter_map(|r| r.text("_home").map(str::to_owned)).collect())
}

/// What the device calls itself, in hexadecimal.
pub(super) fn device(client: &Client) -> Result<String, Error> {
    let rows = client.query("SELECT lower(hex(device)) FROM _lf_meta", [])?;
    Ok(rows.scalar().and_then(SqlValue::as_str).unwrap_or_default().to_owned())
}

/// True while another process syncs the file.
pub(super) fn synced_until_ms(client: &Client) -> Result<i64, Error> {
    let rows = client.query("SELECT expires_ms FROM _lf_lease", [])?;
    Ok(rows.scalar().and_then(SqlValue::as_i64).unwrap_or(0))
}

/// The merged state that regions have confirmed of an entity, as canonical bytes.
pub(super) fn state(
    client: &Client,
    (home, kind, id): (&str, u32, &str),
) -> Result<Option<Vec<u8>>, Error> {
    let sql = "SELECT state FROM _lf_base WHERE home = ? AND kind = ? AND id = ?";
    let rows = client.query(sql, [home.into(), i64::from(kind).into(), id.into()])?;
    Ok(rows.scalar().and_then(|value| match value {
        SqlValue::Blob(bytes) => Some(bytes.clone()),
        _ => None,
    }))
}

/// The scopes by which this device holds an entity.
pub(super) fn holds(
    client: &Client,
    (home, kind, id): (&str, u32, &str),
) -> Result<Vec<String>, Error> {
    let sql = "SELECT scope FROM _lf_hold WHERE home = ?1 AND kind = ?2 AND id = ?3
        UNION ALL SELECT home FROM _lf_base
          WHERE home = ?1 AND kind = ?2 AND id = ?3 AND holds = x''
        ORDER BY scope";
    let rows = client.query(sql, [home.into(), i64::from(kind).into(), id.into()])?;
    Ok(rows.iter().filter_map(|r| r.text("scope").map(str::to_owned)).collect())
}

/// Own writes on an entity that are not safe yet.
pub(super) fn waiting(client: &Client, (home, kind, id): (&str, u32, &str)) -> Result<i64, Error> {
    let sql = "SELECT count(*) FROM _lf_op WHERE kind = ? AND id = ? AND home = ? AND state <= 2";
    let rows = client.query(sql, [i64::from(kind).into(), id.into(), home.into()])?;
    Ok(rows.scalar().and_then(SqlValue::as_i64).unwrap_or(0))
}
