//! What a message takes in memory, told from its bytes before it is decoded.
//!
//! A part that is empty costs two bytes on the wire, and next to nothing once it is packed; decoded
//! it costs as much as any other of its kind. So a frame of a kilobyte could stand for gigabytes.
//! This counts what there would be, without making it.

use super::FrameError;
use crate::{limits, wire};
use prost::bytes::{Buf, Bytes};
use prost::encoding::decode_varint;

/// A message that comes in a frame, or in a frame's body.
pub trait Frame: prost::Message + Default {
    /// Which of the messages of the protocol it is.
    const SHAPE: usize;
}

/// Which fields of a message are more than a place in it.
struct Shape {
    /// Bytes of the message itself.
    size: usize,
    /// By the number of the field.
    parts: &'static [(u32, Part)],
}

#[derive(Clone, Copy)]
enum Part {
    /// A message, by its place in `SHAPES`.
    Message(usize),
    /// One of several pieces of bytes or text. What is in them shares the frame's memory, or is no
    /// longer than it.
    Bytes,
    /// Several numbers, packed or not.
    Numbers,
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// Decode, if that takes no more memory than a message may; with what it takes, its bytes among it.
pub(super) fn decode<M: Frame>(bytes: Bytes) -> Result<(M, usize), FrameError> {
    let mut left = limits::FRAME_MEMORY_MAX;
    if !fits(&bytes, M::SHAPE, &mut left) {
        return Err(FrameError::TooManyParts);
    }
    let memory = bytes.len() + limits::FRAME_MEMORY_MAX - left;
    M::decode(bytes).map(|message| (message, memory)).map_err(|_| FrameError::Message)
}

/// Take what the parts of a message need from what is left; false if that is not enough. Bytes that
/// are no message need what stands before the fault, as decoding them does.
fn fits(mut bytes: &[u8], shape: usize, left: &mut usize) -> bool {
    let shape = &SHAPES[shape];
    while let Some((number, content)) = field(&mut bytes) {
        let Some((_, part)) = shape.parts.iter().find(|(n, _)| *n == number) else { continue };
        let needed = match (part, content) {
            (Part::Message(inner), Content::Bytes(content)) => {
                if !fits(content, *inner, left) {
                    return false;
                }
                SHAPES[*inner].size
            }
            (Part::Bytes, Content::Bytes(_)) => size_of::<Bytes>(),
            // Each number ends with a byte that says so.
            (Part::Numbers, Content::Bytes(content)) => {
                content.iter().filter(|b| **b < 0x80).count() * size_of::<u64>()
            }
            (Part::Numbers, Content::Number) => size_of::<u64>(),
            (Part::Message(_) | Part::Bytes, Content::Number) => 0,
        };
        let Some(rest) = left.checked_sub(needed) else { return false };
        *left = rest;
    }
    true
}

enum Content<'b> {
    Number,
    Bytes(&'b [u8]),
}

/// The next field and its number; `None` at the end, or where there is none.
fn field<'b>(bytes: &mut &'b [u8]) -> Option<(u32, Content<'b>)> {
    let tag = decode_varint(bytes).ok()?;
    let number = u32::try_from(tag >> 3).ok()?;
    let fixed = match tag & 7 {
        0 => {
            decode_varint(bytes).ok()?;
            0
        }
        1 => size_of::<u64>(),
        2 => {
            let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
            let (content, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            return Some((number, Content::Bytes(content)));
        }
        // Groups, which no field of ours is: what is in one is skipped, and counted here.
        3 | 4 => 0,
        5 => size_of::<u32>(),
        _ => return None,
    };
    if bytes.remaining() < fixed {
        return None;
    }
    bytes.advance(fixed);
    Some((number, Content::Number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::device_frame::Kind as Up;

    fn taken<M: Frame>(message: &M) -> usize {
        let mut left = usize::MAX;
        assert!(fits(&message.encode_to_vec(), M::SHAPE, &mut left));
        usize::MAX - left
    }

    #[test]
    fn the_parts_of_a_message_are_counted_at_every_depth() {
        let life =
            wire::vector::Life { region: 1, incarnation: 1 << 40, heads: vec![0, 1, 2, 300] };
        let vector = wire::Vector { lives: vec![life; 3] };
        let life_size = size_of::<wire::vector::Life>() + 4 * size_of::<u64>();
        assert_eq!(taken(&vector), 3 * life_size);
        let key = wire::Key { home: "w/lyon".into(), kind: 7, id: String::new() };
        let refetch = wire::Refetch { sub: 1, keys: vec![key; 5], beyond: Some(vector) };
        let frame = wire::DeviceFrame { kind: Some(Up::Refetch(refetch)) };
        let own = size_of::<wire::Refetch>() + size_of::<wire::Vector>();
        assert_eq!(taken(&frame), own + 5 * size_of::<wire::Key>() + 3 * life_size);
        let hello = wire::Hello { devices: vec![Bytes::new(); 9], ..Default::default() };
        assert_eq!(taken(&hello), 9 * size_of::<Bytes>());
    }

    #[test]
    fn bytes_that_are_no_message_are_counted_up_to_the_fault() {
        let check = |bytes: &[u8], expected: usize| {
            let mut left = usize::MAX;
            assert!(fits(bytes, wire::Push::SHAPE, &mut left));
            assert_eq!(usize::MAX - left, expected, "{bytes:?}");
        };
        let transaction = size_of::<wire::push::Transaction>();
        check(&[], 0);
        check(&[0x0a, 0, 0x0a, 0], 2 * transaction);
        check(&[0x0a, 0, 0x0a, 9, 1], transaction);
        check(&[0x0a, 0, 0x0f], transaction);
        check(&[0x0a, 0, 0x09, 1, 2], transaction);
        check(&[0x0b, 0x0a, 0, 0x0c, 0x0d, 1, 2, 3, 4, 0x0a, 0], 2 * transaction);
        check(&[0x08, 0x80], 0);
    }

    #[test]
    fn a_small_frame_that_stands_for_a_large_message_is_refused() {
        let check = |bytes: Vec<u8>| {
            let refused = decode::<wire::Body>(bytes.into());
            assert_eq!(refused, Err(FrameError::TooManyParts));
        };
        check([0x0a, 0].repeat(limits::FRAME_MEMORY_MAX / size_of::<wire::Row>() + 1));
        let rows = limits::FRAME_MEMORY_MAX / size_of::<wire::Row>();
        assert_eq!(decode::<wire::Body>([0x0a, 0].repeat(rows).into()).unwrap().0.rows.len(), rows);
    }
}
