//! Writes of a damaged file, taken into another file.
//!
//! **Why no write counts twice.** A write keeps its number and its payload, to the byte, and is pushed
//! under the device id that it was made under, which becomes an earlier id of this file. Regions
//! know a write by its number and fingerprint: whatever became of it before, it is accepted once.
//! Nothing is ever made again under a new number by itself, because no damaged file can prove that
//! a write was not sent: its last log may be what is missing.
//!
//! What regions cannot tell by number and payload alone is an older form of a write that was
//! rewritten before it was sent (typing that grew, a stamp given anew): a second payload under a
//! number would be a second write. So before a rescued write is pushed to a region that has its
//! number, that region is asked what it has: this write, and it is accepted; another one, and the
//! write ends with an outcome that the app decides about; or it was told that all is well with the
//! number, and the write is settled. Only where the number never arrived is the write pushed.
//!
//! **Why this file is not the old one.** New writes are numbered under this file's own id. To go on
//! under the old id would need the last number that it gave, for certain.
//!
//! **What ends with an outcome.** Of a transaction that never was whole at a region as far as the file
//! tells, and of which a part could not be read, the rest is kept as refused: it cannot be pushed, and
//! half of it is not what was written. So is a write that stands on a create that could not be
//! read and was not sent. The app sees both, and may make them anew or dismiss them.
//!
//! All of it is one transaction of the store. Taken in twice, what is here already is left as it
//! is, and what has been settled since is asked for and found settled.

use super::call::Call;
use super::fates::{INCOMPLETE, Reason, transactions};
use super::output::{Event, RESCUED};
use super::store::{OpState, Outcome, OwnOp, Store};
use landfall_model::id::{DeviceId, Dot, EntityKey};
use landfall_model::op::Action;
use std::collections::{BTreeMap, BTreeSet};

/// What was rescued of a file.
#[derive(Debug, Clone, Default)]
pub struct Rescued {
    /// The file's device id and the highest number under it that may have left it.
    pub device: Option<(DeviceId, u64)>,
    /// Own writes, by order.
    pub ops: Vec<OwnOp>,
    /// Numbers that are to be filled.
    pub voids: Vec<OwnOp>,
    /// Outcomes that the app had not dismissed.
    pub outcomes: Vec<(Dot, EntityKey, Outcome)>,
}

/// What became of rescued writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenIn {
    /// In the outbox again, under their old numbers.
    pub waiting: Vec<Dot>,
    /// Kept as refused: they had been refused before, or cannot be pushed.
    pub refused: Vec<Dot>,
    /// Held by enough regions when the file broke: they come with the rows.
    pub safe: u64,
    /// Here already.
    pub known: u64,
}

const UNREADABLE: &str = "depends_on_refused";

impl OpState {
    /// From a damaged file, and no region has said yet what it knows of it.
    pub(super) fn is_rescued(&self) -> bool {
        matches!(self, Self::Sent { regions, .. } if regions.is_empty())
    }

    fn rescued() -> Self {
        Self::Sent { regions: BTreeSet::new(), refused_by: BTreeSet::new() }
    }
}

