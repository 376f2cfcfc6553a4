//! A device's process: the SDK on a file of its own, and an app that writes at random.
//!
//! The drill starts it on a configuration, speaks to it on its standard input, a word a line, and is
//! answered on its standard output. When the input closes it ends in order, so it outlives no drill.

use super::history::{self, Entry, Fate, Known};
use super::store;
use super::workload::Workload;
use crate::exit::Exit;
use anyhow::Context;
use landfall_device::store as file;
use landfall_device::{
    Account, Client, Dot, Event, FixedToken, Network, Options, Outcome, RegionUrl, Scope,
};
use landfall_sync::device::store::Store;
use serde::{Deserialize, Serialize};
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the drill wrote for this process
    #[arg(long)]
    config: PathBuf,
}

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    pub subject: String,
    pub file: PathBuf,
    pub history: PathBuf,
    pub token: String,
    /// Names and URLs, the nearest first.
    pub regions: Vec<(String, String)>,
    /// Scopes that the app subscribes at its first start.
    pub wants: Vec<String>,
    /// Of this life's work.
    pub seed: u64,
    pub life: u64,
    /// Between two transactions, in the middle.
    pub pause_ms: u64,
    /// Write nothing.
    pub quiet: bool,
}

/// What a process answers when it is asked how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Writes in the outbox.
    pub outbox: u64,
    /// The outbox is empty, and every scope was heard to its end in the open session.
    pub settled: bool,
    /// Of all rows that regions have confirmed.
    pub digest: String,
    pub connection: String,
    /// Scopes that are not all here, with what is missing.
    pub partial: Vec<String>,
}

/// What the drill says to a process, a line each.
pub(crate) const QUIET: &str = "quiet";
pub(crate) const STATUS: &str = "status";

/// How long a process looks whether it is settled when it is asked.
const SETTLED_WITHIN: Duration = Duration::from_millis(20);

/// What shows is told after one in so many transactions, and each time that a process is asked.
const SHOWS_EVERY: u64 = 4;

/// Own ops read at a time.
const OPS_PER_READ: usize = 1_000;

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(&args.config)
        .with_context(|| format!("cannot read {}", args.config.display()))?;
    let config: Config = serde_json::from_str(&text).context("the drill's configuration")?;
    let workload = Workload::new(&config.subject, config.seed);
    let history = Arc::new(history::Writer::open(&config.history)?);
    let found = match config.file.exists() {
        true => found(&config, &workload)?,
        false => Vec::new(),
    };
    history.tell(Entry::Life { life: config.life, found })?;
    let client = Client::open(options(&config, &workload)).context("the device's file")?;
    let (sender, commands) = channel();
    let mut events = client.events();
    let events = std::iter::from_fn(move || events.next_within(Duration::MAX));
    let listener = listen(events, history.clone(), sender.clone())?;
    hear(sender);
    let mut phone = Phone { quiet: config.quiet, config, workload, history, client, begun: 0 };
    phone.tell_id()?;
    phone.live(&commands)?;
    phone.tell_shows()?;
    phone.client.close().context("closing the device's file")?;
    // With the client its events end.
    listener.join().map_err(|_| anyhow::anyhow!("who writes the history broke down"))??;
    phone.history.tell(Entry::Ends)?;
    Ok(Exit::Done)
}

/// Patience shorter than a phone's, so that in some seconds more happens.
fn network() -> Network {
    Network {
        ready_ms_max: 2_000,
        backoff_ms_max: 1_000,
        dwell_ms: 2_000,
        probe_ms: 500,
        survey_ms: 3_000,
        hedge_percent: 20,
        ..Network::default()
    }
}

fn options(config: &Config, workload: &Workload) -> Options {
    let account = Account { tenant: String::new(), subject: config.subject.clone() };
    let mut options = Options::new(&config.file, workload.app.schema.clone(), account);
    options.tokens = Arc::new(FixedToken(config.token.clone()));
    options.regions = config.regions.iter().map(|(n, u)| RegionUrl::new(n, u)).collect();
    options.network = network();
    options
}

