//! What the sync engine asks of the file: sessions, the lease, and what other processes wrote.

use super::core::{Lane, Session};
use super::{Inner, LEASE_MS};
use crate::engine::{Answers, Deadlines};
use crate::error::Error;
use crate::event::{ConnectionState, Event};
use crate::store::{self, Transaction};
use landfall_model::id::{RegionId, Scope};
use landfall_sync::device::node::{Close, Extent, Greeting, Node, Output};
use landfall_sync::device::store::Store;
use landfall_sync::wire::region_frame::Kind;
use landfall_sync::wire::{DeviceFrame, RegionFrame};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// The code of a session that ends because another process has the lease.
pub(crate) const LEASE_LOST: &str = "lease_lost";

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
    /// The first frames for a connection that may become the session's; `None` if another process
    /// has the lease by now.
    pub fn greet(
        &self,
        token: &str,
        extent: Extent,
    ) -> Result<Option<(Greeting, Vec<DeviceFrame>)>, Error> {
        let directory = self.directory_version();
        self.run(|node, t, now| {
            if !t.holds_lease(&self.holder)? {
                return Ok((None, Output::default()));
            }
            let (greeting, output) = node.greet(t, token, directory, extent, now)?;
            // They leave on a connection that is not yet the session's.
            let rest = Output { events: output.events, ..Output::default() };
            Ok((Some((greeting, output.frames)), rest))
        })
    }

    /// The session is on this connection from now on. Its region's first frame comes next.
    pub fn begin_session(
        &self,
        greeting: Greeting,
        outgoing: mpsc::UnboundedSender<DeviceFrame>,
        answers: Answers,
    ) -> Result<(), Error> {
        let session = self.fresh(outgoing, answers)?;
        let mut core = self.lock()?;
        let core = core.as_mut().ok_or_else(Error::closed)?;
        core.hedge = None;
        if !self.goal.borrow().online() {
            return Ok(());
        }
        core.session = Some(session);
        core.node(&self.options)?.begin(greeting);
        Ok(())
    }

    fn fresh(
        &self,
        outgoing: mpsc::UnboundedSender<DeviceFrame>,
        answers: Answers,
    ) -> Result<Session, Error> {
        let subscribed = self.read(|t| t.subscriptions())?;
        let subscribed = subscribed.into_iter().map(|(scope, _)| scope).collect();
        let complete = BTreeSet::new();
        let (ready, drain, anew, over) = (false, false, false, None);
        Ok(Session { outgoing, ready, drain, anew, over, subscribed, complete, answers })
    }

    /// Offer what is unanswered to a second region, or what the first one `refuses`. False where
    /// nothing is, by now.
    pub fn begin_hedge(
        &self,
        greeting: Greeting,
        outgoing: mpsc::UnboundedSender<DeviceFrame>,
        refuses: bool,
    ) -> Result<bool, Error> {
        let mut core = self.lock()?;
        let core = core.as_mut().ok_or_else(Error::closed)?;
        let node = core.node(&self.options)?;
        let begins = if refuses { node.ask(greeting) } else { node.hedge(greeting) };
        core.hedge = begins.then_some(outgoing);
        Ok(begins)
    }

    pub fn end_hedge(&self) {
        let Ok(mut guard) = self.lock() else { return };
        let Some(core) = guard.as_mut() else { return };
        core.hedge = None;
        if let Some(node) = &mut core.node {
            node.end_hedge();
        }
    }

    /// How many writes the session's region refuses, and how many refusals there were.
    pub fn refused(&self) -> (usize, u64) {
        let Ok(guard) = self.lock() else { return (0, 0) };
        guard.as_ref().and_then(|core| core.node.as_ref()).map_or((0, 0), Node::refused)
    }

    /// Regions whose answer decides on writes that the session's region refuses.
    pub fn owed(&self) -> Result<BTreeSet<RegionId>, Error> {
        self.run(|node, t, _| Ok((node.owed(t)?, Output::default())))
    }

    /// The second region has answered all that it was offered.
    pub fn hedge_answered(&self) -> bool {
        let Ok(guard) = self.lock() else { return true };
        guard.as_ref().and_then(|core| core.node.as_ref()).is_none_or(Node::hedge_answered)
    }

    /// Take in frames of the second region. False if it is of no more use.
    pub fn hedge_frames(&self, frames: Vec<RegionFrame>) -> Result<bool, Error> {
        let random = self.options.random.clone();
        self.run_leased(Lane::Hedge, |node, t, now| {
            gather(frames, |f| node.hedge_frame(t, f, now, &mut || random.next()))
        })?;
        Ok(self.lock()?.as_ref().is_some_and(|core| core.hedge.is_some()))
    }

    /// The second region's connection is the session's from now on. False if the node knows of no
    /// second region any more: the file failed, or the app went offline.
    pub fn promote(
        &self,
        outgoing: mpsc::UnboundedSender<DeviceFrame>,
        answers: Answers,
    ) -> Result<bool, Error> {
        let session = self.fresh(outgoing, answers)?;
        {
            let mut guard = self.lock()?;
            let core = guard.as_mut().ok_or_else(Error::closed)?;
            if core.hedge.take().is_none() {
                return Ok(false);
            }
            core.session = Some(session);
        }
        let random = self.options.random.clone();
        let promote = |node: &mut Node, t: &mut Transaction<'_>, now: i64| {
            node.promote(t, now, &mut || random.next())
        };
        self.run_leased(Lane::Session, promote)?;
        self.judge_shared();
        Ok(true)
    }

    /// Ops that the session's region has not answered.
    pub fn unanswered(&self) -> usize {
        let Ok(guard) = self.lock() else { return 0 };
        guard.as_ref().and_then(|core| core.node.as_ref()).map_or(0, Node::unanswered)
    }

    /// When the region's silence becomes too long; `None` while nothing is waited for.
    pub fn deadlines(&self) -> Option<Deadlines> {
        let core = self.lock().ok()?;
        core.as_ref()?.session.as_ref()?.answers.deadlines(&self.options.network)
    }

    /// Have the region say something.
    pub fn ping(&self) -> Result<(), Error> {
        self.run_leased(Lane::Session, |node, t, now| node.ping(t, now))
    }

    /// Take in frames, and begin to keep the file within its limit: true if it is by now, else
    /// [`Inner::keep_within`] goes on. Nobody is told that all is done in between.
    pub fn take_in(&self, frames: Vec<RegionFrame>) -> Result<bool, Error> {
        self.lock()?.as_mut().ok_or_else(Error::closed)?.taking_in = true;
        self.frames(frames).inspect_err(|_| self.taken_in())?;
        self.keep_within()
    }

    /// Nothing is left to do with what was taken in.
    pub(super) fn taken_in(&self) {
        // An error: the client was closed, and nobody waits for it.
        let Ok(mut guard) = self.lock() else { return };
        if guard.as_mut().is_some_and(|core| std::mem::take(&mut core.taking_in)) {
            self.settled.notify_all();
        }
    }

    /// Pushes that left since the last call.
    pub fn take_pushes(&self) -> u64 {
        let Ok(mut guard) = self.lock() else { return 0 };
        guard.as_mut().map_or(0, |core| std::mem::take(&mut core.pushes))
    }

    /// Take in frames, in one transaction.
    pub fn frames(&self, frames: Vec<RegionFrame>) -> Result<(), Error> {
        let (frames, denied) = self.without_denials(frames);
        let random = self.options.random.clone();
        let answer = |f: &RegionFrame| matches!(f.kind, Some(Kind::Fates(_) | Kind::Pong(_)));
        let answers = frames.iter().any(answer);
        self.run_leased(Lane::Session, |node, t, now| {
            gather(frames, |f| node.frame(t, f, now, &mut || random.next()))
        })?;
        let more = self.unanswered() > 0;
        if let Some(session) = self.lock()?.as_mut().and_then(|core| core.session.as_mut()) {
            session.answers.heard(self.options.runtime.now(), answers, more);
        }
        self.judge_shared();
        denied.map_or(Ok(()), |code| self.denied(code))
    }

    /// Push what is there to push.
    pub fn poll(&self) -> Result<(), Error> {
        self.run_leased(Lane::Session, |node, t, now| node.poll(t, now))
    }

    pub fn end_session(&self) {
        let Ok(mut guard) = self.lock() else { return };
        let Some(core) = guard.as_mut() else { return };
        (core.session, core.hedge, core.taking_in) = (None, None, false);
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

    /// Notice what other processes wrote. It is noticed once, so whatever fails behind that, it is
    /// told.
    pub fn look_elsewhere(&self) -> Result<(), Error> {
        let mut guard = self.lock()?;
        let core = guard.as_mut().ok_or_else(Error::closed)?;
        if !core.database.changed_elsewhere()? {
            return Ok(());
        }
        let subs = core.database.subscriptions();
        if let Some(session) = &mut core.session {
            // Where it cannot be read what is subscribed now, the next session will know.
            session.anew = subs.as_ref().map_or(true, |subs| {
                let now: BTreeSet<Scope> = subs.iter().map(|(scope, _)| scope.clone()).collect();
                session.subscribed != now
            });
        }
        drop(guard);
        let stood = self.restand();
        self.live.all_changed();
        // Nobody may be listening.
        let _ = self.events.send(Event::ChangedElsewhere);
        self.settled.notify_all();
        self.wake.notify_one();
        stood?;
        Ok(subs.map(drop)?)
    }

    pub fn set_connection(&self, state: ConnectionState) {
        let changed = self.connection.send_if_modified(|now| {
            let changed = *now != state;
            now.clone_from(&state);
            changed
        });
        if changed {
            super::lock(&self.history).connection(self.options.clock.now_ms(), state.clone());
            if self.standing.is_none() {
                let _ = self.events.send(Event::Connection(state));
            }
            self.settled.notify_all();
        }
    }

    /// A call of the session. It does nothing if another process has the lease by now.
    fn run_leased(
        &self,
        lane: Lane,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<Output, store::Error>,
    ) -> Result<(), Error> {
        self.run_on(lane, |node, t, now| {
            if t.holds_lease(&self.holder)? {
                return Ok(((), work(node, t, now)?));
            }
            let message = "another process syncs this file by now".to_owned();
            let close = Close { code: LEASE_LOST.to_owned(), message, retry_after_ms: 0 };
            Ok(((), Output { close: Some(close), ..Output::default() }))
        })
    }
}

/// What several frames come to, up to one that closes the session.
fn gather(
    frames: Vec<RegionFrame>,
    mut take: impl FnMut(RegionFrame) -> Result<Output, store::Error>,
) -> Result<Output, store::Error> {
    let mut all = Output::default();
    for frame in frames {
        let one = take(frame)?;
        all.frames.extend(one.frames);
        all.events.extend(one.events);
        all.durable |= one.durable;
        all.close = one.close;
        if all.close.is_some() {
            break;
        }
    }
    Ok(all)
}
