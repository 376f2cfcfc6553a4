//! What was read and has to be taken back, because a region was lost with it.
//!
//! A row that covers what is here takes its place, and after a cut it may say less: writes that this
//! device had read from the lost region, and that no region has now. They go from the row, and each
//! is told as [`Outcome::RolledBack`] under its own number, in the transaction in which it goes. What
//! waits in this device's outbox is not among them: it shows all the same, and is offered again.
//!
//! A write that is taken back may still wait in the outbox of whoever made it, or be found at a region
//! that was out of reach; then it comes again. Counts are sums that do not say what they are made of,
//! and texts are not looked into: what only those lost is not told.

use super::call::Call;
use super::install::Row;
use super::store::{Outcome, Store};
use crate::mutant::{self, Mutant};
use landfall_model::entity::Entity;
use landfall_model::id::{Dot, EntityKey};
use std::collections::BTreeSet;

impl<S: Store> Call<'_, S> {
    /// A row took the place of this state.
    pub fn tell_replaced(&mut self, before: &Entity, row: &Row) -> Result<(), S::Error> {
        let lost = row.entity.without(before, |field| row.shows(field));
        self.tell_rolled_back(&row.key, lost)
    }

    /// A region that has all that was here never had the entity in the scope that it came from.
    pub fn tell_absent(&mut self, key: &EntityKey, before: &Entity) -> Result<(), S::Error> {
        self.tell_rolled_back(key, before.living().collect())
    }

    fn tell_rolled_back(&mut self, key: &EntityKey, lost: BTreeSet<Dot>) -> Result<(), S::Error> {
        for dot in lost {
            let waits = self.store.op(dot)?.is_some_and(|own| own.in_outbox());
            if !waits && !mutant::active(Mutant::RollbackSilent) {
                self.outcome(dot, key, Outcome::RolledBack)?;
            }
        }
        Ok(())
    }
}
