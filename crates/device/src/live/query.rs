//! What a live query reads, and how it follows changes: by the keys of changed rows, or by being run
//! anew.
//!
//! A window is followed by keys where whether a row is in it, and where, depends on nothing but the
//! row itself. A filter that asks other rows, the time or chance, or an order by another table's
//! column, is not of that kind: such a window is run anew, and says why.

use super::diff::Keying;
use crate::error::{Error, code};
use crate::read::SqlValue;
use crate::read::store::{Included, WindowSql};
use landfall_model::id::TypeId;
use landfall_model::schema::{EntityType, FieldKind, Home, Schema};
use std::collections::BTreeSet;

/// A window of one table, with columns of the rows that it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    table: String,
    filter: Option<String>,
    params: Vec<SqlValue>,
    order: Vec<(String, bool)>,
    limit: Option<u64>,
    includes: Vec<(String, Vec<String>)>,
}

impl Query {
    /// All rows of an entity type, in order of their ids.
    pub fn table(name: impl Into<String>) -> Self {
        Self {
            table: name.into(),
            filter: None,
            params: Vec::new(),
            order: Vec::new(),
            limit: None,
            includes: Vec::new(),
        }
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

    /// Show columns of the row that a reference leads to, such as a parent's: `name` of `customer`
    /// is the column `customer.name`, NULL where the reference leads to no row of this device. Where
    /// several home scopes have one of that id, it is the one of the row's own, or the first.
    ///
    /// A change of the row referred to updates the rows that show it, and none else.
    pub fn include<N: Into<String>>(
        mut self,
        reference: impl Into<String>,
        columns: impl IntoIterator<Item = N>,
    ) -> Self {
        self.includes.push((reference.into(), columns.into_iter().map(Into::into).collect()));
        self
    }
}

/// A live query, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub sql: String,
    pub params: Vec<SqlValue>,
    pub keying: Keying,
    /// Types whose tables it reads; `None`: perhaps any.
    pub kinds: Option<BTreeSet<TypeId>>,
    pub follow: Follow,
}

/// How a live query is brought up to date.
#[derive(Debug)]
pub(crate) enum Follow {
    /// By the keys of the rows that changed.
    Keys(ByKey),
    /// By running it again, for this reason.
    Anew(&'static str),
}

/// What following by keys needs to know.
#[derive(Debug)]
pub(crate) struct ByKey {
    pub kind: TypeId,
    pub statement: WindowSql,
    pub limit: Option<usize>,
    /// The columns that hold references which are shown, with the types that they lead to.
    pub references: Vec<(String, TypeId)>,
}

impl Plan {
    /// Any SQL.
    pub fn sql(schema: &Schema, sql: &str, params: Vec<SqlValue>) -> Self {
        Self {
            kinds: tables_named(schema, sql),
            sql: sql.to_owned(),
            params,
            keying: Keying::FirstOrWhole,
            follow: Follow::Anew("it is SQL of the app's own, which may read anything"),
        }
    }

    /// A search in a type, with a filter besides.
    pub fn search(
        schema: &Schema,
        kind: &EntityType,
        filter: Option<&str>,
        sql: String,
        params: Vec<SqlValue>,
    ) -> Self {
        let mut kinds = filter.and_then(|f| tables_named(schema, f)).unwrap_or_default();
        kinds.insert(kind.id);
        Self {
            sql,
            params,
            keying: Keying::Columns(vec![0, 1]),
            kinds: Some(kinds),
            follow: Follow::Anew("the rank of a row depends on all rows"),
        }
    }

