//! The network: ordered pipes of bytes that take their time, and may end at any moment.
//!
//! A connection carries frames both ways, each way in order. Between connections there is no
//! order: what was in flight on one that was cut may reach the region after its device has said
//! other things over another.

use std::collections::{BTreeMap, BTreeSet};

/// One direction of a connection: the time at which its last frame arrives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pipe {
    pub busy_until: i64,
}

impl Pipe {
    /// When a frame handed over now arrives.
    pub fn arrival(&mut self, now: i64, latency: i64) -> i64 {
        self.busy_until = self.busy_until.max(now + latency);
        self.busy_until
    }

    /// Nothing arrives before this.
    pub fn stall(&mut self, until: i64) {
        self.busy_until = self.busy_until.max(until);
    }
}

/// A device's connection to a region.
#[derive(Debug, Clone)]
pub struct Conn {
    /// When it was dialled.
    pub since: i64,
    pub device: usize,
    pub region: usize,
    /// The region's process that it was made with.
    pub life: u64,
    pub to_region: Pipe,
    pub to_device: Pipe,
    /// The device still listens.
    pub device_up: bool,
    /// The region still listens.
    pub region_up: bool,
}

/// A region's link to a peer, over which it asks.
#[derive(Debug, Clone)]
pub struct Link {
    pub asker: usize,
    pub answerer: usize,
    pub lives: [u64; 2],
    pub pipes: [Pipe; 2],
    pub up: bool,
}

#[derive(Debug, Default)]
pub struct Net {
    pub conns: BTreeMap<u64, Conn>,
    pub links: BTreeMap<u64, Link>,
    /// Pairs of regions, and of device and region, that cannot reach one another.
    pub apart: BTreeSet<(End, End)>,
    pub last_id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Region(usize),
    Device(usize),
}

impl Net {
    pub fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub fn reaches(&self, a: End, b: End) -> bool {
        !self.apart.contains(&(a.min(b), a.max(b)))
    }

    /// What is on its way is due so much later, and what is handed over next stays behind it.
    pub fn delay(&mut self, now: i64, ms: i64) {
        let conns = self.conns.values_mut().flat_map(|c| [&mut c.to_region, &mut c.to_device]);
        let pipes = conns.chain(self.links.values_mut().flat_map(|l| &mut l.pipes));
        pipes.filter(|p| p.busy_until > now).for_each(|p| p.busy_until += ms);
    }

    pub fn part(&mut self, a: End, b: End) {
        self.apart.insert((a.min(b), a.max(b)));
    }

    pub fn linked(&self, asker: usize, answerer: usize) -> bool {
        self.links.values().any(|l| l.up && l.asker == asker && l.answerer == answerer)
    }
}
