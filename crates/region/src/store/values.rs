//! How numbers, keys and canonical bytes stand in columns.

use landfall_model::codec;
use landfall_model::id::{EntityKey, TypeId};
use minicbor::{Decode, Encode};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::error::Error;

/// An unsigned number in a column of type ANY. SQLite's integers are signed; what does not fit
/// is eight bytes, which sort behind every integer, so order holds over the whole range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number(pub u64);

impl ToSql for Number {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match i64::try_from(self.0) {
            Ok(n) => n.into(),
            Err(_) => self.0.to_be_bytes().to_vec().into(),
        })
    }
}

impl FromSql for Number {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(n) => {
                u64::try_from(n).map(Self).map_err(|_| FromSqlError::OutOfRange(n))
            }
            ValueRef::Blob(bytes) => Ok(Self(u64::from_be_bytes(array(bytes)?))),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// Bytes of a fixed length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes16(pub [u8; 16]);

impl ToSql for Bytes16 {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

impl FromSql for Bytes16 {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(array(value.as_blob()?)?))
    }
}

fn array<const N: usize>(bytes: &[u8]) -> FromSqlResult<[u8; N]> {
    let blob_size = bytes.len();
    bytes.try_into().map_err(|_| FromSqlError::InvalidBlobSize { expected_size: N, blob_size })
}

/// Canonical bytes of anything that the model can encode.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    codec::to_bytes(value)
}

pub fn decode<'b, T: Decode<'b, ()>>(what: &'static str, bytes: &'b [u8]) -> Result<T, Error> {
    codec::from_bytes(bytes).map_err(|e| Error::Damaged { what, detail: e.to_string() })
}

/// A key's bytes: home scope, end mark, type, id. They sort as keys do, whatever the names hold:
/// a zero byte in a home scope becomes 0 2, and the end mark is 0 1.
pub fn key_bytes(key: &EntityKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.home.len() + key.id.len() + 6);
    push_home(&mut bytes, &key.home);
    bytes.extend([0, 1]);
    bytes.extend(key.kind.0.to_be_bytes());
    bytes.extend(key.id.as_bytes());
    bytes
}

/// What the bytes of every key of a home scope are above, and below.
pub fn home_bytes(home: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    push_home(&mut from, home);
    push_home(&mut to, home);
    from.extend([0, 1]);
    to.extend([0, 2]);
    (from, to)
}

fn push_home(bytes: &mut Vec<u8>, home: &str) {
    for &b in home.as_bytes() {
        bytes.push(b);
        if b == 0 {
            bytes.push(2);
        }
    }
}

pub fn key_from_bytes(bytes: &[u8]) -> Result<EntityKey, Error> {
    split_key(bytes).ok_or_else(|| Error::Damaged {
        what: "an entity's key",
        detail: "it does not end its home scope".to_owned(),
    })
}

fn split_key(bytes: &[u8]) -> Option<EntityKey> {
    let mut home = Vec::new();
    let mut at = 0;
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (0, Some(1)) => break,
            (0, Some(2)) => {
                home.push(0);
                at += 2;
            }
            (0, _) => return None,
            (b, _) => {
                home.push(b);
                at += 1;
            }
        }
    }
    let kind = u32::from_be_bytes(bytes.get(at + 2..at + 6)?.try_into().ok()?);
    let id = std::str::from_utf8(bytes.get(at + 6..)?).ok()?;
    Some(EntityKey::new(std::str::from_utf8(&home).ok()?, TypeId(kind), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_bytes_do() {
        let names = ["", "\0", "\0\u{1}", "\u{1}", "a", "a\0", "a\0b", "a\u{1}", "aa", "b", "é"];
        let mut keys = Vec::new();
        for home in names {
            for kind in [0, 1, 255, 256, u32::MAX] {
                keys.extend(names.map(|id| EntityKey::new(home, TypeId(kind), id)));
            }
        }
        for a in &keys {
            assert_eq!(key_from_bytes(&key_bytes(a)).unwrap(), *a);
            for b in &keys {
                assert_eq!(a.cmp(b), key_bytes(a).cmp(&key_bytes(b)), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn a_key_that_was_not_written_here_is_damage() {
        for bytes in [&b""[..], b"a", b"a\0", b"a\0\x03", b"a\0\x01\0\0", b"\xff\0\x01\0\0\0\0"] {
            assert!(key_from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