impl<S: Store> Call<'_, S> {
    pub fn take_in_rescued(
        &mut self,
        rescued: Rescued,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<TakenIn, S::Error> {
        let all = rescued.ops.iter().chain(&rescued.voids);
        let ids: BTreeSet<DeviceId> = all.map(|own| own.sealed.op.device()).collect();
        if ids.contains(&self.meta.device) {
            // The other file may have given numbers that this one is about to give.
            self.renew(random)?;
        }
        let new = ids.into_iter().filter(|id| !self.meta.former.contains(id));
        let new: Vec<DeviceId> = new.collect();
        self.meta.former.extend(new);
        let sent = highest_sent(&rescued);
        let mut taken = TakenIn::default();
        let mut parked: BTreeSet<Dot> = BTreeSet::new();
        let here: BTreeSet<Dot> = rescued.ops.iter().map(|own| own.sealed.op.dot).collect();
        let mut ops = rescued.ops;
        ops.sort_by_key(|own| (own.order, own.sealed.op.dot));
        for tx in transactions(ops) {
            let why = self.unpushable(&tx, &here, &parked, &sent)?;
            for own in tx {
                if why.is_some() {
                    parked.insert(own.sealed.op.dot);
                }
                self.take_in_one(own, why.as_ref(), &mut taken)?;
            }
        }
        for void in rescued.voids {
            let dot = void.sealed.op.dot;
            if self.store.void(dot)?.is_none() {
                self.meta.last_order += 1;
                let (order, state) = (self.meta.last_order, OpState::rescued());
                self.store.put_void(&OwnOp { order, state, overlay: false, ..void })?;
            }
        }
        for (dot, key, outcome) in rescued.outcomes {
            self.outcome(dot, &key, outcome)?;
        }
        if let Some(session) = &mut self.node.session {
            // The greeting did not name the ids.
            session.scanned = 0;
            self.stop(RESCUED, "this file has writes of another one; greet again with its ids");
        }
        Ok(taken)
    }

    /// Why a transaction cannot be pushed, if so.
    fn unpushable(
        &mut self,
        tx: &[OwnOp],
        here: &BTreeSet<Dot>,
        parked: &BTreeSet<Dot>,
        sent: &BTreeMap<DeviceId, u64>,
    ) -> Result<Option<Reason>, S::Error> {
        let op = &tx[0].sealed.op;
        let decided =
            |own: &OwnOp| matches!(own.state, OpState::Accepted { .. } | OpState::Durable { .. });
        if tx.iter().any(decided) {
            return Ok(None);
        }
        let reason = |code: &str, detail: &str| Reason {
            code: code.to_owned(),
            seq: op.dot.seq,
            field: None,
            detail: detail.to_owned(),
        };
        if tx.len() < op.tx.count as usize {
            let detail = "a part of its transaction could not be read; it may have been sent";
            return Ok(Some(reason(INCOMPLETE, detail)));
        }
        let gone = |dot: &Dot| {
            let unread = !here.contains(dot) && sent.get(&dot.device).is_some_and(|s| *s < dot.seq);
            parked.contains(dot) || unread
        };
        for own in tx {
            let op = &own.sealed.op;
            let needed = |dot: &Dot| op.needs.contains(dot);
            let Some((_, births)) = op.stands_on() else { continue };
            if births.iter().all(|birth| needed(birth) && gone(birth)) {
                let detail = "the write that created it, or its parent, could not be read";
                return Ok(Some(reason(UNREADABLE, detail)));
            }
        }
        Ok(None)
    }

    fn take_in_one(
        &mut self,
        own: OwnOp,
        why: Option<&Reason>,
        taken: &mut TakenIn,
    ) -> Result<(), S::Error> {
        let (dot, key) = (own.sealed.op.dot, own.sealed.op.key.clone());
        if self.store.op(dot)?.is_some() || self.store.void(dot)?.is_some() {
            taken.known += 1;
            return Ok(());
        }
        let refused = match (&own.state, why) {
            (OpState::Durable { .. }, _) => {
                taken.safe += 1;
                return Ok(());
            }
            (OpState::Rejected { code, field, detail }, _) => {
                Some((code.clone(), *field, detail.clone()))
            }
            (_, Some(why)) => Some((why.code.clone(), why.field, why.detail.clone())),
            _ => None,
        };
        self.meta.last_order += 1;
        let order = self.meta.last_order;
        self.observe(own.sealed.op.hlc);
        self.reader.forget(&key);
        let Some((code, field, detail)) = refused else {
            self.note_family(&own)?;
            self.put_op(&OwnOp { order, state: OpState::rescued(), overlay: true, ..own })?;
            taken.waiting.push(dot);
            return self.touch_family(&key);
        };
        let outcome = Outcome::Rejected { code: code.clone(), field, detail: detail.clone() };
        let state = OpState::Rejected { code, field, detail };
        self.put_op(&OwnOp { order, state, overlay: false, ..own })?;
        taken.refused.push(dot);
        // One that was refused before may have been dismissed to all but this; one that is parked
        // is told of.
        if why.is_some() { self.outcome(dot, &key, outcome) } else { Ok(()) }
    }

    /// What a create leaves beside its op.
    fn note_family(&mut self, own: &OwnOp) -> Result<(), S::Error> {
        let op = &own.sealed.op;
        let Action::Create { parent, .. } = &op.action else { return Ok(()) };
        if self.store.own_birth(&op.key)?.is_none() {
            self.store.put_own_birth(&op.key, Some(op.dot))?;
        }
        if let Some(parent) = parent {
            let above = EntityKey::new(op.key.home.clone(), parent.kind, parent.id.clone());
            self.store.put_child(&above, &op.key)?;
        }
        Ok(())
    }

    /// The region has the number for another op: an older form of this one, or a copy's.
    pub fn rescued_is_another(&mut self, own: OwnOp) -> Result<(), S::Error> {
        let detail = "a region has another write under its number".to_owned();
        let (code, seq) = (super::fates::FORKED_DEVICE.to_owned(), own.sealed.op.dot.seq);
        self.reject(vec![own], &Reason { code, seq, field: None, detail })
    }

    /// The region had been told that all is well with the number.
    pub fn rescued_is_settled(&mut self, own: &OwnOp) -> Result<(), S::Error> {
        let (dot, key) = (own.sealed.op.dot, own.sealed.op.key.clone());
        self.reader.forget(&key);
        self.store.remove_op(dot)?;
        self.out.events.push(Event::Changed { key: key.clone() });
        self.touch_family(&key)
    }
}

/// Per device id, the highest number that is known to have been sent or answered.
fn highest_sent(rescued: &Rescued) -> BTreeMap<DeviceId, u64> {
    let mut highest: BTreeMap<DeviceId, u64> = rescued.device.into_iter().collect();
    for own in rescued.ops.iter().filter(|own| own.state != OpState::Unsent) {
        let dot = own.sealed.op.dot;
        let known = highest.entry(dot.device).or_default();
        *known = (*known).max(dot.seq);
    }
    highest
}
