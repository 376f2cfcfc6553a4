//! `landfall bench`: figures that anybody can measure again, each printed with the machine and
//! the commit that it comes from.
//!
//! A benchmark builds a world of its own from real devices and regions, and says with its exit
//! code whether what it measures has the shape that is promised. It never judges a time.

mod bootstrap;
mod cost;
mod failover;
mod idle;
mod live_query;
mod machine;
mod metadata;
mod propagation;
mod push;
mod replication;
mod report;
mod stage;
mod store;
mod text;
mod wire_session;

use crate::exit::Exit;
use crate::replay::Place;
use crate::terminal;
use machine::Machine;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// What work costs, in counts and bytes: commits per push, encodings per change, bytes of a
    /// reconnect
    Cost(Cost),
    /// Durable ops a second into one region, from devices that come online with full outboxes
    Ingest(Ingest),
    /// How long the writes of one device that was offline take to be durable at a region
    Push(Push),
    /// From a write on one device, by way of a region, to the row on another
    Propagation(Propagation),
    /// Rows a second into a fresh device, memory on both sides, and what a killed one fetches again
    Bootstrap(Bootstrap),
    /// What a device does by itself: writes, opening, and a live query on many rows
    LiveQuery(LiveQuery),
    /// Sessions that wait on one region, what each costs it, and a change that all of them hear
    Idle(Idle),
    /// How fast a region that was away catches up with its peer, which serves devices meanwhile
    Replication(Replication),
    /// From a write to its ack, when a device's region falls silent, hangs up or drains
    Failover(Failover),
    /// Typing: a commit per key, and a hundred keys a commit
    Text(Text),
    /// What is kept of entities and devices beside their values, after ten times the history
    Metadata(Metadata),
    /// What `bootstrap` runs as a device of its own
    #[command(hide = true)]
    Fetch(Fetch),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cost {
    /// Writes that each device pushes, one after the other
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pushes: u32,
    /// Devices that read one scope
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    subscribers: u16,
    /// Rows of the scope that a device fetches and comes back to
    #[arg(long, default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    rows: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ingest {
    /// Devices that push at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    devices: u16,
    /// Ops in the outbox of each
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ops: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Push {
    /// Writes that were made offline
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    ops: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Propagation {
    /// Writes, each of which waits for the one before to arrive
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    writes: u32,
    /// Then so many a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// for so long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bootstrap {
    /// Rows of the scope
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    rows: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LiveQuery {
    /// Local writes, none of which is ever sent
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    writes: u32,
    /// Rows of the table that the live query reads
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    rows: u32,
    /// Changes a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// For so long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Idle {
    /// Sessions
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Replication {
    /// Ops that are accepted while the peer is away
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    ops: u32,
    /// Ops a second that its region takes while it catches up
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Failover {
    /// How often each of them happens
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Text {
    /// A recorded editing history of one author: JSON, plain or gzip. Without it, keys are made up
    file: Option<PathBuf>,
    /// So many
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Metadata {
    /// Rows
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rows: u32,
    /// How often each is written at first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Fetch {
    #[arg(long)]
    name: String,
    #[arg(long)]
    url: String,
    #[arg(long)]
    file: PathBuf,
    #[arg(long)]
    schema: PathBuf,
}

/// What all benchmarks take.
#[derive(Debug, clap::Args)]
struct Output {
    /// Keep the files in this directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// What a benchmark found.
trait Figures: Serialize {
    /// Whether it has the shape that is promised, where one is.
    fn holds(&self) -> Option<bool>;

    /// For people, line by line.
    fn lines(&self) -> Vec<String>;
}

pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Cost(args) => told(&args.output, |p| runtime.block_on(cost::run(&args, p))),
        Command::Ingest(args) => told(&args.output, |p| runtime.block_on(push::ingest(&args, p))),
        Command::Push(args) => told(&args.output, |p| runtime.block_on(push::push(&args, p))),
        Command::Propagation(args) => {
            told(&args.output, |p| runtime.block_on(propagation::run(&args, p)))
        }
        Command::Bootstrap(args) => {
            told(&args.output, |p| runtime.block_on(bootstrap::run(&args, p)))
        }
        Command::LiveQuery(args) => told(&args.output, |p| live_query::run(&args, p)),
        Command::Idle(args) => told(&args.output, |p| runtime.block_on(idle::run(&args, p))),
        Command::Replication(args) => {
            told(&args.output, |p| runtime.block_on(replication::run(&args, p)))
        }
        Command::Failover(args) => {
            told(&args.output, |p| runtime.block_on(failover::run(&args, p)))
        }
        Command::Text(args) => told(&args.output, |p| runtime.block_on(text::run(&args, p))),
        Command::Metadata(args) => {
            told(&args.output, |p| runtime.block_on(metadata::run(&args, p)))
        }
        Command::Fetch(args) => bootstrap::fetch(&args).map(|()| Exit::Done),
    }
}

/// Run a benchmark, and print its figures under the machine and the commit that they come from.
fn told<F: Figures>(
    output: &Output,
    run: impl FnOnce(&Place) -> anyhow::Result<F>,
) -> anyhow::Result<Exit> {
    let figures = run(&Place::new(output.dir.as_deref())?)?;
    let machine = Machine::of_this_process();
    let holds = figures.holds();
    if output.json {
        let page = serde_json::json!({ "machine": machine, "holds": holds, "figures": figures });
        terminal::say(page);
        return Ok(Exit::yes(holds.unwrap_or(true)));
    }
    machine.lines().into_iter().chain([String::new()]).for_each(terminal::say);
    figures.lines().into_iter().for_each(terminal::say);
    if let Some(holds) = holds {
        terminal::say(if holds { "\nthe shape holds" } else { "\nTHE SHAPE DOES NOT HOLD" });
    }
    Ok(Exit::yes(holds.unwrap_or(true)))
}
