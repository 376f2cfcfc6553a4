//! `landfall generate`: typed code for an app, from its schema.

mod typescript;

use crate::exit::Exit;
use crate::terminal;
use anyhow::Context;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write TypeScript: what the rows of each type hold, and what can be put into them
    Typescript(Typescript),
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
        Command::Typescript(args) => write_typescript(&args),
    }
}

fn write_typescript(args: &Typescript) -> anyhow::Result<Exit> {
    let (schema, source) = crate::schema::load_with_text(&args.schema)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    let path = args.out.join("schema.ts");
    let text = typescript::file(&schema, &source);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    terminal::say(path.display());
    Ok(Exit::Done)
}
