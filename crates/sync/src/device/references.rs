//! What references show when the entity that they name is deleted.
//!
//! A reference is a register that holds an id. A delete never writes into it, whatever `onDelete`
//! says: the delete and a write of the reference may be concurrent, made by devices that know
//! nothing of each other, so what a deleter wrote into the rows that it saw would miss the row that
//! it did not see. What shows is derived instead, each time a row is shown, from two states that
//! merge in any order:
//!
//! - `KEEP` shows the id. It may name nothing.
//! - `SET_NULL` shows NULL if the device knows an entity of that id, none of them is there, and one
//!   was deleted. Else it shows the id: an absent row never reads as deleted.
//! - `CASCADE` is for parents: a child stands while a birth of its parent does.
//!
//! So the order of a delete and of an insert that refers to it does not matter, at the region or on
//! the way. A new birth of the id (made again, restored, or created by two at once and deleted by
//! one) shows the reference again, with nothing to be written back. Stored state is the same for all
//! who received the same ops, and digests compare that; regions, which show no rows, derive nothing.
//!
//! **Who knows.** Who holds the home scope of the deleted entity holds what is left of it, the births
//! that are dead; regions send that also to a device that begins, for types that are referred to in
//! this way. Who saw the entity as an audience only is told that it left, which is not that it was
//! deleted: there the reference shows the id, as it does for every row that the account may not
//! read. A child counts as deleted where it was deleted itself, not where it fell with its parent:
//! a device that begins is not told of those.
//!
//! The store notes which rows show a reference of this kind and how they last showed it, so a
//! deleted, or reborn, entity has exactly those rows shown anew, in the transaction that brings the
//! news. A crash leaves both or neither.

use super::call::Call;
use super::store::{Referred, Store, View};
use super::view::Reader;
use landfall_model::id::{EntityKey, TypeId};
use landfall_model::schema::EntityType;
use landfall_model::value::Value;
use std::collections::BTreeSet;

impl Reader {
    /// Take references out of the view whose entities are deleted, and note what they hold.
    pub fn look_after_references<S: Store>(
        &mut self,
        store: &mut S,
        kind: &EntityType,
        view: &mut View,
    ) -> Result<(), S::Error> {
        for field in &kind.fields {
            let Some(target) = field.nulled_with() else { continue };
            let Some(Value::Text(id)) = view.registers.get(&field.id) else { continue };
            let id = id.clone();
            let gone = self.is_gone(store, target, &id)?;
            if gone {
                view.registers.remove(&field.id);
            }
            view.references.insert(field.id, Referred { kind: target, id, gone });
        }
        Ok(())
    }

    /// True if entities of this id are known here, none is there, and one was deleted.
    fn is_gone<S: Store>(
        &mut self,
        store: &mut S,
        kind: TypeId,
        id: &str,
    ) -> Result<bool, S::Error> {
        // All of a local type is here: what is not, is not anywhere.
        let mut gone = self.is_local(kind);
        for key in store.find(kind, id)? {
            if self.exists(store, &key)? {
                return Ok(false);
            }
            gone |= self.merged(store, &key)?.entity.is_deleted();
        }
        Ok(gone)
    }
}

impl<S: Store> Call<'_, S> {
    /// A row was shown of a type that is referred to: the rows that show a reference to it in another
    /// way than now.
    pub fn referrers(&mut self, key: &EntityKey) -> Result<BTreeSet<EntityKey>, S::Error> {
        let gone = self.reader.is_gone(self.store, key.kind, &key.id)?;
        let others = self.store.referrers(key.kind, &key.id, !gone)?;
        Ok(others.into_iter().collect())
    }
}
