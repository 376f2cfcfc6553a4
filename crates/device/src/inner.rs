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
//!
//! A client has one of these for the account's file, and one for each shared scope beside it
//! ([`shared`]); those tell the account's observers.

mod core;
mod directory;
mod field;
mod goal;
mod history;
mod once;
mod readers;
mod room;
mod sessions;
pub(crate) mod shared;
mod subscriptions;
mod typing;
mod waits;

pub(crate) use goal::Goal;
#[cfg(test)]
pub(crate) use room::tests::filled;
pub(crate) use sessions::{Health, LEASE_LOST};
pub(crate) use typing::{Commit, write_left};

pub(crate) use self::core::Fault;
use self::core::{Core, Lane};
use self::history::History;
use self::shared::{SharedFile, Standing};
use self::waits::Bell;
use crate::client::WriteReceipt;
use crate::error::{Error, OpenError, code};
use crate::event::{ConnectionState, Event, Events, Granted, Only, Progress};
use crate::fates::{Fate, OutboxStatus, WriteOutcome};
use crate::live::Hub;
use crate::options::Options;
use crate::store::{self, Asker, Transaction};
use crate::transaction::NamedEdit;
use crate::transport::Traffic;
use landfall_model::id::{Dot, EntityKey, FieldId, TypeId};
use landfall_model::schema::LOCAL_HOME;
use landfall_model::text::Version;
use landfall_sync::device::node::{Edit, Event as NodeEvent, Node, Output, Problem, Receipt};
use landfall_sync::device::store::Store;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
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

pub(crate) struct Inner {
    pub options: Options,
    /// This client among all that may open the file.
    holder: String,
    /// `None` once closed.
    core: Mutex<Option<Core>>,
    /// Something changed that [`Inner::settle`] may wait for.
    settled: Arc<Bell>,
    /// What reads ask with that want more than the app's tables.
    asker: Asker,
    /// Each with which of the shared files it shows.
    readers: Mutex<Vec<(Vec<bool>, rusqlite::Connection)>>,
    /// The files with shared scopes that are read beside this one.
    pub shared: Vec<SharedFile>,
    /// This is such a file: how the account stands to it.
    standing: Option<Standing>,
    /// A region said what the account may read, and the shared files were not told yet.
    unjudged: AtomicBool,
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

/// Who is told what happens to a client's files, and what counts its bytes.
#[derive(Clone)]
pub(crate) struct Observers {
    events: broadcast::Sender<Event>,
    live: Hub,
    settled: Arc<Bell>,
    traffic: Arc<Traffic>,
}

impl Default for Observers {
    fn default() -> Self {
        Self {
            events: broadcast::Sender::new(EVENTS_KEPT),
            live: Hub::default(),
            settled: Arc::default(),
            traffic: Arc::default(),
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client of {:?}", self.options.path)
    }
}

impl Inner {
    /// `in_memory`: the path is the name of a file in memory.
    pub fn open(mut options: Options, in_memory: bool) -> Result<Arc<Self>, OpenError> {
        if in_memory {
            options.shared = None;
        }
        let core = Core::open(&options, in_memory)?;
        let observers = Observers::default();
        let shared = SharedFile::open_all(&options, &observers)?;
        let inner = Self::new(options, core, observers, shared, None);
        inner.hand_over()?;
        Ok(inner)
    }

    fn new(
        options: Options,
        core: Core,
        observers: Observers,
        shared: Vec<SharedFile>,
        standing: Option<Standing>,
    ) -> Arc<Self> {
        let holder = format!("{:016x}{:016x}", options.random.next(), options.random.next());
        let goal = Goal::new(!options.network.start_offline && standing.is_none());
        let Observers { events, live, settled, traffic } = observers;
        let asker = core.database.asker();
        Arc::new(Self {
            options,
            holder,
            asker,
            core: Mutex::new(Some(core)),
            settled,
            readers: Mutex::default(),
            shared,
            standing,
            unjudged: AtomicBool::new(false),
            events,
            live,
            wake: Notify::new(),
            goal: watch::Sender::new(goal),
            connection: watch::Sender::new(ConnectionState::Offline),
            granted: Mutex::default(),
            offered: Mutex::default(),
            engine_ended: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            history: Mutex::default(),
            traffic,
        })
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
        let steps_max = self.options.read_steps_max;
        self.lock()?.as_mut().ok_or_else(Error::closed)?.database.read(steps_max, work)
    }

