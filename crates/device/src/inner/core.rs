//! The file, the state machine on it, and the session, as the lock guards them.
//!
//! [`Core::run`] is one transaction, [`Core::send`] what comes behind its commit. Whatever fails in
//! between drops the node's memory and the session.

use super::BUSY_TIMEOUT;
use super::room::{Room, progress};
use super::typing::Typing;
use crate::engine::Answers;
use crate::error::{Error, OpenError, code};
use crate::event::Progress;
use crate::options::{Account, Options};
use crate::store::{self, Database, Transaction};
use crate::transaction::{Intent, NamedEdit};
use landfall_model::id::{EntityKey, Scope, TypeId};
use landfall_sync::device::node::{
    Close, Edit, Event as NodeEvent, Name, Node, Output, WriteError,
};
use landfall_sync::device::store::{Store, Subscription};
use landfall_sync::wire::DeviceFrame;
use landfall_sync::wire::device_frame::Kind;
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Own ops read at a time.
const OPS_PER_READ: usize = 1_000;

/// Rows shown anew in one transaction.
const ROWS_PER_TRANSACTION: usize = 1_000;

/// What the lock guards: the file, the node on it, and the session that it has.
pub(super) struct Core {
    pub database: Database,
    /// `None` after the file failed, until it is read again.
    pub node: Option<Node>,
    pub session: Option<Session>,
    /// Where frames of the hedge go; see [`Node::hedge`].
    pub hedge: Option<mpsc::UnboundedSender<DeviceFrame>>,
    /// Frames were taken in, and what there is no room for has not gone yet.
    pub taking_in: bool,
    pub room: Room,
    /// What was typed and is to become part of its op.
    pub typed: Option<Typing>,
    /// What the last call wrote, if more is to be typed into it.
    pub typing: Option<Typing>,
    /// Pushes that left on sessions' connections since the engine last asked.
    pub pushes: u64,
}

/// Which connection a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Session,
    Hedge,
}

/// A session, seen from the file's side.
#[derive(Debug)]
pub(super) struct Session {
    pub outgoing: mpsc::UnboundedSender<DeviceFrame>,
    pub ready: bool,
    pub drain: bool,
    /// Another process changed what is subscribed; a session says so only at its beginning.
    pub anew: bool,
    pub over: Option<Close>,
    /// Scopes subscribed when it began, or since.
    pub subscribed: BTreeSet<Scope>,
    /// Scopes whose pass has come to its end in this session.
    pub complete: BTreeSet<Scope>,
    /// Whether the region answers as it usually does.
    pub answers: Answers,
}

/// Why a transaction was not made.
pub(crate) enum Fault {
    /// The file failed: what the node knows may be wrong.
    Store(store::Error),
    /// Refused before anything was written.
    Refused(Error),
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<WriteError<store::Error>> for Fault {
    fn from(error: WriteError<store::Error>) -> Self {
        match error {
            WriteError::Store(error) => Self::Store(error),
            WriteError::Refused(refused) => Self::Refused(refused.into()),
        }
    }
}

impl Core {
    /// Open the file, and see that it is the account's.
    pub fn open(options: &Options, in_memory: bool) -> Result<Self, OpenError> {
        options.account.check()?;
        let opened = store::Options {
            busy_timeout: BUSY_TIMEOUT,
            shrinks: options.disk_bytes_max.is_some(),
            in_memory,
            elsewhere: options.elsewhere(),
            ..store::Options::default()
        };
        let mut database = Database::open(&options.path, &options.schema, opened)?;
        check_account(&mut database, options)?;
        let mut core = Self {
            database,
            node: None,
            session: None,
            hedge: None,
            taking_in: false,
            room: Room::Enough,
            typing: None,
            typed: None,
            pushes: 0,
        };
        core.node(options)?;
        core.show_stale(options)?;
        Ok(core)
    }

    /// The node, read from the file where it was dropped.
    pub fn node(&mut self, options: &Options) -> Result<&mut Node, store::Error> {
        if self.node.is_none() {
            let principal: Arc<str> = options.account.subject.as_str().into();
            let (schema, random) = (options.schema.clone(), options.random.clone());
            let now = options.clock.now_ms();
            let open = |t: &mut Transaction<'_>| {
                Node::open(t, schema, principal, &mut || random.next(), now)
            };
            let mut node = self.database.transact(false, open)?;
            if options.publishes {
                node.publish();
            }
            self.node = Some(node);
        }
        Ok(self.node.as_mut().expect("just opened"))
    }

