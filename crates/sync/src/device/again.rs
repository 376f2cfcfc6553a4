//! What the app asks outside of a write: views, and what to do with a refused transaction.

use super::call::Call;
use super::check::{self, Wanted, WantedFields};
use super::node::Receipt;
use super::refused::{Problem, WriteError};
use super::store::{OpState, Outcome, OwnOp, Store, View};
use super::write::{Draft, Target};
use landfall_model::id::{Dot, EntityKey};
use landfall_model::op::{Action, Change, Op};
use landfall_model::value::Value;
use std::collections::BTreeSet;

impl<S: Store> Call<'_, S> {
    pub fn view(mut self, key: &EntityKey) -> Result<Option<View>, S::Error> {
        self.reader.view(self.store, key, &mut self.node.documents)
    }

    pub fn dismiss(&mut self, dot: Dot) -> Result<(), S::Error> {
        self.store.remove_outcomes(dot)?;
        let own = self.store.op(dot)?;
        if own.is_some_and(|own| matches!(own.state, OpState::Rejected { .. })) {
            self.store.remove_op(dot)?;
        }
        Ok(())
    }

    /// Make the refused ops of a transaction again, under new numbers and against what shows now.
    pub fn resubmit(&mut self, dot: Dot) -> Result<Receipt, WriteError<S::Error>> {
        let tx = self.store.op(dot)?.map(|own| own.sealed.op.tx);
        let mut ops: Vec<OwnOp> = match tx {
            Some(tx) => self.transaction(dot.device, tx.first, tx.last())?,
            None => Vec::new(),
        };
        ops.retain(|own| matches!(own.state, OpState::Rejected { .. }));
        if ops.is_empty() {
            return Draft::new(self).refuse((None, Problem::NotRefused));
        }
        let refused: Vec<Op> = ops.iter().map(|own| own.sealed.op.clone()).collect();
        let receipt = self.make_again(&refused)?;
        ops.iter().try_for_each(|own| self.dismiss(own.sealed.op.dot))?;
        Ok(receipt)
    }

    /// Keep refused writes of another file, for the app to make them anew or to dismiss them. They
    /// keep their numbers, under which this file never sends anything.
    pub fn keep_refused(&mut self, refused: Vec<OwnOp>) -> Result<(), S::Error> {
        for own in refused {
            let OpState::Rejected { code, field, detail } = own.state.clone() else { continue };
            let (dot, key) = (own.sealed.op.dot, own.sealed.op.key.clone());
            self.meta.last_order += 1;
            let order = self.meta.last_order;
            self.put_op(&OwnOp { order, overlay: false, ..own })?;
            self.outcome(dot, &key, Outcome::Rejected { code, field, detail })?;
        }
        Ok(())
    }

    /// Make ops again under new numbers, in one transaction.
    pub fn make_again(&mut self, ops: &[Op]) -> Result<Receipt, WriteError<S::Error>> {
        let mut draft = Draft::new(self);
        for (at, op) in ops.iter().enumerate() {
            draft.again(at, op)?;
        }
        draft.commit()
    }
}

impl<S: Store> Draft<'_, '_, S> {
    /// Draft what an op did once more.
    fn again(&mut self, at: usize, op: &Op) -> Result<(), WriteError<S::Error>> {
        self.begin_edit(at);
        let kind = self.kind(op.key.kind)?;
        let wanted: WantedFields =
            op.changes().iter().map(|c| (c.field, wanted(&c.change))).collect();
        let (merged, standing) = self.call.reader.read(self.call.store, &op.key)?;
        let there = merged.entity.exists(&standing);
        let births: Vec<Dot> = merged.entity.living().collect();
        match &op.action {
            Action::Void => Ok(()),
            // Gone already: that is what was wanted.
            Action::Delete if !there => Ok(()),
            Action::Delete => self.delete(&op.key),
            Action::Update(_) if !there => self.refuse((None, Problem::NoEntity)),
            _ if there => {
                let target = Target::Update { births, known: true };
                self.change(&kind, op.key.clone(), target, wanted)
            }
            _ => {
                check::check_name(&op.key.id).or_else(|p| self.refuse((None, p)))?;
                let (_, target) = self.locate(&kind, &op.key.id, &wanted)?;
                self.change(&kind, op.key.clone(), target, wanted)
            }
        }
    }
}

fn wanted(change: &Change) -> Wanted {
    match change {
        Change::Register { value, .. } => Wanted::Put(value.clone()),
        Change::Set { add, remove } => {
            let add: BTreeSet<Value> = add.iter().cloned().collect();
            let remove = remove.iter().map(|r| r.value.clone()).collect();
            Wanted::Set { add, remove }
        }
        Change::Counter(by) => Wanted::Increment(*by),
        Change::Carried(counts) => Wanted::Carried(counts.clone()),
        Change::Text(text) => Wanted::Blob(text.update.clone()),
    }
}
