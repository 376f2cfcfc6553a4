//! Pushing: what the region lacks, whole transactions, in local order.
//!
//! A transaction that may not be pushed yet, because an op that it needs is unanswered here or
//! because it was refused, holds up nothing but what needs it in turn.

use super::call::{Call, OPS_PER_READ};
use super::session::Purpose;
use super::store::{OpState, OwnOp, Store};
use super::write::only_text;
use crate::limits;
use crate::wire::device_frame::Kind;
use crate::wire::{Push, push};
use landfall_model::id::{Dot, RegionId};
use std::collections::BTreeSet;

/// What became of a transaction when its turn came.
#[derive(PartialEq)]
enum Turn {
    /// Pushed, or nothing to push.
    Past,
    /// To be looked at again.
    Blocked,
    /// The window is full.
    Full,
}

/// Push frames being filled.
#[derive(Default)]
struct Frames {
    done: Vec<Push>,
    open: Push,
    bytes: usize,
    /// Bytes of the session's frames before the open one.
    before: usize,
}

impl Frames {
    fn add(&mut self, ops: &[OwnOp]) {
        let bytes: usize = ops.iter().map(|o| o.sealed.payload.len()).sum();
        let most = self.before.clamp(limits::PUSH_BYTES_FIRST, limits::PUSH_BYTES);
        if self.bytes > 0 && self.bytes + bytes > most {
            self.done.push(std::mem::take(&mut self.open));
            self.before += std::mem::take(&mut self.bytes);
        }
        self.bytes += bytes;
        let payload = |o: &OwnOp| o.sealed.payload.to_vec().into();
        let ops = ops.iter().map(payload).collect();
        self.open.transactions.push(push::Transaction { ops });
    }

    /// The frames, and the bytes of all frames of the session.
    fn finish(mut self) -> (Vec<Push>, usize) {
        if !self.open.transactions.is_empty() {
            self.done.push(self.open);
        }
        (self.done, self.before + self.bytes)
    }
}