    /// Run `work` on a connection that cannot write.
    #[cfg(not(target_family = "wasm"))]
    pub fn with_reader<T>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.on_reader(self.shared.iter().map(SharedFile::is_shown).collect(), work)
    }

    /// The same, with the first of the shared files beside this one: as many as are given, each with
    /// whether it shows.
    #[cfg(not(target_family = "wasm"))]
    fn on_reader<T>(
        &self,
        shown: Vec<bool>,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = match take_reader(&mut lock(&self.readers), &shown) {
            Some(reader) => reader,
            None => self.reader(&shown)?,
        };
        if store::has_typed(&reader)? {
            let mut core = self.lock()?;
            self.take_typed(core.as_mut().ok_or_else(Error::closed)?)?;
        }
        let done = store::within_steps(&mut reader, self.options.read_steps_max, work)?;
        let mut kept = lock(&self.readers);
        // Closed meanwhile, nothing may hold the file any longer.
        if kept.len() < READERS_KEPT && !*self.closed.borrow() {
            kept.push((shown, reader));
        }
        done
    }

    #[cfg(not(target_family = "wasm"))]
    fn reader(&self, shown: &[bool]) -> Result<rusqlite::Connection, Error> {
        let beside = self.shared.iter().zip(shown).map(|(file, shown)| {
            let Options { path, schema, .. } = &file.inner.options;
            store::Beside { path, schema, shown: *shown }
        });
        let beside: Vec<store::Beside<'_>> = beside.collect();
        let core = self.lock()?;
        Ok(core.as_ref().ok_or_else(Error::closed)?.database.reader_beside(&beside)?)
    }

    /// Let go of the file. `durable`: what was written last survives a loss of power, too.
    pub fn close(&self, durable: bool) -> Result<(), Error> {
        let done = self.end()?.map_or(Ok(()), |mut core| {
            core.database.release_lease(&self.holder)?;
            match durable {
                true => core.database.transact(true, |_| Ok::<(), store::Error>(())),
                false => Ok(()),
            }
        });
        self.shared.iter().try_for_each(|file| file.inner.close(durable))?;
        Ok(done?)
    }

    /// Let go of the file as a process that is killed does: nothing is written to it any more.
    pub fn abandon(&self) -> Result<(), Error> {
        self.end().map(drop)?;
        self.shared.iter().try_for_each(|file| file.inner.abandon())
    }

    /// Nobody uses the file through this client any more; what it held, unless it was closed.
    fn end(&self) -> Result<Option<Core>, Error> {
        let core = self.lock()?.take();
        // Before the readers go: one that is in use sees it, and goes too.
        self.closed.send_replace(true);
        lock(&self.readers).clear();
        if self.standing.is_none() {
            self.live.stop();
        }
        self.settled.notify_all();
        Ok(core)
    }

    /// What happens from now on.
    pub fn listen(&self, only: Only) -> Events {
        Events::new(self.events.subscribe(), self.closed.subscribe(), only)
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

    /// Read what only the node's store knows. Waits for nobody who writes, in this process or another.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, store::Error>,
    ) -> Result<T, Error> {
        let look = |conn: &rusqlite::Connection| Ok(self.asker.look(conn, work)?);
        // What it asks for is in this file alone, and told whatever there is to the shared ones.
        #[cfg(not(target_family = "wasm"))]
        return self.on_reader(Vec::new(), look);
        #[cfg(target_family = "wasm")]
        self.with_reader(look)
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
        self.run_locked(core, lane, work)
    }

