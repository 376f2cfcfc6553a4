//! `landfall schema check`: every fault of a schema, with its place and what to write instead.

mod render;

use crate::exit::Exit;
use crate::terminal;
use anyhow::Context;
use landfall_model::schema::{Schema, compile};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check a schema; every error with its place and what to write instead
    Check(Check),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The schema (GraphQL SDL)
    file: PathBuf,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(Command::Check(args): Command) -> anyhow::Result<Exit> {
    let source = read(&args.file)?;
    let path = args.file.display().to_string();
    let compiled = compile(&source);
    let diagnostics = compiled.as_ref().err().map(Vec::as_slice).unwrap_or_default();
    if args.json {
        terminal::say(render::json(&path, &source, diagnostics));
    } else if let Ok(schema) = &compiled {
        let (types, local): (Vec<_>, Vec<_>) = schema.types.values().partition(|t| !t.local);
        let locals =
            if local.is_empty() { String::new() } else { format!(", {} local", local.len()) };
        terminal::say(format!("{path}: {} entity types{locals}, no errors", types.len()));
    } else {
        terminal::say(render::text(&path, &source, diagnostics, terminal::stdout_colour()));
    }
    Ok(Exit::yes(compiled.is_ok()))
}

/// A schema for a command that needs one; its faults are told as `schema check` tells them.
pub(crate) fn load(path: &Path) -> anyhow::Result<Schema> {
    load_with_text(path).map(|(schema, _)| schema)
}

/// The same, with its text.
pub(crate) fn load_with_text(path: &Path) -> anyhow::Result<(Schema, String)> {
    let source = read(path)?;
    let schema = compile(&source).map_err(|diagnostics| {
        let name = path.display().to_string();
        terminal::note(render::text(&name, &source, &diagnostics, false));
        crate::fault::new(crate::fault::code::SCHEMA, format!("{name} has errors"))
    })?;
    Ok((schema, source))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
