//! What a file says of itself, in numbers: for support, and for a person who was sent the file.
//!
//! Only reads. It knows no schema: the file has the names of its tables. Every format that was ever
//! written is read; what an older one does not have is empty.

use super::error::{Error, OpenError};
use super::lease::{self, Lease};
use super::tables::quoted;
use super::{open, ops, rows, scopes};
use landfall_model::id::{Scope, TypeId};
use landfall_model::op::Sealed;
use landfall_sync::device::store::{Held, Meta, Subscription};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// Faults of the file's structure that are told; more say nothing new.
const FAULTS_TOLD: i64 = 20;

/// The first format with all columns of subscriptions.
const WITH_TERMS: i32 = 3;

/// A file in numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inspection {
    /// The format's version.
    pub format: i32,
    pub page_bytes: u64,
    pub pages: u64,
    /// Pages that hold nothing.
    pub pages_free: u64,
    /// Faults of the structure, as SQLite tells them; empty if it is sound.
    pub faults: Vec<String>,
    /// Whose file it is: tenant and subject.
    pub account: Option<(String, String)>,
    pub meta: Option<Meta>,
    /// Rows of each table, side tables too.
    pub tables: Vec<(String, u64)>,
    /// Names of the synced types.
    pub types: BTreeMap<TypeId, String>,
    pub writes: Vec<Writes>,
    pub outcomes: Vec<Outcomes>,
    pub subscriptions: Vec<(Scope, Subscription, Held)>,
    pub lease: Option<Lease>,
}

/// Own writes of one type in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes {
    pub kind: TypeId,
    /// `unsent`, `sent`, `accepted`, `durable` or `rejected`.
    pub state: &'static str,
    pub count: u64,
    /// Of payload.
    pub bytes: u64,
    /// When the oldest and the newest were made, in milliseconds since 1970.
    pub oldest_ms: i64,
    pub newest_ms: i64,
    /// Some could not be decoded.
    pub damaged: u64,
}

/// Outcomes of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// `rejected`, `overwritten`, `deleted`, `left` or `rolled_back`.
    pub what: &'static str,
    /// A region's word for a refusal.
    pub code: Option<String>,
    pub count: u64,
}

const STATES: [&str; 5] = ["unsent", "sent", "accepted", "durable", "rejected"];
const OUTCOMES: [&str; 5] = ["rejected", "overwritten", "deleted", "left", "rolled_back"];

/// Look at a file without opening it for work: nothing of it changes.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    Ok(of(&open::peek(path)?)?)
}

pub(super) fn of(conn: &Connection) -> Result<Inspection, Error> {
    let number = |name: &str| -> Result<i64, Error> {
        Ok(conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
    };
    let format = i32::try_from(number("user_version")?).unwrap_or(0);
    let count = |name: &str| Ok::<u64, Error>(number(name)?.max(0).unsigned_abs());
    let account: Option<Vec<u8>> =
        rows::query_value(conn, "SELECT value FROM _lf_fact WHERE name = 'sdk/account'", [])?;
    let account = account.and_then(|a| String::from_utf8(a).ok());
    let split = |a: String| a.split_once('\0').map(|(t, s)| (t.to_owned(), s.to_owned()));
    Ok(Inspection {
        format,
        page_bytes: count("page_size")?,
        pages: count("page_count")?,
        pages_free: count("freelist_count")?,
        faults: faults(conn)?,
        account: account.and_then(split),
        meta: ops::meta(conn)?,
        tables: tables(conn)?,
        types: types(conn)?,
        writes: writes(conn)?,
        outcomes: outcomes(conn)?,
        subscriptions: if format >= WITH_TERMS { subscriptions(conn)? } else { Vec::new() },
        lease: lease::current(conn)?,
    })
}

fn faults(conn: &Connection) -> Result<Vec<String>, Error> {
    let sql = format!("PRAGMA quick_check({FAULTS_TOLD})");
    let told = rows::query_all(conn, &sql, [], |row| Ok(row.get::<_, String>(0)?));
    match told {
        Ok(told) if told == ["ok"] => Ok(Vec::new()),
        Ok(told) => Ok(told),
        // So damaged that it cannot even be checked.
        Err(Error::Damaged(fault)) => Ok(vec![fault]),
        Err(error) => Err(error),
    }
}

fn tables(conn: &Connection) -> Result<Vec<(String, u64)>, Error> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
        ORDER BY name";
    let names: Vec<String> = rows::query_all(conn, sql, [], |row| Ok(row.get(0)?))?;
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM {}", quoted(&name));
        let rows: i64 = conn.query_row(&sql, [], |row| row.get(0))?;
        Ok((name, rows.max(0).unsigned_abs()))
    };
    names.into_iter().map(count).collect()
}

