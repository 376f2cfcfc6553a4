//! Why a row shows on this device, or does not: for an app's support screen, for `landfall device`
//! and for `landfall inspect`.
//!
//! What is decided from the file is in [`landfall_sync::device::explain`]; here it gets the
//! schema's names, the outcomes that wait for the app, and words. No value of a field is in it.

#[cfg(not(target_family = "wasm"))]
use crate::error::{Error, OpenError};
use crate::event::ConnectionState;
use crate::fates::{Fate, WriteOutcome, public_code};
#[cfg(not(target_family = "wasm"))]
use crate::store;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId};
use landfall_model::schema::Schema;
use landfall_model::stamp::Stamp;
pub use landfall_sync::device::explain::{
    Answer, Explanation as RowExplanation, FieldWrite, OwnDelete, OwnWrite, ScopeState,
    SubscriptionState, Wait, Why, WriteKind,
};
use landfall_sync::device::store::Outcome;
#[cfg(not(target_family = "wasm"))]
use landfall_sync::device::{
    explain::home_by_id,
    node::{Node, Problem},
    store::Store as _,
};
use serde_json::{Value as Json, json};
use std::fmt::Write;
#[cfg(not(target_family = "wasm"))]
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Why an entity shows on this device, or does not. [`std::fmt::Display`] tells it to a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// All that the file knows.
    pub row: RowExplanation,
    /// The type's name in the schema.
    pub kind: String,
    /// Names of the fields that `row` speaks of, where the schema has them.
    pub fields: Vec<(FieldId, String)>,
    /// Outcomes of own writes on it that the app has not dismissed.
    pub outcomes: Vec<WriteOutcome>,
    /// Where the connection stands.
    pub connection: ConnectionState,
}

impl Explanation {
    pub(crate) fn new(
        schema: &Schema,
        row: RowExplanation,
        outcomes: Vec<WriteOutcome>,
        connection: ConnectionState,
    ) -> Self {
        let found = schema.entity(row.key.kind);
        let kind = found.map_or_else(|| "?".to_owned(), |k| k.name.clone());
        let names = found.into_iter().flat_map(|k| &k.fields).map(|f| (f.id, f.name.clone()));
        Self { row, kind, fields: names.collect(), outcomes, connection }
    }

