//! `landfall dev`: a world on this machine to try things on.
//!
//! Three regions with their own files, the distance between them from a named table, a status page,
//! and a few phones at work on the example app. Everything listens on loopback. Ctrl-C ends it
//! cleanly; the files stay, and the next run goes on from them.

mod board;
mod explain;
mod feed;
mod next;
mod page;
mod phones;
mod store;

use crate::exit::Exit;
use crate::terminal;
use crate::world::{Wan, World, WorldOptions};
use board::Board;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app's schema; the example shop if not given
    #[arg(long)]
    schema: Option<PathBuf>,
    /// Where the regions and phones keep their files
    #[arg(long, default_value = ".landfall")]
    dir: PathBuf,
    /// How far apart the regions are
    #[arg(long, value_enum, default_value_t = Wan::World)]
    wan: Wan,
    /// The page's port; the regions take the next ones. 0: whatever is free
    #[arg(long, default_value_t = 7400, value_parser = clap::value_parser!(u16).range(..=65_532))]
    port: u16,
    /// Phones that work on the example app (4 if not given); a schema of your own has none
    #[arg(long, conflicts_with_all = ["schema", "no_phones"],
          value_parser = clap::value_parser!(u16).range(1..=100))]
    phones: Option<u16>,
    /// No phones
    #[arg(long)]
    no_phones: bool,
    /// Print what was started as one JSON object
    #[arg(long)]
    json: bool,
    /// End by itself after so many seconds
    #[arg(long, hide = true)]
    seconds: Option<u64>,
}

/// Phones at work if nothing is said of them.
const PHONES: u16 = 4;

/// Regions of a dev world.
const REGIONS: usize = 3;

const SHOP: &str = include_str!("../../../examples/shop/schema.graphql");

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run_async(args))
}

async fn run_async(args: Args) -> anyhow::Result<Exit> {
    let (schema, text) = match &args.schema {
        Some(path) => crate::schema::load_with_text(path)?,
        None => {
            let schema = landfall_model::schema::compile(SHOP)
                .map_err(|d| anyhow::anyhow!("the example's schema: {}", d[0].message))?;
            (schema, SHOP.to_owned())
        }
    };
    let schema = Arc::new(schema);
    // The page's port comes before anything that leaves files.
    let listener = page::bind(args.port).await?;
    let world = World::start(WorldOptions {
        schema: schema.clone(),
        regions: REGIONS,
        dir: args.dir.clone(),
        wan: args.wan,
        port: if args.port == 0 { 0 } else { args.port + 1 },
        processes: None,
        logs: false,
    })
    .await?;
    let token = world.token("dev", &["*"], &["*"])?;
    let none = args.no_phones || args.schema.is_some();
    let phones = if none { 0 } else { args.phones.unwrap_or(PHONES).into() };
    let fleet = phones::Fleet::start(&world, phones)?;
    let world = Arc::new(Mutex::new(world));
    let board = Board::new(world.clone(), schema.clone(), &args.dir, fleet.clients());
    let board = Arc::new(board);
    let page = page::serve(listener, board.clone())?;
    world.lock().await.describe(&page, text).write(&args.dir)?;
    let started = Started { page, token, phones, next: next::commands(&schema, &args.dir) };
    announce(&*world.lock().await, &started, args.json);

    match args.seconds {
        Some(s) => tokio::time::sleep(std::time::Duration::from_secs(s)).await,
        None => wait_for_interrupt().await,
    }
    terminal::note("\nstopping: phones, then regions");
    let mut clean = fleet.stop().await;
    clean &= tokio::task::block_in_place(|| board.close());
    clean &= world.lock().await.stop().await;
    terminal::note(format!("stopped; the files stay in {}", args.dir.display()));
    if !clean {
        terminal::note(
            "not all of them were closed in order; the next start goes on from what is safe",
        );
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// What there is to tell of a world that runs.
struct Started {
    page: String,
    token: String,
    phones: usize,
    /// Commands to go on with.
    next: Vec<String>,
}

fn announce(world: &World, started: &Started, json: bool) {
    let Started { page, token, phones, next } = started;
    if json {
        let regions: Vec<_> = (0..world.len())
            .map(|i| json!({ "name": world.name(i), "url": world.url(i) }))
            .collect();
        terminal::say(json!({ "page": page, "regions": regions, "token": token, "next": next }));
        return;
    }
    let colour = terminal::stdout_colour();
    let bold = |text: &str| terminal::bold(text, colour);
    terminal::say(format!("\n  {}  {page}\n", bold("status page")));
    for i in 0..world.len() {
        terminal::say(format!("  {:<12} {}", world.name(i), world.url(i)));
    }
    terminal::say(format!("\n  a token that may do everything, for 30 days:\n  {token}\n"));
    if !next.is_empty() {
        terminal::say(format!("  {}", bold("two phones, in another terminal:")));
        next.iter().for_each(|command| terminal::say(format!("  {command}")));
        terminal::say("  without a command, `landfall device NAME` is a prompt\n");
    }
    let at_work = match phones {
        0 => "no phones at work".to_owned(),
        1 => "1 phone at work on the example shop".to_owned(),
        n => format!("{n} phones at work on the example shop"),
    };
    terminal::say(format!("  {at_work}; Ctrl-C ends it\n"));
}

/// Ctrl-C, or the signal that service managers send.
pub(crate) async fn wait_for_interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(t) => {
                t.recv().await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
