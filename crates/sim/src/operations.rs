//! What operators do to a world that is well, and what time does to it: regions are drained and
//! upgraded, weeks pass, files are given to other accounts.

use crate::hands::HAND;
use crate::world::{Event, World};
use landfall_model::id::Scope;
use landfall_sync::device::node::{Event as Told, Output};
use landfall_sync::device::store::Store;
use landfall_sync::wire;
use std::sync::Arc;
use wire::region_frame::Kind as FromRegion;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Who is back after this long is back after a week.
const WEEK_MS: i64 = 7 * DAY_MS;

/// What is due within this time is in flight or a timer that runs, and waits while days pass. What is
/// due later is a date.
const IN_FLIGHT_MS: i64 = 60_000;

impl World {
    /// One tick of the operators' clock.
    pub fn operations(&mut self) {
        if self.plan.drain > 0 && self.rng.chance(self.plan.drain) {
            self.drain();
        }
        if self.plan.upgrade > 0 && self.rng.chance(self.plan.upgrade) && !self.upgrading {
            self.upgrading = true;
            self.upgrade(0);
        }
        if self.devices.is_empty() {
            return;
        }
        if self.plan.away > 0 && self.rng.chance(self.plan.away) {
            match self.rng.chance(600) {
                true => self.go_away(),
                false => self.days_pass(),
            }
        }
        if self.plan.adopt > 0 && self.rng.chance(self.plan.adopt) {
            let device = self.rng.below(self.devices.len());
            self.change_account(device);
        }
    }

    /// A region tells its devices to move, and stops once they have had the time for it.
    fn drain(&mut self) {
        let mut up = self.live_regions();
        up.retain(|r| self.regions[*r].node.is_some() && !self.draining.contains(r));
        if up.len() < 2 {
            return;
        }
        let Some(&region) = self.rng.pick(&up) else { return };
        let within = self.rng.between(200, 3_000);
        self.say(format!("region {region} is drained within {within} ms"));
        self.mark("region drained");
        self.draining.insert(region);
        let here =
            self.net.conns.iter().filter(|(_, c)| {
                c.region == region && c.device_up && c.region_up && c.device != HAND
            });
        let conns: Vec<u64> = here.map(|(id, _)| *id).collect();
        let had = self.had(region);
        for conn in conns {
            let drain = wire::Drain { within_ms: within as u64 };
            let frame = wire::RegionFrame { kind: Some(FromRegion::Drain(drain)) };
            self.to_device(conn, &frame, had.clone());
        }
        self.after(within, Event::Stop { region });
    }

    pub fn stop_drained(&mut self, region: usize) {
        if !self.draining.contains(&region) || self.healing {
            return;
        }
        self.crash_region(region, "after it was drained");
        let wait = self.rng.between(300, 4_000);
        self.after(wait, Event::RegionUp { region });
    }

    /// A device was told to move. It does so at a moment of its choice.
    pub fn note_drain(&mut self, device: usize, conn: Option<u64>, out: &Output) {
        let within = out.events.iter().find_map(|event| match event {
            Told::Drain { within_ms } => Some(*within_ms as i64),
            _ => None,
        });
        if let (Some(within), Some(conn)) = (within, conn) {
            let wait = self.rng.between(0, within);
            self.after(wait, Event::Move { device, conn });
        }
    }

    pub fn move_away(&mut self, device: usize, conn: u64) {
        if self.devices.get(device).is_some_and(|d| d.conn == Some(conn)) {
            self.say(format!("{} moves away", self.devices[device].name));
            self.mark("moved away from a drained region");
            self.hang_up(device, false);
            self.after(10, Event::Dial { device });
        }
    }

    /// One region after the other is stopped and started, while the others go on.
    pub fn upgrade(&mut self, region: usize) {
        if self.healing || region >= self.regions.len() {
            self.upgrading = false;
            if !self.healing {
                self.mark("all regions upgraded");
            }
            return;
        }
        self.crash_region(region, "to start as another build");
        let down = self.rng.between(100, 2_000);
        self.after(down, Event::RegionUp { region });
        let next = down + self.rng.between(100, 1_500);
        self.after(next, Event::Upgrade { region: region + 1 });
    }

    /// A device leaves the network for weeks. People go on writing on it.
    fn go_away(&mut self) {
        let device = self.rng.below(self.devices.len());
        let days = self.rng.between(7, 42);
        self.say(format!("{} is away for {days} days", self.devices[device].name));
        self.mark("device away for weeks");
        self.hang_up(device, true);
        let sim = &mut self.devices[device];
        sim.offline_until = self.now + days * DAY_MS;
        sim.offline_since = sim.offline_since.or(Some(self.now));
        let at = self.devices[device].offline_until;
        self.schedule(at, Event::Dial { device });
    }

    /// Hours or days in which nobody does anything.
    fn days_pass(&mut self) {
        let ms = self.rng.between(6 * HOUR_MS, 9 * DAY_MS);
        self.say(format!("{} hours pass", ms / HOUR_MS));
        self.mark("days pass");
        self.let_pass(ms, IN_FLIGHT_MS);
    }

    /// A device reaches a region again.
    pub fn note_dial(&mut self, device: usize) {
        let since = self.devices[device].offline_since.take();
        if since.is_some_and(|since| self.now - since >= WEEK_MS) {
            self.mark("back after a week or more");
        }
    }

    /// Another account signs in, and the file is given to it with all that it never sent.
    fn change_account(&mut self, device: usize) {
        let mut others: Vec<Arc<str>> = self.app.accounts.keys().cloned().collect();
        others.retain(|subject| *subject != self.devices[device].subject);
        let Some(subject) = self.rng.pick(&others).cloned() else { return };
        self.hang_up(device, false);
        self.after(20, Event::Dial { device });
        self.open_device(device);
        let mut rng = crate::rng::Rng::new(self.rng.draw());
        let sim = &mut self.devices[device];
        let Some(node) = sim.node.as_mut() else { return };
        sim.store.begin();
        let adopted = node
            .adopt(&mut sim.store, subject.clone(), &mut || rng.draw())
            .expect("a store in memory does not fail");
        sim.store.commit_durable();
        self.oracle.local.committed(device, true);
        if !adopted {
            return self.mark("account not changed: writes are on their way");
        }
        self.say(format!("{} is {subject}'s now", self.devices[device].name));
        self.mark("account changed");
        let wants = self.app.accounts[&subject].wants.clone();
        let sim = &mut self.devices[device];
        (sim.subject, sim.backup) = (subject, None);
        let before = std::mem::replace(&mut sim.wants, wants.iter().cloned().collect());
        // Neither account followed all that became of the file's writes.
        let scopes = before.into_iter().chain(wants);
        self.oracle.let_go.extend(scopes.map(|scope: Scope| (device, scope)));
        self.unsubscribe_rest(device);
        self.subscribe_missing(device);
        self.resume_sessions(device);
    }

    /// What a device leaves behind where it hangs up.
    pub fn note_hang_up(&mut self, device: usize, conn: u64) {
        let region = self.net.conns.get(&conn).map(|c| c.region);
        self.devices[device].last_region = region;
        let subs = self.devices[device].store.subscriptions();
        let subs = subs.expect("a store in memory does not fail");
        if subs.iter().any(|(_, sub)| sub.pass.is_some()) {
            self.mark("pass cut off");
        }
        if self.devices[device].node.as_ref().is_some_and(|n| n.unanswered() > 0) {
            self.mark("hung up with unanswered writes");
        }
    }
}
