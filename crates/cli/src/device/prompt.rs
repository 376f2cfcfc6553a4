//! The prompt: a line, what it comes to, and meanwhile what the regions say. Where standard input is
//! no terminal, its lines are a script.

use super::command::{Command, Done, HELP, Phone, Printer, connection};
use super::{NO_CHANGE, show};
use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use landfall_device::{Dot, Event, Fate, Outcome, WatchHandle, WriteOutcome};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use std::io::{BufRead, IsTerminal};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a file of commands, at its end, waits for the regions.
const SETTLE: Duration = Duration::from_secs(10);

/// How often the thread that tells of events looks whether the prompt has ended.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn run(phone: &Phone) -> anyhow::Result<Exit> {
    if std::io::stdin().is_terminal() { interactive(phone) } else { script(phone) }
}

/// Lines of standard input, as from a file. The first that fails ends it, with the exit code that it
/// would have alone; what came before it is done, and is sent. Lines do not wait for regions: what those
/// refuse is told at the end, each with its line, and the answer is no.
fn script(phone: &Phone) -> anyhow::Result<Exit> {
    let (mut asked, mut watches) = (Asked::default(), Vec::new());
    let ended = lines(phone, &mut asked, &mut watches);
    if phone.client.settle(SETTLE).is_err() {
        terminal::note(format!("{}; the next run goes on", connection(&phone.client.connection())));
    }
    drop(watches);
    let refused = asked.tell_refused(phone);
    // What failed first says more than what failed by it.
    ended?;
    Ok(Exit::yes(!refused?))
}

/// What a script asked of the regions, each with the number of its line.
#[derive(Default)]
struct Asked {
    writes: Vec<(usize, Dot)>,
    scopes: Vec<(usize, String)>,
}

fn lines(phone: &Phone, asked: &mut Asked, watches: &mut Vec<WatchHandle>) -> anyhow::Result<()> {
    let say: Printer = Arc::new(terminal::say_plain);
    for (number, line) in (1..).zip(std::io::stdin().lock().lines()) {
        let line = line?;
        let place = || format!("standard input, line {number}");
        let wrong = |wrong| fault::new(code::ARGUMENTS, wrong).context(place());
        let Some(command) = parse(&line).map_err(wrong)? else { continue };
        let done = phone.run(command, say.clone());
        match done.map_err(|error| super::told(error).context(place()))? {
            Done::Wrote(receipt) => {
                asked.writes.extend(receipt.dots.into_iter().map(|dot| (number, dot)));
            }
            Done::Subscribed(scope) => asked.scopes.push((number, scope)),
            Done::Watching(handles) => *watches = handles,
            Done::Leave => break,
            // That a row is not here, or not yet, is an answer as good as another.
            Done::Shown | Done::Nothing => {}
        }
    }
    Ok(())
}

impl Asked {
    /// True if the regions refused something of it, as far as they have answered.
    fn tell_refused(&self, phone: &Phone) -> anyhow::Result<bool> {
        let client = &phone.client;
        let mut refused = false;
        let mut tell = |line: usize, what: String| {
            refused = true;
            terminal::note(terminal::one_line(&format!("standard input, line {line}: {what}")));
        };
        let outcomes = client.outcomes()?;
        for (line, dot) in &self.writes {
            // A write may have been overwritten, too, which is no refusal.
            let of_dot =
                |o: &&WriteOutcome| o.dot == *dot && matches!(o.outcome, Outcome::Rejected { .. });
            if let Some(o) = outcomes.iter().find(of_dot) {
                tell(*line, show::refused(client, &o.key, &o.outcome, false));
            }
        }
        for (line, scope) in &self.scopes {
            let denied = client.progress(scope)?.and_then(|progress| progress.missing.denied);
            if let Some(code) = denied {
                tell(*line, format!("{scope}: denied ({code})"));
            }
        }
        Ok(refused)
    }
}

