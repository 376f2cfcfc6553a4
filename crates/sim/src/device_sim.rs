//! Driving a device: its file, its process, its clock, and its connection.
//!
//! Every call of the node is one transaction on the file, committed locally or durably as the node
//! says, before its frames leave. A process may die before the commit (undone), or after it and
//! before the sending. A power cut takes the file back to the last durable commit.

use crate::app::App;
use crate::losses::Had;
use crate::net::{Conn, End, Pipe};
use crate::world::{Event, World};
use landfall_model::id::{RegionId, Scope};
use landfall_sync::device::memory::MemoryStore;
use landfall_sync::device::node::{Extent, Greeting, Node, Output};
use landfall_sync::device::store::Store;
use landfall_sync::mutant::Mutant;
use landfall_sync::wire;
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::device_frame::Kind as FromDevice;
use wire::region_frame::Kind as FromRegion;

/// While things break, a device that is owed an answer asks for it at so many of a thousand polls.
const ASKS: u32 = 100;

/// How long a region that is asked has for its answer.
const ASKED_MS: i64 = 4_000;

#[derive(Debug)]
pub struct DeviceSim {
    pub name: String,
    pub subject: Arc<str>,
    pub store: MemoryStore,
    pub node: Option<Node>,
    pub conn: Option<u64>,
    /// To a second region, for what the first has not answered.
    pub hedge: Option<u64>,
    /// That one is asked for an answer that it owes, and left at this time.
    pub asks_until: Option<i64>,
    /// Subscriptions whose first pass of this connection is over.
    pub caught_up: BTreeSet<u32>,
    pub skew_ms: i64,
    pub offline_until: i64,
    /// When it last went offline, until it is back.
    pub offline_since: Option<i64>,
    /// The region of its last connection.
    pub last_region: Option<usize>,
    /// Scopes that it is to be subscribed to.
    pub wants: BTreeSet<Scope>,
    /// An older copy of the file.
    pub backup: Option<MemoryStore>,
    /// When its file was last put back to an older copy.
    pub put_back: Option<i64>,
    /// What the region of the last frame had when it sent it.
    pub heard: Had,
}

impl World {
    pub fn add_devices(&mut self) {
        let mut subjects: Vec<Arc<str>> = self.app.accounts.keys().cloned().collect();
        self.rng.shuffle(&mut subjects);
        // Somebody has to create orders.
        subjects.sort_by_key(|s| !s.starts_with("office"));
        for n in 0..self.plan.devices {
            let subject = subjects[n % subjects.len()].clone();
            let wants = self.app.accounts[&subject].wants.iter().cloned().collect();
            let skew_ms = self.skew();
            self.devices.push(DeviceSim {
                name: format!("{subject}/{n}"),
                subject,
                store: MemoryStore::new(),
                node: None,
                conn: None,
                hedge: None,
                asks_until: None,
                skew_ms,
                offline_until: 0,
                offline_since: None,
                last_region: None,
                wants,
                backup: None,
                put_back: None,
                heard: None,
                caught_up: BTreeSet::new(),
            });
            self.start_device(n);
        }
    }

    /// How wrong a device's clock is.
    pub fn skew(&mut self) -> i64 {
        if self.plan.device_clocks == 0 {
            return 0;
        }
        let year = 365 * 86_400_000;
        if self.plan.years > 0 && self.rng.chance(500) {
            self.mark("device clock years off");
            return self.rng.between(-10 * year, 10 * year);
        }
        match self.rng.below(4) {
            0 => self.rng.between(-2_000, 2_000),
            1 => self.rng.between(-3 * year, 3 * year),
            _ => self.rng.between(-20_000, 20_000),
        }
    }

    /// A device's timers and its subscriptions, as at the first start of the app.
    pub fn start_device(&mut self, device: usize) {
        self.open_device(device);
        for scope in self.devices[device].wants.clone() {
            self.subscribe(device, &scope);
        }
        let wait = self.rng.between(0, 400);
        self.after(wait, Event::Dial { device });
        self.after(wait, Event::Poll { device });
    }

    pub fn device_now(&self, device: usize) -> i64 {
        self.now + self.devices[device].skew_ms
    }

