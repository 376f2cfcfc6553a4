//! Documents under edit, and how much of their history an op must carry.
//!
//! An op carries all changes since the last version that enough regions are known to hold, so that
//! it can be read wherever it arrives, whatever else was lost. That version is learnt in two ways:
//! an own op that became durable brought everything up to its end into enough regions
//! ([`TextMark`]); and a row all of whose positions are durable has nothing in its base text that
//! could be lost.
//!
//! Opening a document is dear, so a few stay open. An open one is used again only while the store
//! holds what it was made of. Its author id is kept through a reopening if the document still has
//! all edits made under it; otherwise a new one is drawn, so that no two edits share a name.

use super::call::Call;
use super::store::{OwnOp, Store, TextMark};
use super::view::{Merged, full_text};
use landfall_model::hash::hash64;
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::Change;
use landfall_model::stamp::Hlc;
use landfall_model::text::{Document, Text, Version};
use landfall_model::vector::{Origin, Vector};
use std::collections::{BTreeMap, BTreeSet};

/// Documents that stay open.
const OPEN_MAX: usize = 16;

/// Open documents and the source of author ids. Volatile.
#[derive(Debug)]
pub(super) struct Documents {
    open: BTreeMap<(EntityKey, FieldId), Open>,
    /// Drawn when the file was opened.
    seed: u64,
    drawn: u64,
    opened: u64,
}

#[derive(Debug)]
pub(super) struct Open {
    pub document: Document,
    author: u64,
    /// How many changes were made under the author id.
    used: i32,
    /// What the document was made of.
    made_of: Shape,
    /// Held by enough regions, in the part of these births.
    pub safe: (Vec<Dot>, Version),
    opened: u64,
}

/// Blobs by name, with their lengths.
type Blobs = Vec<(Dot, usize)>;

/// Tells whether the store still holds what a document was made of, without its bytes.
#[derive(Debug, PartialEq, Default)]
struct Shape {
    standing: BTreeSet<Dot>,
    /// Births, length of the snapshot, and lengths of the blobs.
    parts: Vec<(Vec<Dot>, Option<usize>, Blobs)>,
    overlay: Vec<(Dot, Hlc)>,
}

impl Documents {
    pub fn new(seed: u64) -> Self {
        Self { open: BTreeMap::new(), seed, drawn: 0, opened: 0 }
    }

    /// Forget all. Edits from here on have new author ids: a refusal ended the old ones.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// True if a document is open. It may be of another time than the store.
    pub fn holds(&self, key: &EntityKey, field: FieldId) -> bool {
        self.open.contains_key(&(key.clone(), field))
    }

    /// The text of a document that is open, if the store still holds what it was made of.
    pub fn value(
        &self,
        base: &Text,
        merged: &Merged,
        key: &EntityKey,
        field: FieldId,
        standing: &BTreeSet<Dot>,
    ) -> Option<String> {
        let open = self.open.get(&(key.clone(), field))?;
        let current = open.made_of == Shape::of(base, merged, field, standing);
        current.then(|| open.document.value())
    }

    pub fn author(&mut self, key: &EntityKey, field: FieldId) -> u64 {
        self.drawn += 1;
        let bytes = landfall_model::codec::to_bytes(&(self.seed, self.drawn, key, field));
        hash64(&bytes)
    }

    fn keep(&mut self, at: (EntityKey, FieldId), mut open: Open) {
        self.opened += 1;
        open.opened = self.opened;
        self.open.insert(at, open);
        if self.open.len() > OPEN_MAX {
            let oldest = self.open.iter().min_by_key(|(_, o)| o.opened).map(|(at, _)| at.clone());
            oldest.and_then(|at| self.open.remove(&at));
        }
    }
}

impl Shape {
    fn of(base: &Text, merged: &Merged, field: FieldId, standing: &BTreeSet<Dot>) -> Self {
        let part = |(births, part): (&[Dot], &landfall_model::text::Part)| {
            let blobs = part.updates.iter().map(|(d, b)| (*d, b.0.len())).collect();
            (births.to_vec(), part.snapshot.as_ref().map(Vec::len), blobs)
        };
        let writes = |op: &&OwnOp| op.sealed.op.changes().iter().any(|c| c.field == field);
        Self {
            standing: standing.clone(),
            parts: base.parts().map(part).collect(),
            overlay: merged
                .overlay()
                .filter(writes)
                .map(|o| (o.sealed.op.dot, o.sealed.op.hlc))
                .collect(),
        }
    }
}

