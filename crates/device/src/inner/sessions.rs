//! What the sync engine asks of the file: sessions, the lease, and what other processes wrote.

use super::core::Session;
use super::{Inner, LEASE_MS};
use crate::error::Error;
use crate::event::{ConnectionState, Event};
use crate::store::{self, Transaction};
use landfall_model::id::Scope;
use landfall_sync::device::node::{Close, Node, Output};
use landfall_sync::device::store::Store;
use landfall_sync::wire::{DeviceFrame, RegionFrame};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// How a session is doing, for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    Greeting,
    Ready,
    /// Begin anew: at another region, which this one asks for, or at this one.
    Move {
        elsewhere: bool,
    },
    Over(Close),
}

impl Inner {
    /// Begin a session on a fresh connection.
    pub fn begin_session(
        &self,
        outgoing: mpsc::UnboundedSender<DeviceFrame>,
        token: &str,
    ) -> Result<(), Error> {
        let subscribed = self.read(|t| t.subscriptions())?;
        let subscribed = subscribed.into_iter().map(|(scope, _)| scope).collect();
        let complete = BTreeSet::new();
        let (ready, drain, anew, over) = (false, false, false, None);
        let session = Session { outgoing, ready, drain, anew, over, subscribed, complete };
        self.lock()?.as_mut().ok_or_else(Error::closed)?.session = Some(session);
        self.run_leased(|node, t, now| node.hello(t, token, now))
    }

    /// Take in frames, in one transaction.
    pub fn frames(&self, frames: Vec<RegionFrame>) -> Result<(), Error> {
        let random = self.options.random.clone();
        self.run_leased(|node, t, now| {
            let mut all = Output::default();
            for frame in frames {
                let one = node.frame(t, frame, now, &mut || random.next())?;
                all.frames.extend(one.frames);
                all.events.extend(one.events);
                all.durable |= one.durable;
                all.close = one.close;
                if all.close.is_some() {
                    break;
                }
            }
            Ok(all)
        })
    }

    /// Push what is there to push.
    pub fn poll(&self) -> Result<(), Error> {
        self.run_leased(|node, t, now| node.poll(t, now))
    }

    pub fn end_session(&self) {
        let Ok(mut guard) = self.lock() else { return };
        let Some(core) = guard.as_mut() else { return };
        core.session = None;
        if let Some(node) = &mut core.node {
            node.disconnected();
        }
    }

    /// How the session is doing; `None` if it was dropped because the file failed.
    pub fn health(&self) -> Option<Health> {
        let core = self.lock().ok()?;
        let session = core.as_ref()?.session.as_ref()?;
        Some(match &session.over {
            Some(close) => Health::Over(close.clone()),
            None if session.drain => Health::Move { elsewhere: true },
            None if session.anew => Health::Move { elsewhere: false },
            None if session.ready => Health::Ready,
            None => Health::Greeting,
        })
    }

    /// Become, or stay, the process that syncs. A process that has just become it knows nothing of
    /// what the last one did, and reads the file anew.
    pub fn take_lease(&self, held: bool) -> Result<bool, Error> {
        let now = self.options.clock.now_ms();
        let mut core = self.lock()?;
        let core = core.as_mut().ok_or_else(Error::closed)?;
        if held {
            return Ok(core.database.renew_lease(&self.holder, now, LEASE_MS)?);
        }
        let taken = core.database.acquire_lease(&self.holder, now, LEASE_MS)?;
        if taken {
            core.node = None;
            core.node(&self.options)?;
        }
        Ok(taken)
    }

    /// Notice what other processes wrote.
    pub fn look_elsewhere(&self) -> Result<(), Error> {
        let mut guard = self.lock()?;
        let core = guard.as_mut().ok_or_else(Error::closed)?;
        if !core.database.changed_elsewhere()? {
            return Ok(());
        }
        let subs = core.database.transact(false, |t| t.subscriptions())?;
        let now: BTreeSet<Scope> = subs.into_iter().map(|(scope, _)| scope).collect();
        if let Some(session) = &mut core.session {
            session.anew = session.subscribed != now;
        }
        drop(guard);
        self.live.all_changed();
        // Nobody may be listening.
        let _ = self.events.send(Event::ChangedElsewhere);
        self.settled.notify_all();
        self.wake.notify_one();
        Ok(())
    }

    pub fn set_connection(&self, state: ConnectionState) {
        let changed = self.connection.send_if_modified(|now| {
            let changed = *now != state;
            now.clone_from(&state);
            changed
        });
        if changed {
            super::lock(&self.history).connection(self.options.clock.now_ms(), state.clone());
            let _ = self.events.send(Event::Connection(state));
            self.settled.notify_all();
        }
    }

    /// A call of the session. It does nothing if another process has the lease by now.
    fn run_leased(
        &self,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<Output, store::Error>,
    ) -> Result<(), Error> {
        self.run(|node, t, now| {
            if t.holds_lease(&self.holder)? {
                return Ok(((), work(node, t, now)?));
            }
            let message = "another process syncs this file by now".to_owned();
            let close = Close { code: "lease_lost".to_owned(), message, retry_after_ms: 0 };
            Ok(((), Output { close: Some(close), ..Output::default() }))
        })
    }
}
