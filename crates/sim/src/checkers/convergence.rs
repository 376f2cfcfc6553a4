//! I3 at the regions: the same ops make the same bytes, whatever the order. Each region's state is
//! compared with a fold of all accepted ops in an order of the checker's own.

use crate::app::Ids;
use crate::evidence::{Evidence, Finding, Region};
use crate::rng::Rng;
use landfall_model::codec;
use landfall_model::entity::{Entity, Living, UnderParent};
use landfall_model::id::{EntityKey, FieldId, Scope};
use landfall_model::op::{Change, Sealed};
use landfall_model::text::{Text, blob_id};
use std::collections::{BTreeMap, BTreeSet};

/// Entities and texts as they should be.
#[derive(Debug, Default)]
pub struct Fold {
    pub entities: BTreeMap<EntityKey, Entity>,
    pub texts: BTreeMap<(EntityKey, FieldId), Text>,
}

impl Fold {
    /// In an order that no region had: by a source of chance of its own.
    pub fn of(evidence: &Evidence) -> Self {
        let mut fold = Self::default();
        let mut rng = Rng::new(evidence.order);
        for (key, ops) in &evidence.accepted.by_key {
            let mut ops: Vec<&Sealed> = ops.iter().collect();
            rng.shuffle(&mut ops);
            for sealed in ops.iter().filter(|s| !s.op.is_void()) {
                fold.entities.entry(key.clone()).or_default().apply(&sealed.op);
                for change in sealed.op.changes() {
                    if let Change::Text(t) = &change.change {
                        let text = fold.texts.entry((key.clone(), change.field)).or_default();
                        text.apply(&sealed.op.births, blob_id(sealed), &t.update);
                    }
                }
            }
        }
        for ((key, _), text) in &mut fold.texts {
            let entity = &fold.entities[key];
            text.retain(|b| !entity.is_dead(b));
        }
        fold
    }

    /// What has fallen above a child.
    pub fn under(&self, key: &EntityKey) -> UnderParent {
        let parent = self.entities.get(key).and_then(|e| e.parent());
        let Some(parent) = parent else { return UnderParent::default() };
        let parent = EntityKey::new(key.home.clone(), parent.kind, parent.id.clone());
        let fallen = self.entities.get(&parent).map(|e| e.fallen(&Living)).unwrap_or_default();
        UnderParent { fallen }
    }

    pub fn exists(&self, key: &EntityKey) -> bool {
        self.entities.get(key).is_some_and(|e| e.exists(&self.under(key)))
    }

    /// The scopes that hold an entity.
    pub fn scopes(&self, ids: &Ids, key: &EntityKey) -> BTreeSet<Scope> {
        let mut scopes = BTreeSet::from([key.home.clone()]);
        if !self.exists(key) {
            return scopes;
        }
        let root = match self.entities[key].parent() {
            Some(p) => EntityKey::new(key.home.clone(), p.kind, p.id.clone()),
            None => key.clone(),
        };
        if root.kind != ids.order || !self.exists(&root) {
            return scopes;
        }
        let register = |f: FieldId| {
            let write = self.entities[&root].register(f, &Living);
            write.and_then(|w| w.value.as_text().map(str::to_owned))
        };
        scopes.extend(register(ids.customer).map(|c| Scope::from(format!("customer/{c}"))));
        let w = root.home.strip_prefix("w/").expect("an order's home");
        scopes.extend(register(ids.driver).map(|d| Scope::from(format!("driver/{d}/{w}"))));
        scopes
    }
}

pub fn check(evidence: &Evidence) -> Option<Finding> {
    let fold = Fold::of(evidence);
    evidence.regions.iter().find_map(|region| {
        let message = differs(&evidence.app.ids, &fold, region)?;
        Some(Finding::new("convergence", "I3", format!("{}: {message}", region.name)))
    })
}

fn differs(ids: &Ids, fold: &Fold, region: &Region) -> Option<String> {
    let none = codec::to_bytes(&Entity::default());
    let mut seen = BTreeSet::new();
    for (key, record) in &region.entities {
        seen.insert(key.clone());
        let expected = fold.entities.get(key).map_or(none.clone(), codec::to_bytes);
        if codec::to_bytes(&record.entity) != expected {
            let (ours, theirs) = (&record.entity, fold.entities.get(key));
            return Some(format!("{key:?} is {ours:?} and should be {theirs:?}"));
        }
        let scopes = fold.scopes(ids, key);
        if record.scopes != scopes && fold.entities.contains_key(key) {
            return Some(format!("{key:?} is in {:?} and should be in {scopes:?}", record.scopes));
        }
    }
    if let Some(key) = fold.entities.keys().find(|k| !seen.contains(*k)) {
        return Some(format!("{key:?} is missing"));
    }
    let mut texts = region.texts.clone();
    for (at, expected) in &fold.texts {
        let mut text = texts.remove(at).unwrap_or_default();
        let entity = &fold.entities[&at.0];
        text.retain(|b| !entity.is_dead(b));
        if text.canonical() != expected.canonical() {
            return Some(format!("the text of {:?} differs", at.0));
        }
    }
    // What is left in the region, nobody wrote; but for what died with its births.
    texts.into_iter().find_map(|((key, _), mut text)| {
        text.retain(|b| !fold.entities.get(&key).is_some_and(|e| e.is_dead(b)));
        (!text.is_empty()).then(|| format!("{key:?} has a text that nobody wrote"))
    })
}
