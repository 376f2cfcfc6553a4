//! A file beside another: the rows of a shared scope, as a reader of an account's file sees them.
//!
//! The file is attached to the reader's connection, and SQLite looks for a table that the account's
//! file does not have in the files that are attached. So the app's SQL names shared tables, and joins
//! them, as if they were its own; their full-text indexes too. Each of the files is seen at a commit
//! of its own: nothing is ever written to both of them together. The connection can write neither.
//!
//! Where the account may not see the rows, nothing is attached: there are empty tables of the same
//! names, so that the app's statements are understood and find nothing.

use super::error::Error;
use super::{rows, scopes};
#[cfg(not(target_family = "wasm"))]
use super::{search, tables};
use landfall_model::id::Scope;
#[cfg(not(target_family = "wasm"))]
use landfall_model::schema::Schema;
use landfall_sync::device::store::Subscription;
use rusqlite::Connection;
#[cfg(not(target_family = "wasm"))]
use std::path::Path;

/// A file to be read beside another.
#[cfg(not(target_family = "wasm"))]
#[derive(Debug)]
pub(crate) struct Beside<'a> {
    pub path: &'a Path,
    /// The types that it has tables of.
    pub schema: &'a Schema,
    /// The account may see its rows.
    pub shown: bool,
}

/// The subscriptions of the file that is the `at`th beside a reader's, if it is shown.
pub(crate) fn subscriptions_beside(
    conn: &Connection,
    at: usize,
) -> Result<Vec<(Scope, Subscription)>, Error> {
    scopes::all_of(conn, &name(at))
}

/// Whether the `at`th file is shown in this connection.
pub(crate) fn is_beside(conn: &Connection, at: usize) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM pragma_database_list WHERE name = ?";
    Ok(rows::query_value::<i64>(conn, sql, [name(at)])?.is_some())
}

/// What a connection calls the `at`th file.
fn name(at: usize) -> String {
    format!("_lf_shared_{at}")
}

#[cfg(not(target_family = "wasm"))]
impl Beside<'_> {
    /// Put it into a connection to a file that can only be read; what is attached to such a
    /// connection can only be read, too.
    pub(super) fn put(&self, conn: &Connection, at: usize) -> Result<(), Error> {
        if self.shown {
            // As bytes: a path need not be text.
            let path = self.path.as_os_str().as_encoded_bytes();
            conn.execute(&format!("ATTACH DATABASE ? AS {}", name(at)), [path])?;
            return Ok(());
        }
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        for kind in self.schema.types.values() {
            conn.execute_batch(&tables::definition(kind, "TEMP TABLE"))?;
        }
        Ok(search::stand_ins(self.schema).try_for_each(|sql| conn.execute_batch(&sql))?)
    }
}
