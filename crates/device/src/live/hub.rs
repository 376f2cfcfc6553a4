//! The work in the background that runs live queries, and what it is told by those who commit.
//!
//! Those who commit leave the keys of the rows that they changed. Each turn takes all that were
//! left, so what comes while queries run is gathered for the next turn. A turn that fails because
//! another process holds the file begins from the whole statement when it comes again.

use super::diff::diff;
use super::explain::Counters;
use super::query::{Follow, Plan};
use super::window::{Refreshed, Window};
use super::{WatchListener, WatchUpdate};
use crate::error::{Error, code};
use crate::event::Coverage;
use crate::inner::Inner;
use crate::read::{self, Row};
use crate::store;
use landfall_model::id::{EntityKey, TypeId};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use tokio::sync::Notify;

/// Keys that are gathered for one turn; of more, only the types are kept.
const KEYS_MAX: usize = 4_096;

/// One live query and what it last told.
pub(super) struct Watched {
    pub plan: Plan,
    listener: Arc<dyn WatchListener>,
    state: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// What a query that is followed by keys holds; none before the first run, and after an error.
    window: Option<Window>,
    told: Option<Told>,
    counters: Counters,
}

struct Told {
    rows: Arc<Vec<Row>>,
    coverage: Coverage,
}

/// See that a query can be run, and what it reads by way of views.
pub(super) fn check(inner: &Inner, plan: &mut Plan) -> Result<(), Error> {
    let views = inner.with_reader(read::store::views)?;
    plan.reads_through(&inner.options.schema, views);
    inner.with_reader(|conn| match &plan.follow {
        Follow::Keys(by) => {
            let mut params = plan.params.clone();
            params.extend(["".into(), "".into()]);
            read::store::query(conn, &by.statement.row(), &params)?;
            read::store::steps(conn, &plan.sql, &plan.params).map(drop)
        }
        // Some faults show only when it is run.
        Follow::Anew(_) => read::store::query(conn, &plan.sql, &plan.params).map(drop),
    })
}

impl Watched {
    pub fn new(plan: Plan, listener: Arc<dyn WatchListener>) -> Self {
        Self { plan, listener, state: Mutex::default() }
    }

    /// What it has done, the rows that it shows, and those that it holds.
    pub fn figures(&self) -> (Counters, usize, usize) {
        let state = self.lock();
        let shown = state.told.as_ref().map_or(0, |told| told.rows.len());
        (state.counters, shown, state.window.as_ref().map_or(shown, Window::len))
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Run and tell. False if the query is at its end.
    fn turn(&self, id: u64, inner: &Inner, changed: &Changed) -> bool {
        match self.update(inner, changed) {
            Ok(Some(update)) => self.tell(|listener| listener.updated(update)),
            Ok(None) => true,
            Err(error) if error.code() == code::CLOSED => false,
            // Another process holds the file, which is no fault of the query: it waited for as long
            // as anybody does, and its turn comes again.
            Err(error) if error.code() == store::Error::Busy.code() => {
                // What changed is known only now.
                self.lock().window = None;
                inner.live.again(id);
                true
            }
            Err(error) => {
                self.tell(|listener| listener.failed(error));
                false
            }
        }
    }

    /// A listener is the app's code: one that panics is told no more, and hurts no other. False if it
    /// did.
    fn tell(&self, what: impl FnOnce(&dyn WatchListener)) -> bool {
        let told = catch_unwind(AssertUnwindSafe(|| what(&*self.listener)));
        if told.is_err() {
            tracing::error!("the listener of a live query panicked, and is told no more");
        }
        told.is_ok()
    }

    fn update(&self, inner: &Inner, changed: &Changed) -> Result<Option<WatchUpdate>, Error> {
        let began = inner.options.runtime.now();
        let mut state = self.lock();
        let (coverage, rows) = inner.with_reader(|conn| {
            // One snapshot for all that is told together.
            let snapshot = conn.unchecked_transaction().map_err(store::Error::from)?;
            let coverage = inner.coverage(&snapshot, self.plan.kinds.as_ref())?;
            Ok((coverage, self.rows(&snapshot, &mut state, changed)?))
        })?;
        let empty = Vec::new();
        let before = state.told.as_ref().map_or(&empty, |t| t.rows.as_ref());
        let changes = diff(&self.plan.keying, before, &rows);
        let is_news = state.told.as_ref().is_none_or(|t| t.coverage != coverage);
        let mut update = None;
        if !changes.is_empty() || is_news {
            let rows = Arc::new(rows);
            state.told = Some(Told { rows: rows.clone(), coverage });
            state.counters.updates += 1;
            let incremental = self.plan.incremental();
            update = Some(WatchUpdate { changes, rows, coverage, incremental });
        }
        state.counters.last_cost = inner.options.runtime.now().saturating_sub(began);
        Ok(update)
    }

    /// The rows as they are in this snapshot.
    fn rows(
        &self,
        conn: &Connection,
        state: &mut Progress,
        changed: &Changed,
    ) -> Result<Vec<Row>, Error> {
        let plan = &self.plan;
        let Follow::Keys(by) = &plan.follow else {
            state.counters.runs += 1;
            return Ok(read::store::query(conn, &plan.sql, &plan.params)?.rows);
        };
        let only_keys =
            !changed.all && plan.kinds.iter().flatten().all(|k| !changed.kinds.contains(k));
        // Until it is whole again, there is none: an error in between leaves none.
        if let Some(mut window) = state.window.take().filter(|_| only_keys)
            && let Refreshed::ByKeys(rows) =
                window.refresh(conn, by, &plan.params, &changed.keys)?
        {
            state.counters.refreshes += 1;
            state.counters.lookups += rows;
            return Ok(state.window.insert(window).shown(by.limit));
        }
        state.counters.runs += 1;
        let window = Window::load(conn, by, &plan.params)?;
        Ok(state.window.insert(window).shown(by.limit))
    }
}

/// What changed since the last turn.
#[derive(Debug, Default)]
struct Changed {
    /// Anything may have.
    all: bool,
    /// Any rows of these types may have.
    kinds: BTreeSet<TypeId>,
    /// These rows, of other types.
    keys: BTreeSet<EntityKey>,
}

impl Changed {
    fn is_nothing(&self) -> bool {
        !self.all && self.kinds.is_empty() && self.keys.is_empty()
    }

