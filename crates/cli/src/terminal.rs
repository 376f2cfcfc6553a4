//! Output for people: colour where there is a terminal, progress that rewrites its line.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Logs go to standard error, warnings and worse unless `LANDFALL_LOG` says otherwise.
pub(crate) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LANDFALL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(stderr_colour())
        .init();
}

/// Standard output is a terminal, and colour is not turned off.
pub(crate) fn stdout_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn stderr_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A line on standard output.
pub(crate) fn say<T: std::fmt::Display>(line: T) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's way to say that it has seen enough.
    let _ = writeln!(out, "{line}");
}

/// A line on standard error.
pub(crate) fn note(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// An error, with its code.
pub(crate) fn error(error: &anyhow::Error) {
    let label = if stderr_colour() { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    match crate::fault::code_of(error) {
        Some(code) => note(format!("{label} {code}: {error:#}")),
        None => note(format!("{label} {error:#}")),
    }
}

/// Text in bold where colour is on.
pub(crate) fn bold(text: &str, colour: bool) -> String {
    if colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// What takes no longer shows no progress.
const SILENT: Duration = Duration::from_secs(1);

/// Progress of something that may take over a second: one line on standard error, rewritten on a
/// terminal, repeated every few seconds in a log.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    last: Option<Instant>,
    terminal: bool,
    quiet: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            started: Instant::now(),
            last: None,
            terminal: std::io::stderr().is_terminal(),
            quiet,
        }
    }

    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        let every = if self.terminal { Duration::from_millis(100) } else { Duration::from_secs(5) };
        let soon = self.started.elapsed() < SILENT;
        if self.quiet || soon || self.last.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.last = Some(Instant::now());
        let mut err = std::io::stderr().lock();
        let _ = if self.terminal {
            write!(err, "\r\x1b[2K{}", line()).and_then(|()| err.flush())
        } else {
            writeln!(err, "{}", line())
        };
    }

    /// Take the line away, for output that follows.
    pub(crate) fn clear(&mut self) {
        if self.terminal && self.last.take().is_some() {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[2K").and_then(|()| err.flush());
        }
    }
}
