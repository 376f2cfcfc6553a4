//! I3 and I13 at the devices: each holds exactly the rows of its scopes, as far as those show
//! them, and shows what the base rows say.

use super::convergence::Fold;
use crate::app::{App, Ids};
use crate::evidence::{Device, Evidence, Finding};
use crate::world::{EPOCH_MS, World};
use landfall_model::codec;
use landfall_model::entity::Entity;
use landfall_model::id::{EntityKey, FieldId, Scope};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::value::Value;
use landfall_sync::device::store::{Referred, View};
use std::collections::{BTreeMap, BTreeSet};

pub fn check(evidence: &Evidence) -> Option<Finding> {
    differs(evidence).map(|message| Finding::new("devices", "I3", message))
}

/// What a device has not heard of though nothing is left to do. Where it is, it is told of everything:
/// it need not come to another region, nor come back, for that.
pub fn before_switch(world: &World) -> Option<String> {
    world.live_regions().first()?;
    differs(&Evidence::of(world))
}

fn differs(evidence: &Evidence) -> Option<String> {
    let (app, fold) = (&evidence.app, Fold::of(evidence));
    evidence.devices.iter().find_map(|device| {
        let fault = rows(app, &fold, device).or_else(|| views(app, &fold, device));
        fault.map(|message| format!("{}: {message}", device.name))
    })
}

/// True if the scope shows the field.
fn shows(ids: &Ids, scope: &str, key: &EntityKey, field: FieldId) -> bool {
    *scope == *key.home || !(key.kind == ids.order && field == ids.margin)
}

fn rows(app: &App, fold: &Fold, device: &Device) -> Option<String> {
    let wants = &device.wants;
    let mut bases: BTreeMap<&EntityKey, _> = device.bases.iter().collect();
    for (key, entity) in &fold.entities {
        let scopes: BTreeSet<Scope> =
            fold.scopes(&app.ids, key).intersection(wants).cloned().collect();
        let base = bases.remove(key);
        let Some(base) = base else {
            // Who holds the home holds what is left of an entity that rows may refer to.
            let tells = app.schema.set_null_targets().contains(&key.kind)
                && entity.is_deleted()
                && wants.contains(&key.home);
            let lacks = |s: &Scope| device.may_lack(app, s, (key, entity), EPOCH_MS);
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
            || missing.any(|s| !device.may_lack(app, s, (key, entity), EPOCH_MS))
        {
            return Some(format!("{key:?} is held by {:?}, not by {scopes:?}", base.holds));
        }
        let shown = |f: FieldId| base.holds.iter().any(|s| shows(&app.ids, s, key, f));
        let expected = entity.clone().only(shown);
        if codec::to_bytes(&base.entity) != codec::to_bytes(&expected) {
            return Some(format!("{key:?} is {:?} and should be {expected:?}", base.entity));
        }
        if let Some(message) = texts(fold, device, key) {
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

fn texts(fold: &Fold, device: &Device, key: &EntityKey) -> Option<String> {
    let [first, last] = [0, u32::MAX].map(|field| (key.clone(), FieldId(field)));
    for (at, expected) in fold.texts.range(first..=last) {
        let mut text = device.texts.get(at).cloned().unwrap_or_default();
        text.retain(|b| !fold.entities[key].is_dead(b));
        if text.canonical() != expected.canonical() {
            return Some(format!("the text of {key:?} differs"));
        }
    }
    None
}

fn views(app: &App, fold: &Fold, device: &Device) -> Option<String> {
    let overlaid: BTreeSet<&EntityKey> =
        device.ops.iter().filter(|o| o.overlay).map(|o| &o.sealed.op.key).collect();
    if let Some(key) = overlaid.first() {
        return Some(format!("an own op on {key:?} is still in the overlay"));
    }
    let mut visible = device.visible.clone();
    visible.retain(|key, _| *key.home != *LOCAL_HOME);
    let rows = device.bases.iter().filter(|(key, _)| *key.home != *LOCAL_HOME);
    for (key, base) in rows {
        let shown = visible.remove(key);
        let expected = view(&app.ids, fold, &device.wants, key, &base.entity);
        if shown.as_deref().map(plain) != expected.as_ref().map(plain) {
            return Some(format!("{key:?} shows {shown:?} and should show {expected:?}"));
        }
    }
    visible.pop_first().map(|(key, _)| format!("{key:?} shows, without a base row"))
}

/// A text that nothing is left of shows as one that never was.
fn plain(view: &View) -> View {
    let mut view = view.clone();
    view.texts.retain(|_, text| !text.is_empty());
    view
}

fn view(
    ids: &Ids,
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
