//! What an import came to.

use super::super::journal::{Resume, Tally};
use super::Args;
use crate::terminal;
use landfall_device::{Client, Outcome};
use landfall_model::schema::EntityType;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) struct Summary {
    pub tally: Tally,
    kind: String,
    file: PathBuf,
    rejects: PathBuf,
    /// Rows that a run before this had taken.
    rows_before: u64,
    /// The whole file had been taken before.
    was_done: bool,
    offline: bool,
    /// The device has writes that no region answered for.
    unsent: bool,
    /// Rows that regions refused: id, code, reason.
    refused: Vec<(String, &'static str, String)>,
}

impl Summary {
    pub fn new(args: &Args, tally: &Tally, resume: Resume) -> Self {
        Self {
            tally: *tally,
            kind: args.kind.clone(),
            file: args.file.clone(),
            rejects: args.rejects.clone().unwrap_or_else(|| super::rejects_of(&args.file)),
            rows_before: tally.rows,
            was_done: matches!(resume, Resume::Done(_)),
            offline: args.place.offline,
            unsent: false,
            refused: Vec::new(),
        }
    }

    /// What became of the writes: rows of this type that regions refused to this device and that
    /// were not dismissed, and whether some are still to be sent.
    pub fn add_fates(&mut self, client: &Client, kind: &EntityType) -> anyhow::Result<()> {
        self.unsent = client.outbox_status()?.pending > 0;
        for outcome in client.outcomes()?.into_iter().filter(|o| o.key.kind == kind.id) {
            if let Outcome::Rejected { code, detail, .. } = outcome.outcome {
                let code = landfall_device::public_code(&code);
                self.refused.push((outcome.key.id.to_string(), code, detail));
            }
        }
        Ok(())
    }

    pub fn all_taken(&self) -> bool {
        self.tally.rejected == 0 && self.refused.is_empty()
    }

    pub fn tell(&self, as_json: bool) {
        let Tally { rows, applied, unchanged, rejected, .. } = self.tally;
        let rejects = (rejected > 0).then_some(&self.rejects);
        if as_json {
            let refused: Vec<_> = self
                .refused
                .iter()
                .map(|(id, code, reason)| json!({ "id": id, "code": code, "reason": reason }))
                .collect();
            terminal::say(json!({
                "type": self.kind, "file": self.file, "rows": rows, "applied": applied,
                "unchanged": unchanged, "rejected": rejected, "rejects": rejects,
                "refused": refused, "rows_before": self.rows_before, "was_done": self.was_done,
                "in_two_regions": !self.offline,
            }));
            return;
        }
        if self.was_done {
            terminal::say("this file was imported before; --again takes it anew");
        } else if self.rows_before > 0 {
            let rows = if self.rows_before == 1 { "row" } else { "rows" };
            terminal::say(format!("went on behind {} {rows} of a run before", self.rows_before));
        }
        terminal::say(format!(
            "{rows} {}: {applied} written, {unchanged} as they were, {rejected} rejected",
            if rows == 1 { "row" } else { "rows" }
        ));
        if let Some(path) = rejects {
            terminal::say(format!("rejected rows and their reasons: {}", path.display()));
        }
        for (id, code, reason) in &self.refused {
            let line = format!("a region refused {} {id}: {code}: {reason}", self.kind);
            terminal::say(terminal::one_line(&line));
        }
        if self.offline && self.unsent {
            terminal::say("nothing was sent yet: the next run without --offline sends it");
        }
    }
}
