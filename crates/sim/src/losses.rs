//! What disasters take: ops that regions held and that are gone with their disks.
//!
//! Whoever writes down losses here sees all disks at once, as no node does. So what a checker forgives
//! after a disaster is what that disaster took, and nothing else.

use crate::world::World;
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::op::{Action, Fingerprint, Sealed};
use landfall_model::vector::Origin;
use landfall_sync::device::memory::MemoryStore as File;
use landfall_sync::log::Opened;
use landfall_sync::region::memory::MemoryStore as Disk;
use landfall_sync::region::store::Head;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An op's name: two ops share a dot where a file was copied.
pub type Name = (Dot, Fingerprint);

/// What a region had when the turn began in which it sent a frame. Nobody asks before the first
/// disaster.
pub type Had = Option<Arc<BTreeSet<Name>>>;

/// The names in a region's logs, as they were while it had these heads.
#[derive(Debug, Default)]
pub struct Known {
    heads: Vec<(Origin, Head)>,
    names: Arc<BTreeSet<Name>>,
}

#[derive(Debug, Default)]
pub struct Losses {
    /// Ops that a region lost, by entity.
    taken: BTreeMap<EntityKey, BTreeMap<Name, Sealed>>,
    /// Ops that no region and no outbox held any more.
    perished: BTreeSet<Name>,
}

impl Losses {
    pub fn has_perished(&self, name: &Name) -> bool {
        self.perished.contains(name)
    }
}

/// True if what an entity shows in this field may depend on the op.
pub fn bears_on(sealed: &Sealed, field: FieldId) -> bool {
    match &sealed.op.action {
        Action::Create { .. } | Action::Delete => true,
        Action::Update(changes) => changes.iter().any(|c| c.field == field),
        Action::Void => false,
    }
}

impl World {
    /// A region's disk is about to be what `left` is, or is gone with all that is on it.
    pub fn note_loss(&mut self, region: usize, left: Option<&Disk>) {
        self.regions[region].losses.push(self.now);
        let left = left.map(logged).unwrap_or_default();
        let others = self.live_regions().into_iter().filter(|r| *r != region);
        let others: BTreeSet<Name> =
            others.flat_map(|r| logged(&self.regions[r].store).into_keys()).collect();
        let outboxes = self.outboxes(None);
        for (name, sealed) in logged(&self.regions[region].store) {
            if left.contains_key(&name) {
                continue;
            }
            if !others.contains(&name) && !outboxes.contains(&name) {
                self.oracle.losses.perished.insert(name);
            }
            let taken = self.oracle.losses.taken.entry(sealed.op.key.clone()).or_default();
            taken.insert(name, sealed);
        }
    }

    /// A device's file is about to be what `left` is.
    pub fn note_file_loss(&mut self, device: usize, left: &File) {
        let mut kept = self.outboxes(Some(device));
        kept.extend(in_outbox(left));
        for region in self.live_regions() {
            kept.extend(logged(&self.regions[region].store).into_keys());
        }
        let gone: Vec<Name> =
            in_outbox(&self.devices[device].store).filter(|name| !kept.contains(name)).collect();
        self.oracle.losses.perished.extend(gone);
    }

    /// What the outboxes of all files hold, but for one of them.
    fn outboxes(&self, without: Option<usize>) -> BTreeSet<Name> {
        let files = self.devices.iter().enumerate().filter(|(d, _)| Some(*d) != without);
        files.flat_map(|(_, sim)| in_outbox(&sim.store)).collect()
    }

    /// What the region has, for frames that it sends in the turn that begins.
    pub fn had(&mut self, region: usize) -> Had {
        if self.oracle.losses.taken.is_empty() {
            return None;
        }
        let sim = &mut self.regions[region];
        let heads: Vec<(Origin, Head)> = sim.store.iter_heads().collect();
        if sim.known.heads != heads {
            let names = Arc::new(logged(&sim.store).into_keys().collect());
            sim.known = Known { heads, names };
        }
        Some(Arc::clone(&sim.known.names))
    }

    /// A region lost an op that what the device shows there may depend on, and the region that the
    /// device heard last did not have it when it said that. The device's own writes that wait show
    /// all the same.
    pub fn was_taken(&self, device: usize, key: &EntityKey, field: Option<FieldId>) -> bool {
        let Some(taken) = self.oracle.losses.taken.get(key) else { return false };
        let own: BTreeSet<Name> = in_outbox(&self.devices[device].store).collect();
        let heard = self.devices[device].heard.as_deref();
        let bears = |s: &Sealed| field.is_none_or(|field| bears_on(s, field));
        taken.iter().any(|(name, sealed)| {
            bears(sealed) && !own.contains(name) && !heard.is_some_and(|had| had.contains(name))
        })
    }
}

/// The ops in a region's logs.
fn logged(disk: &Disk) -> BTreeMap<Name, Sealed> {
    let opened = disk.iter_logs().filter_map(|(_, row)| Opened::decode(&row.entry).ok());
    let ops = opened.flat_map(|opened| match opened {
        Opened::Ops { ops, .. } => ops,
        _ => Vec::new(),
    });
    ops.map(|sealed| ((sealed.op.dot, sealed.fingerprint), sealed)).collect()
}

fn in_outbox(file: &File) -> impl Iterator<Item = Name> + '_ {
    let waiting = file.own_ops().filter(|own| own.in_outbox());
    waiting.map(|own| (own.sealed.op.dot, own.sealed.fingerprint))
}
