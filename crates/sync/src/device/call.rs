//! One call of the node, from the first read of the store to the last write.
//!
//! A [`Call`] carries what the rules of the other modules share: the node's volatile state, the
//! open transaction, the file's scalars, what is to be sent and told, and which visible rows are
//! to be written anew at the end.

use super::node::{Close, Event, Node, Output};
use super::store::{Meta, OpState, Outcome, OwnOp, Store, View};
use super::view::{PARENTS_MAX, Reader};
use crate::limits;
use crate::mutant::{self, Mutant};
use crate::wire::DeviceFrame;
use crate::wire::device_frame::Kind;
use landfall_model::id::{DeviceId, Dot, EntityKey, Scope, TypeId};
use landfall_model::schema::Schema;
use landfall_model::stamp::Hlc;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Own ops read at a time when all are walked.
pub(super) const OPS_PER_READ: usize = 512;

pub(super) struct Call<'a, S> {
    pub node: &'a mut Node,
    pub store: &'a mut S,
    pub schema: Arc<Schema>,
    pub meta: Meta,
    pub reader: Reader,
    pub out: Output,
    pub now_ms: i64,
    stored: Meta,
    dirty: BTreeSet<EntityKey>,
    /// Subscribed scopes that are not denied, once read.
    scopes: Option<BTreeSet<Scope>>,
    /// Types that `SET_NULL` references name, once asked.
    referred: Option<BTreeSet<TypeId>>,
}

impl<'a, S: Store> Call<'a, S> {
    pub fn begin(node: &'a mut Node, store: &'a mut S, now_ms: i64) -> Result<Self, S::Error> {
        let meta = store.meta()?.unwrap_or_default();
        let schema = node.schema.clone();
        Ok(Self {
            reader: Reader::new(schema.clone()),
            schema,
            stored: meta.clone(),
            meta,
            out: Output::default(),
            now_ms,
            dirty: BTreeSet::new(),
            scopes: None,
            referred: None,
            node,
            store,
        })
    }

    /// Write the visible rows and the scalars that changed.
    pub fn finish(mut self) -> Result<Output, S::Error> {
        let mut again = BTreeSet::new();
        while let Some(key) = self.dirty.pop_first() {
            let view = self.reader.view(self.store, &key, &mut self.node.documents)?;
            let told = !mutant::active(Mutant::ReferrersNotShown);
            self.show(key.clone(), view.as_ref())?;
            if told && self.is_referred(key.kind) {
                // All that merges has merged by now: once more is enough for a row.
                let others = self.referrers(&key)?;
                self.dirty.extend(others.into_iter().filter(|other| again.insert(other.clone())));
            }
        }
        if self.meta != self.stored {
            self.store.put_meta(&self.meta)?;
        }
        Ok(self.out)
    }

    /// Write a visible row, and tell of it.
    pub fn show(&mut self, key: EntityKey, view: Option<&View>) -> Result<(), S::Error> {
        self.store.show(&key, view)?;
        self.out.events.push(Event::Changed { key });
        Ok(())
    }

    /// True if rows may show another value where this entity is deleted.
    pub fn is_referred(&mut self, kind: TypeId) -> bool {
        let schema = &self.schema;
        self.referred.get_or_insert_with(|| schema.set_null_targets()).contains(&kind)
    }

    /// Estimated server time.
    pub fn server_now(&self) -> i64 {
        self.now_ms.saturating_add(self.meta.offset_ms)
    }

    /// The highest stamp that a region takes now, as far as this device can tell.
    pub fn highest_stamp(&self) -> Hlc {
        let ms = self.server_now().saturating_add(limits::STAMP_AHEAD_MS_MAX);
        Hlc(Hlc::from_millis(ms).0 | 0xffff)
    }

    pub fn send(&mut self, kind: Kind) {
        self.out.frames.push(DeviceFrame { kind: Some(kind) });
    }

    /// The session cannot go on. What was noted until here stays.
    pub fn stop(&mut self, code: &str, message: impl Into<String>) {
        self.out.close =
            Some(Close { code: code.to_owned(), message: message.into(), retry_after_ms: 0 });
        self.node.session = None;
    }

    /// True for the ids of this file, past ones included.
    pub fn is_own(&self, device: DeviceId) -> bool {
        device == self.meta.device || self.meta.former.contains(&device)
    }

