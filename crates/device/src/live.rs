//! Live queries: the app says what it wants to see, and is told what changes in it.
//!
//! After each commit the tables that it touched are noted; a thread of the client's own then runs
//! the queries that read those tables, compares with what each had, and tells the difference.
//! Commits that come meanwhile are gathered, so a query runs once for many of them. Nothing here
//! is durable. Updates of one query come in order, each exactly between two committed states.
//!
//! There are two kinds. [`Query`] is a window of one table, with columns of rows that it refers to.
//! It is followed by the keys of rows that changed ([`window`]): an update costs a look-up and a
//! search in the window, whatever the table's size. Any other SQL, a search, and a window whose
//! filter asks more than its row, is run anew whenever a table that it names changes, rows being
//! known by their key, their first column or all they hold; its updates say `incremental: false`.
//! [`WatchHandle::explain`] says which it is and why, and what it has cost.

mod diff;
mod explain;
mod hub;
mod query;
mod unread;
mod window;

pub use diff::{RowChange, apply};
pub use explain::LiveExplain;
pub(crate) use hub::Hub;
pub(crate) use query::Plan;
pub use query::Query;

use crate::client::Client;
use crate::error::Error;
use crate::event::Coverage;
use crate::inner::Inner;
use crate::read::{Row, SqlValue};
use hub::Watched;
use std::sync::{Arc, Weak};
use unread::Unread;

/// What changed in a live query's rows between two of its updates.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchUpdate {
    /// In the order in which [`apply`] carries them out: removals, then the rest. The first update
    /// inserts every row; later ones hold the fewest changes that lead to the new rows.
    pub changes: Vec<RowChange>,
    /// All rows, as they are now.
    pub rows: Arc<Vec<Row>>,
    /// What is on this device of the scopes that the query reads.
    pub coverage: Coverage,
    /// True if the query is followed by the rows that change; false if the whole statement is run
    /// anew.
    pub incremental: bool,
}

/// Hears of a live query. Called on a thread of the client's, one update at a time; what takes
/// long belongs elsewhere. The client may be called from here, but not closed.
pub trait WatchListener: Send + Sync + 'static {
    /// The rows, or what is known of them, changed.
    fn updated(&self, update: WatchUpdate);

    /// The query can no longer be run; nothing more will come.
    fn failed(&self, error: Error);
}

/// Keeps a live query running. Dropping it stops the query.
#[derive(Debug)]
pub struct WatchHandle {
    id: u64,
    inner: Weak<Inner>,
}

impl WatchHandle {
    /// Stop the query. An update under way may still arrive.
    pub fn stop(self) {}

    /// How the query works, and what it has done so far. Fails with `LF2104` when it has ended.
    pub fn explain(&self) -> Result<LiveExplain, Error> {
        let inner = self.inner.upgrade().ok_or_else(Error::closed)?;
        let watched = inner.live.find(self.id).ok_or_else(Error::closed)?;
        explain::explain(&inner, &watched)
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.live.forget(self.id);
        }
    }
}

/// A live query whose updates are fetched. Dropping it stops the query.
#[derive(Debug)]
pub struct Watch {
    unread: Arc<Unread>,
    handle: WatchHandle,
}

impl Watch {
    /// The next update; `None` when the client is closed. Updates wait until they are fetched; where
    /// more than 16 do, one takes their place, which leads from the rows that were fetched last to
    /// the present ones.
    pub async fn next(&mut self) -> Option<Result<WatchUpdate, Error>> {
        self.unread.next().await
    }

    /// How the query works, and what it has done so far. Fails with `LF2104` when it has ended.
    pub fn explain(&self) -> Result<LiveExplain, Error> {
        self.handle.explain()
    }
}

/// Has updates wait for who fetches them.
struct Queue(Arc<Unread>);

impl WatchListener for Queue {
    fn updated(&self, update: WatchUpdate) {
        self.0.put(update);
    }

    fn failed(&self, error: Error) {
        self.0.fail(error);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Client {
    /// Watch a window of one table. Fails with `LF2103` if a name is not the schema's, and with
    /// `LF2102` if SQLite refuses the filter.
    pub fn observe(&self, query: Query) -> Result<Watch, Error> {
        queued(&self.inner, Plan::window(self.schema(), query)?)
    }

    /// Like [`Client::observe`], with a listener.
    pub fn observe_with(
        &self,
        query: Query,
        listener: Arc<dyn WatchListener>,
    ) -> Result<WatchHandle, Error> {
        start(&self.inner, Plan::window(self.schema(), query)?, listener)
    }

    /// Watch any SQL that reads. Fails with `LF2102` if SQLite refuses it.
    pub fn watch(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = SqlValue>,
    ) -> Result<Watch, Error> {
        queued(&self.inner, Plan::sql(self.schema(), sql, params.into_iter().collect()))
    }

    /// Like [`Client::watch`], with a listener.
    pub fn watch_with(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = SqlValue>,
        listener: Arc<dyn WatchListener>,
    ) -> Result<WatchHandle, Error> {
        let plan = Plan::sql(self.schema(), sql, params.into_iter().collect());
        start(&self.inner, plan, listener)
    }
}

/// Start a live query whose updates are fetched.
pub(crate) fn queued(inner: &Arc<Inner>, plan: Plan) -> Result<Watch, Error> {
    let unread = Arc::new(Unread::new(plan.keying.clone()));
    let handle = start(inner, plan, Arc::new(Queue(unread.clone())))?;
    Ok(Watch { unread, handle })
}

/// Try it, so that a faulty statement is told to the caller; from then on it is run by the hub.
pub(crate) fn start(
    inner: &Arc<Inner>,
    mut plan: Plan,
    listener: Arc<dyn WatchListener>,
) -> Result<WatchHandle, Error> {
    hub::check(inner, &mut plan)?;
    let id = hub::add(inner, Watched::new(plan, listener))?;
    Ok(WatchHandle { id, inner: Arc::downgrade(inner) })
}
