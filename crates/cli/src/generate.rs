//! `landfall generate`: typed classes for an app, from its schema.

mod kotlin;

use crate::exit::Exit;
use crate::terminal;
use anyhow::Context;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write Kotlin: a class per type, and a client with a table for each
    Kotlin(Kotlin),
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

pub(crate) fn run(Command::Kotlin(args): Command) -> anyhow::Result<Exit> {
    let (schema, source) = crate::schema::load_with_text(&args.schema)?;
    let client = args.client.unwrap_or_else(|| kotlin::client_of(&args.package));
    let text = match kotlin::file(&schema, &source, &args.package, &client) {
        Ok(text) => text,
        Err(clash) => {
            terminal::note(clash);
            return Ok(Exit::No);
        }
    };
    let folder = args.package.split('.').fold(args.out, |dir, word| dir.join(word));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{client}.kt"));
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    terminal::say(path.display());
    Ok(Exit::Done)
}
