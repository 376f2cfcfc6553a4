//! I3 and I13 at the devices: each holds exactly the rows of its scopes, as far as those show
//! them, and shows what the base rows say.

use super::Accepted;
use super::convergence::Fold;
use crate::app::{App, Ids};
use crate::world::World;
use landfall_model::codec;
use landfall_model::entity::Entity;
use landfall_model::id::{EntityKey, FieldId, Scope};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::value::Value;
use landfall_sync::device::store::{Referred, View};
use std::collections::{BTreeMap, BTreeSet};

pub fn check(world: &mut World, accepted: &Accepted) {
    if let Some(message) = differs(world, accepted) {
        world.fail("devices", "I3", message);
    }
}

/// What a device has not heard of though nothing is left to do. Where it is, it is told of everything:
/// it need not come to another region, nor come back, for that.
pub fn before_switch(world: &World) -> Option<String> {
    let region = world.live_regions().first().copied()?;
    differs(world, &Accepted::of(world, region))
}

fn differs(world: &World, accepted: &Accepted) -> Option<String> {
    let fold = Fold::of(world, accepted);
    (0..world.devices.len()).find_map(|device| {
        let fault = rows(world, &fold, device).or_else(|| views(world, &fold, device));
        fault.map(|message| format!("{}: {message}", world.devices[device].name))
    })
}

/// True if the scope shows the field.
fn shows(world: &World, scope: &str, key: &EntityKey, field: FieldId) -> bool {
    let ids = &world.app.ids;
    *scope == *key.home || !(key.kind == ids.order && field == ids.margin)
}

fn rows(world: &World, fold: &Fold, device: usize) -> Option<String> {
    let sim = &world.devices[device];
    let wants: &BTreeSet<Scope> = &sim.wants;
    let mut bases: BTreeMap<&EntityKey, _> = sim.store.base_rows().collect();
    for (key, entity) in &fold.entities {
        let scopes: BTreeSet<Scope> =
            fold.scopes(&world.app.ids, key).intersection(wants).cloned().collect();
        let base = bases.remove(key);
        let Some(base) = base else {
            // Who holds the home holds what is left of an entity that rows may refer to.
            let tells = world.app.schema.set_null_targets().contains(&key.kind)
                && entity.is_deleted()
                && wants.contains(&key.home);
            let lacks = |s: &Scope| world.may_lack(device, s, key, entity);
            if (fold.exists(key) || tells) && !scopes.iter().all(lacks) {
                return Some(format!("{key:?} is missing, though {scopes:?} hold it"));
            }
            continue;
        };
        if scopes.is_empty() {
            return Some(format!("{key:?} is kept, though no scope holds it ({:?})", base.holds));
        }
        let mut missing = scopes.difference(&base.holds);
        if !base.holds.is_subset(&scopes)
            || missing.any(|s| !world.may_lack(device, s, key, entity))
        {
            return Some(format!("{key:?} is held by {:?}, not by {scopes:?}", base.holds));
        }
        let shown = |f: FieldId| base.holds.iter().any(|s| shows(world, s, key, f));
        let expected = entity.clone().only(shown);
        if codec::to_bytes(&base.entity) != codec::to_bytes(&expected) {
            return Some(format!("{key:?} is {:?} and should be {expected:?}", base.entity));
        }
        if let Some(message) = texts(world, fold, device, key) {
            return Some(message);
        }
    }
    bases.retain(|key, _| *key.home != *LOCAL_HOME);
    bases.pop_first().map(|(key, _)| format!("{key:?} is kept, and nobody made it"))
}

/// An order's product shows unless the device holds the catalogue, and it was deleted there.
fn refer(fold: &Fold, wants: &BTreeSet<Scope>, ids: &Ids, view: &mut View) {
    let held = view.registers.get(&ids.order_product).and_then(Value::as_text);
    let Some(id) = held.map(str::to_owned) else { return };
    let product = App::key("catalog", ids.product, &id);
    let deleted = fold.entities.get(&product).is_some_and(Entity::is_deleted);
    let gone = deleted && wants.contains(&product.home);
    if gone {
        view.registers.remove(&ids.order_product);
    }
    view.references.insert(ids.order_product, Referred { kind: ids.product, id, gone });
}

fn texts(world: &World, fold: &Fold, device: usize, key: &EntityKey) -> Option<String> {
    let sim = &world.devices[device];
    let [first, last] = [0, u32::MAX].map(|field| (key.clone(), FieldId(field)));
    for ((at, field), expected) in fold.texts.range(first..=last) {
        let found = sim.store.base_texts().find(|(k, f, _)| *k == at && f == field);
        let mut text = found.map(|(_, _, t)| t.clone()).unwrap_or_default();
        text.retain(|b| !fold.entities[key].is_dead(b));
        if text.canonical() != expected.canonical() {
            return Some(format!("the text of {key:?} differs"));
        }
    }
    None
}

fn views(world: &World, fold: &Fold, device: usize) -> Option<String> {
    let sim = &world.devices[device];
    let overlaid: BTreeSet<&EntityKey> =
        sim.store.own_ops().filter(|o| o.overlay).map(|o| &o.sealed.op.key).collect();
    if let Some(key) = overlaid.first() {
        return Some(format!("an own op on {key:?} is still in the overlay"));
    }
    let mut visible = sim.store.visible().clone();
    visible.retain(|key, _| *key.home != *LOCAL_HOME);
    let rows = sim.store.base_rows().filter(|(key, _)| *key.home != *LOCAL_HOME);
    for (key, base) in rows {
        let shown = visible.remove(key);
        let expected = view(world, fold, &sim.wants, key, &base.entity);
        if shown.as_deref() != expected.as_ref() {
            return Some(format!("{key:?} shows {shown:?} and should show {expected:?}"));
        }
    }
    visible.pop_first().map(|(key, _)| format!("{key:?} shows, without a base row"))
}

fn view(
    world: &World,
    fold: &Fold,
    wants: &BTreeSet<Scope>,
    key: &EntityKey,
    entity: &Entity,
) -> Option<View> {
    let under = fold.under(key);
    if !entity.exists(&under) {
        return None;
    }
    let mut view = View::default();
    for field in entity.register_fields() {
        let value = entity.register(field, &under).map(|w| w.value.clone());
        view.registers.extend(value.filter(|v| *v != Value::Null).map(|v| (field, v)));
    }
    let ids = &world.app.ids;
    if key.kind == ids.memo {
        let labels: Vec<Value> = entity.set(ids.labels, &under).into_keys().cloned().collect();
        view.sets.extend((!labels.is_empty()).then_some((ids.labels, labels)));
        view.counters.insert(ids.votes, entity.counter(ids.votes, &under));
        if let Some(text) = fold.texts.get(&(key.clone(), ids.body)).filter(|t| !t.is_empty()) {
            let births = entity.standing(&under);
            let value = text.open(|b| births.contains(&b)).ok().map(|d| d.value());
            view.texts.extend(value.map(|v| (ids.body, v)));
        }
    }
    if key.kind == ids.order {
        view.counters.insert(ids.attempts, entity.counter(ids.attempts, &under));
        refer(fold, wants, ids, &mut view);
    }
    Some(view)
}
