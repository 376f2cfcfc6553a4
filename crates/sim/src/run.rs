//! One run: people and faults, then healing, then the checks.

use crate::plan::Plan;
use crate::rng::Rng;
use crate::world::{Event, World};
use crate::{Options, Outcome, checkers};
use landfall_model::id::Dot;
use landfall_sync::device::store::{OpState, OwnOp, Store};
use landfall_sync::mutant;

/// How long everything may take to settle once faults are over, in virtual time.
const SETTLE_MS: i64 = 180_000;

/// Checked this often, and settled if so this many times in a row.
const SETTLE_STEP_MS: i64 = 700;
const SETTLED_TIMES: usize = 4;

/// Who has been connected for so long over a quick network has heard of everything.
const HEARD_MS: i64 = 10_000;
const QUICK_MS: i64 = 80;

/// When it is looked whether anything is held up.
const LOOK_MS: i64 = 12_000;

/// Run one seed.
pub fn run_seed(seed: u64, options: &Options) -> Outcome {
    let (plan, rng) = drawn(seed, options);
    run_plan(seed, options, plan, rng)
}

/// What a seed's world is like, with these options.
pub fn plan_of(seed: u64, options: &Options) -> Plan {
    drawn(seed, options).0
}

fn drawn(seed: u64, options: &Options) -> (Plan, Rng) {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng, options.weather);
    (options.overrides.apply(plan), options.overrides.chance(seed, rng))
}

/// Run a world of a given plan.
pub fn run_plan(seed: u64, options: &Options, plan: Plan, rng: Rng) -> Outcome {
    mutant::set(options.mutant);
    mutant::set_chunk_rows(match plan.chunk_rows {
        0 => usize::MAX,
        rows => rows as usize,
    });
    let mut world = World::new(seed, options, plan, rng);
    world.add_regions();
    world.add_devices();
    world.after(50, Event::Act);
    world.after(400, Event::Fault);
    world.live_through();
    world.settle();
    if world.failure.is_none() {
        checkers::run(&mut world);
    }
    mutant::set(None);
    mutant::set_chunk_rows(usize::MAX);
    world.outcome()
}

/// Run a world without devices: hand-made pushes, to any region and again and again.
pub fn run_regions(seed: u64, options: &Options) -> Outcome {
    let (plan, rng) = drawn(seed, options);
    let plan = Plan { devices: 0, ..plan };
    mutant::set(options.mutant);
    let mut world = World::new(seed, options, plan, rng);
    world.add_regions();
    world.after(50, Event::Hand);
    world.after(400, Event::Fault);
    world.live_through();
    world.settle();
    if world.failure.is_none() {
        checkers::run(&mut world);
    }
    mutant::set(None);
    world.outcome()
}

impl World {
    /// Until all has been written, and a little longer.
    pub fn live_through(&mut self) {
        while self.acts_left > 0 && self.failure.is_none() {
            let until = self.now + 500;
            self.run_until(until);
        }
        let more = self.rng.between(0, 5_000);
        self.run_until(self.now + more);
    }

    /// Heal and wait until nothing is left to do.
    pub fn settle(&mut self) {
        if self.failure.is_some() {
            return;
        }
        self.heal();
        self.calm_down();
        if self.failure.is_none() {
            self.unheard = checkers::devices::before_switch(self);
        }
        // A switch of regions is a delta: once everybody has come up to date with a switch, one
        // more brings no row again.
        let mut brought = 0;
        for _ in 0..2 {
            let before: u64 = self.oracle.rows.values().sum();
            self.switch_regions();
            self.calm_down();
            brought = self.oracle.rows.values().sum::<u64>() - before;
        }
        if brought > 0 {
            let message = format!("a switch of regions with nothing new brings {brought} rows");
            self.fail("switch", "I6", message);
        }
    }

    /// Run until nothing is left to do.
    fn calm_down(&mut self) {
        let bound = self.now + SETTLE_MS;
        let mut times = 0;
        let mut rows = 0;
        let look = self.now + LOOK_MS;
        let mut looked = false;
        while self.failure.is_none() && times < SETTLED_TIMES {
            self.run_until(self.now + SETTLE_STEP_MS);
            let before = std::mem::replace(&mut rows, self.oracle.rows.values().sum());
            if look < self.now && !std::mem::replace(&mut looked, true) {
                self.check_nothing_is_held_up();
            }
            let busy = (rows != before).then(|| format!("rows still come: {rows} so far"));
            match self.unsettled().or(busy) {
                None => times += 1,
                Some(what) if self.now > bound => self.fail("liveness", "I10", what),
                Some(_) => times = 0,
            }
        }
        self.tidy_all();
        self.say("settled".to_owned());
    }

