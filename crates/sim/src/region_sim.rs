//! Driving a region: its disk, its process, and its links to peers.
//!
//! A turn begins a transaction, lets the production node work, commits, and only then lets the
//! outputs leave. A crash may come before the commit (the transaction is undone) or after it (what
//! was to be sent is lost); either way the process is gone and everybody hangs up.

use crate::losses::{Had, Known};
use crate::net::{End, Link, Pipe};
use crate::world::{EPOCH_MS, Event, World};
use landfall_model::id::RegionId;
use landfall_sync::mutant::Mutant;
use landfall_sync::region::Config;
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::node::{LinkId, Node, Output, Report, SessionId};
use landfall_sync::wire;
use prost::Message;
use std::collections::BTreeSet;

#[derive(Debug)]
pub struct RegionSim {
    pub store: MemoryStore,
    /// The process; `None` while it is down.
    pub node: Option<Node>,
    /// Counts processes.
    pub life: u64,
    pub offset_ms: i64,
    pub lost: bool,
    pub known: Known,
    /// The lost regions that its configuration names.
    pub knows_lost: BTreeSet<RegionId>,
    /// Copies of the disk, oldest first.
    pub backup: Option<MemoryStore>,
    /// When data of this region was last lost: restored from a copy, or lost for ever.
    pub losses: Vec<i64>,
    turn_due: bool,
}

impl World {
    pub fn add_regions(&mut self) {
        for region in 0..self.plan.regions {
            let offset_ms =
                if self.plan.region_clocks > 0 { self.rng.between(-600, 600) } else { 0 };
            self.regions.push(RegionSim {
                store: MemoryStore::new(),
                node: None,
                life: 0,
                offset_ms,
                lost: false,
                known: Known::default(),
                knows_lost: BTreeSet::new(),
                backup: None,
                losses: Vec::new(),
                turn_due: false,
            });
            self.open_region(region, true);
        }
        self.after(500, Event::RegionTick);
    }

    /// Regions that have not been declared lost.
    pub fn live_regions(&self) -> Vec<usize> {
        (0..self.regions.len()).filter(|r| !self.regions[*r].lost).collect()
    }

    pub fn lost_regions(&self) -> BTreeSet<RegionId> {
        let lost = (0..self.regions.len()).filter(|r| self.regions[*r].lost);
        lost.map(|r| RegionId(r as u16)).collect()
    }

    fn config(&self, region: usize) -> Config {
        let all = (0..self.regions.len().max(self.plan.regions)).map(|r| RegionId(r as u16));
        let lost = self.lost_regions();
        Config {
            region: RegionId(region as u16),
            placement: 0,
            regions: all.collect(),
            lost,
            copies: 2,
        }
    }

    /// Start the process of a region that is down.
    pub fn open_region(&mut self, region: usize, same_store: bool) {
        if self.regions[region].node.is_some() || self.regions[region].lost {
            return;
        }
        let config = self.config(region);
        self.regions[region].knows_lost.clone_from(&config.lost);
        let (schema, auth) = (self.app.schema.clone(), self.app.authenticator());
        let sim = &mut self.regions[region];
        let now = self.now + sim.offset_ms;
        sim.store.begin();
        let token = "peer".to_owned();
        let node = Node::open(&mut sim.store, config, schema, auth, token, same_store, now)
            .expect("a store in memory does not fail");
        sim.store.commit();
        sim.life += 1;
        sim.turn_due = false;
        let life = node.incarnation();
        sim.node = Some(node);
        self.draining.remove(&region);
        self.say(format!("region {region} up, incarnation +{}", life as i64 - EPOCH_MS));
        for other in self.live_regions() {
            if other != region {
                self.after(1, Event::Redial { asker: region, answerer: other });
                self.after(1, Event::Redial { asker: other, answerer: region });
            }
        }
        self.wake(region);
    }