    /// One word for the answer; stable.
    pub fn word(&self) -> &'static str {
        match &self.row.answer {
            Answer::Present { confirmed: true, .. } => "present",
            Answer::Present { confirmed: false, .. } => "pending",
            Answer::Deleted { .. } => "deleted",
            Answer::FellWith { .. } => "fell_with_parent",
            Answer::Rejected { .. } => "rejected",
            Answer::Left { .. } => "left",
            Answer::Denied { .. } => "denied",
            Answer::Asked { .. } => "asked_for",
            Answer::Loading { .. } => "loading",
            Answer::NoRoom { .. } => "no_room",
            Answer::OutsideWindow { .. } => "outside_window",
            Answer::NotThere { .. } => "not_there",
            Answer::NotSubscribed => "not_subscribed",
        }
    }

    /// The answer in a sentence.
    pub fn sentence(&self) -> String {
        match &self.row.answer {
            Answer::Present { confirmed: true, own_writes: 0 } => {
                "It is here, as a region has confirmed it.".to_owned()
            }
            Answer::Present { confirmed: true, own_writes } => {
                format!("It is here: a region's row, with {} over it.", writes(*own_writes))
            }
            Answer::Present { confirmed: false, own_writes } => {
                let made = writes(*own_writes);
                format!("It shows by {made} of this device alone: no region's row is here.")
            }
            Answer::Deleted { by: Some(OwnDelete { dot, stamp, .. }) } => {
                format!("It was deleted by this device, {} ({}).", when(*stamp), short(*dot))
            }
            Answer::Deleted { by: None } => self.deleted(),
            Answer::FellWith { parent } => {
                format!("It went with its parent `{}`, which was deleted.", parent.id)
            }
            Answer::Rejected { code, detail, .. } => {
                format!("The write that created it was refused ({}): {detail}.", public_code(code))
            }
            Answer::Left { scope } => format!(
                "It left this device: it moved out of `{scope}`, or access to that was lost."
            ),
            Answer::Denied { scope, code } => {
                format!("A region refuses this account the scope `{scope}` ({code}).")
            }
            Answer::Asked { scope } => {
                format!("It is not here yet: it is to be asked for by name in `{scope}`.")
            }
            Answer::Loading { scope } => {
                format!("It may not have come yet: `{scope}` is still loading.")
            }
            Answer::NoRoom { scope, was_here } => {
                let was = if *was_here { " This device made it, so it was here once." } else { "" };
                format!(
                    "Rows of `{scope}` were evicted, or left out for want of room; it may be one \
                     of them.{was} To pin it fetches it."
                )
            }
            Answer::OutsideWindow { scope, keep_ms } => format!(
                "`{scope}` is held for the last {} alone; it may be older. To pin it fetches it.",
                span(*keep_ms)
            ),
            Answer::NotThere { as_of_ms } => format!(
                "No subscribed scope has it: each is here in full, as of {}.",
                time(*as_of_ms)
            ),
            Answer::NotSubscribed => {
                "No scope that could hold it is subscribed, and this device never heard of it."
                    .to_owned()
            }
        }
    }

    fn deleted(&self) -> String {
        match &self.row.deletion {
            Some(deletion) if deletion.own.is_some() => {
                format!("It was deleted by this device, {}.", time(deletion.seen_ms))
            }
            Some(deletion) => format!(
                "It was deleted elsewhere; this device was told {}. Regions do not tell by whom.",
                time(deletion.seen_ms)
            ),
            None => "It was deleted. This device does not know by whom or when.".to_owned(),
        }
    }

    /// The name of a field, or its number where the schema does not have it.
    pub fn field(&self, id: FieldId) -> String {
        let known = self.fields.iter().find(|(known, _)| *known == id);
        known.map_or_else(|| format!("field {:x}", id.0), |(_, name)| name.clone())
    }

    /// All of it for programs. Times are milliseconds since 1970.
    pub fn to_json(&self) -> Json {
        let row = &self.row;
        json!({
            "type": self.kind, "id": &*row.key.id, "home": home(&row.key),
            "answer": self.word(), "sentence": self.sentence(), "pinned": row.pinned,
            "scopes": row.scopes.iter().map(scope_json).collect::<Vec<Json>>(),
            "audiences": row.audiences,
            "fields": row.fields.iter().map(|f| self.field_json(f)).collect::<Vec<Json>>(),
            "writes": row.writes.iter().map(write_json).collect::<Vec<Json>>(),
            "outcomes": self.outcomes.iter().map(outcome_json).collect::<Vec<Json>>(),
            "can_restore": row.deletion.is_some(),
            "region_heard": row.any_region_heard, "region": row.region.map(|r| r.0),
        })
    }

    fn field_json(&self, write: &FieldWrite) -> Json {
        json!({
            "field": self.field(write.field), "dot": write.dot.to_string(), "own": write.own,
            "at_ms": write.stamp.hlc.millis(), "confirmed": write.over.is_none(),
        })
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = &self.row;
        let mut out = format!("{} {}", self.kind, row.key.id);
        match home(&row.key) {
            Some(home) => _ = writeln!(out, " in {home}"),
            None => _ = writeln!(out, ", in a scope that this device does not know"),
        }
        let _ = writeln!(out, "  {}", self.sentence());
        self.tell_scopes(&mut out);
        if row.pinned {
            let _ = writeln!(out, "  pinned by the app");
        }
        if !row.fields.is_empty() {
            let _ = writeln!(out, "  written last by");
            let width = row.fields.iter().map(|w| self.field(w.field).chars().count()).max();
            let width = width.unwrap_or(0);
            for write in &row.fields {
                let who = if write.own { "this device".to_owned() } else { other(write.stamp) };
                let over = if write.over.is_some() { ", over the region's value" } else { "" };
                let name = self.field(write.field);
                let _ = writeln!(out, "    {name:<width$}  {who}, {}{over}", when(write.stamp));
            }
        }
        if !row.writes.is_empty() {
            let _ = writeln!(out, "  writes of this device");
            for write in &row.writes {
                let _ = writeln!(out, "    {}", told(write));
            }
        }
        if !self.outcomes.is_empty() {
            let _ = writeln!(out, "  outcomes that the app has not dismissed");
            for outcome in &self.outcomes {
                let _ = writeln!(out, "    {}  {}", short(outcome.dot), self.outcome(outcome));
            }
        }
        if row.deletion.is_some() && matches!(row.answer, Answer::Deleted { .. }) {
            let _ = writeln!(out, "  it can be restored with the values that it showed last");
        }
        f.write_str(out.trim_end())
    }
}

impl Explanation {
    fn tell_scopes(&self, out: &mut String) {
        let row = &self.row;
        if !row.scopes.is_empty() {
            let _ = writeln!(out, "  scopes");
        }
        let width = row.scopes.iter().map(|s| s.scope.chars().count()).max().unwrap_or(0);
        for state in &row.scopes {
            let why = match state.why {
                Why::Home => "its home",
                Why::Named => "an audience",
                Why::Possible => "could hold it",
            };
            let _ = writeln!(out, "    {:<width$}  {why}: {}", state.scope, how(state));
        }
        if !row.audiences.is_empty() {
            let _ = writeln!(out, "    audiences by the schema: {}", row.audiences.join(", "));
        }
        if !row.any_region_heard {
            let _ = writeln!(out, "  no region has been heard about any of them");
        }
    }

