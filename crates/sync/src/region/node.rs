//! One region, seen by its driver.
//!
//! The driver owns sockets, clocks and the disk. It feeds frames in ([`Node::device_frame`],
//! [`Node::peer_frame`]), begins a store transaction, lets [`Node::work`] do everything that is
//! queued, commits with an fsync, and only then sends what `work` returned. Whatever was queued by
//! then shares one transaction and one fsync: that is the group commit.
//!
//! A crash before the commit loses the node's memory and the open transaction, and nothing that
//! anybody was told. If `work` or the commit fails, the driver drops the node and opens it anew.

mod devices;
mod fan_out;
mod passes;
mod peers;

use super::access::{Authenticator, Denial};
use super::inbox::{Frame, Inbox, Line};
pub use super::inbox::{Guard, LinkId};
use super::merge::Batch;
use super::session::Session;
pub use super::session::SessionId;
use super::store::{Identity, Store};
use super::{Config, Core};
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::wire;
use landfall_model::id::{DeviceId, EntityKey, RegionId, Scope};
use landfall_model::schema::Schema;
use landfall_model::vector::{Origin, Position, Vector};
use peers::Answers;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use wire::region_frame::Kind as ToDevice;

/// What the driver does after the commit.
#[derive(Debug, Default)]
pub struct Output {
    pub device: Vec<(SessionId, wire::RegionFrame)>,
    pub peer: Vec<(LinkId, wire::PeerFrame)>,
    /// To close once the frames are sent.
    pub close: Vec<SessionId>,
    pub close_links: Vec<LinkId>,
    /// The transaction changed something: it must be on disk before anything is sent.
    pub wrote: bool,
    /// There is work left that waits for nothing: call again.
    pub more: bool,
    pub reports: Vec<Report>,
    /// For counters: transactions of devices that were decided, their ops that were accepted, and
    /// log entries that peers sent.
    pub transactions: u64,
    pub ops: u64,
    pub entries_from_peers: u64,
}

/// Things that an operator should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A peer's log does not continue ours: damage at one of the two.
    LogMismatch { origin: Origin, after: u64 },
    /// This region began a new life, because its store is not the one that it last wrote.
    LifeBegan { region: RegionId, incarnation: u64 },
    /// The logs of an ended life were cut.
    LifeEnded { region: RegionId, incarnation: u64 },
    /// An entity has grown beyond what fits a frame: devices that lack its latest state stay so.
    RowTooLarge { key: EntityKey },
    /// A session or link was refused.
    Refused { code: String },
}

#[derive(Debug, Default)]
struct Link {
    /// We ask and the peer answers; else the other way round.
    asks: bool,
    region: Option<RegionId>,
    greeted: bool,
    /// Asking: what the last Want said, and how many Entries frames were taken in.
    asked: Option<(Vector, Vec<Position>)>,
    taken_in: u64,
    answers: Answers,
}

/// A region. See the module's prose for the contract with its driver.
pub struct Node {
    core: Core,
    auth: Box<dyn Authenticator>,
    inbox: Inbox,
    sessions: BTreeMap<SessionId, Session>,
    links: BTreeMap<LinkId, Link>,
    /// The link on which each peer asks, the latest of them.
    hears_on: BTreeMap<RegionId, LinkId>,
    /// Scope -> subscriptions, for fan-out.
    readers: BTreeMap<Scope, BTreeSet<(SessionId, u32)>>,
    /// Sessions that may have rows to be sent, the next one first. Each is in it once.
    senders: VecDeque<SessionId>,
    /// Live subscriptions whose cursor was above what is here, each with a log of which that is so, as
    /// far as it was looked for.
    behind: BTreeMap<(SessionId, u32), Option<Origin>>,
    /// Something has changed that may let one of those go on.
    moved: bool,
    /// Bytes of rows that the next turn may send, so that not too many wait to be taken.
    room: usize,
    /// The latest session of each device id.
    pushers: BTreeMap<DeviceId, SessionId>,
    /// A peer's vector moved: ops may have become durable.
    peers_moved: bool,
    token: String,
    /// What greetings say of how many devices may come back; 0: nothing.
    accepts_percent: u32,
    directory: Option<Directory>,
}

