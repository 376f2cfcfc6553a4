//! Rows for devices: what of a scope a reader at some vector lacks.
//!
//! A body is encoded once per (scope, change) and shared by everybody who reads that scope; what
//! differs per device (its received numbers) travels beside it, read in the same snapshot.

use super::Core;
use super::merge::PARENTS_MAX;
use super::node::Report;
use super::store::{Record, Store};
use crate::{convert, limits, mutant, wire};
use landfall_model::codec;
use landfall_model::entity::UnderParent;
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::schema::{EntityType, Merge};
use landfall_model::vector::Vector;
use prost::Message;
use std::collections::BTreeSet;

/// Entities read at a time for who has nothing of a scope.
const ENTRIES_PER_READ: usize = 128;

/// Rows of one scope on their way into a frame.
#[derive(Debug, Default)]
pub(super) struct Rows {
    body: wire::Body,
    masks: Vec<BTreeSet<FieldId>>,
    bytes: usize,
    too_large: Vec<EntityKey>,
}

/// What a reader is given of an entity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want<'a> {
    pub scope: &'a str,
    /// It has all of this.
    pub since: &'a Vector,
    /// It has nothing, and need not hear of what is gone.
    pub fresh: bool,
    /// It keeps nothing that is older, in milliseconds since 1970.
    pub floor_ms: Option<i64>,
}

impl<'a> Want<'a> {
    /// Everything that changed, whatever its age.
    pub fn since(scope: &'a str, since: &'a Vector) -> Self {
        Self { scope, since, fresh: false, floor_ms: None }
    }
}

/// One stretch of a pass.
#[derive(Debug)]
pub(super) struct Stretch {
    pub rows: Rows,
    pub last: Option<EntityKey>,
    pub done: bool,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.body.rows.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows that fit no frame and were left out.
    pub fn take_too_large(&mut self) -> impl Iterator<Item = Report> {
        std::mem::take(&mut self.too_large).into_iter().map(|key| Report::RowTooLarge { key })
    }

    pub fn encode(self) -> Vec<u8> {
        let masks =
            self.masks.iter().map(|m| wire::Mask { shown: m.iter().map(|f| f.0).collect() });
        wire::Body { masks: masks.collect(), ..self.body }.encode_to_vec()
    }

    fn mask(&mut self, shown: BTreeSet<FieldId>) -> u32 {
        let at = self.masks.iter().position(|m| *m == shown).unwrap_or_else(|| {
            self.masks.push(shown);
            self.masks.len() - 1
        });
        at as u32 + 1
    }
}

impl Core {
    /// The next rows of a pass: entities of the scope above what the reader has, in key order after
    /// `after`, until they are this many bytes.
    pub(super) fn stretch<S: Store>(
        &self,
        store: &mut S,
        want: Want<'_>,
        after: Option<&EntityKey>,
        bytes: usize,
    ) -> Result<Stretch, S::Error> {
        let most = mutant::chunk_rows();
        let mut stretch = Stretch { rows: Rows::default(), last: after.cloned(), done: false };
        let mut taken = 0;
        loop {
            // Who has nothing has the scope read in order, a few at a time; what changed above a
            // cursor is found all at once.
            let fresh = want.since.is_empty();
            let limit = if fresh { ENTRIES_PER_READ.min(most - taken) } else { most };
            let after = stretch.last.clone();
            let page = match fresh {
                true => store.entries(want.scope, after.as_ref(), limit)?,
                false => {
                    let keys = store.changed(want.scope, want.since, after.as_ref(), limit)?;
                    keys.into_iter().map(|key| (key, None)).collect()
                }
            };
            let (count, before) = (page.len(), taken);
            for (key, record) in page {
                let record = if fresh { record } else { store.entity(&key)? };
                if let Some(record) = record {
                    self.add_record(store, want, &key, record, &mut stretch.rows)?;
                }
                stretch.last = Some(key);
                taken += 1;
                if stretch.rows.bytes() >= bytes {
                    break;
                }
            }
            stretch.done = count < limit && taken - before == count;
            if stretch.done || taken == most || stretch.rows.bytes() >= bytes {
                return Ok(stretch);
            }
        }
    }

    /// Add an entity's row as the scope sees it. False if the region does not know the entity.
    pub(super) fn add_row<S: Store>(
        &self,
        store: &mut S,
        want: Want<'_>,
        key: &EntityKey,
        rows: &mut Rows,
    ) -> Result<bool, S::Error> {
        let Some(record) = store.entity(key)? else { return Ok(false) };
        self.add_record(store, want, key, record, rows)?;
        Ok(true)
    }

