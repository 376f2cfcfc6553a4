//! Server time, and stamps that lie ahead of it.
//!
//! A clock that is years ahead must not win for years. Every session begins with a time exchange;
//! then ops that never left are stamped anew if a region would find them too far ahead. An op that
//! did leave may be stamped anew only if every region that it went to has refused it for that; any
//! other waits until its time has come.

use super::call::Call;
use super::store::{OpState, OwnOp, Store};
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::{Action, Change, FieldChange, Op};
use landfall_model::stamp::{Clock, Hlc, Stamp};
use std::collections::{BTreeMap, BTreeSet};

impl<S: Store> Call<'_, S> {
    /// One exchange: sent and received here, received and answered there. The one with the
    /// shortest round trip of a session counts.
    pub fn take_time(&mut self, sent_ms: i64, there_ms: i64, answered_ms: i64) {
        let now = self.now_ms;
        let Some(session) = &mut self.node.session else { return };
        let away = now.saturating_sub(sent_ms);
        let round_trip = away.saturating_sub(answered_ms.saturating_sub(there_ms));
        // A negative one means that this device's clock was set back in between.
        if round_trip < 0 || session.round_trip.is_some_and(|best| best < round_trip) {
            return;
        }
        session.round_trip = Some(round_trip);
        let there = there_ms.saturating_sub(sent_ms);
        let back = answered_ms.saturating_sub(now);
        self.meta.offset_ms = there.saturating_add(back) / 2;
    }

    /// Stamp anew what may be and lies too far ahead, keeping the order of all own ops and never
    /// going below what was read.
    pub fn restamp(&mut self) -> Result<(), S::Error> {
        let limit = self.highest_stamp();
        if self.meta.clock <= limit && self.node.ahead.is_empty() {
            return Ok(());
        }
        let now = self.server_now();
        let mut clock = Clock { last: self.meta.read };
        let mut moved: BTreeMap<Stamp, Hlc> = BTreeMap::new();
        let mut waiting: BTreeSet<EntityKey> = BTreeSet::new();
        let mut restamped: Vec<Dot> = Vec::new();
        let mut unseen = Unseen::default();
        let ops = self.all_ops()?;
        let held = held(&ops);
        for mut own in ops {
            let op = &own.sealed.op;
            let refused = self.node.ahead.contains_key(&op.dot) && op.hlc.millis() > now;
            let unsent = own.state == OpState::Unsent;
            let free = unsent && !waiting.contains(&op.key) && !held.contains(&op.stamp());
            if matches!(own.state, OpState::Rejected { .. }) {
                unseen.add(op);
            } else if free && (op.hlc > limit || refused) {
                let (old, dot) = (op.stamp(), op.dot);
                let mut op = Op { hlc: clock.tick(now), ..with_seen(op.clone(), &moved) };
                unseen.forget(&mut op);
                moved.insert(old, op.hlc);
                self.reseal(&mut own, op)?;
                restamped.push(dot);
            } else {
                if op.hlc > limit {
                    // It keeps its stamp, and later writes to the entity must stay above it.
                    waiting.insert(op.key.clone());
                } else {
                    clock.observe(op.hlc);
                }
                if unsent && mentions(op).any(|seen| moved.contains_key(&seen)) {
                    let op = with_seen(own.sealed.op.clone(), &moved);
                    self.reseal(&mut own, op)?;
                }
            }
        }
        if waiting.is_empty() {
            self.meta.clock = clock.last;
        }
        self.release(&restamped, now)
    }

    /// Ops that were refused for their stamp may be pushed again once they have another one, or
    /// its time has come.
    fn release(&mut self, restamped: &[Dot], now: i64) -> Result<(), S::Error> {
        let mut due: Vec<Dot> = restamped.to_vec();
        // Until the time exchange that a refusal asked for is answered, `now` means nothing.
        let known = self.node.session.as_ref().is_some_and(|s| s.round_trip.is_some());
        for dot in self.node.ahead.keys().copied().collect::<Vec<Dot>>() {
            let own = self.store.op(dot)?;
            if own.is_none_or(|own| known && own.sealed.op.hlc.millis() <= now) {
                due.push(dot);
            }
        }
        for dot in due {
            self.node.ahead.remove(&dot);
            self.offer_anew(dot);
        }
        Ok(())
    }

    /// Give an op that never left another content under its dot.
    pub fn reseal(&mut self, own: &mut OwnOp, op: Op) -> Result<(), S::Error> {
        self.touch(&op.key);
        own.sealed = op.seal();
        self.put_op(own)
    }
}

/// Register writes that are refused: what replaced one of them replaces what that had replaced.
/// Otherwise it would claim to have seen all that came before them.
#[derive(Debug, Default)]
pub(super) struct Unseen(BTreeMap<(EntityKey, FieldId, Stamp), Option<Stamp>>);

impl Unseen {
    pub fn add(&mut self, op: &Op) {
        for change in op.changes() {
            if let Change::Register { replaced, .. } = change.change {
                self.0.insert((op.key.clone(), change.field, op.stamp()), replaced);
            }
        }
    }

    /// True if the op mentioned one of them.
    pub fn forget(&self, op: &mut Op) -> bool {
        let key = op.key.clone();
        let mut any = false;
        for change in changes_mut(op) {
            let field = change.field;
            let Change::Register { replaced, .. } = &mut change.change else { continue };
            while let Some(seen) = *replaced
                && let Some(before) = self.0.get(&(key.clone(), field, seen))
            {
                (*replaced, any) = (*before, true);
            }
        }
        any
    }
}

/// Replace mentions of stamps that were given anew, so that what the author saw stays true.
fn with_seen(mut op: Op, moved: &BTreeMap<Stamp, Hlc>) -> Op {
    map_seen(&mut op, |seen| match moved.get(&seen) {
        Some(hlc) => Stamp { hlc: *hlc, ..seen },
        None => seen,
    });
    op
}

/// The stamps that an op's register writes replaced.
fn mentions(op: &Op) -> impl Iterator<Item = Stamp> {
    op.changes().iter().filter_map(|c| match c.change {
        Change::Register { replaced, .. } => replaced,
        _ => None,
    })
}

/// Stamps that ops have to keep, since one that left, directly or by way of others, says that it
/// replaced them: once they have lower ones it would claim to have seen what came in between.
fn held(ops: &[OwnOp]) -> BTreeSet<Stamp> {
    let mut held = BTreeSet::new();
    for own in ops.iter().rev() {
        let left = !matches!(own.state, OpState::Unsent | OpState::Rejected { .. });
        if left || held.contains(&own.sealed.op.stamp()) {
            held.extend(mentions(&own.sealed.op));
        }
    }
    held
}

/// Change the stamps that an op's register writes replaced.
pub(super) fn map_seen(op: &mut Op, map: impl Fn(Stamp) -> Stamp) {
    for change in changes_mut(op) {
        if let Change::Register { replaced: Some(seen), .. } = &mut change.change {
            *seen = map(*seen);
        }
    }
}

pub(super) fn changes_mut(op: &mut Op) -> &mut [FieldChange] {
    match &mut op.action {
        Action::Create { changes, .. } | Action::Update(changes) => changes,
        Action::Delete | Action::Void => &mut [],
    }
}
