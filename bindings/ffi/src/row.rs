//! Rows, as SQLite has them.

use landfall_device as device;

/// One value of a row.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// INTEGER: numbers, booleans (0 or 1), instants (microseconds since 1970), decimals (in units
    /// of their last place).
    Integer {
        /// The number.
        value: i64,
    },
    /// REAL.
    Real {
        /// The number.
        value: f64,
    },
    /// TEXT; value objects, lists and sets as JSON.
    Text {
        /// The text.
        value: String,
    },
    /// BLOB.
    Blob {
        /// The bytes.
        value: Vec<u8>,
    },
}

impl From<&device::SqlValue> for SqlValue {
    fn from(value: &device::SqlValue) -> Self {
        match value {
            device::SqlValue::Null => Self::Null,
            device::SqlValue::Integer(value) => Self::Integer { value: *value },
            device::SqlValue::Real(value) => Self::Real { value: *value },
            device::SqlValue::Text(value) => Self::Text { value: value.clone() },
            device::SqlValue::Blob(value) => Self::Blob { value: value.clone() },
        }
    }
}

impl From<SqlValue> for device::SqlValue {
    fn from(value: SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Integer { value } => Self::Integer(value),
            SqlValue::Real { value } => Self::Real(value),
            SqlValue::Text { value } => Self::Text(value),
            SqlValue::Blob { value } => Self::Blob(value),
        }
    }
}

/// Parameters of a statement.
pub(crate) fn params(values: Vec<SqlValue>) -> Vec<device::SqlValue> {
    values.into_iter().map(Into::into).collect()
}

/// One row, with the names of its columns.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Row {
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    /// Values, in the order of the columns.
    pub values: Vec<SqlValue>,
}

impl From<&device::Row> for Row {
    fn from(row: &device::Row) -> Self {
        Self { columns: row.columns().to_vec(), values: values(row) }
    }
}

/// The values of a row whose columns are known.
pub(crate) fn values(row: &device::Row) -> Vec<SqlValue> {
    row.values().iter().map(Into::into).collect()
}

/// All rows of an answer.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Rows {
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    /// The rows' values, each in the order of the columns.
    pub rows: Vec<Vec<SqlValue>>,
}

impl From<&device::Rows> for Rows {
    fn from(rows: &device::Rows) -> Self {
        Self { columns: rows.columns().to_vec(), rows: rows.iter().map(values).collect() }
    }
}