    /// Show the rows anew whose types look otherwise under this schema.
    pub fn show_stale(&mut self, options: &Options) -> Result<(), store::Error> {
        let stale = self.database.look(|t| t.stale_types())?;
        if stale.is_empty() {
            return Ok(());
        }
        self.node(options)?;
        let node = self.node.as_mut().expect("just opened");
        let mut after: Option<EntityKey> = None;
        loop {
            let page = self.database.transact(false, |t| {
                let page = t.bases(after.as_ref(), ROWS_PER_TRANSACTION)?;
                show_page(node, t, page.iter().map(|(key, _)| key), &stale)?;
                Ok::<_, store::Error>(page)
            })?;
            match page.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        self.database.transact(false, |t| {
            let mut after = 0;
            loop {
                let page = t.ops(after, OPS_PER_READ)?;
                show_page(node, t, page.iter().map(|op| &op.sealed.op.key), &stale)?;
                let Some(last) = page.last() else { break };
                after = last.order;
            }
            stale.iter().try_for_each(|kind| t.mark_shown(*kind))
        })
    }

    pub fn forget(&mut self) {
        (self.typing, self.typed) = (None, None);
        self.node = None;
        self.session = None;
        self.hedge = None;
    }

    pub fn run<T>(
        &mut self,
        options: &Options,
        work: impl FnOnce(&mut Node, &mut Transaction<'_>, i64) -> Result<(T, Output), Fault>,
    ) -> Result<(T, Output), Error> {
        self.typed = self.typing.take().or(self.typed.take());
        self.node(options)?;
        let node = self.node.as_mut().expect("just opened");
        let now = options.clock.now_ms();
        let mut begun = false;
        let done = self.database.transact(false, |t| {
            begun = true;
            work(node, t, now)
        });
        match done {
            Ok(done) => Ok(done),
            Err(Fault::Refused(error)) => Err(error),
            Err(Fault::Store(error)) => {
                // A transaction that never began, because the file was busy, changed nothing.
                if begun {
                    self.forget();
                }
                Err(error.into())
            }
        }
    }

    /// Send what the committed call asks to be sent; on disk first, if it must be. `events` are
    /// those of the call.
    pub fn send(
        &mut self,
        lane: Lane,
        now: Duration,
        output: Output,
        events: &[NodeEvent],
    ) -> Result<(), Error> {
        if output.durable
            && !output.frames.is_empty()
            && let Err(error) = self.database.transact(true, |_| Ok::<(), store::Error>(()))
        {
            self.forget();
            return Err(error.into());
        }
        if lane == Lane::Hedge {
            self.send_hedge(output.frames, output.close.is_some());
            return Ok(());
        }
        let Some(session) = &mut self.session else { return Ok(()) };
        for frame in output.frames {
            self.pushes += u64::from(matches!(frame.kind, Some(Kind::Push(_))));
            if matches!(frame.kind, Some(Kind::Push(_) | Kind::Ping(_))) {
                session.answers.sent(now, frame.encoded_len());
            }
            // A connection that is gone is noticed by the engine.
            let _ = session.outgoing.send(frame);
        }
        for event in events {
            match event {
                NodeEvent::Online { .. } => session.ready = true,
                NodeEvent::Drain { .. } => session.drain = true,
                NodeEvent::Progress { scope, complete: true, .. } => {
                    session.complete.insert(scope.clone());
                }
                _ => {}
            }
        }
        if output.close.is_some() {
            session.over = output.close;
        }
        Ok(())
    }

    fn send_hedge(&mut self, frames: Vec<DeviceFrame>, over: bool) {
        let Some(hedge) = &self.hedge else { return };
        for frame in frames {
            let _ = hedge.send(frame);
        }
        if over {
            self.hedge = None;
        }
    }

    /// How far the subscriptions are that events tell of.
    pub fn progress_of(&mut self, events: &[NodeEvent]) -> Result<Vec<Progress>, store::Error> {
        let scope = |event: &NodeEvent| match event {
            NodeEvent::Progress { scope, .. } => Some(scope.clone()),
            _ => None,
        };
        let scopes: BTreeSet<Scope> = events.iter().filter_map(scope).collect();
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        self.database.look(|t| {
            let mut all = Vec::new();
            for scope in scopes {
                all.extend(t.subscription(&scope)?.map(|sub| progress(&scope, &sub)));
            }
            Ok(all)
        })
    }

    /// Nothing in the outbox, and every scope of at least this priority heard to its end in this
    /// session.
    pub fn is_settled(&mut self, priority_min: u8) -> Result<bool, Error> {
        if self.taking_in {
            return Ok(false);
        }
        let Some(session) = self.session.as_ref().filter(|s| s.ready) else { return Ok(false) };
        let complete = &session.complete;
        Ok(self.database.look(|t| {
            let waiting = !t.outbox(0, 1)?.is_empty();
            let subs = t.subscriptions()?;
            let done = |(scope, sub): &(Scope, Subscription)| {
                let out = sub.denied.is_some() || sub.terms.priority < priority_min;
                out || (!sub.loading && complete.contains(scope))
            };
            Ok::<bool, store::Error>(!waiting && subs.iter().all(done))
        })?)
    }

    /// Nothing in the outbox.
    pub fn is_drained(&mut self) -> Result<bool, Error> {
        Ok(self.database.look(|t| Ok::<_, store::Error>(t.outbox(0, 1)?.is_empty()))?)
    }
}

/// A file belongs to the account that made it: another's ops would be pushed under a wrong name.
fn check_account(database: &mut Database, options: &Options) -> Result<(), OpenError> {
    let Account { tenant, subject } = &options.account;
    let ours = database.transact(false, |t| match t.account()? {
        Some(known) => Ok(known == (tenant.clone(), subject.clone())),
        None => t.put_account(tenant, subject).map(|()| true),
    })?;
    if ours {
        return Ok(());
    }
    let message = "The file belongs to another account. Give every account a file of its own.";
    Err(Error::new(code::OTHER_ACCOUNT, message).into())
}

fn show_page<'k>(
    node: &mut Node,
    t: &mut Transaction<'_>,
    keys: impl Iterator<Item = &'k EntityKey>,
    stale: &[TypeId],
) -> Result<(), store::Error> {
    for key in keys.filter(|key| stale.contains(&key.kind)) {
        let view = node.view(t, key)?;
        t.show(key, view.as_ref())?;
    }
    Ok(())
}

/// The edit as the state machine takes it, which finds out what is meant: earlier edits of the
/// transaction count.
pub(super) fn edit(named: NamedEdit) -> Edit {
    let NamedEdit { intent, kind, id, home, fields } = named;
    match intent {
        Intent::Upsert => Edit::Upsert { kind, id, fields },
        Intent::Update => Edit::UpdateNamed { name: Name { kind, id, home }, fields },
        Intent::Delete => Edit::DeleteNamed { name: Name { kind, id, home } },
    }
}