/// The list of regions that devices are given, signed by the operator.
#[derive(Debug, Clone)]
pub struct Directory {
    pub version: u64,
    pub jws: String,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "region {} with {} sessions", self.core.config.region.0, self.sessions.len())
    }
}

/// Frames handled in one call of [`Node::work`], and ops and log entries after which it begins no other
/// frame, and leaves the rest of one that it has begun: so that a turn stays short, and those who wait
/// for its end work on while the next one runs. Looking at what is kept of so many numbers counts as an
/// op.
const FRAMES_PER_TURN: usize = 512;
const OPS_PER_TURN: u64 = 1_024;
const OPS_PER_TURN_MAX: u64 = 2 * OPS_PER_TURN;

/// Ops and frames of one connection after which another one is served.
const OPS_IN_A_ROW: u64 = 512;
const FRAMES_IN_A_ROW: usize = 8;
const LOOK_UPS_PER_OP: u64 = 16;

/// Chunks sent in one turn, over all sessions.
const CHUNKS_PER_TURN: usize = 16;

/// Ends a session or a link with a typed error.
struct Stop {
    code: String,
    message: String,
}

impl Stop {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

impl From<Malformed> for Stop {
    fn from(m: Malformed) -> Self {
        Self::new("malformed", m.to_string())
    }
}

impl From<Denial> for Stop {
    fn from(d: Denial) -> Self {
        Self::new(d.code, d.message)
    }
}

/// A stop is the other side's fault, an error the store's.
type Handled<E> = Result<Result<(), Stop>, E>;

impl Node {
    /// Open the node on its store. `same_store` is the driver's evidence that the store is the one
    /// that this region last wrote; without it a new incarnation begins. `token` is what this
    /// region shows to its peers.
    pub fn open<S: Store>(
        store: &mut S,
        config: Config,
        schema: Arc<Schema>,
        auth: Box<dyn Authenticator>,
        token: String,
        same_store: bool,
        now_ms: i64,
    ) -> Result<Self, S::Error> {
        let heads: Vec<(Origin, u64)> =
            store.heads()?.into_iter().map(|(o, h)| (o, h.seq)).collect();
        let lives = heads.iter().map(|(o, _)| (o.region, o.incarnation)).collect();
        let mut core = Core {
            incarnation: 0,
            schema,
            vector: heads.into_iter().collect(),
            cuts: store.cuts()?.into_iter().collect(),
            peers: BTreeMap::new(),
            lives,
            opened: Vector::new(),
            doubts: BTreeMap::new(),
            reports: Vec::new(),
            config,
        };
        match store.identity()? {
            Some(known)
                if (same_store || mutant::active(Mutant::LifeReusedAfterRestore))
                    && known.region == core.config.region =>
            {
                core.incarnation = known.incarnation;
            }
            known => begin_life(&mut core, store, known.map_or(0, |k| k.incarnation), now_ms)?,
        }
        core.opened = core.vector.clone();
        Ok(Self {
            core,
            auth,
            inbox: Inbox::default(),
            sessions: BTreeMap::new(),
            links: BTreeMap::new(),
            hears_on: BTreeMap::new(),
            readers: BTreeMap::new(),
            senders: VecDeque::new(),
            behind: BTreeMap::new(),
            moved: false,
            room: usize::MAX,
            pushers: BTreeMap::new(),
            peers_moved: true,
            token,
            accepts_percent: 0,
            directory: None,
        })
    }

    /// Of a hundred devices that left for another region, so many may come back now.
    pub fn set_accepts(&mut self, percent: u32) {
        self.accepts_percent = percent.clamp(1, 100);
    }

    /// Give this to devices that know only an older one.
    pub fn set_directory(&mut self, directory: Option<Directory>) {
        self.directory = directory;
    }

    pub fn region(&self) -> RegionId {
        self.core.config.region
    }

