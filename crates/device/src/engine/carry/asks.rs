//! Asking other regions about writes that this one refuses.
//!
//! A refusal is final once every region that the write was sent to has given it. One that never
//! answered, because the device had left it by then, is greeted beside the session, offered the
//! write again, and left: a device does not have to move for that. The first time soon, then less and
//! less often, for the region may be down.

use super::super::greet::{Failure, Greeted};
use super::super::{End, Engine};
use super::{Carry, Side};
use landfall_sync::limits;
use std::time::Duration;

/// The rhythm is that in which the session's own region is offered again what it refused.
const FIRST: Duration = Duration::from_millis(limits::REFUSED_AGAIN_MS_FIRST as u64);
const LONGEST: Duration = Duration::from_millis(limits::REFUSED_AGAIN_MS_MAX as u64);

/// When a region is asked next, and which.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// `None` while nothing is refused.
    next: Option<Duration>,
    /// Refusals when the wait began: after another one it begins anew.
    refusals: u64,
    wait: Duration,
    attempts: usize,
}

impl Engine {
    /// Ask a region that owes an answer, if it is time for that and nothing else goes on beside the
    /// session.
    pub(super) fn ask_owed(&mut self, carry: &mut Carry) -> Result<(), End> {
        let now = self.inner.options.runtime.now();
        let (refused, refusals) = self.inner.refused();
        if refused == 0 || refusals != carry.asks.refusals {
            carry.asks = Asks { refusals, ..Asks::default() };
        }
        let busy = !matches!(carry.side, Side::None) || carry.goal.conditions.low_power;
        if refused == 0 || busy || carry.asks.next.is_some_and(|at| now < at) {
            return Ok(());
        }
        let asks = &mut carry.asks;
        asks.wait = (asks.wait * 2).clamp(FIRST, LONGEST);
        if asks.next.replace(now + asks.wait).is_none() {
            return Ok(());
        }
        let owed = self.inner.owed()?;
        let regions = self.choice.who_may_be(&owed);
        let turn = asks.attempts % regions.len().max(1);
        asks.attempts += 1;
        if let Some(region) = regions.get(turn) {
            carry.side = Side::Asking(self.greets(*region, carry.extent));
        }
        Ok(())
    }

    /// A region that was to be asked is ready, or not.
    pub(super) fn asked(
        &mut self,
        region: usize,
        done: Result<Greeted, Failure>,
    ) -> Result<Side, End> {
        // That it cannot be reached is no news, and holds nothing against it.
        let Ok(greeted) = done else { return Ok(Side::None) };
        self.choice.learn(region, greeted.id);
        if !self.inner.owed()?.contains(&greeted.id) {
            return Ok(Side::None);
        }
        let until = self.inner.options.runtime.now() + self.inner.options.network.ready();
        self.hedge(greeted, Some(until))
    }

    /// The region that is asked has answered, or does not in time.
    pub(super) fn end_asking(&self, carry: &mut Carry) {
        let Side::Hedge { until: Some(until), .. } = &carry.side else { return };
        if *until <= self.inner.options.runtime.now() || self.inner.hedge_answered() {
            self.inner.end_hedge();
            carry.side = Side::None;
        }
    }
}
