//! A transaction of one home scope is seen whole, or its scope says that it is loading.

use super::*;
use crate::region::Config;
use crate::region::access::{Authenticator, Author, Denial};
use crate::region::memory::MemoryStore as RegionStore;
use crate::region::node::{Node as RegionNode, SessionId};
use std::collections::{BTreeSet, VecDeque};

struct Anybody;

impl Authenticator for Anybody {
    fn device(&self, _: &str, _: i64) -> Result<Author, Denial> {
        let all = || vec!["*".into()];
        let (subject, publishes) = ("ann".into(), Vec::new());
        let (scopes, audiences) = (all(), all());
        Ok(Author { subject, scopes, audiences, publishes, expires_ms: i64::MAX })
    }

    fn peer(&self, _: &str, _: i64) -> Result<(), Denial> {
        Ok(())
    }
}

/// A region and two devices, each with the frames that are under way to it.
struct World {
    node: RegionNode,
    store: RegionStore,
    devices: [Device; 2],
    down: [VecDeque<wire::RegionFrame>; 2],
}

impl World {
    fn new() -> Self {
        let config = Config {
            region: RegionId(0),
            placement: 0,
            regions: [RegionId(0)].into(),
            lost: BTreeSet::new(),
            copies: 1,
        };
        let mut store = RegionStore::new();
        let auth = Box::new(Anybody);
        let node =
            RegionNode::open(&mut store, config, schema(), auth, "peer".into(), false, 1_000)
                .unwrap();
        let devices = [Device::new(1), Device::new(2)];
        Self { node, store, devices, down: Default::default() }
    }

    fn connect(&mut self, d: usize) {
        let device = &mut self.devices[d];
        let out = device.node.hello(&mut device.store, "token", device.now).unwrap();
        device.store.commit();
        self.up(d, out.frames);
    }

    fn up(&mut self, d: usize, frames: Vec<wire::DeviceFrame>) {
        for frame in frames {
            self.node.device_frame(SessionId(d as u64), frame);
        }
        self.store.begin();
        let out = self.node.work(&mut self.store, self.devices[d].now).unwrap();
        self.store.commit();
        for (session, frame) in out.device {
            self.down[session.0 as usize].push_back(frame);
        }
    }

    /// The device takes in one frame; what it answers waits.
    fn down(&mut self, d: usize) -> Vec<wire::DeviceFrame> {
        let frame = self.down[d].pop_front().expect("a frame is under way");
        self.devices[d].frame(frame.kind.unwrap()).frames
    }

    fn settle(&mut self, d: usize) {
        while !self.down[d].is_empty() {
            let frames = self.down(d);
            self.up(d, frames);
        }
    }

    fn write(&mut self, edits: &[Edit]) {
        self.devices[0].write(edits);
        let out = self.devices[0].poll();
        self.devices[0].store.commit_durable();
        self.up(0, out.frames);
        self.settle(0);
    }
}

#[test]
fn a_transaction_made_during_a_pass_is_not_complete_until_all_of_it_is_here() {
    let mut w = World::new();
    w.devices[0].subscribe("team/a");
    w.connect(0);
    w.settle(0);
    let long = "x".repeat(300 << 10);
    let ids: Vec<String> = (10..30).map(|n| n.to_string()).collect();
    for id in &ids {
        w.write(&[task(id, [put(TITLE, long.as_str())])]);
    }
    w.devices[1].subscribe("team/a");
    w.connect(1);
    // All that the region may send before it is given more credit.
    let mut waiting = Vec::new();
    while !w.down[1].is_empty() {
        let frames = w.down(1);
        let greeted = frames.iter().any(|f| matches!(f.kind, Some(ToRegion::Subscribe(_))));
        if greeted { w.up(1, frames) } else { waiting.extend(frames) }
    }
    assert!(w.devices[1].subscription("team/a").loading);
    // The first row has been told, the last has not.
    w.write(&[update("10", [put(TITLE, "new")]), update("29", [put(TITLE, "new")])]);
    w.up(1, waiting);
    loop {
        let [a, b] = ["10", "29"].map(|id| w.devices[1].title(&key(id)) == Some("new".into()));
        let loading = w.devices[1].subscription("team/a").loading;
        assert!(a == b || loading, "half of a transaction is complete: {a} {b}");
        if w.down[1].is_empty() {
            assert!(a && b && !loading);
            return;
        }
        let frames = w.down(1);
        w.up(1, frames);
    }
}

#[test]
fn a_scope_is_loading_between_the_chunks_of_a_region_that_does_not_cover_it() {
    let mut d = Device::new(1);
    d.subscribe("team/a");
    d.connect(0, &[]);
    d.pass(1, vec![], &[], &vector(5, 0));
    assert!(!d.subscription("team/a").loading);
    d.connect(1, &[]);
    d.delta(1, vec![], &[], chunk(&vector(2, 9), false, Some(&key("1")), false));
    assert!(d.subscription("team/a").loading);
    d.delta(1, vec![], &[], chunk(&vector(2, 9), true, None, false));
    assert!(!d.subscription("team/a").loading);
}
