//! Bringing a deleted entity back.
//!
//! A delete kills births, and what hung on them is gone from the merged state for good: that is what
//! makes deletions converge. So a device keeps, for the last deletions that it made or was told of,
//! what the entity and everything below it showed ([`Deletion`]). A restore is an ordinary
//! transaction that creates them anew from that: the regions judge it, and others see it, like any
//! other write.
//!
//! Two devices that restore at the same time make two births of one entity. Registers and sets come
//! out as they were. Texts do, too: what is written is the old document with its history, which is
//! the same history on both sides. A count is carried along under the birth that it was counted on
//! ([`landfall_model::entity`]), which makes it one count, whoever carries it: two restores of one
//! deletion show it once, and so does a restore of a row whose deletion is refused later. It is not
//! the deletion that names a count, for two may delete a row at once, having seen different births
//! of it. A row that is brought back again and again carries the counts of many births; those of
//! the eldest are then summed up under one of them ([`limits::CARRIED_BIRTHS_MAX`]). Two devices that
//! do so, having seen different births, show the difference twice.
//!
//! What is kept goes with the row: an evicted row, a scope that was let go or taken away, leave
//! nothing to restore. To a device that sees a row by an audience alone, a deletion by others is
//! told as a leave, and nothing is kept of it.

use super::call::Call;
use super::check::{Splice, Wanted, WantedFields};
use super::install::Row;
use super::node::Receipt;
use super::refused::{Problem, WriteError};
use super::store::{Deletion, Document, LastValues, ParentName, Store};
use super::view::{Merged, PARENTS_MAX};
use super::write::{Draft, Target};
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::codec;
use landfall_model::entity::{Counts, UnderParent};
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::Parent;
use landfall_model::text::Version;
use std::collections::{BTreeMap, BTreeSet};

type Written<T, E> = Result<T, WriteError<E>>;

impl<S: Store> Call<'_, S> {
    /// Create a deleted entity and what fell with it anew. Nothing is written if it is there.
    pub fn restore(&mut self, key: &EntityKey) -> Written<Receipt, S::Error> {
        let there = self.reader.exists(self.store, key)?;
        let fell = self.reader.merged(self.store, key)?.entity.living().next().is_some();
        let deletion = if there { None } else { self.store.deletion(key)? };
        let mut draft = Draft::new(self);
        match deletion {
            Some(deletion) => {
                for row in deletion.rows {
                    draft.restore(row)?;
                }
            }
            None if there => {}
            // It is whole, and comes back with what it stands under.
            None if fell => return draft.refuse((None, Problem::UnknownParent)),
            None => return draft.refuse((None, Problem::NoLastValues)),
        }
        let receipt = draft.commit()?;
        self.store.put_deletion(key, None)?;
        Ok(receipt)
    }

    /// What an entity and everything below it show, parents before their children.
    pub fn last_values(&mut self, key: &EntityKey) -> Result<Deletion, S::Error> {
        let mut deletion = Deletion { seen_ms: self.server_now(), ..Deletion::default() };
        let mut level = BTreeSet::from([key.clone()]);
        for _ in 0..PARENTS_MAX {
            let mut below = BTreeSet::new();
            for key in level {
                if let Some(values) = self.values_of(&key)? {
                    below.extend(self.store.children(&key)?);
                    deletion.rows.push(values);
                }
            }
            level = below;
        }
        Ok(deletion)
    }

    /// `None` if it is not there.
    fn values_of(&mut self, key: &EntityKey) -> Result<Option<LastValues>, S::Error> {
        let view = self.reader.view(self.store, key, &mut self.node.documents)?;
        let Some(mut view) = view else { return Ok(None) };
        let parent = self.reader.merged(self.store, key)?.entity.parent();
        let parent = parent.map(|p| ParentName { kind: p.kind, id: p.id.clone() });
        let mut documents = BTreeMap::new();
        let fields: Vec<FieldId> = view.texts.keys().copied().collect();
        for field in fields {
            let history = self.text_changes(key, field, &Version::default(), None)?;
            if let Some(history) = history {
                view.texts.remove(&field);
                documents.insert(field, Document(history));
            }
        }
        let (merged, standing) = self.reader.read(self.store, key)?;
        let counted = |f: &FieldId| gathered(merged.entity.counts(*f, &standing));
        let counts = view.counters.keys().map(|f| (*f, counted(f)));
        let counts = counts.filter(|(_, counts)| !counts.is_empty()).collect();
        let (registers, sets, counters) = (view.registers, view.sets, BTreeMap::new());
        let (key, texts) = (key.clone(), view.texts);
        Ok(Some(LastValues { key, parent, registers, sets, counters, documents, texts, counts }))
    }

    /// Keep what a deletion took, if it is not too much.
    pub fn keep_deletion(&mut self, key: &EntityKey, deletion: &Deletion) -> Result<(), S::Error> {
        let bytes = codec::to_bytes(deletion).len();
        let fits = bytes <= limits::DELETION_BYTES_MAX
            && deletion.rows.len() <= limits::TRANSACTION_OPS_MAX;
        self.store.put_deletion(key, fits.then_some(deletion))?;
        self.store.trim_deletions(limits::DELETIONS_KEPT, limits::DELETIONS_BYTES_KEPT)
    }

    /// What a row from a region is about to take away: `None` unless it says that the entity is
    /// deleted, and it shows here.
    pub fn about_to_fall(
        &mut self,
        row: &Row,
        before: &Merged,
        stood: &UnderParent,
    ) -> Result<Option<Deletion>, S::Error> {
        let dead = |birth: Dot| row.entity.is_dead(birth);
        if !before.entity.exists(stood) || !before.entity.living().all(dead) {
            return Ok(None);
        }
        self.last_values(&row.key).map(Some)
    }
}

