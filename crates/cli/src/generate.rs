//! `landfall generate`: typed code for an app, from its schema.

mod kotlin;
mod swift;
mod typescript;
mod walk;

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use anyhow::Context;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write Kotlin: a class per type, and a client with a table for each
    Kotlin(Kotlin),
    /// Write Swift: a structure per type, and a client with a table for each
    Swift(Swift),
    /// Write TypeScript: what the rows of each type hold, and what can be put into them
    Typescript(Typescript),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Kotlin {
    /// The schema (GraphQL SDL)
    schema: PathBuf,
    /// The package of what is written, as com.example.shop
    #[arg(long, value_parser = kotlin::package)]
    package: String,
    /// The directory for sources; the package's folders are made below it
    #[arg(long)]
    out: PathBuf,
    /// The client's class; the last word of the package, capitalised, if not given
    #[arg(long, value_parser = kotlin::class)]
    client: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Swift {
    /// The schema (GraphQL SDL)
    schema: PathBuf,
    /// The directory for the file, which is called as the client's class
    #[arg(long)]
    out: PathBuf,
    /// The client's class
    #[arg(long, value_parser = kotlin::class, default_value = "Database")]
    client: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Typescript {
    /// The schema (GraphQL SDL)
    schema: PathBuf,
    /// The directory for `schema.ts`
    #[arg(long)]
    out: PathBuf,
}

pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Kotlin(args) => write_kotlin(args),
        Command::Swift(args) => write_swift(&args),
        Command::Typescript(args) => write_typescript(&args),
    }
}

fn write_kotlin(args: Kotlin) -> anyhow::Result<Exit> {
    let (schema, source) = crate::schema::load_with_text(&args.schema)?;
    let client = args.client.unwrap_or_else(|| kotlin::client_of(&args.package));
    let text = match kotlin::file(&schema, &source, &args.package, &client) {
        Ok(text) => text,
        Err(clash) => {
            terminal::error(&fault::new(code::NAME_CLASH, clash));
            return Ok(Exit::No);
        }
    };
    let folder = args.package.split('.').fold(args.out, |dir, word| dir.join(word));
    write(&folder, &format!("{client}.kt"), &text)
}

fn write_swift(args: &Swift) -> anyhow::Result<Exit> {
    let (schema, source) = crate::schema::load_with_text(&args.schema)?;
    match swift::file(&schema, &source, &args.client) {
        Ok(text) => write(&args.out, &format!("{}.swift", args.client), &text),
        Err(clash) => {
            terminal::error(&fault::new(code::NAME_CLASH, clash));
            Ok(Exit::No)
        }
    }
}

fn write_typescript(args: &Typescript) -> anyhow::Result<Exit> {
    let (schema, source) = crate::schema::load_with_text(&args.schema)?;
    write(&args.out, "schema.ts", &typescript::file(&schema, &source))
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    terminal::say(path.display());
    Ok(Exit::Done)
}
