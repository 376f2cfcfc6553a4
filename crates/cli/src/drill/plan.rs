//! What goes wrong in a round, drawn from its seed: which kinds of trouble there are, and when what
//! breaks for how long.
//!
//! Each round has a random part of all kinds, as rare or as frequent as the seed says: what all kinds
//! together never lead to shows where two of them are alone.

use landfall_chaos::Random;
use std::collections::BTreeSet;
use std::time::Duration;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    RegionKill,
    RegionPause,
    RegionDrain,
    DeviceKill,
    DevicePause,
    DeviceRestart,
    Cut,
    BlackHole,
    OneWay,
    Slow,
    Narrow,
    Reset,
}

/// All kinds, with the names that they have in reports.
pub(crate) const KINDS: [(Kind, &str); 12] = [
    (Kind::RegionKill, "region killed"),
    (Kind::RegionPause, "region stopped for a while"),
    (Kind::RegionDrain, "region drained"),
    (Kind::DeviceKill, "device killed"),
    (Kind::DevicePause, "device stopped for a while"),
    (Kind::DeviceRestart, "device closed"),
    (Kind::Cut, "partition"),
    (Kind::BlackHole, "black hole"),
    (Kind::OneWay, "one-way partition"),
    (Kind::Slow, "delay and jitter"),
    (Kind::Narrow, "narrow network"),
    (Kind::Reset, "connections reset"),
];

/// A process of the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Region(usize),
    Device(usize),
}

/// A stretch of network that has a proxy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    /// The way that one region's questions to another take.
    Peers(usize, usize),
    /// The way that a device takes to a region.
    Phone(usize, usize),
}

/// Which part of the network is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// What the first region asks of the second.
    Link(usize, usize),
    /// Everything between two regions.
    Between(usize, usize),
    /// One device's way to one region.
    Phone(usize, usize),
    /// All ways of one device.
    Device(usize),
    /// All devices' ways to one region.
    Front(usize),
    /// Everything that leads to one region and away from it.
    Island(usize),
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Cut,
    /// Silent; in the end connections are reset, and what was sent is lost, or it arrives late.
    BlackHole {
        resets: bool,
    },
    /// Silent in one direction: upwards what those who connected send.
    OneWay {
        up: bool,
        resets: bool,
    },
    Slow {
        delay: Duration,
        jitter: Duration,
    },
    Narrow {
        bytes_per_second: u64,
    },
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and a start on its files.
    Kill(Node),
    /// SIGSTOP, and SIGCONT.
    Pause(Node),
    /// Asked to end (a region by SIGTERM), and a start on its files.
    End(Node),
    Network(Place, Trouble),
}

/// A fault, from when until when, counted from the start of the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub kind: Kind,
    pub from: Duration,
    pub until: Duration,
    pub fault: Fault,
}

/// How large a round is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub regions: usize,
    pub devices: usize,
    pub lasts: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub kinds: BTreeSet<Kind>,
    /// By their beginnings.
    pub steps: Vec<Step>,
    /// What devices wait between two transactions, in the middle.
    pub pause: Duration,
}

/// Seeds of the plan and of the devices' work differ, so that neither follows the other.
const PLAN_SALT: u64 = 0x70_6c61_6e00;

/// Between two faults, in milliseconds, on average: the seed draws one for the round.
const GAP_MS: (u64, u64) = (250, 1_300);

/// How long a fault lasts, in milliseconds. One in [`LONG_EVERY`] lasts as long as it can.
const LASTS_MS: (u64, u64) = (150, 2_500);
const LONG_EVERY: u64 = 6;
const LONG_MS: u64 = 6_000;

/// Devices write a transaction every so many milliseconds, in the middle.
const PAUSE_MS: (u64, u64) = (20, 180);

const DELAY_MS_MAX: u64 = 400;
const NARROW_BYTES: (u64, u64) = (2_000, 60_000);