/// Own ops in the file, before anything of this life happens to it.
fn found(config: &Config, workload: &Workload) -> anyhow::Result<Vec<Known>> {
    let ops = file::view(&config.file, &workload.app.schema, |t| {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = t.ops(after, OPS_PER_READ)?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.order;
            all.extend(page.into_iter().map(|own| own.sealed));
        }
    });
    match ops {
        Ok(ops) => Ok(ops.iter().map(|s| Known::new(s.op.dot, Some(s))).collect()),
        // Killed before the file was made.
        Err(file::OpenError::Foreign) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// What the drill says, a line each; `None`: the process is to end.
type Command = Option<String>;

/// Lines of standard input, and its end, on a thread of their own.
fn hear(commands: Sender<Command>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if commands.send(Some(line)).is_err() {
                return;
            }
        }
        // Nobody is there to hear it where the process ends already.
        let _ = commands.send(None);
    });
}

/// What becomes of writes, and of the connection, goes into the history, on a thread of its own. It
/// ends with the events, or with an error; then the process is to end, for an ack that is not in the
/// history is never checked.
fn listen(
    events: impl Iterator<Item = Event> + Send + 'static,
    history: Arc<history::Writer>,
    commands: Sender<Command>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let listen = move || {
        let told = tell_all(events, &history);
        let _ = commands.send(None);
        told
    };
    Ok(std::thread::Builder::new().name("history".to_owned()).spawn(listen)?)
}

fn tell_all(events: impl Iterator<Item = Event>, history: &history::Writer) -> anyhow::Result<()> {
    for event in events {
        if let Event::Missed(count) = event {
            anyhow::bail!("{count} events came faster than the history was written");
        }
        entry(event).map(|entry| history.tell(entry)).transpose()?;
    }
    Ok(())
}

fn entry(event: Event) -> Option<Entry> {
    use landfall_device::Fate as Told;
    Some(match event {
        Event::Fate { dot, fate, .. } => {
            let (fate, code) = match fate {
                Told::Accepted { durable: false } => (Fate::Accepted, None),
                Told::Accepted { durable: true } => (Fate::Durable, None),
                Told::Rejected { reason, .. } => (Fate::Rejected, Some(reason)),
                Told::Pending { .. } | Told::Unknown => return None,
            };
            Entry::Fate { dot: dot.to_string(), fate, code }
        }
        Event::Outcome { dot, outcome, .. } => {
            let outcome = match outcome {
                Outcome::Rejected { code, .. } => format!("rejected: {code}"),
                other => format!("{other:?}"),
            };
            Entry::Outcome { dot: dot.to_string(), outcome }
        }
        Event::Connection(state) => Entry::Connection { state: format!("{state:?}") },
        _ => return None,
    })
}

struct Phone {
    config: Config,
    workload: Workload,
    history: Arc<history::Writer>,
    client: Client,
    quiet: bool,
    /// Transactions of this life.
    begun: u64,
}

