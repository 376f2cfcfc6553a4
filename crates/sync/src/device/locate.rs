//! Which entity does an upsert mean, and is it there?

use super::check::{Wanted, WantedFields};
use super::node::Name;
use super::refused::{Problem, WriteError};
use super::store::Store;
use super::write::{Draft, Target};
use landfall_model::id::{Dot, EntityKey, FieldId, TypeId};
use landfall_model::op::Parent;
use landfall_model::schema::{EntityType, Home};
use landfall_model::value::Value;

type Written<T, E> = Result<T, WriteError<E>>;

impl<S: Store> Draft<'_, '_, S> {
    /// The entity's key, and what the upsert does to it.
    pub fn locate(
        &mut self,
        kind: &EntityType,
        id: &str,
        wanted: &WantedFields,
    ) -> Written<(EntityKey, Target), S::Error> {
        match &kind.home {
            Home::Scope(template) => {
                let id_value = Value::text(id);
                let value = |f: FieldId| match wanted.get(&f) {
                    _ if Some(f) == kind.id_field() => Some(&id_value),
                    Some(Wanted::Put(v)) => Some(v),
                    _ => None,
                };
                let key = match template.render(value) {
                    Some(home) => EntityKey::new(home, kind.id, id),
                    None => match self.one_of(kind.id, id)? {
                        Some(key) => key,
                        None => {
                            let given = |f: FieldId| match value(f) {
                                Some(Value::Text(s)) => !s.is_empty(),
                                other => matches!(other, Some(Value::Int(_))),
                            };
                            let missing = template.fields().find(|f| !given(*f));
                            let field = missing.and_then(|f| kind.field(f));
                            let name = field.map(|f| f.name.clone());
                            return self.refuse((name, Problem::NoHome));
                        }
                    },
                };
                let target = self.target(&key, None)?;
                Ok((key, target))
            }
            Home::Parent { field, kind: above } => {
                let given = match wanted.get(field) {
                    Some(Wanted::Put(Value::Text(id))) => Some(id.clone()),
                    _ => None,
                };
                let name = || kind.field(*field).map(|f| f.name.clone());
                let Some(parent_id) = given else {
                    return match self.one_of(kind.id, id)? {
                        Some(key) => {
                            let target = self.target(&key, None)?;
                            match target {
                                Target::Update { .. } => Ok((key, target)),
                                Target::Create(_) => self.refuse((name(), Problem::Required)),
                            }
                        }
                        None => self.refuse((name(), Problem::Required)),
                    };
                };
                let Some(parent) = self.parent(kind.id, id, *above, &parent_id)? else {
                    return self.refuse((name(), Problem::UnknownParent));
                };
                let key = EntityKey::new(parent.home.clone(), kind.id, id);
                let births = self.call.reader.merged(self.call.store, &parent)?.entity.living();
                let births: Vec<Dot> = births.collect();
                let parent = Parent { kind: *above, id: parent.id, births };
                let target = self.target(&key, Some(parent))?;
                Ok((key, target))
            }
        }
    }

    /// The standing parent of this id. Where several home scopes have one, the one under which the
    /// child already is.
    fn parent(
        &mut self,
        child: TypeId,
        child_id: &str,
        kind: TypeId,
        id: &str,
    ) -> Written<Option<EntityKey>, S::Error> {
        let found = self.standing_named(kind, id)?;
        if let [only] = &found[..] {
            return Ok(Some(only.clone()));
        }
        for parent in &found {
            let child = EntityKey::new(parent.home.clone(), child, child_id);
            if self.call.reader.exists(self.call.store, &child)? {
                return Ok(Some(parent.clone()));
            }
        }
        if found.is_empty() { Ok(None) } else { self.refuse((None, Problem::Ambiguous)) }
    }

    /// The one entity of this name that is there.
    pub fn named(&mut self, name: &Name) -> Written<EntityKey, S::Error> {
        self.kind(name.kind)?;
        let mut found = self.standing_named(name.kind, &name.id)?;
        found.retain(|key| name.home.as_ref().is_none_or(|home| **home == *key.home));
        match found.pop() {
            None => self.refuse((None, Problem::NoEntity)),
            Some(key) if found.is_empty() => Ok(key),
            Some(_) => self.refuse((None, Problem::Ambiguous)),
        }
    }

    fn one_of(&mut self, kind: TypeId, id: &str) -> Written<Option<EntityKey>, S::Error> {
        let mut found = self.standing_named(kind, id)?;
        if found.len() > 1 {
            return self.refuse((None, Problem::Ambiguous));
        }
        Ok(found.pop())
    }

    /// Entities of this type and id that are there, those of the draft included.
    fn standing_named(&mut self, kind: TypeId, id: &str) -> Result<Vec<EntityKey>, S::Error> {
        let mut keys = self.call.store.find(kind, id)?;
        keys.extend(self.drafted_keys().filter(|k| k.kind == kind && *k.id == *id).cloned());
        keys.sort();
        keys.dedup();
        let mut standing = Vec::new();
        for key in keys {
            if self.call.reader.exists(self.call.store, &key)? {
                standing.push(key);
            }
        }
        Ok(standing)
    }

    /// An entity that is there is updated. One that is not may have been evicted: if this device
    /// gave birth to it and saw no death, that birth is named, so that no second one is made.
    fn target(&mut self, key: &EntityKey, parent: Option<Parent>) -> Result<Target, S::Error> {
        let own = self.call.store.own_birth(key)?;
        let (merged, standing) = self.call.reader.read(self.call.store, key)?;
        let entity = &merged.entity;
        if entity.exists(&standing) {
            return Ok(Target::Update { births: entity.living().collect(), known: true });
        }
        // A birth that lives and does not stand has fallen with its parent.
        let evicted = |b: &Dot| !entity.is_dead(*b) && entity.living().all(|l| l != *b);
        Ok(match own.filter(evicted) {
            Some(birth) => Target::Update { births: vec![birth], known: false },
            None => Target::Create(parent),
        })
    }
}