    /// A window. Fails with `LF2103` if a name is not the schema's.
    pub fn window(schema: &Schema, query: Query) -> Result<Self, Error> {
        let kind = schema.entity_named(&query.table);
        let kind = kind.ok_or_else(|| unknown("The live query's table is no entity type."))?;
        let includes = query
            .includes
            .iter()
            .map(|(reference, columns)| included(schema, kind, reference, columns))
            .collect::<Result<Vec<_>, Error>>()?;
        for (column, _) in &query.order {
            if !is_column(kind, column) && !includes.iter().any(|(i, _)| i.shows(column)) {
                let message = "The live query is ordered by something that is no field.";
                return Err(unknown(message));
            }
        }
        let anew = why_anew(kind, &query);
        let mut kinds = match (&query.filter, anew) {
            // Tables that the filter reads count, too.
            (Some(filter), Some(_)) => tables_named(schema, filter).unwrap_or_default(),
            _ => BTreeSet::new(),
        };
        kinds.insert(kind.id);
        kinds.extend(includes.iter().map(|(_, target)| *target));
        let references =
            includes.iter().map(|(i, target)| (i.reference.clone(), *target)).collect();
        let statement = WindowSql {
            table: kind.name.clone(),
            filter: query.filter,
            order: query.order,
            includes: includes.into_iter().map(|(i, _)| i).collect(),
        };
        let limit = query.limit.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        Ok(Self {
            sql: statement.window(query.limit),
            params: query.params,
            // Tables begin with the id and the home scope, which are their key.
            keying: Keying::Columns(vec![0, 1]),
            kinds: Some(kinds),
            follow: match anew {
                Some(why) => Follow::Anew(why),
                None => Follow::Keys(ByKey { kind: kind.id, statement, limit, references }),
            },
        })
    }

    /// Views of the app's own may stand between the statement and the tables: what they read counts,
    /// too. Given are all that the file has, by name and text.
    pub fn reads_through(&mut self, schema: &Schema, mut views: Vec<(String, String)>) {
        let (Some(kinds), Follow::Anew(_)) = (&mut self.kinds, &self.follow) else { return };
        let mut text = self.sql.to_ascii_lowercase();
        loop {
            // A name with a quote in it may be spelled otherwise.
            let is_named = |(name, _): &mut (String, String)| {
                name.contains('"') || text.contains(&name.to_ascii_lowercase())
            };
            let named: Vec<String> =
                views.extract_if(.., is_named).map(|(_, view)| view.to_ascii_lowercase()).collect();
            if named.is_empty() {
                return;
            }
            // Views may read views.
            text = named.join("\n");
            kinds.extend(tables_named(schema, &text).unwrap_or_default());
        }
    }