    pub fn incarnation(&self) -> u64 {
        self.core.incarnation
    }

    /// All that this region holds.
    pub fn vector(&self) -> &Vector {
        &self.core.vector
    }

    /// A peer's vector as last heard, for status pages.
    pub fn peer_vector(&self, region: RegionId) -> Option<&Vector> {
        self.core.peers.get(&region).map(|p| &p.vector)
    }

    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Bytes of rows that the next turn may send in passes and answers; more wait until it is said again.
    pub fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
    }

    pub fn device_frame(&mut self, session: SessionId, frame: wire::DeviceFrame) {
        self.guarded_device_frame(session, frame, Box::new(()));
    }

    pub fn guarded_device_frame(
        &mut self,
        session: SessionId,
        frame: wire::DeviceFrame,
        guard: Guard,
    ) {
        self.inbox.push(Frame::Device(session, frame), guard);
    }

    /// Whether the session still has frames that wait, or rows to be sent as its credit allows.
    pub fn serves(&self, session: SessionId) -> bool {
        let sends = self.sessions.get(&session).is_some_and(|s| s.sends);
        sends || self.inbox.has(Line::Device(session))
    }

    /// Whether frames of the link still wait.
    pub fn serves_link(&self, link: LinkId) -> bool {
        self.inbox.has(Line::Peer(link))
    }

    pub fn device_gone(&mut self, session: SessionId) {
        self.inbox.forget(Line::Device(session));
        self.forget(session);
    }

    /// A link to a peer is up. The side that opened it asks, the other answers.
    pub fn link_up(&mut self, link: LinkId, asks: bool) {
        self.links.insert(link, Link { asks, ..Link::default() });
    }

    pub fn peer_frame(&mut self, link: LinkId, frame: wire::PeerFrame) {
        self.guarded_peer_frame(link, frame, Box::new(()));
    }

    pub fn guarded_peer_frame(&mut self, link: LinkId, frame: wire::PeerFrame, guard: Guard) {
        self.inbox.push(Frame::Peer(link, frame), guard);
    }

    pub fn link_down(&mut self, link: LinkId) {
        self.inbox.forget(Line::Peer(link));
        self.links.remove(&link);
        self.hears_on.retain(|_, l| *l != link);
    }

    /// Work on frames, of one connection after the other.
    fn serve<S: Store>(&mut self, store: &mut S, turn: &mut Turn) -> Result<(), S::Error> {
        let (mut served, mut began, mut frames) = (None, 0, 0);
        for _ in 0..FRAMES_PER_TURN {
            if turn.work() >= OPS_PER_TURN {
                break;
            }
            let Some((frame, guard)) = self.inbox.pop() else { break };
            let line = frame.line();
            if served.replace(line) != Some(line) {
                (began, frames) = (turn.work(), 0);
            }
            frames += 1;
            match frame {
                Frame::Device(id, frame) => match self.on_device(store, id, frame, turn)? {
                    Ok(None) => {}
                    Ok(Some(rest)) => self.inbox.put_back(Frame::Device(id, rest), guard),
                    Err(stop) => self.stop_session(id, stop, &mut turn.out),
                },
                Frame::Peer(id, frame) => {
                    // What a peer holds, and which of its lives it is in, decides on more than ops.
                    self.moved = true;
                    if let Err(stop) = self.on_peer(store, id, frame, turn)? {
                        self.stop_link(id, stop, &mut turn.out);
                    }
                }
            }
            if frames < FRAMES_IN_A_ROW && turn.work() < began + OPS_IN_A_ROW {
                self.inbox.stay(line);
            }
        }
        Ok(())
    }