fn types(conn: &Connection) -> Result<BTreeMap<TypeId, String>, Error> {
    let sql = "SELECT kind, name FROM _lf_table";
    let types = rows::query_all(conn, sql, [], |row| Ok((TypeId(row.get(0)?), row.get(1)?)))?;
    Ok(types.into_iter().collect())
}

fn writes(conn: &Connection) -> Result<Vec<Writes>, Error> {
    let sql = "SELECT kind, state, payload FROM _lf_op";
    let mut statement = rows::statement(conn, sql)?;
    let mut found = statement.query([])?;
    let mut all: BTreeMap<(TypeId, usize), Writes> = BTreeMap::new();
    while let Some(row) = found.next()? {
        let kind = TypeId(row.get(0)?);
        let state = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(usize::MAX);
        let payload = row.get_ref(2)?.as_blob().unwrap_or_default();
        let state_name = STATES.get(state).copied().unwrap_or("unknown");
        let writes = all.entry((kind, state)).or_insert(Writes {
            kind,
            state: state_name,
            count: 0,
            bytes: 0,
            oldest_ms: i64::MAX,
            newest_ms: i64::MIN,
            damaged: 0,
        });
        writes.count += 1;
        writes.bytes += payload.len() as u64;
        match Sealed::decode(payload) {
            Ok(sealed) => {
                let ms = sealed.op.hlc.millis();
                writes.oldest_ms = writes.oldest_ms.min(ms);
                writes.newest_ms = writes.newest_ms.max(ms);
            }
            Err(_) => writes.damaged += 1,
        }
    }
    Ok(all.into_values().collect())
}

fn outcomes(conn: &Connection) -> Result<Vec<Outcomes>, Error> {
    let sql = "SELECT what, about FROM _lf_outcome";
    let mut statement = rows::statement(conn, sql)?;
    let mut found = statement.query([])?;
    let mut all: BTreeMap<(usize, Option<String>), u64> = BTreeMap::new();
    while let Some(row) = found.next()? {
        let (what, about) = (row.get::<_, i64>(0)?, row.get_ref(1)?.as_blob_or_null());
        let outcome = super::outcomes::outcome_of(what, about.unwrap_or_default());
        let code = match outcome {
            Ok(landfall_sync::device::store::Outcome::Rejected { code, .. }) => Some(code),
            _ => None,
        };
        *all.entry((usize::try_from(what).unwrap_or(usize::MAX), code)).or_default() += 1;
    }
    let named = |((what, code), count)| {
        let what = OUTCOMES.get(what).copied().unwrap_or("unknown");
        Outcomes { what, code, count }
    };
    Ok(all.into_iter().map(named).collect())
}

fn subscriptions(conn: &Connection) -> Result<Vec<(Scope, Subscription, Held)>, Error> {
    let held = |(scope, sub): (Scope, Subscription)| {
        let held = super::bases::held(conn, &scope)?;
        Ok((scope, sub, held))
    };
    scopes::all(conn)?.into_iter().map(held).collect()
}
