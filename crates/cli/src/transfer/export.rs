//! `landfall export`: a type's rows, as a device holds them, into a file.
//!
//! The device holds exactly the scopes that are asked for: others that it held before are let go
//! of first. What it had already is not fetched again, so an export that was killed, or one of
//! yesterday, goes on from there. Rows are read a page at a time and go out in the order of their
//! ids; a file appears under its name when it is whole.

use super::{Format, Place, cells, kind, settle, store, value};
use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal::{self, Progress};
use anyhow::Context;
use landfall_device::{Client, Row, Schema};
use landfall_model::id::FieldId;
use landfall_model::schema::{EntityType, Field, Home, ScopeTemplate};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The type
    kind: String,
    /// A scope whose rows to export: a home scope or an audience. May be repeated
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// The file; standard output if not given
    #[arg(long)]
    out: Option<PathBuf>,
    /// As told, else by the file's ending, else NDJSON
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The device's name: its file stays in the world's directory
    #[arg(long = "as", default_value = "export")]
    name: String,
    #[command(flatten)]
    place: Place,
    /// A summary as one JSON object; on standard error where the rows go to standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let format = Format::of(args.format, args.out.as_deref())?;
    let client = args.place.open(&args.name, false)?;
    let done = export(args, format, &client);
    client.close()?;
    let rows = done.map_err(crate::device::told)?;
    let summary = json!({ "type": args.kind, "rows": rows, "file": args.out });
    match (&args.out, args.json) {
        (Some(_), true) => terminal::say(summary),
        (None, true) => terminal::note(summary),
        (Some(path), false) => terminal::note(format!("{}: {}", path.display(), counted(rows))),
        (None, false) => terminal::note(counted(rows)),
    }
    Ok(Exit::Done)
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

