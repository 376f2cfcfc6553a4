//! Writes that the session's region refused, and that are not refused for good yet.
//!
//! They are offered again, each time after a longer wait: to the region itself, which may have had
//! them from a peer since, or what they hang on; and through another connection to those regions
//! that they were sent to and whose answer is still owed ([`Call::owed`]). So a refusal becomes final,
//! or is taken back, on a device that stays where it is.

use super::call::Call;
use super::node::{Greeting, Node};
use super::session::{Purpose, Session};
use super::store::{OpState, Store};
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::id::{Dot, RegionId};
use std::collections::BTreeSet;

/// When the region is offered again what it refused.
#[derive(Debug, Default)]
pub(super) struct Again {
    due_ms: Option<i64>,
    wait_ms: i64,
}

impl Again {
    /// True once it is time; the next time comes twice as late.
    fn is_due(&mut self, now_ms: i64) -> bool {
        let first = limits::REFUSED_AGAIN_MS_FIRST;
        self.wait_ms = self.wait_ms.max(first);
        let due = *self.due_ms.get_or_insert(now_ms.saturating_add(self.wait_ms));
        // A clock that was set back must not put it off for long.
        let early = now_ms < due && due.saturating_sub(now_ms) <= self.wait_ms;
        if early {
            return false;
        }
        self.wait_ms = (self.wait_ms * 2).min(limits::REFUSED_AGAIN_MS_MAX);
        self.due_ms = Some(now_ms.saturating_add(self.wait_ms));
        true
    }
}

impl<S: Store> Call<'_, S> {
    /// Have the next push offer again what the region refused, if it is time.
    /// What another region has accepted since, and this one has by now, is not pushed but asked for.
    pub fn offer_refused_again(&mut self) -> Result<(), S::Error> {
        let now_ms = self.now_ms;
        let Some(session) = &mut self.node.session else { return Ok(()) };
        if session.refused.is_empty() && session.in_flight.is_empty() {
            session.again = Again::default();
        }
        if session.refused.is_empty()
            || !session.again.is_due(now_ms)
            || mutant::active(Mutant::RefusedNotOfferedAgain)
        {
            return Ok(());
        }
        let refused = std::mem::take(&mut session.refused);
        session.scanned = 0;
        session.retried.clone_from(&refused);
        self.ask_fates(|dot| refused.contains(&dot))
    }

    /// The region refuses an op, for the first time or again.
    pub fn note_refused(&mut self, dot: Dot) {
        let Some(session) = &mut self.node.session else { return };
        session.in_flight.remove(&dot);
        session.refused.insert(dot);
        let again = session.retried.remove(&dot);
        if !again && !matches!(session.purpose, Purpose::Hedge { .. }) {
            // What is refused now does not wait as long as what has been for long.
            session.again = Again::default();
            self.node.refusals += 1;
        }
    }

    /// The region accepts an op. If that was heard beside the session, the session's region is still
    /// to be asked whether enough regions hold it.
    pub fn note_accepted(&mut self, dot: Dot, durable: bool) {
        if let Some(here) = &mut self.node.session {
            here.retried.remove(&dot);
            here.refused.remove(&dot);
        }
        let Some(other) = &mut self.node.hedge else { return };
        if durable {
            other.retried.remove(&dot);
            other.refused.remove(&dot);
        } else if !other.in_flight.contains(&dot) {
            other.retried.remove(&dot);
            other.refused.insert(dot);
            other.again = Again::default();
        }
    }

    /// What was refused is not offered again as it was: no refusal keeps its new form, or its void, from
    /// being offered.
    pub fn offer_anew(&mut self, dot: Dot) {
        for session in [&mut self.node.session, &mut self.node.hedge].into_iter().flatten() {
            session.retried.remove(&dot);
            if session.refused.remove(&dot) {
                session.scanned = 0;
            }
        }
    }

    /// Regions that were sent a write which this one refuses, and that have not answered it.
    fn owed(&mut self) -> Result<BTreeSet<RegionId>, S::Error> {
        let session = self.node.session.as_ref().filter(|_| !mutant::active(Mutant::OwedNotAsked));
        let Some(session) = session else { return Ok(BTreeSet::new()) };
        let mut gave: BTreeSet<RegionId> = session.lost.clone();
        gave.extend(session.region);
        let refused: Vec<Dot> = session.refused.union(&session.retried).copied().collect();
        let mut owed = BTreeSet::new();
        for dot in refused {
            let Some(own) = self.store.op(dot)? else { continue };
            let OpState::Sent { regions, refused_by } = own.state else { continue };
            let ahead = self.node.ahead.get(&dot);
            let waits = |r: &&RegionId| {
                !refused_by.contains(r) && !gave.contains(r) && ahead.is_none_or(|a| !a.contains(r))
            };
            owed.extend(regions.iter().filter(waits).copied());
        }
        Ok(owed)
    }
}

impl Node {
    /// Regions whose answer decides on writes that the session's region refuses. A device that has
    /// nothing better to do greets one of them, and goes on with [`Node::ask`].
    pub fn owed<S: Store>(&mut self, store: &mut S) -> Result<BTreeSet<RegionId>, S::Error> {
        Call::begin(self, store, 0)?.owed()
    }

    /// How many writes the session's region refuses, as others may not; and how many refusals there
    /// were, each write counted once a session.
    pub fn refused(&self) -> (usize, u64) {
        let now = self.session.as_ref().map_or(0, |s| s.refused.len() + s.retried.len());
        (now, self.refusals)
    }

    /// What the session's region refuses is offered to the region of this greeting, too: a hedge for
    /// what is not late but undecided. False where nothing is, by now.
    pub fn ask(&mut self, greeting: Greeting) -> bool {
        let undecided = |s: &Session| s.refused.union(&s.retried).copied().collect();
        let undecided = self.session.as_ref().map(undecided).unwrap_or_default();
        self.offer_elsewhere(undecided, greeting)
    }

    /// Offer these ops to a second region.
    pub(super) fn offer_elsewhere(&mut self, late: BTreeSet<Dot>, greeting: Greeting) -> bool {
        let begins = !late.is_empty();
        self.hedge = begins.then(|| {
            let then = Box::new(greeting.0.purpose);
            Session { purpose: Purpose::Hedge { late, then }, ..greeting.0 }
        });
        begins
    }

    /// The second region has answered all that it was offered; true, too, where there is none.
    pub fn hedge_answered(&self) -> bool {
        self.hedge.as_ref().is_none_or(|s| s.region.is_some() && s.in_flight.is_empty())
    }
}
