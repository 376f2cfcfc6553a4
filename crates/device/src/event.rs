//! What a client tells those who watch it, and the streams on which it does.
//!
//! Events are told after the transaction that they come from is committed. They are memory: who
//! was not listening asks the file instead ([`crate::Client::fate`], [`crate::Client::outcomes`],
//! [`crate::Client::progress`]).

use crate::fates::Fate;
use landfall_model::id::{Dot, EntityKey, Scope};
use landfall_sync::device::store::Outcome;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;

/// Something that happened in this client, or in another process that it takes note of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The visible rows of these entities changed or went, in one transaction.
    Changed {
        /// Each entity once.
        keys: Arc<[EntityKey]>,
    },
    /// Another process wrote to the file: any row may have changed.
    ChangedElsewhere,
    /// An own write went a step further.
    Fate {
        /// The write.
        dot: Dot,
        /// What it wrote to.
        key: EntityKey,
        /// Where it stands now.
        fate: Fate,
    },
    /// An own write came to something that the app should deal with; kept until dismissed.
    Outcome {
        /// The write.
        dot: Dot,
        /// What it wrote to.
        key: EntityKey,
        /// What it came to.
        outcome: Outcome,
    },
    /// A subscription took something in.
    Progress(Progress),
    /// A region said what the account may subscribe.
    Granted(Granted),
    /// A region refused a subscription.
    Denied {
        /// The scope.
        scope: Scope,
        /// The region's code.
        code: String,
    },
    /// The connection changed its state.
    Connection(ConnectionState),
    /// The stream was read too slowly, and so many events are missing here.
    Missed(u64),
}

/// The scopes that an account may subscribe: names, or prefixes that end in `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// Home scopes, which it may also write.
    pub scopes: Vec<String>,
    /// Audiences, in which it may write what the schema lets them.
    pub audiences: Vec<String>,
}

impl Granted {
    /// True if the account may read the scope of this name.
    pub fn includes(&self, scope: &str) -> bool {
        self.scopes.iter().chain(&self.audiences).any(|name| covers(name, scope))
    }

    /// True if the account may write all there is in the home scope of this name. What it may write
    /// there as an audience, the schema says.
    pub fn writes(&self, home: &str) -> bool {
        self.scopes.iter().any(|name| covers(name, home))
    }
}

fn covers(name: &str, scope: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => scope.starts_with(prefix),
        None => name == scope,
    }
}

/// How far a subscription is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The subscribed scope.
    pub scope: Scope,
    /// Rows taken in the pass under way, or in the last one.
    pub rows: u64,
    /// Rows of that pass in all, as far as the region knows; 0 if it does not.
    pub total: u64,
    /// What of the scope is on this device.
    pub coverage: Coverage,
    /// What is missing from it, and why.
    pub missing: Missing,
    /// The scope was last heard to its end at this time, in milliseconds since 1970, as the
    /// regions count; 0 if it never was.
    pub as_of_ms: i64,
}

/// Why rows of a subscribed scope may be missing on this device though it is not loading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Those older than this many milliseconds, by the subscription's terms.
    pub older_than_ms: Option<u64>,
    /// Some were left out or evicted for want of room.
    pub for_room: bool,
    /// All of them: a region refused the scope, with this code.
    pub denied: Option<String>,
}

impl Missing {
    /// True if nothing is missing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Progress {
    /// True if all of the scope is here, and not only a part of it.
    pub fn complete(&self) -> bool {
        self.coverage == Coverage::Complete
    }
}

/// What of the data asked for is on this device. A row that is missing from anything less than
/// complete may exist all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// Everything, as of the last time that a region was heard.
    Complete,
    /// The first pass, or a long one, is under way.
    Loading,
    /// Some of it is not subscribed, outside the terms of its subscription, evicted, or refused.
    Partial,
}

/// Where the connection with the regions stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// By the app's wish, or because no regions were given.
    Offline,
    /// Another process of this account syncs the file.
    Standby,
    /// A session with this region is being opened.
    Connecting {
        /// The region's name.
        region: String,
    },
    /// The session is open with this region.
    Online {
        /// The region's name.
        region: String,
    },
    /// Every region was tried in vain; the next round comes by itself.
    Waiting {
        /// When, in milliseconds from now.
        retry_ms: u64,
        /// A stable code: a region's word, or what this device lacks, such as a token (`no_token`)
        /// or room for its file (`LF2208`).
        code: Option<String>,
    },
}

/// Events from the moment it was made. Holds up to some thousands; who reads more slowly finds
/// [`Event::Missed`].
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    closed: watch::Receiver<bool>,
    only: Only,
}

/// Which events a stream gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    All,
    Fates,
}

impl Events {
    pub(crate) fn new(
        receiver: broadcast::Receiver<Event>,
        closed: watch::Receiver<bool>,
        only: Only,
    ) -> Self {
        Self { receiver, closed, only }
    }

    /// The next event; `None` when the client is closed, also while clones of it are held.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let told = tokio::select! {
                // What was told before the end is still given.
                biased;
                told = self.receiver.recv() => told,
                _ = self.closed.wait_for(|closed| *closed) => return None,
            };
            let event = match told {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => Event::Missed(missed),
                Err(RecvError::Closed) => return None,
            };
            let wanted = match self.only {
                Only::All => true,
                Only::Fates => matches!(event, Event::Fate { .. } | Event::Missed(_)),
            };
            if wanted {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_stream_gives_what_it_was_asked_for_and_says_what_it_missed() {
        let (sender, receiver) = broadcast::channel(2);
        let closed = watch::Sender::new(false);
        let mut events = Events::new(receiver, closed.subscribe(), Only::Fates);
        for _ in 0..3 {
            sender.send(Event::ChangedElsewhere).unwrap();
        }
        assert_eq!(events.next_within(Duration::ZERO), Some(Event::Missed(1)));
        assert_eq!(events.next_within(Duration::from_millis(5)), None);
        sender.send(Event::Missed(7)).unwrap();
        closed.send_replace(true);
        assert_eq!(events.next_within(Duration::from_secs(5)), Some(Event::Missed(7)));
        assert_eq!(events.next_within(Duration::from_secs(5)), None);
    }
}
