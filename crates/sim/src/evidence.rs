//! What is left when a run is over, as plain data: regions, devices, and what was seen of both from
//! outside. The checkers of the end compare it with itself.
//!
//! The simulator makes it of its stores in memory; `landfall drill` of the SQLite files of processes
//! that are gone, and of what they wrote down of themselves. Both are judged by the same checkers.

mod read;
#[cfg(test)]
mod tests;

use crate::app::App;
use crate::checkers::{self, Accepted};
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::text::Text;
use landfall_model::value::Value;
use landfall_model::vector::Origin;
use landfall_sync::device::store::{Base, Meta, Outcome, OwnOp, Terms, View};
use landfall_sync::region::store::{DeviceRecord, Head, LogRow, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the module's description.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub app: App,
    /// Those that were not lost.
    pub regions: Vec<Region>,
    pub devices: Vec<Device>,
    /// What the first of the regions has received.
    pub accepted: Accepted,
    /// Every op that may have left a device.
    pub sent: BTreeMap<(Dot, Fingerprint), Sealed>,
    /// All that was ever counted.
    pub increments: BTreeMap<(EntityKey, FieldId), i64>,
    /// Device ids of files that were copied or put back.
    pub shared_ids: BTreeSet<DeviceId>,
    /// Draws the order in which ops are folded anew.
    pub order: u64,
}

/// A region's store.
#[derive(Debug, Clone, Default)]
pub struct Region {
    pub name: String,
    pub entities: BTreeMap<EntityKey, Record>,
    pub texts: BTreeMap<(EntityKey, FieldId), Text>,
    pub heads: Vec<(Origin, Head)>,
    /// By origin and number.
    pub logs: Vec<(Origin, LogRow)>,
    pub devices: BTreeMap<DeviceId, DeviceRecord>,
}

/// A device's file, and what its process wrote down.
#[derive(Debug, Clone, Default)]
pub struct Device {
    pub name: String,
    pub meta: Meta,
    pub bases: BTreeMap<EntityKey, Base>,
    pub texts: BTreeMap<(EntityKey, FieldId), Text>,
    /// Own ops that are kept.
    pub ops: Vec<OwnOp>,
    pub outcomes: Vec<(Dot, EntityKey, Outcome)>,
    /// What the app sees.
    pub visible: BTreeMap<EntityKey, Arc<View>>,
    /// Scopes that it is to hold.
    pub wants: BTreeSet<Scope>,
    /// How much of a scope the app asked for, where that is not all of it.
    pub terms: BTreeMap<Scope, Terms>,
    pub told: Told,
}

/// What a device's own history says. Empty where none was written.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Ops whose local transaction was committed.
    pub written: BTreeSet<Dot>,
    /// Ops that a region acknowledged; true: as many as are asked for.
    pub acknowledged: BTreeMap<Dot, bool>,
    /// Ops that all regions refused, with the word for it.
    pub refused: BTreeMap<Dot, String>,
    /// Transactions that failed for a reason that is not in their edits.
    pub failed: Vec<String>,
    /// What counters showed that only count up, in order of time.
    pub shows: Vec<BTreeMap<String, i64>>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub checker: &'static str,
    pub invariant: &'static str,
    pub message: String,
}

impl Finding {
    pub fn new(checker: &'static str, invariant: &'static str, message: impl Into<String>) -> Self {
        Self { checker, invariant, message: message.into() }
    }
}

/// A checker that needs nothing but evidence.
pub type Check = fn(&Evidence) -> Option<Finding>;

/// All of them, in the order in which they run.
pub const CHECKS: [(&str, Check); 9] = [
    ("logs", checkers::logs::check),
    ("unchanged", checkers::unchanged::check),
    ("exactly-once", checkers::exactly_once::check),
    ("atomicity", checkers::atomicity::check),
    ("convergence", checkers::convergence::check),
    ("ends", checkers::ends::check),
    ("devices", checkers::devices::check),
    ("identity", checkers::identity::check),
    ("shows", checkers::shows::check),
];

impl Device {
    /// Whether the device may be without a row that its scope holds: it is older than the window
    /// that ends at this time, or there is no room for all, as the app asked.
    pub fn may_lack(
        &self,
        app: &App,
        scope: &Scope,
        (key, entity): (&EntityKey, &Entity),
        ends_ms: i64,
    ) -> bool {
        let Some(terms) = self.terms.get(scope) else { return false };
        let older = || {
            let due = entity.register(app.ids.due, &Living).map(|w| &w.value);
            key.kind == app.ids.memo && due.is_some_and(|due| *due < Value::Int(ends_ms * 1_000))
        };
        terms.is_bounded() || (terms.keep_ms.is_some() && older())
    }
}
