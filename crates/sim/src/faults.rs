//! What goes wrong, and how it is made good again.

use crate::device_sim::DeviceSim;
use crate::net::End;
use crate::world::{Event, World};
use landfall_model::id::{EntityKey, RegionId, Scope};
use landfall_sync::device::memory::MemoryStore;
use landfall_sync::device::node::Output;
use landfall_sync::device::store::Store;
use std::collections::BTreeSet;

/// How often the fault clock ticks.
const TICK_MS: i64 = 200;

/// Files that are copied in one world.
const CLONES_MAX: usize = 3;

impl World {
    pub fn fault_tick(&mut self) {
        if self.healing {
            return;
        }
        self.network_faults();
        if !self.devices.is_empty() {
            self.device_faults();
            self.disk_faults();
        }
        self.region_faults();
        if self.plan.visit > 0 && self.rng.chance(self.plan.visit) {
            self.begin_visit();
        }
        self.operations();
        self.after(TICK_MS, Event::Fault);
    }

    fn network_faults(&mut self) {
        if self.rng.chance(self.plan.cut) {
            let device = self.rng.below(self.devices.len());
            if self.devices.get(device).is_some_and(|d| d.conn.is_some()) {
                self.say(format!("{} loses its connection", self.devices[device].name));
                self.hang_up(device, true);
                let wait = self.rng.between(10, 1_500);
                self.after(wait, Event::Dial { device });
            }
        }
        if self.rng.chance(self.plan.cut_link) {
            let links: Vec<u64> = self.net.links.keys().copied().collect();
            if let Some(&link) = self.rng.pick(&links) {
                self.drop_link(link);
            }
        }
        if self.rng.chance(self.plan.partition) {
            self.partition();
        }
        if self.rng.chance(self.plan.stall) {
            let links: Vec<u64> = self.net.links.keys().copied().collect();
            let until = self.now + self.rng.between(200, 4_000);
            let side = self.rng.below(2);
            if let Some(link) = self.rng.pick(&links).and_then(|l| self.net.links.get_mut(l)) {
                link.pipes[side].stall(until);
                *self.marks.entry("pipe stalled").or_default() += 1;
            }
            let conns: Vec<u64> = self.net.conns.keys().copied().collect();
            if let Some(conn) = self.rng.pick(&conns).and_then(|c| self.net.conns.get_mut(c)) {
                let pipe = if side == 0 { &mut conn.to_region } else { &mut conn.to_device };
                pipe.stall(until);
            }
        }
    }

    fn partition(&mut self) {
        let regions = self.live_regions();
        let Some(&a) = self.rng.pick(&regions) else { return };
        let b = if self.devices.is_empty() || self.rng.chance(700) {
            End::Region(regions[self.rng.below(regions.len())])
        } else {
            End::Device(self.rng.below(self.devices.len()))
        };
        let a = End::Region(a);
        if a == b {
            return;
        }
        self.say(format!("{a:?} and {b:?} cannot reach one another"));
        self.net.part(a, b);
        self.mark(match b {
            End::Region(_) => "regions apart",
            End::Device(_) => "device and region apart",
        });
        let cut = |l: &crate::net::Link| {
            let ends = [End::Region(l.asker), End::Region(l.answerer)];
            ends.contains(&a) && ends.contains(&b)
        };
        let links: Vec<u64> =
            self.net.links.iter().filter(|(_, l)| cut(l)).map(|(id, _)| *id).collect();
        links.into_iter().for_each(|l| self.drop_link(l));
        if let End::Device(device) = b {
            let hedge = self.devices[device].hedge.and_then(|c| self.net.conns.get(&c));
            if hedge.is_some_and(|c| End::Region(c.region) == a) {
                self.end_hedge(device);
            }
            let with = self.devices[device].conn.and_then(|c| self.net.conns.get(&c));
            if with.is_some_and(|c| End::Region(c.region) == a) {
                self.hang_up(device, true);
                self.after(50, Event::Dial { device });
            }
        }
        let wait = self.rng.between(500, 8_000);
        self.after(wait, Event::Join(a, b));
    }

