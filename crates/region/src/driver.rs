//! The thread that owns the store and the node.
//!
//! It takes what its queue holds, lets the node work on it inside one store transaction, commits
//! with one fsync, and only then hands out what the node wants sent. While it writes, the queue
//! fills again: the busier the region, the more pushes share an fsync. It waits for its queue and
//! for the disk, and for nothing else; a connection that does not take its frames is closed.
//!
//! A crash loses the open transaction and what nobody was told. If the store fails, or the node
//! panics, the thread does the same to itself: it drops node and store, closes every connection,
//! and opens them again; devices and peers come back and resume.

mod engine;
mod gauge;

use crate::inputs::{Event, Input, wire_error};
use crate::limits;
use crate::outbox::Outbox;
use crate::server::Shared;
use crate::status::PeerPicture;
use engine::Engine;
pub use engine::Error;
use gauge::Gauge;
use landfall_model::id::RegionId;
use landfall_model::schema::Schema;
use landfall_sync::region::node::{LinkId, Output, Report, SessionId};
use landfall_sync::wire;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};
use wire::device_frame::Kind as FromDevice;
use wire::peer_frame::Kind as PeerKind;
use wire::region_frame::Kind as ToDevice;

pub(crate) struct Driver {
    shared: Arc<Shared>,
    schema: Arc<Schema>,
    queue: mpsc::UnboundedReceiver<Input>,
    /// None after a failure, until the store opens again.
    engine: Option<Engine>,
    sessions: HashMap<SessionId, Outbox<wire::RegionFrame>>,
    links: HashMap<LinkId, Link>,
    /// Sessions and links to close when all that they asked is answered.
    ending: Vec<SessionId>,
    ending_links: Vec<LinkId>,
    gauge: Gauge,
}

struct Link {
    outbox: Outbox<wire::PeerFrame>,
    /// The peer that we dialled.
    dialled: Option<RegionId>,
}

/// What the inputs so far ask for.
enum Next {
    /// Nothing that the node must see.
    Nothing,
    Turn,
    Stop(oneshot::Sender<bool>),
    Kill,
}

impl Driver {
    /// Open the store, and the node on it. Nothing runs yet.
    pub fn open(
        shared: Arc<Shared>,
        schema: Arc<Schema>,
        queue: mpsc::UnboundedReceiver<Input>,
    ) -> Result<Self, Error> {
        let engine = Engine::open(&shared.config, &schema)?;
        let mut driver = Self {
            shared,
            schema,
            queue,
            engine: Some(engine),
            sessions: HashMap::new(),
            links: HashMap::new(),
            ending: Vec::new(),
            ending_links: Vec::new(),
            gauge: Gauge::default(),
        };
        // The node has reports of its opening.
        driver.turn();
        Ok(driver)
    }

    /// The thread's work, until it is told to end.
    pub fn run(mut self) {
        let mut more = true;
        loop {
            match self.gather(more) {
                Next::Nothing => {}
                Next::Turn => more = self.turn(),
                Next::Stop(done) => {
                    let clean = self.stop();
                    let _ = done.send(clean);
                    return;
                }
                Next::Kill => return,
            }
            self.close_ended();
            // Those who left without a turn do not count any more.
            let sessions = self.sessions.len();
            self.shared.board.update(|p| p.sessions = sessions);
        }
    }

    /// Wait for an input, unless there is `more` work, and take all others that are there.
    fn gather(&mut self, more: bool) -> Next {
        let mut next = if more { Next::Turn } else { Next::Nothing };
        let mut waited = more;
        for _ in 0..limits::INPUTS_PER_TURN {
            let input = if waited { self.queue.try_recv().ok() } else { self.first() };
            waited = true;
            if self.shared.killed.load(Ordering::Relaxed) {
                return Next::Kill;
            }
            let Some(input) = input else { break };
            match self.take(input) {
                Next::Nothing => {}
                Next::Turn => next = Next::Turn,
                end => return end,
            }
        }
        next
    }

    /// The first input of a turn. With many sessions it may pay to let others join it.
    fn first(&mut self) -> Option<Input> {
        // The queue never closes: this driver's own handle keeps it open.
        let first = self.queue.blocking_recv();
        let gather = self.shared.config.gather;
        if !gather.is_zero() && self.sessions.len() > 1 {
            std::thread::sleep(gather);
        }
        first
    }

    fn take(&mut self, input: Input) -> Next {
        match input {
            Input::Device(id, event) => self.take_device(id, event),
            Input::Peer(id, event) => self.take_peer(id, event),
            Input::Dialled(id, peer, outbox) => {
                let link = Link { outbox, dialled: Some(peer) };
                self.link_up(id, link, true);
                Next::Turn
            }
            Input::Tick => self.tick(),
            Input::Drain(within) => {
                let within_ms = within.as_millis() as u64;
                let drain = || ToDevice::Drain(wire::Drain { within_ms });
                let ids: Vec<_> = self.sessions.keys().copied().collect();
                ids.into_iter().for_each(|id| self.send(id, drain()));
                Next::Nothing
            }
            Input::Stop(done) => Next::Stop(done),
            Input::Kill => Next::Kill,
        }
    }

