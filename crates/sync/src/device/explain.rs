//! Why a row shows on this device, or does not.
//!
//! Asked by an app's support screen or by a person at a terminal, and answered from the file alone:
//! nothing is sent and nothing is written. What the file cannot tell is said to be unknown and not
//! guessed. An absent row is the hard case: it may never have been made, or not be subscribed, or
//! not have come yet, or have been left out or evicted, and a device that holds a part of a scope
//! knows nothing of the rest. So the answer names the first reason that the file gives, in the order
//! of [`Answer`], and [`Explanation::scopes`] has what is known of each scope that could hold it.

use super::call::Call;
use super::store::{Deletion, OpState, OwnOp, Store, Terms};
use super::view::{Merged, PARENTS_MAX};
use landfall_model::entity::{Living, UnderParent};
use landfall_model::id::{Dot, EntityKey, FieldId, RegionId, Scope};
use landfall_model::op::Action;
use landfall_model::schema::Home;
use landfall_model::stamp::{Hlc, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// All that this device knows of why an entity shows or does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The entity. Its home is empty where only type and id are known.
    pub key: EntityKey,
    /// The one reason that counts.
    pub answer: Answer,
    /// Its home, the audiences that its fields name, and subscribed scopes that could hold it.
    pub scopes: Vec<ScopeState>,
    /// Audiences that could hold it, as the schema writes them: `driver/{driver}`.
    pub audiences: Vec<String>,
    /// The app wants it kept.
    pub pinned: bool,
    /// Who wrote each register that shows, last.
    pub fields: Vec<FieldWrite>,
    /// Own writes on it that are kept, in their order.
    pub writes: Vec<OwnWrite>,
    /// Its deletion, if this device made it or was told of it while the row was here.
    pub deletion: Option<Deletion>,
    /// The region that a session is open with.
    pub region: Option<RegionId>,
    /// Some region has been heard to the end of some scope of those above.
    pub any_region_heard: bool,
}

/// Why it shows or does not. Of several reasons the first in this order is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It shows.
    Present {
        /// A region's row is here. Otherwise own writes alone show.
        confirmed: bool,
        /// Own writes over the region's row.
        own_writes: usize,
    },
    /// It was deleted.
    Deleted {
        /// By an own write; `None` if by others, or by an own write that is settled since.
        by: Option<OwnDelete>,
    },
    /// An entity above it was deleted, and it went with that.
    FellWith {
        /// The one that was deleted.
        parent: EntityKey,
    },
    /// The own write that created it was refused.
    Rejected {
        /// The write.
        dot: Dot,
        /// The region's word for it.
        code: String,
        /// The field that is to blame.
        field: Option<FieldId>,
        /// For people.
        detail: String,
    },
    /// It left this device: it moved out of a scope, or access to that was lost.
    Left {
        /// The scope.
        scope: Scope,
    },
    /// A region refused a scope that could hold it.
    Denied {
        /// The scope.
        scope: Scope,
        /// The region's word for it.
        code: String,
    },
    /// It is to be asked for by name.
    Asked {
        /// Where.
        scope: Scope,
    },
    /// A scope that could hold it is still loading.
    Loading {
        /// The scope.
        scope: Scope,
    },
    /// Rows of a scope that could hold it were evicted, or left out for want of room.
    NoRoom {
        /// The scope.
        scope: Scope,
        /// This device made it, so it was here once.
        was_here: bool,
    },
    /// The subscription holds a part of its scope: it may be older than that.
    OutsideWindow {
        /// The scope.
        scope: Scope,
        /// What is older is not held, in milliseconds.
        keep_ms: u64,
    },
    /// Every scope that could hold it and is subscribed is here in full, and has no such row.
    NotThere {
        /// The regions were last heard at this time, in milliseconds since 1970.
        as_of_ms: i64,
    },
    /// No scope that could hold it is subscribed, and this device has never heard of it.
    NotSubscribed,
}

/// An own write that deleted an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDelete {
    /// The write.
    pub dot: Dot,
    /// When it was made.
    pub stamp: Stamp,
    /// The account that made it.
    pub principal: String,
}

/// What is known of a scope that holds the entity, or could.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeState {
    /// The scope.
    pub scope: Scope,
    /// What makes it one of them.
    pub why: Why,
    /// It holds the row on this device.
    pub holds: bool,
    /// `None` if it is not subscribed.
    pub subscription: Option<SubscriptionState>,
}

