//! What the region holds, read from its store and not through a device.

use crate::error::Error;
use crate::refusal::unknown_type;
use landfall_device::{Schema, Value};
use landfall_model::entity::{Entity, UnderParent};
use landfall_model::id::EntityKey;
use landfall_model::schema::{EntityType, Merge};
use landfall_sync::region::memory::MemoryStore;
use landfall_sync::region::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// How many generations of parents are looked at, as on a device.
const PARENTS_MAX: usize = 8;

/// One entity as the region would show it to a reader who may see all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionRow {
    /// Its home scope.
    pub home: String,
    /// Its id.
    pub id: String,
    /// Fields with a value, by name: registers and texts as they are, decimals as the unscaled number
    /// (12.50 is 1250), sets as lists, counters as their sum.
    pub fields: BTreeMap<String, Value>,
}

impl RegionRow {
    /// The text of a field; `None` if it is none.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_text()
    }

    /// The whole number of a field; `None` if it is none.
    pub fn integer(&self, field: &str) -> Option<i64> {
        self.fields.get(field)?.as_int()
    }
}

/// All entities of a type that are there, by home scope and id.
pub(crate) fn of_type(
    store: &mut MemoryStore,
    schema: &Schema,
    kind: &str,
) -> Result<Vec<RegionRow>, Error> {
    let kind = schema.entity_named(kind).ok_or_else(unknown_type)?;
    let keys = store.iter_entities().map(|(key, _)| key).filter(|key| key.kind == kind.id);
    let keys: Vec<EntityKey> = keys.cloned().collect();
    Ok(keys.into_iter().filter_map(|key| row(store, kind, key)).collect())
}

/// The home scopes that the region has entities of.
pub(crate) fn homes(store: &MemoryStore) -> BTreeSet<String> {
    store.iter_entities().map(|(key, _)| key.home.to_string()).collect()
}

fn row(store: &mut MemoryStore, kind: &EntityType, key: EntityKey) -> Option<RegionRow> {
    let entity = entity(store, &key);
    let standing = standing(store, &key, &entity, 0);
    if !entity.exists(&standing) {
        return None;
    }
    let births: BTreeSet<_> = entity.standing(&standing).into_iter().collect();
    let mut fields = BTreeMap::new();
    for field in &kind.fields {
        let value = match field.merge {
            Merge::Register => entity.register(field.id, &standing).map(|w| w.value.clone()),
            Merge::Counter => Some(Value::Int(entity.counter(field.id, &standing))),
            Merge::Set => {
                let elements = entity.set(field.id, &standing).into_keys().cloned();
                Some(Value::List(elements.collect()))
            }
            Merge::Text => {
                let text = store.text(&key, field.id).expect("a store in memory does not fail");
                text.open(|b| births.contains(&b)).ok().map(|d| Value::Text(d.value()))
            }
        };
        if let Some(value) = value.filter(|v| !v.is_null()) {
            fields.insert(field.name.clone(), value);
        }
    }
    Some(RegionRow { home: key.home.to_string(), id: key.id.to_string(), fields })
}

fn entity(store: &mut MemoryStore, key: &EntityKey) -> Entity {
    let record = store.entity(key).expect("a store in memory does not fail");
    record.map(|r| r.entity).unwrap_or_default()
}

fn standing(store: &mut MemoryStore, key: &EntityKey, own: &Entity, depth: usize) -> UnderParent {
    let Some(parent) = own.parent().filter(|_| depth < PARENTS_MAX) else {
        return UnderParent::default();
    };
    let parent = EntityKey::new(key.home.clone(), parent.kind, parent.id.clone());
    let entity = entity(store, &parent);
    let above = standing(store, &parent, &entity, depth + 1);
    UnderParent { fallen: entity.fallen(&above) }
}