    fn take_device(
        &mut self,
        id: SessionId,
        event: Event<wire::DeviceFrame, wire::RegionFrame>,
    ) -> Next {
        match event {
            // Without a store there is nobody to talk to: the outbox is dropped, which closes it.
            Event::Up(outbox) if self.engine.is_some() => {
                self.sessions.insert(id, outbox);
                self.shared.board.counters.sessions_opened.add(1);
            }
            Event::Frame(frame, permit) if self.sessions.contains_key(&id) => {
                let counters = &self.shared.board.counters;
                counters.frames_in.add(1);
                counters.pushes.add(u64::from(matches!(frame.kind, Some(FromDevice::Push(_)))));
                if let Some(engine) = &mut self.engine {
                    engine.node.guarded_device_frame(id, frame, Box::new(permit));
                }
                return Next::Turn;
            }
            Event::Failed(error) => {
                self.gauge.report(&error.code);
                self.send(id, ToDevice::Error(error));
                self.close(id);
            }
            Event::Ended => self.ending.push(id),
            Event::Gone => self.close(id),
            Event::Up(_) | Event::Frame(..) => {}
        }
        Next::Nothing
    }

    fn take_peer(&mut self, id: LinkId, event: Event<wire::PeerFrame, wire::PeerFrame>) -> Next {
        match event {
            Event::Up(outbox) => self.link_up(id, Link { outbox, dialled: None }, false),
            Event::Frame(frame, permit) if self.links.contains_key(&id) => {
                if let Some(PeerKind::Error(e)) = &frame.kind {
                    tracing::warn!(link = id.0, code = e.code, "a peer refused the link");
                    self.gauge.report("peer_refused_us");
                }
                if let Some(engine) = &mut self.engine {
                    engine.node.guarded_peer_frame(id, frame, Box::new(permit));
                }
                return Next::Turn;
            }
            Event::Failed(error) => {
                self.gauge.report(&error.code);
                self.send_peer(id, PeerKind::Error(error));
                self.close_link(id);
            }
            Event::Ended => self.ending_links.push(id),
            Event::Gone => self.close_link(id),
            Event::Frame(..) => {}
        }
        Next::Nothing
    }

    fn link_up(&mut self, id: LinkId, link: Link, asks: bool) {
        if let Some(engine) = &mut self.engine {
            engine.node.link_up(id, asks);
            self.links.insert(id, link);
        }
    }

    /// Once a second: rates, the marker, and a failed store's next chance.
    fn tick(&mut self) -> Next {
        let ops_per_second = self.gauge.rate(self.shared.board.counters.ops.get());
        self.shared.board.update(|p| p.ops_per_second = ops_per_second);
        if let Some(engine) = &mut self.engine {
            engine.node.set_accepts(self.shared.accepts_percent());
        }
        match &self.engine {
            None => self.reopen(),
            Some(engine) if engine.mark_due(self.shared.config.clock.now_ms()) => self.mark(),
            Some(_) => {}
        }
        // A turn finds expired tokens.
        Next::Turn
    }