    /// Do what is queued, inside the driver's open transaction.
    pub fn work<S: Store>(&mut self, store: &mut S, now_ms: i64) -> Result<Output, S::Error> {
        let before = self.core.vector.clone();
        let mut turn = Turn { now_ms, batch: Batch::default(), out: Output::default() };
        self.serve(store, &mut turn)?;
        turn.out.wrote |= self.core.log_due_cuts(store, &mut turn.batch)?;
        self.core.settle();
        turn.out.wrote |= !turn.batch.advanced.is_empty() || !turn.batch.cuts.is_empty();
        self.expire_sessions(&mut turn);
        self.tell_cuts(&mut turn);
        self.moved |= !turn.batch.advanced.is_empty() || self.core.vector != before;
        self.fan_out(store, &before, &mut turn)?;
        self.go_on_behind(&mut turn.out);
        self.run_passes(store, &mut turn)?;
        self.report_durable(&mut turn.out);
        self.talk_to_peers(store, &mut turn.out)?;
        turn.out.reports.append(&mut self.core.reports);
        turn.out.more |= !self.inbox.is_empty();
        Ok(turn.out)
    }
}

/// One call of [`Node::work`].
struct Turn {
    now_ms: i64,
    batch: Batch,
    out: Output,
}

impl Turn {
    /// What was worked on, in ops: a transaction that was refused cost as much as one that was not.
    fn work(&self) -> u64 {
        let ops = self.out.transactions.max(self.out.ops) + self.out.entries_from_peers;
        ops + self.batch.looked_up / LOOK_UPS_PER_OP
    }
}

/// A peer holds more of this life's logs than we wrote: our store was put back and nobody told.
/// What was written since this node started may contradict what the peer holds, and devices may
/// have seen either. So the old logs are cut where this node found them; who holds more, this
/// region too, logs that again.
fn begin_anew<S: Store>(core: &mut Core, store: &mut S, turn: &mut Turn) -> Result<(), S::Error> {
    let old = core.incarnation;
    begin_life(core, store, old, turn.now_ms)?;
    let streams: Vec<Origin> = core.streams(core.config.region, old).collect();
    for origin in streams {
        core.log_cut(store, origin, core.opened.get(origin), &mut turn.batch)?;
    }
    turn.out.wrote = true;
    Ok(())
}

/// A peer has proved that a log of ours has two branches above `last`: our store was put back, and
/// it has written since as much as it had lost.
fn end_at_fork<S: Store>(
    core: &mut Core,
    store: &mut S,
    origin: Origin,
    last: u64,
    turn: &mut Turn,
) -> Result<(), S::Error> {
    if origin.incarnation == core.incarnation {
        begin_anew(core, store, turn)?;
    }
    if core.cuts.get(&origin).is_none_or(|known| last < *known) {
        core.log_cut(store, origin, last, &mut turn.batch)?;
    }
    turn.out.wrote = true;
    Ok(())
}

fn begin_life<S: Store>(
    core: &mut Core,
    store: &mut S,
    above: u64,
    now_ms: i64,
) -> Result<(), S::Error> {
    let region = core.config.region;
    let known = core.lives.iter().filter(|(r, _)| *r == region).map(|(_, i)| *i).max();
    if above > 0 {
        // It may be that nothing here or at a peer tells of it, only a device's cursor.
        core.lives.insert((region, above));
    }
    core.incarnation = (now_ms.max(1) as u64).max(above + 1).max(known.unwrap_or(0) + 1);
    store.set_identity(Identity { region, incarnation: core.incarnation })?;
    core.reports.push(Report::LifeBegan { region, incarnation: core.incarnation });
    Ok(())
}

fn send(out: &mut Output, id: SessionId, kind: ToDevice) {
    out.device.push((id, wire::RegionFrame { kind: Some(kind) }));
}

fn wire_error(code: &str, message: &str) -> wire::Error {
    wire::Error { code: code.to_owned(), message: message.to_owned(), retry_after_ms: 0 }
}

fn wire_cut(origin: Origin, last: u64) -> wire::Cut {
    wire::Cut { origin: Some(convert::wire_origin(origin)), last }
}

fn received<S: Store>(store: &mut S, devices: &[DeviceId]) -> Result<Vec<wire::SeqSet>, S::Error> {
    devices.iter().map(|d| Ok(convert::wire_seq_set(&store.device(*d)?.received))).collect()
}
