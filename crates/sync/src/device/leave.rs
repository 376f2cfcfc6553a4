//! Rows that go: because an audience field moved on, because access was lost, or because the app
//! does not want the scope any more.
//!
//! A row goes with the last scope that holds it; until then only the columns go that no other
//! scope shows.

use super::call::Call;
use super::install::Snapshot;
use super::store::{Base, OpState, OwnOp, Store};
use super::view::{knows_scope, shows};
use crate::wire;
use crate::wire::device_frame::Kind;
use landfall_model::id::{EntityKey, Scope};
use landfall_model::schema::Merge;
use landfall_model::text::Text;
use landfall_model::vector::Vector;

/// Keys read at a time when all of a scope's are walked.
const KEYS_PER_READ: usize = 512;

/// What becomes of writes on a row that goes and that were never sent.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unsent {
    /// They end with an outcome: the region would refuse them.
    End,
    /// They are still sent.
    Keep,
}

impl<S: Store> Call<'_, S> {
    /// The region says that the entity is not in the scope. True if that settles it.
    pub fn leave(
        &mut self,
        key: &EntityKey,
        touch: &Vector,
        from: &Snapshot,
    ) -> Result<bool, S::Error> {
        let Some(base) = self.store.base(key)? else {
            self.leave_unheld(key, touch, from)?;
            self.drop_fallen(key, 0)?;
            return Ok(true);
        };
        if !from.covers(touch, &base.known()) {
            if base.holds.contains(&from.scope) {
                self.store.add_refetch(&from.scope, key)?;
            }
            return Ok(false);
        }
        if base.holds.contains(&from.scope) {
            self.show_lost(key, from)?;
            if self.let_go(key, base, &from.scope, Unsent::End)? {
                self.store.add_removed(&from.scope, key, touch)?;
            }
        }
        self.drop_fallen(key, 0)?;
        Ok(true)
    }

    /// No row was here, but an own op may show: one that was accepted and did not bring the entity
    /// into any scope of this device.
    fn leave_unheld(
        &mut self,
        key: &EntityKey,
        touch: &Vector,
        from: &Snapshot,
    ) -> Result<(), S::Error> {
        let mut scopes = self.reader.scopes(self.store, key)?;
        scopes.remove(&from.scope);
        let subscribed = self.subscribed()?;
        if scopes.iter().any(|s| subscribed.contains(s)) {
            return Ok(());
        }
        for own in self.store.ops_on(key)? {
            let known = match own.state {
                OpState::Accepted { position } | OpState::Durable { position } => {
                    self.vouched(own.sealed.op.dot) || touch.contains(position)
                }
                _ => false,
            };
            if own.overlay && known && from.has(own.sealed.op.dot) {
                self.leave_overlay(own)?;
                self.touch_family(key)?;
            }
        }
        Ok(())
    }

    /// Own ops that were in the base row and that this region lacks are applied over what is left:
    /// another region held them, and was lost.
    fn show_lost(&mut self, key: &EntityKey, from: &Snapshot) -> Result<(), S::Error> {
        for own in self.store.ops_on(key)? {
            if own.in_outbox() && !own.overlay && !from.has(own.sealed.op.dot) {
                self.put_op_state(&OwnOp { overlay: true, ..own })?;
            }
        }
        Ok(())
    }

    /// Take a scope off a row. True if that was the last one.
    pub fn let_go(
        &mut self,
        key: &EntityKey,
        mut base: Base,
        scope: &Scope,
        unsent: Unsent,
    ) -> Result<bool, S::Error> {
        base.holds.remove(scope);
        if base.holds.is_empty() && *scope != key.home && self.holds_all_of(&key.home)? {
            // The home scope holds it too; its row is only late. A first pass leaves out what is
            // gone by then, so it is asked for by name.
            base.holds.insert(key.home.clone());
            self.store.add_refetch(&key.home, key)?;
        }
        self.store.remove_refetch(scope, key)?;
        self.reader.forget(key);
        self.touch_family(key)?;
        if !base.holds.is_empty() {
            self.drop_columns(key, base)?;
            return Ok(false);
        }
        self.store.remove_base(key)?;
        self.store.put_deletion(key, None)?;
        for field in self.text_fields(key) {
            self.store.put_base_text(key, field, &Text::default())?;
            self.store.put_text_mark(key, field, None)?;
        }
        let mut ended = Vec::new();
        for own in self.store.ops_on(key)? {
            match own.state {
                OpState::Rejected { .. } => {}
                _ if !own.overlay || self.will_show(&own.sealed.op)? => {}
                OpState::Unsent if unsent == Unsent::End => ended.push(own),
                OpState::Unsent => {}
                // A write that is on its way still shows, where nobody took the row away.
                OpState::Sent { .. } | OpState::Accepted { .. } if unsent == Unsent::Keep => {}
                _ => self.leave_overlay(own)?,
            }
        }
        self.end_left(&ended)?;
        Ok(true)
    }

    /// The scope is subscribed, and all of it is held.
    pub fn holds_all_of(&mut self, scope: &Scope) -> Result<bool, S::Error> {
        let sub = self.store.subscription(scope)?;
        Ok(sub.is_some_and(|sub| sub.denied.is_none() && !sub.is_partial()))
    }

    /// Drop the columns that no remaining scope shows.
    fn drop_columns(&mut self, key: &EntityKey, mut base: Base) -> Result<(), S::Error> {
        let schema = self.schema.clone();
        let shown = |f| base.holds.iter().any(|s| shows(&schema, key, s, f));
        base.entity = base.entity.clone().only(shown);
        for field in self.text_fields(key) {
            if !shown(field) {
                self.store.put_base_text(key, field, &Text::default())?;
                self.store.put_text_mark(key, field, None)?;
            }
        }
        // What an audience shows that this schema does not know, only its region can say.
        for scope in base.holds.iter().filter(|s| !knows_scope(&schema, key, s)) {
            self.store.add_refetch(scope, key)?;
        }
        self.store.put_base(key, &base)?;
        self.store.put_deletion(key, None)?;
        for own in self.store.ops_on(key)? {
            let durable = matches!(own.state, OpState::Durable { .. });
            if durable && !self.will_show(&own.sealed.op)? {
                self.leave_overlay(own)?;
            }
        }
        Ok(())
    }

    fn text_fields(&self, key: &EntityKey) -> Vec<landfall_model::id::FieldId> {
        let kind = self.schema.entity(key.kind);
        let fields = kind.into_iter().flat_map(|k| &k.fields);
        fields.filter(|f| f.merge == Merge::Text).map(|f| f.id).collect()
    }

    /// Access to the scope was lost: its rows leave the disk.
    pub fn purge(&mut self, scope: &Scope) -> Result<(), S::Error> {
        self.let_go_all(scope, Unsent::End)
    }

    /// The app lets go of the scope. Its writes are kept: nobody took away the right to make them.
    pub fn unsubscribe(&mut self, scope: &str) -> Result<(), S::Error> {
        if self.store.subscription(scope)?.is_none() {
            return Ok(());
        }
        let scope: Scope = scope.into();
        self.store.remove_subscription(&scope)?;
        self.forget_subscribed();
        if let Some(sub) = self.number_of(&scope) {
            self.node.session.as_mut().and_then(|s| s.subs.remove(&sub));
            self.send(Kind::Unsubscribe(wire::Unsubscribe { sub }));
        }
        self.let_go_all(&scope, Unsent::Keep)
    }

    fn let_go_all(&mut self, scope: &Scope, unsent: Unsent) -> Result<(), S::Error> {
        loop {
            let keys = self.store.held_by(scope, None, KEYS_PER_READ)?;
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let base = self.store.base(&key)?.unwrap_or_default();
                self.let_go(&key, base, scope, unsent)?;
            }
        }
        loop {
            let keys = self.store.refetches(scope, None, KEYS_PER_READ)?;
            if keys.is_empty() {
                break;
            }
            for key in keys {
                self.store.remove_refetch(scope, &key)?;
            }
        }
        for (of, key, _) in self.store.removed()? {
            if of == *scope {
                self.store.forget_removed(&of, &key)?;
            }
        }
        self.store.forget_deletions(scope)?;
        let ops = self.all_ops()?;
        self.drop_unshown(ops)
    }

    /// Durable own ops that were kept for a row which will now never come.
    pub fn drop_unshown(&mut self, ops: Vec<OwnOp>) -> Result<(), S::Error> {
        for own in ops {
            let durable = matches!(own.state, OpState::Durable { .. }) && own.overlay;
            if durable && !self.will_show(&own.sealed.op)? {
                let key = own.sealed.op.key.clone();
                self.leave_overlay(own)?;
                self.touch_family(&key)?;
            }
        }
        Ok(())
    }
}