    /// True if it is followed by keys.
    pub fn incremental(&self) -> bool {
        matches!(self.follow, Follow::Keys(_))
    }
}

fn unknown(message: &str) -> Error {
    Error::new(code::LIVE_QUERY, message)
}

fn is_column(kind: &EntityType, name: &str) -> bool {
    kind.field_named(name).is_some() || ["_home", "_pending"].contains(&name)
}

fn included(
    schema: &Schema,
    kind: &EntityType,
    reference: &str,
    columns: &[String],
) -> Result<(Included, TypeId), Error> {
    let field = kind.field_named(reference);
    let target = match field.map(|f| &f.kind) {
        Some(FieldKind::Ref(target)) => schema.entity(*target),
        _ => None,
    };
    let target = target
        .ok_or_else(|| unknown("The live query includes by something that is no reference."))?;
    if !columns.iter().all(|column| is_column(target, column)) {
        return Err(unknown("The live query includes a column that the row referred to lacks."));
    }
    // A child is in its parent's home scope.
    let same_home = matches!(&kind.home, Home::Parent { field: f, .. } if field.is_some_and(|field| field.id == *f));
    let included = Included {
        reference: reference.to_owned(),
        table: target.name.clone(),
        columns: columns.to_vec(),
        same_home,
    };
    Ok((included, target.id))
}

/// What SQLite's functions of time take for the present; a parameter may say it, too. `subsec` alone
/// is the present in milliseconds.
const NOW: [&str; 3] = ["now", "subsec", "subsecond"];

const TIME_FUNCTIONS: [&str; 7] =
    ["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

/// Why a change of a row does not tell all that changes in the window, if so.
fn why_anew(kind: &EntityType, query: &Query) -> Option<&'static str> {
    if !query.order.iter().all(|(column, _)| is_column(kind, column)) {
        return Some("it is ordered by a column of another table");
    }
    let filter = query.filter.as_deref()?.to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<&str> = filter.split(|c| !is_word(c)).filter(|w| !w.is_empty()).collect();
    let says = |any: &[&str]| words.iter().any(|w| any.contains(w));
    if says(&["select"]) || reads_a_table_by_name(&filter, is_word) {
        return Some("its filter reads other rows");
    }
    let now = |word: &str| NOW.contains(&word.trim().to_ascii_lowercase().as_str());
    let given = query.params.iter().filter_map(SqlValue::as_str).any(now);
    let asks_the_time = words.iter().any(|word| now(word))
        || given && says(&TIME_FUNCTIONS)
        || says(&["current_timestamp", "current_date", "current_time"])
        || calls_without_a_row(&filter);
    if asks_the_time || says(&["random", "randomblob"]) {
        return Some("its filter depends on the time or on chance");
    }
    None
}

/// A function that is given nothing to work on works on the present moment, on chance, or on what
/// the connection did last: `unixepoch()`, `strftime('%s')`.
fn calls_without_a_row(filter: &str) -> bool {
    // What stands in texts calls nothing, but a text is something.
    let code = filter.split('\'').step_by(2).collect::<Vec<_>>().join("'");
    let bare: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let formats = |(at, name): (usize, &str)| {
        let arguments = &bare[at + name.len()..];
        !arguments[..arguments.find(')').unwrap_or(arguments.len())].contains(',')
    };
    bare.contains("()") || bare.match_indices("strftime(").any(formats)
}

/// `x IN Table`, without parentheses.
fn reads_a_table_by_name(filter: &str, is_word: impl Fn(char) -> bool) -> bool {
    filter.match_indices("in").any(|(at, word)| {
        let (before, behind) = (&filter[..at], &filter[at + word.len()..]);
        let alone = !before.ends_with(&is_word) && !behind.starts_with(&is_word);
        alone && !behind.trim_start().starts_with('(')
    })
}

/// Types whose names stand in the statement. SQL can read a table only by its name, or through a view
/// ([`Plan::reads_through`]), so this may find too many, never too few; `None` if it finds none at all.
fn tables_named(schema: &Schema, sql: &str) -> Option<BTreeSet<TypeId>> {
    let sql = sql.to_ascii_lowercase();
    let named = |name: &str| sql.contains(&name.to_ascii_lowercase());
    let kinds: BTreeSet<TypeId> =
        schema.types.values().filter(|t| named(&t.name)).map(|t| t.id).collect();
    (!kinds.is_empty()).then_some(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_asks_more_than_its_row_is_told_apart() {
        let sdl = "type Job @entity(strategy: CRDT, scope: \"a\") { id: ID! job: Job @ref(onDelete: KEEP) at: Instant inn: Int }";
        let schema = landfall_model::schema::compile(sdl).unwrap();
        let check = |filter: &str, incremental: bool| {
            let plan = Plan::window(&schema, Query::table("Job").filter(filter, [])).unwrap();
            assert_eq!(plan.incremental(), incremental, "{filter}");
        };
        check("job = 'x' AND at > 3", true);
        check("job IN ('a', 'b')", true);
        check("inn = 1 AND job IN\n('a')", true);
        check("at BETWEEN 1 AND 2 OR at IS NULL", true);
        check("date(at) > '2026-01-01'", true);
        check("job IN (SELECT id FROM Job)", false);
        check("EXISTS (select 1)", false);
        check("job IN Job", false);
        check("at > unixepoch('Now')", false);
        check("at > unixepoch( )", false);
        check("at > unixepoch('subsec')", false);
        check("at > strftime('%s')", false);
        check("strftime('%Y (UTC), ', at) = '2026'", true);
        check("note = 'call me ()'", true);
        check("day = CURRENT_DATE", false);
        check("random() > 0", false);
        let given = |filter: &str, param: &str| {
            let query = Query::table("Job").filter(filter, [param.into()]);
            Plan::window(&schema, query).unwrap().incremental()
        };
        assert!(!given("at > unixepoch(?)", " NOW"));
        assert!(given("at > unixepoch(?)", "2026-01-01"));
        assert!(given("job = ?", "now"), "a word like others");
    }
}