    fn add_record<S: Store>(
        &self,
        store: &mut S,
        want: Want<'_>,
        key: &EntityKey,
        record: Record,
        rows: &mut Rows,
    ) -> Result<(), S::Error> {
        let touch = Some(convert::wire_vector(&record.touch));
        let mut row = wire::Row { key: Some(convert::wire_key(key)), touch, ..Default::default() };
        row.left = !record.scopes.contains(want.scope);
        row.outside = !row.left && self.is_outside(store, want.floor_ms, key, &record)?;
        if row.left || row.outside {
            if want.fresh {
                return Ok(());
            }
        } else {
            let under = self.under_parent(store, key, &record.entity, 0)?;
            if want.fresh
                && !record.entity.exists(&under)
                && !self.tells_deleted(key, &record)
                && !self.has_text(store, key)?
            {
                return Ok(());
            }
            self.fill(store, want, key, record, rows, &mut row)?;
        }
        let bytes = row.encoded_len();
        if bytes > limits::ROW_BYTES_MAX {
            rows.too_large.push(key.clone());
            return Ok(());
        }
        rows.bytes += bytes;
        rows.body.rows.push(row);
        Ok(())
    }

    /// Who begins hears of a deleted entity, too, where rows that refer to it show that.
    fn tells_deleted(&self, key: &EntityKey, record: &Record) -> bool {
        record.entity.is_deleted() && self.schema.set_null_targets().contains(&key.kind)
    }

    /// There is text of births that may yet come: a later row brings only what comes to it.
    fn has_text<S: Store>(&self, store: &mut S, key: &EntityKey) -> Result<bool, S::Error> {
        let kind = self.schema.entity(key.kind);
        if !kind.is_some_and(|k| k.fields.iter().any(|f| f.merge == Merge::Text)) {
            return Ok(false);
        }
        Ok(store.texts_since(key, &Vector::new())?.iter().any(|t| !t.text.is_empty()))
    }

    /// The entity, or the parent at its top, is older than the reader keeps.
    fn is_outside<S: Store>(
        &self,
        store: &mut S,
        floor_ms: Option<i64>,
        key: &EntityKey,
        record: &Record,
    ) -> Result<bool, S::Error> {
        let Some(floor_ms) = floor_ms else { return Ok(false) };
        let Some(root) = self.schema.root(key.kind) else { return Ok(false) };
        let Some((field, floor)) = root.window_floor(floor_ms) else { return Ok(false) };
        let mut entity = record.entity.clone();
        for _ in 0..PARENTS_MAX {
            let Some(parent) = entity.parent() else { break };
            let parent = EntityKey::new(key.home.clone(), parent.kind, parent.id.clone());
            entity = store.entity(&parent)?.unwrap_or_default().entity;
        }
        let age = entity.register(field, &UnderParent::default()).map(|w| &w.value);
        Ok(EntityType::is_older(age, &floor))
    }

    fn fill<S: Store>(
        &self,
        store: &mut S,
        want: Want<'_>,
        key: &EntityKey,
        record: Record,
        rows: &mut Rows,
        row: &mut wire::Row,
    ) -> Result<(), S::Error> {
        let shown = self.shown(store, want.scope, key, &record)?;
        let visible = |f: FieldId| shown.as_ref().is_none_or(|s| s.contains(&f));
        row.texts = store
            .texts_since(key, want.since)?
            .into_iter()
            .filter(|t| visible(t.field) && !t.text.is_empty())
            .map(|t| wire::TextField { field: t.field.0, text: codec::to_bytes(&t.text).into() })
            .collect();
        row.state = match &shown {
            None => codec::to_bytes(&record.entity),
            Some(s) => codec::to_bytes(&record.entity.only(|f| s.contains(&f))),
        }
        .into();
        row.mask = shown.map_or(0, |s| rows.mask(s));
        Ok(())
    }

    /// The fields that a scope is shown of an entity; `None` for all. An audience sees what one of
    /// the rules that put the entity there does not hide, and nothing that this region's schema
    /// does not know.
    fn shown<S: Store>(
        &self,
        store: &mut S,
        scope: &str,
        key: &EntityKey,
        record: &Record,
    ) -> Result<Option<BTreeSet<FieldId>>, S::Error> {
        if *scope == *key.home {
            return Ok(None);
        }
        let under = self.under_parent(store, key, &record.entity, 0)?;
        let audiences = self.audiences(store, key, &record.entity, &under)?;
        let Some(kind) = self.schema.entity(key.kind) else { return Ok(Some(BTreeSet::new())) };
        let hides = |f| {
            let mut here = audiences.iter().filter(|(s, _)| **s == *scope);
            here.all(|(_, a)| a.hide.contains(&(kind.id, f)))
        };
        Ok(Some(kind.fields.iter().map(|f| f.id).filter(|f| !hides(*f)).collect()))
    }
}
