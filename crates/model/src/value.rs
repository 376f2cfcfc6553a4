//! Values of fields, as ops carry them and states keep them.
//!
//! A value knows its own shape, so that a replica whose schema lacks the field can still merge
//! and keep it. What a value means (its scale, its enum) is the schema's business.

use crate::id::FieldId;
use minicbor::decode::{Decoder, Error};
use minicbor::{Decode, Encode};
use std::fmt;

/// A field's value. Equality and order are total (floats by their bits), so values can be
/// elements of sets and states can be compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Value {
    #[n(0)]
    Null,
    #[n(1)]
    Bool(#[n(0)] bool),
    /// Int, Int64, Decimal (unscaled: 12.50 at scale 2 is 1250), Instant (microseconds since
    /// 1970-01-01T00:00:00Z).
    #[n(2)]
    Int(#[n(0)] i64),
    #[n(3)]
    Float(#[n(0)] Float),
    /// String, ID, enum member, Date (`2026-01-31`), LocalTime, ZonedDateTime, JSON, Blob hash.
    #[n(4)]
    Text(#[n(0)] String),
    #[n(5)]
    Bytes(
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        Vec<u8>,
    ),
    /// A value object: one register, its members ascending by field id.
    #[n(6)]
    Object(#[n(0)] Vec<Member>),
    #[n(7)]
    List(#[n(0)] Vec<Value>),
}

/// One member of a value object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct Member {
    #[n(0)]
    pub field: FieldId,
    #[n(1)]
    pub value: Value,
}

/// A double with a total order: its IEEE 754 bits, every NaN the same and -0.0 written as 0.0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Float(#[n(0)] u64);

impl Float {
    /// The quiet NaN without a payload.
    const NAN: Self = Self(0x7ff8_0000_0000_0000);

    pub fn new(v: f64) -> Self {
        if v.is_nan() {
            Self::NAN
        } else if v == 0.0 {
            Self(0)
        } else {
            Self(v.to_bits())
        }
    }

    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl<'b, C> Decode<'b, C> for Float {
    /// Refuses what is not canonical: another NaN, -0.0.
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let bits = d.u64()?;
        match Self::new(f64::from_bits(bits)) {
            float if float.0 == bits => Ok(float),
            _ => Err(Error::message("a float is not canonical")),
        }
    }
}

impl Value {
    pub fn text(s: impl Into<String>) -> Self {
        Self::Text(s.into())
    }

    /// A value object with its members in canonical order.
    pub fn object(members: impl IntoIterator<Item = (FieldId, Value)>) -> Self {
        let mut members: Vec<Member> =
            members.into_iter().map(|(field, value)| Member { field, value }).collect();
        members.sort_by_key(|m| m.field);
        Self::Object(members)
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => write!(f, "null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Float(x) => write!(f, "{}", x.get()),
            Self::Text(s) => write!(f, "{s:?}"),
            Self::Bytes(b) => write!(f, "<{} bytes>", b.len()),
            Self::Object(m) => f.debug_list().entries(m).finish(),
            Self::List(l) => f.debug_list().entries(l).finish(),
        }
    }
}

impl fmt::Debug for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Text(s.into())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Self::Int(i)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Self::Float(Float::new(v))
    }
}
