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

use crate::error::{Error, OpenError, code};
use crate::event::{ConnectionState, Coverage, Event, Progress};
use crate::fates::{Fate, OutboxStatus, WriteOutcome};
use crate::live::Hub;
use crate::options::Options;
use crate::store::{self, Database, Transaction};
use crate::transaction::{Intent, NamedEdit};
use crate::transport::Traffic;
use crate::{client::WriteReceipt, read};
use landfall_model::id::{Dot, EntityKey, FieldId, Scope, TypeId};
use landfall_model::text::Version;
use landfall_sync::device::node::{
    Close, Edit, Event as NodeEvent, Node, Output, Problem, RefusedEdit, WriteError,
};
use landfall_sync::device::store::{Store, Subscription};
use landfall_sync::wire::{DeviceFrame, RegionFrame};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, mpsc, watch};

/// Events that a slow observer may be behind.
const EVENTS_KEPT: usize = 4_096;

/// Connections for reading that are kept open.
const READERS_KEPT: usize = 4;

/// How long another process may hold the file, and how long a lease runs without being renewed.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
pub(crate) const LEASE_MS: i64 = 5_000;
const _: () = assert!(BUSY_TIMEOUT.as_millis() < LEASE_MS as u128);

/// Own ops read at a time.
const OPS_PER_READ: usize = 1_000;

/// Rows shown anew in one transaction.
const ROWS_PER_TRANSACTION: usize = 1_000;

/// What the app wants of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goal {
    pub online: bool,
    pub closing: bool,
}

pub(crate) struct Inner {
    pub options: Options,
    /// This client among all that may open the file.
    holder: String,
    /// `None` once closed.
    core: Mutex<Option<Core>>,
    /// Something changed that [`Inner::settle`] may wait for.
    settled: Condvar,
    readers: Mutex<Vec<rusqlite::Connection>>,
    pub events: broadcast::Sender<Event>,
    pub live: Hub,
    /// The engine has something to do.
    pub wake: Notify,
    pub goal: watch::Sender<Goal>,
    pub connection: watch::Sender<ConnectionState>,
    pub traffic: Arc<Traffic>,
}

struct Core {
    database: Database,
    /// `None` after the file failed, until it is read again.
    node: Option<Node>,
    session: Option<Session>,
}

/// A session, seen from the file's side.
#[derive(Debug)]
struct Session {
    outgoing: mpsc::UnboundedSender<DeviceFrame>,
    ready: bool,
    drain: bool,
    /// Another process changed what is subscribed; a session says so only at its beginning.
    anew: bool,
    over: Option<Close>,
    /// Scopes subscribed when it began, or since.
    subscribed: BTreeSet<Scope>,
    /// Scopes whose pass has come to its end in this session.
    complete: BTreeSet<Scope>,
}

/// How a session is doing, for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    Greeting,
    Ready,
    /// Begin anew: at another region, which this one asks for, or at this one.
    Move { elsewhere: bool },
    Over(Close),
}

