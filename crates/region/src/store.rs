//! A region's store in SQLite.
//!
//! The driver opens a [`Database`], holds it against its marker ([`marker`]), and then, for each
//! round of the node's work: begin, work, commit. The node sees the [`Store`] trait only. What is
//! committed is durable; what is not is gone with the process. One process has a store open at a
//! time.
//!
//! This folder is the only place of the crate where SQL is written. The layout is in
//! `store/migrations/`.

mod cache;
mod database;
mod devices;
mod dots;
mod entities;
mod error;
mod index;
mod logs;
pub mod marker;
mod names;
mod open;
#[cfg(test)]
mod tests;
mod texts;
mod values;

pub use database::{Database, Options};
pub use error::{Error, OpenError};

use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId};
use landfall_model::op::Fingerprint;
use landfall_model::text::Text;
use landfall_model::vector::{Origin, Position, Vector};
use landfall_sync::region::store::{
    DeviceRecord, DotRecord, Head, Identity, LogRow, Record, Refusal, Store, TextRow,
};

impl Store for Database {
    type Error = Error;

    fn identity(&mut self) -> Result<Option<Identity>, Error> {
        self.read_identity()
    }

    fn set_identity(&mut self, identity: Identity) -> Result<(), Error> {
        self.write_identity(identity)
    }

    fn entity(&mut self, key: &EntityKey) -> Result<Option<Record>, Error> {
        self.read_entity(key)
    }

    fn put_entity(&mut self, key: &EntityKey, record: Record) -> Result<(), Error> {
        self.write_entity(key, record)
    }

    fn put_child(&mut self, parent: &EntityKey, child: &EntityKey) -> Result<(), Error> {
        self.write_child(parent, child)
    }

    fn children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Error> {
        self.read_children(parent)
    }

    fn entities(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Record)>, Error> {
        self.read_entities(after, limit)
    }

    fn text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Error> {
        self.read_text(key, field)
    }

    fn add_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        births: &[Dot],
        dot: Dot,
        blob: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        self.write_blob(key, field, births, dot, blob, position)
    }

    fn put_text(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        text: &Text,
        touch: &Vector,
    ) -> Result<(), Error> {
        self.write_text(key, field, text, touch)
    }

    fn texts_since(&mut self, key: &EntityKey, cursor: &Vector) -> Result<Vec<TextRow>, Error> {
        self.read_texts_since(key, cursor)
    }

    fn touch(
        &mut self,
        scope: &str,
        key: &EntityKey,
        origin: Origin,
        seq: u64,
    ) -> Result<(), Error> {
        self.write_touch(scope, key, origin, seq)
    }

    fn changed(
        &mut self,
        scope: &str,
        cursor: &Vector,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        self.read_changed(scope, cursor, after, limit)
    }

    fn entries(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Option<Record>)>, Error> {
        self.read_entries(scope, after, limit)
    }

    fn scope_size(&mut self, scope: &str) -> Result<u64, Error> {
        self.read_scope_size(scope)
    }

    fn device(&mut self, device: DeviceId) -> Result<DeviceRecord, Error> {
        self.read_device(device)
    }

    fn put_device(&mut self, device: DeviceId, record: &DeviceRecord) -> Result<(), Error> {
        self.keep_device(device, record);
        Ok(())
    }

    fn dots(&mut self, dot: Dot) -> Result<Vec<DotRecord>, Error> {
        self.read_dots(dot)
    }

    fn add_dot(&mut self, dot: Dot, record: DotRecord) -> Result<(), Error> {
        self.write_dot(dot, record)
    }

    fn dot_records(
        &mut self,
        device: DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DotRecord)>, Error> {
        self.read_dot_records(device, from, limit)
    }

    fn remove_dots(&mut self, device: DeviceId, first: u64, last: u64) -> Result<(), Error> {
        self.delete_dots(device, first, last)
    }

    fn refusals(&mut self, dot: Dot) -> Result<Vec<(Fingerprint, Refusal)>, Error> {
        self.read_refusals(dot)
    }

    fn put_refusal(&mut self, dot: Dot, of: Fingerprint, refusal: &Refusal) -> Result<(), Error> {
        self.write_refusal(dot, of, refusal)
    }

    fn remove_refusal(&mut self, dot: Dot, of: Fingerprint) -> Result<(), Error> {
        self.delete_refusal(dot, of)
    }

    fn heads(&mut self) -> Result<Vec<(Origin, Head)>, Error> {
        Ok(self.heads.of.iter().map(|(origin, head)| (*origin, *head)).collect())
    }

    fn head(&mut self, origin: Origin) -> Result<Head, Error> {
        Ok(self.read_head(origin))
    }

    fn append(&mut self, origin: Origin, row: &LogRow) -> Result<(), Error> {
        self.write_entry(origin, row)
    }

    fn log(&mut self, origin: Origin, after: u64, max_bytes: usize) -> Result<Vec<LogRow>, Error> {
        self.read_log(origin, after, max_bytes)
    }

    fn clip_index(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        self.clip_touches(origin, last)
    }

    fn truncate(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        self.cut_log(origin, last)
    }

    fn cuts(&mut self) -> Result<Vec<(Origin, u64)>, Error> {
        self.read_cuts()
    }

    fn put_cut(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        self.write_cut(origin, last)
    }
}
