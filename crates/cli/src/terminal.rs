//! Output for people: colour where there is a terminal, progress that rewrites its line.

use std::borrow::Cow;
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

/// Text that others wrote, as it may go to a terminal: what would move its cursor, recolour it or
/// ring it is spelled as JSON spells it (`\u001b`), so that it is the same within JSON. Line ends
/// stay; [`one_line`] spells those, too.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_control(c)) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_control(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.into()
}

/// The same, with line ends as `\n`: one value of many in a line.
pub(crate) fn one_line(text: &str) -> String {
    plain(text).replace('\n', "\\n")
}

/// C0, DEL and C1; and what turns the direction of the text around it.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line on standard output, of which some may be text that others wrote.
pub(crate) fn say_plain(line: String) {
    say(plain(&line));
}

/// A line on standard output.
pub(crate) fn say<T: std::fmt::Display>(line: T) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's way to say that it has seen enough.
    let _ = writeln!(out, "{line}");
}

/// Until nobody reads standard output any more; for ever where that is no pipe. Who only writes
/// finds that out at the next line, which may never come.
pub(crate) async fn reader_gone() {
    use std::os::fd::AsFd;
    use tokio::io::Interest;
    use tokio::net::unix::pipe::Sender;
    let gone = async {
        // Nothing is written through it, so it may block.
        let out = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
        let out = Sender::from_owned_fd_unchecked(out).ok()?;
        out.ready(Interest::ERROR).await.ok().map(|_| ())
    };
    if gone.await.is_none() {
        std::future::pending().await
    }
}

/// A line on standard error.
pub(crate) fn note(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// An error, with its code.
pub(crate) fn error(error: &anyhow::Error) {
    let label = if stderr_colour() { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    let text = crate::fault::told(error);
    match crate::fault::code_of(error) {
        Some(code) => note(format!("{label} {code}: {}", plain(&text))),
        None => note(format!("{label} {}", plain(&text))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_spelled() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\r\tb\nc";
        assert_eq!(plain(text), "a\\u001b[2J\\u007f\\u009b31m\\u202e\\r\\tb\nc");
        assert_eq!(one_line("a\nb"), "a\\nb");
        // Within JSON it is the same text.
        let json = serde_json::Value::from("\u{9b}\u{7f}\u{1b}").to_string();
        assert!(!plain(&json).chars().any(char::is_control));
        let read: String = serde_json::from_str(&plain(&json)).expect("JSON");
        assert_eq!(read, "\u{9b}\u{7f}\u{1b}");
    }
}
