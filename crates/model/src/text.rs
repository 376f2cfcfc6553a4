//! Collaborative text: documents as parts, each a Loro history.
//!
//! An op carries a Loro update blob and names births. Blobs that name the same births form a
//! *part*; a part stands while one of its births stands, and the document is the merge of its
//! standing parts. A writer whose births differ from those of the document's parts sends the whole
//! history, so each part is complete in itself and may fall or stand alone.
//!
//! Blobs are kept by dot until they are applied. [`Text::compact`] folds them into a snapshot, and
//! does so only when nothing in the part still waits for a blob that has not arrived.
//!
//! Canonical text is the value and the version vector of each part, never the exported bytes:
//! those depend on the order of import.

mod claims;
mod shown;

pub use claims::{CLAIMS_BEYOND_BYTES_MAX, check_update};

use crate::hash::hash64;
use crate::id::{DeviceId, Dot};
use crate::op::Sealed;
use loro::{ExportMode, IdSpan, LoroDoc, LoroError, VersionVector};
use minicbor::{Decode, Encode};
use shown::Shown;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

/// The container that every document keeps its characters in.
const CONTAINER: &str = "text";

/// What is said of bytes that the library panics on.
const NO_HISTORY: &str = "it makes no history";

/// A document as it is stored and sent.
#[derive(Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Text(#[n(0)] BTreeMap<Vec<Dot>, Part>);

/// The blobs that name one set of births.
#[derive(Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Part {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub snapshot: Option<Vec<u8>>,
    #[n(1)]
    pub updates: BTreeMap<Dot, Blob>,
}

#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Blob(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

/// Blobs that are no Loro history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text update cannot be read: {0}")]
pub struct Unreadable(pub String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |p: &Part| (p.snapshot.as_ref().map(Vec::len), p.updates.len());
        f.debug_map().entries(self.0.iter().map(|(b, p)| (b, part(p)))).finish()
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let snapshot = self.snapshot.as_ref().map(Vec::len);
        write!(f, "part(snapshot {snapshot:?} bytes, {} updates)", self.updates.len())
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blob({} bytes)", self.0.len())
    }
}

impl Text {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keep an op's blob. `dot` tells blobs apart: see [`blob_id`].
    pub fn apply(&mut self, births: &[Dot], dot: Dot, update: &[u8]) {
        let part = self.0.entry(births.to_vec()).or_default();
        part.updates.insert(dot, Blob(update.to_vec()));
    }

    /// Keep a part that another replica sent, whole or in pieces.
    pub fn join(&mut self, other: &Self) -> Result<(), Unreadable> {
        for (births, theirs) in &other.0 {
            let ours = self.0.entry(births.clone()).or_default();
            ours.updates.extend(theirs.updates.iter().map(|(d, b)| (*d, b.clone())));
            ours.snapshot = match (ours.snapshot.take(), &theirs.snapshot) {
                (Some(a), Some(b)) if a != *b => Some(merge_snapshots(&a, b)?),
                (a, b) => a.or_else(|| b.clone()),
            };
        }
        Ok(())
    }

    /// Forget parts none of whose births can stand any more.
    pub fn retain(&mut self, alive: impl Fn(Dot) -> bool) {
        self.0.retain(|births, _| births.iter().any(|b| alive(*b)));
    }

    pub fn parts(&self) -> impl Iterator<Item = (&[Dot], &Part)> {
        self.0.iter().map(|(b, p)| (b.as_slice(), p))
    }

    /// All that there is to import, with the births that it belongs to.
    pub fn blobs(&self) -> impl Iterator<Item = (&[Dot], &[u8])> {
        self.parts().flat_map(|(births, part)| {
            let updates = part.updates.values().map(|blob| blob.0.as_slice());
            part.snapshot.as_deref().into_iter().chain(updates).map(move |blob| (births, blob))
        })
    }

    pub fn insert_part(&mut self, births: Vec<Dot>, part: Part) {
        self.0.insert(births, part);
    }

    /// True if a part for exactly these births exists, so that an op naming them may build on it.
    pub fn has_part(&self, births: &[Dot]) -> bool {
        self.0.contains_key(births)
    }

    /// Number of blobs not yet folded into a snapshot.
    pub fn loose_blobs(&self) -> usize {
        self.0.values().map(|p| p.updates.len()).sum()
    }

