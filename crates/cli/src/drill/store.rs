//! What the drill asks of a device's tables, as the app that it plays would.

use anyhow::Context;
use landfall_device::{Client, SqlValue, Value};
use landfall_model::entity::Living;
use landfall_model::id::EntityKey;
use landfall_model::schema::{Field, Merge};
use landfall_sim::app::App;
use landfall_sync::device::store::{Base, Referred, View};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Ids and home scopes of the rows that show of a type.
fn names(client: &Client, sql: &str) -> anyhow::Result<Vec<(String, String)>> {
    let rows = client.query(sql, [])?;
    let text = |value: &SqlValue| value.as_str().unwrap_or_default().to_owned();
    let name = |row: landfall_device::Row| {
        let values = row.values();
        (text(&values[0]), text(&values[1]))
    };
    Ok(rows.into_iter().map(name).collect())
}

pub(super) fn orders(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    names(client, "SELECT id, _home FROM \"Order\" ORDER BY _home, id")
}

pub(super) fn lines(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    names(client, "SELECT id, _home FROM OrderLine ORDER BY _home, id")
}

/// How long the body of a note is, in code points; `None` if the note does not show.
pub(super) fn note_length(client: &Client, home: &str, id: &str) -> anyhow::Result<Option<usize>> {
    let sql = "SELECT length(body) FROM Note WHERE _home = ? AND id = ?";
    let rows = client.query(sql, [home.into(), id.into()])?;
    let length = rows.into_iter().next().map(|row| row.values()[0].as_i64().unwrap_or(0));
    Ok(length.map(|n| n.max(0) as usize))
}

/// Votes of the notes that are never deleted, by home scope and id.
pub(super) fn tallies(client: &Client) -> anyhow::Result<BTreeMap<String, i64>> {
    let sql = "SELECT _home || ' ' || id, votes FROM Note WHERE id LIKE 't%'";
    let rows = client.query(sql, [])?;
    let tally = |row: landfall_device::Row| {
        let (name, votes) = (row.values()[0].as_str()?.to_owned(), row.values()[1].as_i64()?);
        Some((name, votes))
    };
    Ok(rows.into_iter().filter_map(tally).collect())
}

/// Rows of all synced types.
pub(super) fn row_count(client: &Client) -> anyhow::Result<i64> {
    let sql = "SELECT (SELECT count(*) FROM \"Order\") + (SELECT count(*) FROM OrderLine)
        + (SELECT count(*) FROM Note) + (SELECT count(*) FROM Product)";
    let rows = client.query(sql, [])?;
    let first = rows.into_iter().next().context("a count")?;
    Ok(first.values()[0].as_i64().unwrap_or(0))
}

/// What a closed file's tables show of the app's types, as the device's state machine would say it.
/// Whether a reference that shows NULL is one whose entity is gone, tells what the base row holds.
pub(super) fn visible(
    path: &Path,
    app: &App,
    bases: &BTreeMap<EntityKey, Base>,
) -> anyhow::Result<BTreeMap<EntityKey, Arc<View>>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut shown = BTreeMap::new();
    for kind in app.schema.types.values() {
        let sql = format!("SELECT * FROM \"{}\"", kind.name);
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (home, id): (String, String) = (row.get("_home")?, row.get("id")?);
            let key = EntityKey::new(home, kind.id, id);
            let mut view = View { pending: row.get("_pending")?, ..View::default() };
            for field in kind.fields.iter().filter(|f| Some(f.id) != kind.id_field()) {
                show(&mut view, field, row)?;
                refer(&mut view, field, bases.get(&key));
            }
            shown.insert(key, Arc::new(view));
        }
    }
    Ok(shown)
}

fn show(view: &mut View, field: &Field, row: &Row<'_>) -> anyhow::Result<()> {
    let name = field.name.as_str();
    match field.merge {
        Merge::Register => {
            let value = match row.get_ref(name)? {
                ValueRef::Null => return Ok(()),
                ValueRef::Integer(n) => Value::Int(n),
                other => Value::text(other.as_str()?),
            };
            view.registers.insert(field.id, value);
        }
        Merge::Counter => drop(view.counters.insert(field.id, row.get(name)?)),
        Merge::Text => {
            let text: String = row.get(name)?;
            view.texts.extend((!text.is_empty()).then_some((field.id, text)));
        }
        Merge::Set => {
            let list: String = row.get(name)?;
            let list: Vec<String> = serde_json::from_str(&list).context("a set's column")?;
            let list: Vec<Value> = list.into_iter().map(Value::text).collect();
            view.sets.extend((!list.is_empty()).then_some((field.id, list)));
        }
    }
    Ok(())
}

fn refer(view: &mut View, field: &Field, base: Option<&Base>) {
    let (Some(kind), Some(base)) = (field.nulled_with(), base) else { return };
    let held = base.entity.register(field.id, &Living).and_then(|w| w.value.as_text());
    let gone = !view.registers.contains_key(&field.id);
    let held = held.map(|id| Referred { kind, id: id.to_owned(), gone });
    view.references.extend(held.map(|held| (field.id, held)));
}