    /// Start the process on the file.
    pub fn open_device(&mut self, device: usize) {
        if self.devices[device].node.is_some() {
            return;
        }
        let now = self.device_now(device);
        let schema = self.app.schema.clone();
        let mut rng = crate::rng::Rng::new(self.rng.draw());
        let sim = &mut self.devices[device];
        sim.store.begin();
        let node = Node::open(&mut sim.store, schema, sim.subject.clone(), &mut || rng.draw(), now)
            .expect("a store in memory does not fail");
        sim.store.commit();
        sim.node = Some(node);
        self.reopen_sessions(device);
    }

    /// One call of a device's node as one transaction. False if its process died before the commit.
    pub fn device_call(
        &mut self,
        device: usize,
        call: impl FnOnce(&mut Node, &mut MemoryStore, i64) -> Output,
    ) -> bool {
        self.device_call_on(device, self.devices[device].conn, call)
    }

    /// The same, with the frames that it sends for this connection.
    pub fn device_call_on(
        &mut self,
        device: usize,
        conn: Option<u64>,
        call: impl FnOnce(&mut Node, &mut MemoryStore, i64) -> Output,
    ) -> bool {
        self.open_device(device);
        let now = self.device_now(device);
        let sim = &mut self.devices[device];
        let mut node = sim.node.take().expect("just opened");
        sim.store.begin();
        let out = call(&mut node, &mut sim.store, now);
        self.devices[device].node = Some(node);
        self.device_commit(device, conn, out)
    }

    /// Commit what a call did, and let its frames leave.
    pub fn device_commit(&mut self, device: usize, conn: Option<u64>, out: Output) -> bool {
        if !self.healing && self.rng.chance(self.plan.kill_before_commit) {
            self.mark("device killed before commit");
            let name = self.devices[device].name.clone();
            self.say(format!("{name} is killed before a commit"));
            self.devices[device].store.rollback();
            self.oracle.not_committed();
            self.shown.changed.clear();
            self.kill_device(device);
            return false;
        }
        let store = &mut self.devices[device].store;
        if out.durable && self.mutant != Some(Mutant::SentBeforeFsync) {
            store.commit_durable();
        } else {
            store.commit();
        }
        self.oracle.local.committed(device, out.durable);
        self.oracle.after_commit(device, &self.devices[device].store, self.now);
        self.check_local(device);
        self.check_references(device);
        self.tell_events(device, &out);
        if !self.healing && self.rng.chance(self.plan.kill_after_commit) {
            self.mark("device killed after commit");
            let name = self.devices[device].name.clone();
            self.say(format!("{name} is killed after a commit"));
            self.kill_device(device);
            return true;
        }
        self.note_drain(device, conn, &out);
        for frame in out.frames {
            self.send_to_region(device, conn, frame);
        }
        if out.close.is_some() && conn.is_some() && conn == self.devices[device].hedge {
            self.end_hedge(device);
        } else if let Some(close) = out.close {
            self.say(format!("{} closes: {}", self.devices[device].name, close.code));
            self.mark("device closes");
            if close.code == "device_renewed" {
                self.mark("device takes a new id");
            }
            self.hang_up(device, false);
            let wait = close.retry_after_ms as i64 + self.rng.between(50, 800);
            self.after(wait, Event::Dial { device });
        }
        self.check_sessions(device);
        true
    }

    /// The process dies; its connection with it.
    pub fn kill_device(&mut self, device: usize) {
        self.devices[device].node = None;
        self.hang_up(device, self.plan.stale > 0);
        let wait = self.rng.between(20, 1_500);
        self.after(wait, Event::Dial { device });
    }

    /// Forget the connection. What is in flight to the region may still arrive.
    pub fn hang_up(&mut self, device: usize, stale: bool) {
        self.end_hedge(device);
        let Some(conn) = self.devices[device].conn.take() else { return };
        self.note_hang_up(device, conn);
        self.let_go(conn, stale);
        if let Some(node) = self.devices[device].node.as_mut() {
            node.disconnected();
        }
    }

    /// The device's end of a connection is closed.
    fn let_go(&mut self, conn: u64, stale: bool) {
        let late = self.rng.between(0, 4_000);
        let lost = !stale || !self.rng.chance(self.plan.stale);
        let Some(c) = self.net.conns.get_mut(&conn) else { return };
        c.device_up = false;
        let at = if lost { self.now } else { c.to_region.arrival(self.now, late) };
        self.schedule(at, Event::RegionHangs { conn });
    }

    pub fn end_hedge(&mut self, device: usize) {
        let Some(conn) = self.devices[device].hedge.take() else { return };
        self.devices[device].asks_until = None;
        self.let_go(conn, self.plan.stale > 0);
        if let Some(node) = self.devices[device].node.as_mut() {
            node.end_hedge();
        }
    }

