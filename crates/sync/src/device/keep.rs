//! How much of a scope is held: windows, budgets, pins, and making room.
//!
//! A cursor says what was considered, not what is held. A device that holds part of a scope hears
//! of every change in it like any other, and takes in what belongs to its part; so a row that is
//! here is as fresh as the cursor, and of one that is not here nothing is known. Three things make
//! a part of a scope: a window (what is young enough), a budget (a first pass ends when it is
//! full), and eviction.
//!
//! Nothing here ever says that an entity is gone. A row goes with its family, the parent at the
//! top and all below it; rows that the app pinned, and rows with own writes that are not yet safe
//! and in the base row, stay with their families. Children that come by themselves are taken in
//! only under a parent that is here. Where a row comes back after it was evicted, what was missed
//! of its texts is asked for by name; and from a region that is behind the cursor it is not taken
//! at all, so that no row goes back in time unseen.

use super::call::Call;
use super::install::{Row, Snapshot};
use super::leave::Unsent;
use super::store::{Held, OwnOp, Store, Subscription, Terms};
use super::view::{PARENTS_MAX, parent_of};
use crate::mutant::{self, Mutant};
use landfall_model::codec;
use landfall_model::entity::{Entity, UnderParent};
use landfall_model::id::{EntityKey, FieldId, Scope, TypeId};
use landfall_model::schema::{EntityType, LOCAL_HOME};
use landfall_model::value::Value;
use std::collections::BTreeMap;

/// Rows let go of in one transaction of tidying.
const TIDY_ROWS: usize = 1_000;

/// Rows of a scope read at a time.
const ROWS_PER_READ: usize = 512;

/// What a partial subscription has room for, while one delta is taken in.
#[derive(Debug)]
pub(super) struct Room {
    terms: Terms,
    /// Per type, the window field and the lowest value that is young enough.
    floors: BTreeMap<TypeId, (FieldId, Value)>,
    held: Held,
    /// Rows were evicted, or left out now.
    pub short: bool,
    /// The region covers the cursor.
    covering: bool,
    live: bool,
}

/// What becomes of a row.
#[derive(Debug, PartialEq)]
pub(super) enum Admit {
    Take,
    Skip,
    /// It is here, or must come, and not in this form.
    Ask,
}

impl Room {
    fn is_full(&self) -> bool {
        let over = |most: Option<u64>, held| {
            most.is_some_and(|most| held >= most) && !mutant::active(Mutant::BudgetIgnored)
        };
        over(self.terms.rows_max, self.held.rows) || over(self.terms.bytes_max, self.held.bytes)
    }
}