    /// Tells documents apart by the bytes that they are stored in.
    pub fn print(&self) -> u64 {
        hash64(&crate::codec::to_bytes(self))
    }

    /// Stored size in bytes.
    pub fn stored_bytes(&self) -> usize {
        let part = |p: &Part| {
            p.snapshot.as_ref().map_or(0, Vec::len)
                + p.updates.values().map(|b| b.0.len()).sum::<usize>()
        };
        self.0.values().map(part).sum()
    }

    /// The document that the standing parts make.
    pub fn open(&self, stands: impl Fn(Dot) -> bool) -> Result<Document, Unreadable> {
        let document = Document::default();
        for (births, part) in &self.0 {
            if births.iter().any(|b| stands(*b)) {
                part.import_into(&document.0)?;
            }
        }
        Ok(document)
    }

    /// Fold blobs into snapshots, part by part, where nothing is pending. Returns how many blobs
    /// were folded.
    pub fn compact(&mut self) -> Result<usize, Unreadable> {
        let mut folded = 0;
        for part in self.0.values_mut().filter(|p| !p.updates.is_empty()) {
            let doc = LoroDoc::new();
            if part.import_into(&doc)? {
                part.snapshot = Some(export(&doc, ExportMode::Snapshot)?);
                folded += part.updates.len();
                part.updates.clear();
            }
        }
        Ok(folded)
    }

    /// The canonical form: per part its births, value and version vector.
    pub fn canonical(&self) -> Result<Vec<u8>, Unreadable> {
        let mut parts: Vec<(&Vec<Dot>, String, BTreeMap<u64, i32>)> = Vec::new();
        for (births, part) in &self.0 {
            let document = Document::default();
            part.import_into(&document.0)?;
            let vector = document.0.oplog_vv().iter().map(|(p, c)| (*p, *c)).collect();
            parts.push((births, document.value(), vector));
        }
        Ok(crate::codec::to_bytes(&parts))
    }
}

/// The name of an op's blob in a part. It is made of the fingerprint and the number, not of the
/// dot, so that the two ops of a forked dot keep a blob each.
pub fn blob_id(op: &Sealed) -> Dot {
    Dot::new(DeviceId(op.fingerprint.0), op.op.dot.seq)
}

impl Part {
    /// Import all that the part has; true if nothing waits for a blob that is missing.
    fn import_into(&self, doc: &LoroDoc) -> Result<bool, Unreadable> {
        claims::check_updates(self.updates.values().map(|blob| blob.0.as_slice()))?;
        let blobs: Vec<Vec<u8>> = self
            .snapshot
            .iter()
            .cloned()
            .chain(self.updates.values().map(|b| b.0.clone()))
            .collect();
        if blobs.is_empty() {
            return Ok(true);
        }
        let status = guarded(doc, || doc.import_batch(&blobs))?;
        Ok(status.pending.is_none_or(|p| p.is_empty()))
    }
}

/// Let the library read bytes that may come from anywhere. On some that are no history it panics,
/// with its locks held, and then again when the document is dropped, which ends the process. So
/// the panic goes no further than here, and its document is never dropped: a leak of its size. A
/// document that this failed for is not to be used again.
fn guarded<T>(doc: &LoroDoc, read: impl FnOnce() -> Result<T, LoroError>) -> Result<T, Unreadable> {
    let kept = ManuallyDrop::new(doc.clone());
    let done = catch_unwind(AssertUnwindSafe(read));
    let done = done.map_err(|_| Unreadable(NO_HISTORY.to_owned()))?;
    drop(ManuallyDrop::into_inner(kept));
    done.map_err(|e| Unreadable(e.to_string()))
}

fn merge_snapshots(a: &[u8], b: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let doc = LoroDoc::new();
    guarded(&doc, || doc.import_batch(&[a.to_vec(), b.to_vec()]))?;
    export(&doc, ExportMode::Snapshot)
}

fn export(doc: &LoroDoc, mode: ExportMode<'_>) -> Result<Vec<u8>, Unreadable> {
    doc.export(mode).map_err(|e| Unreadable(e.to_string()))
}

/// A document in memory, open for reading and editing.
#[derive(Debug, Default)]
pub struct Document(LoroDoc, Mutex<Option<Shown>>);