    /// The visible row is to be written anew.
    pub fn touch(&mut self, key: &EntityKey) {
        self.dirty.insert(key.clone());
    }

    /// So are those of its descendants: what stands may have changed.
    pub fn touch_family(&mut self, key: &EntityKey) -> Result<(), S::Error> {
        let mut level = vec![key.clone()];
        for _ in 0..PARENTS_MAX {
            let mut below = Vec::new();
            for key in level {
                if self.schema.children(key.kind).next().is_some() {
                    below.extend(self.store.children(&key)?);
                }
                self.dirty.insert(key);
            }
            level = below;
        }
        Ok(())
    }

    pub fn put_op(&mut self, op: &OwnOp) -> Result<(), S::Error> {
        self.reader.note(op);
        self.store.put_op(op)
    }

    /// Keep what changed of an op that is kept.
    pub fn put_op_state(&mut self, op: &OwnOp) -> Result<(), S::Error> {
        self.reader.note(op);
        self.store.put_op_state(op)
    }

    /// Keep an own op in another state and tell of it.
    pub fn set_state(&mut self, op: &mut OwnOp, state: OpState) -> Result<(), S::Error> {
        self.tell_state(op, state);
        self.put_op_state(op)
    }

    /// Tell of another state of an own op, which is kept or goes.
    pub fn tell_state(&mut self, op: &mut OwnOp, state: OpState) {
        if op.state != state {
            op.state = state.clone();
            let (dot, key) = (op.sealed.op.dot, op.sealed.op.key.clone());
            self.out.events.push(Event::Fate { dot, key, state });
        }
    }

    /// The op is held by enough regions and its effect, if any shows here, is in the base row.
    pub fn retire(&mut self, op: &OwnOp) -> Result<(), S::Error> {
        let dot = op.sealed.op.dot;
        if let Some(session) = &mut self.node.session {
            session.vouched.remove(&dot);
            session.retired += 1;
        }
        self.reader.note_gone(op);
        self.store.remove_op(dot)?;
        self.store.add_unconfirmed(dot.device, dot.seq)
    }

    pub fn outcome(&mut self, dot: Dot, key: &EntityKey, outcome: Outcome) -> Result<(), S::Error> {
        if self.store.add_outcome(dot, key, &outcome)? {
            self.out.events.push(Event::Outcome { dot, key: key.clone(), outcome });
        }
        Ok(())
    }

    /// All own ops, in order.
    pub fn all_ops(&mut self) -> Result<Vec<OwnOp>, S::Error> {
        self.paged(S::ops)
    }

    /// Own ops that a region may have, in order.
    pub fn ops_that_left(&mut self) -> Result<Vec<OwnOp>, S::Error> {
        self.paged(S::ops_that_left)
    }

    /// Own ops in the outbox, in order.
    pub fn whole_outbox(&mut self) -> Result<Vec<OwnOp>, S::Error> {
        self.paged(S::outbox)
    }

    fn paged(
        &mut self,
        read: impl Fn(&mut S, u64, usize) -> Result<Vec<OwnOp>, S::Error>,
    ) -> Result<Vec<OwnOp>, S::Error> {
        let mut all: Vec<OwnOp> = Vec::new();
        loop {
            let after = all.last().map_or(0, |op| op.order);
            let page = read(self.store, after, OPS_PER_READ)?;
            let last = page.len() < OPS_PER_READ;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// Subscribed scopes that are not denied.
    pub fn subscribed(&mut self) -> Result<&BTreeSet<Scope>, S::Error> {
        if self.scopes.is_none() {
            let subs = self.store.subscriptions()?.into_iter();
            self.scopes =
                Some(subs.filter(|(_, s)| s.denied.is_none()).map(|(scope, _)| scope).collect());
        }
        Ok(self.scopes.get_or_insert_default())
    }

    /// Subscriptions came, went, or were denied.
    pub fn forget_subscribed(&mut self) {
        self.scopes = None;
    }

    /// Take note of a stamp that was read.
    pub fn observe(&mut self, seen: Hlc) {
        if mutant::active(Mutant::StampBelowRead) {
            return;
        }
        self.meta.clock = self.meta.clock.max(seen);
        self.meta.read = self.meta.read.max(seen);
    }
}
