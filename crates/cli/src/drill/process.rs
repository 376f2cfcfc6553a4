//! Child processes of the drill that are no regions: devices, and what stops others for a while.
//!
//! Every [`Child`] ends when the drill does. One that is stopped cannot: so what stops it is a process,
//! too, that lets it go on when the drill is gone.

use super::phone::{Config, QUIET, STATUS, Status};
use crate::exit::Exit;
use crate::world::{Child, log_file};
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A device must answer, and end when it is asked to, within these.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const END_WITHIN: Duration = Duration::from_secs(20);

/// A device that runs.
#[derive(Debug)]
pub(super) struct Device {
    child: Child,
    answers: UnboundedReceiver<String>,
}

impl Device {
    /// Start a life of a device on its files; `log` is added to.
    pub fn start(config: &Config, path: &Path, log: &Path) -> anyhow::Result<Self> {
        std::fs::write(path, serde_json::to_string_pretty(config)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let log = log_file(log)?;
        let mut child = Child::start(|command| {
            command.args(["drill-part", "device", "--config"]).arg(path);
            command.stdout(Stdio::piped()).stderr(log);
        })?;
        let output = child.take_output();
        let (sender, answers) = unbounded_channel();
        let read = move || {
            let lines = output.into_iter().flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("device output".to_owned()).spawn(read)?;
        Ok(Self { child, answers })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Write nothing from now on.
    pub fn be_quiet(&mut self) {
        self.child.say(QUIET);
    }

    /// `None` if it does not answer in time.
    pub async fn status(&mut self) -> Option<Status> {
        // Answers that came too late.
        while self.answers.try_recv().is_ok() {}
        self.child.say(STATUS);
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.answers.recv()).await.ok()??;
        serde_json::from_str(&answer).ok()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.child.ended()
    }

    pub fn ask_to_end(&mut self) {
        self.child.ask_to_end();
    }

    /// True if it ended in order.
    pub async fn end(self) -> bool {
        self.child.end(END_WITHIN).await
    }
}

/// A process that is stopped, as long as this is held.
#[derive(Debug)]
pub(super) struct Pause(Child);

impl Pause {
    pub fn begin(process: u32) -> anyhow::Result<Self> {
        let process = process.to_string();
        let child = Child::start(|command| {
            command.args(["drill-part", "pause", "--process", &process]);
        })?;
        Ok(Self(child))
    }
}

impl Drop for Pause {
    /// The process goes on: when this has returned, it does.
    fn drop(&mut self) {
        self.0.wait();
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
