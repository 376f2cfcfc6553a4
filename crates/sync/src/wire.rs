//! The wire's messages, generated from `proto/wire.proto`, and their framing.
//!
//! On a byte stream a frame is: its length (4 bytes, big-endian, of what follows), a codec byte
//! (0 plain, 1 zstd), and the encoded message. Compression is used towards those who said in
//! their greeting that they read it, and only where it saves something.

mod memory;

pub use generated::*;
pub use memory::Frame;

use crate::limits;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};

#[allow(missing_debug_implementations, clippy::all, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/landfall.wire.v1.rs"));
}

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Below this many bytes compression is not tried.
const COMPRESS_BYTES_MIN: usize = 512;

/// zstd's fastest regular level: phones wait for bytes, not for ratios.
const ZSTD_LEVEL: i32 = 1;

/// Bytes that are no frame. The connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is larger than allowed")]
    TooLarge(usize),
    #[error("the frame's codec {0} is unknown")]
    UnknownCodec(u8),
    #[error("the frame cannot be decompressed")]
    Compression,
    #[error("the frame is not a message of this protocol")]
    Message,
    #[error("the frame has more parts than fit into memory")]
    TooManyParts,
}

impl FrameError {
    /// The stable code that goes over the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) | Self::TooManyParts => "too_large",
            _ => "malformed",
        }
    }
}

/// Append a message as a frame.
pub fn encode_frame(message: &impl Message, compress: bool, out: &mut BytesMut) {
    let plain = message.encode_to_vec();
    if compress
        && plain.len() >= COMPRESS_BYTES_MIN
        && let Ok(packed) = zstd::bulk::compress(&plain, ZSTD_LEVEL)
        && packed.len() < plain.len()
    {
        return put_frame(ZSTD, &packed, out);
    }
    put_frame(PLAIN, &plain, out);
}

fn put_frame(codec: u8, body: &[u8], out: &mut BytesMut) {
    out.reserve(5 + body.len());
    out.put_u32(body.len() as u32 + 1);
    out.put_u8(codec);
    out.put_slice(body);
}

/// The rows of a Delta.
pub fn read_body(body: &Bytes) -> Result<Body, FrameError> {
    memory::decode(body.clone()).map(|(body, _)| body)
}

/// Takes bytes in as they come and gives whole messages out.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    bytes_max: usize,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), bytes_max: limits::FRAME_BYTES_MAX }
    }
}

impl FrameReader {
    /// Refuse frames that are larger from here on, before or after decompression: who has not said
    /// yet who it is has no large ones. Never more than [`limits::FRAME_BYTES_MAX`].
    pub fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max.min(limits::FRAME_BYTES_MAX);
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// True between frames. At the end of a stream, anything else is a frame that was cut off.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next whole message, if it has arrived.
    pub fn read<M: Frame>(&mut self) -> Result<Option<M>, FrameError> {
        Ok(self.read_sized()?.map(|(message, _)| message))
    }

    /// The next whole message, and the bytes that it takes in memory.
    pub fn read_sized<M: Frame>(&mut self) -> Result<Option<(M, usize)>, FrameError> {
        let Some(mut header) = self.buffer.get(..4) else { return Ok(None) };
        let length = header.get_u32() as usize;
        if length == 0 || length > self.bytes_max {
            return Err(FrameError::TooLarge(length));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        let mut frame = self.buffer.split_to(length).freeze();
        let body = match frame.get_u8() {
            PLAIN => frame,
            ZSTD => self.decompressed(&frame)?,
            other => return Err(FrameError::UnknownCodec(other)),
        };
        memory::decode(body).map(Some)
    }

    fn decompressed(&self, frame: &[u8]) -> Result<Bytes, FrameError> {
        // One that does not say how large it is, or says less than it is, fails below.
        let said = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
        if let Some(length) = said.and_then(|length| usize::try_from(length).ok())
            && length > self.bytes_max
        {
            return Err(FrameError::TooLarge(length));
        }
        let body = zstd::bulk::decompress(frame, self.bytes_max);
        body.map(Bytes::from).map_err(|_| FrameError::Compression)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_frame(bytes: usize) -> DeviceFrame {
        let transaction = push::Transaction { ops: vec![vec![7; bytes].into()] };
        let push = Push { transactions: vec![transaction] };
        DeviceFrame { kind: Some(device_frame::Kind::Push(push)) }
    }

    #[test]
    fn frames_come_back_whole_however_they_are_cut() {
        let mut bytes = BytesMut::new();
        encode_frame(&push_frame(10), true, &mut bytes);
        encode_frame(&push_frame(100_000), true, &mut bytes);
        assert!(bytes.len() < 10_000, "a long run of one byte compresses");
        let mut reader = FrameReader::default();
        let mut got = Vec::new();
        for chunk in bytes.chunks(7) {
            reader.push(chunk);
            while let Some(frame) = reader.read::<DeviceFrame>().unwrap() {
                got.push(frame);
            }
        }
        assert_eq!(got, [push_frame(10), push_frame(100_000)]);
    }

    #[test]
    fn a_limit_counts_before_and_after_decompression() {
        let read = |frame: DeviceFrame, compress: bool, limit: usize| {
            let (mut bytes, mut reader) = (BytesMut::new(), FrameReader::default());
            encode_frame(&frame, compress, &mut bytes);
            reader.push(&bytes);
            reader.limit(limit);
            reader.read::<DeviceFrame>().map(|frame| frame.is_some())
        };
        assert_eq!(read(push_frame(2_000), false, 4_096), Ok(true));
        assert_eq!(read(push_frame(2_000), true, 4_096), Ok(true));
        assert!(matches!(read(push_frame(9_000), false, 4_096), Err(FrameError::TooLarge(_))));
        assert!(matches!(read(push_frame(9_000), true, 4_096), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn oversized_and_unreadable_frames_are_typed_errors() {
        let mut reader = FrameReader::default();
        reader.push(&u32::MAX.to_be_bytes());
        assert!(matches!(reader.read::<DeviceFrame>(), Err(FrameError::TooLarge(_))));
        for (codec, body) in [(9u8, vec![1]), (ZSTD, vec![1, 2, 3]), (PLAIN, vec![0xff; 9])] {
            let mut out = BytesMut::new();
            put_frame(codec, &body, &mut out);
            let mut reader = FrameReader::default();
            reader.push(&out);
            assert!(reader.read::<DeviceFrame>().is_err());
        }
    }
}
