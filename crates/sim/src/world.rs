//! The world of one seed: its parts, its clock, and the queue of what happens next.
//!
//! One thread, one queue ordered by time and then by age, one source of chance. Whatever happens
//! is an [`Event`]; handling one may schedule more.

use crate::app::App;
use crate::checkers::sessions::Shown;
use crate::device_sim::DeviceSim;
use crate::hands::Hands;
use crate::losses::Had;
use crate::net::Net;
use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::region_sim::RegionSim;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::visit::Visit;
use crate::{Failure, Options};
use landfall_sync::mutant::Mutant;
use std::collections::{BTreeMap, BTreeSet};

/// When every run begins.
pub const EPOCH_MS: i64 = 1_790_000_000_000;

#[derive(Debug)]
pub enum Event {
    /// A device's frame reaches its region.
    ToRegion {
        conn: u64,
        bytes: Vec<u8>,
    },
    /// A region's frame reaches its device; `sent` is when it left, and `had` what the region had then.
    ToDevice {
        conn: u64,
        bytes: Vec<u8>,
        sent: i64,
        had: Had,
    },
    /// The region notices that a connection is gone.
    RegionHangs {
        conn: u64,
    },
    /// The device notices.
    DeviceHangs {
        conn: u64,
    },
    /// A frame between regions arrives; `side` 0 is the asker's.
    Peer {
        link: u64,
        side: usize,
        bytes: Vec<u8>,
    },
    /// A region works off its queue.
    Turn {
        region: usize,
    },
    RegionTick,
    Reconfigure {
        region: usize,
    },
    RegionUp {
        region: usize,
    },
    Redial {
        asker: usize,
        answerer: usize,
    },
    Dial {
        device: usize,
    },
    Poll {
        device: usize,
    },
    Act,
    Hand,
    Fault,
    /// Two that could not reach one another can again.
    Join(crate::net::End, crate::net::End),
    /// A region that is cut off loses its disk.
    Fall {
        region: usize,
    },
    /// The next step of a driver's visit to a region that is behind.
    Visit,
    /// A drained region stops.
    Stop {
        region: usize,
    },
    /// A device moves away from a region that is drained.
    Move {
        device: usize,
        conn: u64,
    },
    /// The next region of a rolling upgrade.
    Upgrade {
        region: usize,
    },
}

#[derive(Debug)]
pub struct World {
    pub now: i64,
    pub rng: Rng,
    pub plan: Plan,
    pub app: App,
    pub mutant: Option<Mutant>,
    pub regions: Vec<RegionSim>,
    pub devices: Vec<DeviceSim>,
    pub net: Net,
    pub trace: Trace,
    pub oracle: Oracle,
    pub shown: Shown,
    pub marks: BTreeMap<&'static str, u64>,
    pub failure: Option<Failure>,
    /// What a device did not hear of until it was sent to another region.
    pub unheard: Option<String>,
    /// Faults are over; everything is to settle.
    pub healing: bool,
    /// How often devices have been sent to another region since.
    pub round: usize,
    pub acts_left: usize,
    /// Regions that devices are not to come to.
    pub draining: BTreeSet<usize>,
    /// A rolling upgrade is under way.
    pub upgrading: bool,
    /// A driver's visit to a region that is behind.
    pub visit: Option<Visit>,
    pub hands: Hands,
    queue: BTreeMap<(i64, u64), Event>,
    scheduled: u64,
}

impl World {
    /// An empty world at its first moment.
    pub fn new(seed: u64, options: &Options, plan: Plan, rng: Rng) -> Self {
        let mut trace = Trace::default();
        trace.keep_all = options.keep_all;
        trace.say(EPOCH_MS, format!("seed {seed}"));
        Self {
            now: EPOCH_MS,
            rng,
            acts_left: plan.acts,
            plan,
            app: App::new(),
            mutant: options.mutant,
            regions: Vec::new(),
            devices: Vec::new(),
            net: Net::default(),
            trace,
            oracle: Oracle::default(),
            shown: Shown::default(),
            marks: BTreeMap::new(),
            failure: None,
            unheard: None,
            healing: false,
            round: 0,
            draining: BTreeSet::new(),
            upgrading: false,
            visit: None,
            hands: Hands::default(),
            queue: BTreeMap::new(),
            scheduled: 0,
        }
    }

    pub fn schedule(&mut self, at: i64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at.max(self.now), self.scheduled), event);
    }

    pub fn after(&mut self, ms: i64, event: Event) {
        self.schedule(self.now + ms, event);
    }

    /// Note an event.
    pub fn say(&mut self, what: String) {
        self.trace.say(self.now, what);
    }

    /// Count that a hard path was taken.
    pub fn mark(&mut self, name: &'static str) {
        *self.marks.entry(name).or_default() += 1;
    }

    pub fn latency(&mut self) -> i64 {
        let (low, high) = self.plan.latency_ms;
        // Faults are over, but distances stay.
        self.rng.between(low, high)
    }

    /// The first failure counts.
    pub fn fail(&mut self, checker: &'static str, invariant: &'static str, message: String) {
        if self.failure.is_none() {
            self.say(format!("FAILED {checker} ({invariant}): {message}"));
            let story = self.trace.story();
            self.failure = Some(Failure { checker, invariant, message, story });
        }
    }

    /// Handle events up to `until`, or until something fails.
    pub fn run_until(&mut self, until: i64) {
        while self.failure.is_none() {
            let Some(entry) = self.queue.first_entry() else { break };
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            // What was due while time was let pass is late, and time does not go back for it.
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = self.now.max(until);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ToRegion { conn, bytes } => self.frame_at_region(conn, &bytes),
            Event::ToDevice { conn, bytes, sent, had } => {
                self.frame_at_device(conn, &bytes, sent, had);
            }
            Event::RegionHangs { conn } => self.region_hangs(conn),
            Event::DeviceHangs { conn } => self.device_hangs(conn),
            Event::Peer { link, side, bytes } => self.frame_at_peer(link, side, &bytes),
            Event::Turn { region } => self.turn(region),
            Event::RegionTick => self.region_tick(),
            Event::RegionUp { region } => self.open_region(region, true),
            Event::Reconfigure { region } => self.reconfigure(region),
            Event::Redial { asker, answerer } => self.redial(asker, answerer),
            Event::Dial { device } => self.dial(device),
            Event::Poll { device } => self.poll(device),
            Event::Act => self.act(),
            Event::Hand => self.hand_acts(),
            Event::Fault => self.fault_tick(),
            Event::Join(a, b) => {
                self.net.apart.remove(&(a.min(b), a.max(b)));
            }
            Event::Fall { region } => self.fall(region),
            Event::Visit => self.go_on_visiting(),
            Event::Stop { region } => self.stop_drained(region),
            Event::Move { device, conn } => self.move_away(device, conn),
            Event::Upgrade { region } => self.upgrade(region),
        }
    }

    /// Time passes in which nothing happens. What is due within `soon_ms` is due that much later.
    pub fn let_pass(&mut self, ms: i64, soon_ms: i64) {
        let later = self.queue.split_off(&(self.now + soon_ms, 0));
        let soon = std::mem::replace(&mut self.queue, later);
        self.queue.extend(soon.into_iter().map(|((at, n), event)| ((at + ms, n), event)));
        self.net.delay(self.now, ms);
        self.now += ms;
    }
}
