//! Editing a shared text as an editor does: against what its user sees.
//!
//! A [`TextEditor`] holds its own copy of the document. What comes in from elsewhere does not move
//! the text under the user's cursor until the app takes it in ([`TextEditor::pull`]); what the user
//! types merges with it all the same. Edits are durable from [`TextEditor::commit`] on, like any
//! other write.

use crate::client::{Client, WriteReceipt};
use crate::error::Error;
#[cfg(not(target_family = "wasm"))]
use crate::error::code;
use crate::inner::Commit;
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::text::{Document, Splice, Version};
use landfall_sync::device::node::Problem;
#[cfg(not(target_family = "wasm"))]
use std::time::Duration;

/// A version of a text, to compare and to join; it means the same on every device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextVersion(pub(crate) Version);

impl TextVersion {
    /// Make it the least version that holds both.
    pub fn join(&mut self, other: &Self) {
        self.0.join(&other.0);
    }
}

/// An editor's copy of a text. See the module's description.
#[derive(Debug)]
pub struct TextEditor {
    client: Client,
    key: EntityKey,
    field: FieldId,
    document: Document,
    /// Everything up to here is in the device's file.
    written: Version,
    /// What was done since, by this editor.
    splices: Vec<Splice>,
    /// Between them something came in from elsewhere.
    mixed: bool,
}

impl TextEditor {
    pub(crate) fn open(
        client: Client,
        key: EntityKey,
        field: FieldId,
        author: u64,
    ) -> Result<Self, Error> {
        let document = Document::default();
        document.set_author(author);
        let (written, splices) = (Version::default(), Vec::new());
        let mixed = false;
        let mut editor = Self { client, key, field, document, written, splices, mixed };
        editor.pull()?;
        Ok(editor)
    }

    /// The text as this editor shows it.
    pub fn value(&self) -> String {
        self.document.value()
    }

    /// The version that this editor shows.
    pub fn version(&self) -> TextVersion {
        TextVersion(self.document.version())
    }

    /// Replace `delete` code points at `at` by `insert`, in this editor. Fails with `LF2016` if
    /// that reaches beyond the text.
    pub fn splice(&mut self, at: usize, delete: usize, insert: &str) -> Result<(), Error> {
        let spliced = self.document.edit(at, delete, insert);
        spliced.map_err(|_| Error::problem(Problem::BeyondText))?;
        if delete > 0 || !insert.is_empty() {
            self.splices.push(Splice { at, delete, insert: insert.to_owned() });
        }
        Ok(())
    }

    /// Write what was spliced since the last commit, in one transaction. `None` if nothing was. Fails
    /// with `LF2019` if that is more than one op may hold: commit after fewer splices.
    pub fn commit(&mut self) -> Result<Option<WriteReceipt>, Error> {
        if self.splices.is_empty() {
            return Ok(None);
        }
        let (document, at) = (&self.document, &self.written);
        let commit = Commit { document, at, splices: &self.splices, mixed: self.mixed };
        let receipt = self.client.inner.type_text(&self.key, self.field, &commit)?;
        self.written = commit.end();
        self.splices.clear();
        self.mixed = false;
        Ok(Some(receipt))
    }

    /// Take in everything that the device has.
    pub fn pull(&mut self) -> Result<(), Error> {
        let update = self.client.inner.text_changes(
            &self.key,
            self.field,
            &self.document.version(),
            None,
        )?;
        self.take_in(&update.unwrap_or_default())
    }

    /// Take in what the device has up to a version, and nothing beyond it. Waits until the device
    /// has it; fails with `LF2108` if it has not come in time.
    #[cfg(not(target_family = "wasm"))]
    pub fn pull_to(&mut self, version: &TextVersion, within: Duration) -> Result<(), Error> {
        if self.document.holds(&version.0) {
            return Ok(());
        }
        let shown = self.document.version();
        let (key, inner) = (&self.key, &self.client.inner);
        match inner.text_changes_within(key, self.field, &shown, &version.0, within)? {
            Some(update) => self.take_in(&update),
            None => {
                let message = "The device did not get that version of the text in time.";
                Err(Error::new(code::TEXT_NOT_HERE, message))
            }
        }
    }

    fn take_in(&mut self, update: &[u8]) -> Result<(), Error> {
        if !update.is_empty() {
            self.document.import(update).map_err(|_| Error::problem(Problem::UnreadableText))?;
            // What came from the file is in the file; what was typed and not committed is not.
            self.mixed = !self.splices.is_empty();
            if !self.mixed {
                self.written = self.document.version();
            }
        }
        Ok(())
    }
}