    fn device_faults(&mut self) {
        let device = self.rng.below(self.devices.len());
        if self.rng.chance(self.plan.kill) && self.devices[device].node.is_some() {
            self.say(format!("{} is killed", self.devices[device].name));
            self.kill_device(device);
        }
        if self.rng.chance(self.plan.offline) {
            let until = self.now + self.rng.between(1_000, 20_000);
            self.say(format!("{} goes offline", self.devices[device].name));
            self.mark("device offline");
            self.devices[device].offline_until = until;
            self.hang_up(device, true);
            self.schedule(until, Event::Dial { device });
        }
        if self.rng.chance(self.plan.subscribe) {
            self.change_subscriptions(device);
        }
        if self.plan.evict > 0 && self.rng.chance(self.plan.evict) {
            self.evict(device);
        }
        if self.plan.hedge > 0 && self.rng.chance(self.plan.hedge) {
            match self.rng.below(4) {
                0 => self.promote(device),
                1 if self.rng.chance(300) => self.end_hedge(device),
                _ => self.hedge(device),
            }
        }
        if self.plan.device_clocks > 0 && self.rng.chance(30) {
            // Within a process, time is anchored to a monotonic clock.
            self.kill_device(device);
            self.devices[device].skew_ms = self.skew();
        }
    }

    /// A device has no room: some rows go, now and then one is pinned, and now and then what went is
    /// asked for again.
    fn evict(&mut self, device: usize) {
        let rows = 1 + self.rng.below(4);
        let shown: Vec<EntityKey> = self.devices[device].store.visible().keys().cloned().collect();
        let pinned = self.rng.pick(&shown).cloned().filter(|_| self.rng.chance(200));
        let refill = self.rng.chance(150);
        if pinned.is_some() {
            self.mark("row pinned or let loose");
        }
        self.say(format!("{} evicts {rows} rows", self.devices[device].name));
        let before = self.bases(device);
        let pinned = pinned.map(|key| {
            let on = !self.oracle.asked.is_pinned(device, &key);
            (key, on)
        });
        let done = self.device_call(device, |node, store, now| {
            let mut out = Output::default();
            if let Some((key, on)) = pinned.clone() {
                out = node.pin(store, &key, on).expect("a store in memory does not fail");
            }
            let (_, more) =
                node.make_room(store, rows, now).expect("a store in memory does not fail");
            out.frames.extend(more.frames);
            out.events.extend(more.events);
            out.durable |= more.durable;
            out
        });
        if let Some((key, on)) = pinned.filter(|_| done) {
            self.oracle.asked.pin(device, key, on);
        }
        let gone = self.check_evicted(device, &before);
        if !gone.is_empty() {
            self.mark("evicted");
        }
        self.oracle.evicted.extend(gone.into_iter().map(|key| (device, key)));
        if refill {
            self.mark("evicted rows asked for again");
            self.refill(device);
        }
    }

    /// Ask again for all that was evicted.
    pub fn refill(&mut self, device: usize) {
        let wants: Vec<Scope> = self.devices[device].wants.iter().cloned().collect();
        for scope in wants {
            self.device_call(device, |node, store, _| {
                node.refill(store, &scope).expect("a store in memory does not fail")
            });
        }
    }

    fn change_subscriptions(&mut self, device: usize) {
        let all = self.app.accounts[&self.devices[device].subject].wants.clone();
        let Some(scope) = self.rng.pick(&all).cloned() else { return };
        if self.devices[device].wants.contains(&scope) {
            self.unsubscribe(device, &scope);
        } else {
            self.subscribe(device, &scope);
        }
    }

