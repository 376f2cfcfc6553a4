//! What regions say of pushed ops: accepted, durable, refused.
//!
//! A refusal is final only when every region that the op went to has refused it, or is lost. Then
//! the op leaves the overlay and stays for the app, with its outcome; a void takes its number; and
//! what hangs on it falls with it, where no region may have accepted that.

use super::call::Call;
use super::restamp::Unseen;
use super::session::Handled;
use super::store::{OpState, Outcome, OwnOp, Store};
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::wire::device_frame::Kind;
use crate::wire::fate::Kind as FateKind;
use crate::{limits, wire};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId};
use landfall_model::op::{Action, Change, Op};
use landfall_model::vector::{Position, SeqSet};
use std::collections::BTreeSet;

/// The stamp lies too far ahead: not a refusal of the write.
const CLOCK_AHEAD: &str = "clock_ahead";

/// The number is taken by another op, of a copy of this file: there is nothing to void.
pub(super) const FORKED_DEVICE: &str = "forked_device";

/// The row left this device before the write was sent.
pub(super) const LEFT_SCOPE: &str = "left_scope";

/// What the op stands on was refused there.
const DEPENDS: &str = "depends_on_refused";

/// Some of the transaction is missing there.
pub(super) const INCOMPLETE: &str = "incomplete_transaction";

/// Why an op is refused.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub code: String,
    /// Number of the op of the transaction that caused it.
    pub seq: u64,
    pub field: Option<FieldId>,
    pub detail: String,
}

/// A fate with its parts checked.
enum Told {
    Accepted { position: Position, durable: bool },
    Rejected(Reason),
    Unknown,
    Other,
}