impl<S: Store> Call<'_, S> {
    /// A document ready for edits; `None` if what is stored cannot be read. It is the caller's
    /// until [`Self::keep_document`].
    pub fn open_document(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        standing: &BTreeSet<Dot>,
    ) -> Result<Option<Open>, S::Error> {
        let cached = self.node.documents.open.remove(&(key.clone(), field));
        let base = self.store.base_text(key, field)?;
        let merged = self.reader.merged(self.store, key)?.clone();
        let made_of = Shape::of(&base, &merged, field, standing);
        if let Some(open) = &cached
            && open.made_of == made_of
            && open.safe.0 == births
        {
            return Ok(cached);
        }
        let text = full_text(self.store, &merged, key, field)?;
        let Ok(document) = text.open(|b| standing.contains(&b)) else { return Ok(None) };
        let complete = |o: &Open| document.version().changes_by(o.author) >= o.used;
        let (author, used) = match cached.filter(complete) {
            Some(open) => (open.author, open.used),
            None => (self.node.documents.author(key, field), 0),
        };
        document.set_author(author);
        let safe = (births.to_vec(), self.safe_base(key, field, births, &merged)?);
        Ok(Some(Open { document, author, used, made_of, safe, opened: 0 }))
    }

    /// The changes of a document behind `since`, up to `until` if given.
    pub fn text_changes(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        since: &Version,
        until: Option<&Version>,
    ) -> Result<Option<Vec<u8>>, S::Error> {
        let (merged, standing) = self.reader.read(self.store, key)?;
        let standing = super::view::standing_births(&merged.entity, &standing);
        let births: Vec<Dot> = standing.iter().copied().collect();
        let Some(open) = self.open_document(key, field, &births, &standing)? else {
            return Ok(None);
        };
        let changes = match until {
            Some(until) if !open.document.holds(until) => None,
            Some(until) => open.document.changes_between(since, until).ok(),
            None => open.document.changes_since(since).ok(),
        };
        self.keep_document(key.clone(), field, open)?;
        Ok(changes)
    }

    /// The version of the base text's part, if nothing in the row can be lost any more.
    fn safe_base(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        merged: &Merged,
    ) -> Result<Version, S::Error> {
        let Some(base) = &merged.base else { return Ok(Version::default()) };
        if !self.node.safe.covers(&base.known()) {
            return Ok(Version::default());
        }
        Ok(part_version(&self.store.base_text(key, field)?, births))
    }

    /// Everything in the document that may not be held by enough regions, for an op that names
    /// these births. If that is more than `limit` bytes, what the base text lacks: such a document
    /// leans on the region that it was read from.
    pub fn changes_to_send(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        open: &mut Open,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, S::Error> {
        let mark = self.store.text_mark(key, field)?.filter(|m| m.births == births);
        if let Some(mark) = mark.and_then(|m| Version::from_bytes(&m.version).ok()) {
            open.safe.1.join(&mark);
        }
        let Ok(changes) = open.document.changes_since(&open.safe.1) else { return Ok(None) };
        if changes.len() <= limit {
            return Ok(Some(changes));
        }
        let base = part_version(&self.store.base_text(key, field)?, births);
        Ok(open.document.changes_since(&base).ok())
    }

    /// Put a document back that was edited, once its ops are in the store.
    pub fn keep_document(
        &mut self,
        key: EntityKey,
        field: FieldId,
        mut open: Open,
    ) -> Result<(), S::Error> {
        let base = self.store.base_text(&key, field)?;
        let (merged, standing) = self.reader.read(self.store, &key)?;
        let standing = super::view::standing_births(&merged.entity, &standing);
        open.made_of = Shape::of(&base, merged, field, &standing);
        open.used = open.document.version().changes_by(open.author);
        self.node.documents.keep((key, field), open);
        Ok(())
    }

    /// An own op became durable: what its blobs lead to is held by enough regions.
    pub fn mark_texts(&mut self, own: &OwnOp) -> Result<(), S::Error> {
        let op = &own.sealed.op;
        for change in op.changes() {
            let Change::Text(text) = &change.change else { continue };
            let Ok((_, mut version)) = Version::span(&text.update) else { continue };
            let mark = self.store.text_mark(&op.key, change.field)?;
            let same = mark.filter(|m| m.births == op.births);
            if let Some(known) = same.and_then(|m| Version::from_bytes(&m.version).ok()) {
                version.join(&known);
            }
            let mark = TextMark { births: op.births.clone(), version: version.to_bytes() };
            self.store.put_text_mark(&op.key, change.field, Some(&mark))?;
        }
        Ok(())
    }

    /// A region showed that it holds all of `vector`. What other regions wrote is then held by
    /// two; what it wrote itself perhaps by it alone.
    pub fn note_held(&mut self, vector: &Vector) {
        let Some(session) = &mut self.node.session else { return };
        session.vector.join(vector);
        let (region, copies) = (session.region, session.copies);
        let ended = |o: &Origin| session.cuts.contains_key(o);
        let held =
            |o: &Origin| copies <= 1 || (copies == 2 && Some(o.region) != region && !ended(o));
        let safe: Vec<(Origin, u64)> = vector.iter().filter(|(o, _)| held(o)).collect();
        safe.into_iter().for_each(|(o, s)| self.node.safe.advance(o, s));
    }
}

fn part_version(text: &Text, births: &[Dot]) -> Version {
    let mut part = Text::default();
    if let Some((births, found)) = text.parts().find(|(b, _)| *b == births) {
        part.insert_part(births.to_vec(), found.clone());
    }
    part.open(|_| true).map(|d| d.version()).unwrap_or_default()
}