    fn add(&mut self, key: &EntityKey) {
        if !self.kinds.contains(&key.kind) {
            self.keys.insert(key.clone());
        }
        if self.keys.len() > KEYS_MAX {
            self.kinds.extend(std::mem::take(&mut self.keys).into_iter().map(|key| key.kind));
        }
    }

    /// The types that it is about, unless it is about all.
    fn touched(&self) -> BTreeSet<TypeId> {
        self.kinds.iter().copied().chain(self.keys.iter().map(|key| key.kind)).collect()
    }
}

/// Queries whose turn it is, by their ids, and why it is.
type Due = (Vec<(u64, Arc<Watched>)>, Changed);

/// All live queries of a client. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// For the one who serves.
    wake: Notify,
}

#[derive(Default)]
struct State {
    watches: BTreeMap<u64, Arc<Watched>>,
    last_id: u64,
    running: bool,
    stopped: bool,
    changed: Changed,
    /// Those that begin, also once more.
    fresh: BTreeSet<u64>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} live queries", self.shared.lock().watches.len())
    }
}

impl Hub {
    /// These rows changed, and are committed.
    pub fn changed<'k>(&self, keys: impl Iterator<Item = &'k EntityKey>) {
        let mut state = self.shared.lock();
        if !state.watches.is_empty() {
            keys.for_each(|key| state.changed.add(key));
            self.shared.wake.notify_one();
        }
    }

    /// Anything may have changed.
    pub fn all_changed(&self) {
        self.shared.lock().changed.all = true;
        self.shared.wake.notify_one();
    }

    pub(super) fn find(&self, id: u64) -> Option<Arc<Watched>> {
        self.shared.lock().watches.get(&id).cloned()
    }

    /// This query could not be run.
    fn again(&self, id: u64) {
        self.shared.lock().fresh.insert(id);
    }

    pub fn forget(&self, id: u64) {
        let gone = self.shared.lock().watches.remove(&id);
        // A listener may do anything when it is dropped: not under the lock.
        drop(gone);
    }

    pub fn stop(&self) {
        let gone = {
            let mut state = self.shared.lock();
            state.stopped = true;
            std::mem::take(&mut state.watches)
        };
        self.shared.wake.notify_one();
        drop(gone);
    }
}

/// Take a live query on; its first update follows by itself.
pub(super) fn add(inner: &Arc<Inner>, watched: Watched) -> Result<u64, Error> {
    let shared = &inner.live.shared;
    let mut state = shared.lock();
    if state.stopped {
        return Err(Error::closed());
    }
    if !state.running {
        let runtime = inner.options.runtime.clone();
        let (inner, shared) = (Arc::downgrade(inner), shared.clone());
        let serve = Box::pin(serve(inner, shared));
        runtime
            .spawn_listeners("landfall-live", serve)
            .map_err(|e| Error::new(code::THREAD, "A thread could not be started.").because(e))?;
        state.running = true;
    }
    state.last_id += 1;
    let id = state.last_id;
    state.watches.insert(id, Arc::new(watched));
    state.fresh.insert(id);
    shared.wake.notify_one();
    Ok(id)
}

async fn serve(inner: Weak<Inner>, shared: Arc<Shared>) {
    while let Some((due, changed)) = shared.due().await {
        let Some(inner) = inner.upgrade() else { return };
        for (id, watched) in due {
            if !watched.turn(id, &inner, &changed) {
                inner.live.forget(id);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait until something changed; the queries that it concerns. `None` at the end.
    async fn due(&self) -> Option<Due> {
        loop {
            if let Poll::Ready(due) = self.lock().next_turn() {
                return due;
            }
            self.wake.notified().await;
        }
    }
}

impl State {
    /// Pending: nothing is due now. `None`: nothing ever will be again.
    fn next_turn(&mut self) -> Poll<Option<Due>> {
        if self.stopped {
            return Poll::Ready(None);
        }
        if !self.changed.is_nothing() || !self.fresh.is_empty() {
            return Poll::Ready(Some(self.take_due()));
        }
        Poll::Pending
    }

    fn take_due(&mut self) -> Due {
        let changed = std::mem::take(&mut self.changed);
        let fresh = std::mem::take(&mut self.fresh);
        let touched = changed.touched();
        let concerned = |id: &u64, w: &Watched| {
            let reads = |k: &BTreeSet<TypeId>| k.intersection(&touched).next().is_some();
            let kinds = w.plan.kinds.as_ref();
            changed.all || fresh.contains(id) || kinds.map_or(!touched.is_empty(), reads)
        };
        let due = self.watches.iter().filter(|(id, w)| concerned(id, w));
        (due.map(|(id, w)| (*id, w.clone())).collect(), changed)
    }
}
