//! Reading the app's tables: plain SQL on a connection that cannot write.
//!
//! Called on the app's threads and by live queries. A read sees the last committed transaction,
//! waits for no writer and no network, and changes nothing.

pub(crate) mod store;

use landfall_model::id::TypeId;
use landfall_model::schema::{Home, Schema};
use std::sync::Arc;

/// Steps of SQLite's machine after which a read is ended, unless the options say otherwise: minutes on
/// any device.
pub const READ_STEPS_MAX: u64 = 4_000_000_000;

/// Bytes of values in one answer, which is in memory as a whole. A single value has no more than a
/// quarter of it.
pub const READ_BYTES_MAX: usize = 256 << 20;

/// One value of a row, as SQLite has it. What a field's column holds is in [`crate::store`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SqlValue {
    /// NULL.
    #[default]
    Null,
    /// INTEGER: numbers, booleans (0 or 1), instants (microseconds), decimals (minor units).
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
}

impl SqlValue {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(i) => Some(*i),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Real(x) => Some(*x),
            Self::Integer(i) => Some(*i as f64),
            _ => None,
        }
    }

    /// True for NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let more = match self {
            Self::Text(s) => s.len(),
            Self::Blob(b) => b.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
        };
        size_of::<Self>() + more
    }

    /// Equality as bytes: a NaN equals itself.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Real(a), Self::Real(b)) => a.to_bits() == b.to_bits(),
            _ => self == other,
        }
    }
}

impl From<&str> for SqlValue {
    fn from(s: &str) -> Self {
        Self::Text(s.to_owned())
    }
}

impl From<String> for SqlValue {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}

impl From<i64> for SqlValue {
    fn from(i: i64) -> Self {
        Self::Integer(i)
    }
}

impl From<bool> for SqlValue {
    fn from(b: bool) -> Self {
        Self::Integer(b.into())
    }
}

impl From<f64> for SqlValue {
    fn from(x: f64) -> Self {
        Self::Real(x)
    }
}

/// One row of an answer.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) columns: Arc<[String]>,
    pub(crate) values: Arc<[SqlValue]>,
}

impl Row {
    /// Names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Values, in the order of the columns.
    pub fn values(&self) -> &[SqlValue] {
        &self.values
    }

    /// The value of a column by name; `None` if there is no such column.
    pub fn get(&self, column: &str) -> Option<&SqlValue> {
        let at = self.columns.iter().position(|c| c == column)?;
        self.values.get(at)
    }

    /// A column's text; `None` if it is none.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.get(column)?.as_str()
    }

    /// A column's whole number; `None` if it is none.
    pub fn integer(&self, column: &str) -> Option<i64> {
        self.get(column)?.as_i64()
    }
}

/// Rows are equal if their values are; a NaN equals itself.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.values, &other.values)
            || self.values.len() == other.values.len()
                && self.values.iter().zip(other.values.iter()).all(|(a, b)| a.same(b))
    }
}

/// All rows of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub(crate) columns: Arc<[String]>,
    pub(crate) rows: Vec<Row>,
}

impl Rows {
    /// Names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }

    /// The row at a place, from 0 on.
    pub fn get(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    /// The first value of the first row: for counts and sums.
    pub fn scalar(&self) -> Option<&SqlValue> {
        self.rows.first()?.values.first()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// True if rows of this type can be in a scope of this name, by what the schema says.
pub(crate) fn may_hold(schema: &Schema, kind: TypeId, scope: &str) -> bool {
    let Some(root) = schema.root(kind) else { return false };
    let home = match &root.home {
        Home::Scope(template) => template.could_render(scope),
        Home::Parent { .. } => false,
    };
    home || root.audiences.iter().any(|a| a.scope.could_render(scope))
}
