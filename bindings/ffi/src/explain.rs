//! Why a row shows on this device, or does not; see [`landfall_device::explain`].

use crate::event::{ConnectionState, Terms};
use crate::fate::{self, Dot, Entity, Fate, WriteOutcome};
use landfall_device::{self as device, Schema, explain, public_code};

/// Why an entity shows on this device, or does not, as far as the device knows. No value of a field
/// is in it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Explanation {
    /// The entity. Its home is empty where only type and id are known.
    pub entity: Entity,
    /// The one reason that counts.
    pub answer: Answer,
    /// The answer in one stable word; docs/field.md has them all.
    pub word: String,
    /// The answer in a sentence, for people.
    pub sentence: String,
    /// All of it, over several lines, for people.
    pub text: String,
    /// The app wants it kept.
    pub pinned: bool,
    /// Its home, the audiences that its fields name, and subscribed scopes that could hold it.
    pub scopes: Vec<ScopeState>,
    /// Audiences that could hold it, as the schema writes them: `driver/{driver}`.
    pub audiences: Vec<String>,
    /// Who wrote each register that shows, last.
    pub fields: Vec<FieldWrite>,
    /// Own writes on it that are kept, in their order.
    pub writes: Vec<OwnWrite>,
    /// Outcomes of own writes on it that the app has not dismissed.
    pub outcomes: Vec<WriteOutcome>,
    /// It was deleted, and this device can bring it back.
    pub can_restore: bool,
    /// Where the connection stands.
    pub connection: ConnectionState,
}

/// Why an entity shows or does not. Of several reasons the first in this order is given.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Answer {
    /// It shows.
    Present {
        /// A region's row is here. Otherwise own writes alone show.
        confirmed: bool,
        /// Own writes over the region's row.
        own_writes: u64,
    },
    /// It was deleted.
    Deleted {
        /// The own write that did; nothing if others did, or an own write that is settled since.
        by: Option<Dot>,
    },
    /// An entity above it was deleted, and it went with that.
    FellWith {
        /// The one that was deleted.
        parent: Entity,
    },
    /// The own write that created it was refused.
    Rejected {
        /// The write.
        dot: Dot,
        /// Why, as a stable code.
        code: String,
        /// Why, in the region's word.
        reason: String,
        /// The field that is to blame, if one is.
        field: Option<String>,
        /// In the region's words; for people.
        detail: String,
    },
    /// It left this device: it moved out of a scope, or access to that was lost.
    Left {
        /// The scope.
        scope: String,
    },
    /// A region refused a scope that could hold it.
    Denied {
        /// The scope.
        scope: String,
        /// The region's word for it.
        code: String,
    },
    /// It is to be asked for by name.
    Asked {
        /// Where.
        scope: String,
    },
    /// A scope that could hold it is still loading.
    Loading {
        /// The scope.
        scope: String,
    },
    /// Rows of a scope that could hold it were evicted, or left out for want of room.
    NoRoom {
        /// The scope.
        scope: String,
        /// This device made it, so it was here once.
        was_here: bool,
    },
    /// The subscription holds a part of its scope: it may be older than that.
    OutsideWindow {
        /// The scope.
        scope: String,
        /// What is older is not held, in milliseconds.
        keep_ms: u64,
    },
    /// Every scope that could hold it and is subscribed is here in full, and has no such row.
    NotThere {
        /// The regions were last heard at this time, in milliseconds since 1970.
        as_of_ms: i64,
    },
    /// No scope that could hold it is subscribed, and this device has never heard of it.
    NotSubscribed,
}

/// What is known of a scope that holds the entity, or could.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ScopeState {
    /// The scope.
    pub scope: String,
    /// What makes it one of them.
    pub why: Why,
    /// It holds the row on this device.
    pub holds: bool,
    /// Nothing if it is not subscribed.
    pub subscription: Option<SubscriptionState>,
}

/// What makes a scope one that could hold an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Why {
    /// It is its home.
    Home,
    /// Its fields, as this device knows them, name it as an audience.
    Named,
    /// It is subscribed, and its name is such a one.
    Possible,
}

/// How far a subscription is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SubscriptionState {
    /// A region refused it, with this word.
    pub denied: Option<String>,
    /// Its first pass, or a long one, is under way.
    pub loading: bool,
    /// What it holds.
    pub terms: Terms,
    /// Rows were evicted or left out for want of room.
    pub short: bool,
    /// It was last heard to its end at this time, in milliseconds since 1970; 0 if never.
    pub as_of_ms: i64,
    /// The entity is to be asked for by name.
    pub asked: bool,
}

/// The write that shows in a register.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FieldWrite {
    /// The field's name.
    pub field: String,
    /// The write. Its device is the writer's.
    pub dot: Dot,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// It was made on this device.
    pub own: bool,
    /// False while it stands over another value of the region's row.
    pub confirmed: bool,
}

/// An own write, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OwnWrite {
    /// The write.
    pub dot: Dot,
    /// What it does.
    pub what: WriteKind,
    /// Where it stands.
    pub fate: Fate,
    /// It is applied over the region's row.
    pub shows: bool,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Why it is not further.
    pub waits: Vec<Wait>,
}

