//! `landfall import`: a file's rows, written as a device of the world.
//!
//! Rows are taken in transactions of some hundreds, each marked in a journal before ([`journal`]):
//! an import that is killed goes on where it stopped, and no row is taken twice. Before a row is
//! written, the device fetches its scope, so that what is there already is changed and not added
//! to: a field gets the value in the file, a counter the difference to it, a set and a text what
//! they lack. What does not differ is not written.
//!
//! A row that cannot be taken is told with its place, kept in a file of rejects with its reason,
//! and stops no other.

mod apply;
mod summary;

use super::journal::{Journal, Mark, Resume, Tally};
use super::lines::{At, Lines, Record};
use super::{Format, Place, kind, settle, store};
use crate::device::scope;
use crate::exit::Exit;
use crate::fault::code;
use crate::terminal::{self, Progress};
use anyhow::Context;
use apply::{Importer, Rejects};
use landfall_device::Client;
use landfall_model::hex;
use landfall_model::schema::EntityType;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use summary::Summary;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The type
    kind: String,
    /// The file: NDJSON, or CSV with a line of field names first
    file: PathBuf,
    /// As told, else by the file's ending
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// A scope to fetch before anything is written, for children whose parents are in it. May be
    /// repeated
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// Where rows that are not taken go, with their reasons; FILE.rejects.ndjson if not given
    #[arg(long)]
    rejects: Option<PathBuf>,
    /// Take a file anew that was imported before
    #[arg(long)]
    again: bool,
    /// The device's name: its file and the journal stay in the world's directory
    #[arg(long = "as", default_value = "import")]
    name: String,
    #[command(flatten)]
    place: Place,
    /// A summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Rows of one transaction, and the bytes of the file that they come from.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: u64 = 1 << 20;

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let format = Format::of(args.format, Some(&args.file))?;
    let client = args.place.open(&args.name, true)?;
    let done = import(args, format, &client);
    client.close()?;
    let summary = done.map_err(crate::device::told)?;
    summary.tell(args.json);
    Ok(Exit::yes(summary.all_taken()))
}

fn import(args: &Args, format: Format, client: &Client) -> anyhow::Result<Summary> {
    let kind = kind(client.schema(), &args.kind)?;
    args.scopes.iter().try_for_each(|scope| scope::check(client.schema(), scope))?;
    let mut progress = Progress::new(args.json);
    let (hash, bytes) = fingerprint(&args.file, &kind, &mut progress)?;
    let dir = args.place.dir.join("devices");
    let (device, seq) = store::last_write(client)?;
    let (journal, resume) = Journal::open(&dir, &args.name, &hash, (&device, seq), args.again)?;
    let tally = match resume {
        Resume::Start => Tally { at: At { offset: 0, line: 1 }, ..Tally::default() },
        Resume::At(tally) | Resume::Done(tally) => tally,
    };
    let mut summary = Summary::new(args, &tally, resume);
    if !matches!(resume, Resume::Done(_)) {
        let path = args.rejects.clone().unwrap_or_else(|| rejects_of(&args.file));
        let rejects = Rejects::open(path, tally.rejects_bytes)?;
        let lines = Lines::open(&args.file, format, &kind, Some(tally.at))?;
        let mut importer =
            Importer { client, kind: &kind, journal, rejects, tally, told: 0, quiet: args.json };
        fetch(client, args, &args.scopes, &mut progress)?;
        let mut run = Run { args, lines, bytes, progress, held: BTreeSet::new() };
        run.all(&mut importer)?;
        summary.tally = importer.tally;
        progress = run.progress;
    }
    if !args.place.offline {
        let told = |left, _| format!("sending: {left} writes are not in two regions yet");
        settle(client, Duration::from_secs(args.place.wait), &mut progress, told)?;
    }
    summary.add_fates(client, &kind)?;
    Ok(summary)
}

/// One run over a file.
struct Run<'a> {
    args: &'a Args,
    lines: Lines<'a>,
    bytes: u64,
    progress: Progress,
    /// Scopes that were fetched for rows of this file.
    held: BTreeSet<String>,
}

/// A session takes at most 1000 subscriptions; with so many, those of before are let go of.
const SCOPES_MAX: usize = 800;

impl Run<'_> {
    fn all(&mut self, importer: &mut Importer<'_>) -> anyhow::Result<()> {
        let mut next = None;
        loop {
            let batch = self.batch(&mut next)?;
            if batch.is_empty() {
                break;
            }
            self.fetch_scopes(importer, &batch)?;
            importer.apply(&self.lines, &batch)?;
            let (tally, offset, bytes) = (importer.tally, self.lines.offset(), self.bytes.max(1));
            self.progress.show(|| {
                let percent = offset * 100 / bytes;
                format!("{percent} %: {} rows, {} rejected", tally.rows, tally.rejected)
            });
        }
        self.progress.clear();
        importer.finish()
    }

    /// Records up to the size of a transaction; one that names an id again begins the next.
    fn batch(&mut self, next: &mut Option<Record>) -> anyhow::Result<Vec<Record>> {
        let (mut batch, mut ids) = (Vec::new(), BTreeSet::new());
        let mut bytes = 0;
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let read = match next.take() {
                Some(record) => Some(record),
                None => self.lines.next()?,
            };
            let Some(record) = read else { break };
            let id = record.fields.as_ref().ok().and_then(|f| f.get("id")?.as_str());
            if id.is_some_and(|id| !ids.insert(id.to_owned())) {
                *next = Some(record);
                break;
            }
            bytes += record.raw.len() as u64;
            batch.push(record);
        }
        Ok(batch)
    }

    /// Fetch the home scopes of rows that are about to be written.
    fn fetch_scopes(&mut self, importer: &Importer<'_>, batch: &[Record]) -> anyhow::Result<()> {
        if self.args.place.offline {
            return Ok(());
        }
        let scopes: BTreeSet<String> =
            batch.iter().filter_map(|record| importer.home(record)).collect();
        let new: Vec<String> = scopes.difference(&self.held).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let client = importer.client;
        if self.held.len() + new.len() > SCOPES_MAX {
            for scope in std::mem::take(&mut self.held) {
                client.unsubscribe(&scope)?;
            }
        }
        fetch(client, self.args, &new, &mut self.progress)?;
        self.held.extend(new);
        Ok(())
    }
}

fn fetch(
    client: &Client,
    args: &Args,
    scopes: &[String],
    progress: &mut Progress,
) -> anyhow::Result<()> {
    for scope in scopes {
        client.subscribe(scope)?;
    }
    if scopes.is_empty() || args.place.offline {
        return Ok(());
    }
    let told = |_, rows| format!("fetching what is there: {rows} rows");
    settle(client, Duration::from_secs(args.place.wait), progress, told)
}

fn rejects_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".rejects.ndjson");
    name.into()
}

/// A hash of the file's content and of the type that it is read as; and its length.
fn fingerprint(
    path: &Path,
    kind: &EntityType,
    progress: &mut Progress,
) -> anyhow::Result<(String, u64)> {
    let failed = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(failed)?;
    let mut hash = Sha256::new();
    hash.update(kind.id.0.to_be_bytes());
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        let read = file.read(&mut buffer).with_context(failed)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
        progress.show(|| format!("reading {}: {} MB", path.display(), bytes >> 20));
    }
    progress.clear();
    Ok((hex::encode(&hash.finalize()[..16]), bytes))
}
