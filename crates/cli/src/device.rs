//! `landfall device`: a phone in a terminal, on the world that `landfall dev` runs.
//!
//! Two terminals are two phones: each name has a SQLite file of its own, which stays, and goes on
//! from where it was. With a command it does that and ends; without one there is a prompt, that
//! also tells what comes in. Everything is done through the SDK, as an app would.

pub(crate) mod command;
mod help;
mod prompt;
pub(crate) mod scope;
pub(crate) mod show;
mod store;
pub(crate) mod value;

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use crate::world::{Description, WallClock, dev_token};
use anyhow::Context;
pub(crate) use command::put;
use command::{Command, Done, Phone};
use landfall_device::{
    Account, Client, ConnectionState, Fate, FixedToken, Options, RegionUrl, WriteReceipt,
};
use landfall_region::world::Clock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(after_help = command::HELP)]
pub(crate) struct Args {
    /// The phone's name, and its user's
    name: String,
    /// What to do; without it there is a prompt
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    /// Where `landfall dev` keeps its files
    #[arg(long, default_value = ".landfall")]
    dir: PathBuf,
    /// The region to go to first, by name
    #[arg(long)]
    region: Option<String>,
    /// A home scope that the user may read and write; a name, or a prefix that ends in `*`. May be
    /// repeated
    #[arg(long = "scope", default_value = "*")]
    scopes: Vec<String>,
    /// An audience that the user may read. May be repeated
    #[arg(long = "audience", default_value = "*")]
    audiences: Vec<String>,
    /// Begin without a network
    #[arg(long)]
    offline: bool,
    /// Rows and answers as JSON, one object per line
    #[arg(long)]
    json: bool,
}

/// How long a single command waits for the regions, before it reads and after it wrote.
const WAIT: Duration = Duration::from_secs(5);

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    let single = match (!args.command.is_empty()).then(|| Command::parse(&args.command)) {
        Some(Err(wrong)) => {
            terminal::note(format!("{wrong}\n\n{}", command::HELP));
            return Ok(Exit::Wrong);
        }
        Some(Ok(command)) => Some(command),
        None => None,
    };
    let client = open(&Opening {
        name: &args.name,
        dir: &args.dir,
        region: args.region.as_deref(),
        scopes: &args.scopes,
        audiences: &args.audiences,
        publishes: false,
        offline: args.offline,
    })?;
    let phone = Phone { client: client.clone(), name: args.name.clone(), json: args.json };
    let exit = match single {
        Some(command) => once(&phone, command, args.offline),
        None => prompt::run(&phone),
    };
    client.close()?;
    exit.map_err(told)
}

/// The SDK's errors say all there is to say; what is behind them says it again.
pub(crate) fn told(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<landfall_device::Error>() {
        Some(known) => anyhow::anyhow!("{known}"),
        None => error,
    }
}

/// Which phone to open, and for whom.
pub(crate) struct Opening<'a> {
    pub name: &'a str,
    pub dir: &'a Path,
    pub region: Option<&'a str>,
    pub scopes: &'a [String],
    pub audiences: &'a [String],
    /// It writes shared types, as an operator's tool may.
    pub publishes: bool,
    pub offline: bool,
}

/// Open a phone of a world; its file is made if it is not there.
pub(crate) fn open(opening: &Opening<'_>) -> anyhow::Result<Client> {
    let Opening { name, dir, .. } = *opening;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        let message = format!("a phone's name has letters, digits, - and _, unlike `{name}`");
        return Err(fault::new(code::ARGUMENTS, message));
    }
    let world = Description::read(dir)?;
    let schema = landfall_model::schema::compile(&world.schema).map_err(|_| {
        fault::new(code::NO_WORLD, "that world's schema has errors; start it again")
    })?;
    let devices = dir.join("devices");
    std::fs::create_dir_all(&devices)
        .with_context(|| format!("cannot make {}", devices.display()))?;
    let account = Account { tenant: String::new(), subject: name.to_owned() };
    let path = devices.join(format!("{name}.db"));
    let mut options = Options::new(path, Arc::new(schema), account);
    let expires_ms = WallClock.now_ms() + 86_400_000;
    let all = ["*".to_owned()];
    let published = if opening.publishes { &all[..] } else { &[] };
    let token = dev_token(dir, name, (opening.scopes, opening.audiences, published), expires_ms)?;
    options.publishes = opening.publishes;
    options.tokens = Arc::new(FixedToken(token));
    options.network.start_offline = opening.offline;
    options.regions = regions(&world, opening.region)?;
    Ok(Client::open(options)?)
}

