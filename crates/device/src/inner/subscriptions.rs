//! What of the regions' rows is held on this device, and how far it is: in the account's file, or,
//! for a shared scope, in the one beside it.

use super::shared::SharedFile;
use super::{Inner, check_scope, room};
use crate::error::Error;
use crate::event::{Coverage, Progress};
use crate::{read, store};
use landfall_model::id::{EntityKey, TypeId};
use landfall_sync::device::store::{Store, Terms};
use std::collections::BTreeSet;

impl Inner {
    pub fn subscribe(&self, scope: &str, terms: Terms) -> Result<(), Error> {
        check_scope(scope)?;
        if let Some(file) = self.shared_scope(scope) {
            return file.inner.want(Some(terms));
        }
        self.run(|node, t, now| Ok(((), node.subscribe_with(t, scope, terms, now)?)))?;
        self.asked_for(scope)
    }

    pub fn refill(&self, scope: &str) -> Result<(), Error> {
        if let Some(file) = self.shared_scope(scope) {
            return file.inner.refill(scope);
        }
        self.run(|node, t, _| Ok(((), node.refill(t, scope)?)))?;
        self.asked_for(scope)
    }

    /// A scope is to be heard to its end in this session, too.
    fn asked_for(&self, scope: &str) -> Result<(), Error> {
        {
            // Under one lock: the session may hear the scope to its end at any other moment.
            let mut guard = self.lock()?;
            let core = guard.as_mut().ok_or_else(Error::closed)?;
            let sub = core.database.transact(false, |t| t.subscription(scope))?;
            if let Some(session) = &mut core.session {
                session.subscribed.insert(scope.into());
                if sub.is_some_and(|sub| sub.loading) {
                    session.complete.remove(scope);
                }
            }
        }
        self.live.all_changed();
        Ok(())
    }

    pub fn pin(&self, key: &EntityKey, pinned: bool) -> Result<(), Error> {
        if let Some(file) = self.shared_kind(key.kind) {
            return file.inner.pin(key, pinned);
        }
        self.run(|node, t, _| Ok(((), node.pin(t, key, pinned)?)))
    }

    pub fn unsubscribe(&self, scope: &str) -> Result<(), Error> {
        check_scope(scope)?;
        if let Some(file) = self.shared_scope(scope) {
            return file.inner.want(None);
        }
        self.run(|node, t, _| Ok(((), node.unsubscribe(t, scope)?)))?;
        if let Some(session) = self.lock()?.as_mut().and_then(|core| core.session.as_mut()) {
            session.subscribed.remove(scope);
            session.complete.remove(scope);
        }
        self.live.all_changed();
        Ok(())
    }

    pub fn subscriptions(&self) -> Result<Vec<Progress>, Error> {
        let subs = self.read(|t| t.subscriptions())?;
        let mut all: Vec<Progress> =
            subs.iter().map(|(scope, sub)| room::progress(scope, sub)).collect();
        for file in &self.shared {
            all.extend(file.progress()?);
        }
        all.sort_by(|a, b| a.scope.cmp(&b.scope));
        Ok(all)
    }

    /// What is here of everything that could hold rows of these types, in a reader's snapshot;
    /// `None`: of any type.
    pub fn coverage(
        &self,
        conn: &rusqlite::Connection,
        kinds: Option<&BTreeSet<TypeId>>,
    ) -> Result<Coverage, Error> {
        let subs = store::subscriptions(conn)?;
        let subs: Vec<Progress> =
            subs.iter().map(|(scope, sub)| room::progress(scope, sub)).collect();
        let schema = &self.options.schema;
        let is_local = |kind: &TypeId| schema.entity(*kind).is_some_and(|kind| kind.local);
        if kinds.is_some_and(|kinds| !kinds.is_empty() && kinds.iter().all(is_local)) {
            // There is nothing of them anywhere else.
            return Ok(Coverage::Complete);
        }
        let may_hold = |scope: &str| {
            kinds.is_none_or(|kinds| kinds.iter().any(|k| read::may_hold(schema, *k, scope)))
        };
        let relevant = subs.iter().filter(|p| may_hold(&p.scope)).map(|p| p.coverage);
        let mut relevant: Vec<Coverage> = relevant.collect();
        for (at, file) in self.shared.iter().enumerate() {
            if kinds.is_none_or(|kinds| kinds.intersection(&file.kinds).next().is_some()) {
                relevant.push(file.coverage(conn, at)?);
            }
        }
        Ok(relevant.into_iter().max().unwrap_or(Coverage::Partial))
    }
}

impl SharedFile {
    /// What of the scope is here, in a reader's snapshot.
    fn coverage(&self, conn: &rusqlite::Connection, at: usize) -> Result<Coverage, Error> {
        if !self.is_shown() || !store::is_beside(conn, at)? {
            return Ok(Coverage::Partial);
        }
        let subs = store::subscriptions_beside(conn, at)?;
        let of_scope = subs.iter().find(|(scope, _)| *scope == self.scope);
        Ok(of_scope.map_or(Coverage::Partial, |(scope, sub)| room::progress(scope, sub).coverage))
    }
}
