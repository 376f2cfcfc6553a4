//! A driver goes to a region that is behind. It was told elsewhere that an order is not its own any more;
//! there the order still is, and somebody touches it. It is back among the others before that region
//! hears of them: whatever it took its cursor for there, the order has to leave it again.

use crate::app::{App, DRIVERS};
use crate::world::{Event, World};
use landfall_model::id::EntityKey;
use landfall_model::value::Value;
use landfall_sync::device::node::{Edit, FieldEdit};

/// How long a region is behind, beyond the time that the steps take.
const BEHIND_MS: i64 = 1_000;

/// Steps while the region is behind.
const STEPS_BEHIND: i64 = 4;

#[derive(Debug, Clone)]
pub struct Visit {
    driver: usize,
    /// Who hands the order over, and who touches it where the driver goes.
    offices: [usize; 2],
    /// Where the order is handed over, and the region that is behind.
    regions: [usize; 2],
    order: EntityKey,
    /// How long a step is given.
    pause_ms: i64,
    step: u32,
}

impl World {
    /// One driver, two offices and two regions, if there are so many.
    pub fn begin_visit(&mut self) {
        if self.visit.is_some() {
            return;
        }
        let [mut drivers, mut offices] = ["driver-", "office-"].map(|who| self.devices_of(who));
        let mut regions = self.live_regions();
        regions.retain(|r| self.regions[*r].node.is_some());
        self.rng.shuffle(&mut drivers);
        self.rng.shuffle(&mut offices);
        self.rng.shuffle(&mut regions);
        let (&[driver, ..], &[o, p, ..], &[r, s, ..]) = (&*drivers, &*offices, &*regions) else {
            return;
        };
        let id = format!("v{}", self.rng.below(1_000));
        let pause_ms = self.plan.latency_ms.1 * 2 + self.rng.between(100, 800);
        self.visit = Some(Visit {
            driver,
            offices: [o, p],
            regions: [r, s],
            order: App::key("w/1", self.app.ids.order, &id),
            pause_ms,
            step: 0,
        });
        self.after(0, Event::Visit);
    }

    fn devices_of(&self, who: &str) -> Vec<usize> {
        (0..self.devices.len()).filter(|d| self.devices[*d].subject.starts_with(who)).collect()
    }

    pub fn go_on_visiting(&mut self) {
        let Some(mut visit) = self.visit.take() else { return };
        if self.healing {
            return;
        }
        let [handing, touching] = visit.offices;
        let [ahead, behind] = visit.regions;
        match visit.step {
            0 => {
                self.move_to(visit.driver, ahead);
                self.move_to(handing, ahead);
                self.move_to(touching, behind);
                self.give(&visit, false);
            }
            // Now all regions have it.
            1 => {
                self.cut_off(behind, visit.pause_ms * STEPS_BEHIND + BEHIND_MS);
                self.give(&visit, true);
            }
            2 => self.move_to(visit.driver, behind),
            3 => {
                let note = Value::text(format!("v{}", self.rng.draw() % 1_000_000));
                let fields = vec![(self.app.ids.note, FieldEdit::Put(note))];
                self.write(touching, &[Edit::Update { key: visit.order.clone(), fields }]);
            }
            _ => {
                if self.devices[visit.driver].store.visible().contains_key(&visit.order) {
                    self.mark("order that was handed over seen again where a region is behind");
                }
                return self.move_to(visit.driver, ahead);
            }
        }
        visit.step += 1;
        self.after(visit.pause_ms, Event::Visit);
        self.visit = Some(visit);
    }

    /// An office gives the order to the driver, or to another one.
    fn give(&mut self, visit: &Visit, away: bool) {
        let ids = self.app.ids;
        let own = self.devices[visit.driver].subject.strip_prefix("driver-").unwrap_or_default();
        let name = DRIVERS.into_iter().find(|d| (*d == own) != away).unwrap_or_default();
        let driver = (ids.driver, FieldEdit::Put(Value::text(name)));
        let fields = vec![(ids.w, FieldEdit::Put(Value::text("1"))), driver];
        let id = visit.order.id.to_string();
        self.write(visit.offices[0], &[Edit::Upsert { kind: ids.order, id, fields }]);
    }
}
