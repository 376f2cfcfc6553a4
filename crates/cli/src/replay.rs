//! `landfall replay`: real data, sent through real devices, regions and back.

mod csv;
mod retail;
mod text;

use crate::exit::Exit;
use crate::terminal;
use crate::world::{Wan, WorldOptions};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use text::{Trace, read as read_trace};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Order lines of the UCI Online Retail format, written by tills in many countries
    Retail(Retail),
    /// A recorded editing history, each author a device at another region
    Text(Text),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Retail {
    /// The file: CSV, plain or gzip
    file: PathBuf,
    /// Regions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    regions: u8,
    /// Devices
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    devices: u16,
    /// Kill, cut and lose things, as this seed draws them
    #[arg(long, value_name = "SEED")]
    faults: Option<u64>,
    /// Each region a process of its own, which faults end with SIGKILL
    #[arg(long)]
    processes: bool,
    /// Keep the files in this directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Text {
    /// The trace: JSON, plain or gzip
    file: PathBuf,
    /// Regions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    regions: u8,
    /// Recorded edits of one author to commit together, as an editor does that writes once per frame
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    edits_per_commit: u16,
    /// Keep the files in this directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// The example shop, which replays of orders and benchmarks run on.
pub(crate) const SHOP: &str = include_str!("../../../examples/shop/schema.graphql");

pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Retail(args) => runtime.block_on(run_retail(args)),
        Command::Text(args) => runtime.block_on(run_text(args)),
    }
}

async fn run_retail(args: Retail) -> anyhow::Result<Exit> {
    let lines = csv::read(&args.file)?;
    let place = Place::new(args.dir.as_deref())?;
    let mut options = world(&place, SHOP, args.regions)?;
    options.processes = args.processes.then(|| SHOP.to_owned());
    let report = retail::run(&lines, options, args.devices.into(), args.faults, args.json).await?;
    let ok = report.converged;
    print(&report, args.json)?;
    Ok(Exit::yes(ok))
}

async fn run_text(args: Text) -> anyhow::Result<Exit> {
    let trace = text::read(&args.file)?;
    let place = Place::new(args.dir.as_deref())?;
    let options = world(&place, text::SCHEMA, args.regions)?;
    let report = text::run(&trace, options, args.edits_per_commit.into(), args.json).await?;
    let ok = report.matches_end_content;
    print(&report, args.json)?;
    Ok(Exit::yes(ok))
}

fn world(place: &Place, sdl: &str, regions: u8) -> anyhow::Result<WorldOptions> {
    let schema = landfall_model::schema::compile(sdl)
        .map_err(|d| anyhow::anyhow!("the replay's own schema: {}", d[0].message))?;
    Ok(WorldOptions {
        schema: Arc::new(schema),
        regions: regions.into(),
        dir: place.path().to_owned(),
        wan: Wan::None,
        port: 0,
        processes: None,
        logs: false,
    })
}

/// Where the files go: a directory that stays, or one that goes with the process.
pub(crate) enum Place {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Place {
    pub(crate) fn new(dir: Option<&Path>) -> anyhow::Result<Self> {
        let Some(dir) = dir else { return Ok(Self::Temporary(tempfile::tempdir()?)) };
        let empty = match std::fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(_) => true,
        };
        anyhow::ensure!(empty, "{} is not empty; this starts from nothing", dir.display());
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self::Kept(dir.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

/// A report as JSON, or as a list of names and values.
fn print(report: &impl serde::Serialize, json: bool) -> anyhow::Result<()> {
    let value = serde_json::to_value(report)?;
    if json {
        terminal::say(value);
        return Ok(());
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(s) => terminal::say(format!("{name:<20} {s}")),
            serde_json::Value::Object(parts) => {
                let part = |(k, v): (&String, &serde_json::Value)| match v.as_f64() {
                    Some(n) => format!("{k} {n:.2}"),
                    None => format!("{k} {v}"),
                };
                let parts: Vec<String> = parts.iter().map(part).collect();
                terminal::say(format!("{name:<20} {}", parts.join(", ")));
            }
            serde_json::Value::Array(items) => {
                terminal::say(format!("{name:<20} {}", items.len()));
                for item in items {
                    terminal::say(format!("  {}", item.as_str().unwrap_or_default()));
                }
            }
            value if value.is_f64() => {
                terminal::say(format!("{name:<20} {:.2}", value.as_f64().unwrap_or_default()));
            }
            value => terminal::say(format!("{name:<20} {value}")),
        }
    }
    Ok(())
}