fn interactive(phone: &Phone) -> anyhow::Result<Exit> {
    let mut editor = DefaultEditor::new()?;
    let printer = Mutex::new(editor.create_external_printer()?);
    let say: Printer = Arc::new(move |line| {
        // Without a terminal there is nobody to read it.
        let _ = printer
            .lock()
            .expect("no panic under this lock")
            .print(format!("{}\n", terminal::plain(&line)));
    });
    let teller = Teller::start(phone, say.clone())?;
    if phone.client.subscriptions()?.is_empty() {
        terminal::say(
            "This phone holds no scope yet: `subscribe SCOPE`; `types` lists the scopes.",
        );
    }
    terminal::say("`help` lists the commands.");
    let mut watches: Vec<WatchHandle> = Vec::new();
    loop {
        let line = match editor.readline(&format!("{}> ", phone.name)) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        // A history that cannot grow is no reason to stop.
        let _ = editor.add_history_entry(&line);
        let command = match parse(&line) {
            Ok(Some(command)) => command,
            Ok(None) => continue,
            Err(wrong) => {
                terminal::say(format!("{wrong} `help` lists the commands."));
                continue;
            }
        };
        let direct: Printer = match command {
            Command::Watch { .. } => say.clone(),
            _ => Arc::new(terminal::say_plain),
        };
        match phone.run(command, direct) {
            Ok(Done::Watching(handles)) => watches = handles,
            Ok(Done::Wrote(receipt)) if receipt.dots.is_empty() => terminal::say(NO_CHANGE),
            Ok(Done::Wrote(_)) => terminal::say("saved on this phone"),
            Ok(Done::Leave) => break,
            Ok(Done::Shown | Done::Nothing | Done::Subscribed(_)) => {}
            Err(error) => terminal::say_plain(fault::told(&super::told(error))),
        }
    }
    drop(watches);
    teller.stop();
    Ok(Exit::Done)
}

/// The words of a line, with quotes as in a shell; `None` for an empty line or a comment. A
/// statement is one word more than it looks: its own quotes stay.
fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let as_it_is = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let words: Vec<String> = match (verb, rest.strip_prefix("--explain ")) {
        ("watch", Some(what)) => as_it_is(&[verb, "--explain", what.trim()]),
        ("query" | "watch", _) if !rest.is_empty() => as_it_is(&[verb, rest]),
        _ => shlex::split(line).ok_or("A quotation mark is missing.")?,
    };
    Command::parse(&words).map(Some).map_err(|wrong| match verb {
        "help" | "?" => HELP.to_owned(),
        _ => wrong,
    })
}

/// Tells what happens while the prompt waits: own writes that are safe, or were not taken.
struct Teller {
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Teller {
    fn start(phone: &Phone, say: Printer) -> anyhow::Result<Self> {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut events = phone.client.events();
        let (client, ended) = (phone.client.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("events".into()).spawn(move || {
            let mut told = String::new();
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let Some(event) = events.next_within(LOOK) else { continue };
                match event {
                    Event::Fate { key, fate: fate @ Fate::Accepted { durable: true }, .. } => {
                        say(format!("  {}: {}", key.id, show::fate(&fate, false)));
                    }
                    Event::Outcome { key, outcome, .. } => {
                        say(format!("  ! {}", show::outcome(client.schema(), &key, &outcome)));
                    }
                    Event::Denied { scope, code } => say(format!("  ! {scope}: denied ({code})")),
                    Event::Connection(state) => {
                        let now = connection(&state);
                        // Between two regions a phone connects and waits a lot.
                        let steady = !now.starts_with("connecting");
                        if steady && told != now {
                            say(format!("  {now}"));
                            told = now;
                        }
                    }
                    _ => {}
                }
            }
        })?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        // A panic in it was told where it happened.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_their_quotes_and_flags_are_words_of_their_own() {
        let watch = |what: &str, explain| Command::Watch { what: what.to_owned(), explain };
        let check = |line: &str, expected| assert_eq!(parse(line), Ok(Some(expected)), "{line}");
        check("query SELECT 'a b'", Command::Query("SELECT 'a b'".to_owned()));
        check("watch SELECT 'a b'", watch("SELECT 'a b'", false));
        check("watch --explain SELECT 'a b'", watch("SELECT 'a b'", true));
        check("watch --explain  Order", watch("Order", true));
        check("get Order 'a b'", Command::Get { kind: "Order".to_owned(), id: "a b".to_owned() });
        assert_eq!(parse("  # a note"), Ok(None));
        assert!(parse("watch --explain").is_err() && parse("get Order 'a").is_err());
    }
}
