//! Records become writes: what differs from the row that is there, in one transaction for many.

use super::super::lines::{Bad, unknown};
use super::*;
use crate::fault;
use landfall_device::{Error, Row, Schema, SqlValue, Transaction, Value};
use landfall_model::schema::{Field, Home, Merge};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};

use super::super::value;

/// Rejects that are told one by one; the file has them all.
const TOLD_MAX: u64 = 20;

/// Takes records, in order.
pub(super) struct Importer<'a> {
    pub client: &'a Client,
    pub kind: &'a EntityType,
    pub journal: Journal,
    pub rejects: Rejects,
    pub tally: Tally,
    /// Rejects that were told.
    pub told: u64,
    pub quiet: bool,
}

/// What one record asks for.
enum Plan {
    /// The row is as the file has it.
    Same,
    /// Edits of one entity.
    Edits { id: String, puts: Vec<(String, Value)>, others: Vec<(String, Change)> },
}

enum Change {
    Increment(i64),
    Add(Value),
    Remove(Value),
    /// The text in the place of one of so many characters.
    Text(usize, String),
}

/// A field, if one is to blame; a code; and what to write instead.
type Fault = (Option<String>, &'static str, String);

impl Importer<'_> {
    /// The home scope that a record names; `None` for children, and where it cannot be told.
    pub fn home(&self, record: &Record) -> Option<String> {
        let fields = record.fields.as_ref().ok()?;
        home(self.client.schema(), self.kind, fields)
    }

    /// One transaction, or, where one of the rows is refused, several that leave it out.
    pub fn apply(&mut self, lines: &Lines<'_>, batch: &[Record]) -> anyhow::Result<()> {
        let Some(last) = batch.last() else { return Ok(()) };
        let start = self.tally;
        let mut end = Tally { at: last.end, ..start };
        let (mut plans, mut bad) = (Vec::new(), Vec::new());
        for record in batch {
            end.rows += 1;
            match self.plan(record)? {
                Ok(Plan::Same) => end.unchanged += 1,
                Ok(edits) => {
                    end.applied += 1;
                    plans.push(edits);
                }
                Err(fault) => {
                    end.rejected += 1;
                    bad.push((record, self.located(lines, record, fault)));
                }
            }
        }
        for (record, bad) in &bad {
            self.rejects.add(record, bad)?;
        }
        end.rejects_bytes = self.rejects.flush()?;
        match self.commit(start, end, plans)? {
            Ok(()) => {
                self.tally = end;
                bad.iter().for_each(|(_, bad)| self.tell(lines, bad));
                Ok(())
            }
            Err(error) => {
                self.rejects.cut(start.rejects_bytes)?;
                match batch {
                    [record] => self.reject(lines, record, &error),
                    _ => {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        self.apply(lines, first)?;
                        self.apply(lines, second)
                    }
                }
            }
        }
    }

    /// The file has been read to its end.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let (_, seq) = store::last_write(self.client)?;
        self.journal.mark(&Mark { seq, start: self.tally, end: self.tally, done: true })
    }

    /// `Ok(Err)` if the SDK refuses one of the edits; nothing is kept then.
    fn commit(
        &mut self,
        start: Tally,
        end: Tally,
        plans: Vec<Plan>,
    ) -> anyhow::Result<Result<(), Error>> {
        let (_, seq) = store::last_write(self.client)?;
        self.journal.mark(&Mark { seq, start, end, done: false })?;
        if plans.is_empty() {
            return Ok(Ok(()));
        }
        let mut tx = self.client.transaction();
        for plan in plans {
            tx = self.edit(tx, plan);
        }
        match tx.commit() {
            Ok(_) => Ok(Ok(())),
            // The device's file, not a row: nothing more can be written.
            Err(error) if !error.code().starts_with("LF20") => Err(error.into()),
            Err(error) => Ok(Err(error)),
        }
    }

    fn edit(&self, tx: Transaction, plan: Plan) -> Transaction {
        let Plan::Edits { id, puts, others } = plan else { return tx };
        let kind = &self.kind.name;
        let mut tx = tx.upsert(kind, &id, puts);
        for (field, change) in others {
            tx = match change {
                Change::Increment(by) => tx.increment(kind, &id, &field, by),
                Change::Add(element) => tx.add_to_set(kind, &id, &field, element),
                Change::Remove(element) => tx.remove_from_set(kind, &id, &field, element),
                Change::Text(length, text) => tx.splice(kind, &id, &field, 0, length, &text),
            };
        }
        tx
    }

    /// A single row that the SDK refused.
    fn reject(&mut self, lines: &Lines<'_>, record: &Record, error: &Error) -> anyhow::Result<()> {
        let named = error.message().split('`').nth(1);
        // Of a member of a value, the field.
        let field = named.and_then(|path| path.split('.').next());
        let field = field.filter(|name| self.kind.field_named(name).is_some());
        let message = error.message().trim_start_matches("Edit 1: ").to_owned();
        let help = match error.code() {
            "LF2012" => " Import the parents first, and name their scope by --scope.",
            _ => "",
        };
        let fault = (field.map(str::to_owned), error.code(), format!("{message}{help}"));
        let bad = self.located(lines, record, fault);
        self.rejects.add(record, &bad)?;
        let mut end = self.tally;
        end.at = record.end;
        end.rows += 1;
        end.rejected += 1;
        end.rejects_bytes = self.rejects.flush()?;
        if let Err(error) = self.commit(self.tally, end, Vec::new())? {
            return Err(error.into());
        }
        self.tally = end;
        self.tell(lines, &bad);
        Ok(())
    }

    fn located(&self, lines: &Lines<'_>, record: &Record, fault: Fault) -> Bad {
        let (field, code, reason) = fault;
        match &record.fields {
            Err(bad) => bad.clone(),
            Ok(_) => {
                let (line, column) = lines.place_of(record, field.as_deref());
                Bad { line, column, code, reason }
            }
        }
    }

    fn tell(&mut self, lines: &Lines<'_>, bad: &Bad) {
        self.told += 1;
        if self.quiet || self.told > TOLD_MAX + 1 {
            return;
        }
        if self.told == TOLD_MAX + 1 {
            terminal::note("… and more; the file of rejects has them all");
            return;
        }
        let Bad { line, column, code, reason } = bad;
        let line = format!("{}:{line}:{column}: {code}: {reason}", lines.path());
        terminal::note(terminal::one_line(&line));
    }

    fn plan(&self, record: &Record) -> anyhow::Result<Result<Plan, Fault>> {
        let fields = match &record.fields {
            Ok(fields) => fields,
            Err(bad) => return Ok(Err((None, bad.code, bad.reason.clone()))),
        };
        let Some(id) = fields.get("id").and_then(Json::as_str).filter(|id| !id.is_empty()) else {
            let at = fields.contains_key("id").then(|| "id".to_owned());
            let reason = "there is no id; write one, like \"id\":\"a-1\"".to_owned();
            return Ok(Err((at, code::VALUE, reason)));
        };
        let schema = self.client.schema();
        let home = home(schema, self.kind, fields);
        let row = store::row(self.client, self.kind, id, home.as_deref())?;
        Ok(plan(schema, self.kind, id, fields, row.as_ref()))
    }
}

