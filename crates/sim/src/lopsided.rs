//! Greetings that are held up on their way to the region. The device takes half of the delay for a
//! difference of clocks and stamps too far ahead, until another exchange tells better. So what it
//! writes at once is refused for its stamp, and often enough on its way to another region by then.

use crate::world::{Event, World};

impl World {
    /// How long a new connection's first frame is held up.
    pub fn greeting_delay(&mut self) -> i64 {
        if self.plan.lopsided == 0 || self.healing || !self.rng.chance(self.plan.lopsided) {
            return 0;
        }
        self.mark("greeting held up one way");
        self.rng.between(1_000, 9_000)
    }

    /// People write as soon as the app is back, before the time is known any better.
    pub fn write_at_once(&mut self, device: usize, conn: u64) {
        if self.rng.chance(500) {
            return;
        }
        self.act_on(device);
        let then = self.rng.below(3);
        let late = self.now + self.rng.between(1_000, 6_000);
        if let Some(c) = self.net.conns.get_mut(&conn).filter(|c| c.device_up) {
            match then {
                0 => c.to_region.stall(late),
                1 => c.to_device.stall(late),
                _ => {}
            }
        }
        self.device_call(device, |node, store, now| {
            node.poll(store, now).expect("a store in memory does not fail")
        });
        match then {
            // What is on its way arrives after the device has come back.
            0 => {
                self.hang_up(device, true);
                self.after(10, Event::Dial { device });
            }
            1 => self.hedge(device),
            _ => {}
        }
    }
}