/// What makes a scope one that could hold an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is its home.
    Home,
    /// Its fields, as this device knows them, name it as an audience.
    Named,
    /// It is subscribed, and an audience of the type, or its home where that is not known, has such
    /// names.
    Possible,
}

/// How far a subscription is.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionState {
    /// A region refused it, with this word.
    pub denied: Option<String>,
    /// Its first pass, or a long one, is under way.
    pub loading: bool,
    /// What it holds.
    pub terms: Terms,
    /// Rows were evicted or left out for want of room.
    pub short: bool,
    /// It was last heard to its end at this time, in milliseconds since 1970; 0 if never.
    pub as_of_ms: i64,
    /// The entity is to be asked for by name.
    pub asked: bool,
}

/// The write that shows in a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldWrite {
    /// The register.
    pub field: FieldId,
    /// The write.
    pub dot: Dot,
    /// Its stamp; the device is the writer's.
    pub stamp: Stamp,
    /// It was made on this file.
    pub own: bool,
    /// The write under it in the region's row, where the one that shows is not in it yet.
    pub over: Option<Stamp>,
}

/// An own write, and what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnWrite {
    /// The write.
    pub dot: Dot,
    /// What it does.
    pub what: WriteKind,
    /// Where it stands.
    pub state: OpState,
    /// It is applied over the region's row.
    pub shows: bool,
    /// When it was made.
    pub hlc: Hlc,
    /// Why it is not further.
    pub waits: Vec<Wait>,
}

/// What a write does to its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// It creates it.
    Create,
    /// It changes fields.
    Update,
    /// It deletes it.
    Delete,
}

/// What a write waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// There is no session with a region.
    Session,
    /// An own write that it stands on.
    Write(Dot),
    /// Its stamp lies ahead of the regions' time.
    Time,
    /// Its turn: nothing else is in its way.
    Turn,
    /// The answer of these regions.
    Answer(Vec<RegionId>),
    /// As many regions as are asked for.
    Copies,
    /// The row that has it in it.
    Row,
}

