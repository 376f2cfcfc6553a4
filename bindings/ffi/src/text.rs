//! An editor on a shared text.

use crate::error::CallError;
use crate::fate::{self, Receipt};
use landfall_device as device;
use landfall_device::Schema;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An editor's copy of a text. What comes in from elsewhere does not move the text under the
/// user's cursor until [`TextEditor::pull`]; what the user types merges with it all the same.
#[derive(Debug, uniffi::Object)]
pub struct TextEditor {
    editor: Mutex<device::TextEditor>,
    schema: Arc<Schema>,
}

impl TextEditor {
    pub(crate) fn new(editor: device::TextEditor, schema: Arc<Schema>) -> Arc<Self> {
        Arc::new(Self { editor: Mutex::new(editor), schema })
    }

    fn lock(&self) -> MutexGuard<'_, device::TextEditor> {
        self.editor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[uniffi::export]
impl TextEditor {
    /// The text as this editor shows it.
    pub fn value(&self) -> String {
        self.lock().value()
    }

    /// Replace `delete` code points at `at` by `insert`, in this editor. Fails with `LF2016` if
    /// that reaches beyond the text.
    pub fn splice(&self, at: u32, delete: u32, insert: &str) -> Result<(), CallError> {
        Ok(self.lock().splice(at as usize, delete as usize, insert)?)
    }

    /// Write what was spliced since the last commit, in one transaction. Nothing if nothing was.
    pub fn commit(&self) -> Result<Option<Receipt>, CallError> {
        Ok(self.lock().commit()?.map(|r| fate::receipt(&self.schema, r)))
    }

    /// Take in everything that the device has.
    pub fn pull(&self) -> Result<(), CallError> {
        Ok(self.lock().pull()?)
    }
}