/// The regions of the world, the preferred one first.
fn regions(world: &Description, first: Option<&str>) -> anyhow::Result<Vec<RegionUrl>> {
    let mut regions: Vec<RegionUrl> =
        world.regions.iter().map(|r| RegionUrl::new(&*r.name, &*r.url)).collect();
    if let Some(first) = first {
        let names: Vec<&str> = world.regions.iter().map(|r| &*r.name).collect();
        let at = names.iter().position(|n| *n == first);
        let at = at.ok_or_else(|| {
            let names = names.join(", ");
            let message = format!("there is no region `{first}`; the regions are {names}");
            fault::new(code::UNKNOWN_NAME, message)
        })?;
        regions.rotate_left(at);
    }
    Ok(regions)
}

/// One command, with what the regions have before it and what they say after it.
fn once(phone: &Phone, command: Command, offline: bool) -> anyhow::Result<Exit> {
    let client = &phone.client;
    if command.reads() && !offline && !(connected(client) && client.settle(WAIT).is_ok()) {
        terminal::note(format!("{}; this is what the phone has", why_not(client)));
    }
    let done = phone.run(command, Arc::new(terminal::say_plain))?;
    let exit = match done {
        Done::Nothing => Exit::No,
        Done::Subscribed(scope) => {
            if !offline && client.settle(WAIT).is_err() {
                terminal::note(format!("{}; the rows come when one does", why_not(client)));
            }
            match client.progress(&scope)?.and_then(|progress| progress.missing.denied) {
                Some(code) => {
                    terminal::say_plain(format!("denied ({code})"));
                    Exit::No
                }
                None => Exit::Done,
            }
        }
        Done::Wrote(receipt) => wrote(phone, &receipt, offline)?,
        Done::Watching(_watch) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    () = crate::dev::wait_for_interrupt() => {}
                    () = terminal::reader_gone() => {}
                }
            });
            Exit::Done
        }
        Done::Shown | Done::Leave => Exit::Done,
    };
    Ok(exit)
}

/// What a put says that has nothing to do.
const NO_CHANGE: &str = "nothing to change";

/// What the regions say of a write, as far as they do within the time.
fn wrote(phone: &Phone, receipt: &WriteReceipt, offline: bool) -> anyhow::Result<Exit> {
    let client = &phone.client;
    if receipt.dots.is_empty() {
        let json = || serde_json::json!({ "fate": "unchanged" }).to_string();
        terminal::say(if phone.json { json() } else { NO_CHANGE.to_owned() });
        return Ok(Exit::Done);
    }
    if !offline && client.settle(WAIT).is_err() {
        terminal::note(format!("{}; the next run sends it", why_not(client)));
    }
    let outcomes = client.outcomes()?;
    let mut exit = Exit::Done;
    for dot in &receipt.dots {
        let fate = client.fate(*dot)?;
        let refused = outcomes.iter().find(|o| o.dot == *dot);
        let refused = refused.filter(|_| matches!(fate, Fate::Rejected { .. }));
        exit = if refused.is_some() { Exit::No } else { exit };
        terminal::say_plain(match refused {
            Some(o) => show::refused(client, &o.key, &o.outcome, phone.json),
            None => show::fate(&fate, phone.json),
        });
    }
    Ok(exit)
}

/// Wait until it shows whether a region is there.
fn connected(client: &Client) -> bool {
    let until = std::time::Instant::now() + WAIT;
    loop {
        match client.connection() {
            ConnectionState::Online { .. } => return true,
            ConnectionState::Standby | ConnectionState::Waiting { .. } => return false,
            ConnectionState::Offline | ConnectionState::Connecting { .. } => {}
        }
        if std::time::Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn why_not(client: &Client) -> &'static str {
    match client.connection() {
        ConnectionState::Offline => "the phone is offline",
        ConnectionState::Standby => "another process syncs this phone",
        ConnectionState::Online { .. } => "the region did not say all within 5 s",
        _ => "no region answered within 5 s (is `landfall dev` running?)",
    }
}