impl<S: Store> Call<'_, S> {
    pub fn on_fates(&mut self, fates: wire::Fates) -> Handled<S::Error> {
        let device = match convert::device_id(&fates.device) {
            Ok(d) => d,
            Err(m) => return Ok(Err(m)),
        };
        let told: Result<Vec<_>, Malformed> = fates.fates.into_iter().map(told).collect();
        let told = match told {
            Ok(told) => told,
            Err(m) => return Ok(Err(m)),
        };
        for (first, count, told) in told {
            let dots = (0..u64::from(count)).map(|i| Dot::new(device, first.saturating_add(i)));
            match told {
                Told::Accepted { position, durable } => {
                    dots.into_iter().try_for_each(|d| self.accepted(d, position, durable))?;
                }
                Told::Rejected(reason) => self.refused(dots.collect(), &reason)?,
                Told::Unknown => dots.into_iter().try_for_each(|d| self.unknown(d))?,
                Told::Other => dots.into_iter().try_for_each(|d| self.other(d))?,
            }
        }
        self.restamp()?;
        self.confirm_many()?;
        self.push()?;
        self.refetch_settled()?;
        Ok(Ok(()))
    }

    fn accepted(&mut self, dot: Dot, position: Position, durable: bool) -> Result<(), S::Error> {
        if let Some(session) = &mut self.node.session {
            session.in_flight.remove(&dot);
            let received = session.received.entry(dot.device).or_default();
            // Rows with it may have come before this answer, and be asked for again.
            session.settled |= received.contains(dot.seq);
            received.insert(dot.seq);
            session.strangers.remove(&dot);
            session.vouched.insert(dot, Some(position));
        }
        self.node.ahead.remove(&dot);
        self.note_accepted(dot, durable);
        if let Some(mut void) = self.store.void(dot)? {
            void.state = OpState::Accepted { position };
            self.store.put_void(&void)?;
            return if durable { self.void_durable(dot) } else { Ok(()) };
        }
        let Some(mut own) = self.store.op(dot)? else { return Ok(()) };
        match own.state {
            // Never sent: what the region has under this number is not ours.
            OpState::Unsent | OpState::Durable { .. } | OpState::Rejected { .. } => return Ok(()),
            OpState::Sent { .. } | OpState::Accepted { .. } => {}
        }
        if own.sealed.op.action == Action::Delete {
            self.forget_own_birth(&own.sealed.op)?;
        }
        if self.stands_on_rejected(&own.sealed.op)? {
            // A region took it that did not know yet: it has no effect anywhere.
            self.outcome(dot, &own.sealed.op.key, Outcome::Deleted)?;
        }
        if mutant::active(Mutant::OverlayRetiredByAck) {
            own.overlay = false;
            self.touch(&own.sealed.op.key.clone());
        }
        if durable || mutant::active(Mutant::OutboxDroppedAtAck) {
            self.node.safe.advance_to(position);
            return self.durable(own, position);
        }
        self.set_state(&mut own, OpState::Accepted { position })
    }

    fn stands_on_rejected(&mut self, op: &Op) -> Result<bool, S::Error> {
        let Some((_, births)) = op.stands_on().filter(|_| !op.needs.is_empty()) else {
            return Ok(false);
        };
        for birth in births {
            let rejected = |own: OwnOp| matches!(own.state, OpState::Rejected { .. });
            if !self.store.op(*birth)?.is_some_and(rejected) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn forget_own_birth(&mut self, delete: &Op) -> Result<(), S::Error> {
        let birth = self.store.own_birth(&delete.key)?;
        if birth.is_some_and(|b| delete.births.contains(&b)) {
            self.store.put_own_birth(&delete.key, None)?;
        }
        Ok(())
    }

    /// Enough regions hold the op.
    fn durable(&mut self, mut own: OwnOp, position: Position) -> Result<(), S::Error> {
        self.mark_texts(&own)?;
        self.touch(&own.sealed.op.key.clone());
        own.overlay &= self.will_show(&own.sealed.op)?;
        if own.overlay {
            return self.set_state(&mut own, OpState::Durable { position });
        }
        self.tell_state(&mut own, OpState::Durable { position });
        self.retire(&own)
    }

    fn void_durable(&mut self, dot: Dot) -> Result<(), S::Error> {
        self.store.remove_void(dot)?;
        self.store.add_unconfirmed(dot.device, dot.seq)
    }

    pub fn on_durable(&mut self, frame: &wire::Durable) -> Handled<S::Error> {
        let parsed = convert::device_id(&frame.device)
            .and_then(|d| convert::seq_set(frame.seqs.as_ref()).map(|s| (d, s)));
        let (device, seqs) = match parsed {
            Ok(parsed) => parsed,
            Err(m) => return Ok(Err(m)),
        };
        let here =
            |own: &OwnOp| own.sealed.op.device() == device && seqs.contains(own.sealed.op.dot.seq);
        for void in self.store.voids()?.iter().filter(|v| here(v)) {
            if matches!(void.state, OpState::Accepted { .. }) {
                self.void_durable(void.sealed.op.dot)?;
            }
        }
        for own in self.among(device, &seqs)? {
            // Without the answer that says where, the next greeting asks again.
            if let OpState::Accepted { position } = own.state {
                // It is where this region has it that enough others do, too; another region may have
                // accepted it under another position, which they may lack.
                if let Some(here) = self.vouched_at(own.sealed.op.dot) {
                    self.node.safe.advance_to(here);
                }
                self.durable(own, position)?;
            }
        }
        self.confirm_many()?;
        Ok(Ok(()))
    }

    /// Own ops of these numbers.
    fn among(&mut self, device: DeviceId, seqs: &SeqSet) -> Result<Vec<OwnOp>, S::Error> {
        let count = seqs.spans().fold(0, |n: u64, (a, b)| n.saturating_add(b - a));
        if count > u64::from(limits::PUSH_OPS_MAX) {
            let mut ops = self.whole_outbox()?;
            ops.retain(|own| {
                own.sealed.op.device() == device && seqs.contains(own.sealed.op.dot.seq)
            });
            return Ok(ops);
        }
        let mut ops = Vec::new();
        for seq in seqs.spans().flat_map(|(a, b)| a..=b) {
            ops.extend(self.store.op(Dot::new(device, seq))?);
        }
        Ok(ops)
    }

    /// The region has the number and no longer knows of what op. If it had accepted this one, it
    /// was told that all is well with it; otherwise only pushing it tells.
    fn unknown(&mut self, dot: Dot) -> Result<(), S::Error> {
        let accepted = |own: &OwnOp| match own.state {
            OpState::Accepted { position } => Some(position),
            _ => None,
        };
        if let Some(void) = self.store.void(dot)? {
            return if accepted(&void).is_some() { self.void_durable(dot) } else { Ok(()) };
        }
        if self.has_received(dot)
            && let Some(session) = &mut self.node.session
        {
            session.vouched.insert(dot, None);
        }
        let Some(own) = self.store.op(dot)? else { return Ok(()) };
        if own.state.is_rescued() {
            return self.rescued_is_settled(&own);
        }
        match accepted(&own) {
            Some(position) if self.has_received(dot) => self.durable(own, position),
            _ => Ok(()),
        }
    }

    /// The region has the number for an op of a copy of this file, and not this one: it is pushed
    /// here again if it still has to be, and no row from here is taken to have it in it.
    fn other(&mut self, dot: Dot) -> Result<(), S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(()) };
        session.strangers.insert(dot);
        if let Some(own) = self.store.op(dot)? {
            if own.state.is_rescued() {
                return self.rescued_is_another(own);
            }
            let Some(session) = &mut self.node.session else { return Ok(()) };
            session.scanned = session.scanned.min(own.order.saturating_sub(1));
        }
        Ok(())
    }

    /// The region refuses these ops of one transaction.
    fn refused(&mut self, dots: Vec<Dot>, reason: &Reason) -> Result<(), S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(()) };
        let Some(region) = session.region else { return Ok(()) };
        let lost = session.lost.clone();
        dots.iter().for_each(|dot| self.note_refused(*dot));
        if reason.code == CLOCK_AHEAD {
            return self.refused_for_stamp(&dots, region);
        }
        // The region will have the missing part from its peers, and then takes the rest; or it has
        // only its numbers, and is offered the whole.
        if reason.code == INCOMPLETE && (self.is_rest(&dots)? || self.doubt_mates(&dots)?) {
            return Ok(());
        }
        let mut ends = Vec::new();
        let culprit = dots.first().map(|d| Dot::new(d.device, reason.seq));
        let waits = reason.code == DEPENDS
            && culprit.map(|dot| self.may_stand(dot)).transpose()?.unwrap_or(false);
        for dot in dots {
            if self.store.void(dot)?.is_some() {
                // A copy of this file has filled the number, and said so.
                if reason.code == FORKED_DEVICE {
                    self.store.remove_void(dot)?;
                }
                continue;
            }
            let Some(mut own) = self.store.op(dot)? else { continue };
            let OpState::Sent { regions, refused_by } = &mut own.state else { continue };
            refused_by.insert(region);
            let all = regions.iter().all(|r| refused_by.contains(r) || lost.contains(r))
                || mutant::active(Mutant::OneRefusalIsFinal);
            self.put_op_state(&own)?;
            if (all && !waits) || reason.code == FORKED_DEVICE {
                ends.push(own);
            }
        }
        self.reject(ends, reason)
    }

    /// True if a birth that the op stands on may be accepted yet, or was elsewhere.
    fn may_stand(&mut self, dot: Dot) -> Result<bool, S::Error> {
        let Some(own) = self.store.op(dot)? else { return Ok(false) };
        let Some((key, births)) = own.sealed.op.stands_on() else { return Ok(true) };
        let made = self.store.own_birth(&key)?;
        let base = self.store.base(&key)?;
        for birth in births {
            let waits = self.store.op(*birth)?.is_some_and(|own| own.in_outbox());
            let there = base.as_ref().is_some_and(|b| b.entity.knows(*birth));
            if waits || there || made == Some(*birth) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if these ops are what is left of a transaction of which enough regions hold a part.
    fn is_rest(&mut self, dots: &[Dot]) -> Result<bool, S::Error> {
        let Some(own) = dots.first().map(|d| self.store.op(*d)).transpose()?.flatten() else {
            return Ok(false);
        };
        let (device, tx) = (own.sealed.op.device(), own.sealed.op.tx);
        let kept = self.transaction(device, tx.first, tx.last())?;
        let rejected = |own: &OwnOp| matches!(own.state, OpState::Rejected { .. });
        let left = kept.iter().filter(|own| own.in_outbox() || rejected(own)).count();
        Ok(left < tx.count as usize)
    }

    /// The rest of these ops' transaction was not pushed with them, as the region has its numbers:
    /// those may stand for ops of a copy of this file. True if there is any that it has not vouched
    /// for.
    fn doubt_mates(&mut self, dots: &[Dot]) -> Result<bool, S::Error> {
        let Some(own) = dots.first().map(|d| self.store.op(*d)).transpose()?.flatten() else {
            return Ok(false);
        };
        let (device, tx) = (own.sealed.op.device(), own.sealed.op.tx);
        let mut mates = self.transaction(device, tx.first, tx.last())?;
        let Some(session) = &mut self.node.session else { return Ok(false) };
        mates.retain(|own| {
            let dot = own.sealed.op.dot;
            // What was pushed with them is answered by itself.
            let pushed = session.in_flight.contains(&dot) || session.refused.contains(&dot);
            own.in_outbox() && !pushed && !session.vouched.contains_key(&dot)
        });
        session.strangers.extend(mates.iter().map(|own| own.sealed.op.dot));
        Ok(!mates.is_empty())
    }

    /// Back to unsent if every region that the ops went to found their stamps too far ahead. The
    /// clock may have been set since the last time exchange, so there is another one first.
    fn refused_for_stamp(&mut self, dots: &[Dot], region: RegionId) -> Result<(), S::Error> {
        for dot in dots {
            let Some(mut own) = self.store.op(*dot)? else { continue };
            let OpState::Sent { regions, .. } = &own.state else { continue };
            let said_so = self.node.ahead.entry(*dot).or_default();
            said_so.insert(region);
            if regions.is_subset(said_so) {
                self.set_state(&mut own, OpState::Unsent)?;
            }
        }
        if let Some(session) = &mut self.node.session {
            session.round_trip = None;
        }
        let sent_ms = self.now_ms;
        self.send(Kind::Ping(wire::Ping { sent_ms }));
        Ok(())
    }

    /// Reject these ops for good, and what hangs on them.
    pub fn reject(&mut self, ops: Vec<OwnOp>, reason: &Reason) -> Result<(), S::Error> {
        if ops.is_empty() {
            return Ok(());
        }
        let root = ops
            .iter()
            .map(|o| o.sealed.op.dot)
            .find(|d| d.seq == reason.seq)
            .unwrap_or(ops[0].sealed.op.dot);
        let mut gone: BTreeSet<Dot> = BTreeSet::new();
        let creates = ops.iter().filter(|o| o.sealed.op.is_create());
        let created: Vec<EntityKey> = creates.map(|o| o.sealed.op.key.clone()).collect();
        let mut all = ops.clone();
        for own in ops {
            gone.insert(own.sealed.op.dot);
            let culprit = own.sealed.op.dot == root;
            let field = reason.field.filter(|_| culprit);
            self.reject_one(own, Reason { field, ..reason.clone() })?;
        }
        let detail = format!("it hangs on {root}, which was refused");
        let after = Reason { field: None, detail, ..reason.clone() };
        // Ops stand on creates alone.
        let outbox = if created.is_empty() { Vec::new() } else { self.whole_outbox()? };
        for tx in transactions(outbox) {
            let hangs = |own: &OwnOp| own.sealed.op.hangs_on(|dot| gone.contains(&dot));
            if tx.iter().any(hangs) {
                if !tx.iter().all(|own| self.nobody_has(own)) {
                    continue;
                }
                all.extend(tx.iter().cloned());
                for own in tx {
                    gone.insert(own.sealed.op.dot);
                    self.reject_one(own, after.clone())?;
                }
            } else if tx.iter().all(|own| own.state == OpState::Unsent) {
                for own in tx.into_iter().filter(|own| names(&own.sealed.op, &gone)) {
                    self.drop_names(own, &gone)?;
                }
            }
        }
        self.forget_refused(&all)?;
        // Its scopes may have been named by the refused create alone.
        for key in created {
            let ops = self.store.ops_on(&key)?;
            self.drop_unshown(ops)?;
        }
        Ok(())
    }

    /// Unsent writes behind these replaced what they had replaced.
    fn forget_refused(&mut self, refused: &[OwnOp]) -> Result<(), S::Error> {
        let mut unseen = Unseen::default();
        refused.iter().for_each(|own| unseen.add(&own.sealed.op));
        let keys: BTreeSet<&EntityKey> = refused.iter().map(|own| &own.sealed.op.key).collect();
        for key in keys {
            for mut own in self.store.ops_on(key)? {
                let mut op = own.sealed.op.clone();
                if own.state == OpState::Unsent && unseen.forget(&mut op) {
                    self.reseal(&mut own, op)?;
                }
            }
        }
        Ok(())
    }

    /// True if no region has accepted the op, nor may have.
    fn nobody_has(&self, own: &OwnOp) -> bool {
        let lost = |r: &RegionId| self.node.session.as_ref().is_some_and(|s| s.lost.contains(r));
        match &own.state {
            OpState::Unsent => true,
            state if state.is_rescued() => false,
            OpState::Sent { regions, refused_by } => {
                regions.iter().all(|r| refused_by.contains(r) || lost(r))
            }
            OpState::Accepted { .. } | OpState::Durable { .. } | OpState::Rejected { .. } => false,
        }
    }

    fn reject_one(&mut self, mut own: OwnOp, reason: Reason) -> Result<(), S::Error> {
        let op = own.sealed.op.clone();
        let (dot, key) = (op.dot, op.key.clone());
        if op.changes().iter().any(|c| matches!(c.change, Change::Text(_))) {
            // Edits that are gone must not share an author with those to come.
            self.node.documents.clear();
        }
        if reason.code != FORKED_DEVICE {
            let sealed = Op::void(dot, key.clone(), op.principal).seal();
            // A number that left this file stays this file's to fill.
            let state = match own.state {
                OpState::Unsent => OpState::Unsent,
                _ => OpState::Sent { regions: BTreeSet::new(), refused_by: BTreeSet::new() },
            };
            let void = OwnOp { order: own.order, sealed, state, overlay: false };
            self.store.put_void(&void)?;
            self.offer_anew(dot);
        }
        if self.store.own_birth(&key)? == Some(dot) {
            self.store.put_own_birth(&key, None)?;
        }
        self.node.ahead.remove(&dot);
        own.overlay = false;
        let Reason { code, field, detail, .. } = reason;
        let outcome = match code == LEFT_SCOPE && detail.is_empty() {
            true => Outcome::Left,
            false => Outcome::Rejected { code: code.clone(), field, detail: detail.clone() },
        };
        self.set_state(&mut own, OpState::Rejected { code, field, detail })?;
        self.outcome(dot, &key, outcome)?;
        self.touch_family(&key)
    }

    /// The op stands without the refused births that it names among others.
    fn drop_names(&mut self, mut own: OwnOp, gone: &BTreeSet<Dot>) -> Result<(), S::Error> {
        let mut op = own.sealed.op.clone();
        op.births.retain(|b| !gone.contains(b));
        op.needs.retain(|b| !gone.contains(b));
        if let Action::Create { parent: Some(p), .. } = &mut op.action {
            p.births.retain(|b| !gone.contains(b));
        }
        self.node.documents.clear();
        self.reseal(&mut own, op)
    }

    /// End unsent ops whose row left, each with its whole transaction.
    pub fn end_left(&mut self, ops: &[OwnOp]) -> Result<(), S::Error> {
        for own in ops {
            let op = &own.sealed.op;
            // An earlier one may have taken it along.
            if self.store.op(op.dot)?.is_none_or(|own| own.state != OpState::Unsent) {
                continue;
            }
            let left = Reason {
                code: LEFT_SCOPE.to_owned(),
                seq: op.dot.seq,
                field: None,
                detail: String::new(),
            };
            let with = Reason {
                detail: format!("{} of the same transaction left this device", op.dot),
                ..left.clone()
            };
            self.reject(vec![own.clone()], &left)?;
            let mut mates = self.transaction(op.device(), op.tx.first, op.tx.last())?;
            let left_too = |m: &OwnOp| ops.iter().any(|o| o.sealed.op.dot == m.sealed.op.dot);
            mates.retain(|m| m.state == OpState::Unsent && !left_too(m));
            self.reject(mates, &with)?;
        }
        Ok(())
    }

    /// What is kept of a transaction, in order.
    pub fn transaction(
        &mut self,
        device: DeviceId,
        first: u64,
        last: u64,
    ) -> Result<Vec<OwnOp>, S::Error> {
        if last.saturating_sub(first) >= limits::TRANSACTION_OPS_MAX as u64 {
            // No file makes one so large. What was taken in of another file may say so, of an op that
            // was damaged or forged: what is here is looked at, and not each number.
            let of_it = |own: &OwnOp| {
                let dot = own.sealed.op.dot;
                dot.device == device && (first..=last).contains(&dot.seq)
            };
            let mut ops = self.all_ops()?;
            ops.retain(of_it);
            return Ok(ops);
        }
        let mut ops = Vec::new();
        for seq in first..=last {
            ops.extend(self.store.op(Dot::new(device, seq))?);
        }
        Ok(ops)
    }
}

fn told(fate: wire::Fate) -> Result<(u64, u32, Told), Malformed> {
    if fate.count > limits::TRANSACTION_OPS_MAX.max(limits::PUSH_OPS_MAX as usize) as u32 {
        return Err(Malformed("fate"));
    }
    let told = match fate.kind {
        Some(FateKind::Accepted(p)) => {
            Told::Accepted { position: convert::position(&p)?, durable: fate.durable }
        }
        Some(FateKind::Rejected(r)) => Told::Rejected(Reason {
            code: r.code,
            seq: r.seq,
            field: (r.field != 0).then_some(FieldId(r.field)),
            detail: r.detail,
        }),
        Some(FateKind::Unknown(_)) => Told::Unknown,
        Some(FateKind::Other(_)) => Told::Other,
        None => return Err(Malformed("fate")),
    };
    Ok((fate.first, fate.count, told))
}

/// Ops in order, by transaction.
pub(super) fn transactions(ops: Vec<OwnOp>) -> Vec<Vec<OwnOp>> {
    let mut out: Vec<Vec<OwnOp>> = Vec::new();
    for own in ops {
        let tx = |o: &OwnOp| (o.sealed.op.device(), o.sealed.op.tx.first);
        match out.last_mut() {
            Some(open) if tx(&open[0]) == tx(&own) => open.push(own),
            _ => out.push(vec![own]),
        }
    }
    out
}

pub(super) fn names(op: &Op, gone: &BTreeSet<Dot>) -> bool {
    let above: &[Dot] = match &op.action {
        Action::Create { parent: Some(p), .. } => &p.births,
        _ => &[],
    };
    op.births.iter().chain(&op.needs).chain(above).any(|b| gone.contains(b))
}
