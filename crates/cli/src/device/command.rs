//! What can be asked of a phone, as words.

use super::{help, scope, show, store, value};
use crate::fault::{self, code};
use crate::terminal;
use landfall_device::{
    Client, ConnectionState, Dot, Error, Query, Row, WatchHandle, WatchListener, WatchUpdate,
    WriteReceipt,
};
use landfall_model::schema::{EntityType, Merge};
use std::fmt::Write;
use std::sync::{Arc, Mutex};

pub(super) const HELP: &str = "\
Commands:
  put TYPE ID [FIELD=VALUE …]  create it, or change these fields; also FIELD+=VALUE and FIELD-=VALUE
                               for counters, sets and, at its end, text; FIELD=null clears
  delete TYPE ID               delete it
  get TYPE ID                  show it
  explain TYPE ID              why it shows on this phone, or does not
  restore TYPE HOME ID         bring it back after it was deleted; HOME is its home scope
  cancel WRITE                 take back a write that was not sent, named as `explain` does: 9d55d6f9#4
  query SQL                    ask the phone's tables
  watch [--explain] TYPE | SQL show what changes in it, until it ends; how it is followed, too
  subscribe SCOPE              hold the rows of a scope on this phone
  unsubscribe SCOPE            let them go
  status                       connection, subscriptions, outbox
  outcomes                     writes that were refused or overwritten
  resubmit WRITE               make a refused one again
  dismiss WRITE                be done with one
  types                        types, fields, scopes, values and enums of the schema
At the prompt also: offline, online, unwatch, help, quit";

/// Prints a line, wherever the terminal's cursor is.
pub(super) type Printer = Arc<dyn Fn(String) + Send + Sync>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Put { kind: String, id: String, fields: Vec<String> },
    Delete { kind: String, id: String },
    Get { kind: String, id: String },
    Explain { kind: String, id: String },
    Restore { kind: String, home: String, id: String },
    Cancel(String),
    Resubmit(String),
    Dismiss(String),
    Query(String),
    Watch { what: String, explain: bool },
    Unwatch,
    Subscribe(String),
    Unsubscribe(String),
    Status,
    Outcomes,
    Types,
    Offline,
    Online,
    Help,
    Quit,
}

/// What a command came to.
pub(super) enum Done {
    Shown,
    /// What was asked for is not there.
    Nothing,
    Wrote(WriteReceipt),
    Subscribed(String),
    Watching(Vec<WatchHandle>),
    Leave,
}

/// A phone that commands are run on.
pub(super) struct Phone {
    pub client: Client,
    pub name: String,
    pub json: bool,
}

impl Command {
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let (verb, rest) = words.split_first().ok_or("What should the phone do?")?;
        let all = || rest.join(" ");
        let none = |command: Self| match rest {
            [] => Ok(command),
            _ => Err(format!("`{verb}` stands alone.")),
        };
        let one = || match rest {
            [one] => Ok(one.clone()),
            _ => Err(format!("`{verb}` takes one word: `{verb} SCOPE`.")),
        };
        let entity = || match rest {
            [kind, id] => Ok((kind.clone(), id.clone())),
            _ => Err(format!("`{verb}` takes a type and an id: `{verb} TYPE ID`.")),
        };
        let write = || match rest {
            [write] => Ok(write.clone()),
            _ => Err(format!("`{verb}` takes one write: `{verb} DEVICE#NUMBER`.")),
        };
        match verb.as_str() {
            "put" => match rest {
                [kind, id, fields @ ..] => {
                    Ok(Self::Put { kind: kind.clone(), id: id.clone(), fields: fields.to_vec() })
                }
                _ => Err("`put` takes a type and an id: `put TYPE ID [FIELD=VALUE …]`.".to_owned()),
            },
            "delete" => entity().map(|(kind, id)| Self::Delete { kind, id }),
            "get" => entity().map(|(kind, id)| Self::Get { kind, id }),
            "explain" => entity().map(|(kind, id)| Self::Explain { kind, id }),
            "restore" => match rest {
                [kind, home, id] => {
                    let (kind, home, id) = (kind.clone(), home.clone(), id.clone());
                    Ok(Self::Restore { kind, home, id })
                }
                _ => Err("`restore` takes a type, its home scope and an id.".to_owned()),
            },
            "cancel" => write().map(Self::Cancel),
            "resubmit" => write().map(Self::Resubmit),
            "dismiss" => write().map(Self::Dismiss),
            "query" if !all().trim().is_empty() => Ok(Self::Query(all())),
            "query" => Err("`query` takes a statement: `query SELECT …`.".to_owned()),
            "watch" => match rest {
                [flag, what @ ..] if flag == "--explain" && !what.concat().trim().is_empty() => {
                    Ok(Self::Watch { what: what.join(" "), explain: true })
                }
                [flag, ..] if flag != "--explain" && !all().trim().is_empty() => {
                    Ok(Self::Watch { what: all(), explain: false })
                }
                _ => Err("`watch` takes a type or a statement: `watch TYPE`.".to_owned()),
            },
            "unwatch" => none(Self::Unwatch),
            "subscribe" => one().map(Self::Subscribe),
            "unsubscribe" => one().map(Self::Unsubscribe),
            "status" => none(Self::Status),
            "outcomes" => none(Self::Outcomes),
            "types" => none(Self::Types),
            "offline" => none(Self::Offline),
            "online" => none(Self::Online),
            "help" => none(Self::Help),
            "quit" | "exit" => none(Self::Quit),
            _ => Err(format!("There is no command `{verb}`.")),
        }
    }

    /// True if it shows what regions may have changed.
    pub(super) fn reads(&self) -> bool {
        let looks = matches!(self, Self::Get { .. } | Self::Query(_) | Self::Explain { .. });
        looks || matches!(self, Self::Outcomes | Self::Status)
    }
}

