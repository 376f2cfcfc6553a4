//! Collaborative text: documents as they are stored and sent, and single blobs of history. The
//! library below reads them; whatever it makes of them, it ends in a text or in an error.

use crate::ops;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::id::{DeviceId, Dot};
use landfall_model::op::{Change, Sealed};
use landfall_model::text::{Document, Text, Version, blob_id};

/// A document.
pub fn document(bytes: &[u8]) {
    let Ok(text) = from_bytes::<Text>(bytes) else { return };
    assert_eq!(from_bytes::<Text>(&to_bytes(&text)).as_ref(), Ok(&text));
    laws(&text);
}

/// One blob of history.
pub fn blob(bytes: &[u8]) {
    let document = Document::default();
    document.set_author(7);
    let span = Version::span(bytes);
    if document.import(bytes).is_ok() {
        assert!(span.is_ok(), "what can be read says what it holds");
        edit(&document);
    }
    let mut text = Text::default();
    let birth = Dot::new(DeviceId::from_number(1), 1);
    text.apply(&[birth], birth, bytes);
    laws(&text);
}

/// What any document keeps to.
pub fn laws(text: &Text) {
    let before = text.canonical();
    let mut twice = text.clone();
    if twice.join(text).is_ok() {
        assert_eq!(twice.canonical().ok(), before.as_ref().ok().cloned());
    }
    let Ok(document) = text.open(|_| true) else { return };
    let value = document.value();
    let mut folded = text.clone();
    if folded.compact().is_ok() {
        let again = folded.open(|_| true).expect("a snapshot that was just made can be read");
        assert_eq!(again.value(), value, "folding changes nothing that shows");
    }
    edit(&document);
}

/// Whoever has opened a document can write to it.
fn edit(document: &Document) {
    let (before, length) = (document.version(), document.len());
    assert_eq!(document.value().chars().count(), length);
    document.set_author(9);
    assert!(document.splice(length, 1, "x").is_err());
    document.splice(length, 0, "end").expect("there is room behind the end");
    assert!(document.value().ends_with("end"));
    assert_eq!(document.len(), length + 3);
    let _ = document.changes_since(&before);
}

fn updates() -> Vec<(Sealed, Vec<u8>)> {
    let sealed = ops::payloads().into_iter().filter_map(|payload| Sealed::decode(&payload).ok());
    let updates = sealed.flat_map(|op| {
        let of = |change: &Change| match change {
            Change::Text(text) => Some(text.update.clone()),
            _ => None,
        };
        let found: Vec<Vec<u8>> = op.op.changes().iter().filter_map(|c| of(&c.change)).collect();
        found.into_iter().map(move |update| (op.clone(), update)).collect::<Vec<_>>()
    });
    updates.collect()
}

pub fn document_seeds() -> Vec<(String, Vec<u8>)> {
    let mut whole = Text::default();
    for (op, update) in updates() {
        whole.apply(&op.op.births, blob_id(&op), &update);
    }
    let mut folded = whole.clone();
    folded.compact().expect("what devices wrote can be read");
    crate::frames::numbered("text", [to_bytes(&whole), to_bytes(&folded)])
}

pub fn blob_seeds() -> Vec<(String, Vec<u8>)> {
    let mut blobs: Vec<Vec<u8>> = updates().into_iter().map(|(_, update)| update).collect();
    let document = Document::default();
    document.set_author(3);
    document.splice(0, 0, "bread, milk and 😀").expect("an empty document takes text");
    document.splice(0, 5, "").expect("the text is there");
    let all = document.changes_since(&Version::default());
    blobs.push(all.expect("a document of our own can be written"));
    crate::frames::numbered("blob", blobs)
}
