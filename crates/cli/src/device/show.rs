//! Rows, changes and states as a terminal shows them, or as JSON.

use super::command::connection;
use crate::terminal;
use landfall_device::{
    Cancelled, Client, Coverage, EntityKey, Fate, Outcome, Row, RowChange, SqlValue, WriteOutcome,
};
use landfall_model::hex;
use landfall_model::schema::{EntityType, FieldKind, Merge, Schema};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// A cell of a table is cut at so many characters.
const CELL_CHARS_MAX: usize = 40;

/// Rows of a statement: as SQLite has them.
pub(super) fn rows(columns: &[String], rows: &[&Row], as_json: bool) -> String {
    if as_json {
        let lines: Vec<String> = rows.iter().map(|row| object(row).to_string()).collect();
        return lines.join("\n");
    }
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.values().iter().map(|v| cut(&cell(v))).collect()).collect();
    let width = |at: usize| {
        let all = cells.iter().map(|row| row[at].chars().count());
        all.chain([columns[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let number = |at: usize| {
        rows.iter().all(|r| matches!(r.values()[at], SqlValue::Integer(_) | SqlValue::Real(_)))
    };
    let line = |row: &[String]| {
        let mut line = String::new();
        for (at, text) in row.iter().enumerate() {
            let pad = " ".repeat(widths[at] - text.chars().count());
            let _ = match number(at) && !rows.is_empty() {
                true => write!(line, "{pad}{text}  "),
                false => write!(line, "{text}{pad}  "),
            };
        }
        line.trim_end().to_owned()
    };
    let rule: Vec<String> = widths.iter().map(|w| "─".repeat(*w)).collect();
    let mut out = vec![line(columns), rule.join("  ")];
    out.extend(cells.iter().map(|row| line(row)));
    out.push(match rows.len() {
        1 => "1 row".to_owned(),
        n => format!("{n} rows"),
    });
    out.join("\n")
}

/// An entity, a field a line.
pub(super) fn entity(kind: &EntityType, row: &Row, as_json: bool) -> String {
    if as_json {
        return object(row).to_string();
    }
    let names = row.columns().iter().map(|c| c.chars().count()).max().unwrap_or(0);
    let line = |(column, value): (&String, &SqlValue)| {
        format!("{column:<names$}  {}", typed(kind, column, value))
    };
    let lines: Vec<String> = row.columns().iter().zip(row.values()).map(line).collect();
    lines.join("\n")
}

/// One change of a watched type or statement; `None` for what shows nothing.
pub(super) fn change(
    change: &RowChange,
    before: &[Row],
    kind: Option<&EntityType>,
    as_json: bool,
) -> Option<String> {
    let text = |column: &str, value: &SqlValue| match kind {
        Some(kind) => typed(kind, column, value),
        None => cell(value),
    };
    let first = |row: &Row| row.values().first().map(cell).unwrap_or_default();
    let (what, row, columns) = match change {
        RowChange::Move { .. } => return None,
        RowChange::Remove { old } => ("remove", before.get(*old)?, Vec::new()),
        RowChange::Insert { row, .. } => ("insert", row, (1..row.values().len()).collect()),
        RowChange::Update { columns, row, .. } => ("update", row, columns.clone()),
    };
    if as_json {
        return Some(json!({ "change": what, "row": object(row) }).to_string());
    }
    let sign = match what {
        "remove" => '-',
        "insert" => '+',
        _ => '~',
    };
    let mut line = format!("{sign} {}", first(row));
    for at in columns {
        let (column, value) = (&row.columns()[at], &row.values()[at]);
        // What the SDK adds is for programs, and an empty field says nothing.
        if !column.starts_with('_') && (what == "update" || !value.is_null()) {
            let _ = write!(line, "  {column}={}", cut(&text(column, value)));
        }
    }
    // A row of which only the SDK's columns changed.
    (what != "update" || line.contains('=')).then_some(line)
}

pub(super) fn status(name: &str, client: &Client, as_json: bool) -> anyhow::Result<String> {
    let outbox = client.outbox_status()?;
    let subscriptions = client.subscriptions()?;
    let state = connection(&client.connection());
    let outcomes = client.outcomes()?.len();
    if as_json {
        let scopes: Vec<Json> = subscriptions
            .iter()
            .map(
                |s| json!({ "scope": &*s.scope, "coverage": coverage(s.coverage), "rows": s.rows }),
            )
            .collect();
        let outbox = json!({ "pending": outbox.pending, "accepted": outbox.accepted });
        let status = json!({ "phone": name, "connection": state, "subscriptions": scopes,
            "outbox": outbox, "outcomes": outcomes });
        return Ok(status.to_string());
    }
    let mut out = format!("{name}: {state}\n");
    for s in &subscriptions {
        let state = match &s.missing.denied {
            Some(code) => format!("denied ({code})"),
            None => coverage(s.coverage).to_owned(),
        };
        let _ = writeln!(out, "  {:<28} {state}", s.scope);
    }
    if subscriptions.is_empty() {
        out += "  holds no scope yet: `subscribe SCOPE`; `types` lists the scopes\n";
    }
    let (pending, accepted) = (outbox.pending, outbox.accepted);
    let _ = writeln!(out, "  outbox: {pending} not answered, {accepted} in one region only");
    if outcomes > 0 {
        let writes = if outcomes == 1 { "write" } else { "writes" };
        let _ = writeln!(out, "  {outcomes} {writes} refused or overwritten: `outcomes`");
    }
    Ok(out.trim_end().to_owned())
}

fn coverage(coverage: Coverage) -> &'static str {
    match coverage {
        Coverage::Complete => "complete",
        Coverage::Loading => "loading",
        Coverage::Partial => "partial",
    }
}

/// What a write came to.
pub(crate) fn fate(fate: &Fate, as_json: bool) -> String {
    let (word, text) = match fate {
        Fate::Pending { .. } => ("pending", "saved on this phone".to_owned()),
        Fate::Accepted { durable: false } => ("accepted", "one region has it".to_owned()),
        Fate::Accepted { durable: true } => ("durable", "two regions have it".to_owned()),
        Fate::Rejected { code, detail, .. } => ("rejected", format!("refused ({code}): {detail}")),
        Fate::Unknown => ("unknown", "nothing is known of it".to_owned()),
    };
    if as_json { json!({ "fate": word }).to_string() } else { text }
}

/// A write that a region refused: with its field, and with its home scope where that is to blame.
pub(super) fn refused(
    client: &Client,
    key: &EntityKey,
    outcome: &Outcome,
    as_json: bool,
) -> String {
    let Outcome::Rejected { code, field, detail } = outcome else { return String::new() };
    let kind = client.schema().entity(key.kind);
    let name = kind.map_or("?", |k| &k.name);
    // A field is blamed for a create, too, though it is the row that may not be there.
    let created = matches!(client.get(name, &key.id), Ok(None));
    let granted = client.granted().filter(|g| created && !g.writes(&key.home));
    let public = landfall_device::public_code(code);
    let foreign = granted.filter(|_| code == "not_allowed").map(|granted| {
        let scopes = granted.scopes.join(", ");
        let may = if scopes.is_empty() { "none".to_owned() } else { scopes };
        format!("{name} {} would be in `{}`; this account writes in {may}", key.id, key.home)
    });
    let field = field.filter(|_| foreign.is_none());
    let field = field.and_then(|id| kind.and_then(|k| k.field(id))).map(|f| f.name.clone());
    let detail = foreign.as_ref().unwrap_or(detail);
    if as_json {
        let fate = json!({ "fate": "rejected", "code": public, "field": field, "detail": detail });
        return fate.to_string();
    }
    let at = field.map(|f| format!(" at `{f}`")).unwrap_or_default();
    format!("refused ({public}){at}: {detail}")
}

/// An outcome that waits for the app, and its write's name.
pub(super) fn kept(schema: &Schema, kept: &WriteOutcome, as_json: bool) -> String {
    let text = outcome(schema, &kept.key, &kept.outcome);
    if as_json {
        let kind = schema.entity(kept.key.kind).map(|k| &k.name);
        let write = kept.dot.to_string();
        return json!({ "write": write, "type": kind, "home": &*kept.key.home, "id": &*kept.key.id,
            "outcome": text })
        .to_string();
    }
    format!("{}  {text}", super::value::short(kept.dot))
}

/// Writes that were taken back.
pub(super) fn cancelled(cancelled: &Cancelled, as_json: bool) -> String {
    let Cancelled { dots, dependants, .. } = cancelled;
    if as_json {
        let names = |dots: &[landfall_device::Dot]| -> Vec<String> {
            dots.iter().map(ToString::to_string).collect()
        };
        return json!({ "cancelled": names(dots), "with_it": names(dependants) }).to_string();
    }
    match dependants.len() {
        0 => format!("{} taken back", dots.len()),
        n => format!("{} taken back, and {n} that stood on it", dots.len()),
    }
}

pub(crate) fn outcome(schema: &Schema, key: &EntityKey, outcome: &Outcome) -> String {
    let kind = schema.entity(key.kind);
    let name = kind.map_or("?", |k| &k.name);
    let field = |id| kind.and_then(|k| k.field(id)).map_or("a field", |f| &f.name);
    let what = match outcome {
        Outcome::Rejected { code, field: at, detail } => {
            let at = at.map(|id| format!(" at `{}`", field(id))).unwrap_or_default();
            format!("refused ({}){at}: {detail}", landfall_device::public_code(code))
        }
        Outcome::Overwritten { field: id, .. } => {
            format!("`{}` was overwritten by somebody who had not seen it", field(*id))
        }
        Outcome::Deleted => "it was deleted elsewhere, and this change with it".to_owned(),
        Outcome::Left => "it left this phone before the change was sent".to_owned(),
        Outcome::RolledBack => "a region was lost with it".to_owned(),
    };
    format!("{name} {}: {what}", key.id)
}

/// A field's type as the schema spells it.
pub(crate) fn kind(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Enum(name) | FieldKind::Object(name) => name.clone(),
        FieldKind::Decimal { scale, .. } => format!("Decimal, {scale} places"),
        FieldKind::List(element) => format!("[{}]", self::kind(element)),
        FieldKind::Ref(_) => "ID of another".to_owned(),
        FieldKind::Id => "ID".to_owned(),
        FieldKind::Json => "JSON".to_owned(),
        plain => format!("{plain:?}"),
    }
}

fn object(row: &Row) -> Json {
    let pairs = row.columns().iter().zip(row.values());
    let pairs = pairs.map(|(column, value)| {
        let value = match value {
            SqlValue::Null => Json::Null,
            SqlValue::Integer(i) => json!(i),
            SqlValue::Real(x) => json!(x),
            SqlValue::Text(text) => json!(text),
            SqlValue::Blob(bytes) => json!(hex::encode(bytes)),
        };
        (column.clone(), value)
    });
    Json::Object(pairs.collect::<Map<_, _>>())
}

/// A value as its field means it.
pub(crate) fn typed(kind: &EntityType, column: &str, value: &SqlValue) -> String {
    let Some(field) = kind.field_named(column) else { return cell(value) };
    match (&field.kind, value) {
        (FieldKind::Decimal { scale, .. }, SqlValue::Integer(i)) if *scale > 0 => {
            let digits = format!("{:0>width$}", i.unsigned_abs(), width = *scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
            format!("{}{whole}.{fraction}", if *i < 0 { "-" } else { "" })
        }
        (FieldKind::Instant, SqlValue::Integer(us)) => jiff::Timestamp::from_microsecond(*us)
            .map_or_else(|_| us.to_string(), |at| at.to_string()),
        (FieldKind::Boolean, SqlValue::Integer(i)) if field.merge == Merge::Register => {
            (*i != 0).to_string()
        }
        _ => cell(value),
    }
}

fn cell(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "·".to_owned(),
        SqlValue::Integer(i) => i.to_string(),
        SqlValue::Real(x) => x.to_string(),
        SqlValue::Text(text) => terminal::one_line(text),
        SqlValue::Blob(bytes) => hex::encode(bytes),
    }
}

pub(crate) fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(CELL_CHARS_MAX - 1).collect();
    format!("{kept}…")
}
