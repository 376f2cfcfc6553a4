//! Taking back a write that never left this device.
//!
//! A write that no region can have heard of may end as if it had not been made. It goes with its
//! whole transaction and with all that stands on it; each number is filled by a void, so that
//! numbers stay dense. Everything is decided before anything is written, and written in the
//! store transaction of the call: a crash leaves the write as it was, or gone with its void.
//!
//! What stays must not speak of what went. Later writes that named a cancelled birth beside others
//! name the others alone; those that replaced a cancelled value say that they replaced what that
//! one had replaced, so that whoever lost to them is still told. Such a write can be mended only
//! while it is unsent itself; if it may have left, the cancel is refused, as it is where a later
//! edit of a text has a cancelled one in it.

use super::call::Call;
use super::fates::{names, transactions};
use super::node::Event;
use super::refused::{Problem, RefusedEdit, WriteError};
use super::restamp::changes_mut;
use super::store::{OpState, OwnOp, Store};
use crate::mutant::{self, Mutant};
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::{Action, Change, Op};
use landfall_model::stamp::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// The reason that the fate of a cancelled write gives.
pub(super) const CANCELLED: &str = "cancelled";

/// Writes that were taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// The transaction of the write that was named.
    pub dots: Vec<Dot>,
    /// What stood on it, in whole transactions.
    pub dependants: Vec<Dot>,
    /// The entities that they wrote to, each once.
    pub keys: Vec<EntityKey>,
}

/// What a cancel does.
struct Plan {
    done: Cancelled,
    gone: Vec<OwnOp>,
    /// Unsent ops that speak of what goes, and how they go on.
    mended: Vec<(OwnOp, Op)>,
}

/// A value that a cancelled op wrote, and the stamp that it had replaced.
type Replaced = BTreeMap<(EntityKey, FieldId, Stamp), Option<Stamp>>;

impl<S: Store> Call<'_, S> {
    pub fn cancel(&mut self, dot: Dot) -> Result<Cancelled, WriteError<S::Error>> {
        let Plan { done, gone, mended } = self.plan_cancel(dot)?;
        let root = dot;
        for own in &gone {
            self.take_back(own, root)?;
        }
        for (mut own, op) in mended {
            self.reseal(&mut own, op)?;
        }
        for own in gone.iter().filter(|own| own.sealed.op.is_create()) {
            let key = &own.sealed.op.key;
            self.name_own_birth(key, own.sealed.op.dot)?;
            // Its scopes may have been named by the cancelled create alone.
            let ops = self.store.ops_on(key)?;
            self.drop_unshown(ops)?;
        }
        Ok(done)
    }

    fn plan_cancel(&mut self, dot: Dot) -> Result<Plan, WriteError<S::Error>> {
        self.check_unsent(dot)?;
        let outbox = transactions(self.whole_outbox()?);
        let mut gone: BTreeSet<Dot> = BTreeSet::new();
        let mut plan = Plan { done: Cancelled::default(), gone: Vec::new(), mended: Vec::new() };
        let mut stays: Vec<OwnOp> = Vec::new();
        for tx in outbox {
            let is_root = tx.iter().any(|own| own.sealed.op.dot == dot);
            let hangs = |own: &OwnOp| own.sealed.op.hangs_on(|birth| gone.contains(&birth));
            if !is_root && !tx.iter().any(hangs) {
                stays.extend(tx);
                continue;
            }
            if !is_whole_and_unsent(&tx) {
                return Err(refuse(Problem::AlreadySent));
            }
            let dots = tx.iter().map(|own| own.sealed.op.dot);
            gone.extend(dots.clone());
            let list = if is_root { &mut plan.done.dots } else { &mut plan.done.dependants };
            list.extend(dots);
            plan.gone.extend(tx);
        }
        let keys: BTreeSet<&EntityKey> = plan.gone.iter().map(|own| &own.sealed.op.key).collect();
        plan.done.keys = keys.into_iter().cloned().collect();
        self.check_texts(&plan.gone, &gone)?;
        plan.mended = mend(stays, &plan.gone, &gone).map_err(refuse)?;
        Ok(plan)
    }

    /// The write is there to be cancelled.
    fn check_unsent(&mut self, dot: Dot) -> Result<(), WriteError<S::Error>> {
        let known = self.store.op(dot)?.map(|own| own.state);
        let given = dot.device == self.meta.device && (1..=self.meta.last_seq).contains(&dot.seq);
        let retired = given || self.meta.former.contains(&dot.device);
        match known {
            Some(OpState::Unsent) => Ok(()),
            Some(OpState::Sent { .. }) if mutant::active(Mutant::SentOpCancelled) => Ok(()),
            Some(_) => Err(refuse(Problem::AlreadySent)),
            None if retired && self.store.void(dot)?.is_none() => Err(refuse(Problem::AlreadySent)),
            None => Err(refuse(Problem::NoWrite)),
        }
    }

    /// No text edit that stays has a cancelled one in it. An edit carries all that came before it.
    fn check_texts(
        &mut self,
        taken: &[OwnOp],
        gone: &BTreeSet<Dot>,
    ) -> Result<(), WriteError<S::Error>> {
        for own in taken {
            let fields: BTreeSet<FieldId> = texts(&own.sealed.op).collect();
            if fields.is_empty() {
                continue;
            }
            for later in self.store.ops_on(&own.sealed.op.key)? {
                let rejected = matches!(later.state, OpState::Rejected { .. });
                let stays = later.order > own.order && !gone.contains(&later.sealed.op.dot);
                if stays && !rejected && texts(&later.sealed.op).any(|f| fields.contains(&f)) {
                    return Err(refuse(Problem::BuiltUpon));
                }
            }
        }
        Ok(())
    }

    /// One op goes, and a void takes its number.
    fn take_back(&mut self, own: &OwnOp, root: Dot) -> Result<(), S::Error> {
        let op = &own.sealed.op;
        let (dot, key) = (op.dot, op.key.clone());
        if texts(op).next().is_some() {
            // Edits that are gone must not share an author with those to come.
            self.node.documents.clear();
        }
        let sealed = Op::void(dot, key.clone(), op.principal.clone()).seal();
        let (state, overlay) = (OpState::Unsent, false);
        self.store.put_void(&OwnOp { order: own.order, sealed, state, overlay })?;
        self.store.remove_op(dot)?;
        self.store.remove_outcomes(dot)?;
        self.reader.forget(&key);
        self.node.ahead.remove(&dot);
        if let Some(session) = &mut self.node.session {
            session.refused.remove(&dot);
        }
        let detail = match dot == root {
            true => String::new(),
            false => format!("it went with {root}, which was cancelled"),
        };
        let state = OpState::Rejected { code: CANCELLED.to_owned(), field: None, detail };
        self.out.events.push(Event::Fate { dot, key: key.clone(), state });
        self.touch_family(&key)
    }

    /// A create is gone: the birth of this device's that still lives, if one does, is the one to be
    /// remembered.
    fn name_own_birth(&mut self, key: &EntityKey, gone: Dot) -> Result<(), S::Error> {
        if self.store.own_birth(key)? != Some(gone) {
            return Ok(());
        }
        let living: Vec<Dot> = self.reader.merged(self.store, key)?.entity.living().collect();
        let own = living.into_iter().find(|birth| self.is_own(birth.device));
        self.store.put_own_birth(key, own)
    }
}

