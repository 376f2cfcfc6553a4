//! The region: commits what devices push, replicates with its peers, and tells devices what
//! changed.
//!
//! [`node::Node`] is the whole of it, as its driver sees it. Behind it, in the order in which a
//! write meets them: [`access`] and `checks` (may this be written?), `commit` (accept and log),
//! `merge` (state and change index), `replicate` (peers' logs), `cuts` (the end of a region's
//! life), `forks` (two branches of a log), `feed` (rows for devices), `session` (one device's
//! conversation).
//!
//! Everything durable goes through [`store::Store`]; the rest of a node is rebuilt at its start.

pub mod access;
mod checks;
mod commit;
pub mod conformance;
mod cuts;
mod feed;
mod forks;
mod inbox;
pub mod memory;
mod merge;
pub mod node;
mod parts;
mod replicate;
mod session;
pub mod store;
#[cfg(test)]
mod tests;
mod watch;

use crate::mutant::{self, Mutant};
use landfall_model::id::{RegionId, StreamId};
use landfall_model::schema::Schema;
use landfall_model::vector::{Origin, Position, Vector};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a region is told about its world.
#[derive(Debug, Clone)]
pub struct Config {
    pub region: RegionId,
    pub placement: u16,
    /// All regions of the placement, this one among them.
    pub regions: BTreeSet<RegionId>,
    /// Regions that the operator has declared lost for ever.
    pub lost: BTreeSet<RegionId>,
    /// How many regions must hold an op before its device may drop it from the outbox.
    pub copies: usize,
}

impl Config {
    /// Regions that count: all but the lost.
    pub fn live(&self) -> impl Iterator<Item = RegionId> + '_ {
        self.regions.iter().copied().filter(|r| !self.lost.contains(r))
    }

    /// Copies asked for, or as many as there are live regions.
    pub fn copies_needed(&self) -> usize {
        self.copies.min(self.live().count()).max(1)
    }
}

/// What a peer has said of itself.
#[derive(Debug, Clone, Default)]
struct Peer {
    /// All that it has on disk, as last heard.
    vector: Vector,
    /// A report whose own heads we have caught up with since; what it covers, the peer held before
    /// anything of its own that we lack.
    settled: Vector,
    /// A report that we have yet to catch up with.
    unsettled: Option<Vector>,
    /// Its heads of our logs that are known to have our hashes.
    compared: Vector,
    /// Heard from since this node started.
    heard: bool,
    /// Its present life, as it said in its last greeting.
    incarnation: Option<u64>,
}

/// The parts of a node that its rules share: who it is, and what it knows of the world.
#[derive(Debug)]
struct Core {
    config: Config,
    incarnation: u64,
    schema: Arc<Schema>,
    /// Heads of all logs held; equal to the store's at all times.
    vector: Vector,
    cuts: BTreeMap<Origin, u64>,
    peers: BTreeMap<RegionId, Peer>,
    /// Lives seen in vectors of any kind; those of ended incarnations are to be cut.
    lives: BTreeSet<(RegionId, u64)>,
    /// Heads of this life's own logs when the node started: what lies above was written since.
    opened: Vector,
    /// Own logs of which a peer seems to hold another branch.
    doubts: BTreeMap<(RegionId, Origin), forks::Doubt>,
    /// What a person should hear of.
    reports: Vec<node::Report>,
}

impl Core {
    /// This region's own log for a home scope.
    fn own_origin(&self, home: &str) -> Origin {
        self.own_stream(StreamId::of(self.config.placement, home))
    }

    fn own_stream(&self, stream: StreamId) -> Origin {
        Origin { region: self.config.region, incarnation: self.incarnation, stream }
    }

    /// True if enough regions hold what is at this position.
    fn durable(&self, p: Position) -> bool {
        let here = usize::from(self.vector.contains(p));
        let held = |r: &RegionId| self.peers.get(r).is_some_and(|peer| peer.vector.contains(p));
        let peers = self.config.live().filter(|r| *r != self.config.region).filter(held).count();
        here + peers >= self.config.copies_needed() || mutant::active(Mutant::DurableAtOne)
    }

    /// True if every live region holds it, and held it before anything of theirs that we lack: its
    /// fingerprint is not needed any more.
    fn settled(&self, p: Position) -> bool {
        let holds = |r: &RegionId| self.peers.get(r).is_some_and(|peer| peer.settled.contains(p));
        self.vector.contains(p)
            && self.config.live().filter(|r| *r != self.config.region).all(|r| holds(&r))
    }

    /// Take note of a peer's vector. True if it says more than before.
    fn heard(&mut self, region: RegionId, vector: Vector) -> bool {
        self.lives.extend(vector.iter().map(|(o, _)| (o.region, o.incarnation)));
        let peer = self.peers.entry(region).or_default();
        let news = !peer.heard || !peer.vector.covers(&vector);
        peer.heard = true;
        peer.unsettled.get_or_insert_with(|| vector.clone());
        peer.vector = vector;
        self.settle();
        news
    }

    /// Reports whose senders' own logs we now hold up to where they stood then become settled.
    fn settle(&mut self) {
        for (region, peer) in &mut self.peers {
            let caught_up = |v: &Vector| {
                v.iter().filter(|(o, _)| o.region == *region).all(|(o, s)| self.vector.get(o) >= s)
            };
            if peer.unsettled.as_ref().is_some_and(caught_up) {
                peer.settled = peer.unsettled.take().unwrap_or_default();
            }
        }
    }
}