    /// The process dies: memory and connections are gone, the disk is as last committed.
    pub fn crash_region(&mut self, region: usize, why: &str) {
        if self.regions[region].node.take().is_none() {
            return;
        }
        self.say(format!("region {region} dies {why}"));
        self.regions[region].store.rollback();
        let links: Vec<u64> = self
            .net
            .links
            .iter()
            .filter(|(_, l)| l.asker == region || l.answerer == region)
            .map(|(id, _)| *id)
            .collect();
        links.into_iter().for_each(|l| self.drop_link(l));
        let conns: Vec<u64> =
            self.net.conns.iter().filter(|(_, c)| c.region == region).map(|(id, _)| *id).collect();
        for id in conns {
            let conn = self.net.conns.get_mut(&id).expect("just listed");
            conn.region_up = false;
            if conn.device_up {
                let wait = self.rng.between(1, 400);
                self.after(wait, Event::DeviceHangs { conn: id });
            }
        }
    }

    /// A region has something to do soon.
    pub fn wake(&mut self, region: usize) {
        let sim = &mut self.regions[region];
        if sim.node.is_some() && !sim.turn_due {
            sim.turn_due = true;
            let wait = self.rng.between(0, 3);
            self.after(wait, Event::Turn { region });
        }
    }

    pub fn region_tick(&mut self) {
        for region in self.live_regions() {
            self.wake(region);
            for other in self.live_regions() {
                if other != region && !self.net.linked(region, other) {
                    self.redial(region, other);
                }
            }
        }
        self.after(500, Event::RegionTick);
    }

    pub fn turn(&mut self, region: usize) {
        // What is said in a turn may have been read before what came in the same turn.
        let had = self.had(region);
        let sim = &mut self.regions[region];
        sim.turn_due = false;
        let Some(node) = sim.node.as_mut() else { return };
        sim.store.begin();
        let out = node
            .work(&mut sim.store, self.now + sim.offset_ms)
            .expect("a store in memory does not fail");
        if out.wrote && !self.healing {
            if self.rng.chance(self.plan.crash_before_commit) {
                self.mark("region crash before commit");
                if self.mutant == Some(Mutant::AckBeforeCommit) {
                    self.send_from_region(region, out, &had);
                }
                return self.crash_and_return(region, "before its commit");
            }
            if self.rng.chance(self.plan.crash_after_commit) {
                self.mark("region crash after commit");
                self.regions[region].store.commit();
                return self.crash_and_return(region, "after its commit, before it answers");
            }
        }
        self.regions[region].store.commit();
        let more = out.more;
        self.send_from_region(region, out, &had);
        if more {
            self.wake(region);
        }
    }

    fn crash_and_return(&mut self, region: usize, why: &str) {
        self.crash_region(region, why);
        let wait = self.rng.between(50, 3_000);
        self.after(wait, Event::RegionUp { region });
    }

    fn send_from_region(&mut self, region: usize, out: Output, had: &Had) {
        for report in &out.reports {
            self.note_report(region, report);
        }
        for (SessionId(conn), frame) in out.device {
            self.to_device(conn, &frame, had.clone());
        }
        for (LinkId(link), frame) in out.peer {
            self.send_to_peer(link, region, &frame);
        }
        for SessionId(conn) in out.close {
            self.region_closes(conn);
        }
        for LinkId(link) in out.close_links {
            self.drop_link(link);
        }
    }

    fn note_report(&mut self, region: usize, report: &Report) {
        let mark = match report {
            Report::LogMismatch { .. } => "log mismatch",
            Report::LifeBegan { .. } => "life began",
            Report::LifeEnded { .. } => "life ended",
            Report::RowTooLarge { .. } => "row too large",
            Report::Refused { code } if code == "superseded" => "superseded session stopped",
            Report::Refused { code } if code == "token_expired" => "token expired",
            Report::Refused { .. } => "session refused",
        };
        self.mark(mark);
        self.say(format!("region {region} reports {report:?}"));
    }