fn plan(
    schema: &Schema,
    kind: &EntityType,
    id: &str,
    fields: &Map<String, Json>,
    row: Option<&Row>,
) -> Result<Plan, Fault> {
    let (mut puts, mut others) = (Vec::new(), Vec::new());
    for (name, json) in fields.iter().filter(|(name, _)| *name != "id") {
        let field = kind
            .field_named(name)
            .ok_or_else(|| (Some(name.clone()), code::UNKNOWN_NAME, unknown(kind, name)))?;
        let wrong = |reason| (Some(name.clone()), code::VALUE, format!("`{name}` {reason}"));
        let whole = value::whole(field);
        let wanted = value::read(schema, &whole, json).map_err(wrong)?;
        let column = row.and_then(|row| row.get(name));
        let there = column.map(|column| value::show(schema, field, column));
        let there = there.and_then(|json| value::read(schema, &whole, &json).ok());
        if field.merge == Merge::Register {
            // A field that was never written is null, unless it has a default.
            let nothing = row.is_none() && wanted.is_null() && field.default.is_none();
            if !nothing && (row.is_none() || there.as_ref() != Some(&wanted)) {
                puts.push((name.clone(), wanted));
            }
        } else {
            changes(field, wanted, there, column, &mut others).map_err(wrong)?;
        }
    }
    // A row that is not there is written even if it has no field at all.
    if row.is_some() && puts.is_empty() && others.is_empty() {
        return Ok(Plan::Same);
    }
    let id = id.to_owned();
    Ok(Plan::Edits { id, puts, others })
}