    /// A call, on the file as it is with all that was typed.
    fn run_locked<T>(
        &self,
        core: &mut Core,
        lane: Lane,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<(T, Output), Fault>,
    ) -> Result<T, Error> {
        let mut work = Some(work);
        loop {
            // In one transaction: another process may be typing.
            let done = core.run(&self.options, |node, t, now| {
                if t.has_typed()? {
                    return Ok((None, Output::default()));
                }
                let work = work.take().expect("it is taken once, and then the loop ends");
                work(node, t, now).map(|(value, output)| (Some(value), output))
            });
            match done.map_err(|e| self.noted(e))? {
                (Some(value), output) => {
                    core.typed = None;
                    return self.carry(core, lane, output).map(|()| value);
                }
                (None, _) => self.take_typed(core)?,
            }
        }
    }

    /// What comes behind the commit of a call.
    fn carry(&self, core: &mut Core, lane: Lane, mut output: Output) -> Result<(), Error> {
        let events = std::mem::take(&mut output.events);
        let sent = core.send(lane, self.options.runtime.now(), output, &events);
        let progress = core.progress_of(&events).unwrap_or_else(|error| {
            // Who wants to know can ask the file when it can be read again.
            tracing::debug!(%error, "how far subscriptions are was not told");
            Vec::new()
        });
        // Whatever came after it: what is committed is told. Under the lock: events come in the
        // order of the commits, and whoever sees the file afterwards has been told.
        self.tell(events, progress);
        sent.map_err(|e| self.noted(e))
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
                // It is the account's own session that tells.
                NodeEvent::Granted { .. } if self.standing.is_some() => {}
                NodeEvent::Granted { scopes, audiences } => {
                    let granted = Granted { scopes, audiences };
                    *lock(&self.granted) = Some(granted.clone());
                    // Under the lock: who sees the session ready waits for this, too.
                    self.unjudged.store(!self.shared.is_empty(), Ordering::Release);
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

/// A scope that an app may name. Local rows are in one that it may not: to subscribe it would let
/// regions deny it, which takes rows off the disk that are nowhere else.
fn check_scope(scope: &str) -> Result<(), Error> {
    if *scope == *LOCAL_HOME {
        let message = "Rows of local types are no scope: they are here, and nowhere else.";
        return Err(Error::new(code::LOCAL_SCOPE, message));
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that shows the same of the shared files; those that show what is no longer so are closed.
#[cfg(not(target_family = "wasm"))]
fn take_reader(
    kept: &mut Vec<(Vec<bool>, rusqlite::Connection)>,
    shown: &[bool],
) -> Option<rusqlite::Connection> {
    kept.retain(|(shows, _)| shows.is_empty() || shown.is_empty() || shows == shown);
    let at = kept.iter().rposition(|(shows, _)| shows == shown)?;
    Some(kept.swap_remove(at).1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Account;
    use landfall_sync::device::store::Terms;

    const SDL: &str =
        "type Note @entity(strategy: CRDT, scope: \"team/{team}\") { id: ID! team: ID! }";

    fn open(dir: &tempfile::TempDir) -> Arc<Inner> {
        let account = Account { tenant: String::new(), subject: "u".into() };
        let options = Options::from_sdl(dir.path().join("a.db"), SDL, account).unwrap();
        Inner::open(options, false).unwrap()
    }

    #[test]
    fn a_reader_that_is_in_use_at_the_end_does_not_hold_the_file_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let inner = open(&dir);
        inner.with_reader(|_| inner.close(true)).unwrap();
        assert!(lock(&inner.readers).is_empty());
        assert_eq!(inner.with_reader(|_| Ok(())).unwrap_err().code(), "LF2104");
    }

    #[test]
    fn what_another_process_wrote_is_told_also_where_it_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let inner = open(&dir);
        inner.subscribe("team/a", Terms::default()).unwrap();
        let mut events = inner.listen(Only::All);
        let other = rusqlite::Connection::open(&inner.options.path).unwrap();
        other.execute("UPDATE _lf_subscription SET cursor = x'ff'", []).unwrap();
        assert_eq!(inner.look_elsewhere().unwrap_err().code(), "LF2204");
        assert_eq!(events.next_within(Duration::ZERO), Some(Event::ChangedElsewhere));
        inner.look_elsewhere().unwrap();
        assert_eq!(events.next_within(Duration::ZERO), None);
    }
}
