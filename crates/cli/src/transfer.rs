//! `landfall import` and `landfall export`: rows of one type, from a file and into one.
//!
//! Both are a device of the world in `--dir`, and do everything through the SDK, as an app would:
//! an import is writes in a phone's file that are pushed like any others, an export reads what a
//! phone holds. So access, conflicts and refusals are the same as everywhere. docs/transfer.md says
//! how values are spelled and what is guaranteed.

mod cells;
mod export;
mod import;
mod journal;
mod lines;
mod store;
pub(crate) mod value;

pub(crate) use export::{Args as Export, run as run_export};
pub(crate) use import::{Args as Import, run as run_import};

use crate::device::Opening;
use crate::fault::{self, code};
use crate::terminal::Progress;
use landfall_device::{Client, Schema};
use landfall_model::schema::EntityType;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How rows are written in a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// One JSON object per line
    Ndjson,
    /// Comma-separated, with a line of field names first
    Csv,
}

/// Which world, and as whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Where `landfall dev` keeps its files
    #[arg(long, default_value = ".landfall")]
    dir: PathBuf,
    /// The region to go to first, by name
    #[arg(long)]
    region: Option<String>,
    /// Use no network: work with what the device's file has
    #[arg(long)]
    offline: bool,
    /// How many seconds to wait for the regions while nothing moves
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    wait: u64,
}

impl Place {
    /// Imports write shared types, too: they are how such rows come into a world.
    fn open(&self, name: &str, publishes: bool) -> anyhow::Result<Client> {
        let all = ["*".to_owned()];
        crate::device::open(&Opening {
            name,
            dir: &self.dir,
            region: self.region.as_deref(),
            scopes: &all,
            audiences: &all,
            publishes,
            offline: self.offline,
        })
    }
}

impl Format {
    /// As told, or by the file's ending.
    fn of(told: Option<Self>, path: Option<&Path>) -> anyhow::Result<Self> {
        let ending = path.and_then(Path::extension).and_then(|e| e.to_str());
        match (told, ending) {
            (Some(format), _) => Ok(format),
            (None, Some("csv")) => Ok(Self::Csv),
            (None, Some("ndjson" | "jsonl")) => Ok(Self::Ndjson),
            (None, None) if path.is_none() => Ok(Self::Ndjson),
            _ => {
                let message = "the file's name does not end in .csv or .ndjson; say --format";
                Err(fault::new(code::ARGUMENTS, message))
            }
        }
    }
}

/// The type with this name.
fn kind(schema: &Schema, name: &str) -> anyhow::Result<Arc<EntityType>> {
    let synced = schema.types.values().filter(|t| !t.local);
    let known: Vec<&str> = synced.clone().map(|t| &*t.name).collect();
    synced.clone().find(|t| t.name == name).cloned().ok_or_else(|| {
        let message = format!("the schema has no type `{name}`; it has {}", known.join(", "));
        fault::new(code::UNKNOWN_NAME, message)
    })
}

/// Wait until the outbox is empty and every subscription was heard to its end, for as long as
/// something moves.
fn settle(
    client: &Client,
    wait: Duration,
    progress: &mut Progress,
    told: impl Fn(u64, u64) -> String,
) -> anyhow::Result<()> {
    let mut last = (u64::MAX, u64::MAX);
    let mut moved = Instant::now();
    loop {
        if client.settle(Duration::from_millis(200)).is_ok() {
            progress.clear();
            return Ok(());
        }
        let outbox = client.outbox_status()?;
        let rows = client.subscriptions()?.iter().map(|s| s.rows).sum();
        let now = (outbox.pending + outbox.accepted, rows);
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        progress.show(|| told(now.0, now.1));
        if moved.elapsed() >= wait {
            progress.clear();
            let message = format!(
                "{}; what is written stays on the device, and the next run goes on",
                crate::device::why_not(client)
            );
            return Err(fault::new(code::NO_REGION, message));
        }
    }
}
