//! Documents under edit, and how much of their history an op must carry.
//!
//! An op carries all changes since the last version that enough regions are known to hold, so that
//! it can be read wherever it arrives, whatever else was lost. That version is learnt in two ways:
//! an own op that became durable brought everything up to its end into enough regions
//! ([`TextMark`]); and a row all of whose positions are durable has nothing in its base text that
//! could be lost.
//!
//! Opening a document is dear, so a few stay open, those being edited and those being shown. An open
//! one is used again only while the store holds what it was made of, which the store tells without
//! reading the text ([`super::store::Store::text_print`]). It follows the rows that only add to it
//! ([`Call::follow`]); after anything else it is opened anew. Its author id is kept through that if
//! the document still has all edits made under it; otherwise a new one is drawn, so that no two
//! edits share a name.

use super::call::Call;
use super::store::{OwnOp, Store, TextMark};
use super::view::Merged;
use landfall_model::hash::hash64;
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::Change;
use landfall_model::stamp::Hlc;
use landfall_model::text::{Document, Text, Version, check_update};
use landfall_model::vector::{Origin, Vector};
use std::collections::{BTreeMap, BTreeSet};

/// Documents that stay open.
const OPEN_MAX: usize = 16;

/// Open documents and the source of author ids. Volatile.
#[derive(Debug)]
pub(super) struct Documents {
    open: BTreeMap<At, Open>,
    /// Drawn when the file was opened.
    seed: u64,
    drawn: u64,
    opened: u64,
}

/// Names a document: its entity and field.
type At = (EntityKey, FieldId);

#[derive(Debug)]
pub(super) struct Open {
    pub document: Document,
    author: u64,
    /// How many changes were made under the author id.
    used: i32,
    made_of: Shape,
    /// What the base text has of it, in the part of the births below.
    base: Version,
    /// Held by enough regions, in the part of these births.
    pub safe: (Vec<Dot>, Version),
    opened: u64,
}

/// What a document is made of: tells whether the store still holds that, without its bytes.
#[derive(Debug, PartialEq, Default)]
struct Shape {
    standing: BTreeSet<Dot>,
    /// The base text's print.
    base: Option<u64>,
    overlay: Vec<(Dot, Hlc)>,
}

/// What came to a base text: blobs with their births. `None` if it is not merely added to.
pub(super) type Growth = Option<Vec<(Vec<Dot>, Vec<u8>)>>;

impl Documents {
    pub fn new(seed: u64) -> Self {
        Self { open: BTreeMap::new(), seed, drawn: 0, opened: 0 }
    }

    /// Forget all. Edits from here on have new author ids: a refusal ended the old ones.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// What was held by enough regions may have been lost with some of them.
    pub fn doubt(&mut self) {
        self.open.values_mut().for_each(|open| open.safe.1 = Version::default());
    }

    pub fn author(&mut self, key: &EntityKey, field: FieldId) -> u64 {
        self.drawn += 1;
        let bytes = landfall_model::codec::to_bytes(&(self.seed, self.drawn, key, field));
        hash64(&bytes)
    }

    /// The text that shows; `None` if there is none, or none that can be read.
    pub fn value<S: Store>(
        &mut self,
        store: &mut S,
        merged: &Merged,
        at: At,
        standing: &BTreeSet<Dot>,
    ) -> Result<Option<String>, S::Error> {
        let shape = Shape::of(store, merged, &at, standing)?;
        if shape.base.is_none() && shape.overlay.is_empty() {
            return Ok(None);
        }
        let births: Vec<Dot> = merged.entity.living().collect();
        let Some(open) = self.take(store, merged, &at, &births, shape)? else { return Ok(None) };
        let value = open.document.value();
        self.keep(at, open);
        Ok(Some(value))
    }