    /// Offer what the region has not answered to another one, that can be reached.
    pub fn hedge(&mut self, device: usize) {
        let sim = &self.devices[device];
        let (Some(conn), None, Some(node)) = (sim.conn, sim.hedge, &sim.node) else { return };
        let first = self.net.conns.get(&conn).map(|c| c.region);
        if node.online().is_none() || node.unanswered() == 0 {
            return;
        }
        let mut others = self.reachable(device);
        others.retain(|r| Some(*r) != first);
        let Some(&region) = self.rng.pick(&others) else { return };
        self.say(format!("{} hedges at region {region}", self.devices[device].name));
        self.mark("hedge");
        self.second(device, region, Node::hedge);
    }

    /// Greet a second region, to offer it something.
    fn second(&mut self, device: usize, region: usize, offer: fn(&mut Node, Greeting) -> bool) {
        let id = self.connect(device, region);
        self.devices[device].hedge = Some(id);
        self.oracle.answered.retain(|(d, r, _)| (*d, *r) != (device, region));
        let token = self.token(device);
        self.device_call_on(device, Some(id), |node, store, now| {
            let greeted = node.greet(store, &token, 0, Extent::Whole, now);
            let (greeting, out) = greeted.expect("a store in memory does not fail");
            offer(node, greeting);
            out
        });
    }

    /// Ask a region that owes an answer, and leave it once it has given that or had its time.
    fn ask_owed(&mut self, device: usize) {
        let sim = &mut self.devices[device];
        let Some(node) = &mut sim.node else { return };
        if sim.hedge.is_some() {
            if sim.asks_until.is_some_and(|until| until <= self.now || node.hedge_answered()) {
                self.end_hedge(device);
            }
            return;
        }
        let owed = node.owed(&mut sim.store).expect("a store in memory does not fail");
        if owed.is_empty() {
            return;
        }
        self.mark("refused and undecided");
        if !self.healing && !self.rng.chance(ASKS) {
            return;
        }
        let mut regions = self.reachable(device);
        regions.retain(|r| owed.contains(&RegionId(*r as u16)));
        let Some(&region) = self.rng.pick(&regions) else { return };
        self.say(format!("{} asks region {region}", self.devices[device].name));
        self.mark("asked for an owed answer");
        self.second(device, region, Node::ask);
        self.devices[device].asks_until = Some(self.now + ASKED_MS);
    }

    /// The second region becomes the first.
    pub fn promote(&mut self, device: usize) {
        let Some(hedge) = self.devices[device].hedge else { return };
        if self.devices[device].node.is_none() {
            return;
        }
        self.say(format!("{} goes on with its second region", self.devices[device].name));
        self.mark("hedge promoted");
        let first = self.devices[device].conn.replace(hedge);
        self.devices[device].hedge = None;
        self.devices[device].asks_until = None;
        first.into_iter().for_each(|conn| self.let_go(conn, self.plan.stale > 0));
        self.devices[device].caught_up.clear();
        let region = self.net.conns.get(&hedge).map(|c| c.region);
        self.oracle.answered.retain(|(d, r, _)| *d != device || Some(*r) == region);
        let mut rng = crate::rng::Rng::new(self.rng.draw());
        self.device_call(device, |node, store, now| {
            node.promote(store, now, &mut || rng.draw()).expect("a store in memory does not fail")
        });
    }

    pub fn device_hangs(&mut self, conn: u64) {
        let Some(device) = self.net.conns.get(&conn).filter(|c| c.device_up).map(|c| c.device)
        else {
            return;
        };
        if self.devices.get(device).is_some_and(|d| d.hedge == Some(conn)) {
            self.end_hedge(device);
        } else if self.devices.get(device).is_some_and(|d| d.conn == Some(conn)) {
            if self.devices[device].hedge.is_some() {
                return self.promote(device);
            }
            self.hang_up(device, false);
            let wait = self.rng.between(20, 800);
            self.after(wait, Event::Dial { device });
        }
    }

    pub fn forget_conn(&mut self, conn: u64) {
        if self.net.conns.get(&conn).is_some_and(|c| !c.device_up && !c.region_up) {
            self.net.conns.remove(&conn);
        }
    }