impl Phone {
    pub(super) fn run(&self, command: Command, say: Printer) -> anyhow::Result<Done> {
        let client = &self.client;
        match command {
            Command::Put { kind, id, fields } => Ok(Done::Wrote(put(client, &kind, &id, &fields)?)),
            Command::Delete { kind, id } => {
                Ok(Done::Wrote(client.transaction().delete(&kind, &id).commit()?))
            }
            Command::Get { kind, id } => self.get(&kind, &id, &say),
            Command::Explain { kind, id } => {
                let explanation = client.explain_id(&known(client, &kind)?.name, &id)?;
                let json = || explanation.to_json().to_string();
                say(if self.json { json() } else { explanation.to_string() });
                Ok(Done::Shown)
            }
            Command::Restore { kind, home, id } => {
                let kind = known(client, &kind)?;
                Ok(Done::Wrote(client.restore(&kind.name, &home, &id)?))
            }
            Command::Cancel(write) => {
                let cancelled = client.cancel(self.dot(&write)?)?;
                say(show::cancelled(&cancelled, self.json));
                Ok(Done::Shown)
            }
            Command::Resubmit(write) => Ok(Done::Wrote(client.resubmit(self.dot(&write)?)?)),
            Command::Dismiss(write) => {
                client.dismiss(self.dot(&write)?)?;
                Ok(Done::Shown)
            }
            Command::Query(sql) => {
                let rows = client.query(&sql, []);
                let rows = rows.map_err(|error| help::statement(client.schema(), error))?;
                let all: Vec<&Row> = rows.iter().collect();
                say(show::rows(rows.columns(), &all, self.json));
                Ok(Done::Shown)
            }
            Command::Watch { what, explain } => self.watch(&what, explain, say),
            Command::Subscribe(scope) => {
                scope::check(client.schema(), &scope)?;
                client.subscribe(&scope)?;
                Ok(Done::Subscribed(scope))
            }
            Command::Unsubscribe(scope) => {
                client.unsubscribe(&scope)?;
                Ok(Done::Shown)
            }
            Command::Status => {
                say(show::status(&self.name, client, self.json)?);
                Ok(Done::Shown)
            }
            Command::Outcomes => {
                let all = client.outcomes()?;
                all.iter().for_each(|o| say(show::kept(client.schema(), o, self.json)));
                if all.is_empty() && !self.json {
                    say("nothing".to_owned());
                }
                Ok(Done::Shown)
            }
            Command::Types => {
                say(types(client));
                Ok(Done::Shown)
            }
            Command::Offline => {
                client.go_offline();
                Ok(Done::Shown)
            }
            Command::Online => {
                client.go_online();
                Ok(Done::Shown)
            }
            Command::Help => {
                say(HELP.to_owned());
                Ok(Done::Shown)
            }
            Command::Unwatch => Ok(Done::Watching(Vec::new())),
            Command::Quit => Ok(Done::Leave),
        }
    }

