//! Evidence of stores: of the simulator's, in memory, and of any by way of the `Store` traits.

use super::{Device, Evidence, Region, Told};
use crate::checkers::Accepted;
use crate::world::World;
use landfall_model::id::{DeviceId, EntityKey, FieldId};
use landfall_model::schema::Schema;
use landfall_model::text::Text;
use landfall_sync::device::store::Store as DeviceStore;
use landfall_sync::log::Opened;
use landfall_sync::region::store::Store as RegionStore;
use std::collections::{BTreeMap, BTreeSet};

/// Of a log, so many bytes are read at a time; of own ops, so many.
const LOG_BYTES: usize = 16 << 20;
const OPS: usize = 1_000;

type Texts = BTreeMap<(EntityKey, FieldId), Text>;

impl Region {
    /// All that is in a store. A store lists no devices: asked for are those whose ops are in its
    /// logs, and `more`.
    pub fn read<S: RegionStore>(
        name: &str,
        store: &mut S,
        schema: &Schema,
        more: &BTreeSet<DeviceId>,
    ) -> Result<Self, S::Error> {
        let mut region = Self { name: name.to_owned(), ..Self::default() };
        region.entities = store.entities(None, usize::MAX)?.into_iter().collect();
        for key in region.entities.keys() {
            for field in schema.text_fields(key.kind) {
                let text = store.text(key, field)?;
                region.texts.extend((!text.is_empty()).then_some(((key.clone(), field), text)));
            }
        }
        region.heads = store.heads()?;
        let mut ids = more.clone();
        for (origin, _) in &region.heads {
            let mut after = 0;
            loop {
                let rows = store.log(*origin, after, LOG_BYTES)?;
                let Some(last) = rows.last() else { break };
                after = last.seq;
                let opened = rows.iter().filter_map(|row| Opened::decode(&row.entry).ok());
                opened.for_each(|o| ids.extend(o.ops().iter().map(|sealed| sealed.op.dot.device)));
                region.logs.extend(rows.into_iter().map(|row| (*origin, row)));
            }
        }
        for id in ids {
            let record = store.device(id)?;
            region.devices.extend((!record.received.is_empty()).then_some((id, record)));
        }
        Ok(region)
    }
}

impl Device {
    /// All that the trait gives of a file; what the app sees, and outcomes, have other ways.
    pub fn read<S: DeviceStore>(
        name: &str,
        store: &mut S,
        schema: &Schema,
    ) -> Result<Self, S::Error> {
        let mut device = Self { name: name.to_owned(), ..Self::default() };
        device.meta = store.meta()?.unwrap_or_default();
        device.bases = store.bases(None, usize::MAX)?.into_iter().collect();
        device.texts = texts(store, schema, device.bases.keys())?;
        let mut after = 0;
        loop {
            let page = store.ops(after, OPS)?;
            let Some(last) = page.last() else { break };
            after = last.order;
            device.ops.extend(page);
        }
        device.wants = store.subscriptions()?.into_iter().map(|(scope, _)| scope).collect();
        Ok(device)
    }
}

fn texts<'k, S: DeviceStore>(
    store: &mut S,
    schema: &Schema,
    keys: impl Iterator<Item = &'k EntityKey>,
) -> Result<Texts, S::Error> {
    let mut texts = Texts::new();
    for key in keys {
        for field in schema.text_fields(key.kind) {
            let text = store.base_text(key, field)?;
            texts.extend((!text.is_empty()).then_some(((key.clone(), field), text)));
        }
    }
    Ok(texts)
}

impl Evidence {
    /// Of the simulator's world.
    pub fn of(world: &World) -> Self {
        let regions: Vec<Region> =
            world.live_regions().into_iter().map(|region| of_region(world, region)).collect();
        let devices = (0..world.devices.len()).map(|device| of_device(world, device)).collect();
        Self {
            app: world.app.clone(),
            accepted: regions.first().map(Accepted::of).unwrap_or_default(),
            regions,
            devices,
            sent: world.oracle.pushed.clone(),
            increments: world.oracle.increments().clone(),
            shared_ids: world.oracle.shared_ids.clone(),
            order: world.rng.clone().draw(),
        }
    }
}

fn of_region(world: &World, region: usize) -> Region {
    let store = &world.regions[region].store;
    Region {
        name: format!("region {region}"),
        entities: store.iter_entities().map(|(k, r)| (k.clone(), r.clone())).collect(),
        texts: store.iter_texts().map(|(k, f, text)| ((k.clone(), f), text)).collect(),
        heads: store.iter_heads().collect(),
        logs: store.iter_logs().map(|(origin, row)| (origin, row.clone())).collect(),
        devices: store.iter_devices().map(|(id, record)| (id, record.clone())).collect(),
    }
}

fn of_device(world: &World, device: usize) -> Device {
    let sim = &world.devices[device];
    let mut store = sim.store.clone();
    let meta = store.meta().expect("a store in memory does not fail");
    let outcomes = sim.store.outcomes().iter();
    Device {
        name: sim.name.clone(),
        meta: meta.unwrap_or_default(),
        bases: sim.store.base_rows().map(|(k, base)| (k.clone(), base.clone())).collect(),
        texts: sim.store.base_texts().map(|(k, f, t)| ((k.clone(), f), t.clone())).collect(),
        ops: sim.store.own_ops().cloned().collect(),
        outcomes: outcomes.map(|((dot, _), kept)| (*dot, kept.0.clone(), kept.1.clone())).collect(),
        visible: sim.store.visible().clone(),
        wants: sim.wants.clone(),
        terms: sim.wants.iter().map(|s| (s.clone(), world.oracle.asked.terms(device, s))).collect(),
        told: told(world, device),
    }
}

/// What the simulator saw of a device whose writes had no excuse to be lost: no region lost its disk,
/// and no file was copied or put back. Of other worlds the simulator's own checker knows more.
fn told(world: &World, device: usize) -> Told {
    let harmless = world.regions.iter().all(|r| r.losses.is_empty() && !r.lost)
        && world.oracle.shared_ids.is_empty()
        && world.devices.iter().all(|d| d.put_back.is_none());
    let mut told = Told::default();
    if !harmless {
        return told;
    }
    let acks = world.oracle.acks.iter();
    let acks = acks.filter(|(_, ack)| ack.device == device && !ack.sealed.op.is_void());
    told.acknowledged = acks.map(|((dot, _), ack)| (*dot, ack.durable)).collect();
    told
}
