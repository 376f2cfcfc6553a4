//! A region that hears any frames of a device that was let in, of one that was not, and of a peer.
//!
//! An input is a row of frames: who says it (one byte), its length (two), and the message. Whatever
//! was said, what did not count as a write left the store as it was, the node goes on for others,
//! and it opens again on its store.

use crate::world::{self, Region};
use landfall_model::id::DeviceId;
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::node::{LinkId, SessionId};
use landfall_sync::wire::{self, DeviceFrame, PeerFrame, device_frame, region_frame};
use prost::Message;

/// Turns after one frame: a pass over a few rows needs no more.
const TURNS_MAX: usize = 8;

pub fn run(input: &[u8]) {
    let mut region = Region::new(1);
    greet(&mut region, SessionId(0), DeviceId::from_number(1));
    region.node.link_up(LinkId(0), true);
    region.node.link_up(LinkId(1), false);
    region.work();
    for (who, body) in pieces(input) {
        match who % 4 {
            0 | 1 => {
                let Ok(frame) = DeviceFrame::decode(body) else { continue };
                region.node.device_frame(SessionId(u64::from(who % 2)), frame);
            }
            link => {
                let Ok(frame) = PeerFrame::decode(body) else { continue };
                region.node.peer_frame(LinkId(u64::from(link % 2)), frame);
            }
        }
        turns(&mut region);
    }
    let other = greet(&mut region, SessionId(9), DeviceId([0xe7; 16]));
    assert!(other, "a device that said nothing wrong is welcome");
    Region::on(region.store, 1);
}

fn turns(region: &mut Region) {
    for _ in 0..TURNS_MAX {
        let before = print(&region.store);
        let out = region.work();
        assert!(out.wrote || print(&region.store) == before, "what changed is said to have");
        if !out.more {
            break;
        }
    }
}

/// Everything that the store holds, in words: each of its tables, as it is kept.
fn print(store: &MemoryStore) -> String {
    format!("{store:?}")
}

/// True if the device is welcome.
fn greet(region: &mut Region, session: SessionId, device: DeviceId) -> bool {
    let hello = wire::Hello {
        versions: vec![1],
        devices: vec![device.0.to_vec().into()],
        credit: 1 << 20,
        ..Default::default()
    };
    let frame = DeviceFrame { kind: Some(device_frame::Kind::Hello(hello)) };
    region.node.device_frame(session, frame);
    let out = region.work();
    out.device.iter().any(|(to, frame)| {
        *to == session && matches!(frame.kind, Some(region_frame::Kind::Welcome(_)))
    })
}

/// The frames of an input, each with who says it. The last one may be shorter than it says.
pub fn pieces(mut input: &[u8]) -> Vec<(u8, &[u8])> {
    let mut pieces = Vec::new();
    while let [who, high, low, rest @ ..] = input {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (body, behind) = rest.split_at(length);
        pieces.push((*who, body));
        input = behind;
    }
    pieces
}

/// An input of these frames; what is longer than an input says is left out.
pub fn joined<'m, M: Message + 'm>(frames: impl IntoIterator<Item = (u8, &'m M)>) -> Vec<u8> {
    let mut input = Vec::new();
    for (who, frame) in frames {
        let body = frame.encode_to_vec();
        if let Ok(length) = u16::try_from(body.len()) {
            input.push(who);
            input.extend(length.to_be_bytes());
            input.extend(body);
        }
    }
    input
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let said = world::conversation();
    let all = joined(said.to_region.iter().map(|frame| (1, frame)));
    let greeted = |frame: &&DeviceFrame| !matches!(frame.kind, Some(device_frame::Kind::Hello(_)));
    let behind = joined(said.to_region.iter().filter(greeted).map(|frame| (0, frame)));
    let peers = joined(said.to_peer.iter().map(|(asks, frame)| (if *asks { 2 } else { 3 }, frame)));
    let mut seeds = vec![
        ("device".to_owned(), all),
        ("greeted".to_owned(), behind),
        ("peer".to_owned(), peers),
    ];
    for (at, frame) in said.to_region.iter().enumerate() {
        seeds.push((format!("one-{at:02}"), joined([(0, frame)])));
    }
    seeds
}
