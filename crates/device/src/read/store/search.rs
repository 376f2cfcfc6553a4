//! The SQL of a search in a type's full-text index.

use super::quoted;
use crate::read::SqlValue;
use crate::store;
use landfall_model::schema::EntityType;

/// What is asked of an index, resolved.
pub(crate) struct Asked<'q> {
    pub kind: &'q EntityType,
    /// In the syntax of FTS5.
    pub expression: String,
    /// A condition on the row, with its parameters.
    pub filter: Option<&'q str>,
    pub params: &'q [SqlValue],
    pub limit: u32,
    /// What stands before and after a word that was found.
    pub marks: (&'q str, &'q str),
    pub snippet_words: u8,
    /// Searched fields that come whole and marked.
    pub marked: Vec<&'q str>,
}

/// The statement and its parameters. The index is walked in the order of its own rank, so marks and
/// snippets are made only for what is returned. The filter stands first: its parameters count
/// from 1, as its author numbered them.
pub(crate) fn statement(asked: &Asked<'_>) -> (String, Vec<SqlValue>) {
    let kind = asked.kind;
    let (index, rows) = (quoted(&store::search_table(kind)), quoted(&kind.name));
    let filter = asked.filter.map_or(String::new(), |f| format!(" WHERE (\n{f}\n)"));
    let mut columns = vec!["\"id\"".to_owned(), "\"_home\"".to_owned(), "\"_pending\"".to_owned()];
    columns.extend(kind.fields.iter().filter(|f| f.name != "id").map(|f| quoted(&f.name)));
    let columns: Vec<String> = columns.iter().map(|c| format!("n.{c}")).collect();
    let mut params = asked.params.to_vec();
    let (open, close) = (SqlValue::from(asked.marks.0), SqlValue::from(asked.marks.1));
    let mut found = format!(
        "rowid AS \"_at\", rank AS \"_rank\", snippet({index}, -1, ?, ?, '…', {}) AS \"_snippet\"",
        asked.snippet_words
    );
    let mut shown = "hit.\"_rank\", hit.\"_snippet\"".to_owned();
    params.extend([open.clone(), close.clone()]);
    let searched = kind.search().map(|(_, fields)| fields).unwrap_or_default();
    for name in &asked.marked {
        let at = searched.iter().position(|f| f.name == *name).unwrap_or_default();
        let marked = quoted(&format!("_marked_{name}"));
        found.push_str(&format!(", highlight({index}, {at}, ?, ?) AS {marked}"));
        shown.push_str(&format!(", hit.{marked}"));
        params.extend([open.clone(), close.clone()]);
    }
    params.push(asked.expression.as_str().into());
    let sql = format!(
        "WITH n AS (SELECT rowid AS \"_at\", * FROM {rows}{filter})
        SELECT {columns}, {shown}
        FROM (SELECT {found} FROM {index} WHERE {index} MATCH ?) AS hit
        CROSS JOIN n ON n.\"_at\" = hit.\"_at\"
        ORDER BY hit.\"_rank\" LIMIT {limit}",
        columns = columns.join(", "),
        limit = asked.limit,
    );
    (sql, params)
}
