//! The work in the background that runs live queries, and what it is told by those who commit.

use super::diff::diff;
use super::{Plan, WatchListener, WatchUpdate, run};
use crate::error::{Error, code};
use crate::event::Coverage;
use crate::inner::Inner;
use crate::read::Row;
use crate::store;
use landfall_model::id::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use tokio::sync::Notify;

/// One live query and what it last told.
pub(super) struct Watched {
    plan: Plan,
    listener: Arc<dyn WatchListener>,
    told: Mutex<Option<Told>>,
}

struct Told {
    rows: Arc<Vec<Row>>,
    coverage: Coverage,
}

impl Watched {
    pub fn new(plan: Plan, listener: Arc<dyn WatchListener>) -> Self {
        Self { plan, listener, told: Mutex::new(None) }
    }

    /// Run and tell. False if the query is at its end.
    fn turn(&self, id: u64, inner: &Inner) -> bool {
        match self.update(inner) {
            Ok(Some(update)) => {
                self.listener.updated(update);
                true
            }
            Ok(None) => true,
            Err(error) if error.code() == code::CLOSED => false,
            // Another process holds the file, which is no fault of the query: it waited for as long
            // as anybody does, and its turn comes again.
            Err(error) if error.code() == store::Error::Busy.code() => {
                inner.live.again(id);
                true
            }
            Err(error) => {
                self.listener.failed(error);
                false
            }
        }
    }

    fn update(&self, inner: &Inner) -> Result<Option<WatchUpdate>, Error> {
        // Before the rows: a scope that completes in between is told with them, next time.
        let coverage = inner.coverage(self.plan.kinds.as_ref())?;
        let rows = run(inner, &self.plan)?.rows;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = Vec::new();
        let before = told.as_ref().map_or(&empty, |t| t.rows.as_ref());
        let changes = diff(&self.plan.keying, before, &rows);
        let is_news = told.as_ref().is_none_or(|t| t.coverage != coverage);
        if changes.is_empty() && !is_news {
            return Ok(None);
        }
        let rows = Arc::new(rows);
        *told = Some(Told { rows: rows.clone(), coverage });
        Ok(Some(WatchUpdate { changes, rows, coverage, incremental: self.plan.incremental }))
    }
}

/// Queries whose turn it is, by their ids.
type Due = Vec<(u64, Arc<Watched>)>;

/// All live queries of a client.
#[derive(Default)]
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
    /// What changed since the last turn.
    all: bool,
    kinds: BTreeSet<TypeId>,
    fresh: BTreeSet<u64>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} live queries", self.shared.lock().watches.len())
    }
}

impl Hub {
    /// Rows of these types changed, and are committed.
    pub fn changed(&self, kinds: impl Iterator<Item = TypeId>) {
        let mut state = self.shared.lock();
        if !state.watches.is_empty() {
            state.kinds.extend(kinds);
            self.shared.wake.notify_one();
        }
    }

    /// Anything may have changed.
    pub fn all_changed(&self) {
        self.shared.lock().all = true;
        self.shared.wake.notify_one();
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
    while let Some(due) = shared.due().await {
        let Some(inner) = inner.upgrade() else { return };
        for (id, watched) in due {
            if !watched.turn(id, &inner) {
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
        if self.all || !self.kinds.is_empty() || !self.fresh.is_empty() {
            return Poll::Ready(Some(self.take_due()));
        }
        Poll::Pending
    }

    fn take_due(&mut self) -> Due {
        let all = std::mem::take(&mut self.all);
        let kinds = std::mem::take(&mut self.kinds);
        let fresh = std::mem::take(&mut self.fresh);
        let concerned = |id: &u64, w: &Watched| {
            let reads = |k: &BTreeSet<TypeId>| k.intersection(&kinds).next().is_some();
            all || fresh.contains(id) || w.plan.kinds.as_ref().map_or(!kinds.is_empty(), reads)
        };
        let due = self.watches.iter().filter(|(id, w)| concerned(id, w));
        due.map(|(id, w)| (*id, w.clone())).collect()
    }
}
