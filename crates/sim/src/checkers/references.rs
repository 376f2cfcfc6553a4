//! I3 for what is derived: at every moment a `SET_NULL` reference shows NULL where its device knows the
//! entity to be deleted, and only there.
//!
//! It is derived here once more, from the base rows and the own ops alone: neither from what the
//! device noted of who refers to what, nor in the order in which it took things in.

use crate::world::World;
use landfall_model::entity::{Entity, Living};
use landfall_model::id::{EntityKey, TypeId};
use landfall_model::value::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Entities, copied only where own writes are on them: this is looked at after every call.
type Known<'a> = BTreeMap<&'a EntityKey, Cow<'a, Entity>>;

impl World {
    pub fn check_references(&mut self, device: usize) {
        if self.plan.refer == 0 && self.plan.local == 0 {
            return;
        }
        if let Some(message) = self.wrong_reference(device) {
            let message = format!("{}: {message}", self.devices[device].name);
            self.fail("references", "I3", message);
        }
    }

    fn wrong_reference(&self, device: usize) -> Option<String> {
        let ids = self.app.ids;
        let known = self.known(device, &[ids.order, ids.sketch, ids.product]);
        for (key, view) in self.devices[device].store.visible() {
            let Some(kind) = self.app.schema.entity(key.kind) else { continue };
            for field in &kind.fields {
                let Some(target) = field.nulled_with() else { continue };
                let held = known.get(key).and_then(|e| e.register(field.id, &Living));
                let held = held.map(|w| w.value.clone()).filter(|v| *v != Value::Null);
                let gone = held
                    .as_ref()
                    .and_then(Value::as_text)
                    .is_some_and(|id| gone(&known, target, id));
                let expected = held.clone().filter(|_| !gone);
                let shown = view.registers.get(&field.id).cloned();
                if shown != expected {
                    return Some(format!(
                        "{key:?} shows {shown:?}, holds {held:?}, deleted: {gone}"
                    ));
                }
            }
        }
        None
    }

    /// Entities of these types as a file has them, own writes included.
    fn known(&self, device: usize, kinds: &[TypeId]) -> Known<'_> {
        let store = &self.devices[device].store;
        let rows = store.base_rows().filter(|(key, _)| kinds.contains(&key.kind));
        let mut known: Known<'_> =
            rows.map(|(key, base)| (key, Cow::Borrowed(&base.entity))).collect();
        let ops = store.own_ops().filter(|o| kinds.contains(&o.sealed.op.key.kind));
        for own in ops.filter(|o| o.overlay) {
            known.entry(&own.sealed.op.key).or_default().to_mut().apply(&own.sealed.op);
        }
        known
    }
}

/// Entities of this name are known, none is there, and one was deleted.
fn gone(known: &Known<'_>, kind: TypeId, id: &str) -> bool {
    let named = known.iter().filter(|(key, _)| key.kind == kind && *key.id == *id);
    let named: Vec<&Entity> = named.map(|(_, entity)| entity.as_ref()).collect();
    !named.iter().any(|e| e.exists(&Living)) && named.iter().any(|e| e.is_deleted())
}
