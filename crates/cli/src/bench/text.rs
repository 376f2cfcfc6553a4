//! `landfall bench text`: typing on a device, a commit per key and a hundred keys a commit, beside what
//! bare SQLite and bare Loro take for the same.

use super::report::Report;
use super::stage::{LIST, Stage, drained};
use super::{Text, store};
use crate::replay::{Place, Trace};
use crate::terminal::Progress;
use anyhow::ensure;
use landfall_device::{Client, TextEditor, Value};
use loro::{ExportMode, LoroDoc};
use std::path::Path;
use std::time::{Duration, Instant};

/// Keys of one commit, where several are gathered.
const GATHERED: usize = 100;

/// How a device's own file is made durable: before anything leaves it, and not with each commit.
const SYNCHRONOUS: &str = "NORMAL";

/// What typing without Landfall came to.
struct Bare {
    took: Duration,
    /// All updates, and the document they make.
    updates: usize,
    snapshot: usize,
}

pub(super) async fn run(args: &Text, place: &Place) -> anyhow::Result<Report> {
    let mut progress = Progress::new(args.output.json);
    let trace = match &args.file {
        Some(file) => crate::replay::read_trace(file)?,
        None => Trace::typed(args.keys as usize),
    };
    let keys = trace.patches().count();
    let mut stage = Stage::new(place, 1).await?;
    let beside = stage.beside("bare")?;
    progress.show(|| format!("{keys} keys, a commit each"));
    let commits = store::commits(&beside, keys as u32, SYNCHRONOUS)?;
    let alone = stage.offline("alone", 0)?;
    let one = type_all(&alone, &trace, 1)?;
    alone.close_async().await?;
    progress.show(|| format!("{keys} keys, {GATHERED} a commit"));
    let bare = bare(&beside, &trace)?;
    let typist = stage.offline("typist", 0)?;
    let gathered = type_all(&typist, &trace, GATHERED)?;
    progress.show(|| "and to the region".to_owned());
    let (sent, before) = (typist.traffic().up(), Instant::now());
    typist.go_online();
    drained(std::slice::from_ref(&typist)).await?;
    let (sent, pushing) = (typist.traffic().up() - sent, before.elapsed());
    progress.clear();
    typist.close_async().await?;
    stage.world.stop_region(0).await;
    let stored = stage.world.stored_text_bytes(0)? as f64;

    let mut report = Report::new(format!("{keys} keys of one document"));
    let per_second = keys as f64 / one.as_secs_f64();
    let limit = ("bare SQLite, a row a commit", commits.per_second());
    report.add_beside("a commit per key", per_second, "keys/s", limit);
    let limit = ("bare Loro and bare SQLite", bare.took.as_secs_f64());
    let what = format!("{GATHERED} keys a commit");
    report.add_beside(what, gathered.as_secs_f64(), "s", limit);
    // With the session's own frames, and after compression: what the device's network carries.
    let updates = ("Loro's updates, uncompressed", bare.updates as f64);
    report.add_beside("sent to the region, compressed", sent as f64, "bytes", updates);
    let snapshot = ("Loro's snapshot", bare.snapshot as f64);
    report.add_beside("stored at the region", stored, "bytes", snapshot);
    report.add("until the region had all", pushing.as_secs_f64(), "s");
    Ok(report)
}

fn type_all(client: &Client, trace: &Trace, gathered: usize) -> anyhow::Result<Duration> {
    let fields = [("list", Value::text(LIST))];
    client.transaction().upsert("Document", "document", fields).commit()?;
    let mut editor: TextEditor = client.text("Document", "document", "body")?;
    editor.splice(0, 0, trace.start_content())?;
    let began = Instant::now();
    for (n, (at, deleted, inserted)) in (1..).zip(trace.patches()) {
        editor.splice(*at, *deleted, inserted)?;
        if n % gathered == 0 {
            editor.commit()?;
        }
    }
    editor.commit()?;
    let took = began.elapsed();
    let row = client.get("Document", "document")?;
    let body = row.as_ref().and_then(|r| r.text("body")).unwrap_or_default();
    ensure!(body == trace.end_content(), "the text is not what the trace says");
    Ok(took)
}

/// The same edits in a Loro document; what each commit adds goes into bare SQLite.
fn bare(dir: &Path, trace: &Trace) -> anyhow::Result<Bare> {
    let document = LoroDoc::new();
    let text = document.get_text("text");
    text.insert(0, trace.start_content())?;
    let mut log = store::Log::open(dir, "bare-text.db", SYNCHRONOUS)?;
    let began = Instant::now();
    let mut known = document.oplog_vv();
    let mut updates = 0;
    let mut write = |known: &mut loro::VersionVector| -> anyhow::Result<()> {
        document.commit();
        let update = document.export(ExportMode::updates(known))?;
        *known = document.oplog_vv();
        updates += update.len();
        log.append(&update)
    };
    for (n, (at, deleted, inserted)) in (1..).zip(trace.patches()) {
        text.delete(*at, *deleted)?;
        text.insert(*at, inserted)?;
        if n % GATHERED == 0 {
            write(&mut known)?;
        }
    }
    write(&mut known)?;
    let took = began.elapsed();
    let snapshot = document.export(ExportMode::Snapshot)?.len();
    Ok(Bare { took, updates, snapshot })
}
