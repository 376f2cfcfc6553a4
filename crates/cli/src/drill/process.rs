//! Child processes of the drill that are no regions: devices, and what stops others for a while.
//!
//! Every child is this same binary, is killed when its handle is dropped, and ends by itself when its
//! standard input closes. One that is stopped cannot: so what stops it is a process, too, that lets it
//! go on when the drill is gone.

use super::phone::{Config, QUIET, STATUS, Status};
use crate::exit::Exit;
use crate::world::log_file;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A device must answer, and end when it is asked to, within these.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const END_WITHIN: Duration = Duration::from_secs(20);

/// How often an ending child is looked at.
const END_POLL: Duration = Duration::from_millis(5);

/// A device that runs.
#[derive(Debug)]
pub(super) struct Device {
    child: Child,
    input: Option<ChildStdin>,
    answers: UnboundedReceiver<String>,
}

impl Device {
    /// Start a life of a device on its files; `log` is added to.
    pub fn start(config: &Config, path: &Path, log: &Path) -> anyhow::Result<Self> {
        std::fs::write(path, serde_json::to_string_pretty(config)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["drill-part", "device", "--config"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file(log)?)
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, answers) = unbounded_channel();
        let read = move || {
            let lines = output.into_iter().flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        let device = Self { child, input, answers };
        std::thread::Builder::new().name("device output".to_owned()).spawn(read)?;
        Ok(device)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn say(&mut self, word: &str) {
        // One that does not listen any more has ended; that is looked at elsewhere.
        let _ = self.input.as_mut().map(|input| writeln!(input, "{word}"));
    }

    /// Write nothing from now on.
    pub fn be_quiet(&mut self) {
        self.say(QUIET);
    }

    /// `None` if it does not answer in time.
    pub async fn status(&mut self) -> Option<Status> {
        // Answers that came too late.
        while self.answers.try_recv().is_ok() {}
        self.say(STATUS);
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.answers.recv()).await.ok()??;
        serde_json::from_str(&answer).ok()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// It ends when this end of its input closes.
    pub fn ask_to_end(&mut self) {
        drop(self.input.take());
    }

    /// True if it ended in order.
    pub async fn end(mut self) -> bool {
        self.ask_to_end();
        let until = Instant::now() + END_WITHIN;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => tokio::time::sleep(END_POLL).await,
                Ok(ended) => return ended.is_some_and(|status| status.success()),
                Err(_) => return false,
            }
        }
    }
}

impl Drop for Device {
    /// SIGKILL.
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that is stopped, as long as this is held.
#[derive(Debug)]
pub(super) struct Pause(Child);

impl Pause {
    pub fn begin(process: u32) -> anyhow::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["drill-part", "pause", "--process", &process.to_string()])
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Pause {
    /// The process goes on: when this has returned, it does.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {
    /// Which
    #[arg(long)]
    process: i32,
}

/// Stop a process until standard input closes.
pub(crate) fn pause(args: &PauseArgs) -> anyhow::Result<Exit> {
    let process = Pid::from_raw(args.process).context("no process has this number")?;
    kill_process(process, Signal::STOP)?;
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    kill_process(process, Signal::CONT)?;
    Ok(Exit::Done)
}

/// SIGTERM.
pub(super) fn terminate(process: u32) -> anyhow::Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    Ok(kill_process(process.context("no process has this number")?, Signal::TERM)?)
}