/// What a counter, a set or a text lacks. Null says nothing of it.
fn changes(
    field: &Field,
    wanted: Value,
    there: Option<Value>,
    column: Option<&SqlValue>,
    out: &mut Vec<(String, Change)>,
) -> Result<(), String> {
    let mut push = |change| out.push((field.name.clone(), change));
    match (field.merge, wanted) {
        (_, Value::Null) => {}
        (Merge::Counter, Value::Int(wanted)) => {
            let there = there.and_then(|v| v.as_int()).unwrap_or(0);
            let by = wanted.checked_sub(there).ok_or("is too far from what it is now")?;
            if by != 0 {
                push(Change::Increment(by));
            }
        }
        (Merge::Set, Value::List(wanted)) => {
            let wanted: BTreeSet<Value> = wanted.into_iter().collect();
            let there: BTreeSet<Value> = match there {
                Some(Value::List(items)) => items.into_iter().collect(),
                _ => BTreeSet::new(),
            };
            wanted.difference(&there).for_each(|e| push(Change::Add(e.clone())));
            there.difference(&wanted).for_each(|e| push(Change::Remove(e.clone())));
        }
        (Merge::Text, Value::Text(wanted)) => {
            let there = column.and_then(SqlValue::as_str).unwrap_or_default();
            if wanted != there {
                push(Change::Text(there.chars().count(), wanted));
            }
        }
        _ => return Err("does not fit".to_owned()),
    }
    Ok(())
}

fn home(schema: &Schema, kind: &EntityType, fields: &Map<String, Json>) -> Option<String> {
    let Home::Scope(template) = &kind.home else { return None };
    let value = |field: &Field| {
        let json = fields.get(&field.name)?;
        Some((field.id, value::read(schema, &field.kind, json).ok()?))
    };
    let values: Vec<_> = template.fields().filter_map(|id| value(kind.field(id)?)).collect();
    let of = |id| values.iter().find(|(field, _)| *field == id).map(|(_, value)| value);
    template.render(of).map(|scope| scope.to_string())
}

/// The file of rejects: one JSON object per row, with its place, its reason, and the row.
#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<File>,
    length: u64,
    waiting: String,
}

impl Rejects {
    /// What lies behind `length` was written by a run that was killed before it counted, or for
    /// another content of the imported file. A file that is no file of rejects is not touched.
    pub fn open(path: PathBuf, length: u64) -> anyhow::Result<Self> {
        let mut first = String::new();
        if let Ok(file) = File::open(&path) {
            BufReader::new(file).read_line(&mut first).unwrap_or_default();
            let ours =
                serde_json::from_str::<Json>(&first).is_ok_and(|row| row.get("row").is_some());
            if std::fs::metadata(&path).is_ok_and(|m| m.len() > 0) && !ours {
                let message = format!(
                    "{} holds no rows that were rejected, and is not written over; --rejects \
                     names another file",
                    path.display()
                );
                return Err(fault::new(code::IN_THE_WAY, message));
            }
        }
        let there = std::fs::metadata(&path).map_or(0, |m| m.len());
        let mut rejects = Self { path, file: None, length: 0, waiting: String::new() };
        rejects.cut(length.min(there))?;
        Ok(rejects)
    }