impl Plan {
    pub(crate) fn draw(seed: u64, size: Size) -> Self {
        let mut draw = Draw { random: Random(seed ^ PLAN_SALT), size };
        let mut kinds = BTreeSet::new();
        while kinds.len() < 2 {
            let on = KINDS.iter().filter(|_| draw.random.below(2) == 0).map(|(kind, _)| *kind);
            kinds.extend(on.collect::<Vec<_>>());
        }
        let all: Vec<Kind> = kinds.iter().copied().collect();
        let gap = draw.between(GAP_MS);
        let pause = Duration::from_millis(draw.between(PAUSE_MS));
        let mut steps: Vec<Step> = Vec::new();
        let mut at = 0;
        loop {
            at += 1 + draw.random.below(2 * gap);
            let from = Duration::from_millis(at);
            if from >= size.lasts {
                return Self { kinds, steps, pause };
            }
            let kind = all[draw.below(all.len())];
            let lasts = match draw.random.below(LONG_EVERY) {
                0 => LONG_MS,
                _ => draw.between(LASTS_MS),
            };
            let until = (from + Duration::from_millis(lasts)).min(size.lasts);
            let step = Step { kind, from, until, fault: draw.fault(kind) };
            // Nothing breaks twice at a time: what is mended is whole.
            if !steps.iter().any(|s| s.until > from && s.fault.meets(step.fault, size)) {
                steps.push(step);
            }
        }
    }
}

struct Draw {
    random: Random,
    size: Size,
}

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.random.below(n as u64) as usize
    }

    fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.random.below(high - low + 1)
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        let region = self.below(self.size.regions);
        let device = self.below(self.size.devices);
        match kind {
            Kind::RegionKill => Fault::Kill(Node::Region(region)),
            Kind::RegionPause => Fault::Pause(Node::Region(region)),
            Kind::RegionDrain => Fault::End(Node::Region(region)),
            Kind::DeviceKill => Fault::Kill(Node::Device(device)),
            Kind::DevicePause => Fault::Pause(Node::Device(device)),
            Kind::DeviceRestart => Fault::End(Node::Device(device)),
            Kind::Cut => self.network(Trouble::Cut),
            Kind::BlackHole => {
                let resets = self.below(2) == 0;
                self.network(Trouble::BlackHole { resets })
            }
            Kind::OneWay => {
                let (up, resets) = (self.below(2) == 0, self.below(2) == 0);
                self.network(Trouble::OneWay { up, resets })
            }
            Kind::Slow => {
                let delay = Duration::from_millis(self.random.below(DELAY_MS_MAX));
                let jitter = Duration::from_millis(self.random.below(DELAY_MS_MAX));
                self.network(Trouble::Slow { delay, jitter })
            }
            Kind::Narrow => {
                let bytes_per_second = self.between(NARROW_BYTES);
                self.network(Trouble::Narrow { bytes_per_second })
            }
            Kind::Reset => self.network(Trouble::Reset),
        }
    }

    fn network(&mut self, trouble: Trouble) -> Fault {
        let region = self.below(self.size.regions);
        let device = self.below(self.size.devices);
        let between = self.size.regions > 1;
        let other = (region + 1 + self.below(self.size.regions.max(2) - 1)) % self.size.regions;
        let place = match self.random.below(6) {
            0 if between => Place::Link(region, other),
            1 if between => Place::Between(region, other),
            2 => Place::Phone(device, region),
            3 => Place::Device(device),
            4 => Place::Front(region),
            _ => Place::Island(region),
        };
        Fault::Network(place, trouble)
    }
}

impl Fault {
    /// Both concern the same process, or the same stretch of network.
    fn meets(self, other: Self, size: Size) -> bool {
        match (self, other) {
            (Self::Network(a, _), Self::Network(b, _)) => {
                let wires: BTreeSet<Wire> = a.wires(size).into_iter().collect();
                b.wires(size).iter().any(|wire| wires.contains(wire))
            }
            (
                Self::Kill(a) | Self::Pause(a) | Self::End(a),
                Self::Kill(b) | Self::Pause(b) | Self::End(b),
            ) => a == b,
            _ => false,
        }
    }
}

