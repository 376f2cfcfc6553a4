//! Typing that does not write the whole text with each key.
//!
//! While a text's last own op has not left the device, it grows with what is typed: one op, however
//! many commits. To write it anew, with all that shows of the text, takes time in proportion to the
//! text. So a commit that only adds to it is a row of `_lf_typed` instead, and a few hundred of them
//! become part of the op together. They do so before anybody reads of this file or does anything
//! else with it, in this process or in another, so nobody can tell; and when a process died in
//! between, the first one that opens the file finds them.
//!
//! A row says what was done, which is a few bytes, and not what the document made of it, which takes
//! the document to write down. The editor's document is asked for that once, for all of the rows; where
//! it is gone, the rows are done again in the document as the file has it ([`Document::replay`]).

use super::core::{Core, Lane};
use super::{Fault, Inner};
use crate::client::WriteReceipt;
use crate::error::Error;
use crate::store::{self, Transaction};
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::op::{Action, Change, Op};
use landfall_model::text::{Document, Splice, Typed, Version, check_update};
use landfall_sync::device::node::{
    Edit, Event as NodeEvent, FieldEdit, Node, Output, Problem, Receipt, WriteError,
};
use landfall_sync::device::store::{OpState, Store};
use landfall_sync::limits;

/// Commits that wait for their op. More would make whoever reads next wait longer.
const ROWS_MAX: usize = 4_096;

/// Bytes of such an op and of what waits for it: far below what an op may have, so that it never is
/// too large when they come together.
const BYTES_MAX: usize = limits::OP_BYTES_MAX / 2;

/// Changes that wait for their op: far fewer than a text update may claim.
const CHANGES_MAX: usize = 16 << 10;

/// What an editor commits.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    /// The editor's, with all of it.
    pub document: &'a Document,
    /// The version before.
    pub at: &'a Version,
    pub splices: &'a [Splice],
    /// Between them the document took in what others did.
    pub mixed: bool,
}

impl Commit<'_> {
    /// The version behind it.
    pub fn end(&self) -> Version {
        match self.mixed {
            true => self.document.version(),
            false => self.at.after(self.document.author(), self.changes()),
        }
    }

    fn changes(&self) -> usize {
        self.splices.iter().map(Splice::changes).sum()
    }

    fn bytes(&self) -> usize {
        self.splices.iter().map(|s| s.insert.len()).sum()
    }
}

/// The op that the last call wrote, as long as nothing else has happened to the file, and what was
/// typed into it since.
#[derive(Debug)]
pub(super) struct Typing {
    key: EntityKey,
    field: FieldId,
    receipt: WriteReceipt,
    /// Of the file: another after a commit of others.
    version: i64,
    /// The editor's.
    document: Document,
    /// The editor's version where the rows begin, and where they end.
    at: Version,
    end: Version,
    rows_left: usize,
    bytes_left: usize,
    changes_left: usize,
}

impl Typing {
    /// If the op is one that typing adds to.
    fn on(
        t: &mut Transaction<'_>,
        key: &EntityKey,
        field: FieldId,
        receipt: &Receipt,
        commit: &Commit<'_>,
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
            document: commit.document.handle(),
            at: commit.end(),
            end: commit.end(),
            rows_left: ROWS_MAX,
            bytes_left: BYTES_MAX - bytes,
            changes_left: CHANGES_MAX,
        }))
    }

    /// True if the commit goes on where the last one ended, and there is room for it.
    fn takes(&self, key: &EntityKey, field: FieldId, commit: &Commit<'_>) -> bool {
        self.key == *key
            && self.field == field
            && self.document.author() == commit.document.author()
            && self.end == *commit.at
            && !commit.mixed
            && self.rows_left > 0
            && commit.bytes() <= self.bytes_left
            && commit.changes() <= self.changes_left
    }

    /// What these rows come to, if they are what this editor typed.
    fn update(&self, key: &EntityKey, field: FieldId, rows: &Replay) -> Option<Vec<u8>> {
        let author = self.document.author();
        let end = rows.at.after(author, rows.splices.iter().map(Splice::changes).sum());
        let these = self.key == *key && self.field == field && author == rows.author;
        if !these || self.at != rows.at || self.end != end {
            return None;
        }
        self.document.changes_between(&self.at, &self.end).ok()
    }
}

