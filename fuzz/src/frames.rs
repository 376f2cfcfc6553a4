//! Frames, as they come out of a socket: in pieces, of either side, packed or not.
//!
//! The first byte of an input says whose frames they are and how the rest is taken: as bytes of the
//! stream as it is, or as the body of one frame. Packing is done here, since no change to packed
//! bytes unpacks. The second byte is the size of the pieces.

use crate::{KIB, MIB, world};
use landfall_sync::limits;
use landfall_sync::wire::{self, Body, DeviceFrame, FrameReader, PeerFrame, RegionFrame};
use prost::Message;
use std::fmt::Debug;

/// Besides what a frame may come to, its bytes themselves, packed and not.
pub const MEMORY_MAX: usize = 2 * limits::FRAME_MEMORY_MAX + 2 * limits::FRAME_BYTES_MAX + MIB;

const PACKED: u8 = 1;

/// Unpacked, a body is repeated this often, so that a few bytes are a large message.
const REPEATED: usize = 64 * KIB;

pub fn run(input: &[u8]) {
    let [how, piece, rest @ ..] = input else { return };
    let (codec, body) = match (how >> 2) % 4 {
        0 => {
            return read_any(*how, *piece, rest);
        }
        1 => (0, rest.to_vec()),
        2 => (PACKED, pack(rest)),
        _ => (PACKED, pack(&rest.repeat(REPEATED / rest.len().max(1)))),
    };
    let mut stream = (body.len() as u32 + 1).to_be_bytes().to_vec();
    stream.push(codec);
    stream.extend(body);
    read_any(*how, *piece, &stream);
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("packing in memory does not fail")
}

fn read_any(how: u8, piece: u8, stream: &[u8]) {
    match how % 4 {
        0 => read::<DeviceFrame>(stream, piece),
        1 => read::<RegionFrame>(stream, piece),
        2 => read::<PeerFrame>(stream, piece),
        _ => {
            let body = wire::read_body(&stream.to_vec().into());
            body.iter().for_each(|body| drop(body.encode_to_vec()));
        }
    }
}

/// All frames of a stream, in pieces; what was read comes back as it went when it is sent on.
fn read<M: wire::Frame + Debug + PartialEq>(stream: &[u8], piece: u8) {
    let mut reader = FrameReader::default();
    for bytes in stream.chunks(usize::from(piece).max(1)) {
        reader.push(bytes);
        loop {
            match reader.read::<M>() {
                Ok(Some(frame)) => sent_on(&frame),
                Ok(None) => break,
                // The connection ends here.
                Err(error) => {
                    assert!(!error.code().is_empty() && !error.to_string().is_empty());
                    return;
                }
            }
        }
    }
}

fn sent_on<M: wire::Frame + Debug + PartialEq>(frame: &M) {
    let mut bytes = Default::default();
    wire::encode_frame(frame, false, &mut bytes);
    // Sent on, a frame may have become longer: numbers have a longest form, and no shortest.
    if bytes.len() > limits::FRAME_BYTES_MAX {
        return;
    }
    let mut reader = FrameReader::default();
    reader.push(&bytes);
    let again = reader.read::<M>();
    assert_eq!(again.as_ref().map(Option::as_ref), Ok(Some(frame)));
}

/// Seeds by number.
pub fn numbered(name: &str, all: impl IntoIterator<Item = Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    all.into_iter().enumerate().map(|(at, bytes)| (format!("{name}-{at:02}"), bytes)).collect()
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let said = world::conversation();
    let framed = |how: u8, body: Vec<u8>| [vec![how, 7], body].concat();
    let up = said.to_region.iter().map(|f| framed(4, f.encode_to_vec()));
    let down = said.to_device.iter().map(|f| framed(8 + 1, f.encode_to_vec()));
    let peers = said.to_peer.iter().map(|(_, f)| framed(4 + 2, f.encode_to_vec()));
    let bodies = said.to_device.iter().filter_map(|frame| match &frame.kind {
        Some(wire::region_frame::Kind::Delta(delta)) => Some(framed(3, delta.body.to_vec())),
        _ => None,
    });
    let mut stream = Default::default();
    said.to_region.iter().for_each(|frame| wire::encode_frame(frame, true, &mut stream));
    let mut seeds = numbered("up", up);
    seeds.extend(numbered("down", down));
    seeds.extend(numbered("peer", peers));
    seeds.extend(numbered("body", bodies));
    seeds.push(("stream".to_owned(), framed(0, stream.to_vec())));
    // Many small things: a transaction without ops, a device id of no bytes, a row of nothing.
    let push = wire::Push { transactions: vec![Default::default()] };
    let hello = wire::Hello { devices: vec![Default::default(); 9], ..Default::default() };
    let up = [wire::device_frame::Kind::Push(push), wire::device_frame::Kind::Hello(hello)];
    let up = up.map(|kind| framed(12, DeviceFrame { kind: Some(kind) }.encode_to_vec()));
    seeds.extend(numbered("many", up));
    let rows = Body { rows: vec![Default::default()], masks: vec![] };
    seeds.push(("many-rows".to_owned(), framed(12 + 3, rows.encode_to_vec())));
    seeds
}