    fn file(&mut self) -> anyhow::Result<&mut File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let options = options.create(true).truncate(false).read(true).write(true);
            let failed =
                || format!("cannot write {}; --rejects names another", self.path.display());
            self.file = Some(options.open(&self.path).with_context(failed)?);
        }
        self.file.as_mut().context("it was opened above")
    }

    pub fn add(&mut self, record: &Record, bad: &Bad) -> anyhow::Result<()> {
        let Bad { line, column, code, reason } = bad;
        let row = json!({ "line": line, "column": column, "code": code, "reason": reason,
            "row": record.raw });
        self.waiting.push_str(&row.to_string());
        self.waiting.push('\n');
        Ok(())
    }

    /// Write what waits; returns the length of the file.
    pub fn flush(&mut self) -> anyhow::Result<u64> {
        if !self.waiting.is_empty() {
            let text = std::mem::take(&mut self.waiting);
            let length = self.length;
            let file = self.file()?;
            file.seek(SeekFrom::Start(length))?;
            file.write_all(text.as_bytes())?;
            file.sync_data()?;
            self.length += text.len() as u64;
        }
        Ok(self.length)
    }

    pub fn cut(&mut self, length: u64) -> anyhow::Result<()> {
        self.waiting.clear();
        self.length = length;
        if length == 0 && self.file.is_none() && !self.path.exists() {
            return Ok(());
        }
        self.file()?.set_len(length)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = r#"
        type Note @entity(strategy: CRDT, scope: "team/{team}/{n}") {
          id: ID! team: ID! n: Int! labels: [String!] @set votes: Counter body: Text }"#;

    #[test]
    fn a_record_names_its_home_scope() {
        let schema = landfall_model::schema::compile(SDL).expect("the test's schema");
        let kind = schema.entity_named("Note").expect("it is there");
        let check = |record: &str, expected: Option<&str>| {
            let Ok(Json::Object(fields)) = serde_json::from_str(record) else { panic!("{record}") };
            assert_eq!(home(&schema, kind, &fields).as_deref(), expected, "{record}");
        };
        check(r#"{"team":"a/b","n":3}"#, Some("team/a%2Fb/3"));
        check(r#"{"team":"a"}"#, None);
        check(r#"{"team":"a","n":"x"}"#, None);
    }

    #[test]
    fn sets_counters_and_texts_get_what_they_lack() {
        let schema = landfall_model::schema::compile(SDL).expect("the test's schema");
        let kind = schema.entity_named("Note").expect("it is there");
        let check = |name: &str, wanted: Value, there: Option<Value>, expected: usize| {
            let field = kind.field_named(name).expect("it is there");
            let column = there.as_ref().and_then(|v| v.as_text()).map(SqlValue::from);
            let mut out = Vec::new();
            changes(field, wanted, there, column.as_ref(), &mut out).expect("it fits");
            assert_eq!(out.len(), expected, "{name}");
        };
        let list = |words: &[&str]| Value::List(words.iter().map(|w| Value::text(*w)).collect());
        check("labels", list(&["a", "b"]), Some(list(&["b", "c"])), 2);
        check("labels", list(&["b", "a"]), Some(list(&["a", "b"])), 0);
        check("votes", Value::Int(3), Some(Value::Int(3)), 0);
        check("votes", Value::Int(3), None, 1);
        check("votes", Value::Null, Some(Value::Int(3)), 0);
        check("body", Value::text("x"), Some(Value::text("x")), 0);
        check("body", Value::text("x"), None, 1);
    }
}