impl<S: Store> Call<'_, S> {
    /// `None` where the whole scope is held.
    pub fn room(
        &mut self,
        scope: &Scope,
        sub: &Subscription,
        covering: bool,
        live: bool,
    ) -> Result<Option<Room>, S::Error> {
        if !sub.is_partial() {
            return Ok(None);
        }
        let terms = sub.terms;
        let held = if terms.is_bounded() { self.store.held(scope)? } else { Held::default() };
        let floors = self.floors(terms);
        Ok(Some(Room { terms, floors, held, short: sub.short, covering, live }))
    }

    fn floors(&self, terms: Terms) -> BTreeMap<TypeId, (FieldId, Value)> {
        // Until a region has told the time, the clock may be off by years, and what it makes go would
        // not be asked for again. A row that is too old goes a little later.
        let told = self.node.session.as_ref().is_some_and(|s| s.round_trip.is_some());
        let Some(keep_ms) = terms.keep_ms.filter(|_| told) else { return BTreeMap::new() };
        let floor_ms = self.server_now().saturating_sub_unsigned(keep_ms);
        let floor = |t: &EntityType| Some((t.id, t.window_floor(floor_ms)?));
        self.schema.types.values().filter_map(|t| floor(t)).collect()
    }

    /// Whether a row of a delta belongs to the part of the scope that is held.
    pub fn admit(
        &mut self,
        row: &Row,
        from: &Snapshot,
        room: &mut Room,
    ) -> Result<Admit, S::Error> {
        let key = &row.key;
        let here = self.holds(key, &from.scope)?;
        let wanted = self.is_wanted(key)?;
        if row.outside {
            // The region sent no state: of a row that must stay, it is asked for.
            let stays = wanted || here && !self.evict(key, &from.scope)?;
            return Ok(if stays { Admit::Ask } else { Admit::Skip });
        }
        // A deletion is known for ever: a later create must not take it for its own birth.
        if row.left || here || wanted || row.entity.living().next().is_none() {
            return Ok(Admit::Take);
        }
        if room.is_older(key, &row.entity) {
            return Ok(Admit::Skip);
        }
        let parent = parent_of(key, &row.entity);
        if let Some(parent) = parent.filter(|_| room.live || from.refetched.is_some())
            && !self.holds(&parent, &from.scope)?
        {
            return Ok(Admit::Skip);
        }
        if room.is_full() {
            room.short = true;
            return Ok(Admit::Skip);
        }
        if room.short && !room.covering {
            return Ok(Admit::Ask);
        }
        if room.terms.is_bounded() {
            room.held.rows += 1;
            room.held.bytes += codec::to_bytes(&row.entity).len() as u64;
        }
        Ok(Admit::Take)
    }

    fn holds(&mut self, key: &EntityKey, scope: &Scope) -> Result<bool, S::Error> {
        Ok(self.store.base(key)?.is_some_and(|b| b.holds.contains(scope)))
    }

    /// The row is pinned, or own writes on it are not yet safe and in the base row.
    fn is_wanted(&mut self, key: &EntityKey) -> Result<bool, S::Error> {
        if self.store.is_pinned(key)? && !mutant::active(Mutant::PinIgnored) {
            return Ok(true);
        }
        if mutant::active(Mutant::UnsentRowEvicted) {
            return Ok(false);
        }
        let ops = self.store.ops_on(key)?;
        Ok(ops.iter().any(|own: &OwnOp| own.overlay || own.in_outbox()))
    }

    /// The first pass of a scope has as much as there is room for: what was taken until here is as
    /// of its start, and the rest is not held.
    pub fn cut_short(
        &mut self,
        scope: &Scope,
        sub: &mut Subscription,
        room: &Room,
    ) -> Result<bool, S::Error> {
        let first = sub.pass.as_ref().is_some_and(|p| p.from.is_empty());
        if !first || !room.is_full() {
            return Ok(false);
        }
        self.end_pass(scope, sub)?;
        Ok(true)
    }

    fn end_pass(&mut self, scope: &Scope, sub: &mut Subscription) -> Result<(), S::Error> {
        let Some(pass) = sub.pass.take() else { return Ok(()) };
        // Rows behind the place where it ended may be here from before, and older than its start.
        let mut after = pass.after;
        loop {
            let rest = self.store.held_by(scope, after.as_ref(), ROWS_PER_READ)?;
            let Some(last) = rest.last() else { break };
            after = Some(last.clone());
            rest.iter().try_for_each(|key| self.store.add_refetch(scope, key))?;
        }
        sub.cursor.join(&pass.start);
        (sub.provisional, sub.loading, sub.short) = (None, false, true);
        self.evict_orphans(scope)
    }

    /// Children that came before a parent which then did not.
    fn evict_orphans(&mut self, scope: &Scope) -> Result<(), S::Error> {
        let mut after: Option<EntityKey> = None;
        loop {
            let keys = self.store.held_by(scope, after.as_ref(), ROWS_PER_READ)?;
            let Some(last) = keys.last() else { return Ok(()) };
            after = Some(last.clone());
            for key in keys {
                let base = self.store.base(&key)?.unwrap_or_default();
                let Some(parent) = parent_of(&key, &base.entity) else { continue };
                if !self.holds(&parent, scope)? {
                    self.evict(&key, scope)?;
                }
            }
        }
    }

    /// Take a row and what is below it out of a scope, here only. False if some of it must stay.
    pub fn evict(&mut self, key: &EntityKey, scope: &Scope) -> Result<bool, S::Error> {
        let mut family = vec![key.clone()];
        let mut next = 0;
        while let Some(key) = family.get(next).cloned() {
            if self.is_wanted(&key)? {
                return Ok(false);
            }
            family.extend(self.store.children(&key)?);
            next += 1;
        }
        for key in family.iter().rev() {
            if let Some(base) = self.store.base(key)?.filter(|b| b.holds.contains(scope)) {
                self.let_go(key, base, scope, Unsent::Keep)?;
            }
        }
        Ok(true)
    }

    /// The parent at the top of a row's family, as far as it is here.
    fn top(&mut self, key: &EntityKey) -> Result<EntityKey, S::Error> {
        let mut top = key.clone();
        for _ in 0..PARENTS_MAX {
            let base = self.store.base(&top)?.unwrap_or_default();
            match parent_of(&top, &base.entity) {
                Some(parent) => top = parent,
                None => break,
            }
        }
        Ok(top)
    }

    /// Let go of subscriptions whose time is over, and of rows that have grown too old. False if
    /// there is more to do than one transaction should hold.
    pub fn tidy(&mut self) -> Result<bool, S::Error> {
        let mut left = TIDY_ROWS;
        for (scope, sub) in self.store.subscriptions()? {
            let over = |ttl| self.now_ms.saturating_sub_unsigned(ttl) > sub.asked_ms;
            if sub.terms.ttl_ms.is_some_and(over) {
                self.unsubscribe(&scope)?;
                continue;
            }
            for (kind, (field, floor)) in self.floors(sub.terms) {
                let mut after = None;
                while left > 0 {
                    let most = ROWS_PER_READ.min(left);
                    let older = self.store.older(kind, field, &floor, after.as_ref(), most)?;
                    let Some(last) = older.last() else { break };
                    after = Some(last.clone());
                    for key in &older {
                        // A row that has to stay is no progress: the next call would find it again.
                        if self.holds(key, &scope)? && self.evict(key, &scope)? {
                            left -= 1;
                        }
                    }
                }
            }
        }
        Ok(left > 0)
    }

    /// Evict families until so many rows are gone: those of subscriptions of low priority first,
    /// and of one subscription those that are here for longest. A first pass that is still under
    /// way ends first. Returns how many rows went.
    pub fn make_room(&mut self, rows: usize) -> Result<usize, S::Error> {
        let mut subs = self.store.subscriptions()?;
        if mutant::active(Mutant::LocalRowEvicted) {
            subs.push((LOCAL_HOME.into(), Subscription::default()));
        }
        subs.sort_by_key(|(_, sub)| sub.terms.priority);
        let mut gone = 0;
        for (scope, mut sub) in subs {
            if gone >= rows {
                break;
            }
            if sub.pass.as_ref().is_some_and(|p| p.from.is_empty()) {
                self.end_pass(&scope, &mut sub)?;
                self.store.put_subscription(&scope, &sub)?;
                self.ask_anew_of(&scope, &sub)?;
                self.progress(&scope, sub.rows_taken, sub.rows_taken, true);
            }
            let before = gone;
            let mut kept = 0;
            while gone < rows {
                let most = ROWS_PER_READ.min(rows - gone);
                let keys = self.store.longest_held(&scope, kept, most)?;
                if keys.is_empty() {
                    break;
                }
                for key in keys {
                    if !self.holds(&key, &scope)? {
                        // It went with its family.
                        gone += 1;
                        continue;
                    }
                    let top = self.top(&key)?;
                    if self.evict(&top, &scope)? && !self.holds(&key, &scope)? {
                        gone += 1;
                    } else {
                        kept += 1;
                    }
                }
            }
            if gone > before && !sub.short {
                sub.short = true;
                self.store.put_subscription(&scope, &sub)?;
            }
        }
        Ok(gone)
    }

    /// Keep a row whatever its age and however little room there is, and ask for it if it is not
    /// here; or no longer.
    pub fn pin(&mut self, key: &EntityKey, pinned: bool) -> Result<(), S::Error> {
        self.store.put_pin(key, pinned)?;
        if !pinned || self.store.base(key)?.is_some() {
            return Ok(());
        }
        let root = self.schema.root(key.kind).cloned();
        let scopes: Vec<Scope> = self.subscribed()?.iter().cloned().collect();
        for scope in scopes {
            let audiences = root.iter().flat_map(|t| &t.audiences);
            if scope == key.home || audiences.into_iter().any(|a| a.scope.could_render(&scope)) {
                self.store.add_refetch(&scope, key)?;
                if let Some(number) = self.number_of(&scope) {
                    self.refetch(number, true)?;
                }
            }
        }
        Ok(())
    }

    /// Ask anew for what was evicted or left out.
    pub fn refill(&mut self, scope: &Scope) -> Result<(), S::Error> {
        let Some(sub) = self.store.subscription(scope)?.filter(|s| s.short) else { return Ok(()) };
        let sub = sub.from_the_start();
        self.store.put_subscription(scope, &sub)?;
        self.ask_anew_of(scope, &sub)
    }
}

impl Room {
    fn is_older(&self, key: &EntityKey, entity: &Entity) -> bool {
        let floor = self.floors.get(&key.kind);
        floor.is_some_and(|(field, floor)| {
            let age = entity.register(*field, &UnderParent::default()).map(|w| &w.value);
            EntityType::is_older(age, floor)
        })
    }
}
