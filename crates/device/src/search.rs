//! Search: which rows hold these words, best first.
//!
//! It asks the full-text index that `@search` in the schema makes ([`crate::store`] says how it is
//! kept). The index is part of the file, so a search waits for no network and finds own writes at
//! once; it finds what is on this device and shown to the account here, and nothing else.
//!
//! What people type is not a language: [`Search::new`] takes any text and never fails for it. Who
//! wants the operators of FTS5 says so with [`Search::raw`]. The same index can be joined in SQL of
//! the app's own: see docs/schema.md, and [`search_expression`] for what people typed there.
//!
//! A live search is run anew when its table changes, because one row more changes the rank of
//! others; commits that come meanwhile are gathered.

use crate::client::Client;
use crate::error::{Error, code};
use crate::live::{self, Watch, WatchHandle, WatchListener};
use crate::read::store::search::{Asked, statement};
use crate::read::{self, Rows, SqlValue};
use landfall_model::schema::{EntityType, Schema};
use std::sync::Arc;

/// Words of one search that are looked for; those behind are left out.
pub const SEARCH_WORDS_MAX: usize = 64;

/// FTS5 makes no longer snippets.
const SNIPPET_WORDS_MAX: u8 = 64;

/// What to search for, and what to tell of what is found.
///
/// The rows that come have the type's columns and besides `_rank`, lower for better, and `_snippet`,
/// a piece of the field in which the most was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    kind: String,
    text: String,
    syntax: Syntax,
    fields: Vec<String>,
    filter: Option<(String, Vec<SqlValue>)>,
    limit: u32,
    marks: (String, String),
    snippet_words: u8,
    whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Words,
    AsTyped,
    Raw,
}

impl Search {
    /// Rows of a type that hold all of these words, in any of its searched fields and any order.
    ///
    /// `bread*` finds what begins with it; words in `"` quotes stand one behind the other; all other
    /// signs only part words. A text without words finds nothing.
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            text: text.into(),
            syntax: Syntax::Words,
            fields: Vec::new(),
            filter: None,
            limit: 50,
            marks: ("[".to_owned(), "]".to_owned()),
            snippet_words: 16,
            whole: false,
        }
    }

    /// The text is still being typed: its last word may go on, unless a space follows it.
    pub fn as_typed(mut self) -> Self {
        self.syntax = Syntax::AsTyped;
        self
    }

    /// The text is an expression of FTS5 (`title : milk NOT soy`), and fails with `LF2102` if it is
    /// not. For the app's own words, not for those of its users.
    pub fn raw(mut self) -> Self {
        self.syntax = Syntax::Raw;
        self
    }

    /// Look only in these fields.
    pub fn within<N: Into<String>>(mut self, fields: impl IntoIterator<Item = N>) -> Self {
        self.fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Only rows for which this SQL expression is true, too; `?` stands for the parameters in turn.
    pub fn filter(
        mut self,
        expression: impl Into<String>,
        params: impl IntoIterator<Item = SqlValue>,
    ) -> Self {
        self.filter = Some((expression.into(), params.into_iter().collect()));
        self
    }

    /// At most so many rows, the best ones; 50 unless said otherwise.
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = rows;
        self
    }

    /// What stands before and after a word that was found; `[` and `]` unless said otherwise. They
    /// are not told apart from the text's own: choose what it cannot hold where that matters.
    pub fn marks(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.marks = (before.into(), after.into());
        self
    }

    /// Length of the snippet, in words, 1 to 64; 16 unless said otherwise.
    pub fn snippet_words(mut self, words: u8) -> Self {
        self.snippet_words = words.clamp(1, SNIPPET_WORDS_MAX);
        self
    }

    /// Also the whole of each searched field, marked: the column `_marked_title` for `title`.
    pub fn highlight(mut self) -> Self {
        self.whole = true;
        self
    }

    fn resolve<'q>(&'q self, schema: &'q Schema) -> Result<Asked<'q>, Error> {
        let unknown = |message: &str| Error::new(code::SEARCH, message);
        let kind: &EntityType = schema
            .entity_named(&self.kind)
            .ok_or_else(|| unknown("The search names something that is no entity type."))?;
        let (_, searched) = kind
            .search()
            .ok_or_else(|| unknown("No field of the type has @search, so it has no index."))?;
        let is_searched = |name: &String| searched.iter().any(|f| f.name == *name);
        if !self.fields.iter().all(is_searched) {
            return Err(unknown("The search names a field that has no @search."));
        }
        let expression = match self.syntax {
            Syntax::Words => search_expression(&self.text),
            Syntax::AsTyped if self.text.ends_with(char::is_whitespace) => {
                search_expression(&self.text)
            }
            Syntax::AsTyped => expression(&self.text, true),
            Syntax::Raw => self.text.clone(),
        };
        let expression = match self.fields.is_empty() {
            true => expression,
            false => {
                let fields: Vec<String> = self.fields.iter().map(|f| format!("\"{f}\"")).collect();
                format!("{{{}}} : ({expression})", fields.join(" "))
            }
        };
        Ok(Asked {
            kind,
            expression,
            filter: self.filter.as_ref().map(|(filter, _)| filter.as_str()),
            params: self.filter.as_ref().map(|(_, params)| params.as_slice()).unwrap_or_default(),
            limit: self.limit,
            marks: (&self.marks.0, &self.marks.1),
            snippet_words: self.snippet_words,
            marked: match self.whole {
                true => searched.iter().map(|f| f.name.as_str()).collect(),
                false => Vec::new(),
            },
        })
    }
}

