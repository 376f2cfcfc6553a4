//! The end of a region's life, as a device lives through it.
//!
//! Positions above a cut never were. Cursors and touch vectors are brought down to it, so that what
//! comes next covers them; what had been read above it is asked for again and then replaced, not
//! joined; and own ops that only the lost part held are offered anew.

use super::call::Call;
use super::session::Handled;
use super::store::{OpState, OwnOp, Store, Subscription};
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::wire;
use landfall_model::vector::{Origin, Position, Vector};
use std::collections::{BTreeMap, BTreeSet};

/// Base rows read at a time.
const ROWS_PER_READ: usize = 512;

impl<S: Store> Call<'_, S> {
    pub fn on_cuts(&mut self, cuts: &[wire::Cut]) -> Handled<S::Error> {
        let cut = |c: &wire::Cut| Ok((convert::origin(c.origin.as_ref())?, c.last));
        let told: Result<BTreeMap<Origin, u64>, Malformed> = cuts.iter().map(cut).collect();
        let told = match told {
            Ok(told) => told,
            Err(m) => return Ok(Err(m)),
        };
        let mut known = self.store.cuts()?;
        let new: BTreeMap<Origin, u64> =
            told.into_iter().filter(|(o, last)| known.get(o).is_none_or(|l| last < l)).collect();
        known.extend(&new);
        if let Some(session) = &mut self.node.session {
            session.cuts = known;
        }
        if !new.is_empty() && !mutant::active(Mutant::CutNotClipped) {
            for (origin, last) in &new {
                self.store.put_cut(*origin, *last)?;
            }
            self.apply_cuts(&new)?;
        }
        Ok(Ok(()))
    }

    /// Logs that the region knows nobody to hold anything of. It may not know all, so this is not
    /// remembered.
    pub fn on_void(&mut self, void: &[wire::Origin]) -> Handled<S::Error> {
        let nothing = |o: &wire::Origin| Ok((convert::origin(Some(o))?, 0));
        let void: Result<BTreeMap<Origin, u64>, Malformed> = void.iter().map(nothing).collect();
        match void {
            Ok(void) if void.is_empty() => Ok(Ok(())),
            Ok(void) => self.apply_cuts(&void).map(Ok),
            Err(malformed) => Ok(Err(malformed)),
        }
    }

    fn apply_cuts(&mut self, cuts: &BTreeMap<Origin, u64>) -> Result<(), S::Error> {
        self.node.documents.doubt();
        for (origin, last) in cuts {
            self.node.safe.clip(*origin, *last);
            if let Some(session) = &mut self.node.session {
                session.vector.clip(*origin, *last);
                session.scanned = 0;
            }
        }
        for (scope, mut sub) in self.store.subscriptions()? {
            if clip_subscription(&mut sub, cuts) {
                self.store.put_subscription(&scope, &sub)?;
            }
        }
        let open = self.node.session.iter_mut().flat_map(|s| s.subs.values_mut());
        open.for_each(|s| _ = clip_subscription(&mut s.known, cuts));
        self.clip_rows(cuts)?;
        self.bring_back_removed(cuts)?;
        self.offer_again(cuts)?;
        let numbers: Vec<u32> =
            self.node.session.iter().flat_map(|s| s.subs.keys().copied()).collect();
        numbers.into_iter().try_for_each(|n| self.refetch(n, false))
    }

    fn clip_rows(&mut self, cuts: &BTreeMap<Origin, u64>) -> Result<(), S::Error> {
        let mut after = None;
        loop {
            let rows = self.store.bases(after.as_ref(), ROWS_PER_READ)?;
            let Some((key, _)) = rows.last() else { return Ok(()) };
            after = Some(key.clone());
            for (key, mut base) in rows {
                if clip_all(&mut base.touch, cuts) | clip_all(&mut base.joined, cuts) {
                    self.store.put_base(&key, &base)?;
                    self.reader.forget(&key);
                    for scope in &base.holds {
                        self.store.add_refetch(scope, &key)?;
                    }
                }
            }
        }
    }

    /// What was removed by a position that never was may still be in the scope.
    fn bring_back_removed(&mut self, cuts: &BTreeMap<Origin, u64>) -> Result<(), S::Error> {
        for (scope, key, mut touch) in self.store.removed()? {
            if clip_all(&mut touch, cuts) {
                self.store.forget_removed(&scope, &key)?;
                if self.store.subscription(&scope)?.is_some() {
                    self.store.add_refetch(&scope, &key)?;
                }
            }
        }
        Ok(())
    }

    /// Own ops whose only known position never was may be held by nobody. Which regions they were sent
    /// to before one accepted them is not known any more: any of those that are left may have them.
    fn offer_again(&mut self, cuts: &BTreeMap<Origin, u64>) -> Result<(), S::Error> {
        let lost = |p: &Position| cuts.get(&p.origin).is_some_and(|last| p.seq > *last);
        let all = self.node.session.as_ref().map(|s| s.regions.clone()).unwrap_or_default();
        let again = |own: &OwnOp| match &own.state {
            OpState::Accepted { position } | OpState::Durable { position } if lost(position) => {
                let mut regions = all.clone();
                regions.insert(position.origin.region);
                Some(OpState::Sent { regions, refused_by: BTreeSet::new() })
            }
            _ => None,
        };
        for mut own in self.all_ops()? {
            if let Some(state) = again(&own) {
                self.set_state(&mut own, state)?;
                self.touch(&own.sealed.op.key.clone());
            }
        }
        for mut void in self.store.voids()? {
            if let Some(state) = again(&void) {
                void.state = state;
                self.store.put_void(&void)?;
            }
        }
        Ok(())
    }
}

fn clip_subscription(sub: &mut Subscription, cuts: &BTreeMap<Origin, u64>) -> bool {
    let mut clipped = clip_all(&mut sub.cursor, cuts);
    if let Some(pass) = &mut sub.pass {
        clipped |= clip_all(&mut pass.start, cuts) | clip_all(&mut pass.from, cuts);
    }
    if let Some((_, seen)) = &mut sub.provisional {
        clipped |= clip_all(seen, cuts);
    }
    clipped
}

/// Bring a vector down to what counts. True if it was above.
pub(super) fn clip_all(vector: &mut Vector, cuts: &BTreeMap<Origin, u64>) -> bool {
    cuts.iter().map(|(o, last)| vector.clip(*o, *last)).fold(false, |any, c| any | c)
}
