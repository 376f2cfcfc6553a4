//! Faults for a replay, drawn from a seed: regions killed and started again, links cut, devices
//! cut off, and one region lost with its disk and rebuilt from its peers.
//!
//! At most one region is down at a time, so that a second copy of everything acknowledged lives.

use super::World;
use landfall_chaos::Random;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Faults {
    random: Random,
    /// What is broken now, and at which step it is mended.
    broken: Vec<(Broken, usize)>,
    /// The step at which a region loses its disk; drawn at the first step.
    loss_at: Option<usize>,
    told: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Region(usize),
    Link(usize, usize),
    Front(usize),
}

/// One step in so many brings a fault.
const FAULT_EVERY: u64 = 60;

/// A fault lasts at most so many steps.
const STEPS_MAX: u64 = 80;

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed), broken: Vec::new(), loss_at: None, told: Vec::new() }
    }

    /// What was done, for the report.
    pub(crate) fn told(self) -> Vec<String> {
        self.told
    }

    /// Before step `n` of `all`: mend what is due, and perhaps break something.
    pub(crate) async fn step(
        &mut self,
        world: &mut World,
        n: usize,
        all: usize,
    ) -> anyhow::Result<()> {
        let due: Vec<Broken> =
            self.broken.iter().filter(|(_, until)| *until <= n).map(|(b, _)| *b).collect();
        for broken in due {
            self.mend(world, broken).await?;
        }
        // The loss comes in the middle half, when there is something to lose and time to rebuild.
        let quarter = (all as u64 / 4).max(1);
        let loss_at = *self
            .loss_at
            .get_or_insert_with(|| (quarter + self.random.below(2 * quarter)) as usize);
        if n == loss_at {
            return self.lose(world).await;
        }
        if self.random.below(FAULT_EVERY) == 0 {
            let until = n + 1 + self.random.below(STEPS_MAX) as usize;
            self.break_something(world, n, until).await;
        }
        Ok(())
    }

    async fn break_something(&mut self, world: &mut World, n: usize, until: usize) {
        let regions = world.len() as u64;
        let i = self.random.below(regions) as usize;
        let j = (i + 1 + self.random.below(regions.max(2) - 1) as usize) % world.len();
        let broken = match self.random.below(3) {
            0 => Broken::Region(i),
            1 if i != j => Broken::Link(i, j),
            _ => Broken::Front(i),
        };
        let one_down = self.broken.iter().any(|(b, _)| matches!(b, Broken::Region(_)));
        let again = self.broken.iter().any(|(b, _)| *b == broken);
        if again || (one_down && matches!(broken, Broken::Region(_))) {
            return;
        }
        match broken {
            Broken::Region(i) => world.kill_region(i).await,
            Broken::Link(i, j) => world.set_link_cut(i, j, true),
            Broken::Front(i) => world.set_front_cut(i, true),
        }
        self.told.push(format!("invoice {n}: {} until {until}", describe(world, broken)));
        self.broken.push((broken, until));
    }

    async fn mend(&mut self, world: &mut World, broken: Broken) -> anyhow::Result<()> {
        self.broken.retain(|(b, _)| *b != broken);
        match broken {
            Broken::Region(i) => world.start_region(i).await?,
            Broken::Link(i, j) => world.set_link_cut(i, j, false),
            Broken::Front(i) => world.set_front_cut(i, false),
        }
        Ok(())
    }

    /// A region loses its disk and is rebuilt from its peers.
    async fn lose(&mut self, world: &mut World) -> anyhow::Result<()> {
        let i = self.random.below(world.len() as u64) as usize;
        let down: Vec<Broken> = self.broken.iter().map(|(b, _)| *b).collect();
        for broken in down {
            if matches!(broken, Broken::Region(_)) {
                self.mend(world, broken).await?;
            }
        }
        world.kill_region(i).await;
        world.wipe_region(i)?;
        world.start_region(i).await?;
        self.told.push(format!("{} lost its disk and was rebuilt", world.name(i)));
        Ok(())
    }

    /// Mend everything.
    pub(crate) async fn heal(&mut self, world: &mut World) -> anyhow::Result<()> {
        for (broken, _) in std::mem::take(&mut self.broken) {
            self.mend(world, broken).await?;
        }
        Ok(())
    }
}

fn describe(world: &World, broken: Broken) -> String {
    match broken {
        Broken::Region(i) => format!("{} killed", world.name(i)),
        Broken::Link(i, j) => format!("{} cut off from {}", world.name(i), world.name(j)),
        Broken::Front(i) => format!("devices cut off from {}", world.name(i)),
    }
}