    /// Connect to some region that can be reached.
    pub fn dial(&mut self, device: usize) {
        let sim = &self.devices[device];
        if sim.conn.is_some() {
            return;
        }
        if sim.offline_until > self.now {
            let at = sim.offline_until;
            return self.schedule(at, Event::Dial { device });
        }
        let reachable = self.reachable(device);
        let picked = match self.rng.pick(&reachable) {
            // In the end, one after the other.
            Some(_) if self.healing => reachable.get((self.round + device) % reachable.len()),
            other => other,
        };
        let Some(&region) = picked else {
            return self.after(300, Event::Dial { device });
        };
        self.dial_region(device, region);
    }

    /// A device leaves the region where it is for this one, if it can be reached.
    pub fn move_to(&mut self, device: usize, region: usize) {
        let sim = &self.devices[device];
        if sim.offline_until <= self.now && self.reachable(device).contains(&region) {
            self.hang_up(device, false);
            self.dial_region(device, region);
        }
    }

    fn dial_region(&mut self, device: usize, region: usize) {
        let id = self.connect(device, region);
        self.devices[device].conn = Some(id);
        self.devices[device].caught_up.clear();
        self.oracle.answered.retain(|(d, _, _)| *d != device);
        self.say(format!("{} dials region {region}", self.devices[device].name));
        self.note_dial(device);
        let token = self.token(device);
        self.device_call(device, |node, store, now| {
            node.hello(store, &token, now).expect("a store in memory does not fail")
        });
    }

    fn reachable(&self, device: usize) -> Vec<usize> {
        let runs = |r: &usize| self.regions[*r].node.is_some();
        let reaches = |r: &usize| self.net.reaches(End::Region(*r), End::Device(device));
        let mut there: Vec<usize> =
            self.live_regions().into_iter().filter(runs).filter(reaches).collect();
        // Where there is another one, nobody comes to a region that is drained.
        if there.iter().any(|r| !self.draining.contains(r)) {
            there.retain(|r| !self.draining.contains(r));
        }
        there
    }

    fn connect(&mut self, device: usize, region: usize) -> u64 {
        let id = self.net.id();
        let life = self.regions[region].life;
        let (mut to_region, to_device) = (Pipe::default(), Pipe::default());
        to_region.busy_until = self.now + self.greeting_delay();
        let conn = Conn {
            since: self.now,
            device,
            region,
            life,
            to_region,
            to_device,
            device_up: true,
            region_up: true,
        };
        self.net.conns.insert(id, conn);
        id
    }

    fn token(&mut self, device: usize) -> String {
        let short = !self.healing && self.rng.chance(self.plan.token);
        if short {
            self.mark("short token");
        }
        let valid = if short { self.rng.between(-500, 3_000) } else { 10_000_000 };
        App::token(&self.devices[device].subject, self.now + valid)
    }

    /// A frame leaves the device.
    fn send_to_region(&mut self, device: usize, conn: Option<u64>, mut frame: wire::DeviceFrame) {
        let Some(id) = conn else { return };
        if let Some(FromDevice::Hello(h)) = &mut frame.kind
            && self.plan.credit > 0
        {
            h.credit = self.plan.credit.into();
        }
        self.note_sent(device, id, &frame);
        let latency = self.latency();
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let at = conn.to_region.arrival(self.now, latency);
        self.schedule(at, Event::ToRegion { conn: id, bytes: frame.encode_to_vec() });
    }

    /// A region's frame leaves.
    pub fn to_device(&mut self, conn: u64, frame: &wire::RegionFrame, had: Had) {
        let latency = self.latency();
        let Some(c) = self.net.conns.get_mut(&conn) else { return };
        let at = c.to_device.arrival(self.now, latency);
        let (bytes, sent) = (frame.encode_to_vec(), self.now);
        self.schedule(at, Event::ToDevice { conn, bytes, sent, had });
    }

    /// A region closes a connection behind what it has sent.
    pub fn region_closes(&mut self, conn: u64) {
        let Some(c) = self.net.conns.get_mut(&conn) else { return };
        c.region_up = false;
        let at = c.to_device.arrival(self.now, 1);
        self.schedule(at, Event::DeviceHangs { conn });
    }