impl<S: Store> Draft<'_, '_, S> {
    /// Draft one row's create from what it showed last.
    fn restore(&mut self, row: LastValues) -> Written<(), S::Error> {
        let kind = self.kind(row.key.kind)?;
        if self.call.reader.exists(self.call.store, &row.key)? {
            return Ok(());
        }
        let parent = match &row.parent {
            None => None,
            Some(name) => {
                let above = EntityKey::new(row.key.home.clone(), name.kind, name.id.clone());
                let (merged, standing) = self.call.reader.read(self.call.store, &above)?;
                if !merged.entity.exists(&standing) {
                    return self.refuse((None, Problem::UnknownParent));
                }
                let births: Vec<Dot> = merged.entity.living().collect();
                Some(Parent { kind: name.kind, id: name.id.clone(), births })
            }
        };
        let key = row.key.clone();
        self.change(&kind, key, Target::Create(parent), wanted(row))
    }
}

/// Counts without those of zero, and not of too many births.
fn gathered(mut counts: Counts) -> Counts {
    counts.retain(|_, n| *n != 0);
    while counts.len() > limits::CARRIED_BIRTHS_MAX
        && let Some((_, n)) = counts.pop_first()
        && let Some(mut next) = counts.first_entry()
    {
        *next.get_mut() = next.get().wrapping_add(n);
    }
    counts
}

fn wanted(row: LastValues) -> WantedFields {
    let mut all = WantedFields::new();
    all.extend(row.registers.into_iter().map(|(f, value)| (f, Wanted::Put(value))));
    all.extend(row.sets.into_iter().map(|(f, elements)| {
        let add = elements.into_iter().collect();
        (f, Wanted::Set { add, remove: BTreeSet::new() })
    }));
    all.extend(row.counters.into_iter().map(|(f, n)| (f, Wanted::Increment(n))));
    all.extend(row.counts.into_iter().map(|(f, counts)| (f, restored(counts))));
    all.extend(row.documents.into_iter().map(|(f, Document(all))| (f, Wanted::Blob(all))));
    all.extend(
        row.texts
            .into_iter()
            .map(|(f, insert)| (f, Wanted::Splices(vec![Splice::At { at: 0, delete: 0, insert }]))),
    );
    all
}

fn restored(counts: Counts) -> Wanted {
    if mutant::active(Mutant::RestoreCountsAnew) {
        return Wanted::Increment(counts.values().sum());
    }
    Wanted::Carried(counts)
}
