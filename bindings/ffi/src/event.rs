//! What happens in a client, as a stream to fetch from, and the states that it tells of.

use crate::fate::{self, Dot, Entity, Fate, Outcome};
use landfall_device as device;
use landfall_device::{Events, Schema};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Something that happened in this client, or in another process that it takes note of.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum Event {
    /// The visible rows of these entities changed or went, in one transaction.
    RowsChanged {
        /// Each entity once.
        entities: Vec<Entity>,
    },
    /// Another process wrote to the file: any row may have changed.
    ChangedElsewhere,
    /// An own write went a step further.
    FateReached {
        /// The write.
        dot: Dot,
        /// What it wrote to.
        entity: Entity,
        /// Where it stands now.
        fate: Fate,
    },
    /// An own write came to something that the app should deal with; kept until dismissed.
    OutcomeReached {
        /// The write.
        dot: Dot,
        /// What it wrote to.
        entity: Entity,
        /// What it came to.
        outcome: Outcome,
    },
    /// A subscription took something in.
    ProgressMade {
        /// How far it is.
        progress: Progress,
    },
    /// A region said what the account may subscribe.
    Granted {
        /// What it may.
        granted: Granted,
    },
    /// A region refused a subscription.
    Denied {
        /// The scope.
        scope: String,
        /// The region's code.
        code: String,
    },
    /// The connection changed its state.
    ConnectionChanged {
        /// Where it stands.
        state: ConnectionState,
    },
    /// The stream was read too slowly, and so many events are missing here.
    Missed {
        /// How many.
        count: u64,
    },
    /// Something that this version of the bindings does not know.
    Other,
}

/// The scopes that an account may subscribe: names, or prefixes that end in `*`.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Granted {
    /// Home scopes, which it may also write.
    pub scopes: Vec<String>,
    /// Audiences, in which it may write what the schema lets them.
    pub audiences: Vec<String>,
}

impl From<device::Granted> for Granted {
    fn from(granted: device::Granted) -> Self {
        let device::Granted { scopes, audiences } = granted;
        Self { scopes, audiences }
    }
}

/// How far a subscription is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Progress {
    /// The subscribed scope.
    pub scope: String,
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
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Missing {
    /// Those older than this many milliseconds, by the subscription's terms.
    pub older_than_ms: Option<u64>,
    /// Some were left out or evicted for want of room.
    pub for_room: bool,
    /// All of them: a region refused the scope, with this code.
    pub denied: Option<String>,
}

/// How much of a scope a subscription holds. By default all of it, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Terms {
    /// Only what is younger than this, in milliseconds, by the window field of its type or of its
    /// parent's; types without one are held whatever their age.
    #[uniffi(default = None)]
    pub keep_ms: Option<u64>,
    /// Rows of higher ones come first and are evicted last.
    #[uniffi(default = 0)]
    pub priority: u8,
    /// At most so many rows.
    #[uniffi(default = None)]
    pub rows_max: Option<u64>,
    /// At most so many bytes of row state, as regions send it.
    #[uniffi(default = None)]
    pub bytes_max: Option<u64>,
    /// Let go of the scope by itself, this long after the app last asked for it.
    #[uniffi(default = None)]
    pub ttl_ms: Option<u64>,
}

impl From<Terms> for device::Terms {
    fn from(terms: Terms) -> Self {
        let Terms { keep_ms, priority, rows_max, bytes_max, ttl_ms } = terms;
        Self { keep_ms, priority, rows_max, bytes_max, ttl_ms }
    }
}

impl From<device::Terms> for Terms {
    fn from(terms: device::Terms) -> Self {
        let device::Terms { keep_ms, priority, rows_max, bytes_max, ttl_ms } = terms;
        Self { keep_ms, priority, rows_max, bytes_max, ttl_ms }
    }
}

impl From<device::Progress> for Progress {
    fn from(progress: device::Progress) -> Self {
        let device::Progress { scope, rows, total, coverage, missing, as_of_ms } = progress;
        let device::Missing { older_than_ms, for_room, denied } = missing;
        let missing = Missing { older_than_ms, for_room, denied };
        let (scope, coverage) = (scope.to_string(), coverage.into());
        Self { scope, rows, total, coverage, missing, as_of_ms }
    }
}

/// What of the data asked for is on this device. A row that is missing from anything less than
/// complete may exist all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Coverage {
    /// Everything, as of the last time that a region was heard.
    Complete,
    /// The first pass, or a long one, is under way.
    Loading,
    /// Some of it is not subscribed, outside the terms of its subscription, evicted, or refused.
    Partial,
}

impl From<device::Coverage> for Coverage {
    fn from(coverage: device::Coverage) -> Self {
        match coverage {
            device::Coverage::Complete => Self::Complete,
            device::Coverage::Loading => Self::Loading,
            device::Coverage::Partial => Self::Partial,
        }
    }
}

/// Where the connection with the regions stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
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

impl From<device::ConnectionState> for ConnectionState {
    fn from(state: device::ConnectionState) -> Self {
        match state {
            device::ConnectionState::Offline => Self::Offline,
            device::ConnectionState::Standby => Self::Standby,
            device::ConnectionState::Connecting { region } => Self::Connecting { region },
            device::ConnectionState::Online { region } => Self::Online { region },
            device::ConnectionState::Waiting { retry_ms, code } => Self::Waiting { retry_ms, code },
        }
    }
}

/// Events from the moment it was made. Holds up to some thousands; who reads more slowly finds
/// [`Event::Missed`].
#[derive(Debug, uniffi::Object)]
pub struct EventStream {
    events: Mutex<Events>,
    schema: Arc<Schema>,
}

impl EventStream {
    pub(crate) fn new(events: Events, schema: Arc<Schema>) -> Arc<Self> {
        Arc::new(Self { events: Mutex::new(events), schema })
    }
}

#[uniffi::export]
impl EventStream {
    /// The next event; nothing when the client is closed. To give up the wait loses no event.
    pub async fn next(&self) -> Option<Event> {
        self.events.lock().await.next().await.map(|event| told(&self.schema, event))
    }
}

fn told(schema: &Schema, event: device::Event) -> Event {
    match event {
        device::Event::Changed { keys } => {
            let entities = keys.iter().map(|key| fate::entity(schema, key)).collect();
            Event::RowsChanged { entities }
        }
        device::Event::ChangedElsewhere => Event::ChangedElsewhere,
        device::Event::Fate { dot, key, fate } => {
            let (entity, fate) = (fate::entity(schema, &key), fate::fate(schema, fate));
            Event::FateReached { dot: dot.into(), entity, fate }
        }
        device::Event::Outcome { dot, key, outcome } => {
            let outcome = fate::outcome(schema, &key, outcome);
            Event::OutcomeReached { dot: dot.into(), entity: fate::entity(schema, &key), outcome }
        }
        device::Event::Progress(progress) => Event::ProgressMade { progress: progress.into() },
        device::Event::Granted(granted) => Event::Granted { granted: granted.into() },
        device::Event::Denied { scope, code } => Event::Denied { scope: scope.to_string(), code },
        device::Event::Connection(state) => Event::ConnectionChanged { state: state.into() },
        device::Event::Missed(count) => Event::Missed { count },
        _ => Event::Other,
    }
}