/// One edit: `delete` code points at `at` make way for `insert`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Splice {
    #[n(0)]
    pub at: usize,
    #[n(1)]
    pub delete: usize,
    #[n(2)]
    pub insert: String,
}

impl Splice {
    /// How many changes it is to its author.
    pub fn changes(&self) -> usize {
        self.delete + self.insert.chars().count()
    }
}

/// Edits of one author, one behind the other. They make the same changes in every document that is at
/// the version which they were made at.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Typed {
    #[n(0)]
    pub author: u64,
    /// The version that they were made at; `None` if it is the one behind those before.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub at: Option<Vec<u8>>,
    #[n(2)]
    pub splices: Vec<Splice>,
}

/// A version of a document; opaque outside this module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(VersionVector);

impl Version {
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.encode()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        VersionVector::decode(bytes).map(Self).map_err(|e| Unreadable(e.to_string()))
    }

    /// What a blob holds of each author that is in it: the versions before and behind its changes.
    pub fn span(blob: &[u8]) -> Result<(Self, Self), Unreadable> {
        check_update(blob)?;
        let meta = catch_unwind(|| LoroDoc::decode_import_blob_meta(blob, false));
        let meta = meta.map_err(|_| Unreadable(NO_HISTORY.to_owned()))?;
        let meta = meta.map_err(|e| Unreadable(e.to_string()))?;
        Ok((Self(meta.partial_start_vv), Self(meta.partial_end_vv)))
    }

    pub fn holds(&self, other: &Self) -> bool {
        self.0.includes_vv(&other.0)
    }

    /// The least version that has both.
    pub fn join(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// How many changes of an author it has; they are numbered from 0.
    pub fn changes_by(&self, author: u64) -> i32 {
        self.0.get(&author).copied().unwrap_or(0)
    }

    /// The version after so many more changes of an author.
    pub fn after(&self, author: u64, changes: usize) -> Self {
        let mut after = self.0.clone();
        let changes = i32::try_from(changes).unwrap_or(i32::MAX);
        after.insert(author, self.changes_by(author).saturating_add(changes));
        Self(after)
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, count)| *count == 0)
    }
}

/// An edit that reaches outside of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the edit reaches beyond the end of the text")]
pub struct OutOfBounds;

impl Document {
    /// The whole text.
    pub fn value(&self) -> String {
        let mut shown = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.commit();
        let following = shown.get_or_insert_with(|| Shown::of(&self.0, CONTAINER));
        if let Some(text) = following.now() {
            return text.to_owned();
        }
        *shown = None;
        self.0.get_text(CONTAINER).to_string()
    }