    /// A device's frame has arrived.
    pub fn frame_at_region(&mut self, conn: u64, bytes: &[u8]) {
        let Some(c) = self.net.conns.get(&conn).filter(|c| c.region_up) else { return };
        let (region, life, stale) = (c.region, c.life, !c.device_up);
        let sim = &mut self.regions[region];
        let Some(node) = sim.node.as_mut().filter(|_| sim.life == life) else { return };
        let frame = wire::DeviceFrame::decode(bytes).expect("the sim sends whole frames");
        if stale {
            *self.marks.entry("stale frame").or_default() += 1;
        }
        self.trace.mix(bytes);
        node.device_frame(SessionId(conn), frame);
        self.wake(region);
    }

    pub fn region_hangs(&mut self, conn: u64) {
        let Some(c) = self.net.conns.get_mut(&conn) else { return };
        let (region, life) = (c.region, c.life);
        let was_up = std::mem::take(&mut c.region_up);
        let sim = &mut self.regions[region];
        if let Some(node) = sim.node.as_mut().filter(|_| was_up && sim.life == life) {
            node.device_gone(SessionId(conn));
        }
        self.forget_conn(conn);
    }

    fn send_to_peer(&mut self, link: u64, from: usize, frame: &wire::PeerFrame) {
        let latency = self.latency();
        let Some(l) = self.net.links.get_mut(&link).filter(|l| l.up) else { return };
        let side = usize::from(l.asker == from);
        let at = l.pipes[side].arrival(self.now, latency);
        self.schedule(at, Event::Peer { link, side, bytes: frame.encode_to_vec() });
    }

    /// A frame reaches the asker (`side` 0) or the answerer (`side` 1) of a link.
    pub fn frame_at_peer(&mut self, link: u64, side: usize, bytes: &[u8]) {
        let Some(l) = self.net.links.get(&link).filter(|l| l.up) else { return };
        let to = if side == 0 { l.asker } else { l.answerer };
        let (life, from) = (l.lives[side], if side == 0 { l.answerer } else { l.asker });
        let sim = &mut self.regions[to];
        let Some(node) = sim.node.as_mut().filter(|_| sim.life == life) else { return };
        let frame = wire::PeerFrame::decode(bytes).expect("the sim sends whole frames");
        if let Some(wire::peer_frame::Kind::Entries(e)) = &frame.kind {
            let batches = e.batches.len();
            self.trace.say(self.now, format!("region {to} gets {batches} logs of region {from}"));
            let of = |b: &wire::Batch| b.origin.as_ref().map(|o| o.region as usize);
            if e.batches.iter().any(|b| of(b).is_some_and(|origin| origin != from)) {
                *self.marks.entry("log through a third region").or_default() += 1;
            }
        }
        self.trace.mix(bytes);
        node.peer_frame(LinkId(link), frame);
        self.wake(to);
    }

    pub fn drop_link(&mut self, link: u64) {
        let Some(l) = self.net.links.remove(&link) else { return };
        self.mark("link between regions cut");
        for (side, region) in [l.asker, l.answerer].into_iter().enumerate() {
            let sim = &mut self.regions[region];
            if let Some(node) = sim.node.as_mut().filter(|_| sim.life == l.lives[side]) {
                node.link_down(LinkId(link));
                self.wake(region);
            }
        }
        let wait = self.rng.between(20, 500);
        self.after(wait, Event::Redial { asker: l.asker, answerer: l.answerer });
    }

    pub fn redial(&mut self, asker: usize, answerer: usize) {
        let up = |r: usize| self.regions[r].node.is_some() && !self.regions[r].lost;
        let reach = self.net.reaches(End::Region(asker), End::Region(answerer));
        if !up(asker) || !up(answerer) || !reach || self.net.linked(asker, answerer) {
            return;
        }
        let id = self.net.id();
        let lives = [self.regions[asker].life, self.regions[answerer].life];
        let pipes = [Pipe::default(); 2];
        self.net.links.insert(id, Link { asker, answerer, lives, pipes, up: true });
        for (region, asks) in [(asker, true), (answerer, false)] {
            let node = self.regions[region].node.as_mut().expect("checked above");
            node.link_up(LinkId(id), asks);
            self.wake(region);
        }
    }
}