    pub fn frame_at_device(&mut self, conn: u64, bytes: &[u8], sent: i64, had: Had) {
        let Some(c) = self.net.conns.get(&conn).filter(|c| c.device_up) else { return };
        let (device, region) = (c.device, c.region);
        if device == crate::hands::HAND {
            let frame = wire::RegionFrame::decode(bytes).expect("the sim sends whole frames");
            return self.hand_hears(conn, region, &frame, sent);
        }
        let hedges = self.devices[device].hedge == Some(conn);
        let known = hedges || self.devices[device].conn == Some(conn);
        if !known || self.devices[device].node.is_none() {
            return;
        }
        self.trace.mix(bytes);
        let frame = wire::RegionFrame::decode(bytes).expect("the sim sends whole frames");
        self.devices[device].heard = had;
        self.note_answer(device, region, &frame, sent);
        if let Some(FromRegion::Delta(d)) = &frame.kind {
            // A small credit is given back by the byte.
            let bytes = d.body.len().max(1) as u64;
            if self.plan.credit > 0 {
                let credit = wire::Credit { bytes };
                self.send_to_region(
                    device,
                    Some(conn),
                    wire::DeviceFrame { kind: Some(FromDevice::Credit(credit)) },
                );
            }
        }
        let budgets = match &frame.kind {
            Some(FromRegion::Delta(_)) => self.budgets(device),
            _ => Vec::new(),
        };
        let greeted = matches!(&frame.kind, Some(FromRegion::Welcome(_))) && !hedges;
        let mut rng = crate::rng::Rng::new(self.rng.draw());
        self.device_call_on(device, Some(conn), |node, store, now| {
            let mut random = || rng.draw();
            let taken = match hedges {
                true => node.hedge_frame(store, frame, now, &mut random),
                false => node.frame(store, frame, now, &mut random),
            };
            taken.expect("a store in memory does not fail")
        });
        self.check_budgets(device, &budgets);
        if greeted && self.plan.lopsided > 0 && !self.healing && self.acts_left > 0 {
            self.write_at_once(device, conn);
        }
    }

    pub fn poll(&mut self, device: usize) {
        if self.devices[device].node.is_some() {
            self.device_call(device, |node, store, now| {
                node.poll(store, now).expect("a store in memory does not fail")
            });
            self.ask_owed(device);
            if self.plan.terms > 0 && self.rng.chance(200) {
                self.tidy(device);
            }
        }
        self.after(400, Event::Poll { device });
    }

    pub fn subscribe(&mut self, device: usize, scope: &str) {
        let scope = Scope::from(scope);
        self.devices[device].wants.insert(scope.clone());
        self.say(format!("{} subscribes {scope}", self.devices[device].name));
        let terms = self.terms(device, &scope);
        let done = self.device_call(device, |node, store, now| {
            let subscribed = match terms {
                None => node.subscribe(store, scope.clone()),
                Some(terms) => node.subscribe_with(store, scope.clone(), terms, now),
            };
            subscribed.expect("a store in memory does not fail")
        });
        if done {
            self.oracle.asked.subscribe(device, scope.clone(), terms.unwrap_or_default());
        }
        let known = self.devices[device].store.subscription(&scope);
        if known.expect("a store in memory does not fail").is_none() {
            self.oracle.let_go.insert((device, scope));
        }
    }

    pub fn unsubscribe(&mut self, device: usize, scope: &str) {
        self.devices[device].wants.remove(scope);
        self.say(format!("{} unsubscribes {scope}", self.devices[device].name));
        let scope = Scope::from(scope);
        self.oracle.let_go.insert((device, scope.clone()));
        self.device_call(device, |node, store, _| {
            node.unsubscribe(store, &scope).expect("a store in memory does not fail")
        });
    }

    /// Let go of what a restored file still has.
    pub fn unsubscribe_rest(&mut self, device: usize) {
        let known = self.devices[device].store.subscriptions();
        let known = known.expect("a store in memory does not fail").into_iter().map(|(s, _)| s);
        let rest: Vec<Scope> = known.filter(|s| !self.devices[device].wants.contains(s)).collect();
        rest.iter().for_each(|scope| self.unsubscribe(device, scope));
    }

    /// Subscribe what a restored file has forgotten.
    pub fn subscribe_missing(&mut self, device: usize) {
        let known: BTreeSet<Scope> = self.devices[device]
            .store
            .subscriptions()
            .expect("a store in memory does not fail")
            .into_iter()
            .map(|(s, _)| s)
            .collect();
        let missing: Vec<Scope> =
            self.devices[device].wants.iter().filter(|s| !known.contains(*s)).cloned().collect();
        missing.iter().for_each(|scope| self.subscribe(device, scope));
    }
}
