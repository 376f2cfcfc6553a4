//! Devices that hold a part of their scopes: windows, budgets and priorities.
//!
//! A note is due long before the run or long after it, so on which side of a window it lies does not
//! change with the time, only with what people write.

use crate::world::{EPOCH_MS, World};
use landfall_model::id::Scope;
use landfall_model::value::Value;
use landfall_sync::device::node::FieldEdit;
use landfall_sync::device::store::Terms;

const DAY_MS: u64 = 86_400_000;

/// How far away dates are, in days; further than any window, and any run.
const FAR_DAYS: i64 = 1_000;

/// The longest window.
const KEEP_DAYS_MAX: usize = 90;

impl World {
    /// What a device is to hold of a scope; `None` asks for it in the plain way. Rows refer to the
    /// catalogue, and what shows of those depends on all of it, so it is held whole.
    pub fn terms(&mut self, device: usize, scope: &Scope) -> Option<Terms> {
        if self.plan.terms == 0 || **scope == *"catalog" || !self.rng.chance(self.plan.terms) {
            return None;
        }
        let days = 1 + self.rng.below(KEEP_DAYS_MAX) as u64;
        let mut terms = Terms { priority: self.rng.below(4) as u8, ..Terms::default() };
        if self.rng.chance(700) {
            terms.keep_ms = Some(days * DAY_MS);
            self.mark("scope held by a window");
        }
        if self.rng.chance(250) {
            terms.rows_max = Some(1 + self.rng.below(4) as u64);
            self.mark("scope held by a budget of rows");
        }
        if self.rng.chance(150) {
            terms.bytes_max = Some(60 + self.rng.below(600) as u64);
            self.mark("scope held by a budget of bytes");
        }
        // It does not follow all that becomes of its writes there.
        self.oracle.let_go.insert((device, scope.clone()));
        Some(terms)
    }

    /// When a note is due.
    pub fn due(&mut self) -> FieldEdit {
        let days = if self.rng.chance(500) { FAR_DAYS } else { -FAR_DAYS };
        FieldEdit::Put(Value::Int((EPOCH_MS + days * DAY_MS as i64) * 1_000))
    }

    /// A device lets go of what has grown too old.
    pub fn tidy(&mut self, device: usize) {
        let before = self.bases(device);
        self.device_call(device, |node, store, now| {
            let (_, out) = node.tidy(store, now).expect("a store in memory does not fail");
            out
        });
        self.check_tidied(device, &before);
    }

    pub fn tidy_all(&mut self) {
        if self.plan.terms > 0 {
            (0..self.devices.len()).for_each(|device| self.tidy(device));
        }
    }

    /// In the end some devices want the whole of their scopes after all: what was left out and what
    /// went must come.
    pub fn lift_terms(&mut self, device: usize) {
        if self.plan.terms == 0 || !self.rng.chance(500) {
            return;
        }
        self.mark("parts of scopes made whole");
        let wants: Vec<Scope> = self.devices[device].wants.iter().cloned().collect();
        for scope in wants {
            self.oracle.asked.subscribe(device, scope.clone(), Terms::default());
            self.device_call(device, |node, store, now| {
                node.subscribe_with(store, scope, Terms::default(), now)
                    .expect("a store in memory does not fail")
            });
        }
    }
}