    fn disk_faults(&mut self) {
        let device = self.rng.below(self.devices.len());
        if self.rng.chance(self.plan.power_cut) {
            self.say(format!("{} loses power", self.devices[device].name));
            self.mark("power cut");
            self.kill_device(device);
            self.lose_power(device);
        }
        if self.plan.rollback > 0 && self.rng.chance(100) {
            let copy = copy_of(&self.devices[device].store);
            self.devices[device].backup = Some(copy);
        }
        if self.rng.chance(self.plan.rollback)
            && let Some(copy) = self.devices[device].backup.clone()
        {
            self.say(format!("{}: its file is put back", self.devices[device].name));
            self.mark("file put back");
            self.kill_device(device);
            self.put_back(device, copy);
        }
        let most = self.plan.devices + CLONES_MAX;
        if self.rng.chance(self.plan.clone) && self.devices.len() < most {
            self.clone_device(device);
        }
    }

    /// From here on, another life of this file may use its numbers.
    fn share_id(&mut self, device: usize) {
        let meta = self.devices[device].store.meta().expect("a store in memory does not fail");
        self.oracle.shared_ids.extend(meta.map(|m| m.device));
    }

    /// The file is as of its last durable commit. All that left it was on disk by then.
    fn lose_power(&mut self, device: usize) {
        let store = &mut self.devices[device].store;
        let before = store.meta().expect("a store in memory does not fail").map(|m| m.device);
        store.lose_power();
        self.check_sent_is_on_disk(device, before.unwrap_or_default());
        self.oracle.local.power_lost(device);
        self.check_local(device);
        let sim = &self.devices[device];
        self.oracle.cut_back(device, &sim.store, last_order(&sim.store));
        self.go_on(device);
    }

    fn put_back(&mut self, device: usize, copy: MemoryStore) {
        self.note_file_loss(device, &copy);
        let sim = &mut self.devices[device];
        (sim.store, sim.put_back) = (copy, Some(self.now));
        self.local_put_back(device);
        self.share_id(device);
        let sim = &self.devices[device];
        self.oracle.put_back(device, &sim.store, last_order(&sim.store));
        self.go_on(device);
    }

    /// The app goes on with a file that has lost something.
    fn go_on(&mut self, device: usize) {
        let meta = self.devices[device].store.meta().expect("a store in memory does not fail");
        if meta.is_none() {
            self.say(format!("{} has an empty file", self.devices[device].name));
            self.mark("empty file after a power cut");
        }
        self.read_wishes(device);
        self.resume_sessions(device);
        self.subscribe_missing(device);
    }

    fn clone_device(&mut self, device: usize) {
        let new = self.devices.len();
        let sim = &self.devices[device];
        let copy = DeviceSim {
            name: format!("{}'", sim.name),
            subject: sim.subject.clone(),
            store: copy_of(&sim.store),
            node: None,
            conn: None,
            hedge: None,
            asks_until: None,
            skew_ms: sim.skew_ms,
            offline_until: 0,
            offline_since: None,
            last_region: None,
            wants: sim.wants.clone(),
            backup: None,
            // What the file does not know of its past, the copy does not know either.
            put_back: sim.put_back,
            heard: None,
            caught_up: BTreeSet::new(),
        };
        self.say(format!("{}: its file is copied to another device", sim.name));
        self.mark("file cloned");
        self.devices.push(copy);
        self.share_id(device);
        self.oracle.copied(device, new, &self.devices[new].store);
        self.read_wishes(new);
        self.resume_sessions(new);
        self.open_device(new);
        self.subscribe_missing(new);
        self.after(100, Event::Dial { device: new });
        self.after(100, Event::Poll { device: new });
    }

