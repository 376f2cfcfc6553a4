//! What one seed may do: the size of its world, and which faults come how often.
//!
//! Each seed draws a subset of the faults and a rate for each, so that some seeds are calm but for
//! one kind of trouble and others are everything at once.

use crate::rng::Rng;

/// Faults per mille, either per tick of the fault clock or per occasion.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub regions: usize,
    pub devices: usize,
    /// Local transactions in the whole run, and the pause between them.
    pub acts: usize,
    pub pause_ms: i64,
    pub latency_ms: (i64, i64),
    /// How often an office only hands one of few orders to another driver.
    pub handovers: u32,
    /// Rows per chunk of a pass.
    pub chunk_rows: usize,
    /// Delta bytes that a region may send ahead; 0 leaves the device's own figure.
    pub credit: u64,

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
    pub token: u32,
    pub subscribe: u32,
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
    /// Clocks: regions within their limit, devices at will.
    pub region_clocks: bool,
    pub device_clocks: bool,
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
        plan
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
            chunk_rows: if rng.chance(600) { 1 + rng.below(4) } else { 1_000 },
            credit: if rng.chance(300) { 1 + rng.below(600) as u64 } else { 0 },
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
        self.region_clocks = rng.chance(350);
        self.device_clocks = rng.chance(350);
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
