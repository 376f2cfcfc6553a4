//! What a live query says of itself: how it follows changes and why, and what that has cost.

use super::hub::Watched;
use super::query::Follow;
use crate::error::Error;
use crate::inner::Inner;
use crate::read;
use std::fmt;
use std::time::Duration;

/// How a live query works and what it has done, for somebody who wants to know why it is slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveExplain {
    /// True if it is kept up to date by the rows that changed; false if the whole statement is run
    /// anew.
    pub incremental: bool,
    /// Why.
    pub why: String,
    /// The types whose changes it hears of; empty: all of them.
    pub tables: Vec<String>,
    /// Rows that it shows.
    pub rows: usize,
    /// Rows that it holds, those behind the shown ones included.
    pub held: usize,
    /// Times that the whole statement was run: the first time, and then where it is not incremental,
    /// where the rows held were used up, where very much changed at once, and where another process
    /// wrote.
    pub runs: u64,
    /// Times that changed rows were looked up instead.
    pub refreshes: u64,
    /// Rows that were looked up in these.
    pub lookups: u64,
    /// Updates that the listener was told.
    pub updates: u64,
    /// What the last run or refresh took, difference included, listener not.
    pub last_cost: Duration,
    /// SQLite's plan of the whole statement, a step a line.
    pub steps: Vec<String>,
    /// What would make it cheaper, if something would.
    pub advice: Option<String>,
}

/// What a live query has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub runs: u64,
    pub refreshes: u64,
    pub lookups: u64,
    pub updates: u64,
    pub last_cost: Duration,
}

pub(super) fn explain(inner: &Inner, watched: &Watched) -> Result<LiveExplain, Error> {
    let plan = &watched.plan;
    let (counters, rows, held) = watched.figures();
    let steps = inner.with_reader(|conn| read::store::steps(conn, &plan.sql, &plan.params))?;
    let sorts = steps.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
    let (why, advice) = match &plan.follow {
        Follow::Keys(by) => {
            let first = by.statement.order.first().map(|(column, _)| column);
            let advice = first.filter(|_| sorts).map(|column| {
                format!("Each run sorts all rows that match. @index on `{column}` would save that.")
            });
            ("whether a row is in it, and where, depends on that row alone".to_owned(), advice)
        }
        Follow::Anew(why) => ((*why).to_owned(), None),
    };
    let schema = &inner.options.schema;
    let tables = plan.kinds.iter().flatten();
    Ok(LiveExplain {
        incremental: plan.incremental(),
        why,
        tables: tables.filter_map(|k| Some(schema.entity(*k)?.name.clone())).collect(),
        rows,
        held,
        runs: counters.runs,
        refreshes: counters.refreshes,
        lookups: counters.lookups,
        updates: counters.updates,
        last_cost: counters.last_cost,
        steps,
        advice,
    })
}

impl fmt::Display for LiveExplain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.incremental { "incremental" } else { "run anew" };
        writeln!(f, "{how}: {}", self.why)?;
        let tables = match self.tables.is_empty() {
            true => "every table".to_owned(),
            false => self.tables.join(", "),
        };
        writeln!(f, "hears of   {tables}")?;
        writeln!(f, "rows       {} shown, {} held", self.rows, self.held)?;
        writeln!(f, "runs       {}", self.runs)?;
        writeln!(f, "refreshes  {}, with {} rows looked up", self.refreshes, self.lookups)?;
        writeln!(f, "updates    {}", self.updates)?;
        write!(f, "last cost  {:?}", self.last_cost)?;
        for step in &self.steps {
            write!(f, "\nSQLite     {step}")?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n{advice}")?;
        }
        Ok(())
    }
}