fn export(args: &Args, format: Format, client: &Client) -> anyhow::Result<u64> {
    let kind = kind(client.schema(), &args.kind)?;
    let scopes = scopes(client.schema(), &kind, &args.scopes)?;
    let view = View::new(client.schema(), &kind, &scopes, format)?;
    hold(client, &scopes)?;
    let mut progress = Progress::new(args.json);
    if !args.place.offline {
        let told = |_, rows| format!("fetching: {rows} rows are here");
        settle(client, Duration::from_secs(args.place.wait), &mut progress, told)?;
    }
    match &args.out {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            match write(client, &view, format, &mut out, &mut progress) {
                // The reader has seen enough.
                Err(error) if is_closed_pipe(&error) => Ok(0),
                written => written,
            }
        }
        Some(path) => {
            let part = part_of(path);
            let failed = || format!("cannot write {}", part.display());
            let file = File::create(&part).with_context(failed)?;
            let mut out = BufWriter::new(file);
            let rows = write(client, &view, format, &mut out, &mut progress)?;
            let file = out.into_inner().map_err(|e| e.into_error()).with_context(failed)?;
            file.sync_all().with_context(failed)?;
            std::fs::rename(&part, path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(rows)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The scopes to hold: those that are named, or the one that all rows of the type are in.
fn scopes(
    schema: &Schema,
    kind: &EntityType,
    named: &[String],
) -> anyhow::Result<BTreeSet<String>> {
    if !named.is_empty() {
        for scope in named {
            crate::device::scope::check(schema, scope)?;
        }
        return Ok(named.iter().cloned().collect());
    }
    let Some(Home::Scope(template)) = schema.root(kind.id).map(|root| &root.home) else {
        return Ok(BTreeSet::new());
    };
    if template.fields().next().is_none() {
        return Ok([template.source.clone()].into());
    }
    let message = format!(
        "{} lives in many scopes, like `{}`; name those to export by --scope",
        kind.name, template.source
    );
    Err(fault::new(code::ARGUMENTS, message))
}

fn hold(client: &Client, scopes: &BTreeSet<String>) -> anyhow::Result<()> {
    let held: Vec<String> = client.subscriptions()?.iter().map(|s| s.scope.to_string()).collect();
    for scope in held.iter().filter(|scope| !scopes.contains(*scope)) {
        client.unsubscribe(scope)?;
    }
    for scope in scopes.iter().filter(|scope| !held.contains(scope)) {
        client.subscribe(scope)?;
    }
    Ok(())
}

/// What of a type's rows is exported.
///
/// A row that is held for an audience alone lacks the fields that the schema hides from it. They
/// look empty on the device, and in the file they would be taken for empty: an import would clear
/// them for everybody. So they are left out.
struct View<'a> {
    kind: &'a EntityType,
    scopes: &'a BTreeSet<String>,
    /// Fields that one of the audiences that are exported does not see.
    hidden: BTreeSet<FieldId>,
}

impl<'a> View<'a> {
    fn new(
        schema: &Schema,
        kind: &'a EntityType,
        scopes: &'a BTreeSet<String>,
        format: Format,
    ) -> anyhow::Result<Self> {
        let named = |template: &ScopeTemplate| scopes.iter().any(|s| template.could_render(s));
        let root = schema.root(kind.id);
        let audiences = root.iter().flat_map(|root| &root.audiences);
        let columns = audiences.filter(|a| named(&a.scope)).flat_map(|a| &a.hide);
        let hidden = columns.filter(|(of, _)| *of == kind.id).map(|(_, field)| *field).collect();
        let view = Self { kind, scopes, hidden };
        let home = matches!(root.map(|root| &root.home), Some(Home::Scope(t)) if named(t));
        if format == Format::Csv && home && !view.hidden.is_empty() {
            let fields = kind.fields.iter().filter(|f| view.hidden.contains(&f.id));
            let fields: Vec<&str> = fields.map(|f| &*f.name).collect();
            let message = format!(
                "{} is hidden from one of these scopes and not from the others, and all rows of a \
                 CSV have the same columns; export them by themselves, or as NDJSON",
                fields.join(", ")
            );
            return Err(fault::new(code::ARGUMENTS, message));
        }
        Ok(view)
    }

    /// The fields that a row has in the file, in the schema's order. All rows of a CSV have those
    /// that every row has: `None`.
    fn fields(&self, row: Option<&Row>) -> impl Iterator<Item = &'a Field> {
        let whole = row.and_then(|row| row.text("_home")).is_some_and(|h| self.scopes.contains(h));
        self.kind.fields.iter().filter(move |f| whole || !self.hidden.contains(&f.id))
    }
}

fn write(
    client: &Client,
    view: &View<'_>,
    format: Format,
    out: &mut impl Write,
    progress: &mut Progress,
) -> anyhow::Result<u64> {
    let kind = view.kind;
    let all = store::count(client, kind)?;
    let mut rows = 0;
    let mut after: Option<(String, String)> = None;
    if format == Format::Csv {
        let names: Vec<Option<String>> = view.fields(None).map(|f| Some(f.name.clone())).collect();
        writeln!(out, "{}", record(&names))?;
    }
    loop {
        let place = after.as_ref().map(|(id, home)| (id.as_str(), home.as_str()));
        let page = store::page(client, kind, place)?;
        let Some(last) = page.last() else { break };
        let text = |column| last.text(column).unwrap_or_default().to_owned();
        after = Some((text("id"), text("_home")));
        for row in &page {
            match format {
                Format::Ndjson => {
                    let fields = fields(client.schema(), view.fields(Some(row)), row);
                    writeln!(out, "{}", Json::Object(fields))?;
                }
                Format::Csv => {
                    let fields = fields(client.schema(), view.fields(None), row);
                    let cells: Vec<Option<String>> = fields.values().map(value::to_cell).collect();
                    writeln!(out, "{}", record(&cells))?;
                }
            }
        }
        rows += page.len() as u64;
        progress.show(|| format!("writing: {rows} of {all} rows"));
    }
    out.flush()?;
    progress.clear();
    Ok(rows)
}

fn fields<'k>(
    schema: &Schema,
    fields: impl Iterator<Item = &'k Field>,
    row: &Row,
) -> Map<String, Json> {
    let field = |f: &Field| {
        let json = row.get(&f.name).map_or(Json::Null, |column| value::show(schema, f, column));
        (f.name.clone(), json)
    };
    fields.map(field).collect()
}

fn record(cells: &[Option<String>]) -> String {
    let mut line = String::new();
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        cells::quote(&mut line, cell.as_deref());
    }
    line
}
