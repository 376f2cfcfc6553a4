//! Live queries: what to watch, and the listener that hears of it.

use crate::error::CallError;
use crate::event::Coverage;
use crate::row::{self, SqlValue};
use landfall_device as device;
use std::sync::{Arc, Mutex, PoisonError};

/// A window of one table.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Query {
    /// The entity type's name.
    pub table: String,
    /// Only rows for which this SQL expression is true; `?` stands for the parameters in turn.
    pub filter: Option<String>,
    /// The filter's parameters.
    pub params: Vec<SqlValue>,
    /// Further entries order what is equal so far; at last rows go by id.
    pub order: Vec<OrderBy>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Columns of rows that it refers to.
    #[uniffi(default = [])]
    pub includes: Vec<Include>,
}

/// Columns of the row that a reference leads to: `name` by `customer` is the column
/// `customer.name`, NULL where the reference leads to no row of this device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Include {
    /// The field that refers.
    pub reference: String,
    /// Columns of the type that it refers to.
    pub columns: Vec<String>,
}

/// One column to order by.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrderBy {
    /// Its name.
    pub column: String,
    /// Largest first.
    pub descending: bool,
}

impl From<Query> for device::Query {
    fn from(query: Query) -> Self {
        let mut made = Self::table(query.table);
        if let Some(filter) = query.filter {
            made = made.filter(filter, row::params(query.params));
        }
        for OrderBy { column, descending } in query.order {
            made = if descending { made.descending(column) } else { made.ascending(column) };
        }
        for Include { reference, columns } in query.includes {
            made = made.include(reference, columns);
        }
        match query.limit {
            Some(rows) => made.limit(rows),
            None => made,
        }
    }
}

/// What changed in a live query's rows between two of its updates.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct WatchUpdate {
    /// Names of the columns, in order; empty where they are those of the update before.
    pub columns: Vec<String>,
    /// Removals by falling old place, then moves, insertions and updates by rising new place. The
    /// first update inserts every row.
    pub changes: Vec<RowChange>,
    /// What is on this device of the scopes that the query reads.
    pub coverage: Coverage,
    /// True if an update costs what the window costs; false if the whole statement is run anew.
    pub incremental: bool,
}

/// One change. `old` is a place in the rows before all changes of the update, `new` a place in the
/// rows after all of them; both count from 0.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum RowChange {
    /// The row is no longer in the answer.
    Remove {
        /// Where it was.
        old: u32,
    },
    /// The row is new in the answer.
    Insert {
        /// Where it is.
        new: u32,
        /// All its values.
        values: Vec<SqlValue>,
    },
    /// The row changed its place; if values changed too, an update follows.
    Move {
        /// Where it was.
        old: u32,
        /// Where it is.
        new: u32,
    },
    /// Some of the row's values are others.
    Update {
        /// Where it was.
        old: u32,
        /// Where it is.
        new: u32,
        /// Which columns changed, by place, ascending.
        changed: Vec<u32>,
        /// All its values, as they are now.
        values: Vec<SqlValue>,
    },
}

impl From<&device::RowChange> for RowChange {
    fn from(change: &device::RowChange) -> Self {
        match change {
            device::RowChange::Remove { old } => Self::Remove { old: place(*old) },
            device::RowChange::Insert { new, row } => {
                Self::Insert { new: place(*new), values: row::values(row) }
            }
            device::RowChange::Move { old, new } => {
                Self::Move { old: place(*old), new: place(*new) }
            }
            device::RowChange::Update { old, new, columns, row } => Self::Update {
                old: place(*old),
                new: place(*new),
                changed: columns.iter().map(|c| place(*c)).collect(),
                values: row::values(row),
            },
        }
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a window of 4 billion rows is in no memory")
}

impl WatchUpdate {
    /// An update, for somebody who was told these columns.
    fn new(update: device::WatchUpdate, told: &mut Vec<String>) -> Self {
        let columns = update.rows.first().map_or(&[][..], |row| row.columns());
        let mut news = Vec::new();
        if !columns.is_empty() && columns != told {
            columns.clone_into(told);
            news.clone_from(told);
        }
        Self {
            columns: news,
            changes: update.changes.iter().map(Into::into).collect(),
            coverage: update.coverage.into(),
            incremental: update.incremental,
        }
    }
}

/// A listener threw. The client goes on; the listener is called again for what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// It threw.
    #[error("{detail}")]
    Threw {
        /// What it threw, for people who read logs.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Threw { detail: error.reason }
    }
}