impl<S: Store> Call<'_, S> {
    /// Push whatever may be pushed now; where that is nothing any more, rows may have their turn.
    pub fn push(&mut self) -> Result<(), S::Error> {
        let session = self.node.session.as_ref();
        let Some((region, before)) = session.and_then(|s| Some((s.region?, s.pushed))) else {
            return Ok(());
        };
        let mut frames = Frames { before, ..Frames::default() };
        self.push_voids(region, &mut frames)?;
        let mut blocked: Option<u64> = None;
        let mut after = self.node.session.as_ref().map_or(0, |s| s.scanned);
        let mut waiting: Vec<OwnOp> = Vec::new();
        'scan: loop {
            let page = self.store.outbox(after, OPS_PER_READ)?;
            let last = page.len() < OPS_PER_READ;
            for own in page {
                if waiting.first().is_some_and(|w| !same_transaction(w, &own)) {
                    let tx = std::mem::take(&mut waiting);
                    let turn = self.push_transaction(region, &tx, &mut frames)?;
                    after = tx.last().map_or(after, |o| o.order);
                    if turn != Turn::Past {
                        blocked.get_or_insert(tx[0].order);
                    }
                    if turn == Turn::Full {
                        break 'scan;
                    }
                }
                waiting.push(own);
            }
            if last {
                break;
            }
            after = waiting.last().map_or(after, |o| o.order);
        }
        if let [first, .., end] | [first @ end] = &waiting[..] {
            let (first, end) = (first.order, end.order);
            match self.push_transaction(region, &waiting, &mut frames)? {
                Turn::Past => after = after.max(end),
                Turn::Blocked | Turn::Full => _ = blocked.get_or_insert(first),
            }
        }
        let (frames, pushed) = frames.finish();
        if let Some(session) = &mut self.node.session {
            session.scanned = blocked.map_or(after, |first| first - 1);
            session.pushed = pushed;
        }
        for push in frames {
            self.out.durable = true;
            self.send(Kind::Push(push));
        }
        self.rows_in_turn()
    }

    fn push_voids(&mut self, region: RegionId, frames: &mut Frames) -> Result<(), S::Error> {
        for void in self.store.voids()? {
            let dot = void.sealed.op.dot;
            let Some(session) = &self.node.session else { return Ok(()) };
            let known = matches!(void.state, OpState::Accepted { .. }) && self.has_received(dot);
            let busy = session.in_flight.contains(&dot) || session.refused.contains(&dot);
            let here = session.ids.contains(&dot.device);
            if known || busy || !here || void.sealed.op.principal != self.node.principal {
                continue;
            }
            let void = self.mark_sent(region, void)?;
            self.store.put_void(&void)?;
            frames.add(&[void]);
        }
        Ok(())
    }

    fn push_transaction(
        &mut self,
        region: RegionId,
        tx: &[OwnOp],
        frames: &mut Frames,
    ) -> Result<Turn, S::Error> {
        let Some(session) = &self.node.session else { return Ok(Turn::Past) };
        let dot = |o: &OwnOp| o.sealed.op.dot;
        let mine = |o: &OwnOp| {
            o.sealed.op.principal == self.node.principal
                && session.ids.contains(&o.sealed.op.device())
        };
        let others = |o: &OwnOp| match &session.purpose {
            Purpose::Hedge { late, .. } => !late.contains(&dot(o)),
            Purpose::Whole | Purpose::Pushes | Purpose::InTurn { .. } => false,
        };
        if !tx.iter().all(mine)
            || tx.iter().all(others)
            || tx.iter().any(|o| session.in_flight.contains(&dot(o)))
            || tx.iter().any(|o| session.refused.contains(&dot(o)))
        {
            return Ok(Turn::Past);
        }
        let (room, idle) = (
            session.push_ops.saturating_sub(session.in_flight.len()),
            session.in_flight.is_empty(),
        );
        let known =
            |o: &&OwnOp| matches!(o.state, OpState::Accepted { .. }) && self.has_received(dot(o));
        let lacking: Vec<OwnOp> = tx.iter().filter(|o| !known(o)).cloned().collect();
        if lacking.is_empty() {
            return Ok(Turn::Past);
        }
        // The answer to the question that the session began with tells whether it is to be pushed.
        let asked = |o: &OwnOp| o.state.is_rescued() && self.has_received(dot(o));
        if lacking.iter().any(asked) {
            return Ok(Turn::Blocked);
        }
        let limit = self.highest_stamp();
        let early = |o: &OwnOp| o.state == OpState::Unsent && o.sealed.op.hlc > limit;
        if lacking.iter().any(early) || !self.answered(&lacking)? || self.grows(&lacking)? {
            return Ok(Turn::Blocked);
        }
        // A transaction that is larger than the window goes alone.
        if lacking.len() > room && !idle {
            return Ok(Turn::Full);
        }
        let mut sent = Vec::new();
        for own in lacking {
            let own = self.mark_sent(region, own)?;
            self.put_op_state(&own)?;
            sent.push(own);
        }
        frames.add(&sent);
        Ok(Turn::Past)
    }

    /// True for typing that goes on: while typing in the same entity is on its way, what follows is
    /// gathered in one op, that is sent with the answer. So each text costs one op per round trip,
    /// however fast it is edited, and what is pushed is as small as it can be.
    fn grows(&mut self, ops: &[OwnOp]) -> Result<bool, S::Error> {
        let [own] = ops else { return Ok(false) };
        let op = &own.sealed.op;
        if own.state != OpState::Unsent || op.tx.count > 1 || only_text(op).is_none() {
            return Ok(false);
        }
        let all = &self.reader.merged(self.store, &op.key)?.ops;
        let Some(session) = &self.node.session else { return Ok(false) };
        let typed = |o: &&OwnOp| only_text(&o.sealed.op).is_some();
        let on_its_way = |o: &OwnOp| session.in_flight.contains(&o.sealed.op.dot);
        let last = all.last().is_some_and(|l| l.sealed.op.dot == op.dot);
        Ok(last && all.iter().filter(typed).any(on_its_way))
    }

    /// Everything that these ops need has been answered here, or is on its way here before them.
    fn answered(&mut self, ops: &[OwnOp]) -> Result<bool, S::Error> {
        let needs: BTreeSet<Dot> =
            ops.iter().flat_map(|o| o.sealed.op.needs.iter().copied()).collect();
        for need in needs {
            let Some(session) = &self.node.session else { return Ok(false) };
            let own_tx = ops.iter().any(|o| o.sealed.op.dot == need);
            if own_tx || session.in_flight.contains(&need) || self.has_received(need) {
                continue;
            }
            let waits = match self.store.op(need)? {
                // Retired: enough regions have it, and the others wait for it by themselves.
                None => false,
                Some(own) if own.in_outbox() => true,
                // Its void is on its way; until then the region would wait for the op.
                Some(_) => self.store.void(need)?.is_some(),
            };
            if waits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Note that the op may have left, before it does. An accepted op stays accepted: it is only
    /// offered to one more region.
    fn mark_sent(&mut self, region: RegionId, mut own: OwnOp) -> Result<OwnOp, S::Error> {
        let dot = own.sealed.op.dot;
        match &mut own.state {
            OpState::Unsent => {
                let regions = BTreeSet::from([region]);
                own.state = OpState::Sent { regions, refused_by: BTreeSet::new() };
            }
            OpState::Sent { regions, refused_by } => {
                // What it said before may be another answer by now: it owes one again.
                regions.insert(region);
                refused_by.remove(&region);
            }
            OpState::Accepted { .. } | OpState::Durable { .. } | OpState::Rejected { .. } => {}
        }
        if let Some(said_so) = self.node.ahead.get_mut(&dot) {
            said_so.remove(&region);
        }
        if dot.device == self.meta.device {
            self.meta.sent_seq = self.meta.sent_seq.max(dot.seq);
        }
        if let Some(session) = &mut self.node.session {
            session.in_flight.insert(dot);
        }
        Ok(own)
    }
}

fn same_transaction(a: &OwnOp, b: &OwnOp) -> bool {
    let (a, b) = (&a.sealed.op, &b.sealed.op);
    a.device() == b.device() && a.tx.first == b.tx.first
}
