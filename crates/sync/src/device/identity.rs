//! A new device id, for a file that is not the only one under its own.
//!
//! A file that was copied, or put back from a backup, gives numbers that another life of it has
//! given already. What it never sent gets new numbers under a new id, and every mention of the old
//! ones among those ops follows. What it did send keeps its dots: the regions merge both lives.

use super::call::Call;
use super::node::random_id;
use super::output::RENEWED;
use super::restamp::{changes_mut, map_seen};
use super::session::Handled;
use super::store::{OpState, OwnOp, Store};
use crate::convert;
use crate::mutant::{self, Mutant};
use crate::wire;
use landfall_model::id::{DeviceId, Dot};
use landfall_model::op::{Action, Change, Op, Tx};
use landfall_model::stamp::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl<S: Store> Call<'_, S> {
    pub fn on_closed(
        &mut self,
        closed: &wire::Closed,
        random: &mut dyn FnMut() -> u64,
    ) -> Handled<S::Error> {
        match convert::device_id(&closed.device) {
            Ok(device) if device == self.meta.device => self.renew(random)?,
            Ok(_) => {}
            Err(m) => return Ok(Err(m)),
        }
        Ok(Ok(()))
    }

    /// Take a new id for all that was never sent. The session ends: its greeting did not name the
    /// new id.
    pub fn renew(&mut self, random: &mut dyn FnMut() -> u64) -> Result<(), S::Error> {
        let (old, new) = (self.meta.device, random_id(random));
        let mut unsent: Vec<OwnOp> = self.whole_outbox()?;
        unsent.retain(|o| o.state == OpState::Unsent && o.sealed.op.device() == old);
        let renamed: BTreeMap<Dot, Dot> =
            (1..).zip(&unsent).map(|(seq, own)| (own.sealed.op.dot, Dot::new(new, seq))).collect();
        let stamps: BTreeSet<Stamp> = unsent.iter().map(|o| o.sealed.op.stamp()).collect();
        self.meta.device = new;
        self.meta.former.push(old);
        self.meta.last_seq = unsent.len() as u64;
        self.meta.sent_seq = 0;
        for own in &unsent {
            self.store.remove_op(own.sealed.op.dot)?;
        }
        for mut own in unsent {
            let dot = own.sealed.op.dot;
            let mut op = rename(own.sealed.op.clone(), &renamed);
            map_seen(&mut op, |seen| match stamps.contains(&seen) {
                true => Stamp { device: new, ..seen },
                false => seen,
            });
            let key = op.key.clone();
            if self.store.own_birth(&key)? == Some(dot) {
                self.store.put_own_birth(&key, Some(op.dot))?;
            }
            self.reseal(&mut own, op)?;
        }
        self.drop_unsent_voids(old)?;
        // Open documents and what regions said of stamps go by the old numbers.
        self.node.documents.clear();
        self.node.ahead.clear();
        self.stop(RENEWED, "this file has a new device id; greet again under it");
        Ok(())
    }

    /// Give the file to another account: all that waits is its own from now on, under a device id
    /// that no region has heard of. False, and nothing is done, while a write of the account before
    /// is on its way: regions know it under that account.
    pub fn adopt(
        &mut self,
        principal: Arc<str>,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<bool, S::Error> {
        let waits = |own: &OwnOp| matches!(own.state, OpState::Unsent | OpState::Rejected { .. });
        if !self.all_ops()?.iter().all(waits) {
            return Ok(false);
        }
        if !mutant::active(Mutant::AdoptKeepsId) {
            self.renew(random)?;
        }
        for mut own in self.whole_outbox()? {
            let op = Op { principal: principal.clone(), ..own.sealed.op.clone() };
            self.reseal(&mut own, op)?;
        }
        for (device, seqs) in self.store.unconfirmed()? {
            self.store.clear_unconfirmed(device, &seqs)?;
        }
        self.meta.former.clear();
        self.node.principal = principal;
        Ok(true)
    }

    /// Numbers that were never sent are another file's to fill.
    fn drop_unsent_voids(&mut self, old: DeviceId) -> Result<(), S::Error> {
        for void in self.store.voids()? {
            let dot = void.sealed.op.dot;
            if void.state == OpState::Unsent && dot.device == old && !self.was_sent(dot)? {
                self.store.remove_void(dot)?;
            }
        }
        Ok(())
    }

    /// The op whose number a void takes had left the file, and was refused. Voids of such ops say
    /// so by themselves, but for those that an earlier version of this code made. One that was
    /// cancelled is not there any more.
    fn was_sent(&mut self, dot: Dot) -> Result<bool, S::Error> {
        let left = |own: OwnOp| match own.state {
            OpState::Rejected { code, .. } => code != super::fates::LEFT_SCOPE,
            _ => true,
        };
        Ok(self.store.op(dot)?.is_some_and(left))
    }
}

/// The op under its new dot, with every mention of a renamed dot renamed.
fn rename(mut op: Op, renamed: &BTreeMap<Dot, Dot>) -> Op {
    let to = |d: &Dot| renamed.get(d).copied().unwrap_or(*d);
    let all = |dots: &mut Vec<Dot>| {
        dots.iter_mut().for_each(|d| *d = to(d));
        dots.sort_unstable();
    };
    let first = to(&Dot::new(op.dot.device, op.tx.first));
    op.tx = Tx { first: first.seq, ..op.tx };
    op.dot = to(&op.dot);
    all(&mut op.births);
    all(&mut op.needs);
    if let Action::Create { parent: Some(p), .. } = &mut op.action {
        all(&mut p.births);
    }
    for change in changes_mut(&mut op) {
        match &mut change.change {
            Change::Set { remove, .. } => remove.iter_mut().for_each(|r| all(&mut r.dots)),
            Change::Carried(counts) => {
                *counts = std::mem::take(counts).into_iter().map(|(b, n)| (to(&b), n)).collect();
            }
            Change::Register { .. } | Change::Counter(_) | Change::Text(_) => {}
        }
    }
    op
}