impl<S: Store> Call<'_, S> {
    pub fn explain(mut self, key: &EntityKey) -> Result<Explanation, S::Error> {
        let (merged, standing) = self.reader.read(self.store, key)?;
        let merged = merged.clone();
        let scopes = self.scope_states(key, &merged)?;
        let answer = match merged.entity.exists(&standing) {
            true => Answer::Present {
                confirmed: merged.base.as_ref().is_some_and(|b| b.entity.exists(&standing)),
                own_writes: merged.overlay().count(),
            },
            false => match self.gone(key, &merged)? {
                Some(answer) => answer,
                None => self.absent(key, &merged, &scopes)?,
            },
        };
        let root = self.schema.root(key.kind).cloned();
        let audiences = root.iter().flat_map(|t| &t.audiences).map(|a| a.scope.source.clone());
        Ok(Explanation {
            audiences: audiences.collect(),
            answer,
            pinned: self.store.is_pinned(key)?,
            fields: self.field_writes(&merged, &standing),
            writes: self.own_writes(&merged)?,
            deletion: self.store.deletion(key)?,
            region: self.node.session.as_ref().and_then(|s| s.region),
            any_region_heard: scopes.iter().any(|s| s.heard_ms() > 0),
            scopes,
            key: key.clone(),
        })
    }

    /// What took it away, if something is known to have.
    fn gone(&mut self, key: &EntityKey, merged: &Merged) -> Result<Option<Answer>, S::Error> {
        if merged.entity.living().next().is_some() {
            return Ok(self.fallen_above(key)?.map(|parent| Answer::FellWith { parent }));
        }
        let deletes = |own: &&OwnOp| own.sealed.op.action == Action::Delete && own.overlay;
        if let Some(own) = merged.ops.iter().rev().find(deletes) {
            let op = &own.sealed.op;
            let (dot, stamp, principal) = (op.dot, op.stamp(), op.principal.to_string());
            return Ok(Some(Answer::Deleted { by: Some(OwnDelete { dot, stamp, principal }) }));
        }
        let dead = !merged.entity.fallen(&Living).is_empty();
        Ok(dead.then_some(Answer::Deleted { by: None }))
    }

    /// The nearest entity above this one that is gone.
    fn fallen_above(&mut self, key: &EntityKey) -> Result<Option<EntityKey>, S::Error> {
        let mut key = key.clone();
        for _ in 0..PARENTS_MAX {
            let merged = self.reader.merged(self.store, &key)?;
            let Some(parent) = merged.entity.parent() else { return Ok(None) };
            key = EntityKey::new(key.home.clone(), parent.kind, parent.id.clone());
            if self.reader.merged(self.store, &key)?.entity.living().next().is_none() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Why it is not here, where nothing says that it is gone.
    fn absent(
        &mut self,
        key: &EntityKey,
        merged: &Merged,
        scopes: &[ScopeState],
    ) -> Result<Answer, S::Error> {
        let refused = |own: &OwnOp| match &own.state {
            OpState::Rejected { code, field, detail } if own.sealed.op.is_create() => {
                let (dot, code) = (own.sealed.op.dot, code.clone());
                Some(Answer::Rejected { dot, code, field: *field, detail: detail.clone() })
            }
            _ => None,
        };
        if let Some(answer) = merged.ops.iter().rev().find_map(refused) {
            return Ok(answer);
        }
        let removed = self.store.removed()?.into_iter().find(|(_, k, _)| k == key);
        if let Some((scope, ..)) = removed {
            return Ok(Answer::Left { scope });
        }
        let was_here = self.store.own_birth(key)?.is_some();
        Ok(absent_from(scopes, was_here))
    }

    fn scope_states(
        &mut self,
        key: &EntityKey,
        merged: &Merged,
    ) -> Result<Vec<ScopeState>, S::Error> {
        let mut why: BTreeMap<Scope, Why> = BTreeMap::new();
        let root = self.schema.root(key.kind).cloned();
        let subscriptions: BTreeMap<_, _> = self.store.subscriptions()?.into_iter().collect();
        for scope in subscriptions.keys() {
            let mut audiences = root.iter().flat_map(|t| &t.audiences);
            let home = |home: &Home| match home {
                Home::Scope(template) => key.home.is_empty() && template.could_render(scope),
                Home::Parent { .. } => false,
            };
            let as_home = root.as_ref().is_some_and(|t| home(&t.home));
            if as_home || audiences.any(|a| a.scope.could_render(scope)) {
                why.insert(scope.clone(), Why::Possible);
            }
        }
        let holds = merged.base.as_ref().map(|b| b.holds.clone()).unwrap_or_default();
        let named: BTreeSet<Scope> = self.reader.scopes(self.store, key)?;
        why.extend(named.into_iter().chain(holds.iter().cloned()).map(|s| (s, Why::Named)));
        why.insert(key.home.clone(), Why::Home);
        why.retain(|scope, _| !scope.is_empty());
        let mut states = Vec::new();
        for (scope, why) in why {
            let subscription = match subscriptions.get(&scope) {
                None => None,
                Some(sub) => Some(SubscriptionState {
                    denied: sub.denied.clone(),
                    loading: sub.loading,
                    terms: sub.terms,
                    short: sub.short,
                    as_of_ms: sub.synced_ms,
                    asked: self.is_asked_for(&scope, key)?,
                }),
            };
            states.push(ScopeState { holds: holds.contains(&scope), scope, why, subscription });
        }
        Ok(states)
    }

    fn is_asked_for(&mut self, scope: &Scope, key: &EntityKey) -> Result<bool, S::Error> {
        // The walk gives what stands behind a key: the least one behind its predecessor is it, if
        // it is there at all.
        let mut after: Option<EntityKey> = None;
        loop {
            let page = self.store.refetches(scope, after.as_ref(), super::call::OPS_PER_READ)?;
            if page.binary_search(key).is_ok() {
                return Ok(true);
            }
            match page.last() {
                Some(last) if last < key => after = Some(last.clone()),
                _ => return Ok(false),
            }
        }
    }

    fn field_writes(&self, merged: &Merged, standing: &UnderParent) -> Vec<FieldWrite> {
        let entity = &merged.entity;
        let base = merged.base.as_ref().map(|b| &b.entity);
        let write = |field| {
            let shows = entity.register(field, standing)?;
            let below = base.and_then(|b| b.register(field, standing)).map(|w| w.stamp);
            Some(FieldWrite {
                field,
                dot: Dot::new(shows.stamp.device, shows.seq),
                stamp: shows.stamp,
                own: self.is_own(shows.stamp.device),
                over: below.filter(|below| *below != shows.stamp),
            })
        };
        entity.register_fields().filter_map(write).collect()
    }

    fn own_writes(&mut self, merged: &Merged) -> Result<Vec<OwnWrite>, S::Error> {
        let mut writes = Vec::new();
        for own in &merged.ops {
            let op = &own.sealed.op;
            let what = match op.action {
                Action::Create { .. } => WriteKind::Create,
                Action::Delete => WriteKind::Delete,
                Action::Update(_) | Action::Void => WriteKind::Update,
            };
            writes.push(OwnWrite {
                dot: op.dot,
                what,
                state: own.state.clone(),
                shows: own.overlay,
                hlc: op.hlc,
                waits: self.waits(own)?,
            });
        }
        Ok(writes)
    }

    fn waits(&mut self, own: &OwnOp) -> Result<Vec<Wait>, S::Error> {
        let mut waits = Vec::new();
        let online = self.node.session.as_ref().is_some_and(|s| s.region.is_some());
        match &own.state {
            OpState::Unsent => {
                let tx = own.sealed.op.tx;
                let mut needs: BTreeSet<Dot> = BTreeSet::new();
                for op in self.transaction(own.sealed.op.device(), tx.first, tx.last())? {
                    needs.extend(op.sealed.op.needs.iter().copied());
                }
                let mates = tx.first..=tx.last();
                needs.retain(|d| d.device != own.sealed.op.device() || !mates.contains(&d.seq));
                for need in needs {
                    let open = |o: OwnOp| matches!(o.state, OpState::Unsent | OpState::Sent { .. });
                    if self.store.op(need)?.is_some_and(open) {
                        waits.push(Wait::Write(need));
                    }
                }
                if own.sealed.op.hlc > self.highest_stamp() {
                    waits.push(Wait::Time);
                }
                if !online {
                    waits.push(Wait::Session);
                }
                if waits.is_empty() {
                    waits.push(Wait::Turn);
                }
            }
            OpState::Sent { regions, refused_by } => {
                waits.push(Wait::Answer(regions.difference(refused_by).copied().collect()));
                if !online {
                    waits.push(Wait::Session);
                }
            }
            OpState::Accepted { .. } => waits.push(Wait::Copies),
            OpState::Durable { .. } if own.overlay => waits.push(Wait::Row),
            OpState::Durable { .. } | OpState::Rejected { .. } => {}
        }
        Ok(waits)
    }
}

impl ScopeState {
    fn heard_ms(&self) -> i64 {
        self.subscription.as_ref().map_or(0, |s| s.as_of_ms)
    }
}

/// Why a row may be missing in a subscribed scope.
type Reason<'r> = dyn Fn(&Scope, &SubscriptionState) -> Option<Answer> + 'r;

/// The first reason, in the order of [`Answer`], that some scope gives.
fn absent_from(scopes: &[ScopeState], was_here: bool) -> Answer {
    let subscribed = || scopes.iter().filter_map(|s| Some((&s.scope, s.subscription.as_ref()?)));
    let reasons: [&Reason<'_>; 5] = [
        &|scope, sub| {
            let code = sub.denied.clone()?;
            Some(Answer::Denied { scope: scope.clone(), code })
        },
        &|scope, sub| sub.asked.then(|| Answer::Asked { scope: scope.clone() }),
        &|scope, sub| sub.loading.then(|| Answer::Loading { scope: scope.clone() }),
        &|scope, sub| {
            let bounded = sub.short || sub.terms.is_bounded();
            bounded.then(|| Answer::NoRoom { scope: scope.clone(), was_here })
        },
        &|scope, sub| {
            let keep_ms = sub.terms.keep_ms?;
            Some(Answer::OutsideWindow { scope: scope.clone(), keep_ms })
        },
    ];
    for reason in reasons {
        if let Some(answer) = subscribed().find_map(|(scope, sub)| reason(scope, sub)) {
            return answer;
        }
    }
    let heard = subscribed().map(|(_, sub)| sub.as_of_ms).min();
    heard.map_or(Answer::NotSubscribed, |as_of_ms| Answer::NotThere { as_of_ms })
}

/// The home scope of an entity whose id alone names it; `None` if more than that is needed.
pub fn home_by_id(home: &Home, id_field: Option<FieldId>, id: &str) -> Option<Scope> {
    let Home::Scope(template) = home else { return None };
    let id = landfall_model::value::Value::text(id);
    template.render(|f| (Some(f) == id_field).then_some(&id))
}