/// What a write does to its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum WriteKind {
    /// It creates it.
    Create,
    /// It changes fields.
    Update,
    /// It deletes it.
    Delete,
}

/// What a write waits for.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Wait {
    /// There is no session with a region.
    Session,
    /// An own write that it stands on.
    Write {
        /// That one.
        dot: Dot,
    },
    /// Its stamp lies ahead of the regions' time.
    Time,
    /// Its turn: nothing else is in its way.
    Turn,
    /// The answer of these regions; of any, if there are none.
    Answer {
        /// Their numbers.
        regions: Vec<u32>,
    },
    /// As many regions as are asked for.
    Copies,
    /// The row that has it in it.
    Row,
}

/// The explanation with the schema's names.
pub(crate) fn explanation(schema: &Schema, told: explain::Explanation) -> Explanation {
    let row = &told.row;
    let fields = row.fields.iter().map(|write| FieldWrite {
        field: told.field(write.field),
        dot: write.dot.into(),
        at_ms: write.stamp.hlc.millis(),
        own: write.own,
        confirmed: write.over.is_none(),
    });
    let outcomes = told.outcomes.iter().cloned().map(|o| fate::write_outcome(schema, o));
    Explanation {
        entity: fate::entity(schema, &row.key),
        answer: answer(schema, &told),
        word: told.word().to_owned(),
        sentence: told.sentence(),
        text: told.to_string(),
        pinned: row.pinned,
        scopes: row.scopes.iter().map(scope).collect(),
        audiences: row.audiences.clone(),
        fields: fields.collect(),
        writes: row.writes.iter().map(|write| own_write(schema, write)).collect(),
        outcomes: outcomes.collect(),
        can_restore: row.deletion.is_some(),
        connection: told.connection.clone().into(),
    }
}

fn answer(schema: &Schema, told: &explain::Explanation) -> Answer {
    use explain::Answer as Told;
    match &told.row.answer {
        Told::Present { confirmed, own_writes } => {
            Answer::Present { confirmed: *confirmed, own_writes: *own_writes as u64 }
        }
        Told::Deleted { by } => Answer::Deleted { by: by.as_ref().map(|by| by.dot.into()) },
        Told::FellWith { parent } => Answer::FellWith { parent: fate::entity(schema, parent) },
        Told::Rejected { dot, code, field, detail } => Answer::Rejected {
            dot: (*dot).into(),
            code: public_code(code).to_owned(),
            reason: code.clone(),
            field: field.map(|f| told.field(f)),
            detail: detail.clone(),
        },
        Told::Left { scope } => Answer::Left { scope: scope.to_string() },
        Told::Denied { scope, code } => {
            Answer::Denied { scope: scope.to_string(), code: code.clone() }
        }
        Told::Asked { scope } => Answer::Asked { scope: scope.to_string() },
        Told::Loading { scope } => Answer::Loading { scope: scope.to_string() },
        Told::NoRoom { scope, was_here } => {
            Answer::NoRoom { scope: scope.to_string(), was_here: *was_here }
        }
        Told::OutsideWindow { scope, keep_ms } => {
            Answer::OutsideWindow { scope: scope.to_string(), keep_ms: *keep_ms }
        }
        Told::NotThere { as_of_ms } => Answer::NotThere { as_of_ms: *as_of_ms },
        Told::NotSubscribed => Answer::NotSubscribed,
    }
}

fn scope(state: &explain::ScopeState) -> ScopeState {
    let subscription = state.subscription.as_ref().map(|sub| SubscriptionState {
        denied: sub.denied.clone(),
        loading: sub.loading,
        terms: sub.terms.into(),
        short: sub.short,
        as_of_ms: sub.as_of_ms,
        asked: sub.asked,
    });
    let why = match state.why {
        explain::Why::Home => Why::Home,
        explain::Why::Named => Why::Named,
        explain::Why::Possible => Why::Possible,
    };
    ScopeState { scope: state.scope.to_string(), why, holds: state.holds, subscription }
}

fn own_write(schema: &Schema, write: &explain::OwnWrite) -> OwnWrite {
    let what = match write.what {
        explain::WriteKind::Create => WriteKind::Create,
        explain::WriteKind::Update => WriteKind::Update,
        explain::WriteKind::Delete => WriteKind::Delete,
    };
    OwnWrite {
        dot: write.dot.into(),
        what,
        fate: fate::fate(schema, device::Fate::from(&write.state)),
        shows: write.shows,
        at_ms: write.hlc.millis(),
        waits: write.waits.iter().map(wait).collect(),
    }
}

fn wait(wait: &explain::Wait) -> Wait {
    match wait {
        explain::Wait::Session => Wait::Session,
        explain::Wait::Write(dot) => Wait::Write { dot: (*dot).into() },
        explain::Wait::Time => Wait::Time,
        explain::Wait::Turn => Wait::Turn,
        explain::Wait::Answer(regions) => {
            Wait::Answer { regions: regions.iter().map(|r| r.0.into()).collect() }
        }
        explain::Wait::Copies => Wait::Copies,
        explain::Wait::Row => Wait::Row,
    }
}