    fn outcome(&self, outcome: &WriteOutcome) -> String {
        match &outcome.outcome {
            Outcome::Rejected { code, field, detail } => {
                let at = field.map(|f| format!(" at {}", self.field(f))).unwrap_or_default();
                format!("refused ({}){at}: {detail}", public_code(code))
            }
            Outcome::Overwritten { field, by, .. } => {
                let who = other(*by);
                format!("{} overwritten by {who}, {}", self.field(*field), when(*by))
            }
            Outcome::Deleted => "the entity was deleted elsewhere".to_owned(),
            Outcome::Left => "the row left before it was sent".to_owned(),
            Outcome::RolledBack => "lost with a region".to_owned(),
        }
    }
}

/// Why an entity shows in a file that is not open for work, or does not. Without the app's schema
/// audiences and names of fields are missing.
///
/// Fails with `LF2001` if the file has no such type, with `LF2013` if the id stands for several, and
/// with `LF22xx` if the file cannot be read.
#[cfg(not(target_family = "wasm"))]
pub fn of_file(
    path: &Path,
    schema: Option<&Schema>,
    kind: &str,
    id: &str,
    now_ms: i64,
) -> Result<Explanation, Error> {
    let none = Schema { types: BTreeMap::new(), values: BTreeMap::new(), enums: BTreeMap::new() };
    let schema = schema.unwrap_or(&none);
    let types = store::inspect::inspect(path).map_err(OpenError::from)?.types;
    let stored = types.iter().find(|(_, name)| *name == kind).map(|(id, _)| *id);
    let known = schema.entity_named(kind);
    let of = known.map(|k| k.id).or(stored);
    let of = of.ok_or_else(|| Error::problem(Problem::UnknownType))?;
    let shared = Arc::new(schema.clone());
    let asked = store::view(path, schema, |t| {
        let found = t.find(of, id)?;
        let home = known.and_then(|k| home_by_id(&k.home, k.id_field(), id)).unwrap_or_default();
        let key = match &found[..] {
            [] => EntityKey::new(home, of, id),
            [key] => key.clone(),
            _ => return Ok(None),
        };
        let mut node = Node::open(t, shared, "".into(), &mut || 0, now_ms)?;
        let row = node.explain(t, now_ms, &key)?;
        let outcomes = t.outcomes()?.into_iter().filter(|(_, k, _)| *k == key);
        let outcome = |(dot, key, outcome)| WriteOutcome { dot, key, outcome };
        Ok(Some((row, outcomes.map(outcome).collect())))
    });
    let (row, outcomes) = match asked.map_err(OpenError::from)? {
        Some(asked) => asked,
        None => return Err(Error::problem(Problem::Ambiguous)),
    };
    let explained = Explanation::new(schema, row, outcomes, ConnectionState::Offline);
    Ok(Explanation { kind: kind.to_owned(), ..explained })
}

/// The home scope, where it is known.
fn home(key: &EntityKey) -> Option<&str> {
    (!key.home.is_empty()).then_some(&key.home)
}

fn how(state: &ScopeState) -> String {
    let holds = if state.holds { "holds it here; " } else { "" };
    let Some(sub) = &state.subscription else { return format!("{holds}not subscribed") };
    let mut words = Vec::new();
    words.push(match &sub.denied {
        Some(code) => format!("refused ({code})"),
        None if sub.loading => "loading".to_owned(),
        None if sub.short => "some rows evicted or left out".to_owned(),
        None if sub.terms.is_partial() => "a part is held".to_owned(),
        None => "complete".to_owned(),
    });
    words.extend(sub.terms.keep_ms.map(|ms| format!("the last {}", span(ms))));
    words.extend(sub.terms.rows_max.map(|n| format!("at most {n} rows")));
    words.extend(sub.terms.bytes_max.map(|n| format!("at most {n} bytes")));
    words.push(match sub.as_of_ms {
        0 => "never heard to its end".to_owned(),
        ms => format!("as of {}", time(ms)),
    });
    if sub.asked {
        words.push("this row is asked for".to_owned());
    }
    format!("{holds}{}", words.join(", "))
}

