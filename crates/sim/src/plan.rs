//! What one seed may do: the size of its world, and which faults come how often.
//!
//! Each seed draws a subset of the faults and a rate for each, so that some seeds are calm but for
//! one kind of trouble and others are everything at once. One seed in five is wider than the others:
//! dozens of devices, weeks that pass, clocks that are off by years, regions that are drained and
//! upgraded, files that change accounts, devices that hold parts of their scopes.
//!
//! What a seed drew can be narrowed by [`Overrides`], so that a failure is repeated with less around it.

use crate::rng::Rng;
use std::collections::BTreeSet;

/// Devices of a crowd, at least and at most.
const CROWD: (usize, usize) = (20, 40);

/// Faults per mille, either per tick of the fault clock or per occasion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub regions: usize,
    pub devices: usize,
    /// Local transactions in the whole run, and the pause between them.
    pub acts: usize,
    pub pause_ms: i64,
    pub latency_ms: (i64, i64),
    /// How often an office only hands one of few orders to another driver.
    pub handovers: u32,
    /// Rows per chunk of a pass; 0 leaves the region's own figure.
    pub chunk_rows: u32,
    /// Delta bytes that a region may send ahead; 0 leaves the device's own figure.
    pub credit: u32,

    pub cut: u32,
    pub cut_link: u32,
    pub partition: u32,
    pub stall: u32,
    pub offline: u32,
    pub crash: u32,
    pub crash_before_commit: u32,
    pub crash_after_commit: u32,
    pub kill: u32,
    pub kill_before_commit: u32,
    pub kill_after_commit: u32,
    pub power_cut: u32,
    pub rollback: u32,
    pub clone: u32,
    pub restore: u32,
    pub fooled: u32,
    pub lose: u32,
    /// Regions are cut off from the others, and then lose their disks.
    pub alone: u32,
    pub token: u32,
    pub subscribe: u32,
    /// Drivers go to a region that is behind, and come back before it is level.
    pub visit: u32,
    /// People take unsent writes back, and bring deleted rows back.
    pub cancel: u32,
    pub undelete: u32,
    /// People refer to products, delete those and bring them back.
    pub refer: u32,
    /// People write rows that stay on their device.
    pub local: u32,
    /// Devices run out of room and evict rows.
    pub evict: u32,
    /// Devices offer to a second region what the first has not answered.
    pub hedge: u32,
    /// Clocks, if not 0: regions within their limit, devices at will.
    pub region_clocks: u32,
    pub device_clocks: u32,
    /// Device clocks that are off are off by up to ten years.
    pub years: u32,
    /// Greetings are held up on their way to the region, so that devices mistake the time.
    pub lopsided: u32,
    /// Devices are away for weeks, and days pass at once.
    pub away: u32,
    /// Regions tell their devices to move, and stop.
    pub drain: u32,
    /// All regions are stopped and started, one after the other.
    pub upgrade: u32,
    /// Files are given to other accounts.
    pub adopt: u32,
    /// Subscriptions hold a part of their scope: windows, budgets, priorities.
    pub terms: u32,
    /// Frames in flight on a cut connection still reach the region.
    pub stale: u32,
}

/// Which kinds of faults a caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// No faults at all.
    Calm,
    /// Connections and processes fail, disks hold.
    Rough,
    /// Everything.
    Storm,
}

impl Plan {
    pub fn draw(rng: &mut Rng, weather: Weather) -> Self {
        let mut plan = Self::size(rng);
        if weather != Weather::Calm {
            plan.rough(rng);
        }
        if weather == Weather::Storm {
            plan.storm(rng);
        }
        // Looked at without drawing, so that other seeds stay as they are.
        if weather != Weather::Calm && rng.clone().chance(200) {
            plan.islands();
        }
        let mut lone = rng.clone();
        lone.draw();
        lone.draw();
        if weather == Weather::Storm && lone.chance(200) {
            plan.alone = 1 + lone.below(40) as u32;
        }
        let mut aside = rng.clone();
        aside.draw();
        if weather != Weather::Calm && aside.chance(350) {
            plan.evict = 1 + aside.below(250) as u32;
        }
        aside.draw();
        if weather != Weather::Calm && aside.chance(350) {
            plan.hedge = 1 + aside.below(600) as u32;
        }
        if aside.chance(400) {
            plan.cancel = 1 + aside.below(250) as u32;
        }
        if aside.chance(400) {
            plan.undelete = 1 + aside.below(250) as u32;
        }
        aside.draw();
        if aside.chance(400) {
            plan.refer = 1 + aside.below(400) as u32;
        }
        if aside.chance(300) {
            plan.local = 1 + aside.below(400) as u32;
        }
        aside.draw();
        if weather != Weather::Calm && aside.chance(200) {
            plan.widen(&mut aside);
        }
        if weather != Weather::Calm && aside.chance(300) {
            plan.visit = 1 + aside.below(80) as u32;
        }
        plan
    }

