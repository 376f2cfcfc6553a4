//! `landfall replay text`: a recorded editing history, through real devices.
//!
//! Each author is a device at another region, with an editor open on one shared note. An edit is
//! made to what its author saw: before each, the author's editor takes in exactly the edits that
//! the recording names as its parents, which have come by way of outboxes, regions and
//! subscriptions. Everything else is as in an app. Each recorded transaction is one of the device,
//! unless several edits are asked to be committed together, as an editor does that writes once per
//! frame or pause; the report says how many.

use super::csv::read_maybe_gzip;
use crate::terminal::Progress;
use crate::world::{World, WorldOptions};
use anyhow::{Context, bail};
use landfall_device::{Client, TextEditor, TextVersion, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// The schema that traces are replayed on.
pub(crate) const SCHEMA: &str = r#"
type Note @entity(strategy: CRDT, scope: "notes") { id: ID!  body: Text }
"#;

/// A trace: sequential (no parents, one author) or concurrent.
#[derive(Debug, Deserialize)]
pub(crate) struct Trace {
    #[serde(rename = "startContent", default)]
    start_content: String,
    #[serde(rename = "endContent")]
    end_content: String,
    #[serde(rename = "numAgents", default = "one")]
    authors: usize,
    txns: Vec<Txn>,
}

#[derive(Debug, Deserialize)]
struct Txn {
    #[serde(default)]
    agent: usize,
    /// Absent in sequential traces: the one before.
    parents: Option<Vec<usize>>,
    /// Position, deleted, inserted; in code points.
    patches: Vec<(usize, usize, String)>,
}

impl Trace {
    /// One author who types so many keys, and takes back every tenth.
    pub(crate) fn typed(keys: usize) -> Self {
        let mut text: Vec<char> = Vec::new();
        let mut txns = Vec::with_capacity(keys);
        for n in 0..keys {
            // Most at the end, now and then somewhere before it.
            let random = landfall_model::hash::hash64(&n.to_be_bytes()) as usize;
            let at = if n % 50 == 49 { random % (text.len() + 1) } else { text.len() };
            let patch = if n % 10 == 9 && at > 0 {
                text.remove(at - 1);
                (at - 1, 1, String::new())
            } else {
                let key = if random.is_multiple_of(6) {
                    ' '
                } else {
                    (b'a' + (random % 26) as u8) as char
                };
                text.insert(at, key);
                (at, 0, key.to_string())
            };
            txns.push(Txn { agent: 0, parents: None, patches: vec![patch] });
        }
        let end_content = text.into_iter().collect();
        Self { start_content: String::new(), end_content, authors: 1, txns }
    }

    pub(crate) fn start_content(&self) -> &str {
        &self.start_content
    }

    pub(crate) fn end_content(&self) -> &str {
        &self.end_content
    }

    /// All edits in the recording's order, which is that of one author: position, deleted, inserted.
    pub(crate) fn patches(&self) -> impl Iterator<Item = &(usize, usize, String)> {
        self.txns.iter().flat_map(|txn| &txn.patches)
    }
}

fn one() -> usize {
    1
}

/// What a replay prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub edits: usize,
    /// Transactions of the devices: each is on the device's disk, and in its tables, by itself.
    pub commits: usize,
    /// Recorded transactions of one author that were committed together, at most.
    pub edits_per_commit: usize,
    /// At every device and region.
    pub matches_end_content: bool,
    pub devices: usize,
    pub regions: usize,
    pub seconds: f64,
    pub edits_per_second: f64,
    /// Between devices and regions, and between regions.
    pub bytes_on_wire: u64,
    /// The document in a region's store.
    pub stored_bytes: u64,
}

/// How long to wait for one author's edits to reach another, and for the end.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);
const SETTLE_MAX: Duration = Duration::from_secs(600);

const NOTE: &str = "note";