fn told(write: &OwnWrite) -> String {
    let what = match write.what {
        WriteKind::Create => "create",
        WriteKind::Update => "update",
        WriteKind::Delete => "delete",
    };
    let fate = match Fate::from(&write.state) {
        Fate::Pending { sent: false } => "not sent".to_owned(),
        Fate::Pending { sent: true } => "sent, not answered".to_owned(),
        Fate::Accepted { durable: false } => "one region has it".to_owned(),
        Fate::Accepted { durable: true } => "safe".to_owned(),
        Fate::Rejected { code, detail, .. } => format!("refused ({code}): {detail}"),
        Fate::Unknown => "unknown".to_owned(),
    };
    let waits: Vec<String> = write.waits.iter().map(wait).collect();
    let waits = match waits.is_empty() {
        true => String::new(),
        false => format!("; waits for {}", waits.join(", ")),
    };
    format!("{}  {what}, {}: {fate}{waits}", short(write.dot), time(write.hlc.millis()))
}

fn wait(wait: &Wait) -> String {
    match wait {
        Wait::Session => "a connection".to_owned(),
        Wait::Write(dot) => format!("the write {}", short(*dot)),
        Wait::Time => "the clock: its stamp lies ahead of the regions' time".to_owned(),
        Wait::Turn => "its turn".to_owned(),
        Wait::Answer(regions) if regions.is_empty() => "a region's answer".to_owned(),
        Wait::Answer(regions) => {
            let names: Vec<String> = regions.iter().map(|r| r.0.to_string()).collect();
            format!("the answer of region {}", names.join(" and "))
        }
        Wait::Copies => "a second region".to_owned(),
        Wait::Row => "the row that has it in it".to_owned(),
    }
}

fn scope_json(state: &ScopeState) -> Json {
    let why = match state.why {
        Why::Home => "home",
        Why::Named => "audience",
        Why::Possible => "possible",
    };
    let sub = state.subscription.as_ref().map(|sub| {
        json!({
            "denied": sub.denied, "loading": sub.loading, "short": sub.short,
            "keep_ms": sub.terms.keep_ms, "rows_max": sub.terms.rows_max,
            "bytes_max": sub.terms.bytes_max, "as_of_ms": sub.as_of_ms, "asked": sub.asked,
        })
    });
    json!({ "scope": &*state.scope, "why": why, "holds": state.holds, "subscription": sub })
}

fn write_json(write: &OwnWrite) -> Json {
    let what = match write.what {
        WriteKind::Create => "create",
        WriteKind::Update => "update",
        WriteKind::Delete => "delete",
    };
    let waits: Vec<String> = write.waits.iter().map(wait).collect();
    let (fate, code) = match Fate::from(&write.state) {
        Fate::Pending { sent: false } => ("unsent", None),
        Fate::Pending { sent: true } => ("sent", None),
        Fate::Accepted { durable: false } => ("accepted", None),
        Fate::Accepted { durable: true } => ("durable", None),
        Fate::Rejected { code, .. } => ("rejected", Some(code)),
        Fate::Unknown => ("unknown", None),
    };
    json!({
        "dot": write.dot.to_string(), "what": what, "fate": fate, "code": code,
        "shows": write.shows, "at_ms": write.hlc.millis(), "waits": waits,
    })
}

fn outcome_json(outcome: &WriteOutcome) -> Json {
    let (what, code) = match &outcome.outcome {
        Outcome::Rejected { code, .. } => ("rejected", Some(public_code(code))),
        Outcome::Overwritten { .. } => ("overwritten", None),
        Outcome::Deleted => ("deleted", None),
        Outcome::Left => ("left", None),
        Outcome::RolledBack => ("rolled_back", None),
    };
    json!({ "dot": outcome.dot.to_string(), "outcome": what, "code": code })
}

fn writes(n: usize) -> String {
    if n == 1 { "1 own write".to_owned() } else { format!("{n} own writes") }
}

fn other(stamp: Stamp) -> String {
    format!("device {}", short_device(stamp.device))
}

/// The last bytes of a device id tell devices apart well enough for people.
fn short_device(device: DeviceId) -> String {
    let text = device.to_string();
    text[text.len() - 8..].to_owned()
}

fn short(dot: Dot) -> String {
    format!("{}#{}", short_device(dot.device), dot.seq)
}

fn when(stamp: Stamp) -> String {
    time(stamp.hlc.millis())
}

/// `2026-01-31 12:00:00 UTC`.
pub fn time(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1_000);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", date(days))
}

/// Days since 1970 as a date of the Gregorian calendar, counted in eras of 400 years from the first
/// of March of the year 0.
fn date(days: i64) -> String {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

/// A length of time in its largest whole unit.
fn span(ms: u64) -> String {
    let units = [(86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{ms} ms"), |(unit, name)| format!("{} {name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_for_people() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(1_769_860_799_999), "2026-01-31 11:59:59 UTC");
        assert_eq!(span(30 * 86_400_000), "30 days");
        assert_eq!(span(90_000), "90 s");
        assert_eq!(span(86_400_001), "86400001 ms");
    }
}
