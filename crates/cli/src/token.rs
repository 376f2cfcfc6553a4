//! `landfall token`: a development token, signed with the key of a data directory.

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use crate::world::{WallClock, dev_token};
use landfall_region::world::Clock;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory that holds `dev.key`
    #[arg(long, default_value = ".landfall")]
    dir: PathBuf,
    /// Who the token is for
    #[arg(long)]
    subject: String,
    /// A home scope to read and write; a name, or a prefix that ends in `*`. May be repeated
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// An audience to read. May be repeated
    #[arg(long = "audience")]
    audiences: Vec<String>,
    /// A shared scope to write, for who publishes it. May be repeated
    #[arg(long = "publish")]
    publishes: Vec<String>,
    /// Days until it expires
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    days: i64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    check(args)?;
    let expires_ms = WallClock.now_ms() + args.days.saturating_mul(86_400_000);
    let rights = (&*args.scopes, &*args.audiences, &*args.publishes);
    terminal::say(dev_token(&args.dir, &args.subject, rights, expires_ms)?);
    Ok(Exit::Done)
}

/// A token that nobody or nothing stands in would be refused by every region, later and elsewhere.
fn check(args: &Args) -> anyhow::Result<()> {
    let wrong = |message: &str| Err(fault::new(code::ARGUMENTS, message));
    if args.subject.trim().is_empty() {
        return wrong("--subject is empty; it says who the token is for: `--subject anna`");
    }
    let mut all = args.scopes.iter().chain(&args.audiences).chain(&args.publishes).peekable();
    let none = all.peek().is_none();
    if all.any(|name| name.trim().is_empty()) {
        return wrong("--scope, --audience or --publish is empty; `--scope '*'` stands for all");
    }
    if none {
        return wrong("this token could do nothing; name --scope or --audience, as `--scope '*'`");
    }
    Ok(())
}
