//! Live queries: the app says what it wants to see, and is told what changes in it.
//!
//! After each commit the tables that it touched are noted; a thread of the client's own then runs
//! the queries that read those tables, compares with what each had, and tells the difference.
//! Commits that come meanwhile are gathered, so a query runs once for many of them. Nothing here
//! is durable. Updates of one query come in order, each exactly between two committed states.
//!
//! There are two kinds. [`Query`] is a window of one table; its rows are known by their key, and
//! it is read anew only when its table changes, so an update costs what the window costs and, with
//! an index for the order, not what the table costs. Any other SQL is run anew whenever a table
//! that it names changes, rows being known by their first column or by all they hold; its updates
//! say `incremental: false`.

mod diff;
mod hub;

pub use diff::{RowChange, apply};
pub(crate) use hub::Hub;

use crate::client::Client;
use crate::error::{Error, code};
use crate::event::Coverage;
use crate::inner::Inner;
use crate::read::{self, Row, Rows, SqlValue};
use diff::Keying;
use hub::Watched;
use landfall_model::id::TypeId;
use landfall_model::schema::Schema;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// A window of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    table: String,
    filter: Option<String>,
    params: Vec<SqlValue>,
    order: Vec<(String, bool)>,
    limit: Option<u64>,
}

impl Query {
    /// All rows of an entity type, in order of their ids.
    pub fn table(name: impl Into<String>) -> Self {
        let order = Vec::new();
        Self { table: name.into(), filter: None, params: Vec::new(), order, limit: None }
    }

    /// Only rows for which this SQL expression is true; `?` stands for the parameters in turn.
    pub fn filter(
        mut self,
        expression: impl Into<String>,
        params: impl IntoIterator<Item = SqlValue>,
    ) -> Self {
        self.filter = Some(expression.into());
        self.params = params.into_iter().collect();
        self
    }

    /// Smallest first; further calls order what is equal so far.
    pub fn ascending(mut self, column: impl Into<String>) -> Self {
        self.order.push((column.into(), false));
        self
    }

    /// Largest first; further calls order what is equal so far.
    pub fn descending(mut self, column: impl Into<String>) -> Self {
        self.order.push((column.into(), true));
        self
    }

    /// At most so many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }
}

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
    /// True if an update costs what the window costs; false if the whole statement is run anew.
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
    updates: mpsc::UnboundedReceiver<Result<WatchUpdate, Error>>,
    _handle: WatchHandle,
}

impl Watch {
    /// The next update; `None` when the client is closed. Updates wait until they are fetched.
    pub async fn next(&mut self) -> Option<Result<WatchUpdate, Error>> {
        self.updates.recv().await
    }
}

/// Puts updates into a queue.
struct Queue(mpsc::UnboundedSender<Result<WatchUpdate, Error>>);

impl WatchListener for Queue {
    fn updated(&self, update: WatchUpdate) {
        // Whoever fetched has gone, and the query with it.
        let _ = self.0.send(Ok(update));
    }

    fn failed(&self, error: Error) {
        let _ = self.0.send(Err(error));
    }
}

impl Client {
    /// Watch a window of one table. Fails with `LF2103` if a name is not the schema's, and with
    /// `LF2102` if SQLite refuses the filter.
    pub fn observe(&self, query: Query) -> Result<Watch, Error> {
        queued(|listener| self.observe_with(query, listener))
    }

    /// Like [`Client::observe`], with a listener.
    pub fn observe_with(
        &self,
        query: Query,
        listener: Arc<dyn WatchListener>,
    ) -> Result<WatchHandle, Error> {
        start(&self.inner, window(self.schema(), query)?, listener)
    }

    /// Watch any SQL that reads. Fails with `LF2102` if SQLite refuses it.
    pub fn watch(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = SqlValue>,
    ) -> Result<Watch, Error> {
        queued(|listener| self.watch_with(sql, params, listener))
    }

    /// Like [`Client::watch`], with a listener.
    pub fn watch_with(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = SqlValue>,
        listener: Arc<dyn WatchListener>,
    ) -> Result<WatchHandle, Error> {
        let plan = Plan {
            kinds: tables_named(self.schema(), sql),
            sql: sql.to_owned(),
            params: params.into_iter().collect(),
            keying: Keying::FirstOrWhole,
            incremental: false,
        };
        start(&self.inner, plan, listener)
    }
}

/// A live query, ready to run.
#[derive(Debug)]
struct Plan {
    sql: String,
    params: Vec<SqlValue>,
    keying: Keying,
    /// Types whose tables it reads; `None`: perhaps any.
    kinds: Option<BTreeSet<TypeId>>,
    incremental: bool,
}

fn queued(
    start: impl FnOnce(Arc<dyn WatchListener>) -> Result<WatchHandle, Error>,
) -> Result<Watch, Error> {
    let (sender, updates) = mpsc::unbounded_channel();
    Ok(Watch { _handle: start(Arc::new(Queue(sender)))?, updates })
}

/// Run once, so that a faulty statement is told to the caller; from then on by the hub.
fn start(
    inner: &Arc<Inner>,
    plan: Plan,
    listener: Arc<dyn WatchListener>,
) -> Result<WatchHandle, Error> {
    run(inner, &plan)?;
    let id = hub::add(inner, Watched::new(plan, listener))?;
    Ok(WatchHandle { id, inner: Arc::downgrade(inner) })
}

fn run(inner: &Inner, plan: &Plan) -> Result<Rows, Error> {
    inner.with_reader(|conn| read::store::query(conn, &plan.sql, &plan.params))
}

fn window(schema: &Schema, query: Query) -> Result<Plan, Error> {
    let unknown = |message: &str| Error::new(code::LIVE_QUERY, message);
    let kind = schema.entity_named(&query.table);
    let kind = kind.ok_or_else(|| unknown("The live query's table is no entity type."))?;
    let is_column = |name: &String| {
        kind.field_named(name).is_some() || ["_home", "_pending"].contains(&name.as_str())
    };
    if !query.order.iter().all(|(column, _)| is_column(column)) {
        return Err(unknown("The live query is ordered by something that is no field."));
    }
    let mut kinds = match &query.filter {
        // Tables in subqueries of the filter count, too.
        Some(filter) => tables_named(schema, filter).unwrap_or_default(),
        None => BTreeSet::new(),
    };
    kinds.insert(kind.id);
    Ok(Plan {
        sql: read::store::window(&kind.name, query.filter.as_deref(), &query.order, query.limit),
        params: query.params,
        // Tables begin with the id and the home scope, which are their key.
        keying: Keying::Columns(vec![0, 1]),
        kinds: Some(kinds),
        incremental: true,
    })
}

/// Types whose names stand in the statement. SQL can read a table only by its name, so this may
/// find too many, never too few; `None` if it finds none at all.
fn tables_named(schema: &Schema, sql: &str) -> Option<BTreeSet<TypeId>> {
    let sql = sql.to_ascii_lowercase();
    let named = |name: &str| sql.contains(&name.to_ascii_lowercase());
    let kinds: BTreeSet<TypeId> =
        schema.types.values().filter(|t| named(&t.name)).map(|t| t.id).collect();
    (!kinds.is_empty()).then_some(kinds)
}