impl Phone {
    /// Until the drill closes the input, or the history cannot be written.
    fn live(&mut self, commands: &Receiver<Command>) -> anyhow::Result<()> {
        let known = self.client.subscriptions()?;
        for scope in self.config.wants.clone() {
            // A later life follows what the file says.
            if self.config.life == 0 || known.is_empty() {
                self.subscribe(&scope)?;
            }
        }
        loop {
            let pause = match self.quiet {
                true => Duration::from_secs(3_600),
                false => {
                    let most = 2 * self.config.pause_ms;
                    Duration::from_millis(self.workload.random.below(most))
                }
            };
            match commands.recv_timeout(pause) {
                Ok(Some(word)) if word == QUIET => self.quiet = true,
                Ok(Some(_)) => self.answer()?,
                Err(RecvTimeoutError::Timeout) if self.quiet => {}
                Err(RecvTimeoutError::Timeout) => self.act()?,
                Ok(None) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        let settled = self.client.settle(SETTLED_WITHIN).is_ok();
        let outbox = self.client.outbox_status()?;
        let partial = self.client.subscriptions()?.into_iter().filter(|p| !p.complete());
        let status = Status {
            outbox: outbox.pending + outbox.accepted,
            settled,
            digest: self.client.digest()?,
            connection: format!("{:?}", self.client.connection()),
            partial: partial.map(|p| format!("{}: {:?}", p.scope, p.missing)).collect(),
        };
        crate::terminal::say(serde_json::to_string(&status)?);
        self.tell_shows()
    }

    fn act(&mut self) -> anyhow::Result<()> {
        if self.workload.chance(25) {
            return self.change_subscription();
        }
        let edits = self.workload.next(&self.client)?;
        if edits.is_empty() {
            return Ok(());
        }
        self.begun += 1;
        let n = self.begun;
        self.history.tell(Entry::Begins { n, edits: format!("{edits:?}") })?;
        match self.client.write(&edits) {
            Ok(receipt) => {
                let ops = self.told(&receipt.dots)?;
                self.history.tell(Entry::Wrote { n, ops })?;
            }
            Err(error) => {
                let (code, message) = (error.code().to_owned(), error.message().to_owned());
                self.history.tell(Entry::Refused { n, code, message })?;
            }
        }
        if n.is_multiple_of(SHOWS_EVERY) { self.tell_shows() } else { Ok(()) }
    }

    /// The ops as they are in the file.
    fn told(&self, dots: &[Dot]) -> anyhow::Result<Vec<Known>> {
        if dots.is_empty() {
            return Ok(Vec::new());
        }
        let ops = file::view(&self.config.file, &self.workload.app.schema, |t| {
            dots.iter().map(|dot| t.op(*dot)).collect::<Result<Vec<_>, _>>()
        })?;
        let known = |(dot, own): (&Dot, &Option<landfall_sync::device::store::OwnOp>)| {
            Known::new(*dot, own.as_ref().map(|own| &own.sealed))
        };
        Ok(dots.iter().zip(&ops).map(known).collect())
    }

    fn change_subscription(&mut self) -> anyhow::Result<()> {
        let wants = &self.config.wants;
        let scope = wants[self.workload.random.below(wants.len() as u64) as usize].clone();
        let known = self.client.subscriptions()?;
        if known.iter().any(|p| *p.scope == *scope) {
            self.history.tell(Entry::LetsGo { scope: scope.clone() })?;
            self.client.unsubscribe(&scope)?;
            return Ok(());
        }
        self.subscribe(&Scope::from(scope))
    }

    fn subscribe(&mut self, scope: &str) -> anyhow::Result<()> {
        self.history.tell(Entry::Subscribes { scope: scope.to_owned() })?;
        Ok(self.client.subscribe(scope)?)
    }

    fn tell_id(&self) -> anyhow::Result<()> {
        let meta = file::view(&self.config.file, &self.workload.app.schema, |t| t.meta())?;
        let device = meta.map(|m| m.device.to_string()).unwrap_or_default();
        self.history.tell(Entry::Id { device })
    }

    fn tell_shows(&self) -> anyhow::Result<()> {
        let tallies = store::tallies(&self.client)?;
        self.history.tell(Entry::Shows { tallies, rows: store::row_count(&self.client)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_device::ConnectionState;
    use std::path::Path;

    fn listened(path: &Path, event: Event) -> (anyhow::Result<()>, Command) {
        let history = Arc::new(history::Writer::open(path).expect("a file"));
        let (sender, commands) = channel();
        let listener = listen([event].into_iter(), history, sender).expect("a thread");
        let told = listener.join().expect("it returns");
        (told, commands.recv().expect("it was told to end"))
    }

    #[test]
    fn an_event_that_is_not_written_down_ends_the_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        let offline = || Event::Connection(ConnectionState::Offline);
        let (told, command) = listened(&path, offline());
        told.expect("it was written down, and the events ended");
        assert_eq!(command, None);
        let (told, command) = listened(&path, Event::Missed(3));
        assert!(told.is_err() && command.is_none());
        if cfg!(target_os = "linux") {
            // A file that takes nothing.
            let (told, command) = listened(Path::new("/dev/full"), offline());
            assert!(told.is_err() && command.is_none());
        }
    }
}