    fn region_faults(&mut self) {
        let live = self.live_regions();
        let Some(&region) = self.rng.pick(&live) else { return };
        if self.rng.chance(self.plan.crash) {
            self.crash_region(region, "");
            let wait = self.rng.between(50, 5_000);
            self.after(wait, Event::RegionUp { region });
        }
        if (self.plan.restore > 0) && self.rng.chance(80) {
            let mut copy = self.regions[region].store.clone();
            copy.rollback();
            self.regions[region].backup = Some(copy);
        }
        // One region at a time loses data: two at once may lose what two hold.
        let calm = self.regions.iter().flat_map(|r| &r.losses).all(|at| at + 15_000 < self.now);
        if self.rng.chance(self.plan.restore) && calm {
            self.restore_region(region);
        }
        if self.plan.alone > 0 && calm && self.rng.chance(self.plan.alone) {
            self.leave_alone(region);
        }
        let many = live.len() > 2;
        if self.rng.chance(self.plan.lose) && many && calm {
            self.lose_region(region);
        }
    }

    pub fn restore_region(&mut self, region: usize) {
        let Some(copy) = self.regions[region].backup.clone() else { return };
        let fooled = self.rng.chance(self.plan.fooled) && self.peers_know_better(region, &copy);
        self.crash_region(region, "and is restored from an older copy");
        self.say(format!("region {region}: the marker is fooled: {fooled}"));
        self.mark(if fooled { "restore with a fooled marker" } else { "restore" });
        self.note_loss(region, Some(&copy));
        self.regions[region].store = copy;
        self.open_region(region, fooled);
    }

    /// Some peer holds more of this region's present life than the copy does.
    fn peers_know_better(
        &self,
        region: usize,
        copy: &landfall_sync::region::memory::MemoryStore,
    ) -> bool {
        let life = self.regions[region].node.as_ref().map(|n| n.incarnation());
        let heads: std::collections::BTreeMap<_, _> = copy.iter_heads().collect();
        self.regions.iter().enumerate().filter(|(r, _)| *r != region).any(|(_, peer)| {
            peer.store.iter_heads().any(|(origin, head)| {
                origin.region == RegionId(region as u16)
                    && Some(origin.incarnation) == life
                    && heads.get(&origin).map_or(0, |h| h.seq) < head.seq
            })
        })
    }

    pub fn lose_region(&mut self, region: usize) {
        self.crash_region(region, "and is lost for ever");
        self.mark("region lost");
        self.note_loss(region, None);
        self.regions[region].lost = true;
        for other in self.live_regions() {
            let wait = self.rng.between(50, 4_000);
            self.after(wait, Event::Reconfigure { region: other });
        }
    }

    /// An operator starts a region again with a configuration that names those that are lost.
    pub fn reconfigure(&mut self, region: usize) {
        if self.healing || self.regions[region].knows_lost == self.lost_regions() {
            return;
        }
        self.crash_region(region, "to hear of a lost region");
        let down = self.rng.between(20, 1_000);
        self.after(down, Event::RegionUp { region });
    }

    /// No more faults, and everything that still exists works.
    pub fn heal(&mut self) {
        self.say("faults are over".to_owned());
        self.healing = true;
        self.net.apart.clear();
        self.draining.clear();
        for region in self.live_regions() {
            if self.regions[region].knows_lost != self.lost_regions() {
                self.crash_region(region, "to hear of a lost region");
            }
            self.open_region(region, true);
        }
        for device in 0..self.devices.len() {
            self.devices[device].offline_until = 0;
            self.end_hedge(device);
            self.after(100, Event::Dial { device });
            let wants: Vec<Scope> = self.devices[device].wants.iter().cloned().collect();
            if wants.is_empty() {
                let all = self.app.accounts[&self.devices[device].subject].wants.clone();
                self.devices[device].wants.extend(all);
            }
            self.subscribe_missing(device);
            self.unsubscribe_rest(device);
            self.lift_terms(device);
            self.refill(device);
        }
    }
}

/// A copy of a device's file.
fn copy_of(store: &MemoryStore) -> MemoryStore {
    let mut copy = store.clone();
    copy.commit_durable();
    copy
}

/// The order of a file's last op.
fn last_order(store: &MemoryStore) -> u64 {
    let meta = store.clone().meta().expect("a store in memory does not fail");
    meta.map_or(0, |m| m.last_order)
}