    fn dot(&self, write: &str) -> anyhow::Result<Dot> {
        value::dot(write, |seq| store::devices_with(&self.client, seq))
    }

    fn get(&self, name: &str, id: &str, say: &Printer) -> anyhow::Result<Done> {
        let kind = known(&self.client, name)?;
        let Some(row) = self.client.get(name, id)? else {
            // What is not here may be elsewhere: an absent row never means a deleted one.
            say(format!("this phone has no {name} `{id}`; `status` tells what it holds"));
            return Ok(Done::Nothing);
        };
        say(show::entity(&kind, &row, self.json));
        Ok(Done::Shown)
    }

    fn watch(&self, what: &str, explain: bool, say: Printer) -> anyhow::Result<Done> {
        let schema = self.client.schema();
        // A single word is no statement.
        let word = !what.trim().contains(char::is_whitespace);
        let kind = if word { Some(known(&self.client, what.trim())?) } else { None };
        let rows = Mutex::new(Vec::new());
        let listener =
            Arc::new(Watcher { say: say.clone(), rows, kind: kind.clone(), json: self.json });
        let handle = match kind {
            Some(kind) => self.client.observe_with(Query::table(&*kind.name), listener)?,
            None => {
                let watch = self.client.watch_with(what, [], listener);
                watch.map_err(|error| help::statement(schema, error))?
            }
        };
        if explain {
            say(handle.explain()?.to_string());
        }
        Ok(Done::Watching(vec![handle]))
    }
}

fn known(client: &Client, name: &str) -> anyhow::Result<Arc<EntityType>> {
    let schema = client.schema();
    if let Some(kind) = schema.entity_named(name) {
        return Ok(kind.clone());
    }
    let known: Vec<&str> = schema.types.values().map(|t| &*t.name).collect();
    let message = format!("the schema has no type `{name}`; it has {}", known.join(", "));
    Err(fault::new(code::UNKNOWN_NAME, message))
}

/// Create an entity, or change it, by words like `title=Milk` and `votes+=1`.
pub(crate) fn put(
    client: &Client,
    name: &str,
    id: &str,
    fields: &[String],
) -> anyhow::Result<WriteReceipt> {
    let kind = known(client, name)?;
    let sets: Vec<value::Set<'_>> =
        fields.iter().map(|word| value::read(&kind, word)).collect::<Result<_, _>>()?;
    check_once(&sets)?;
    for stranger in value::strangers(client.schema(), &kind, &sets) {
        terminal::note(terminal::one_line(&format!("warning: {stranger}")));
    }
    let puts = sets.iter().filter_map(|set| match &set.change {
        value::Change::Put(value) => Some((set.field, value.clone())),
        _ => None,
    });
    let mut tx = client.transaction().upsert(name, id, puts);
    for value::Set { field, change } in &sets {
        tx = match change {
            value::Change::Put(_) => tx,
            value::Change::Increment(by) => tx.increment(name, id, field, *by),
            value::Change::Add(element) => tx.add_to_set(name, id, field, element.clone()),
            value::Change::Remove(element) => tx.remove_from_set(name, id, field, element.clone()),
            value::Change::Text { replace, text } => {
                let row = client.get(name, id)?;
                let shown = row.as_ref().and_then(|row| row.text(field)).unwrap_or_default();
                let length = shown.chars().count();
                let (at, delete) = if *replace { (0, length) } else { (length, 0) };
                tx.splice(name, id, field, at, delete, text)
            }
        };
    }
    tx.commit().map_err(|error| help::write(client.schema(), &kind, error))
}

/// A field that is set twice in one command is a slip: which of the two was meant? Increments add
/// up, and a set takes many elements.
fn check_once(sets: &[value::Set<'_>]) -> anyhow::Result<()> {
    let whole = |set: &&value::Set<'_>| {
        matches!(set.change, value::Change::Put(_) | value::Change::Text { .. })
    };
    let mut seen = std::collections::BTreeSet::new();
    match sets.iter().filter(whole).find(|set| !seen.insert(set.field)) {
        Some(set) => {
            let message = format!("`{}` is set twice; write it once", set.field);
            Err(fault::new(code::ARGUMENTS, message))
        }
        None => Ok(()),
    }
}