/// Why a transaction was not made.
enum Fault {
    /// The file failed: what the node knows may be wrong.
    Store(store::Error),
    /// Refused before anything was written.
    Refused(Error),
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<WriteError<store::Error>> for Fault {
    fn from(error: WriteError<store::Error>) -> Self {
        match error {
            WriteError::Store(error) => Self::Store(error),
            WriteError::Refused(refused) => Self::Refused(refused.into()),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client of {:?}", self.options.path)
    }
}

impl Inner {
    pub fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let busy = store::Options { busy_timeout: BUSY_TIMEOUT, ..store::Options::default() };
        let mut database = Database::open(&options.path, &options.schema, busy)?;
        check_account(&mut database, &options)?;
        let holder = format!("{:016x}{:016x}", options.random.next(), options.random.next());
        let mut core = Core { database, node: None, session: None };
        core.node(&options)?;
        core.show_stale(&options)?;
        let goal = Goal { online: !options.network.start_offline, closing: false };
        Ok(Arc::new(Self {
            options,
            holder,
            core: Mutex::new(Some(core)),
            settled: Condvar::new(),
            readers: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            live: Hub::default(),
            wake: Notify::new(),
            goal: watch::Sender::new(goal),
            connection: watch::Sender::new(ConnectionState::Offline),
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
            let edits = edits.into_iter().enumerate().map(|(at, e)| resolve(node, t, at, e));
            let edits = edits.collect::<Result<Vec<Edit>, Fault>>()?;
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

    fn woken<R: Into<WriteReceipt>>(&self) -> impl FnOnce(R) -> WriteReceipt + '_ {
        |receipt| {
            self.wake.notify_one();
            receipt.into()
        }
    }

    // ---- subscriptions ----

    pub fn subscribe(&self, scope: &str) -> Result<(), Error> {
        self.run(|node, t, _| Ok(((), node.subscribe(t, scope)?)))?;
        if let Some(session) = self.lock()?.as_mut().and_then(|core| core.session.as_mut()) {
            session.subscribed.insert(scope.into());
        }
        self.live.all_changed();
        Ok(())
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
        let subs = self.read(|t| Ok(t.subscriptions()?))?;
        Ok(subs.iter().map(|(scope, sub)| progress(scope, sub)).collect())
    }

    /// What is here of everything that could hold rows of these types; `None`: of any type.
    pub fn coverage(&self, kinds: Option<&BTreeSet<TypeId>>) -> Result<Coverage, Error> {
        let subs = self.subscriptions()?;
        let schema = &self.options.schema;
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
            let is_void = t.void(dot)?.is_some();
            let retired = (was_given || meta.former.contains(&dot.device)) && !is_void;
            Ok(if retired { Fate::Accepted { durable: true } } else { Fate::Unknown })
        })
    }

    pub fn outbox_status(&self) -> Result<OutboxStatus, Error> {
        self.read(|t| outbox_status(t))
    }

    pub fn outcomes(&self) -> Result<Vec<WriteOutcome>, Error> {
        let all = self.read(|t| Ok(t.outcomes()?))?;
        let outcome = |(dot, key, outcome)| WriteOutcome { dot, key, outcome };
        Ok(all.into_iter().map(outcome).collect())
    }

    // ---- reading ----

    /// Run `work` on a connection that cannot write.
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

    // ---- the engine's side ----

    /// Begin a session on a fresh connection.
    pub fn begin_session(
        &self,
        outgoing: mpsc::UnboundedSender<DeviceFrame>,
        token: &str,
    ) -> Result<(), Error> {
        let subscribed = self.read(|t| Ok(t.subscriptions()?))?;
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
        if let Ok(mut core) = self.lock() {
            if let Some(core) = core.as_mut() {
                core.session = None;
                if let Some(node) = &mut core.node {
                    node.disconnected();
                }
            }
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
            let _ = self.events.send(Event::Connection(state));
            self.settled.notify_all();
        }
    }

    /// Wait until nothing is left to do with the regions.
    pub fn settle(&self, timeout: Duration) -> Result<(), Error> {
        let until = Instant::now() + timeout;
        let mut guard = self.lock()?;
        loop {
            let core = guard.as_mut().ok_or_else(Error::closed)?;
            if core.is_settled()? {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = "The client did not settle in time: writes wait in the outbox, or \
                               subscriptions are not complete. Look at outbox_status, progress \
                               and connection.";
                return Err(Error::new(code::UNSETTLED, message));
            }
            let wait = self.settled.wait_timeout(guard, left.min(Duration::from_millis(200)));
            guard = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Let go of the file. `durable`: what was written last survives a loss of power, too.
    pub fn close(&self, durable: bool) -> Result<(), Error> {
        let core = self.lock()?.take();
        lock(&self.readers).clear();
        self.live.stop();
        self.settled.notify_all();
        let Some(mut core) = core else { return Ok(()) };
        core.database.release_lease(&self.holder)?;
        if durable {
            core.database.transact(true, |_| Ok::<(), store::Error>(()))?;
        }
        Ok(())
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
        let mut guard = self.lock()?;
        let core = guard.as_mut().ok_or_else(Error::closed)?;
        let (value, output) = core.run(&self.options, work)?;
        let events = core.send(output)?;
        drop(guard);
        self.tell(events);
        Ok(value)
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

    /// Tell observers, after the commit.
    fn tell(&self, events: Vec<NodeEvent>) {
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
                NodeEvent::Progress { scope, rows, total, complete } => {
                    coverage_changed |= complete;
                    let coverage = if complete { Coverage::Complete } else { Coverage::Loading };
                    told.push(Event::Progress(Progress { scope, rows, total, coverage }));
                }
                NodeEvent::Denied { scope, code } => {
                    coverage_changed = true;
                    told.push(Event::Denied { scope, code });
                }
                NodeEvent::Online { .. } | NodeEvent::Drain { .. } => {}
            }
        }
        if coverage_changed {
            self.live.all_changed();
        } else {
            self.live.changed(keys.iter().map(|key| key.kind));
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

impl Core {
    /// The node, read from the file where it was dropped.
    fn node(&mut self, options: &Options) -> Result<&mut Node, store::Error> {
        if self.node.is_none() {
            let principal: Arc<str> = options.account.subject.as_str().into();
            let (schema, random) = (options.schema.clone(), options.random.clone());
            let now = options.clock.now_ms();
            let open = |t: &mut Transaction<'_>| {
                Node::open(t, schema, principal, &mut || random.next(), now)
            };
            self.node = Some(self.database.transact(false, open)?);
        }
        Ok(self.node.as_mut().expect("just opened"))
    }

    /// Show the rows anew whose types look otherwise under this schema.
    fn show_stale(&mut self, options: &Options) -> Result<(), store::Error> {
        let stale = self.database.transact(false, |t| t.stale_types())?;
        if stale.is_empty() {
            return Ok(());
        }
        self.node(options)?;
        let node = self.node.as_mut().expect("just opened");
        let mut after: Option<EntityKey> = None;
        loop {
            let page = self.database.transact(false, |t| {
                let page = t.bases(after.as_ref(), ROWS_PER_TRANSACTION)?;
                show_page(node, t, page.iter().map(|(key, _)| key), &stale)?;
                Ok::<_, store::Error>(page)
            })?;
            match page.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        self.database.transact(false, |t| {
            let mut after = 0;
            loop {
                let page = t.ops(after, OPS_PER_READ)?;
                show_page(node, t, page.iter().map(|op| &op.sealed.op.key), &stale)?;
                let Some(last) = page.last() else { break };
                after = last.order;
            }
            stale.iter().try_for_each(|kind| t.mark_shown(*kind))
        })
    }

    fn forget(&mut self) {
        self.node = None;
        self.session = None;
    }

    fn run<T>(
        &mut self,
        options: &Options,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<(T, Output), Fault>,
    ) -> Result<(T, Output), Error> {
        self.node(options)?;
        let node = self.node.as_mut().expect("just opened");
        let now = options.clock.now_ms();
        match self.database.transact(false, |t| work(node, t, now)) {
            Ok(done) => Ok(done),
            Err(Fault::Refused(error)) => Err(error),
            Err(Fault::Store(error)) => {
                self.forget();
                Err(error.into())
            }
        }
    }

    /// Send what the committed call asks to be sent; on disk first, if it must be.
    fn send(&mut self, output: Output) -> Result<Vec<NodeEvent>, Error> {
        if output.durable && !output.frames.is_empty() {
            if let Err(error) = self.database.transact(true, |_| Ok::<(), store::Error>(())) {
                self.forget();
                return Err(error.into());
            }
        }
        let Some(session) = &mut self.session else { return Ok(output.events) };
        for frame in output.frames {
            // A connection that is gone is noticed by the engine.
            let _ = session.outgoing.send(frame);
        }
        for event in &output.events {
            match event {
                NodeEvent::Online { .. } => session.ready = true,
                NodeEvent::Drain { .. } => session.drain = true,
                NodeEvent::Progress { scope, complete: true, .. } => {
                    session.complete.insert(scope.clone());
                }
                _ => {}
            }
        }
        if output.close.is_some() {
            session.over = output.close;
        }
        Ok(output.events)
    }

    /// Nothing in the outbox, and every scope heard to its end in this session.
    fn is_settled(&mut self) -> Result<bool, Error> {
        let Some(session) = self.session.as_ref().filter(|s| s.ready) else { return Ok(false) };
        let complete = &session.complete;
        Ok(self.database.transact(false, |t| {
            let waiting = !t.outbox(0, 1)?.is_empty();
            let subs = t.subscriptions()?;
            let done = |(scope, sub): &(Scope, Subscription)| {
                sub.denied.is_some() || (!sub.loading && complete.contains(scope))
            };
            Ok::<bool, store::Error>(!waiting && subs.iter().all(done))
        })?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file belongs to the account that made it: another's ops would be pushed under a wrong name.
fn check_account(database: &mut Database, options: &Options) -> Result<(), OpenError> {
    let account = format!("{}\0{}", options.account.tenant, options.account.subject);
    let ours = database.transact(false, |t| match t.fact("account")? {
        Some(known) => Ok(known == account.as_bytes()),
        None => t.put_fact("account", account.as_bytes()).map(|()| true),
    })?;
    if ours {
        return Ok(());
    }
    let message = "The file belongs to another account. Give every account a file of its own.";
    Err(Error::new(code::OTHER_ACCOUNT, message).into())
}

fn show_page<'k>(
    node: &mut Node,
    t: &mut Transaction<'_>,
    keys: impl Iterator<Item = &'k EntityKey>,
    stale: &[TypeId],
) -> Result<(), store::Error> {
    for key in keys.filter(|key| stale.contains(&key.kind)) {
        let view = node.view(t, key)?;
        t.show(key, view.as_ref())?;
    }
    Ok(())
}

fn resolve(
    node: &mut Node,
    t: &mut Transaction<'_>,
    at: usize,
    edit: NamedEdit,
) -> Result<Edit, Fault> {
    let NamedEdit { intent, kind, id, home, fields } = edit;
    if intent == Intent::Upsert {
        return Ok(Edit::Upsert { kind, id, fields });
    }
    let mut there = Vec::new();
    for key in t.find(kind, &id)? {
        let meant = home.as_ref().is_none_or(|h| **h == *key.home);
        if meant && node.view(t, &key)?.is_some() {
            there.push(key);
        }
    }
    let refuse = |problem| RefusedEdit { edit: at, field: None, problem };
    let key = match there.len() {
        0 => return Err(Fault::Refused(refuse(Problem::NoEntity).into())),
        1 => there.remove(0),
        _ => return Err(Fault::Refused(refuse(Problem::Ambiguous).into())),
    };
    Ok(match intent {
        Intent::Delete => Edit::Delete { key },
        _ => Edit::Update { key, fields },
    })
}

fn progress(scope: &Scope, sub: &Subscription) -> Progress {
    let coverage = match (&sub.denied, sub.loading) {
        (Some(_), _) => Coverage::Partial,
        (None, true) => Coverage::Loading,
        (None, false) => Coverage::Complete,
    };
    Progress { scope: scope.clone(), rows: sub.rows_taken, total: sub.rows_total, coverage }
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