    /// I10: whoever has been connected for a while to a region that is well has heard of all its
    /// scopes and of every op, but for those that hang on one that was refused. Refusals that are
    /// not final yet, waiting for other regions, hold nothing else up.
    fn check_nothing_is_held_up(&mut self) {
        let quick = self.plan.latency_ms.1 <= QUICK_MS && self.plan.credit == 0;
        for device in 0..self.devices.len() {
            let conn = self.devices[device].conn.and_then(|c| self.net.conns.get(&c));
            if !quick || conn.is_none_or(|c| self.now - c.since < HEARD_MS) {
                continue;
            }
            if let Some(held_up) = self.held_up(device) {
                let message = format!("{} waits: {held_up}", self.devices[device].name);
                return self.fail("waiting", "I10", message);
            }
        }
    }

    fn held_up(&mut self, device: usize) -> Option<String> {
        let sim = &mut self.devices[device];
        let subs = sim.store.subscriptions().expect("a store in memory does not fail");
        let open = subs.iter().filter(|(_, s)| s.denied.is_none()).count();
        if open > sim.caught_up.len() {
            return Some(format!("{} of {open} scopes were heard", sim.caught_up.len()));
        }
        let waiting: Vec<_> = sim.store.own_ops().filter(|o| o.in_outbox()).cloned().collect();
        let conn = self.devices[device].conn.and_then(|c| self.net.conns.get(&c));
        let region = conn.map(|c| c.region);
        let answered =
            |dot: Dot| region.is_some_and(|r| self.oracle.answered.contains(&(device, r, dot)));
        let open = |need: &Dot| waiting.iter().any(|o| o.sealed.op.dot == *need);
        let excused = |op: &OwnOp| {
            let tx = op.sealed.op.tx;
            let mate =
                |o: &&OwnOp| o.sealed.op.tx == tx && o.sealed.op.device() == op.sealed.op.device();
            let mut numbers = tx.seqs().take(tx.count as usize);
            matches!(op.state, OpState::Accepted { .. })
                || numbers.any(|seq| answered(Dot::new(op.sealed.op.dot.device, seq)))
                || waiting.iter().filter(mate).any(|o| o.sealed.op.needs.iter().any(open))
        };
        waiting
            .iter()
            .find(|op| !excused(op))
            .map(|op| format!("{:?} was not answered, {:?}", op.sealed.op.dot, op.state))
    }

    /// Every device goes on at another region.
    fn switch_regions(&mut self) {
        self.round += 1;
        for device in 0..self.devices.len() {
            self.hang_up(device, false);
            self.after(10, Event::Dial { device });
        }
    }

    /// What is still to be done, if anything.
    fn unsettled(&mut self) -> Option<String> {
        let live = self.live_regions();
        for region in &live {
            let Some(node) = self.regions[*region].node.as_ref() else {
                return Some(format!("region {region} is down"));
            };
            let first = self.regions[live[0]].node.as_ref().map(|n| n.vector());
            if first != Some(node.vector()) {
                let (a, b) = (first, node.vector());
                return Some(format!("regions hold different logs: {a:?} and {b:?}"));
            }
        }
        if self.net.conns.values().any(|c| c.device_up && c.to_device.busy_until > self.now) {
            return Some("something is on its way to a device".to_owned());
        }
        // A device that has all says so again and again; what was stalled may be credit.
        let usual = self.now + self.plan.latency_ms.1;
        if self.net.conns.values().any(|c| c.region_up && c.to_region.busy_until > usual) {
            return Some("something is stalled on its way to a region".to_owned());
        }
        if self.hands.unanswered() > 0 {
            return Some("a hand-made op has no answer".to_owned());
        }
        (0..self.devices.len()).find_map(|d| self.unsettled_device(d))
    }

    fn unsettled_device(&mut self, device: usize) -> Option<String> {
        let sim = &mut self.devices[device];
        let name = &sim.name;
        if sim.conn.is_none() {
            return Some(format!("{name} is offline"));
        }
        if let Some(op) = sim.store.own_ops().find(|o| o.in_outbox()) {
            let (dot, state) = (op.sealed.op.dot, &op.state);
            return Some(format!("{name} still has {dot:?} in its outbox: {state:?}"));
        }
        let subs = sim.store.subscriptions().expect("a store in memory does not fail");
        if subs.iter().filter(|(_, s)| s.denied.is_none()).count() > sim.caught_up.len() {
            return Some(format!("{name} has not heard all of its scopes here"));
        }
        for (scope, sub) in subs {
            let busy = sub.pass.is_some() || sub.loading || sub.provisional.is_some();
            if busy && sub.denied.is_none() {
                return Some(format!("{name} is not done with {scope}: {sub:?}"));
            }
            let refetches =
                sim.store.refetches(&scope, None, 5).expect("a store in memory does not fail");
            if let Some(key) = refetches.first() {
                let base = sim.store.base(key).expect("a store in memory does not fail");
                let known = base.map(|b| (b.touch, b.joined));
                return Some(format!(
                    "{name} still asks for {refetches:?} in {scope}, has {known:?}"
                ));
            }
        }
        None
    }

    fn outcome(self) -> Outcome {
        let events = self.trace.all.clone();
        Outcome {
            passed: self.failure.is_none(),
            failure: self.failure,
            trace_hash: self.trace.hash(),
            steps: self.trace.steps(),
            marks: self.marks,
            events,
        }
    }
}