/// Hears of a live query. What takes long belongs elsewhere. The client may be called from here,
/// but not closed.
#[uniffi::export(with_foreign)]
pub trait WatchListener: Send + Sync {
    /// The rows, or what is known of them, changed.
    fn updated(&self, update: WatchUpdate) -> Result<(), ListenerError>;

    /// The query can no longer be run; only [`WatchListener::ended`] will follow.
    fn failed(&self, error: CallError) -> Result<(), ListenerError>;

    /// Nothing more will come: the watch was stopped, the client closed, or the query failed.
    fn ended(&self) -> Result<(), ListenerError>;
}

/// The client holds it for as long as it may call it, and its end is the listener's end.
struct Adapter {
    listener: Arc<dyn WatchListener>,
    columns: Mutex<Vec<String>>,
}

impl device::WatchListener for Adapter {
    fn updated(&self, update: device::WatchUpdate) {
        let update = {
            let mut told = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
            WatchUpdate::new(update, &mut told)
        };
        // What a listener throws is its own affair.
        let _ = self.listener.updated(update);
    }

    fn failed(&self, error: device::Error) {
        let _ = self.listener.failed(error.into());
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.listener.ended();
    }
}

/// The device's listener for this one.
pub(crate) fn adapter(listener: Arc<dyn WatchListener>) -> Arc<dyn device::WatchListener> {
    Arc::new(Adapter { listener, columns: Mutex::default() })
}

/// How a live query works and what it has done, for somebody who wants to know why it is slow.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LiveExplain {
    /// True if it is kept up to date by the keys of the rows that changed; false if the whole
    /// statement is run anew.
    pub incremental: bool,
    /// Why.
    pub why: String,
    /// The types whose changes it hears of; empty: all of them.
    pub tables: Vec<String>,
    /// Rows that it shows.
    pub rows: u64,
    /// Rows that it holds, those behind the shown ones included.
    pub held: u64,
    /// Times that the whole statement was run.
    pub runs: u64,
    /// Times that changed rows were looked up instead.
    pub refreshes: u64,
    /// Rows that were looked up in these.
    pub lookups: u64,
    /// Updates that the listener was told.
    pub updates: u64,
    /// What the last run or refresh took, in microseconds.
    pub last_cost_us: u64,
    /// SQLite's plan of the whole statement, a step each.
    pub steps: Vec<String>,
    /// What would make it cheaper, if something would.
    pub advice: Option<String>,
}

impl From<device::LiveExplain> for LiveExplain {
    fn from(told: device::LiveExplain) -> Self {
        Self {
            incremental: told.incremental,
            why: told.why,
            tables: told.tables,
            rows: told.rows as u64,
            held: told.held as u64,
            runs: told.runs,
            refreshes: told.refreshes,
            lookups: told.lookups,
            updates: told.updates,
            last_cost_us: u64::try_from(told.last_cost.as_micros()).unwrap_or(u64::MAX),
            steps: told.steps,
            advice: told.advice,
        }
    }
}

/// Keeps a live query running; to let go of it stops the query, too.
#[derive(Debug, uniffi::Object)]
pub struct Watch(Mutex<Option<device::WatchHandle>>);

impl Watch {
    pub(crate) fn new(handle: device::WatchHandle) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(handle))))
    }
}

#[uniffi::export]
impl Watch {
    /// Stop the query. An update under way may still arrive. To stop twice is to stop once.
    pub fn stop(&self) {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Outside of the lock: the listener hears of it.
        drop(handle);
    }

    /// How the query works, and what it has done so far. Fails with `LF2104` when it has ended.
    pub fn explain(&self) -> Result<LiveExplain, CallError> {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*handle {
            Some(handle) => Ok(handle.explain()?.into()),
            None => Err(CallError::Failed {
                code: device::code::CLOSED.to_owned(),
                detail: "The live query has ended.".to_owned(),
                edit: None,
                field: None,
            }),
        }
    }
}