/// Prints the changes of a live query.
struct Watcher {
    say: Printer,
    rows: Mutex<Vec<Row>>,
    kind: Option<Arc<EntityType>>,
    json: bool,
}

impl WatchListener for Watcher {
    fn updated(&self, update: WatchUpdate) {
        let mut rows = self.rows.lock().expect("no panic under this lock");
        for change in &update.changes {
            if let Some(line) = show::change(change, &rows, self.kind.as_deref(), self.json) {
                (self.say)(line);
            }
        }
        *rows = update.rows.to_vec();
    }

    fn failed(&self, error: Error) {
        (self.say)(format!("the watch ended: {error}"));
    }
}

/// The schema's types, for somebody who wants to write.
fn types(client: &Client) -> String {
    let schema = client.schema();
    let mut out = String::new();
    for kind in schema.types.values() {
        let scope = match &kind.home {
            landfall_model::schema::Home::Scope(template) => format!("scope {}", template.source),
            landfall_model::schema::Home::Parent { kind, .. } => {
                format!("with its {}", schema.entity(*kind).map_or("parent", |k| &k.name))
            }
        };
        let _ = writeln!(out, "{}  ({scope})", kind.name);
        for field in &kind.fields {
            let how = match field.merge {
                Merge::Register => "",
                Merge::Set => "  += -=",
                Merge::Counter => "  += -= only",
                Merge::Text => "  = +=",
            };
            let needed = if field.required { "!" } else { "" };
            let _ = writeln!(out, "  {:<16} {}{needed}{how}", field.name, show::kind(&field.kind));
        }
    }
    for kind in schema.values.values() {
        let _ = writeln!(out, "{}  (value)", kind.name);
        for field in &kind.fields {
            let needed = if field.required { "!" } else { "" };
            let _ = writeln!(out, "  {:<16} {}{needed}", field.name, show::kind(&field.kind));
        }
    }
    for kind in schema.enums.values() {
        let closed = if kind.closed { "closed enum" } else { "enum" };
        let _ = writeln!(out, "{}  ({closed})\n  {}", kind.name, kind.values.join(", "));
    }
    out.trim_end().to_owned()
}

/// A word for where the connection stands.
pub(crate) fn connection(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Offline => "offline".to_owned(),
        ConnectionState::Standby => "another process syncs this phone".to_owned(),
        ConnectionState::Connecting { region } => format!("connecting to {region}"),
        ConnectionState::Online { region } => format!("online at {region}"),
        ConnectionState::Waiting { retry_ms, code } => {
            let why = code.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
            format!("no region answers{why}; again in {} s", retry_ms.div_ceil(1_000))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_words() {
        let check = |line: &str, expected: Result<Command, &str>| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            match (Command::parse(&words), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{line}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{line}: {found}"),
                (found, expected) => panic!("{line}: {found:?}, expected {expected:?}"),
            }
        };
        let put = Command::Put { kind: "A".into(), id: "1".into(), fields: vec!["x=2".into()] };
        check("put A 1 x=2", Ok(put));
        check("put A", Err("`put TYPE ID [FIELD=VALUE …]`"));
        check("get A 1", Ok(Command::Get { kind: "A".into(), id: "1".into() }));
        check("get A", Err("`get TYPE ID`"));
        check("query SELECT 1, 2", Ok(Command::Query("SELECT 1, 2".into())));
        check("query", Err("a statement"));
        let watch = |explain| Ok(Command::Watch { what: "SELECT 1".into(), explain });
        check("watch SELECT 1", watch(false));
        check("watch --explain SELECT 1", watch(true));
        check("watch --explain", Err("a type or a statement"));
        check("watch", Err("a type or a statement"));
        check("query ", Err("a statement"));
        check("watch ", Err("a type or a statement"));
        check("cancel a#1", Ok(Command::Cancel("a#1".into())));
        check("resubmit", Err("`resubmit DEVICE#NUMBER`"));
        check("subscribe a b", Err("one word"));
        check("status now", Err("stands alone"));
        check("frobnicate", Err("no command `frobnicate`"));
    }
}