    /// A larger and longer world.
    fn widen(&mut self, rng: &mut Rng) {
        if rng.chance(350) {
            self.devices = CROWD.0 + rng.below(CROWD.1 - CROWD.0 + 1);
            self.acts = 60 + rng.below(90);
        }
        self.lopsided = some(rng, 600, 900);
        if self.lopsided > 0 {
            // What a region refuses for its stamp is to be on its way to others.
            self.hedge = self.hedge.max(300);
            self.cut = self.cut.max(150);
            self.cut_link = self.cut_link.max(100);
            self.stale = self.stale.max(700);
            self.region_clocks = 1;
        }
        self.away = some(rng, 400, 60);
        self.drain = some(rng, 400, 60);
        self.upgrade = some(rng, 400, 30);
        self.adopt = some(rng, 350, 60);
        self.terms = some(rng, 600, 900);
        if rng.chance(350) {
            (self.device_clocks, self.years) = (1, 1);
        }
    }

    /// Every kind of trouble by its name, with its rate; 0 is none of it.
    pub fn kinds(&mut self) -> [(&'static str, &mut u32); 40] {
        [
            ("cut", &mut self.cut),
            ("cut-link", &mut self.cut_link),
            ("partition", &mut self.partition),
            ("stall", &mut self.stall),
            ("offline", &mut self.offline),
            ("away", &mut self.away),
            ("crash", &mut self.crash),
            ("crash-before-commit", &mut self.crash_before_commit),
            ("crash-after-commit", &mut self.crash_after_commit),
            ("kill", &mut self.kill),
            ("kill-before-commit", &mut self.kill_before_commit),
            ("kill-after-commit", &mut self.kill_after_commit),
            ("power-cut", &mut self.power_cut),
            ("rollback", &mut self.rollback),
            ("clone", &mut self.clone),
            ("restore", &mut self.restore),
            ("fooled", &mut self.fooled),
            ("lose", &mut self.lose),
            ("alone", &mut self.alone),
            ("visit", &mut self.visit),
            ("drain", &mut self.drain),
            ("upgrade", &mut self.upgrade),
            ("token", &mut self.token),
            ("subscribe", &mut self.subscribe),
            ("terms", &mut self.terms),
            ("adopt", &mut self.adopt),
            ("cancel", &mut self.cancel),
            ("undelete", &mut self.undelete),
            ("refer", &mut self.refer),
            ("local", &mut self.local),
            ("evict", &mut self.evict),
            ("hedge", &mut self.hedge),
            ("handovers", &mut self.handovers),
            ("stale", &mut self.stale),
            ("lopsided", &mut self.lopsided),
            ("region-clocks", &mut self.region_clocks),
            ("device-clocks", &mut self.device_clocks),
            ("years", &mut self.years),
            ("credit", &mut self.credit),
            ("chunks", &mut self.chunk_rows),
        ]
    }

    /// The kinds of trouble that there may be in this world.
    pub fn troubles(&self) -> BTreeSet<&'static str> {
        let mut plan = self.clone();
        plan.kinds().into_iter().filter(|(_, rate)| **rate > 0).map(|(name, _)| name).collect()
    }

