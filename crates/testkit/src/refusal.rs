//! Refusals by the test's wish, as a region with rules of its own would make them.
//!
//! A refusal is put into the region's store under the write's dot before the region decides about
//! the push. From there on everything is production: the region finds that it has refused this op
//! before and answers so, as often as it is asked; the device takes the write off the rows, keeps it
//! as an outcome, and voids its number.

use crate::error::{Error, code};
use landfall_device::Schema;
use landfall_model::id::{Dot, FieldId, TypeId};
use landfall_model::op::{Fingerprint, Op, Sealed};
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::store::{self, Store};
use landfall_sync::wire;

/// Words that mean "not like this, or not yet": a device mends such a write and sends it again, so
/// they are no refusals that an app ever sees.
const NOT_FINAL: &[&str] = &["clock_ahead", "incomplete_transaction", "depends_on_refused"];

/// Why a region refuses a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    word: String,
    field: Option<String>,
    detail: String,
}

impl Refusal {
    /// A refusal with the region's word for it: one of those that regions give (`not_allowed`,
    /// `expired`, ...), or one of the app's own backend, which the app then finds in
    /// [`Fate::Rejected`](landfall_device::Fate::Rejected) as `reason`, with the code LF4000.
    pub fn new(word: impl Into<String>) -> Self {
        Self { word: word.into(), field: None, detail: String::new() }
    }

    /// The field that is to blame.
    pub fn field(mut self, name: impl Into<String>) -> Self {
        self.field = Some(name.into());
        self
    }

    /// For people.
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = text.into();
        self
    }
}

/// Which writes are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Writes to entities of this type.
    Type(String),
    /// Writes to the entity of this type and id.
    Entity(String, String),
    /// This write.
    Write(Dot),
}

impl From<&str> for Which {
    fn from(kind: &str) -> Self {
        Self::Type(kind.to_owned())
    }
}

impl From<(&str, &str)> for Which {
    fn from((kind, id): (&str, &str)) -> Self {
        Self::Entity(kind.to_owned(), id.to_owned())
    }
}

impl From<Dot> for Which {
    fn from(dot: Dot) -> Self {
        Self::Write(dot)
    }
}

/// A refusal that waits for its write.
#[derive(Debug)]
pub(crate) struct Rule {
    dot: Option<Dot>,
    kind: Option<TypeId>,
    id: Option<String>,
    word: String,
    field: Option<FieldId>,
    detail: String,
}

impl Rule {
    /// Fails if the schema does not have the names.
    pub fn new(schema: &Schema, which: Which, refusal: Refusal) -> Result<Self, Error> {
        let Refusal { word, field, detail } = refusal;
        if NOT_FINAL.contains(&word.as_str()) {
            let message = "A region does not refuse a write for good with this word: the device \
                           would send it again. Take another one.";
            return Err(Error::new(code::NO_REFUSAL, message));
        }
        let (dot, kind, id) = match which {
            Which::Write(dot) => (Some(dot), None, None),
            Which::Type(name) => (None, Some(name), None),
            Which::Entity(name, id) => (None, Some(name), Some(id)),
        };
        let kind = kind.map(|name| schema.entity_named(&name).ok_or_else(unknown_type));
        let kind = kind.transpose()?;
        let field = match field {
            None => None,
            Some(name) => Some(field_named(schema, kind.map(|k| k.id), &name)?),
        };
        Ok(Self { dot, kind: kind.map(|k| k.id), id, word, field, detail })
    }

    fn means(&self, op: &Op) -> bool {
        self.dot.is_none_or(|dot| dot == op.dot)
            && self.kind.is_none_or(|kind| kind == op.key.kind)
            && self.id.as_ref().is_none_or(|id| **id == *op.key.id)
    }
}

pub(crate) fn unknown_type() -> Error {
    Error::new(code::UNKNOWN_NAME, "The schema has no entity type of this name.")
}

/// Of the type if it is known, else of any: a dot does not say what it wrote to.
fn field_named(schema: &Schema, kind: Option<TypeId>, name: &str) -> Result<FieldId, Error> {
    let mut kinds = schema.types.values().filter(|t| kind.is_none_or(|k| k == t.id));
    let found = kinds.find_map(|t| t.field_named(name));
    let unknown = || Error::new(code::UNKNOWN_NAME, "The schema has no field of this name there.");
    found.map(|f| f.id).ok_or_else(unknown)
}

/// Note what the rules say about the writes of a push. A transaction is refused as a whole, so it
/// uses up one rule.
pub(crate) fn note(rules: &mut Vec<Rule>, store: &mut MemoryStore, push: &wire::Push) {
    for transaction in &push.transactions {
        let ops: Result<Vec<Sealed>, _> =
            transaction.ops.iter().map(|bytes| Sealed::decode(bytes)).collect();
        // What cannot be read, the region answers for.
        let Ok(ops) = ops else { continue };
        let fresh = ops.iter().filter(|o| !o.op.is_void() && !is_decided(store, o));
        let met = fresh.filter_map(|o| Some((rules.iter().position(|r| r.means(&o.op))?, o)));
        if let Some((at, sealed)) = met.into_iter().next() {
            let Rule { word, field, detail, .. } = rules.remove(at);
            let dot = sealed.op.dot;
            let refusal = store::Refusal { code: word, seq: dot.seq, field, detail };
            let put = store.put_refusal(dot, sealed.fingerprint, &refusal);
            put.expect("a store in memory does not fail");
        }
    }
}

fn is_decided(store: &mut MemoryStore, sealed: &Sealed) -> bool {
    let (dot, failed) = (sealed.op.dot, "a store in memory does not fail");
    let this = |(of, _): &(Fingerprint, _)| *of == sealed.fingerprint;
    store.device(dot.device).expect(failed).received.contains(dot.seq)
        || store.refusals(dot).expect(failed).iter().any(this)
}
