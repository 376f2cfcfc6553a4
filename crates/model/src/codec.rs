//! Canonical bytes: deterministic CBOR (RFC 8949, section 4.2.1) of the types of this crate, but
//! that maps ascend by key as the keys' own types order them, not as their bytes do.
//!
//! Structs are arrays in order of their field numbers, absent fields at their end left out; enums
//! are `[variant, [fields...]]`. A reader skips array items that it does not know. All of it is
//! written down for other implementations in `docs/encoding.md`.

use crate::op::DecodeError;
use minicbor::{Decode, Encode};

/// Room for what most values take, so that the buffer does not grow step by step.
const BYTES_MOST: usize = 256;

/// Encode to a fresh buffer.
pub fn to_bytes<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES_MOST);
    minicbor::encode(value, &mut bytes).expect("encoding to memory does not fail");
    bytes
}

/// Decode the whole of `bytes`.
pub fn from_bytes<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    check_shape(bytes)?;
    from_checked_bytes(bytes)
}

/// Decode the whole of bytes that have been decoded before.
pub(crate) fn from_checked_bytes<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|e| DecodeError::Malformed(e.to_string()))?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        left => Err(DecodeError::TrailingBytes(left)),
    }
}

/// How deep arrays and maps may nest in anything that we decode. Each value object needs 4, a list
/// 3, any other value 2.
pub const NESTING_MAX: usize = 64;

/// What an op leaves of that for a value: it needs at most 9 around one. The compiler refuses a
/// schema whose values need more, so that no device makes an op that nobody can read.
pub const VALUE_NESTING_MAX: usize = NESTING_MAX - 9;

/// Refuse indefinite lengths, tags and deep nesting before anything recursive looks at the bytes.
fn check_shape(bytes: &[u8]) -> Result<(), DecodeError> {
    let malformed = |what: &str| DecodeError::Malformed(what.to_owned());
    let mut at = 0;
    // What is left to read of each array and map that is open, and how many are.
    let (mut open, mut depth) = ([0_u64; NESTING_MAX], 0);
    while at < bytes.len() {
        let (major, length, next) = header(bytes, at).ok_or_else(|| malformed("bad header"))?;
        at = next;
        let opened = match major {
            2 | 3 => {
                let length = usize::try_from(length).map_err(|_| malformed("too long"))?;
                at = at.checked_add(length).ok_or_else(|| malformed("too long"))?;
                if at > bytes.len() {
                    return Err(malformed("ends early"));
                }
                None
            }
            4 => Some(length),
            5 => Some(length.checked_mul(2).ok_or_else(|| malformed("too long"))?),
            6 => return Err(malformed("tags are not used")),
            _ => None,
        };
        if let Some(items) = opened {
            *open.get_mut(depth).ok_or_else(|| malformed("nested too deep"))? = items;
            depth += 1;
        }
        // An item is complete unless it opened an array or map; completing may close its parents.
        let mut complete = opened.is_none();
        while depth > 0 {
            let left = &mut open[depth - 1];
            if complete {
                *left -= 1;
            }
            if *left > 0 {
                break;
            }
            depth -= 1;
            complete = true;
        }
    }
    Ok(())
}

/// Major type, argument and the offset behind the header at `at`.
fn header(bytes: &[u8], at: usize) -> Option<(u8, u64, usize)> {
    let first = *bytes.get(at)?;
    let (major, info) = (first >> 5, first & 0x1f);
    let width = match info {
        0..=23 => return Some((major, u64::from(info), at + 1)),
        24..=27 => 1usize << (info - 24),
        _ => return None,
    };
    let end = at + 1 + width;
    let argument = bytes.get(at + 1..end)?.iter().fold(0u64, |n, &b| (n << 8) | u64::from(b));
    Some((major, argument, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn deep_nesting_is_refused_before_it_recurses() {
        let mut bytes = Vec::new();
        for _ in 0..500_000 {
            bytes.extend([0x82, 0x07, 0x81, 0x81]);
        }
        assert!(matches!(from_bytes::<Value>(&bytes), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        let huge_text = [0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(from_bytes::<Value>(&huge_text).is_err());
        let huge_map = [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(from_bytes::<Value>(&huge_map).is_err());
    }

    #[test]
    fn what_follows_the_end_is_refused() {
        let mut bytes = to_bytes(&Value::Int(7));
        assert_eq!(from_bytes::<Value>(&bytes), Ok(Value::Int(7)));
        bytes.push(0);
        assert_eq!(from_bytes::<Value>(&bytes), Err(DecodeError::TrailingBytes(1)));
    }
}
