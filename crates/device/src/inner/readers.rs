//! Who reads a shared scope: kept in its file, as one fact.
//!
//! An account is known there by a hash of its name; nothing else of it is in the file. The file holds
//! the scope for as long as one of them wants it and may see it, and as much of it as the one that
//! wants the most. Each change is one transaction with what follows from it: the file subscribes,
//! or holds more or less, or lets go of the rows. After a crash it is as before or as after.

use crate::store::{self, Transaction};
use landfall_sync::device::node::{Node, Output};
use landfall_sync::device::store::{Store, Terms};

/// A hash of tenant and subject.
pub(crate) type ReaderId = [u8; 16];

/// Where they are kept.
const FACT: &str = "readers";

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reader {
    pub id: ReaderId,
    /// How much of the scope it asked for; `None`: it did not, or not any more.
    pub wants: Option<Terms>,
    /// A region's word, with its code, that it may not see the scope.
    pub refused: Option<String>,
}

/// All accounts that the file knows of.
#[derive(Debug, Default)]
pub(super) struct Readers(Vec<Reader>);

/// Of terms: window, priority, rows and bytes.
type KeptTerms = (Option<u64>, u8, Option<u64>, Option<u64>);
type Kept = Vec<(ReaderId, Option<KeptTerms>, Option<String>)>;

impl Readers {
    pub fn read(t: &Transaction<'_>) -> Result<Self, store::Error> {
        let Some(bytes) = t.fact(FACT)? else { return Ok(Self::default()) };
        let kept: Kept =
            minicbor::decode(&bytes).map_err(|e| store::Error::Damaged(e.to_string()))?;
        let terms = |(keep_ms, priority, rows_max, bytes_max)| Terms {
            keep_ms,
            priority,
            rows_max,
            bytes_max,
            ttl_ms: None,
        };
        let reader = |(id, wants, refused): (_, Option<KeptTerms>, _)| Reader {
            id,
            wants: wants.map(terms),
            refused,
        };
        Ok(Self(kept.into_iter().map(reader).collect()))
    }

    /// An account's entry; empty for one that is not known.
    pub fn of(&self, id: ReaderId) -> Reader {
        let known = self.0.iter().find(|r| r.id == id).cloned();
        known.unwrap_or(Reader { id, ..Reader::default() })
    }

    pub fn put(&mut self, reader: Reader) {
        self.remove(reader.id);
        self.0.push(reader);
    }

    pub fn remove(&mut self, id: ReaderId) {
        self.0.retain(|r| r.id != id);
    }

    /// What the file is to hold for all who want it and may see it; `None`: nothing.
    fn wanted(&self) -> Option<Terms> {
        let wants = self.0.iter().filter(|r| r.refused.is_none()).filter_map(|r| r.wants);
        wants.reduce(widest)
    }

    /// Keep them, and have the file hold what follows.
    pub fn keep(
        &self,
        t: &mut Transaction<'_>,
        node: &mut Node,
        scope: &str,
        now_ms: i64,
    ) -> Result<Output, store::Error> {
        let terms = |t: Terms| (t.keep_ms, t.priority, t.rows_max, t.bytes_max);
        let reader = |r: &Reader| (r.id, r.wants.map(terms), r.refused.clone());
        let kept: Kept = self.0.iter().map(reader).collect();
        let bytes = minicbor::to_vec(&kept).expect("a vector takes what is written to it");
        t.put_fact(FACT, &bytes)?;
        let held = t.subscription(scope)?;
        match (self.wanted(), held) {
            (Some(terms), Some(held)) if held.terms == terms => Ok(Output::default()),
            (Some(terms), _) => node.subscribe_with(t, scope, terms, now_ms),
            (None, Some(_)) => node.unsubscribe(t, scope),
            (None, None) => Ok(Output::default()),
        }
    }
}

/// Terms that hold all that either of two holds.
fn widest(a: Terms, b: Terms) -> Terms {
    let most = |a: Option<u64>, b: Option<u64>| Some(a?.max(b?));
    Terms {
        keep_ms: most(a.keep_ms, b.keep_ms),
        priority: a.priority.max(b.priority),
        rows_max: most(a.rows_max, b.rows_max),
        bytes_max: most(a.bytes_max, b.bytes_max),
        ttl_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_the_one_wants_that_wants_the_most() {
        let month = Terms { keep_ms: Some(30), priority: 1, ..Terms::default() };
        let few = Terms { keep_ms: Some(60), rows_max: Some(5), ..Terms::default() };
        let reader = |n, wants, refused: Option<&str>| Reader {
            id: [n; 16],
            wants,
            refused: refused.map(str::to_owned),
        };
        let check = |readers: &[Reader], wanted: Option<Terms>| {
            assert_eq!(Readers(readers.to_vec()).wanted(), wanted, "{readers:?}");
        };
        check(&[], None);
        check(&[reader(1, None, None)], None);
        check(&[reader(1, Some(month), None), reader(2, None, None)], Some(month));
        let both = Terms { keep_ms: Some(60), priority: 1, ..Terms::default() };
        check(&[reader(1, Some(month), None), reader(2, Some(few), None)], Some(both));
        let all = Some(Terms::default());
        check(&[reader(1, Some(few), None), reader(2, all, None)], all);
        // Who may not see it counts for nothing.
        check(&[reader(1, Some(few), None), reader(2, all, Some("not_allowed"))], Some(few));
        check(&[reader(2, all, Some("not_allowed"))], None);
    }
}
