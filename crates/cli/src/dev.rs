//! `landfall dev`: a world on this machine to try things on.
//!
//! Three regions with their own files, the distance between them from a named table, a status page,
//! and a few phones at work on the example app. Everything listens on loopback. Ctrl-C ends it
//! cleanly; the files stay, and the next run goes on from them.

mod page;
mod phones;

use crate::exit::Exit;
use crate::terminal;
use crate::world::{Wan, World, WorldOptions};
use anyhow::Context;
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
    /// Phones that work on the example app
    #[arg(long, default_value_t = 4)]
    phones: usize,
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
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot make {}", args.dir.display()))?;
    let world = World::start(WorldOptions {
        schema: Arc::new(schema),
        regions: REGIONS,
        dir: args.dir.clone(),
        wan: args.wan,
        port: if args.port == 0 { 0 } else { args.port + 1 },
        processes: None,
    })
    .await?;
    let token = world.token("dev", &["*"], &["*"])?;
    let phones = if args.no_phones || args.schema.is_some() { 0 } else { args.phones };
    let fleet = phones::Fleet::start(&world, phones)?;
    let world = Arc::new(Mutex::new(world));
    let page = page::serve(args.port, world.clone(), fleet.status()).await?;
    world.lock().await.describe(&page, text).write(&args.dir)?;
    announce(&*world.lock().await, &page, &token, phones, args.json);

    match args.seconds {
        Some(s) => tokio::time::sleep(std::time::Duration::from_secs(s)).await,
        None => wait_for_interrupt().await,
    }
    terminal::note("\nstopping: phones, then regions");
    fleet.stop().await;
    world.lock().await.stop().await;
    terminal::note(format!("stopped; the files stay in {}", args.dir.display()));
    Ok(Exit::Done)
}

fn announce(world: &World, page: &str, token: &str, phones: usize, json: bool) {
    if json {
        let regions: Vec<_> = (0..world.len())
            .map(|i| json!({ "name": world.name(i), "url": world.url(i) }))
            .collect();
        terminal::say(json!({ "page": page, "regions": regions, "token": token }));
        return;
    }
    let colour = terminal::stdout_colour();
    let bold = |text: &str| terminal::bold(text, colour);
    terminal::say(format!("\n  {}  {page}\n", bold("status page")));
    for i in 0..world.len() {
        terminal::say(format!("  {:<12} {}", world.name(i), world.url(i)));
    }
    terminal::say(format!("\n  a token that may do everything, for 30 days:\n  {token}\n"));
    let at_work = match phones {
        0 => "no phones at work".to_owned(),
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