    /// One transaction. True if there is more to do at once.
    fn turn(&mut self) -> bool {
        let Some(engine) = &mut self.engine else { return false };
        engine.node.set_room(limits::WAITING_BYTES_MAX.saturating_sub(self.shared.waiting.bytes()));
        let now_ms = self.shared.config.clock.now_ms();
        match engine.turn(now_ms, &self.shared.board.counters) {
            Ok(mut out) => {
                let more = out.more;
                let new_life = engine.new_life();
                self.count(&mut out);
                // First the picture, then the frames: who has an answer finds it on the page.
                self.publish();
                self.route(out);
                if new_life {
                    self.mark();
                }
                more
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    fn count(&mut self, out: &mut Output) {
        let counters = &self.shared.board.counters;
        counters.transactions.add(out.transactions);
        counters.ops.add(out.ops);
        counters.entries_from_peers.add(out.entries_from_peers);
        for report in out.reports.drain(..) {
            self.gauge.report(gauge::name(&report));
            match report {
                Report::Refused { code } => tracing::debug!(code, "refused"),
                begun @ Report::LifeBegan { .. } => {
                    tracing::info!(report = ?begun, "the region reports");
                }
                other => tracing::warn!(report = ?other, "the region reports"),
            }
        }
    }

    fn route(&mut self, out: Output) {
        self.count_deltas(&out);
        for (id, frame) in out.device {
            if let Some(kind) = frame.kind {
                self.send(id, kind);
            }
        }
        for (id, frame) in out.peer {
            if let Some(kind) = frame.kind {
                self.send_peer(id, kind);
            }
        }
        out.close.into_iter().for_each(|id| self.close(id));
        out.close_links.into_iter().for_each(|id| self.close_link(id));
    }

    /// Frames with one body follow each other and share its memory, all of it alive at this point.
    fn count_deltas(&self, out: &Output) {
        let delta = |frame: &wire::RegionFrame| match &frame.kind {
            Some(ToDevice::Delta(d)) => Some(d.body.as_ptr()),
            _ => None,
        };
        let mut bodies: Vec<_> = out.device.iter().filter_map(|(_, f)| delta(f)).collect();
        self.shared.board.counters.deltas.add(bodies.len() as u64);
        bodies.dedup();
        self.shared.board.counters.delta_bodies.add(bodies.len() as u64);
    }

    fn send(&mut self, id: SessionId, kind: ToDevice) {
        let Some(outbox) = self.sessions.get(&id) else {
            return;
        };
        self.shared.board.counters.frames_out.add(1);
        if outbox.send(wire::RegionFrame { kind: Some(kind) }).is_err() {
            self.shared.board.counters.closed_slow.add(1);
            tracing::info!(session = id.0, "closed: it does not take its frames");
            self.close(id);
        }
    }

    fn send_peer(&mut self, id: LinkId, mut kind: PeerKind) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        if let PeerKind::Hello(hello) = &mut kind {
            // The node's token is as old as the node; what is sent is fresh and short-lived.
            let config = &self.shared.config;
            match config.keys.peer_token(config.region, config.clock.now_ms()) {
                Ok(token) => hello.token = token,
                Err(error) => tracing::error!(%error, "no token for a peer"),
            }
        }
        if link.outbox.send(wire::PeerFrame { kind: Some(kind) }).is_err() {
            self.shared.board.counters.closed_slow.add(1);
            tracing::info!(link = id.0, "closed: it does not take its frames");
            self.close_link(id);
        }
    }

    /// Dropping the outbox ends the connection once it has sent what was queued.
    fn close(&mut self, id: SessionId) {
        self.sessions.remove(&id);
        if let Some(engine) = &mut self.engine {
            engine.node.device_gone(id);
        }
    }

    fn close_link(&mut self, id: LinkId) {
        self.links.remove(&id);
        if let Some(engine) = &mut self.engine {
            engine.node.link_down(id);
        }
    }

    /// Who has nothing more to say is closed when it has been answered, whatever else there is to do.
    fn close_ended(&mut self) {
        if self.ending.is_empty() && self.ending_links.is_empty() {
            return;
        }
        let node = self.engine.as_ref().map(|e| &e.node);
        let serves = |id: &SessionId| node.is_some_and(|n| n.serves(*id));
        let over: Vec<_> = self.ending.extract_if(.., |id| !serves(id)).collect();
        let serves = |id: &LinkId| node.is_some_and(|n| n.serves_link(*id));
        let over_links: Vec<_> = self.ending_links.extract_if(.., |id| !serves(id)).collect();
        over.into_iter().for_each(|id| self.close(id));
        over_links.into_iter().for_each(|id| self.close_link(id));
    }

    /// The disk or the node cannot be trusted: forget both, and everybody who waits for them.
    fn fail(&mut self, error: &Error) {
        tracing::error!(%error, cause = ?std::error::Error::source(error), "the store is closed");
        self.shared.board.counters.store_failures.add(1);
        self.engine = None;
        self.sessions.clear();
        self.links.clear();
        self.reopen();
    }

    /// Try to open the store again; the next tick is the next chance.
    fn reopen(&mut self) {
        match Engine::open(&self.shared.config, &self.schema) {
            Ok(engine) => self.engine = Some(engine),
            Err(error) => tracing::error!(%error, "the store cannot be opened"),
        }
        self.publish();
    }

    fn mark(&mut self) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        if let Err(error) = engine.mark(&self.shared.config) {
            // An old marker costs a new incarnation at the next start, and no data.
            tracing::warn!(%error, "the marker cannot be written");
        }
    }

    /// True if the store was closed in order.
    fn stop(&mut self) -> bool {
        let farewell = || ToDevice::Error(wire_error("closing", "the region is stopping", 0));
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        ids.into_iter().for_each(|id| self.send(id, farewell()));
        self.sessions.clear();
        self.links.clear();
        let clean = match self.engine.take().map(|engine| engine.close(&self.shared.config)) {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::error!(%error, "the store did not close cleanly");
                false
            }
            // It failed before, and was told then.
            None => false,
        };
        self.publish();
        clean
    }

    /// Put what the status page shows where others can read it.
    fn publish(&mut self) {
        let node = self.engine.as_ref().map(|e| &e.node);
        let dialled: Vec<RegionId> = self.links.values().filter_map(|l| l.dialled).collect();
        let sessions = self.sessions.len();
        let reports = self.gauge.changed_reports();
        let peers = self.shared.config.peers.iter().map(|p| p.region);
        self.shared.board.update(|picture| {
            picture.store_open = node.is_some();
            picture.sessions = sessions;
            if let Some(reports) = reports {
                picture.reports = reports;
            }
            let Some(node) = node else { return };
            picture.incarnation = node.incarnation();
            if picture.vector != *node.vector() {
                picture.vector = node.vector().clone();
            }
            for region in peers {
                let vector = node.peer_vector(region).cloned().unwrap_or_default();
                let connected = dialled.contains(&region);
                picture.peers.insert(region, PeerPicture { connected, vector });
            }
        });
    }
}