pub(crate) fn read(path: &Path) -> anyhow::Result<Trace> {
    let bytes = read_maybe_gzip(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The library's message points at line and column.
    let trace: Trace =
        serde_json::from_slice(&bytes).with_context(|| format!("in {}", path.display()))?;
    for (i, txn) in trace.txns.iter().enumerate() {
        let parents_known = txn.parents.iter().flatten().all(|p| *p < i);
        if txn.agent >= trace.authors || !parents_known {
            bail!(
                "{}: transaction {i} names an author or a parent that is not there",
                path.display()
            );
        }
    }
    Ok(trace)
}

pub(crate) async fn run(
    trace: &Trace,
    options: WorldOptions,
    edits_per_commit: usize,
    quiet: bool,
) -> anyhow::Result<Report> {
    let mut world = World::start(options).await?;
    let started = Instant::now();
    let clients = open_devices(&world, trace)?;
    let typed = || type_all(trace, &clients, edits_per_commit, quiet);
    let (edits, commits) = tokio::task::block_in_place(typed)?;
    for client in &clients {
        tokio::task::block_in_place(|| client.settle(SETTLE_MAX))?;
    }
    world.wait_until_equal(SETTLE_MAX, |_| {}).await?;
    for client in &clients {
        wait_for_end(client, &trace.end_content)?;
    }
    let seconds = started.elapsed().as_secs_f64();

    // A device that has seen nothing, at each region: what it reads is what the region holds.
    let mut matches = clients.iter().all(|c| text_of(c) == trace.end_content);
    for region in 0..world.len() {
        let fresh = world.device(&format!("reader-{region}"), region)?;
        fresh.subscribe("notes")?;
        tokio::task::block_in_place(|| fresh.settle(SETTLE_MAX))?;
        matches &= text_of(&fresh) == trace.end_content;
        fresh.close()?;
    }
    let bytes_on_wire = world.front_bytes() + world.link_bytes();
    clients.iter().try_for_each(Client::close)?;
    let (devices, regions) = (clients.len(), world.len());
    world.stop().await;
    Ok(Report {
        edits,
        commits,
        edits_per_commit,
        matches_end_content: matches,
        devices,
        regions,
        seconds,
        edits_per_second: edits as f64 / seconds,
        bytes_on_wire,
        stored_bytes: world.stored_text_bytes(0)?,
    })
}

/// One device per author, each with its own region nearest; the note is made by the first.
fn open_devices(world: &World, trace: &Trace) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for author in 0..trace.authors {
        let client = world.device(&format!("author-{author}"), author % world.len())?;
        client.subscribe("notes")?;
        clients.push(client);
    }
    let first = &clients[0];
    let mut note = first.transaction().upsert("Note", NOTE, [] as [(&str, Value); 0]);
    if !trace.start_content.is_empty() {
        note = note.splice("Note", NOTE, "body", 0, 0, &trace.start_content);
    }
    note.commit()?;
    for client in &clients[1..] {
        tokio::task::block_in_place(|| arrives(client))?;
    }
    Ok(clients)
}

/// Wait until the note is here.
fn arrives(client: &Client) -> anyhow::Result<()> {
    let started = Instant::now();
    while client.get("Note", NOTE)?.is_none() {
        anyhow::ensure!(started.elapsed() < ARRIVAL_MAX, "the note did not arrive");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Make every recorded edit, each on top of its parents. Returns how many there were, and in how
/// many transactions they were committed.
fn type_all(
    trace: &Trace,
    clients: &[Client],
    edits_per_commit: usize,
    quiet: bool,
) -> anyhow::Result<(usize, usize)> {
    let mut progress = Progress::new(quiet);
    let mut editors: Vec<TextEditor> =
        clients.iter().map(|c| c.text("Note", NOTE, "body")).collect::<Result<_, _>>()?;
    let start = editors[0].version();
    let mut versions: Vec<TextVersion> = Vec::with_capacity(trace.txns.len());
    let (mut edits, mut commits) = (0, 0);
    // Recorded transactions that are typed and not committed, all of one author.
    let mut gathered = 0;
    for (i, txn) in trace.txns.iter().enumerate() {
        let editor = &mut editors[txn.agent];
        let mut seen = start.clone();
        match &txn.parents {
            Some(parents) => parents.iter().for_each(|p| seen.join(&versions[*p])),
            None => versions.last().into_iter().for_each(|v| seen.join(v)),
        }
        editor
            .pull_to(&seen, ARRIVAL_MAX)
            .with_context(|| format!("the parents of transaction {i} did not arrive"))?;
        for (at, deleted, inserted) in &txn.patches {
            editor.splice(*at, *deleted, inserted)?;
        }
        edits += txn.patches.len();
        gathered += 1;
        // Another author may wait for it.
        let goes_on = trace.txns.get(i + 1).is_some_and(|next| next.agent == txn.agent);
        if gathered == edits_per_commit || !goes_on {
            commits += usize::from(editor.commit()?.is_some());
            gathered = 0;
        }
        versions.push(editor.version());
        progress.show(|| format!("{i} of {} transactions", trace.txns.len()));
    }
    progress.clear();
    Ok((edits, commits))
}

/// The last edits of others arrive by the subscription, behind the outbox.
fn wait_for_end(client: &Client, end: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    while text_of(client) != end && started.elapsed() < ARRIVAL_MAX {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The note as the device's table shows it.
fn text_of(client: &Client) -> String {
    let note = client.get("Note", NOTE).ok().flatten();
    note.and_then(|row| row.text("body").map(str::to_owned)).unwrap_or_default()
}
