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
use landfall_model::schema::{EntityType, Home};
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
    hold(client, &scopes(client.schema(), &kind, &args.scopes)?)?;
    let mut progress = Progress::new(args.json);
    if !args.place.offline {
        let told = |_, rows| format!("fetching: {rows} rows are here");
        settle(client, Duration::from_secs(args.place.wait), &mut progress, told)?;
    }
    match &args.out {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            match write(client, &kind, format, &mut out, &mut progress) {
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
            let rows = write(client, &kind, format, &mut out, &mut progress)?;
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

fn write(
    client: &Client,
    kind: &EntityType,
    format: Format,
    out: &mut impl Write,
    progress: &mut Progress,
) -> anyhow::Result<u64> {
    let all = store::count(client, kind)?;
    let mut rows = 0;
    let mut after: Option<(String, String)> = None;
    if format == Format::Csv {
        let names: Vec<Option<String>> = kind.fields.iter().map(|f| Some(f.name.clone())).collect();
        writeln!(out, "{}", record(&names))?;
    }
    loop {
        let place = after.as_ref().map(|(id, home)| (id.as_str(), home.as_str()));
        let page = store::page(client, kind, place)?;
        let Some(last) = page.last() else { break };
        let text = |column| last.text(column).unwrap_or_default().to_owned();
        after = Some((text("id"), text("_home")));
        for row in &page {
            let fields = fields(client.schema(), kind, row);
            match format {
                Format::Ndjson => writeln!(out, "{}", Json::Object(fields))?,
                Format::Csv => {
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

/// Every declared field, in the schema's order.
fn fields(schema: &Schema, kind: &EntityType, row: &Row) -> Map<String, Json> {
    let field = |f: &landfall_model::schema::Field| {
        let json = row.get(&f.name).map_or(Json::Null, |column| value::show(schema, f, column));
        (f.name.clone(), json)
    };
    kind.fields.iter().map(field).collect()
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
