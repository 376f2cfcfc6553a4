//! `landfall bench`: figures that anybody can measure again, each printed with the machine and
//! the commit that it comes from.
//!
//! A benchmark builds a world of its own from real devices and regions, and says with its exit
//! code whether what it measures has the shape that is promised. It never judges a time.

mod cost;
mod machine;

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
    /// It has the shape that is promised.
    fn holds(&self) -> bool;

    /// For people, line by line.
    fn lines(&self) -> Vec<String>;
}

pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Cost(args) => {
            let place = Place::new(args.output.dir.as_deref())?;
            let figures = runtime.block_on(cost::run(&args, &place))?;
            print(&figures, args.output.json)
        }
    }
}

/// Figures, under the machine and the commit that they come from.
fn print<F: Figures>(figures: &F, json: bool) -> anyhow::Result<Exit> {
    let machine = Machine::of_this_process();
    let holds = figures.holds();
    if json {
        let page = serde_json::json!({ "machine": machine, "holds": holds, "figures": figures });
        terminal::say(page);
        return Ok(Exit::yes(holds));
    }
    machine.lines().into_iter().chain([String::new()]).for_each(terminal::say);
    figures.lines().into_iter().for_each(terminal::say);
    terminal::say(if holds { "\nthe shape holds" } else { "\nTHE SHAPE DOES NOT HOLD" });
    Ok(Exit::yes(holds))
}