    /// A document as the store has it; `None` if what is stored cannot be read. It is the caller's
    /// until [`Self::keep`].
    fn take<S: Store>(
        &mut self,
        store: &mut S,
        merged: &Merged,
        at: &At,
        births: &[Dot],
        made_of: Shape,
    ) -> Result<Option<Open>, S::Error> {
        let cached = self.open.remove(at);
        if let Some(open) = &cached
            && open.made_of == made_of
            && open.safe.0 == births
        {
            return Ok(cached);
        }
        let text = store.base_text(&at.0, at.1)?;
        let stands = |b: &Dot| made_of.standing.contains(b);
        let Ok(document) = text.open(|b| stands(&b)) else { return Ok(None) };
        let alone = text.parts().all(|(b, _)| b == births || !b.iter().any(stands));
        let base = if alone { document.version() } else { part_version(&text, births) };
        for own in merged.overlay().filter(|o| o.sealed.op.births.iter().any(stands)) {
            for blob in blobs(own, at.1) {
                if document.import(blob).is_err() {
                    return Ok(None);
                }
            }
        }
        let complete = |o: &Open| document.version().changes_by(o.author) >= o.used;
        let (author, used) = match cached.filter(complete) {
            Some(open) => (open.author, open.used),
            None => (self.author(&at.0, at.1), 0),
        };
        document.set_author(author);
        let safe = (births.to_vec(), Version::default());
        Ok(Some(Open { document, author, used, made_of, base, safe, opened: 0 }))
    }

    fn keep(&mut self, at: At, mut open: Open) {
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
    fn of<S: Store>(
        store: &mut S,
        merged: &Merged,
        (key, field): &At,
        standing: &BTreeSet<Dot>,
    ) -> Result<Self, S::Error> {
        let writes = |own: &&OwnOp| blobs(own, *field).next().is_some();
        let name = |own: &OwnOp| (own.sealed.op.dot, own.sealed.op.hlc);
        Ok(Self {
            standing: standing.clone(),
            base: store.text_print(key, *field)?,
            overlay: merged.overlay().filter(writes).map(name).collect(),
        })
    }

    /// True if this is what the other became when these own ops went from its overlay into its
    /// base text, whatever else came to that.
    fn follows(&self, before: &Self, landed: &[OwnOp]) -> bool {
        let landed = |dot: Dot| landed.iter().any(|own| own.sealed.op.dot == dot);
        let left = before.overlay.iter().filter(|(dot, _)| !landed(*dot));
        self.standing == before.standing && left.eq(&self.overlay)
    }
}

/// What an op writes into a text.
fn blobs(own: &OwnOp, field: FieldId) -> impl Iterator<Item = &[u8]> {
    own.sealed.op.changes().iter().filter(move |c| c.field == field).filter_map(|c| {
        match &c.change {
            Change::Text(text) => Some(text.update.as_slice()),
            _ => None,
        }
    })
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
        let at = (key.clone(), field);
        let merged = self.reader.merged(self.store, key)?;
        let shape = Shape::of(self.store, merged, &at, standing)?;
        self.node.documents.take(self.store, merged, &at, births, shape)
    }

    /// Fields of an entity whose documents are open as the store has them.
    pub fn open_texts(
        &mut self,
        key: &EntityKey,
        merged: &Merged,
        standing: &BTreeSet<Dot>,
    ) -> Result<BTreeSet<FieldId>, S::Error> {
        let mut current = BTreeSet::new();
        let all = (key.clone(), FieldId(0))..=(key.clone(), FieldId(u32::MAX));
        for (at, open) in self.node.documents.open.range(all) {
            if open.made_of == Shape::of(self.store, merged, at, standing)? {
                current.insert(at.1);
            }
        }
        Ok(current)
    }

