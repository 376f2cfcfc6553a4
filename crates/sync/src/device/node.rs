//! One device, seen by its driver.
//!
//! The driver owns the file, the socket and the clock. For every call it begins a transaction on
//! the store, calls one method here, commits (durably if [`Output::durable`] says so), and only
//! then sends [`Output::frames`] and reports [`Output::events`]. If the commit fails or the process
//! dies, the node is dropped and opened anew from the file; nothing was sent that the file does
//! not know of.

pub use super::cancel::Cancelled;
pub use super::check::is_json;
pub use super::output::{Close, Event, Output};
pub use super::refused::{Problem, RefusedEdit, WriteError};
pub use super::rescued::{Rescued, TakenIn};

use super::call::Call;
use super::explain::Explanation;
use super::session::Session;
use super::store::{Meta, OwnOp, Store, Terms, View};
use super::texts::Documents;
use super::write::Draft;
use crate::wire::RegionFrame;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, Scope, TypeId};
use landfall_model::op::{Op, Tx};
use landfall_model::schema::Schema;
use landfall_model::text::{self, Version};
use landfall_model::value::Value;
use landfall_model::vector::Vector;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One change of a local transaction. Edits of one transaction see one another.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Create the entity where the device knows none, else change it.
    Upsert {
        kind: TypeId,
        id: String,
        fields: Vec<(FieldId, FieldEdit)>,
    },
    /// Change an entity that exists; an error if the device knows none.
    Update {
        key: EntityKey,
        fields: Vec<(FieldId, FieldEdit)>,
    },
    Delete {
        key: EntityKey,
    },
    /// [`Edit::Update`] of the one entity of this type and id that is there, earlier edits of the
    /// transaction counted; in this home scope, where one is named.
    UpdateNamed {
        name: Name,
        fields: Vec<(FieldId, FieldEdit)>,
    },
    /// [`Edit::Delete`], by name in the same way.
    DeleteNamed {
        name: Name,
    },
}

/// An entity as an app names it: it may not know the home scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub kind: TypeId,
    pub id: String,
    /// For an entity of which there may be several with this id.
    pub home: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FieldEdit {
    /// Write a register. [`Value::Null`] clears it.
    Put(Value),
    Add(Value),
    Remove(Value),
    Increment(i64),
    /// Replace `delete` code points of a text at `at`.
    Splice {
        at: usize,
        delete: usize,
        insert: String,
    },
    /// Merge into a text what an editor changed in its own copy of it: a Loro update whose
    /// beginnings this device has.
    Merge(Vec<u8>),
    /// The same, as what the editor did: edits of its author, made at a version that this device has.
    Replay {
        author: u64,
        at: Version,
        splices: Vec<text::Splice>,
    },
}

/// A committed local transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub dots: Vec<Dot>,
    pub tx: Tx,
    pub keys: Vec<EntityKey>,
    /// It went into an op that was there and unsent: there is nothing new to push.
    pub extends: bool,
}

/// How much a session carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Writes and rows.
    Whole,
    /// Own writes and their fates only.
    Pushes,
    /// Own writes first; then rows, of subscriptions of at least this priority.
    InTurn { priority_min: u8 },
}

/// A session that waits for its region's first answer.
#[derive(Debug)]
pub struct Greeting(pub(super) Session);

/// A device. All that must last is in the store; what is here is rebuilt by the next session.
#[derive(Debug)]
pub struct Node {
    pub(super) schema: Arc<Schema>,
    /// The account that ops are made and pushed under.
    pub(super) principal: Arc<str>,
    /// The account publishes shared types: it may write them.
    pub(super) publishes: bool,
    pub(super) session: Option<Session>,
    /// A session with a second region, for what the first has not answered in time, or refuses.
    pub(super) hedge: Option<Session>,
    pub(super) documents: Documents,
    /// Positions that enough regions are known to hold.
    pub(super) safe: Vector,
    /// Ops that regions have refused, each counted once a session.
    pub(super) refusals: u64,
    /// Regions that found an op's stamp too far ahead. Forgotten ones say so again.
    pub(super) ahead: BTreeMap<Dot, BTreeSet<RegionId>>,
}

impl Node {
    /// Open the node on its file; a fresh file gets its device id here.
    pub fn open<S: Store>(
        store: &mut S,
        schema: Arc<Schema>,
        principal: Arc<str>,
        random: &mut dyn FnMut() -> u64,
        _now_ms: i64,
    ) -> Result<Self, S::Error> {
        if store.meta()?.is_none() {
            store.put_meta(&Meta { device: random_id(random), ..Meta::default() })?;
        }
        Ok(Self {
            schema,
            principal,
            publishes: false,
            session: None,
            hedge: None,
            documents: Documents::new(random()),
            safe: Vector::new(),
            refusals: 0,
            ahead: BTreeMap::new(),
        })
    }

    /// Writes of shared types are taken from now on, for an account whose token lets it publish them.
    /// Regions refuse those of any other.
    pub fn publish(&mut self) {
        self.publishes = true;
    }

