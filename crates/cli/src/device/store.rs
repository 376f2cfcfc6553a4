//! SQL of a phone's commands, on what lies beside the app's tables.

use landfall_device::{Client, Error, SqlValue};

/// Devices, in hexadecimal, whose write of this number is in the file: this one, and those that it
/// was before its file was copied.
pub(super) fn devices_with(client: &Client, seq: u64) -> Result<Vec<String>, Error> {
    let sql = "SELECT lower(hex(device)) FROM _lf_op WHERE seq = ?1
        UNION SELECT lower(hex(device)) FROM _lf_void WHERE seq = ?1
        UNION SELECT lower(hex(device)) FROM _lf_meta";
    let rows = client.query(sql, [SqlValue::Integer(seq.cast_signed())])?;
    let text = |row: &landfall_device::Row| row.values().first()?.as_str().map(str::to_owned);
    Ok(rows.iter().filter_map(text).collect())
}
