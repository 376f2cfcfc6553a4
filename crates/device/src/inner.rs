//! The one place where file, state machine and observers meet.
//!
//! App threads and the sync engine call in here. Each call takes the lock, runs the node in one
//! SQLite transaction, and only when that is committed (and on disk, where frames leave that must
//! not be forgotten) are frames sent and events told. The lock makes the order of frames the order
//! of commits.
//!
//! If the file fails, the node's memory is dropped with the session and read anew from the file;
//! nothing was sent that the file does not know of. A crash at any point leaves the file at one of
//! its commits.

mod core;
mod directory;
mod field;
mod history;
mod once;
mod room;
mod sessions;
mod waits;

pub(crate) use sessions::{Health, LEASE_LOST};

use self::core::{Core, Fault, Lane};
use self::history::History;
use self::waits::Bell;
use crate::error::{Error, OpenError};
use crate::event::{ConnectionState, Coverage, Event, Events, Granted, Only, Progress};
use crate::fates::{Fate, OutboxStatus, WriteOutcome};
use crate::live::Hub;
use crate::options::{Conditions, Options};
use crate::store::{self, Database, Transaction};
use crate::transaction::NamedEdit;
use crate::transport::Traffic;
use crate::{client::WriteReceipt, read};
use landfall_model::id::{Dot, EntityKey, FieldId, TypeId};
use landfall_model::text::Version;
use landfall_sync::device::node::{Edit, Event as NodeEvent, Node, Output, Problem, Receipt};
use landfall_sync::device::store::{Store, Terms};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};

/// Events that a slow observer may be behind.
const EVENTS_KEPT: usize = 4_096;

/// Connections for reading that are kept open.
#[cfg(not(target_family = "wasm"))]
const READERS_KEPT: usize = 4;

/// How long another process may hold the file, and how long a lease runs without being renewed.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const LEASE_MS: i64 = 5_000;
const _: () = assert!(BUSY_TIMEOUT.as_millis() < LEASE_MS as u128);

/// Own ops read at a time.
const OPS_PER_READ: usize = 1_000;

/// What the app wants of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goal {
    pub online: bool,
    /// It is online for a slot alone, of which rows of lower priorities than this are no part.
    pub slot: Option<u8>,
    pub closing: bool,
    pub conditions: Conditions,
    /// Goes up when the device's network is another one.
    pub network: u32,
}

pub(crate) struct Inner {
    pub options: Options,
    /// This client among all that may open the file.
    holder: String,
    /// `None` once closed.
    core: Mutex<Option<Core>>,
    /// Something changed that [`Inner::settle`] may wait for.
    settled: Bell,
    readers: Mutex<Vec<rusqlite::Connection>>,
    pub events: broadcast::Sender<Event>,
    pub live: Hub,
    /// The engine has something to do.
    pub wake: Notify,
    pub goal: watch::Sender<Goal>,
    pub connection: watch::Sender<ConnectionState>,
    /// What a region last said that the account may subscribe.
    pub granted: Mutex<Option<Granted>>,
    /// A directory that a region gave, not yet looked at.
    offered: Mutex<Option<String>>,
    engine_ended: watch::Sender<bool>,
    closed: watch::Sender<bool>,
    history: Mutex<History>,
    pub traffic: Arc<Traffic>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client of {:?}", self.options.path)
    }
}

impl Inner {
    /// `in_memory`: the path is the name of a file in memory.
    pub fn open(options: Options, in_memory: bool) -> Result<Arc<Self>, OpenError> {
        let opened = store::Options {
            busy_timeout: BUSY_TIMEOUT,
            shrinks: options.disk_bytes_max.is_some(),
            in_memory,
            ..store::Options::default()
        };
        let mut database = Database::open(&options.path, &options.schema, opened)?;
        core::check_account(&mut database, &options)?;
        let holder = format!("{:016x}{:016x}", options.random.next(), options.random.next());
        let mut core = Core { database, node: None, session: None, hedge: None, taking_in: false };
        core.node(&options)?;
        core.show_stale(&options)?;
        let goal = Goal {
            online: !options.network.start_offline,
            slot: None,
            closing: false,
            conditions: Conditions::default(),
            network: 0,
        };
        Ok(Arc::new(Self {
            options,
            holder,
            core: Mutex::new(Some(core)),
            settled: Bell::default(),
            readers: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            live: Hub::default(),
            wake: Notify::new(),
            goal: watch::Sender::new(goal),
            connection: watch::Sender::new(ConnectionState::Offline),
            granted: Mutex::default(),
            offered: Mutex::default(),
            engine_ended: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            history: Mutex::default(),
            traffic: Arc::default(),
        }))
    }

