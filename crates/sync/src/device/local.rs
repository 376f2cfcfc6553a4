//! `@local` types: written like all others, and never sent.
//!
//! A write of a local entity is an op that nobody else will ever hear of. It takes no number of the
//! device's sequence, so what is sent stays dense; its dot is its clock reading, which is above all
//! that the entity has, under a device id that no device has. It is merged into the entity's base row at once, in
//! the transaction of the other edits that were made with it: there is no overlay, nothing can refuse
//! it, and no receipt has it. Nobody else can write the entity, so a deletion leaves nothing behind.
//!
//! Local rows are in the home scope [`LOCAL_HOME`], which no app's scope can be called, and are held
//! by it; so nothing evicts them, and no region is told of it. Digests leave them out.

use super::refused::WriteError;
use super::store::Store;
use super::write::Draft;
use crate::limits;
use crate::mutant::{self, Mutant};
use landfall_model::entity::Entity;
use landfall_model::id::{DeviceId, Dot, EntityKey};
use landfall_model::op::{Action, Change, Op};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::stamp::Hlc;
use landfall_model::text::blob_id;

/// The device id of writes that stay where they are made.
const LOCAL_DEVICE: DeviceId = DeviceId(*b"lf_local/writes\0");

/// The dot of a local write, given at this reading.
pub(super) fn dot(reading: Hlc) -> Dot {
    Dot::new(LOCAL_DEVICE, reading.0)
}

/// The reading of a write to an entity. The device's clock may have been set back since the entity was
/// written last, and nobody restamps local writes: one must win over those before it, and its dot
/// be none of theirs.
pub(super) fn reading(clock: Hlc, entity: &Entity) -> Hlc {
    let seen = entity.highest_hlc().0.max(entity.highest_seq(LOCAL_DEVICE));
    Hlc(clock.0.max(seen.saturating_add(1)))
}

/// True for an entity of a `@local` type.
pub(super) fn is_local(key: &EntityKey) -> bool {
    *key.home == *LOCAL_HOME && !mutant::active(Mutant::LocalWritePushed)
}

impl<S: Store> Draft<'_, '_, S> {
    /// Write the draft's local ops into their rows.
    pub(super) fn keep_local(&mut self, made: Vec<Op>) -> Result<(), WriteError<S::Error>> {
        for op in made {
            let key = op.key.clone();
            self.call.touch(&key);
            self.call.reader.forget(&key);
            if op.action == Action::Delete {
                self.call.store.remove_base(&key)?;
                continue;
            }
            let mut base = self.call.store.base(&key)?.unwrap_or_default();
            base.entity.apply(&op);
            base.holds.insert(key.home.clone());
            let sealed = op.seal();
            for change in sealed.op.changes() {
                let Change::Text(edit) = &change.change else { continue };
                let mut text = self.call.store.base_text(&key, change.field)?;
                text.apply(&sealed.op.births, blob_id(&sealed), &edit.update);
                if text.loose_blobs() > limits::TEXT_BLOBS_FOLD {
                    // What cannot be read stays as it came.
                    let mut folded = text.clone();
                    if folded.compact().is_ok() {
                        text = folded;
                    }
                }
                self.call.store.put_base_text(&key, change.field, &text)?;
            }
            self.call.store.put_base(&key, &base)?;
        }
        Ok(())
    }
}