/// Rows one behind the other, of one text and author.
struct Replay {
    author: u64,
    at: Version,
    splices: Vec<Splice>,
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
        commit: &Commit<'_>,
    ) -> Result<Option<WriteReceipt>, store::Error> {
        let Some(mut typing) = self.typing.take() else { return Ok(None) };
        let mut kept = false;
        if typing.takes(key, field, commit) {
            let first = typing.rows_left == ROWS_MAX;
            let at = first.then(|| typing.at.to_bytes());
            let author = commit.document.author();
            let typed = Typed { author, at, splices: commit.splices.to_vec() };
            // After an error nobody knows whether the row is there: nothing goes on behind it.
            kept = self.database.keep_typed(typing.version, key, field, &typed)?;
        }
        let receipt = kept.then(|| {
            typing.rows_left -= 1;
            typing.bytes_left -= commit.bytes();
            typing.changes_left -= commit.changes();
            typing.end = commit.end();
            typing.receipt.clone()
        });
        self.typing = Some(typing);
        Ok(receipt)
    }
}

impl Inner {
    /// Write what an editor changed in a text.
    pub fn type_text(
        &self,
        key: &EntityKey,
        field: FieldId,
        commit: &Commit<'_>,
    ) -> Result<WriteReceipt, Error> {
        let mut guard = self.lock()?;
        let core = guard.as_mut().ok_or_else(Error::closed)?;
        if let Some(receipt) = core.keep_typed(key, field, commit)? {
            self.tell(vec![NodeEvent::Changed { key: key.clone() }], Vec::new());
            return Ok(receipt);
        }
        let update = commit.document.changes_since(commit.at);
        let update = update.map_err(|_| Error::problem(Problem::UnreadableText))?;
        check_update(&update).map_err(|_| Error::problem(Problem::TooLarge))?;
        let edit =
            Edit::Update { key: key.clone(), fields: vec![(field, FieldEdit::Merge(update))] };
        let (receipt, typing) = self.run_locked(core, Lane::Session, |node, t, now| {
            let (receipt, output) = node.write(t, now, &[edit])?;
            let typing = Typing::on(t, key, field, &receipt, commit)?;
            Ok(((receipt, typing), output))
        })?;
        core.typing = typing;
        Ok(self.woken()(receipt))
    }

    /// What was typed becomes part of its op.
    pub(super) fn take_typed(&self, core: &mut Core) -> Result<(), Error> {
        let typing = core.typing.take().or(core.typed.take());
        let taken = core.run(&self.options, |node, t, now| {
            Ok(((), write_typed(node, t, now, typing.as_ref())?))
        });
        let ((), output) = taken.map_err(|e| self.noted(e))?;
        self.carry(core, Lane::Session, output)
    }
}

/// What was typed when the process before ended becomes part of its op.
pub(crate) fn write_left(
    node: &mut Node,
    t: &mut Transaction<'_>,
    now_ms: i64,
) -> Result<Output, Fault> {
    write_typed(node, t, now_ms, None)
}

/// What was typed and is no part of its op yet, as one edit of each text.
fn write_typed(
    node: &mut Node,
    t: &mut Transaction<'_>,
    now_ms: i64,
    typing: Option<&Typing>,
) -> Result<Output, Fault> {
    let mut texts: Vec<(EntityKey, FieldId, Replay)> = Vec::new();
    for (key, field, Typed { author, at, mut splices }) in t.typed()? {
        match (at, texts.last_mut()) {
            (Some(at), _) => {
                let at = Version::from_bytes(&at);
                let at = at.map_err(|e| store::Error::Damaged(e.to_string()))?;
                texts.push((key, field, Replay { author, at, splices }));
            }
            (None, Some((.., before))) => before.splices.append(&mut splices),
            (None, None) => {
                return Err(store::Error::Damaged("typing without a beginning".into()).into());
            }
        }
    }
    let mut edits: Vec<Edit> = Vec::new();
    for (of, field, rows) in texts {
        let edit = match typing.and_then(|t| t.update(&of, field, &rows)) {
            Some(update) => FieldEdit::Merge(update),
            None => {
                let Replay { author, at, splices } = rows;
                FieldEdit::Replay { author, at, splices }
            }
        };
        match edits.last_mut() {
            Some(Edit::Update { key, fields }) if *key == of => fields.push((field, edit)),
            _ => edits.push(Edit::Update { key: of, fields: vec![(field, edit)] }),
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
