//! The page's live feed: own writes of the phones in this process, each a line that goes from
//! pending to durable, and what phones learn besides.
//!
//! It is memory, and short: the last lines, for somebody who looks on. The phones' files have what
//! must not be lost.

use landfall_device::{Client, Dot, Event, Fate, Schema};
use landfall_region::world::Clock;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Lines that are kept.
const LINES_MAX: usize = 60;

/// A row may arrive at one phone before another one has told that it wrote it.
const OTHERS_AFTER: Duration = Duration::from_millis(1_500);

/// One line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    /// Grows with every line, and stays with it.
    n: u64,
    at_ms: i64,
    phone: String,
    /// The type and id that it is about, if it is about one.
    kind: Option<String>,
    id: Option<String>,
    /// pending, sent, accepted, durable, rejected; or seen, outcome, connection.
    what: &'static str,
    text: String,
    #[serde(skip)]
    dot: Option<Dot>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Line>,
    next: u64,
}

/// Shared by all who tell and all who look.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed(Arc<Mutex<Kept>>);

impl Feed {
    pub fn lines(&self) -> Vec<Line> {
        self.with(|kept| kept.lines.iter().rev().cloned().collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        // A line is pushed whole, so a panic elsewhere leaves nothing half-done.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tell of what a person did on the page.
    pub fn note(&self, text: String) {
        self.push("page", None, "note", text, None);
    }

    fn push(
        &self,
        phone: &str,
        about: Option<(String, String)>,
        what: &'static str,
        text: String,
        dot: Option<Dot>,
    ) {
        self.with(|kept| {
            let at_ms = crate::world::WallClock.now_ms();
            let (kind, id) = about.unzip();
            // A write is one line, however far it has come.
            let known = kept.lines.iter_mut().rfind(|l| dot.is_some() && l.dot == dot);
            if let Some(line) = known {
                (line.what, line.text) = (what, text);
                return;
            }
            kept.next += 1;
            let n = kept.next;
            let phone = phone.to_owned();
            kept.lines.push_back(Line { n, at_ms, phone, kind, id, what, text, dot });
            if kept.lines.len() > LINES_MAX {
                kept.lines.pop_front();
            }
        });
    }

    /// Tell of everything that a phone tells, until it is closed. `others` also tells of rows that
    /// changed by nobody who is followed here.
    pub fn follow(&self, name: String, client: &Client, others: bool) {
        let (feed, schema) = (self.clone(), client.schema().clone());
        let mut events = client.events();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                feed.tell(&name, &schema, event, others);
            }
        });
    }

    fn tell(&self, name: &str, schema: &Schema, event: Event, others: bool) {
        let kind_of = |key: &landfall_device::EntityKey| {
            let kind = schema.entity(key.kind).map_or("?", |k| &k.name).to_owned();
            (kind, key.id.to_string())
        };
        match event {
            Event::Fate { dot, key, fate } => {
                let (what, text) = fate_words(&fate);
                self.push(name, Some(kind_of(&key)), what, text, Some(dot));
            }
            Event::Outcome { key, outcome, .. } => {
                let text = crate::device::show::outcome(schema, &key, &outcome);
                self.push(name, Some(kind_of(&key)), "outcome", text, None);
            }
            Event::Connection(state) => {
                let text = crate::device::command::connection(&state);
                if !text.starts_with("connecting") {
                    self.push(name, None, "connection", text, None);
                }
            }
            Event::Denied { scope, code } => {
                self.push(name, None, "outcome", format!("{scope}: refused ({code})"), None);
            }
            Event::Changed { keys } if others => {
                let (feed, name) = (self.clone(), name.to_owned());
                let about: Vec<_> = keys.iter().take(4).map(kind_of).collect();
                tokio::spawn(async move {
                    tokio::time::sleep(OTHERS_AFTER).await;
                    about.into_iter().for_each(|about| feed.seen(&name, about));
                });
            }
            _ => {}
        }
    }

    /// A row changed on a phone. If nobody who is followed here wrote it, somebody elsewhere did.
    fn seen(&self, name: &str, about: (String, String)) {
        if !self.knows(&about) {
            let text = "came from a phone elsewhere".to_owned();
            self.push(name, Some(about), "seen", text, None);
        }
    }

    /// A line of late is about this entity.
    fn knows(&self, (kind, id): &(String, String)) -> bool {
        let about = |l: &Line| l.kind.as_ref() == Some(kind) && l.id.as_ref() == Some(id);
        self.with(|kept| kept.lines.iter().any(about))
    }
}

fn fate_words(fate: &Fate) -> (&'static str, String) {
    let what = match fate {
        Fate::Pending { sent: false } => "pending",
        Fate::Pending { sent: true } => "sent",
        Fate::Accepted { durable: false } => "accepted",
        Fate::Accepted { durable: true } => "durable",
        Fate::Rejected { .. } => "rejected",
        Fate::Unknown => "sent",
    };
    let text = match fate {
        Fate::Pending { sent: true } => "on its way".to_owned(),
        other => crate::device::show::fate(other, false),
    };
    (what, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_device::DeviceId;

    #[test]
    fn a_write_stays_one_line_and_old_lines_go() {
        let feed = Feed::default();
        let dot = Dot::new(DeviceId::from_number(1), 1);
        let about = Some(("A".to_owned(), "1".to_owned()));
        feed.push("p", about.clone(), "pending", String::new(), Some(dot));
        feed.push("p", about, "durable", String::new(), Some(dot));
        assert_eq!(feed.lines().iter().map(|l| l.what).collect::<Vec<_>>(), ["durable"]);
        assert!(feed.knows(&("A".to_owned(), "1".to_owned())));
        for _ in 0..2 * LINES_MAX {
            feed.note("x".to_owned());
        }
        assert_eq!(feed.lines().len(), LINES_MAX);
    }
}