    /// The kind of trouble of this name, if there is one.
    pub fn trouble_named(name: &str) -> Option<&'static str> {
        Self::default().kinds().into_iter().map(|(known, _)| known).find(|known| *known == name)
    }

    /// Regions far apart and devices that wander: what one region has, the next does not cover.
    fn islands(&mut self) {
        self.devices = self.devices.max(6);
        self.partition = 600;
        self.cut = 600;
        self.cut_link = 200;
        self.acts = 130;
        self.pause_ms = 120;
        self.handovers = 800;
    }

    fn size(rng: &mut Rng) -> Self {
        let regions = [3, 3, 3, 3, 2, 4, 5][rng.below(7)];
        let slow = rng.chance(250);
        Self {
            regions,
            devices: 3 + rng.below(5),
            acts: 30 + rng.below(90),
            pause_ms: rng.between(20, 260),
            latency_ms: if slow { (40, 900) } else { (2, 80) },
            chunk_rows: some(rng, 600, 4),
            credit: some(rng, 300, 600),
            subscribe: some(rng, 400, 60),
            ..Self::default()
        }
    }

    fn rough(&mut self, rng: &mut Rng) {
        self.cut = some(rng, 600, 250);
        self.cut_link = some(rng, 400, 150);
        self.partition = some(rng, 350, 80);
        self.stall = some(rng, 300, 80);
        self.offline = some(rng, 450, 80);
        self.crash = some(rng, 350, 60);
        self.crash_before_commit = some(rng, 350, 20);
        self.crash_after_commit = some(rng, 350, 20);
        self.kill = some(rng, 400, 80);
        self.kill_before_commit = some(rng, 300, 15);
        self.kill_after_commit = some(rng, 300, 15);
        self.power_cut = some(rng, 350, 80);
        self.token = some(rng, 250, 100);
        self.stale = some(rng, 600, 1_000);
        self.region_clocks = u32::from(rng.chance(350));
        self.device_clocks = u32::from(rng.chance(350));
    }

    fn storm(&mut self, rng: &mut Rng) {
        self.rollback = some(rng, 300, 30);
        self.clone = some(rng, 300, 25);
        self.restore = some(rng, 300, 25);
        self.fooled = some(rng, 300, 800);
        self.lose = some(rng, 250, 15);
    }
}

/// In `often` of a thousand seeds a rate up to `most`, else none.
fn some(rng: &mut Rng, often: u32, most: u32) -> u32 {
    if rng.chance(often) { 1 + rng.below(most as usize) as u32 } else { 0 }
}

/// What is taken out of a world that a seed has drawn. The world is another one then, and as
/// repeatable: the same seed with the same overrides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Kinds of trouble that there are not, by name.
    pub without: BTreeSet<&'static str>,
    /// At most so many devices, and local transactions.
    pub devices: Option<usize>,
    pub acts: Option<usize>,
    /// Another course of events for the same plan; 0 is the seed's own.
    pub luck: u64,
}

impl Overrides {
    pub fn apply(&self, mut plan: Plan) -> Plan {
        let mut kinds = plan.kinds();
        let out = kinds.iter_mut().filter(|(name, _)| self.without.contains(name));
        out.for_each(|(_, rate)| **rate = 0);
        plan.devices = self.devices.map_or(plan.devices, |most| plan.devices.min(most.max(1)));
        plan.acts = self.acts.map_or(plan.acts, |most| plan.acts.min(most));
        plan
    }

    /// The source of chance for what happens, once the seed's own has drawn the plan.
    pub(crate) fn chance(&self, seed: u64, drawn: Rng) -> Rng {
        if self.luck == 0 { drawn } else { Rng::new(seed.rotate_left(32) ^ self.luck) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        let mut plan = Plan::default();
        let names: BTreeSet<&str> = plan.kinds().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), plan.kinds().len());
    }

    #[test]
    fn what_is_left_out_is_not_in_the_plan() {
        let drawn = Plan { cut: 5, hedge: 7, devices: 9, acts: 80, ..Plan::default() };
        let overrides =
            Overrides { without: ["cut"].into(), devices: Some(3), acts: Some(90), luck: 0 };
        let narrowed = overrides.apply(drawn.clone());
        assert_eq!(narrowed, Plan { cut: 0, devices: 3, ..drawn });
        assert_eq!(narrowed.troubles(), ["hedge"].into());
    }

    #[test]
    fn seeds_draw_every_kind() {
        let mut missing = Plan::default().kinds().map(|(name, _)| name).to_vec();
        for seed in 0..200 {
            let drawn = Plan::draw(&mut Rng::new(seed), Weather::Storm).troubles();
            missing.retain(|name| !drawn.contains(name));
        }
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn some_seeds_are_crowds() {
        let crowd =
            |seed: &u64| Plan::draw(&mut Rng::new(*seed), Weather::Storm).devices >= CROWD.0;
        let crowds = (0..1_000).filter(crowd).count();
        assert!((50..=100).contains(&crowds), "{crowds} of a thousand");
    }
}