impl Client {
    /// Rows of a type that hold all of these words, the best first: [`Search::new`] says how the
    /// text is read, and what the rows hold. Fails with `LF2120` if the type is not searched.
    pub fn search(&self, kind: &str, text: &str, limit: u32) -> Result<Rows, Error> {
        self.search_with(&Search::new(kind, text).limit(limit))
    }

    /// Like [`Client::search`], with all that can be said about it.
    pub fn search_with(&self, search: &Search) -> Result<Rows, Error> {
        let (sql, params) = statement(&search.resolve(self.schema())?);
        self.inner.with_reader(|conn| read::store::query(conn, &sql, &params))
    }

    /// A search whose changes are told. It is run anew when rows of its type change.
    pub fn observe_search(&self, search: &Search) -> Result<Watch, Error> {
        live::queued(&self.inner, self.search_plan(search)?)
    }

    /// Like [`Client::observe_search`], with a listener.
    pub fn observe_search_with(
        &self,
        search: &Search,
        listener: Arc<dyn WatchListener>,
    ) -> Result<WatchHandle, Error> {
        live::start(&self.inner, self.search_plan(search)?, listener)
    }

    fn search_plan(&self, search: &Search) -> Result<live::Plan, Error> {
        let asked = search.resolve(self.schema())?;
        let (sql, params) = statement(&asked);
        Ok(live::Plan::search(self.schema(), asked.kind, asked.filter, sql, params))
    }
}

/// What people typed, as an expression that FTS5 never refuses: all of these words; `bread*` for
/// what begins so; words in quotes one behind the other. For `MATCH` in SQL of the app's own.
pub fn search_expression(text: &str) -> String {
    expression(text, false)
}

fn expression(text: &str, open: bool) -> String {
    let mut terms = terms(text);
    if open && let Some((_, begins)) = terms.last_mut() {
        *begins = true;
    }
    if terms.is_empty() {
        // A phrase without words, which finds nothing; without even that it would be a fault.
        return "\"\"".to_owned();
    }
    let quoted = terms.iter().map(|(words, begins)| {
        let star = if *begins { "*" } else { "" };
        format!("\"{words}\"{star}")
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Words and quoted phrases, each with whether it is only a beginning. None holds a quote, or a
/// NUL, at which FTS5 would stop reading.
fn terms(text: &str) -> Vec<(String, bool)> {
    let mut terms = Vec::new();
    let mut rest = text;
    while terms.len() < SEARCH_WORDS_MAX {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '*');
        let (term, behind) = match rest.strip_prefix('"') {
            Some(inside) => inside.split_once('"').unwrap_or((inside, "")),
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '"' || c == '*');
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        if rest.is_empty() {
            break;
        }
        rest = behind;
        let words = term.replace('\0', " ");
        if !words.trim().is_empty() {
            terms.push((words, rest.starts_with('*')));
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_quoted_words() {
        let check = |typed: &str, expected: &str| {
            assert_eq!(search_expression(typed), expected, "{typed:?}");
        };
        check("milk bread*", r#""milk" "bread"*"#);
        check("  milk\t\u{3000}bread ", r#""milk" "bread""#);
        check("\"red apples\" milk", r#""red apples" "milk""#);
        check("\"red app\"*", r#""red app"*"#);
        check("\"red app", r#""red app""#);
        check("milk\"red\"*x", r#""milk" "red"* "x""#);
        check("title:milk OR (soy - NEAR(a b))", r#""title:milk" "OR" "(soy" "-" "NEAR(a" "b))""#);
        check("a\0b", r#""a b""#);
        check("", r#""""#);
        check(" * ** \"\" \"  \" \0", r#""""#);
        check(&"a ".repeat(100), &vec!["\"a\""; SEARCH_WORDS_MAX].join(" "));
    }

    #[test]
    fn the_last_word_goes_on_while_it_is_typed() {
        assert_eq!(expression("milk bre", true), r#""milk" "bre"*"#);
        assert_eq!(expression("", true), r#""""#);
    }
}
