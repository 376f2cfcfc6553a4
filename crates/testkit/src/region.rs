//! The region, as a test controls it and looks at it.

use crate::accounts::lock;
use crate::error::Error;
use crate::kit::Testkit;
use crate::refusal::{Refusal, Rule, Which};
use crate::rows::{self, RegionRow};
use std::time::Duration;

/// A handle to the one region of a world.
#[derive(Debug, Clone)]
pub struct Region {
    pub(crate) kit: Testkit,
}

impl Region {
    /// Refuse the next write that is meant, with its whole transaction, and with this reason. Several
    /// refusals are used up one by one, in the order in which they were given; a write that the
    /// region has decided about before is not refused any more.
    ///
    /// `which` is the name of an entity type, the name and an id, or the dot of a write. Fails with
    /// `LF8002` if the schema does not have a name, and with `LF8003` for a word that is no final
    /// refusal.
    pub fn reject_next(&self, which: impl Into<Which>, refusal: Refusal) -> Result<(), Error> {
        let world = self.kit.world();
        let rule = Rule::new(&world.schema, which.into(), refusal)?;
        lock(&world.here).rules.push(rule);
        Ok(())
    }

    /// From now on a frame takes so long, one way. A device gives up a region that does not greet
    /// within 4 s, so two seconds and more are as good as no network.
    pub fn delay(&self, one_way: Duration) {
        lock(&self.kit.world().here).delay = one_way;
    }

    /// The region's process dies: its connections end, and its store is as it was last committed.
    pub fn stop(&self) {
        self.kit.world().stop();
    }

    /// The region is there again. Devices find it at their next attempt.
    pub fn start(&self) {
        self.kit.world().start();
    }

    /// False between [`Region::stop`] and [`Region::start`].
    pub fn is_up(&self) -> bool {
        self.kit.world().is_up()
    }

    /// What the region holds of a type, by home scope and id, whether it is up or not. Fails with
    /// `LF8002` if the schema does not have the type.
    pub fn rows(&self, kind: &str) -> Result<Vec<RegionRow>, Error> {
        let world = self.kit.world();
        rows::of_type(&mut lock(&world.here).store, &world.schema, kind)
    }

    /// The first entity of this type and id, if the region has one.
    pub fn get(&self, kind: &str, id: &str) -> Result<Option<RegionRow>, Error> {
        Ok(self.rows(kind)?.into_iter().find(|row| row.id == id))
    }
}
