//! One hash over everything that a replica shows: equal digests, equal states.
//!
//! It runs over the entities that exist, in key order: key, canonical state, canonical texts. What
//! a region has and a device does not (touch vectors, dead entities) stays out, so that a device
//! that holds every scope whole has the digest of its region.

use crate::device::store as device;
use crate::region::store as region;
use landfall_model::codec;
use landfall_model::entity::{Entity, Living};
use landfall_model::hash::sha256;
use landfall_model::hex;
use landfall_model::id::{EntityKey, FieldId, TypeId};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::text::Text;

/// Builds a digest row by row; rows come in key order.
#[derive(Debug, Default)]
pub struct Digest {
    state: [u8; 32],
    rows: u64,
}

impl Digest {
    /// Take in an entity with its documents, ascending by field.
    pub fn add(&mut self, key: &EntityKey, entity: &Entity, texts: &[(FieldId, Text)]) {
        if !entity.exists(&Living) {
            return;
        }
        let mut bytes = self.state.to_vec();
        bytes.extend(codec::to_bytes(key));
        bytes.extend(codec::to_bytes(entity));
        for (field, text) in texts {
            bytes.extend(field.0.to_be_bytes());
            // An unreadable document must not pass as equal to a readable one.
            bytes.extend(text.canonical().unwrap_or_else(|e| e.to_string().into_bytes()));
        }
        self.state = sha256(&bytes);
        self.rows += 1;
    }

    /// Entities taken in.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest in hexadecimal.
    pub fn hex(&self) -> String {
        hex::encode(&self.state)
    }
}

/// Rows read at a time.
const ROWS: usize = 1_000;

/// The digest of a region.
pub fn of_region<S: region::Store>(
    store: &mut S,
    text_fields: impl Fn(TypeId) -> Vec<FieldId>,
) -> Result<Digest, S::Error> {
    let mut digest = Digest::default();
    let mut after = None;
    loop {
        let rows = store.entities(after.as_ref(), ROWS)?;
        let Some((key, _)) = rows.last() else { return Ok(digest) };
        after = Some(key.clone());
        for (key, record) in rows {
            let text = |f| Ok((f, store.text(&key, f)?));
            let texts: Result<Vec<_>, _> = text_fields(key.kind).into_iter().map(text).collect();
            digest.add(&key, &record.entity, &texts?);
        }
    }
}

/// The digest of what regions have confirmed to a device.
pub fn of_device<S: device::Store>(
    store: &mut S,
    text_fields: impl Fn(TypeId) -> Vec<FieldId>,
) -> Result<Digest, S::Error> {
    let mut digest = Digest::default();
    let mut after = None;
    loop {
        let rows = store.bases(after.as_ref(), ROWS)?;
        let Some((key, _)) = rows.last() else { return Ok(digest) };
        after = Some(key.clone());
        // What never leaves the device is no region's.
        for (key, base) in rows.into_iter().filter(|(key, _)| *key.home != *LOCAL_HOME) {
            let text = |f| Ok((f, store.base_text(&key, f)?));
            let texts: Result<Vec<_>, _> = text_fields(key.kind).into_iter().map(text).collect();
            digest.add(&key, &base.entity, &texts?);
        }
    }
}