impl Place {
    pub(crate) fn wires(self, size: Size) -> Vec<Wire> {
        let others = |region: usize| (0..size.regions).filter(move |other| *other != region);
        let front = |region: usize| (0..size.devices).map(move |d| Wire::Phone(d, region));
        match self {
            Self::Link(a, b) => vec![Wire::Peers(a, b)],
            Self::Between(a, b) => vec![Wire::Peers(a, b), Wire::Peers(b, a)],
            Self::Phone(device, region) => vec![Wire::Phone(device, region)],
            Self::Device(device) => (0..size.regions).map(|r| Wire::Phone(device, r)).collect(),
            Self::Front(region) => front(region).collect(),
            Self::Island(region) => {
                let there = others(region).map(|other| Wire::Peers(region, other));
                let back = others(region).map(|other| Wire::Peers(other, region));
                front(region).chain(there).chain(back).collect()
            }
        }
    }
}

/// Names of the processes, for what is told.
pub(crate) struct Names<'a> {
    pub regions: &'a [String],
    pub devices: &'a [String],
}

impl Names<'_> {
    pub(crate) fn node(&self, node: Node) -> &str {
        match node {
            Node::Region(region) => &self.regions[region],
            Node::Device(device) => &self.devices[device],
        }
    }

    fn place(&self, place: Place) -> String {
        let (regions, devices) = (self.regions, self.devices);
        match place {
            Place::Link(a, b) => format!("what {} asks of {}", regions[a], regions[b]),
            Place::Between(a, b) => format!("{} and {}", regions[a], regions[b]),
            Place::Phone(d, r) => format!("{} and {}", devices[d], regions[r]),
            Place::Device(d) => format!("{} and all regions", devices[d]),
            Place::Front(r) => format!("all devices and {}", regions[r]),
            Place::Island(r) => format!("{} and all others", regions[r]),
        }
    }

    /// A fault in words.
    pub(crate) fn fault(&self, fault: Fault) -> String {
        let (place, trouble) = match fault {
            Fault::Kill(node) => return format!("{} killed", self.node(node)),
            Fault::Pause(node) => return format!("{} stopped", self.node(node)),
            Fault::End(node) => return format!("{} asked to end", self.node(node)),
            Fault::Network(place, trouble) => (self.place(place), trouble),
        };
        match trouble {
            Trouble::Cut => format!("cut: {place}"),
            Trouble::BlackHole { resets } => format!("black hole: {place}{}", lost(resets)),
            Trouble::OneWay { up, resets } => {
                let way = if up { "to the region" } else { "from the region" };
                format!("silent {way}: {place}{}", lost(resets))
            }
            Trouble::Slow { delay, jitter } => {
                let (delay, jitter) = (delay.as_millis(), jitter.as_millis());
                format!("slow, {delay} ms and up to {jitter} ms more: {place}")
            }
            Trouble::Narrow { bytes_per_second } => {
                format!("narrow, {bytes_per_second} bytes/s: {place}")
            }
            Trouble::Reset => format!("connections reset: {place}"),
        }
    }
}

fn lost(resets: bool) -> &'static str {
    if resets { ", then reset" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { regions: 3, devices: 8, lasts: Duration::from_secs(20) };

    #[test]
    fn the_same_seed_draws_the_same_plan_and_others_differ() {
        let steps = |seed| Plan::draw(seed, SIZE).steps;
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn every_kind_happens_and_nothing_breaks_twice_at_a_time() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let plan = Plan::draw(seed, SIZE);
            assert!(plan.kinds.len() >= 2 && plan.steps.iter().all(|s| s.until <= SIZE.lasts));
            seen.extend(plan.steps.iter().map(|s| s.kind));
            for (n, step) in plan.steps.iter().enumerate() {
                let earlier = plan.steps[..n].iter().filter(|s| s.until > step.from);
                assert!(!earlier.clone().any(|s| s.fault.meets(step.fault, SIZE)), "seed {seed}");
            }
        }
        assert_eq!(seen.len(), KINDS.len());
    }

    #[test]
    fn a_world_of_one_region_and_one_device_has_a_plan() {
        let size = Size { regions: 1, devices: 1, ..SIZE };
        for seed in 0..50 {
            let steps = Plan::draw(seed, size).steps;
            let wires = steps.iter().filter_map(|s| match s.fault {
                Fault::Network(place, _) => Some(place.wires(size)),
                _ => None,
            });
            assert!(wires.flatten().all(|wire| wire == Wire::Phone(0, 0)));
        }
    }
}