fn refuse<E>(problem: Problem) -> WriteError<E> {
    WriteError::Refused(RefusedEdit { edit: 0, field: None, problem })
}

fn is_whole_and_unsent(tx: &[OwnOp]) -> bool {
    let unsent = |own: &OwnOp| match own.state {
        OpState::Unsent => true,
        OpState::Sent { .. } => mutant::active(Mutant::SentOpCancelled),
        _ => false,
    };
    tx.iter().all(unsent) && tx.len() == tx[0].sealed.op.tx.count as usize
}

/// Ops that stay and speak of what goes, in their new form. Fails if one of them may have left.
fn mend(
    stays: Vec<OwnOp>,
    taken: &[OwnOp],
    gone: &BTreeSet<Dot>,
) -> Result<Vec<(OwnOp, Op)>, Problem> {
    let replaced = replaced_by(taken);
    let mut mended = Vec::new();
    for own in stays {
        let mut op = own.sealed.op.clone();
        if names(&op, gone) {
            op.births.retain(|b| !gone.contains(b));
            op.needs.retain(|b| !gone.contains(b));
            if let Action::Create { parent: Some(p), .. } = &mut op.action {
                p.births.retain(|b| !gone.contains(b));
            }
        }
        see_past(&mut op, &replaced);
        if op == own.sealed.op {
            continue;
        }
        if own.state != OpState::Unsent {
            return Err(Problem::AlreadySent);
        }
        mended.push((own, op));
    }
    Ok(mended)
}

fn replaced_by(taken: &[OwnOp]) -> Replaced {
    let mut all = Replaced::new();
    for op in taken.iter().map(|own| &own.sealed.op) {
        for change in op.changes() {
            if let Change::Register { replaced, .. } = change.change {
                all.insert((op.key.clone(), change.field, op.stamp()), replaced);
            }
        }
    }
    all
}

/// Where the op replaced a value that is gone, it replaced what that one had replaced.
fn see_past(op: &mut Op, replaced: &Replaced) {
    let key = op.key.clone();
    for change in changes_mut(op) {
        let field = change.field;
        let Change::Register { replaced: seen, .. } = &mut change.change else { continue };
        while let Some(stamp) = *seen
            && let Some(before) = replaced.get(&(key.clone(), field, stamp))
        {
            *seen = *before;
        }
    }
}

/// The texts that an op edits.
fn texts(op: &Op) -> impl Iterator<Item = FieldId> {
    let text = |c: &&landfall_model::op::FieldChange| matches!(c.change, Change::Text(_));
    op.changes().iter().filter(text).map(|c| c.field)
}