    // ---- the app's writes ----

    pub fn write(&self, edits: &[Edit]) -> Result<WriteReceipt, Error> {
        self.run(|node, t, now| Ok(node.write(t, now, edits)?)).map(self.woken())
    }

    /// Write edits whose entities are known by type and id.
    pub fn write_named(&self, edits: Vec<NamedEdit>) -> Result<WriteReceipt, Error> {
        self.run(|node, t, now| {
            let edits: Vec<Edit> = edits.into_iter().map(core::edit).collect();
            Ok(node.write(t, now, &edits)?)
        })
        .map(self.woken())
    }

    pub fn resubmit(&self, dot: Dot) -> Result<WriteReceipt, Error> {
        self.run(|node, t, now| Ok(node.resubmit(t, now, dot)?)).map(self.woken())
    }

    pub fn dismiss(&self, dot: Dot) -> Result<(), Error> {
        self.run(|node, t, _| Ok(((), node.dismiss(t, dot)?)))?;
        self.wake.notify_one();
        Ok(())
    }

    /// An op that grew waits for what it waited for before: the engine knows of it.
    fn woken(&self) -> impl FnOnce(Receipt) -> WriteReceipt + '_ {
        |receipt| {
            if !receipt.extends {
                self.wake.notify_one();
            }
            receipt.into()
        }
    }

    // ---- subscriptions ----

    pub fn subscribe(&self, scope: &str, terms: Terms) -> Result<(), Error> {
        self.run(|node, t, now| Ok(((), node.subscribe_with(t, scope, terms, now)?)))?;
        self.asked_for(scope)
    }

    pub fn refill(&self, scope: &str) -> Result<(), Error> {
        self.run(|node, t, _| Ok(((), node.refill(t, scope)?)))?;
        self.asked_for(scope)
    }

    /// A scope is to be heard to its end in this session, too.
    fn asked_for(&self, scope: &str) -> Result<(), Error> {
        let sub = self.read(|t| t.subscription(scope))?;
        if let Some(session) = self.lock()?.as_mut().and_then(|core| core.session.as_mut()) {
            session.subscribed.insert(scope.into());
            if sub.is_some_and(|sub| sub.loading) {
                session.complete.remove(scope);
            }
        }
        self.live.all_changed();
        Ok(())
    }

    pub fn pin(&self, key: &EntityKey, pinned: bool) -> Result<(), Error> {
        self.run(|node, t, _| Ok(((), node.pin(t, key, pinned)?)))
    }

    pub fn unsubscribe(&self, scope: &str) -> Result<(), Error> {
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
        Ok(subs.iter().map(|(scope, sub)| room::progress(scope, sub)).collect())
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
        let relevant = subs.iter().filter(|p| may_hold(&p.scope));
        Ok(relevant.map(|p| p.coverage).max().unwrap_or(Coverage::Partial))
    }

    // ---- fates ----

    pub fn fate(&self, dot: Dot) -> Result<Fate, Error> {
        self.read(|t| {
            if let Some(op) = t.op(dot)? {
                return Ok(Fate::from(&op.state));
            }
            let meta = t.meta()?.unwrap_or_default();
            // Ops leave the file once they are durable; numbers are never used twice.
            let was_given = dot.device == meta.device && (1..=meta.last_seq).contains(&dot.seq);
            let is_void = t.void(dot)?.is_some() || field::was_cancelled(t, dot)?;
            let retired = (was_given || meta.former.contains(&dot.device)) && !is_void;
            Ok(if retired { Fate::Accepted { durable: true } } else { Fate::Unknown })
        })
    }

    pub fn outbox_status(&self) -> Result<OutboxStatus, Error> {
        self.read(outbox_status)
    }

    pub fn outcomes(&self) -> Result<Vec<WriteOutcome>, Error> {
        let all = self.read(|t| t.outcomes())?;
        let outcome = |(dot, key, outcome)| WriteOutcome { dot, key, outcome };
        Ok(all.into_iter().map(outcome).collect())
    }

    // ---- reading ----

    /// The digest of what regions have confirmed.
    pub fn digest(&self) -> Result<String, Error> {
        let schema = &self.options.schema;
        self.read(|t| Ok(landfall_sync::digest::of_device(t, |k| schema.text_fields(k))?.hex()))
    }

    /// See [`Node::text_changes`].
    pub fn text_changes(
        &self,
        key: &EntityKey,
        field: FieldId,
        since: &Version,
        until: Option<&Version>,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.run(|node, t, _| {
            Ok((node.text_changes(t, key, field, since, until)?, Output::default()))
        })
    }

    /// An author id for an editor of a text.
    pub fn text_author(&self, key: &EntityKey, field: FieldId) -> Result<u64, Error> {
        self.run(|node, _, _| Ok((node.text_author(key, field), Output::default())))
    }

    /// The key of the one entity of a type and id.
    pub fn find(&self, kind: TypeId, id: &str) -> Result<EntityKey, Error> {
        let found = self.read(|t| t.find(kind, id))?;
        match <[EntityKey; 1]>::try_from(found) {
            Ok([key]) => Ok(key),
            Err(keys) if keys.is_empty() => Err(Error::problem(Problem::NoEntity)),
            Err(_) => Err(Error::problem(Problem::Ambiguous)),
        }
    }

    /// Run `work` where nothing can be written.
    #[cfg(target_family = "wasm")]
    pub fn with_reader<T>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.lock()?.as_ref().ok_or_else(Error::closed)?.database.read(work)
    }

    /// Run `work` on a connection that cannot write.
    #[cfg(not(target_family = "wasm"))]
    pub fn with_reader<T>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let kept = lock(&self.readers).pop();
        let reader = match kept {
            Some(reader) => reader,
            None => self.lock()?.as_ref().ok_or_else(Error::closed)?.database.reader()?,
        };
        let done = work(&reader);
        let mut kept = lock(&self.readers);
        if kept.len() < READERS_KEPT {
            kept.push(reader);
        }
        done
    }

    /// Let go of the file. `durable`: what was written last survives a loss of power, too.
    pub fn close(&self, durable: bool) -> Result<(), Error> {
        let Some(mut core) = self.end()? else { return Ok(()) };
        core.database.release_lease(&self.holder)?;
        if durable {
            core.database.transact(true, |_| Ok::<(), store::Error>(()))?;
        }
        Ok(())
    }

    /// Let go of the file as a process that is killed does: nothing is written to it any more.
    pub fn abandon(&self) -> Result<(), Error> {
        self.end().map(drop)
    }

    /// Nobody uses the file through this client any more; what it held, unless it was closed.
    fn end(&self) -> Result<Option<Core>, Error> {
        let core = self.lock()?.take();
        lock(&self.readers).clear();
        self.live.stop();
        self.settled.notify_all();
        self.closed.send_replace(true);
        Ok(core)
    }

    /// What happens from now on.
    pub fn listen(&self, only: Only) -> Events {
        Events::new(self.events.subscribe(), self.closed.subscribe(), only)
    }

    /// Use the network, or not, whatever slot is open.
    pub fn set_online(&self, online: bool) {
        self.goal.send_modify(|goal| (goal.online, goal.slot) = (online, None));
        self.follow_goal(online);
    }

    /// Use the network for a slot. False if it is used anyway.
    pub fn begin_slot(&self, priority_min: u8) -> bool {
        let begun = self.goal.send_if_modified(|goal| {
            let begins = !goal.online;
            if begins {
                (goal.online, goal.slot) = (true, Some(priority_min));
            }
            begins
        });
        if begun {
            self.follow_goal(true);
        }
        begun
    }

    /// The slot that [`Inner::begin_slot`] began is over, unless the app said something else
    /// meanwhile.
    pub fn end_slot(&self) {
        let ended = self.goal.send_if_modified(|goal| {
            let ends = goal.slot.take().is_some();
            goal.online &= !ends;
            ends
        });
        if ended {
            self.follow_goal(false);
        }
    }

    fn follow_goal(&self, online: bool) {
        if !online {
            // Nothing that is written from here on leaves with a session that is about to end.
            self.end_session();
        }
        self.wake.notify_one();
    }

    /// Ask the engine to stop.
    pub fn stop(&self) {
        self.goal.send_modify(|goal| goal.closing = true);
        self.wake.notify_one();
    }

    // ---- transactions ----

    fn lock(&self) -> Result<MutexGuard<'_, Option<Core>>, Error> {
        match self.core.lock() {
            Ok(core) => Ok(core),
            Err(poisoned) => {
                // A panic rolled the transaction back; the node's memory may be anywhere.
                self.core.clear_poison();
                let mut core = poisoned.into_inner();
                if let Some(core) = core.as_mut() {
                    core.forget();
                }
                Ok(core)
            }
        }
    }

    /// Read what only the node's store knows.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, store::Error>,
    ) -> Result<T, Error> {
        let mut core = self.lock()?;
        let core = core.as_mut().ok_or_else(Error::closed)?;
        Ok(core.database.transact(false, work)?)
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<(T, Output), Fault>,
    ) -> Result<T, Error> {
        self.run_on(Lane::Session, work)
    }

    fn run_on<T>(
        &self,
        lane: Lane,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<(T, Output), Fault>,
    ) -> Result<T, Error> {
        let mut guard = self.lock()?;
        let core = guard.as_mut().ok_or_else(Error::closed)?;
        let (value, output) = core.run(&self.options, work).map_err(|e| self.noted(e))?;
        let events = core.send(lane, self.options.runtime.now(), output)?;
        let progress = core.progress_of(&events)?;
        // Under the lock: events come in the order of the commits, and whoever sees the file
        // afterwards has been told.
        self.tell(events, progress);
        Ok(value)
    }

    /// An error that support may ask for later.
    fn noted(&self, error: Error) -> Error {
        lock(&self.history).error(self.options.clock.now_ms(), error.code());
        error
    }

    /// Tell observers, after the commit. It calls nothing of the app's.
    fn tell(&self, events: Vec<NodeEvent>, progress: Vec<Progress>) {
        let mut keys: BTreeSet<EntityKey> = BTreeSet::new();
        let mut told = Vec::new();
        let mut coverage_changed = false;
        for event in events {
            match event {
                NodeEvent::Changed { key } => {
                    keys.insert(key);
                }
                NodeEvent::Fate { dot, key, state } => {
                    told.push(Event::Fate { dot, key, fate: Fate::from(&state) });
                }
                NodeEvent::Outcome { dot, key, outcome } => {
                    told.push(Event::Outcome { dot, key, outcome });
                }
                NodeEvent::Progress { complete, .. } => coverage_changed |= complete,
                NodeEvent::Granted { scopes, audiences } => {
                    let granted = Granted { scopes, audiences };
                    *lock(&self.granted) = Some(granted.clone());
                    told.push(Event::Granted(granted));
                }
                NodeEvent::Denied { scope, code } => {
                    coverage_changed = true;
                    told.push(Event::Denied { scope, code });
                }
                NodeEvent::Directory { jws } => {
                    *lock(&self.offered) = Some(jws);
                    self.wake.notify_one();
                }
                NodeEvent::Online { .. } | NodeEvent::Drain { .. } => {}
            }
        }
        told.extend(progress.into_iter().map(Event::Progress));
        if coverage_changed {
            self.live.all_changed();
        } else {
            self.live.changed(keys.iter());
        }
        if !keys.is_empty() {
            told.insert(0, Event::Changed { keys: keys.into_iter().collect() });
        }
        for event in told {
            // Nobody may be listening.
            let _ = self.events.send(event);
        }
        self.settled.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn outbox_status(t: &mut Transaction<'_>) -> Result<OutboxStatus, store::Error> {
    let mut status = OutboxStatus::default();
    let mut after = 0;
    loop {
        let ops = t.outbox(after, OPS_PER_READ)?;
        for op in &ops {
            match Fate::from(&op.state) {
                Fate::Accepted { .. } => status.accepted += 1,
                _ => status.pending += 1,
            }
            let written_ms = op.sealed.op.hlc.millis();
            status.oldest_ms = Some(status.oldest_ms.map_or(written_ms, |o| o.min(written_ms)));
        }
        match ops.last() {
            Some(last) if ops.len() == OPS_PER_READ => after = last.order,
            _ => return Ok(status),
        }
    }
}
