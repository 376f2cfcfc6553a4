//! What is asked when something went wrong: take a write back, bring a row back, say why.

use super::Inner;
use super::core::Fault;
use super::history::History;
use crate::client::WriteReceipt;
use crate::error::Error;
use crate::explain::Explanation;
use crate::fates::{Cancelled, WriteOutcome};
use crate::store::inspect::Inspection;
use crate::store::{self, Transaction};
use landfall_model::id::{DeviceId, Dot, EntityKey};
use landfall_model::schema::EntityType;
use landfall_sync::device::explain::home_by_id;
use landfall_sync::device::node::{Output, Problem, Rescued, TakenIn};
use landfall_sync::device::store::Store;
use std::sync::MutexGuard;

/// Numbers of cancelled writes that are remembered, for who asks what became of one.
const CANCELLED_KEPT: usize = 256;

/// Where they are kept.
const CANCELLED: &str = "cancelled";

impl Inner {
    /// What happened lately.
    pub fn history(&self) -> MutexGuard<'_, History> {
        super::lock(&self.history)
    }

    /// This client among all that may sync the file.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    pub fn inspect(&self) -> Result<Inspection, Error> {
        let guard = self.lock()?;
        Ok(guard.as_ref().ok_or_else(Error::closed)?.database.inspect()?)
    }

    pub fn cancel(&self, dot: Dot) -> Result<Cancelled, Error> {
        let cancelled = self.run(|node, t, now| {
            if was_cancelled(t, dot)? {
                return Err(Fault::Refused(Error::problem(Problem::NoWrite)));
            }
            let (cancelled, output) = node.cancel(t, now, dot)?;
            let dots = cancelled.dots.iter().chain(&cancelled.dependants);
            remember(t, dots.map(|dot| (dot.device.0, dot.seq)))?;
            Ok((cancelled, output))
        })?;
        // Voids are to be sent.
        self.wake.notify_one();
        Ok(cancelled)
    }

    pub fn take_in_rescued(&self, rescued: Rescued) -> Result<TakenIn, Error> {
        let random = self.options.random.clone();
        let taken =
            self.run(|node, t, now| Ok(node.take_in(t, now, rescued, &mut || random.next())?))?;
        self.wake.notify_one();
        Ok(taken)
    }

    pub fn restore(&self, key: &EntityKey) -> Result<WriteReceipt, Error> {
        self.run(|node, t, now| Ok(node.restore(t, now, key)?)).map(self.woken())
    }

    pub fn explain(&self, key: &EntityKey) -> Result<Explanation, Error> {
        if let Some(file) = self.shared_kind(key.kind).filter(|file| file.is_shown()) {
            return file.inner.explain(key);
        }
        let (row, outcomes) = self.run(|node, t, now| {
            let row = node.explain(t, now, key)?;
            let outcomes = t.outcomes()?.into_iter().filter(|(_, k, _)| k == key);
            let outcome = |(dot, key, outcome)| WriteOutcome { dot, key, outcome };
            Ok(((row, outcomes.map(outcome).collect()), Output::default()))
        })?;
        let connection = self.connection.borrow().clone();
        Ok(Explanation::new(&self.options.schema, row, outcomes, connection))
    }

    /// The key that a type and an id stand for; without a home if nothing tells that.
    pub fn key_of(&self, kind: &EntityType, id: &str) -> Result<EntityKey, Error> {
        let mut found = match self.shared_kind(kind.id) {
            Some(file) => file.inner.read(|t| t.find(kind.id, id))?,
            None => self.read(|t| t.find(kind.id, id))?,
        };
        match found.len() {
            0 => {
                let home = home_by_id(&kind.home, kind.id_field(), id);
                Ok(EntityKey::new(home.unwrap_or_default(), kind.id, id))
            }
            1 => Ok(found.remove(0)),
            _ => Err(Error::problem(Problem::Ambiguous)),
        }
    }
}

/// True for a write that was cancelled, unless many were since.
pub(super) fn was_cancelled(t: &Transaction<'_>, dot: Dot) -> Result<bool, store::Error> {
    Ok(cancelled(t)?.iter().any(|(device, seq)| Dot::new(DeviceId(*device), *seq) == dot))
}

fn remember(
    t: &mut Transaction<'_>,
    dots: impl Iterator<Item = ([u8; 16], u64)>,
) -> Result<(), store::Error> {
    let mut all = cancelled(t)?;
    all.extend(dots);
    let surplus = all.len().saturating_sub(CANCELLED_KEPT);
    let bytes = minicbor::to_vec(&all[surplus..]).expect("a vector takes what is written to it");
    t.put_fact(CANCELLED, &bytes)
}

fn cancelled(t: &Transaction<'_>) -> Result<Vec<([u8; 16], u64)>, store::Error> {
    let bytes = t.fact(CANCELLED)?.unwrap_or_default();
    // Those that cannot be read are of another version of this crate, and are forgotten.
    Ok(minicbor::decode(&bytes).unwrap_or_default())
}