    /// Make one local transaction. If an edit is refused, none of them is made and the store is as
    /// it was.
    pub fn write<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        edits: &[Edit],
    ) -> Result<(Receipt, Output), WriteError<S::Error>> {
        let mut call = Call::begin(self, store, now_ms)?;
        let mut draft = Draft::new(&mut call);
        for (at, edit) in edits.iter().enumerate() {
            draft.edit(at, edit)?;
        }
        let receipt = draft.commit()?;
        Ok((receipt, call.finish()?))
    }

    /// Hold a scope's rows from now on. A scope that was denied is asked for again.
    pub fn subscribe<S: Store>(
        &mut self,
        store: &mut S,
        scope: impl Into<Scope>,
    ) -> Result<Output, S::Error> {
        self.subscribe_with(store, scope, Terms::default(), 0)
    }

    /// Hold a part of a scope's rows from now on, or another part than before.
    pub fn subscribe_with<S: Store>(
        &mut self,
        store: &mut S,
        scope: impl Into<Scope>,
        terms: Terms,
        now_ms: i64,
    ) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        call.subscribe(scope.into(), terms)?;
        call.finish()
    }

    /// Keep a row whatever its age and however little room there is, and fetch it if it is not
    /// here; or stop that.
    pub fn pin<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
        pinned: bool,
    ) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, 0)?;
        call.pin(key, pinned)?;
        call.finish()
    }

    /// Ask anew for all that a subscription may hold, after rows were evicted or left out.
    pub fn refill<S: Store>(&mut self, store: &mut S, scope: &str) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, 0)?;
        call.refill(&scope.into())?;
        call.finish()
    }

    /// Let go of what has grown too old. Called from time to time; true once nothing is left to do.
    pub fn tidy<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
    ) -> Result<(bool, Output), S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        let done = call.tidy()?;
        Ok((done, call.finish()?))
    }

    /// Evict at least so many rows, if that many may go; returns how many went.
    pub fn make_room<S: Store>(
        &mut self,
        store: &mut S,
        rows: usize,
        now_ms: i64,
    ) -> Result<(usize, Output), S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        let gone = call.make_room(rows)?;
        Ok((gone, call.finish()?))
    }

    /// Let go of a scope's rows. Writes on them that were not sent yet are still sent.
    pub fn unsubscribe<S: Store>(
        &mut self,
        store: &mut S,
        scope: &str,
    ) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, 0)?;
        call.unsubscribe(scope)?;
        call.finish()
    }

    /// A connection is up: the first frame.
    pub fn hello<S: Store>(
        &mut self,
        store: &mut S,
        token: &str,
        now_ms: i64,
    ) -> Result<Output, S::Error> {
        let (greeting, output) = self.greet(store, token, 0, Extent::Whole, now_ms)?;
        self.begin(greeting);
        Ok(output)
    }

    /// A connection is up that may become the session's: the first frame. Several regions may be
    /// greeted at a time. `directory` is the version of the list of regions that the device has.
    pub fn greet<S: Store>(
        &mut self,
        store: &mut S,
        token: &str,
        directory: u64,
        extent: Extent,
        now_ms: i64,
    ) -> Result<(Greeting, Output), S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        let session = call.greet(token, directory, extent.into())?;
        Ok((Greeting(session), call.finish()?))
    }

    /// The session is the one of this greeting from now on; the region's answer to it is the next
    /// frame. One that was open ends here.
    pub fn begin(&mut self, greeting: Greeting) {
        self.hedge = None;
        self.session = Some(greeting.0);
    }

    /// What the session's region has not answered is offered to the region of this greeting, too.
    /// Its frames go through [`Node::hedge_frame`]. False where everything is answered.
    pub fn hedge(&mut self, greeting: Greeting) -> bool {
        let late = self.session.as_ref().map(|s| s.in_flight.clone()).unwrap_or_default();
        self.offer_elsewhere(late, greeting)
    }

    /// A frame of the hedge's region. Frames that are returned go there.
    pub fn hedge_frame<S: Store>(
        &mut self,
        store: &mut S,
        frame: RegionFrame,
        now_ms: i64,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Output, S::Error> {
        std::mem::swap(&mut self.session, &mut self.hedge);
        let done = self.frame(store, frame, now_ms, random);
        std::mem::swap(&mut self.session, &mut self.hedge);
        done
    }

    /// The hedge becomes the session; the one before ends.
    pub fn promote<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Output, S::Error> {
        self.session = self.hedge.take();
        let mut call = Call::begin(self, store, now_ms)?;
        call.promote(random)?;
        call.finish()
    }

    /// The hedge's connection is gone, or it has served its purpose.
    pub fn end_hedge(&mut self) {
        self.hedge = None;
    }

    /// Ops that the session's region has not answered.
    pub fn unanswered(&self) -> usize {
        self.session.as_ref().map_or(0, |s| s.in_flight.len())
    }

    /// A frame came. Randomness is for a new device id, where the old one turns out to be in use
    /// by another file.
    pub fn frame<S: Store>(
        &mut self,
        store: &mut S,
        frame: RegionFrame,
        now_ms: i64,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        call.on_frame(frame, random)?;
        call.finish()
    }

    /// Have the session's region say something, so that its silence shows.
    pub fn ping<S: Store>(&mut self, store: &mut S, now_ms: i64) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        call.ping();
        call.finish()
    }

    /// Push what may be pushed, and ask again for what is overdue. Called after writes and from
    /// time to time.
    pub fn poll<S: Store>(&mut self, store: &mut S, now_ms: i64) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        call.poll()?;
        call.finish()
    }

    /// All connections are gone.
    pub fn disconnected(&mut self) {
        self.session = None;
        self.hedge = None;
    }

    /// The region that the session is open with.
    pub fn online(&self) -> Option<RegionId> {
        self.session.as_ref().and_then(|s| s.region)
    }

    /// What the app sees of an entity.
    pub fn view<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
    ) -> Result<Option<View>, S::Error> {
        Call::begin(self, store, 0)?.view(key)
    }

    /// A text as it shows; empty if there is none.
    pub fn text<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
        field: FieldId,
    ) -> Result<String, S::Error> {
        let view = self.view(store, key)?;
        Ok(view.and_then(|mut v| v.texts.remove(&field)).unwrap_or_default())
    }

    /// The changes of a text behind `since`, all of them or up to `until`; `None` if this device
    /// does not have all of `until`, or the text cannot be read.
    pub fn text_changes<S: Store>(
        &mut self,
        store: &mut S,
        key: &EntityKey,
        field: FieldId,
        since: &Version,
        until: Option<&Version>,
    ) -> Result<Option<Vec<u8>>, S::Error> {
        Call::begin(self, store, 0)?.text_changes(key, field, since, until)
    }

    /// An author id that no other copy of any document has.
    pub fn text_author(&mut self, key: &EntityKey, field: FieldId) -> u64 {
        self.documents.author(key, field)
    }

    /// The app has dealt with the outcomes of an op: forget them, and the op if it was refused.
    pub fn dismiss<S: Store>(&mut self, store: &mut S, dot: Dot) -> Result<Output, S::Error> {
        let mut call = Call::begin(self, store, 0)?;
        call.dismiss(dot)?;
        call.finish()
    }

    /// Give the file to another account, with all that it never sent. False, and nothing is done,
    /// while a write of the account before is on its way.
    pub fn adopt<S: Store>(
        &mut self,
        store: &mut S,
        principal: Arc<str>,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<bool, S::Error> {
        let mut call = Call::begin(self, store, 0)?;
        let adopted = call.adopt(principal, random)?;
        call.finish()?;
        Ok(adopted)
    }

    /// Take back a write that never left this device, with its transaction and what stands on it.
    pub fn cancel<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        dot: Dot,
    ) -> Result<(Cancelled, Output), WriteError<S::Error>> {
        let mut call = Call::begin(self, store, now_ms)?;
        let cancelled = call.cancel(dot)?;
        Ok((cancelled, call.finish()?))
    }

    /// Create a deleted entity anew, with what it and all below it showed last. The receipt is
    /// empty if it is there.
    pub fn restore<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        key: &EntityKey,
    ) -> Result<(Receipt, Output), WriteError<S::Error>> {
        let mut call = Call::begin(self, store, now_ms)?;
        let receipt = call.restore(key)?;
        Ok((receipt, call.finish()?))
    }

    /// Take in what was rescued of a damaged file of the same account. Randomness is for a new
    /// device id, where the file is an older copy of that one.
    pub fn take_in<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        rescued: Rescued,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<(TakenIn, Output), S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        let taken = call.take_in_rescued(rescued, random)?;
        Ok((taken, call.finish()?))
    }

    /// Why a row shows on this device, or does not.
    pub fn explain<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        key: &EntityKey,
    ) -> Result<Explanation, S::Error> {
        Call::begin(self, store, now_ms)?.explain(key)
    }

    /// Make ops again that were made on another file, in one transaction, as seen from now.
    pub fn make_again<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        ops: &[Op],
    ) -> Result<(Receipt, Output), WriteError<S::Error>> {
        let mut call = Call::begin(self, store, now_ms)?;
        let receipt = call.make_again(ops)?;
        Ok((receipt, call.finish()?))
    }

    /// Keep refused writes of another file, until the app makes them anew or dismisses them.
    pub fn keep_refused<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        refused: Vec<OwnOp>,
    ) -> Result<(), S::Error> {
        let mut call = Call::begin(self, store, now_ms)?;
        call.keep_refused(refused)?;
        call.finish().map(drop)
    }

    /// Make the refused transaction of this op anew, as seen from now.
    pub fn resubmit<S: Store>(
        &mut self,
        store: &mut S,
        now_ms: i64,
        dot: Dot,
    ) -> Result<(Receipt, Output), WriteError<S::Error>> {
        let mut call = Call::begin(self, store, now_ms)?;
        let receipt = call.resubmit(dot)?;
        Ok((receipt, call.finish()?))
    }
}

pub(super) fn random_id(random: &mut dyn FnMut() -> u64) -> DeviceId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random().to_be_bytes());
    bytes[8..].copy_from_slice(&random().to_be_bytes());
    DeviceId(bytes)
}
