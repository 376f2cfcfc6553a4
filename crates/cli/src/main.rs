//! The one binary of Landfall. Only here are arguments, the environment and configuration files
//! read. One file per subcommand.
//!
//! Data goes to standard output, everything else to standard error. [`exit`] has the exit codes.

mod bench;
mod dev;
mod device;
mod directory;
mod drill;
mod exit;
mod fault;
mod generate;
mod inspect;
mod new;
mod region;
mod replay;
mod schema;
mod sim;
mod terminal;
mod token;
mod transfer;
mod world;

use clap::{Parser, Subcommand};
use exit::Exit;

/// A region makes and drops many small things for each op.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An offline-first, multi-region backend for mobile apps.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project: a schema to start from, and an app in Rust that runs on it
    New(new::Args),
    /// Run three regions on this machine, with a status page and a few phones at work
    Dev(dev::Args),
    /// A phone in this terminal, on the world that `landfall dev` runs
    Device(device::Args),
    /// Write the rows of a file, NDJSON or CSV, as a device of that world
    Import(transfer::Import),
    /// Print or save a type's rows, as NDJSON or CSV, as a device of that world holds them
    Export(transfer::Export),
    /// Say what is in a device's file, a support bundle or a rescue document; rescue its writes
    Inspect(inspect::Args),
    /// The list of regions that devices are given, signed
    Directory(directory::Args),
    /// Run one region
    Region(region::Args),
    /// Check a schema
    #[command(subcommand)]
    Schema(schema::Command),
    /// Write typed code for an app, from its schema
    #[command(subcommand)]
    Generate(generate::Command),
    /// Run simulated worlds, each from one seed, and check what must hold
    Sim(sim::Args),
    /// Run real processes under faults drawn from a seed, and check what must hold
    Drill(drill::Args),
    /// What a drill starts
    #[command(subcommand, hide = true)]
    DrillPart(drill::Part),
    /// Send real data through devices, regions and back, and print what arrived
    #[command(subcommand)]
    Replay(replay::Command),
    /// Measure, and print the figures with the machine and the commit
    #[command(subcommand)]
    Bench(bench::Command),
    /// Print a development token for a region's data directory
    Token(token::Args),
}

fn main() -> std::process::ExitCode {
    terminal::start_logging();
    let exit = match Cli::parse().command {
        Command::New(args) => new::run(&args),
        Command::Dev(args) => dev::run(args),
        Command::Device(args) => device::run(args),
        Command::Import(args) => transfer::run_import(&args),
        Command::Export(args) => transfer::run_export(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Directory(args) => directory::run(args),
        Command::Region(args) => region::run(args),
        Command::Schema(command) => schema::run(command),
        Command::Generate(command) => generate::run(command),
        Command::Sim(args) => sim::run(&args),
        Command::Drill(args) => drill::run(&args),
        Command::DrillPart(part) => drill::run_part(&part),
        Command::Replay(command) => replay::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Token(args) => token::run(&args),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            terminal::error(&error);
            Exit::of(&error).into()
        }
    }
}
