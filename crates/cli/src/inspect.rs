//! `landfall inspect`: what is in a device's file, a support bundle, or a rescue document.
//!
//! For whoever was sent one of them. A file is only read, also where it is damaged: what SQLite
//! cannot read any more, a rescue still looks for. Nothing is asked of any region.

mod show;

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::{schema, terminal};
use anyhow::Context;
use landfall_device::{Rescue, RescueReport, explain, rescue, store};
use landfall_region::world::Clock;
use serde_json::Value as Json;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// A device's file, a support bundle, or a rescue document
    file: PathBuf,
    /// Say why an entity shows in a device's file, or does not
    #[arg(long, num_args = 2, value_names = ["TYPE", "ID"])]
    explain: Option<Vec<String>>,
    /// The app's schema, for what `--explain` says of audiences and fields
    #[arg(long, requires = "explain")]
    schema: Option<PathBuf>,
    /// Save the unsettled writes of a device's file, damaged or not, as a document that an app
    /// takes into another file
    #[arg(long, value_name = "OUT", conflicts_with = "explain")]
    rescue: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
A device's file must not be open in an app while it is inspected: copy it first, with its -wal.
A device's file and a rescue document have the user's data in them; a support bundle has none.

Exit codes: 0 it is sound, 1 it is damaged or something of it could not be read, 2 wrong arguments,
3 it cannot be read, or it is something else.";

/// What a file is.
enum Kind {
    Device,
    Bundle(Json),
    Rescue,
    /// Nothing that says what it is; a device's file may have lost its head.
    Unknown,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let kind = kind(&args.file)?;
    let of_device = matches!(kind, Kind::Device | Kind::Unknown);
    if !of_device && (args.explain.is_some() || args.rescue.is_some()) {
        let message = "--explain and --rescue take a device's file";
        return Err(fault::new(code::ARGUMENTS, message));
    }
    if let Some(out) = &args.rescue {
        return save(args, out);
    }
    match kind {
        Kind::Bundle(bundle) => {
            say(args, || bundle.clone(), || show::bundle(&bundle));
            Ok(Exit::Done)
        }
        Kind::Rescue => {
            let rescue = Rescue::load(&args.file)?;
            let report = rescue.report();
            let account = rescue.account();
            say(args, || show::rescue_json(account, &report), || show::rescue(account, &report));
            Ok(Exit::yes(report.is_whole()))
        }
        Kind::Device => match &args.explain {
            Some(words) => explain_row(args, &words[0], &words[1]),
            None => device(args),
        },
        Kind::Unknown => match rescued(&args.file)? {
            Some(report) => {
                tell_damaged(args, "its head is destroyed, or it never was a device's", &report);
                Ok(Exit::No)
            }
            None => Err(nothing_known(&args.file)),
        },
    }
}

/// One JSON object; or text, in which what others wrote is spelled already, between headings that may be
/// bold.
fn say(args: &Args, json: impl FnOnce() -> Json, text: impl FnOnce() -> String) {
    match args.json {
        true => terminal::say_plain(json().to_string()),
        false => terminal::say(text()),
    }
}

fn kind(path: &Path) -> anyhow::Result<Kind> {
    let cannot = || format!("cannot read {}", path.display());
    let mut head = [0; 16];
    let mut file = std::fs::File::open(path).with_context(cannot)?;
    let read = file.read(&mut head).with_context(cannot)?;
    if head.starts_with(b"SQLite format 3\0") {
        return Ok(Kind::Device);
    }
    if head[..read].first() != Some(&b'{') {
        return Ok(Kind::Unknown);
    }
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    let first = text.lines().next().unwrap_or_default();
    let head: Json = serde_json::from_str(first).unwrap_or_default();
    if head.get("landfall_rescue").is_some() {
        return Ok(Kind::Rescue);
    }
    match serde_json::from_str::<Json>(&text) {
        Ok(bundle) if bundle.get("landfall_support").is_some() => Ok(Kind::Bundle(bundle)),
        _ => Err(nothing_known(path)),
    }
}

fn device(args: &Args) -> anyhow::Result<Exit> {
    let inspection = match store::inspect::inspect(&args.file) {
        Ok(inspection) => inspection,
        Err(store::OpenError::Store(store::Error::Damaged(fault))) => {
            let report = rescue(&args.file)?.report();
            tell_damaged(args, &fault, &report);
            return Ok(Exit::No);
        }
        Err(error) => return Err(sdk(error)),
    };
    say(args, || show::device_json(&inspection), || show::device(&args.file, &inspection));
    Ok(Exit::yes(inspection.faults.is_empty()))
}

fn explain_row(args: &Args, kind: &str, id: &str) -> anyhow::Result<Exit> {
    let schema = args.schema.as_deref().map(schema::load).transpose()?;
    let now_ms = crate::world::WallClock.now_ms();
    let found = explain::of_file(&args.file, schema.as_ref(), kind, id, now_ms)?;
    terminal::say_plain(if args.json { found.to_json().to_string() } else { found.to_string() });
    if schema.is_none() {
        terminal::note("with --schema FILE it also names audiences and fields");
    }
    Ok(Exit::Done)
}

fn save(args: &Args, out: &Path) -> anyhow::Result<Exit> {
    let rescued = rescue(&args.file)?;
    let report = rescued.report();
    rescued.save(out)?;
    let account = rescued.account();
    say(args, || show::rescue_json(account, &report), || show::rescue(account, &report));
    terminal::note(format!("saved as {}; it has the user's data in it", out.display()));
    Ok(Exit::yes(report.is_whole()))
}

/// What a rescue would find in a file that says nothing of itself; `None` if that is nothing.
fn rescued(path: &Path) -> anyhow::Result<Option<RescueReport>> {
    let report = rescue(path)?.report();
    let found = report.unsent + report.sent + report.safe + report.refused + report.outcomes;
    Ok((found > 0).then_some(report))
}

fn tell_damaged(args: &Args, fault: &str, report: &RescueReport) {
    if args.json {
        let mut json = show::rescue_json(None, report);
        json["fault"] = fault.into();
        return terminal::say_plain(json.to_string());
    }
    terminal::say(format!("SQLite cannot read this file: {}\n", terminal::one_line(fault)));
    terminal::say(show::rescue(None, report));
    terminal::note("--rescue OUT saves what can be read");
}

/// A file's errors have codes and say what to do.
fn sdk(error: store::OpenError) -> anyhow::Error {
    landfall_device::OpenError::from(error).into()
}

fn nothing_known(path: &Path) -> anyhow::Error {
    let message =
        format!("{} is no device's file, no support bundle and no rescue document", path.display());
    fault::new(code::NOTHING_KNOWN, message)
}