    /// A row came, and base texts grew: take what is new into the documents that were open as the
    /// store had them before. `landed` are the own ops that went from overlay to base.
    pub fn follow(
        &mut self,
        key: &EntityKey,
        grown: Vec<(FieldId, Growth)>,
        landed: &[OwnOp],
    ) -> Result<(), S::Error> {
        for (field, growth) in grown {
            let at = (key.clone(), field);
            let Some(growth) = growth else { continue };
            let (merged, standing) = self.reader.read(self.store, key)?;
            let standing = super::view::standing_births(&merged.entity, &standing);
            let now = Shape::of(self.store, merged, &at, &standing)?;
            let Some(mut open) = self.node.documents.open.remove(&at) else { continue };
            if now.follows(&open.made_of, landed) && open.grow(&growth, landed, field, &standing) {
                open.made_of = now;
                self.node.documents.keep(at, open);
            }
        }
        Ok(())
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

    /// What is known to be held by enough regions: what own durable ops led to, and the base text
    /// if nothing in its row can be lost any more.
    fn note_safe(&mut self, at: &At, open: &mut Open) -> Result<(), S::Error> {
        let mark = self.store.text_mark(&at.0, at.1)?.filter(|m| m.births == open.safe.0);
        if let Some(mark) = mark.and_then(|m| Version::from_bytes(&m.version).ok()) {
            open.safe.1.join(&mark);
        }
        let base = &self.reader.merged(self.store, &at.0)?.base;
        if base.as_ref().is_some_and(|base| self.node.safe.covers(&base.known())) {
            open.safe.1.join(&open.base);
        }
        Ok(())
    }

    /// Everything in the document that may not be held by enough regions, for an op that names
    /// its births. If that is more than `limit` bytes, or than an op may claim, what the base text
    /// lacks: such a document leans on the region that it was read from.
    pub fn changes_to_send(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        open: &mut Open,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, S::Error> {
        self.note_safe(&(key.clone(), field), open)?;
        let Ok(changes) = open.document.changes_since(&open.safe.1) else { return Ok(None) };
        if changes.len() <= limit && check_update(&changes).is_ok() {
            return Ok(Some(changes));
        }
        Ok(open.document.changes_since(&open.base).ok())
    }

    /// Put a document back that was edited, once its ops are in the store.
    pub fn keep_document(
        &mut self,
        key: EntityKey,
        field: FieldId,
        mut open: Open,
    ) -> Result<(), S::Error> {
        let at = (key, field);
        let (merged, standing) = self.reader.read(self.store, &at.0)?;
        let standing = super::view::standing_births(&merged.entity, &standing);
        if super::local::is_local(&at.0) {
            // Its edits are in the base text at once.
            open.base = open.document.version();
        }
        open.made_of = Shape::of(self.store, merged, &at, &standing)?;
        open.used = open.document.version().changes_by(open.author);
        self.node.documents.keep(at, open);
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

impl Open {
    /// Take in what came to the base text. False if that cannot be done: it must be opened anew.
    fn grow(
        &mut self,
        growth: &[(Vec<Dot>, Vec<u8>)],
        landed: &[OwnOp],
        field: FieldId,
        standing: &BTreeSet<Dot>,
    ) -> bool {
        for (births, blob) in growth.iter().filter(|(b, _)| b.iter().any(|b| standing.contains(b)))
        {
            let Ok((_, end)) = Version::span(blob) else { return false };
            // Most of it was written here, or came before in another piece.
            if !self.document.holds(&end) && !matches!(self.document.import(blob), Ok(true)) {
                return false;
            }
            if *births == self.safe.0 {
                self.base.join(&end);
            }
        }
        for own in landed.iter().filter(|own| own.sealed.op.births == self.safe.0) {
            for blob in blobs(own, field) {
                let Ok((_, end)) = Version::span(blob) else { return false };
                self.base.join(&end);
            }
        }
        true
    }
}

fn part_version(text: &Text, births: &[Dot]) -> Version {
    let mut part = Text::default();
    if let Some((births, found)) = text.parts().find(|(b, _)| *b == births) {
        part.insert_part(births.to_vec(), found.clone());
    }
    part.open(|_| true).map(|d| d.version()).unwrap_or_default()
}