    /// Length in Unicode code points.
    pub fn len(&self) -> usize {
        self.0.get_text(CONTAINER).len_unicode()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another hold on the same document.
    pub fn handle(&self) -> Self {
        Self(self.0.clone(), Mutex::default())
    }

    pub fn author(&self) -> u64 {
        self.0.peer_id()
    }

    /// Edits from here on carry this author id. Draw it at random at each opening of a file: two
    /// copies of a file must never share one.
    pub fn set_author(&self, author: u64) {
        self.0.commit();
        // The library reserves the highest number.
        self.0.set_peer_id(author.min(u64::MAX - 1)).expect("no edit is under way");
    }

    /// Replace `delete` code points at `at` by `insert`.
    pub fn splice(&self, at: usize, delete: usize, insert: &str) -> Result<(), OutOfBounds> {
        self.edit(at, delete, insert)?;
        self.0.commit();
        Ok(())
    }

    /// The same, cheaper: it becomes a change together with those behind it, when the document is next
    /// asked for something.
    pub fn edit(&self, at: usize, delete: usize, insert: &str) -> Result<(), OutOfBounds> {
        let text = self.0.get_text(CONTAINER);
        if at.checked_add(delete).is_none_or(|end| end > text.len_unicode()) {
            return Err(OutOfBounds);
        }
        if delete > 0 {
            text.delete(at, delete).map_err(|_| OutOfBounds)?;
        }
        if !insert.is_empty() {
            text.insert(at, insert).map_err(|_| OutOfBounds)?;
        }
        Ok(())
    }

    /// Take in what an author did at a version, as the author's own changes.
    pub fn replay(&self, author: u64, at: &Version, splices: &[Splice]) -> Result<(), Unreadable> {
        let not_there = |what: &str| Unreadable(format!("it was made at {what}"));
        if !self.holds(at) {
            return Err(not_there("a version that is not here"));
        }
        let by_author = |document: Self| {
            document.set_author(author);
            let edit = |s: &Splice| document.edit(s.at, s.delete, &s.insert);
            let done = splices.iter().try_for_each(edit);
            document.0.commit();
            done.map_err(|_| not_there("another text"))
        };
        if at.holds(&self.version()) {
            let own = self.author();
            let done = by_author(self.handle());
            self.set_author(own);
            return done;
        }
        // Others have edited it since.
        let then = self.0.fork_at(&self.0.vv_to_frontiers(&at.0));
        let then = then.map_err(|e| Unreadable(e.to_string()))?;
        let then = Self(then, Mutex::default());
        by_author(then.handle())?;
        self.import(&then.changes_since(at)?).map(drop)
    }

    /// True if this document holds all of a version.
    pub fn holds(&self, version: &Version) -> bool {
        self.version().holds(version)
    }

    pub fn version(&self) -> Version {
        self.0.commit();
        Version(self.0.oplog_vv())
    }

    /// All changes that are not in `since`, as one blob.
    pub fn changes_since(&self, since: &Version) -> Result<Vec<u8>, Unreadable> {
        export(&self.0, ExportMode::updates(&since.0))
    }

    /// The changes that `until` has and `since` has not, as one blob.
    pub fn changes_between(&self, since: &Version, until: &Version) -> Result<Vec<u8>, Unreadable> {
        let span = |(author, end): (&u64, &i32)| {
            let start = since.changes_by(*author);
            (start < *end).then(|| IdSpan::new(*author, start, *end))
        };
        let spans: Vec<IdSpan> = until.0.iter().filter_map(span).collect();
        export(&self.0, ExportMode::updates_in_range(spans))
    }

    /// Merge a blob; false if some of it waits for a blob that is missing.
    pub fn import(&self, blob: &[u8]) -> Result<bool, Unreadable> {
        check_update(blob)?;
        let status = guarded(&self.0, || self.0.import(blob))?;
        Ok(status.pending.is_none_or(|p| p.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(device: u64, seq: u64) -> Dot {
        Dot::new(DeviceId::from_number(device), seq)
    }

    fn typed(author: u64, base: Option<&[u8]>, at: usize, s: &str) -> Vec<u8> {
        let doc = Document::default();
        doc.set_author(author);
        if let Some(b) = base {
            doc.import(b).unwrap();
        }
        doc.splice(at, 0, s).unwrap();
        doc.changes_since(&Version::default()).unwrap()
    }

    #[test]
    fn blobs_in_any_order_make_one_canonical_text() {
        let birth = [dot(1, 1)];
        let first = typed(1, None, 0, "hello");
        let second = typed(2, Some(&first), 5, " world");
        let mut a = Text::default();
        a.apply(&birth, dot(1, 2), &first);
        a.compact().unwrap();
        a.apply(&birth, dot(2, 1), &second);
        let mut b = Text::default();
        b.apply(&birth, dot(2, 1), &second);
        b.apply(&birth, dot(1, 2), &first);
        assert_eq!(a.canonical(), b.canonical());
        assert_eq!(b.open(|_| true).unwrap().value(), "hello world");
    }

    #[test]
    fn nothing_is_folded_while_a_blob_waits_for_another() {
        let doc = Document::default();
        doc.set_author(1);
        doc.splice(0, 0, "one").unwrap();
        let v1 = doc.version();
        let first = doc.changes_since(&Version::default()).unwrap();
        doc.splice(3, 0, " two").unwrap();
        let second = doc.changes_since(&v1).unwrap();

        let mut text = Text::default();
        text.apply(&[dot(1, 1)], dot(1, 3), &second);
        assert_eq!(text.compact().unwrap(), 0);
        text.apply(&[dot(1, 1)], dot(1, 2), &first);
        assert_eq!(text.compact().unwrap(), 2);
        assert_eq!(text.open(|_| true).unwrap().value(), "one two");
    }

    #[test]
    fn a_part_falls_with_its_births() {
        let mut text = Text::default();
        text.apply(&[dot(1, 1)], dot(1, 2), &typed(1, None, 0, "old"));
        text.apply(&[dot(2, 1)], dot(2, 2), &typed(2, None, 0, "new"));
        assert_eq!(text.open(|b| b == dot(2, 1)).unwrap().value(), "new");
        text.retain(|b| b == dot(2, 1));
        assert_eq!(text.open(|_| true).unwrap().value(), "new");
    }

    #[test]
    fn a_reader_may_take_in_less_than_there_is() {
        let present = Document::default();
        present.set_author(1);
        present.splice(0, 0, "ac").unwrap();
        let shown = present.version();
        let editor = Document::default();
        editor.import(&present.changes_since(&Version::default()).unwrap()).unwrap();
        present.splice(0, 0, ">> ").unwrap();
        let more = present.version();
        present.splice(0, 0, "## ").unwrap();

        editor.set_author(2);
        editor.splice(1, 0, "b").unwrap();
        present.import(&editor.changes_since(&shown).unwrap()).unwrap();
        assert_eq!(present.value(), "## >> abc");
        editor.import(&present.changes_between(&editor.version(), &more).unwrap()).unwrap();
        assert_eq!(editor.value(), ">> abc");
    }

    #[test]
    fn edits_that_are_done_again_are_the_same_changes_wherever_they_are() {
        let base = typed(1, None, 0, "hello world");
        let editor = Document::default();
        editor.import(&base).unwrap();
        editor.set_author(2);
        let at = editor.version();
        let splice = |at, delete, insert: &str| Splice { at, delete, insert: insert.to_owned() };
        let splices = [splice(5, 1, "日本🦀"), splice(0, 0, "x"), splice(2, 3, "")];
        for s in &splices {
            editor.splice(s.at, s.delete, &s.insert).unwrap();
        }
        let changes = splices.iter().map(Splice::changes).sum();
        assert_eq!(at.after(2, changes), editor.version());

        // Here nobody has edited since; and there others have.
        let (here, there) = (Document::default(), Document::default());
        for document in [&here, &there] {
            document.import(&base).unwrap();
            document.set_author(3);
        }
        there.splice(11, 0, "!").unwrap();
        for document in [&here, &there] {
            document.replay(2, &at, &splices).unwrap();
            assert_eq!(document.author(), 3);
            let blob = document.changes_between(&at, &editor.version()).unwrap();
            assert_eq!(blob, editor.changes_since(&at).unwrap());
        }
        assert_eq!(here.value(), editor.value());
        assert_eq!(there.value(), format!("{}!", editor.value()));
        assert!(here.replay(2, &there.version(), &splices).is_err(), "that is not here");
        assert!(Document::default().replay(2, &Version::default(), &splices).is_err());
    }

    #[test]
    fn rubbish_is_an_error_and_not_a_panic() {
        let mut text = Text::default();
        text.apply(&[dot(1, 1)], dot(1, 2), b"no loro here");
        assert!(text.open(|_| true).is_err());
        assert!(Version::from_bytes(b"\xff\xff\xff").is_err());
    }

    /// A history of two authors with a valid checksum, in which one number was changed.
    const CRAFTED: &str = concat!(
        "6c6f726f00000000000000000000000019ef5db900045c0012001201100107000000000000000101",
        "00000000000501006e01000601040102000005047465787400140104020600040500060004050509",
        "0504050b04030b0103020100020106020108100b68656c6c6f20776f726c64036162634900021202",
        "011b0209000000000000000700000000000000010101010101220000000501000001000601040102",
        "0000050474657874000e01040201000201020201800201020003027a7a",
    );

    #[test]
    fn a_blob_that_the_library_panics_on_is_an_error() {
        let byte = |i: usize| u8::from_str_radix(&CRAFTED[i..i + 2], 16).unwrap();
        let crafted: Vec<u8> = (0..CRAFTED.len()).step_by(2).map(byte).collect();
        assert!(Document::default().import(&crafted).is_err());
        let mut text = Text::default();
        text.apply(&[dot(1, 1)], dot(1, 2), &crafted);
        assert!(text.open(|_| true).is_err());
        assert!(text.compact().is_err());
        assert!(text.canonical().is_err());
    }

    #[test]
    fn an_edit_beyond_the_end_is_refused() {
        let doc = Document::default();
        assert_eq!(doc.splice(1, 0, "x"), Err(OutOfBounds));
        assert_eq!(doc.splice(0, usize::MAX, ""), Err(OutOfBounds));
    }
}
