//! A device that hears any frames of a region. Whatever it was told, it can still be written to,
//! shows what was written, and has something to say to the next region.

use crate::region::{joined, pieces};
use crate::world::{self, Device, note, order, put, upsert};
use landfall_model::value::Value;
use landfall_sync::wire::{RegionFrame, region_frame};
use prost::Message;

pub fn run(input: &[u8]) {
    let mut device = Device::new(1);
    device.subscribe("w/lyon");
    device.subscribe("team/red");
    device.write(&[upsert("Order", "o0", &[("w", put("lyon")), ("status", put("open"))])]);
    device.write(&[upsert("Note", "n0", &[("team", put("red")), ("title", put("milk"))])]);
    device.hello();
    for (who, body) in pieces(input) {
        let Ok(frame) = RegionFrame::decode(body) else { continue };
        let out = device.frame(frame);
        // Another region is met now and then.
        if out.close.is_some() || who % 8 == 7 {
            device.node.disconnected();
            device.hello();
        }
    }
    device.poll();
    for key in [order("o0"), note("n0"), order("o1")] {
        device.node.view(&mut device.store, &key).expect("a store in memory does not fail");
    }
    device.write(&[upsert("Note", "mine", &[("team", put("red")), ("title", put("bread"))])]);
    let view = device.node.view(&mut device.store, &note("mine"));
    let view = view.expect("a store in memory does not fail").expect("what was written shows");
    let title = view.registers.get(&world::field("Note", "title"));
    assert_eq!(title, Some(&Value::text("bread")));
    device.node.disconnected();
    assert!(!device.hello().frames.is_empty());
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let said = world::conversation();
    let mut seeds = vec![("all".to_owned(), joined(said.to_device.iter().map(|frame| (0, frame))))];
    let welcome = said.to_device.iter().find(|f| is_welcome(f)).expect("a region greets");
    for (at, frame) in said.to_device.iter().filter(|f| !is_welcome(f)).enumerate() {
        seeds.push((format!("one-{at:02}"), joined([(0, welcome), (0, frame)])));
    }
    seeds
}

fn is_welcome(frame: &RegionFrame) -> bool {
    matches!(frame.kind, Some(region_frame::Kind::Welcome(_)))
}
