//! A region that is cut off from its peers and then loses its disk. People go on writing at it, and
//! others read that there; what was written is then on devices alone, and not on all of those that have
//! read it.

use crate::net::End;
use crate::world::{Event, World};

/// How long a region is alone.
const ALONE_MS: (i64, i64) = (1_500, 6_000);

/// How long a device that was there is away afterwards, with its outbox.
const AWAY_MS: (i64, i64) = (3_000, 20_000);

impl World {
    /// Cut a region off from the others. A copy of its disk is taken as it is now.
    pub fn leave_alone(&mut self, region: usize) {
        let mut copy = self.regions[region].store.clone();
        copy.rollback();
        self.regions[region].backup = Some(copy);
        let (low, high) = ALONE_MS;
        let wait = self.rng.between(low, high);
        self.cut_off(region, wait + 200);
        self.after(wait, Event::Fall { region });
    }

    /// A region and its peers cannot reach one another for so long.
    pub fn cut_off(&mut self, region: usize, ms: i64) {
        for other in self.live_regions().into_iter().filter(|r| *r != region) {
            let (a, b) = (End::Region(region), End::Region(other));
            self.net.part(a, b);
            self.after(ms, Event::Join(a, b));
        }
        let cut = |l: &crate::net::Link| l.asker == region || l.answerer == region;
        let links: Vec<u64> =
            self.net.links.iter().filter(|(_, l)| cut(l)).map(|(id, _)| *id).collect();
        links.into_iter().for_each(|link| self.drop_link(link));
        self.say(format!("region {region} is cut off from all others"));
    }

    /// A region that was alone loses what it wrote, or is lost with it.
    pub fn fall(&mut self, region: usize) {
        let calm = self.regions.iter().flat_map(|r| &r.losses).all(|at| at + 15_000 < self.now);
        if self.healing || self.regions[region].lost || !calm {
            return;
        }
        self.mark("region fell alone");
        let here = |w: &Self, d: usize| {
            let conn = w.devices[d].conn.and_then(|c| w.net.conns.get(&c));
            conn.is_some_and(|c| c.region == region)
        };
        for device in 0..self.devices.len() {
            if here(self, device) && self.rng.chance(500) {
                let (low, high) = AWAY_MS;
                let until = self.now + self.rng.between(low, high);
                self.devices[device].offline_until = until;
                self.hang_up(device, true);
                self.schedule(until, Event::Dial { device });
            }
        }
        match self.live_regions().len() > 2 && self.rng.chance(500) {
            true => self.lose_region(region),
            false => self.restore_region(region),
        }
    }
}
