//! A driver goes to a region that is behind, or was.
//!
//! It may be that it was told elsewhere that an order is not its own any more; there the order still is,
//! and somebody touches it. The driver is back among the others before that region hears of them: whatever
//! it took its cursor for there, the order has to leave it again.
//!
//! Or it was given an order, which was given to somebody else where that was not known. It comes there
//! when what it has seen is known, and has lost: the order has to leave it, though nothing there is new.

use crate::app::{App, DRIVERS};
use crate::world::{Event, World};
use landfall_model::id::EntityKey;
use landfall_model::value::Value;
use landfall_sync::device::node::{Edit, FieldEdit};

/// How long a region is behind, beyond the time that the steps take.
const BEHIND_MS: i64 = 1_000;

/// Steps while the region is behind.
const STEPS_BEHIND: i64 = 4;

/// The last step of a driver that was given an order, two behind those.
const LAST_STEP: u32 = 6;

#[derive(Debug, Clone)]
pub struct Visit {
    driver: usize,
    /// Who gives the order away, and who works on it where it is not known.
    offices: [usize; 2],
    /// Where the order is given away, and the region that is behind.
    regions: [usize; 2],
    order: EntityKey,
    /// The driver is given the order, and loses it; else it has it, and it is given to others.
    gains: bool,
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
        self.visit = Some(Visit {
            driver,
            offices: [o, p],
            regions: [r, s],
            order: App::key("w/1", self.app.ids.order, &id),
            gains: self.rng.chance(500),
            pause_ms: self.plan.latency_ms.1 * 2 + self.rng.between(100, 800),
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
        let (driver, [ahead, behind]) = (visit.driver, visit.regions);
        match visit.step {
            0 => {
                self.move_to(driver, ahead);
                self.move_to(visit.offices[0], ahead);
                self.move_to(visit.offices[1], behind);
                self.give(&visit, 0, usize::from(visit.gains));
            }
            // Now all regions have it.
            1 => {
                self.cut_off(behind, visit.pause_ms * STEPS_BEHIND + BEHIND_MS);
                self.give(&visit, 0, usize::from(!visit.gains));
            }
            2 if visit.gains => {
                let back = self.now + visit.pause_ms * STEPS_BEHIND + BEHIND_MS;
                self.devices[driver].offline_until = back;
                self.hang_up(driver, true);
                self.schedule(back + 1, Event::Dial { device: driver });
                self.give(&visit, 1, 2);
            }
            2 => self.move_to(driver, behind),
            3..=5 if visit.gains => {}
            3 => {
                let note = Value::text(format!("v{}", self.rng.draw() % 1_000_000));
                let fields = vec![(self.app.ids.note, FieldEdit::Put(note))];
                self.write(visit.offices[1], &[Edit::Update { key: visit.order.clone(), fields }]);
            }
            4 => {
                if self.devices[driver].store.visible().contains_key(&visit.order) {
                    self.mark("order that was handed over seen again where a region is behind");
                }
                return self.move_to(driver, ahead);
            }
            _ => {
                if self.devices[driver].store.visible().contains_key(&visit.order) {
                    self.mark("order that was lost meanwhile still shown");
                }
                return self.move_to(driver, behind);
            }
        }
        visit.step += 1;
        // The last one is when what was cut off is level again.
        let level = if visit.step == LAST_STEP { BEHIND_MS } else { 0 };
        self.after(visit.pause_ms + level, Event::Visit);
        self.visit = Some(visit);
    }

    /// An office gives the order to the driver (0), or to one of the others.
    fn give(&mut self, visit: &Visit, office: usize, to: usize) {
        let ids = self.app.ids;
        let subject = &*self.devices[visit.driver].subject;
        let own = DRIVERS.iter().position(|d| subject.ends_with(d)).unwrap_or(0);
        let name = DRIVERS[(own + to) % DRIVERS.len()];
        let driver = (ids.driver, FieldEdit::Put(Value::text(name)));
        let fields = vec![(ids.w, FieldEdit::Put(Value::text("1"))), driver];
        let id = visit.order.id.to_string();
        self.write(visit.offices[office], &[Edit::Upsert { kind: ids.order, id, fields }]);
    }
}
