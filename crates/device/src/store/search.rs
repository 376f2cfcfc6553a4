//! Full-text indexes: one per type with `@search` fields, for the app to ask with plain SQL.
//!
//! The index of `Note` is the FTS5 table `_search_Note`, with a column for each searched field. It
//! keeps words and no text: it reads the texts from the typed table (external content), whose row
//! number is the index's `rowid`. So a row and what is found of it are joined by
//! `"_search_Note".rowid = "Note".rowid`.
//!
//! Triggers on the typed table keep the index: whatever writes, changes or removes a typed row (own
//! writes, rows from regions, refusals, evictions, access that was lost) changes the index in the
//! same transaction, and a crash leaves both or neither. Words that go are taken out of the index's
//! pages at once and not only when they are merged (`secure-delete`), as far as SQLite overwrites
//! what is deleted at all: see `secure_delete` in [`super::open`].
//!
//! Indexes follow the schema at opening, in the transaction that brings the tables up to date: one
//! that is new, or cut otherwise than before, is built from the rows at once. One that is no longer
//! asked for is dropped. What an index was built by is kept as a fact under its type's number, so
//! that renames are noticed, also where two types trade their names.

use super::error::Error;
use super::rows;
use super::tables::quoted;
use landfall_model::schema::{EntityType, Field, Schema, Search, Tokenizer};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The index of a type, as the app's SQL names it.
pub(crate) fn table(kind: &EntityType) -> String {
    format!("_search_{}", kind.name)
}

/// An index as it should be.
struct Index<'s> {
    kind: &'s EntityType,
    search: &'s Search,
    fields: Vec<&'s Field>,
}

/// Before tables and columns are renamed: drop what is not as the schema wants it. Within a
/// transaction.
pub(super) fn drop_changed(conn: &Connection, schema: &Schema) -> Result<(), Error> {
    let wanted: BTreeMap<String, String> =
        indexes(schema).map(|i| (i.fact(), i.definition())).collect();
    for (fact, built) in built(conn)? {
        if wanted.get(&fact) != Some(&built) {
            let number = fact.trim_start_matches(FACT);
            for event in ["insert", "delete", "update"] {
                conn.execute_batch(&format!("DROP TRIGGER {}", trigger(number, event)))?;
            }
            let table = built.lines().next().unwrap_or_default();
            conn.execute_batch(&format!("DROP TABLE {}", quoted(table)))?;
            rows::execute(conn, "DELETE FROM _lf_fact WHERE name = ?", [fact])?;
        }
    }
    Ok(())
}

/// After tables and columns are as the schema says: build what is missing. Within a transaction.
pub(super) fn build_missing(conn: &Connection, schema: &Schema) -> Result<(), Error> {
    let built = built(conn)?;
    for index in indexes(schema).filter(|i| !built.contains_key(&i.fact())) {
        conn.execute_batch(&index.create())?;
        conn.execute_batch(&index.triggers())?;
        let sql = "INSERT INTO _lf_fact (name, value) VALUES (?, ?)";
        rows::execute(conn, sql, [index.fact(), index.definition()])?;
    }
    Ok(())
}

const FACT: &str = "search/";

/// Definitions by fact.
fn built(conn: &Connection) -> Result<BTreeMap<String, String>, Error> {
    let sql = "SELECT name, value FROM _lf_fact WHERE name GLOB 'search/*'";
    let all = rows::query_all(conn, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(all.into_iter().collect())
}

fn indexes(schema: &Schema) -> impl Iterator<Item = Index<'_>> {
    schema.types.values().filter_map(|kind| {
        let (search, fields) = kind.search()?;
        Some(Index { kind, search, fields })
    })
}

/// Statements that make an empty index for each that a schema asks for, where its rows are not shown.
#[cfg(not(target_family = "wasm"))]
pub(super) fn stand_ins(schema: &Schema) -> impl Iterator<Item = String> {
    indexes(schema).map(|index| {
        let (table, columns) = (quoted(&table(index.kind)), index.columns(""));
        format!("CREATE VIRTUAL TABLE temp.{table} USING fts5({columns}, content = '')")
    })
}

fn trigger(number: &str, event: &str) -> String {
    quoted(&format!("_lf_search_{number}_{event}"))
}

impl Index<'_> {
    fn number(&self) -> String {
        format!("{:x}", self.kind.id.0)
    }

    fn fact(&self) -> String {
        format!("{FACT}{}", self.number())
    }

    /// All that the index is built by; its first line is its table.
    fn definition(&self) -> String {
        let numbers: Vec<String> = self.fields.iter().map(|f| format!("{:x}", f.id.0)).collect();
        format!("{}\n{}\n{}", table(self.kind), numbers.join(" "), self.create())
    }

    /// `"title", "body"`, each behind a prefix.
    fn columns(&self, before: &str) -> String {
        let named: Vec<String> =
            self.fields.iter().map(|f| format!("{before}{}", quoted(&f.name))).collect();
        named.join(", ")
    }

    fn create(&self) -> String {
        let (table, columns) = (quoted(&table(self.kind)), self.columns(""));
        let tokenizer = match self.search.tokenizer {
            Tokenizer::Unicode61 => "unicode61 remove_diacritics 2",
            Tokenizer::Trigram => "trigram remove_diacritics 1",
        };
        let lengths: Vec<String> = self.search.prefixes.iter().map(u8::to_string).collect();
        let prefix = match lengths.is_empty() {
            true => String::new(),
            false => format!(", prefix = '{}'", lengths.join(" ")),
        };
        let content = &self.kind.name;
        format!(
            "CREATE VIRTUAL TABLE {table} USING fts5({columns},
              content = '{content}', tokenize = '{tokenizer}'{prefix});
            INSERT INTO {table} ({table}, rank) VALUES ('secure-delete', 1);
            INSERT INTO {table} ({table}) VALUES ('rebuild');"
        )
    }

    fn triggers(&self) -> String {
        let (index, rows) = (quoted(&table(self.kind)), quoted(&self.kind.name));
        let (columns, number) = (self.columns(""), self.number());
        let (old, new) = (self.columns("old."), self.columns("new."));
        let add = format!("INSERT INTO {index} (rowid, {columns}) VALUES (new.rowid, {new});");
        // Takes the words that were indexed: it has to be told them as they were.
        let remove = format!(
            "INSERT INTO {index} ({index}, rowid, {columns}) VALUES ('delete', old.rowid, {old});"
        );
        let differs: Vec<String> = self
            .fields
            .iter()
            .map(|f| format!("old.{0} IS NOT new.{0}", quoted(&f.name)))
            .collect();
        let (on_insert, on_delete, on_update) =
            (trigger(&number, "insert"), trigger(&number, "delete"), trigger(&number, "update"));
        format!(
            "CREATE TRIGGER {on_insert} AFTER INSERT ON {rows} BEGIN {add} END;
            CREATE TRIGGER {on_delete} AFTER DELETE ON {rows} BEGIN {remove} END;
            CREATE TRIGGER {on_update} AFTER UPDATE OF {columns} ON {rows}
            WHEN {} BEGIN {remove} {add} END;",
            differs.join(" OR ")
        )
    }
}
