//! Typing that does not write the whole text with each key.
//!
//! While a text's last own op has not left the device, it grows with what is typed: one op, however
//! many commits. To write it anew, with all that shows of the text, takes time in proportion to the
//! text. So a commit that only adds to it is a row of `_lf_typed` instead, and a few hundred of them
//! become part of the op together. They do so before anybody reads of this file or does anything
//! else with it, in this process or in another, so nobody can tell; and when a process died in
//! between, the first one that opens the file finds them.

use super::core::{Core, Lane};
use super::{Fault, Inner};
use crate::client::WriteReceipt;
use crate::error::Error;
use crate::store::{self, Transaction};
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::op::{Action, Change, Op};
use landfall_sync::device::node::{
    Edit, Event as NodeEvent, FieldEdit, Node, Output, Receipt, WriteError,
};
use landfall_sync::device::store::{OpState, Store};
use landfall_sync::limits;

/// Commits that wait for their op. More would make whoever reads next wait longer.
const ROWS_MAX: usize = 1_024;

/// Bytes of such an op and of what waits for it: far below what an op may have, so that it never is
/// too large when they come together.
const BYTES_MAX: usize = limits::OP_BYTES_MAX / 2;

/// The op that the last call wrote, as long as nothing else has happened to the file.
#[derive(Debug)]
pub(super) struct Typing {
    key: EntityKey,
    field: FieldId,
    receipt: WriteReceipt,
    /// Of the file: another after a commit of others.
    version: i64,
    rows_left: usize,
    bytes_left: usize,
}

impl Typing {
    /// If the op is one that typing adds to.
    fn on(
        t: &mut Transaction<'_>,
        key: &EntityKey,
        field: FieldId,
        receipt: &Receipt,
    ) -> Result<Option<Self>, store::Error> {
        let [dot] = receipt.dots[..] else { return Ok(None) };
        let Some(own) = t.op(dot)? else { return Ok(None) };
        let bytes = own.sealed.payload.len();
        let adds = own.state == OpState::Unsent && changes_only(&own.sealed.op, field);
        // In a browser, what reads has the connection that would have to write.
        if !adds || bytes >= BYTES_MAX || cfg!(target_family = "wasm") {
            return Ok(None);
        }
        Ok(Some(Self {
            key: key.clone(),
            field,
            receipt: receipt.clone().into(),
            version: t.version()?,
            rows_left: ROWS_MAX,
            bytes_left: BYTES_MAX - bytes,
        }))
    }
}

fn changes_only(op: &Op, field: FieldId) -> bool {
    match &op.action {
        Action::Update(changes) => matches!(
            &changes[..],
            [change] if change.field == field && matches!(change.change, Change::Text(_))
        ),
        _ => false,
    }
}

impl Core {
    /// Keep what is typed beside its op. `None` if it has to be written.
    fn keep_typed(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        update: &[u8],
    ) -> Result<Option<WriteReceipt>, store::Error> {
        let Some(mut typing) = self.typing.take() else { return Ok(None) };
        let goes_on = typing.key == *key && typing.field == field;
        let fits = typing.rows_left > 0 && update.len() <= typing.bytes_left;
        if !goes_on || !fits || !self.database.keep_typed(typing.version, key, field, update)? {
            return Ok(None);
        }
        typing.rows_left -= 1;
        typing.bytes_left -= update.len();
        let receipt = typing.receipt.clone();
        self.typing = Some(typing);
        Ok(Some(receipt))
    }
}

impl Inner {
    /// Write what an editor changed in a text.
    pub fn type_text(
        &self,
        key: &EntityKey,
        field: FieldId,
        update: Vec<u8>,
    ) -> Result<WriteReceipt, Error> {
        let mut guard = self.lock()?;
        let core = guard.as_mut().ok_or_else(Error::closed)?;
        if let Some(receipt) = core.keep_typed(key, field, &update)? {
            self.tell(vec![NodeEvent::Changed { key: key.clone() }], Vec::new());
            return Ok(receipt);
        }
        let edit =
            Edit::Update { key: key.clone(), fields: vec![(field, FieldEdit::Merge(update))] };
        let (receipt, typing) = self.run_locked(core, Lane::Session, |node, t, now| {
            let (receipt, output) = node.write(t, now, &[edit])?;
            let typing = Typing::on(t, key, field, &receipt)?;
            Ok(((receipt, typing), output))
        })?;
        core.typing = typing;
        Ok(self.woken()(receipt))
    }

    /// What was typed becomes part of its op.
    pub(super) fn take_typed(&self, core: &mut Core) -> Result<(), Error> {
        let taken = core.run(&self.options, |node, t, now| Ok(((), write_typed(node, t, now)?)));
        let ((), output) = taken.map_err(|e| self.noted(e))?;
        self.carry(core, Lane::Session, output)
    }
}

/// What was typed and is no part of its op yet, as one edit of each text.
pub(crate) fn write_typed(
    node: &mut Node,
    t: &mut Transaction<'_>,
    now_ms: i64,
) -> Result<Output, Fault> {
    let mut edits: Vec<Edit> = Vec::new();
    for (of, field, update) in t.typed()? {
        let edit = (field, FieldEdit::Merge(update));
        match edits.last_mut() {
            Some(Edit::Update { key, fields }) if *key == of => fields.push(edit),
            _ => edits.push(Edit::Update { key: of, fields: vec![edit] }),
        }
    }
    t.clear_typed()?;
    match node.write(t, now_ms, &edits) {
        Ok((_, output)) => Ok(output),
        // The app's new version has not the field any more: nothing here could show it.
        Err(WriteError::Refused(refused)) => {
            tracing::error!(error = %Error::from(refused), "what was typed has no place any more");
            Ok(Output::default())
        }
        Err(WriteError::Store(error)) => Err(error.into()),
    }
}
