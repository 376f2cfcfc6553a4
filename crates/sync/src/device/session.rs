//! One conversation with a region: greeting, time, subscriptions, and what goes on in between.
//!
//! A session is memory. What it must not forget is in the store; what it holds here (what the
//! region has received, what is on its way there) the next greeting tells anew.

use super::call::Call;
use super::node::{Event, Extent};
use super::output::{RENEWED, RESCUED};
use super::store::{OpState, Store, Subscription, Terms};
use super::undecided::Again;
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::wire::device_frame::Kind;
use crate::wire::region_frame::Kind as FromRegion;
use crate::{limits, wire};
use landfall_model::id::{DeviceId, Dot, EntityKey, RegionId, Scope};
use landfall_model::op::Fingerprint;
use landfall_model::schema::LOCAL_HOME;
use landfall_model::vector::{Origin, Position, SeqSet, Vector};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a session is for.
#[derive(Debug, Default)]
pub(super) enum Purpose {
    /// Everything: pushes, rows, what the region says besides.
    #[default]
    Whole,
    /// Own writes and their fates: rows would cost what the user does not want to spend now.
    Pushes,
    /// Own writes, and once none of them is unanswered (`rows`), the rows of subscriptions of at
    /// least this priority. A write that cannot leave yet holds up nothing.
    InTurn { priority_min: u8, rows: bool },
    /// These ops, which another region has not answered in time. Nothing else leaves, and what the
    /// region says besides waits until the hedge becomes the session that it was greeted for.
    Hedge { late: BTreeSet<Dot>, then: Box<Purpose> },
}

impl From<Extent> for Purpose {
    fn from(extent: Extent) -> Self {
        match extent {
            Extent::Whole => Self::Whole,
            Extent::Pushes => Self::Pushes,
            Extent::InTurn { priority_min } => Self::InTurn { priority_min, rows: false },
        }
    }
}

impl Purpose {
    /// Whether rows of a subscription of this priority are asked for now.
    fn asks_for(&self, priority: u8) -> bool {
        match self {
            Self::Whole => true,
            Self::InTurn { priority_min, rows } => *rows && priority >= *priority_min,
            Self::Pushes | Self::Hedge { .. } => false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub purpose: Purpose,
    /// The region's greeting, as far as a hedge leaves it to be taken in later.
    pub welcome: Option<wire::Welcome>,
    /// Known once the region has greeted back.
    pub region: Option<RegionId>,
    pub hello_ms: i64,
    /// The ids of Hello, in its order.
    pub ids: Vec<DeviceId>,
    /// What the region has of each of them.
    pub received: BTreeMap<DeviceId, SeqSet>,
    /// Pushed in this session and not answered.
    pub in_flight: BTreeSet<Dot>,
    /// Own ops that the region has, as it answered for their payloads in this session, and where;
    /// it does not know any more of those that it has forgotten.
    pub vouched: BTreeMap<Dot, Option<Position>>,
    /// Own ops that it lacks, though it has their numbers: from a copy of this file.
    pub strangers: BTreeSet<Dot>,
    /// Refused in this session, or accepted beside it: pushed again, or asked about, only now and then
    /// (`again`), or where written anew.
    pub refused: BTreeSet<Dot>,
    pub again: Again,
    /// Refused, pushed again, and not answered since.
    pub retried: BTreeSet<Dot>,
    /// The file took a new id, which the greeting did not name: the next poll ends the session.
    pub outdated: bool,
    pub push_ops: usize,
    /// Bytes of op payload pushed in this session.
    pub pushed: usize,
    /// All regions, and those that are lost.
    pub regions: BTreeSet<RegionId>,
    pub lost: BTreeSet<RegionId>,
    pub copies: u32,
    /// Ended logs, each with the last number that counts.
    pub cuts: BTreeMap<Origin, u64>,
    pub subs: BTreeMap<u32, Sub>,
    pub last_sub: u32,
    /// Delta bytes taken in and not yet given back as credit.
    pub consumed: u64,
    /// The region is known to hold all of this.
    pub vector: Vector,
    /// Round trip of the best time exchange so far.
    pub round_trip: Option<i64>,
    /// Own ops up to this `order` need no look: they are pushed, or may not be.
    pub scanned: u64,
    /// Ops retired since the region was last told of such.
    pub retired: usize,
    /// Retired numbers that the region was told, until it answers what was sent behind them.
    pub confirming: Option<(i64, Vec<(DeviceId, SeqSet)>)>,
    pub refetched_ms: i64,
    /// Subscriptions with rows to be asked for once fewer questions are open; true: whatever the region
    /// is known to hold.
    pub to_refetch: BTreeMap<u32, bool>,
    /// An op was answered that rows had been waiting for.
    pub settled: bool,
}

/// A subscription, as numbered in this session.
#[derive(Debug, Default)]
pub(super) struct Sub {
    pub scope: Scope,
    /// Cursor and pass as this session left them. Another process may let the scope go and take it
    /// back: what comes then for the old subscription says nothing about the new one.
    pub known: Subscription,
    /// The region's vector covers the cursor. Unknown until the first chunk, which counts as no.
    pub covering: bool,
    /// A Refetch is on its way, for so many rows.
    pub refetching: Option<usize>,
    /// The last row that was looked at for a Refetch, while the walk over them goes on.
    pub walked: Option<EntityKey>,
}

/// Those of a file's earlier ids that a greeting names: the oldest first, so once they are settled, the
/// next greeting names others.
fn named_former(former: &[DeviceId]) -> impl Iterator<Item = &DeviceId> {
    former.iter().take(limits::HELLO_DEVICES_MAX - 1)
}

impl<S: Store> Call<'_, S> {
    /// The first frame, and the session that it may become.
    pub fn greet(
        &mut self,
        token: &str,
        directory: u64,
        purpose: Purpose,
    ) -> Result<Session, S::Error> {
        self.prune_former()?;
        let mut ids = vec![self.meta.device];
        ids.extend(named_former(&self.meta.former));
        let hello = wire::Hello {
            versions: limits::WIRE_VERSIONS.to_vec(),
            token: token.to_owned(),
            devices: ids.iter().map(|d| d.0.to_vec().into()).collect(),
            placement: 0,
            sent_ms: self.now_ms,
            codecs: vec![1],
            credit: limits::CREDIT_BYTES,
            directory,
            ..wire::Hello::default()
        };
        self.send(Kind::Hello(hello));
        Ok(Session { purpose, hello_ms: self.now_ms, ids, ..Session::default() })
    }

    /// Earlier ids of which nothing is left to say are forgotten.
    fn prune_former(&mut self) -> Result<(), S::Error> {
        if self.meta.former.is_empty() {
            return Ok(());
        }
        let mut used: BTreeSet<DeviceId> =
            self.all_ops()?.iter().map(|op| op.sealed.op.device()).collect();
        used.extend(self.store.voids()?.iter().map(|v| v.sealed.op.device()));
        used.extend(self.store.unconfirmed()?.iter().map(|(d, _)| *d));
        self.meta.former.retain(|d| used.contains(d));
        Ok(())
    }

    pub fn on_frame(
        &mut self,
        frame: wire::RegionFrame,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<(), S::Error> {
        let Some(session) = &self.node.session else { return Ok(()) };
        let greeted = session.region.is_some();
        let hedges = matches!(session.purpose, Purpose::Hedge { .. });
        let handled = match frame.kind {
            Some(FromRegion::Error(e)) => {
                self.stop(&e.code, e.message);
                if let Some(close) = &mut self.out.close {
                    close.retry_after_ms = e.retry_after_ms;
                }
                Ok(Ok(()))
            }
            Some(FromRegion::Welcome(w)) if !greeted => self.on_welcome(w, random),
            Some(_) if !greeted => Ok(Err(Malformed("greeting"))),
            Some(FromRegion::Cuts(_) | FromRegion::Closed(_) | FromRegion::Drain(_)) if hedges => {
                self.stop("hedge", "the region has more to say than a hedge can take in");
                Ok(Ok(()))
            }
            Some(FromRegion::Delta(d)) => self.on_delta(d, random),
            Some(FromRegion::Fates(f)) => self.on_fates(f),
            Some(FromRegion::Durable(d)) => self.on_durable(&d),
            Some(FromRegion::Cuts(c)) => match self.on_cuts(&c.cuts)? {
                Ok(()) => self.on_void(&c.void),
                Err(malformed) => Ok(Err(malformed)),
            },
            Some(FromRegion::Closed(c)) => self.on_closed(&c, random),
            Some(FromRegion::Drain(d)) => {
                self.out.events.push(Event::Drain { within_ms: d.within_ms });
                Ok(Ok(()))
            }
            Some(FromRegion::Pong(p)) => self.on_pong(p),
            Some(FromRegion::Denied(d)) => self.on_denied(&d),
            Some(FromRegion::Directory(d)) => {
                self.out.events.push(Event::Directory { jws: d.jws });
                Ok(Ok(()))
            }
            Some(FromRegion::Welcome(_)) => Ok(Err(Malformed("second greeting"))),
            // A frame of a later version.
            None => Ok(Ok(())),
        }?;
        if let Err(malformed) = handled {
            self.stop("malformed", malformed.to_string());
        }
        Ok(())
    }

    fn on_welcome(
        &mut self,
        w: wire::Welcome,
        random: &mut dyn FnMut() -> u64,
    ) -> Handled<S::Error> {
        if !limits::WIRE_VERSIONS.contains(&w.version) {
            self.stop("version", "the region chose a wire version that was not offered");
            return Ok(Ok(()));
        }
        let Some(session) = &mut self.node.session else { return Ok(Ok(())) };
        if w.known.len() != session.ids.len() || w.hello_ms != session.hello_ms {
            return Ok(Err(Malformed("greeting")));
        }
        // While the greeting was on its way, this file may have got ids that it did not name.
        if session.ids.first() != Some(&self.meta.device) {
            self.stop(RENEWED, "this file has a new device id; greet again under it");
            return Ok(Ok(()));
        }
        if !named_former(&self.meta.former).all(|former| session.ids.contains(former)) {
            self.stop(RESCUED, "this file has writes of another one; greet again with its ids");
            return Ok(Ok(()));
        }
        let mut closed = BTreeSet::new();
        for (id, known) in session.ids.iter().zip(&w.known) {
            match convert::seq_set(known.received.as_ref()) {
                Ok(received) => session.received.insert(*id, received),
                Err(m) => return Ok(Err(m)),
            };
            if known.closed {
                closed.insert(*id);
            }
        }
        let Ok(region) = w.region.try_into() else { return Ok(Err(Malformed("region"))) };
        session.region = Some(RegionId(region));
        session.push_ops = w.push_ops.clamp(1, limits::PUSH_OPS_MAX) as usize;
        let ids =
            |of: &[u32]| of.iter().filter_map(|r| (*r).try_into().ok().map(RegionId)).collect();
        (session.regions, session.lost) = (ids(&w.regions), ids(&w.lost));
        session.copies = w.copies.max(1);
        self.take_time(w.hello_ms, w.received_ms, w.sent_ms);
        let is_closed = closed.contains(&self.meta.device);
        let Some(session) = &mut self.node.session else { return Ok(Ok(())) };
        if let Purpose::Hedge { .. } = session.purpose {
            if is_closed || self.used_elsewhere() {
                // Nor did the first region's greeting name the new id.
                if let Some(first) = &mut self.node.hedge {
                    first.outdated = true;
                }
                self.renew(random)?;
                return Ok(Ok(()));
            }
            // While its frames are taken in, the hedge stands where the session does else.
            if let Some(session) = &mut self.node.session {
                session.welcome = Some(w);
            }
            return self.push().map(Ok);
        }
        self.open_session(RegionId(region), w, is_closed, random)
    }

    /// Take in what the region said besides, push, and ask for rows.
    fn open_session(
        &mut self,
        region: RegionId,
        w: wire::Welcome,
        is_closed: bool,
        random: &mut dyn FnMut() -> u64,
    ) -> Handled<S::Error> {
        self.out.events.push(Event::Online { region });
        if let Err(malformed) = self.on_cuts(&w.cuts)? {
            return Ok(Err(malformed));
        }
        if is_closed || self.used_elsewhere() {
            self.renew(random)?;
            return Ok(Ok(()));
        }
        self.restamp()?;
        self.ask_fates(|_| true)?;
        self.confirm()?;
        // Answers to what is pushed come before the rows then.
        self.push()?;
        self.out.events.push(Event::Granted { scopes: w.scopes, audiences: w.audiences });
        if self.node.session.as_ref().is_some_and(|s| matches!(s.purpose, Purpose::Whole)) {
            self.subscribe_all()?;
        }
        Ok(Ok(()))
    }

    /// Ask for the rows of every subscription, of higher priorities first.
    fn subscribe_all(&mut self) -> Result<(), S::Error> {
        let mut subs = self.store.subscriptions()?;
        subs.sort_by_key(|(_, sub)| Reverse(sub.terms.priority));
        subs.into_iter().try_for_each(|(scope, sub)| self.send_subscribe(scope, &sub))
    }

    /// Where rows come after own writes, and none of those is unanswered: ask for the rows.
    pub fn rows_in_turn(&mut self) -> Result<(), S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(()) };
        match &mut session.purpose {
            Purpose::InTurn { rows, .. } if !*rows && session.in_flight.is_empty() => *rows = true,
            _ => return Ok(()),
        }
        self.subscribe_all()
    }

    /// The hedge is the session that it was greeted for from now on.
    pub fn promote(&mut self, random: &mut dyn FnMut() -> u64) -> Result<(), S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(()) };
        if let Purpose::Hedge { then, .. } = std::mem::take(&mut session.purpose) {
            session.purpose = *then;
        }
        // What the hedge left out is to be looked at.
        session.scanned = 0;
        let (Some(region), Some(welcome)) = (session.region, session.welcome.take()) else {
            return Ok(());
        };
        if let Err(malformed) = self.open_session(region, welcome, false, random)? {
            self.stop("malformed", malformed.to_string());
        }
        Ok(())
    }

    /// The region has numbers under this id that this file never sent.
    pub fn used_elsewhere(&self) -> bool {
        let received = self.node.session.as_ref().and_then(|s| s.received.get(&self.meta.device));
        received.is_some_and(|r| r.highest() > self.meta.sent_seq)
            && !mutant::active(Mutant::DotReusedAfterRollback)
    }

    /// Ask what became of ops that a region has accepted and that are not known to be durable here,
    /// or whose rows are still to come.
    ///
    /// So is one that another region has accepted and this one refuses: the log that it was accepted
    /// into may be one that nobody holds any more.
    ///
    /// An op without any answer is not asked for but pushed again, even if its number was
    /// received: only its payload tells whether it is this file's op that the region has, or one
    /// of a copy of this file.
    pub fn ask_fates(&mut self, about: impl Fn(Dot) -> bool) -> Result<(), S::Error> {
        let mut asked: BTreeMap<DeviceId, BTreeMap<u64, (Fingerprint, wire::Position)>> =
            BTreeMap::new();
        let ops = self.ops_that_left()?.into_iter().chain(self.store.voids()?);
        for own in ops.filter(|own| about(own.sealed.op.dot)) {
            let dot = own.sealed.op.dot;
            let accepted = match own.state {
                OpState::Accepted { position } => convert::wire_position(position),
                OpState::Durable { position } if own.overlay => convert::wire_position(position),
                // From a damaged file: pushed only where its number did not arrive.
                ref state if state.is_rescued() && !own.sealed.op.is_void() => {
                    wire::Position::default()
                }
                _ => continue,
            };
            if self.has_received(dot) || self.refuses(dot) {
                let of = asked.entry(dot.device).or_default();
                of.insert(dot.seq, (own.sealed.fingerprint, accepted));
            }
        }
        for (device, ops) in asked {
            let ops: Vec<(u64, (Fingerprint, wire::Position))> = ops.into_iter().collect();
            for batch in ops.chunks(limits::PUSH_OPS_MAX as usize) {
                let set = SeqSet::from_parts(0, batch.iter().map(|(s, _)| (*s, *s)));
                self.send(Kind::Status(wire::Status {
                    device: device.0.to_vec().into(),
                    seqs: Some(convert::wire_seq_set(&set)),
                    fingerprints: batch.iter().flat_map(|(_, (f, _))| f.0).collect(),
                    positions: batch.iter().map(|(_, (_, at))| *at).collect(),
                }));
            }
        }
        Ok(())
    }

    /// The region has the number, and is not known to have it for another op alone.
    pub fn has_received(&self, dot: Dot) -> bool {
        self.node.session.as_ref().is_some_and(|s| {
            let received = s.received.get(&dot.device).is_some_and(|r| r.contains(dot.seq));
            received && !s.strangers.contains(&dot)
        })
    }

    /// The region has refused the op in this session.
    fn refuses(&self, dot: Dot) -> bool {
        let refuses = |s: &Session| s.refused.contains(&dot) || s.retried.contains(&dot);
        self.node.session.as_ref().is_some_and(refuses)
    }

    /// The region has answered for this very op in this session.
    pub fn vouched(&self, dot: Dot) -> bool {
        self.node.session.as_ref().is_some_and(|s| s.vouched.contains_key(&dot))
    }

    /// Where the region has this very op, as it said in this session.
    pub fn vouched_at(&self, dot: Dot) -> Option<Position> {
        self.node.session.as_ref().and_then(|s| s.vouched.get(&dot).copied().flatten())
    }

    pub fn send_subscribe(&mut self, scope: Scope, sub: &Subscription) -> Result<(), S::Error> {
        // An empty cursor alone does not say so: a pass through several regions may have that.
        let fresh = sub.cursor.is_empty()
            && sub.pass.is_none()
            && sub.provisional.is_none()
            && self.store.held_by(&scope, None, 1)?.is_empty();
        let wanted = |s: &&mut Session| s.purpose.asks_for(sub.terms.priority);
        let Some(session) = self.node.session.as_mut().filter(wanted) else { return Ok(()) };
        let Some(region) = session.region else { return Ok(()) };
        session.last_sub += 1;
        let number = session.last_sub;
        let open = Sub { scope: scope.clone(), known: consumed(sub), ..Sub::default() };
        session.subs.insert(number, open);
        let here = sub.provisional.as_ref().filter(|(r, _)| *r == region);
        let after = sub.pass.as_ref().and_then(|p| p.after.as_ref());
        self.send(Kind::Subscribe(wire::Subscribe {
            sub: number,
            scope: scope.to_string(),
            cursor: Some(match mutant::active(Mutant::CursorDroppedOnSwitch) {
                true => wire::Vector::default(),
                false => convert::wire_vector(&sub.cursor),
            }),
            pass: sub.pass.as_ref().map(|p| convert::wire_vector(&p.start)),
            after: after.map(convert::wire_key),
            provisional: here.map(|(_, v)| convert::wire_vector(v)),
            priority: sub.terms.priority.into(),
            fresh,
            keep_ms: sub.terms.keep_ms.map_or(0, |ms| ms.max(1)),
        }));
        Ok(())
    }

    /// The subscription is not the one that this number was given for: give it another.
    pub fn ask_anew(&mut self, number: u32, sub: &Subscription) -> Result<(), S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(()) };
        let Some(gone) = session.subs.remove(&number) else { return Ok(()) };
        self.send(Kind::Unsubscribe(wire::Unsubscribe { sub: number }));
        self.send_subscribe(gone.scope, sub)
    }

    /// The number of the scope's subscription in this session.
    pub fn number_of(&self, scope: &Scope) -> Option<u32> {
        let subs = &self.node.session.as_ref()?.subs;
        subs.iter().find(|(_, s)| s.scope == *scope).map(|(n, _)| *n)
    }

    /// Ask anew for a scope, if it is asked for at all.
    pub fn ask_anew_of(&mut self, scope: &Scope, sub: &Subscription) -> Result<(), S::Error> {
        match self.number_of(scope) {
            Some(number) => self.ask_anew(number, sub),
            None => Ok(()),
        }
    }

    pub fn subscribe(&mut self, scope: Scope, terms: Terms) -> Result<(), S::Error> {
        if *scope == *LOCAL_HOME {
            // No region has it, and one that denies it must not take rows that are nowhere else.
            self.out.events.push(Event::Denied { scope, code: "local_type".to_owned() });
            return Ok(());
        }
        let known = self.store.subscription(&scope)?;
        let asked_ms = self.now_ms;
        if known.is_none() && self.store.subscriptions()?.len() >= limits::SUBSCRIPTIONS_MAX {
            let code = "too_many_subscriptions".to_owned();
            self.out.events.push(Event::Denied { scope, code });
            return Ok(());
        }
        let is_new = known.as_ref().is_none_or(|s| s.denied.is_some());
        let fresh = Subscription { loading: true, ..Subscription::default() };
        let before = known.unwrap_or(fresh);
        let mut sub = Subscription { denied: None, terms, asked_ms, ..before.clone() };
        if terms.exceed(&before.terms) {
            sub = sub.from_the_start();
        }
        if sub == before && !is_new {
            return Ok(());
        }
        self.store.put_subscription(&scope, &sub)?;
        self.forget_subscribed();
        if is_new {
            self.send_subscribe(scope, &sub)
        } else if sub.terms != before.terms {
            self.ask_anew_of(&scope, &sub)
        } else {
            Ok(())
        }
    }

    fn on_denied(&mut self, denied: &wire::Denied) -> Handled<S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(Ok(())) };
        let Some(gone) = session.subs.remove(&denied.sub) else { return Ok(Ok(())) };
        let code = denied.error.as_ref().map(|e| e.code.clone()).unwrap_or_default();
        if let Some(sub) = self.store.subscription(&gone.scope)? {
            let revoked = matches!(code.as_str(), "scope_revoked" | "not_allowed");
            // With its rows gone, the scope is read from its beginning when it comes back.
            let sub = if revoked { sub.from_the_start() } else { sub };
            let sub = Subscription { denied: Some(code.clone()), ..sub };
            self.store.put_subscription(&gone.scope, &sub)?;
            self.forget_subscribed();
            if revoked {
                self.purge(&gone.scope)?;
            }
        }
        self.out.events.push(Event::Denied { scope: gone.scope, code });
        Ok(Ok(()))
    }

    /// Tell the region now if many ops were retired, else with the next poll: it costs an fsync here and
    /// a commit there, and nothing waits for it.
    pub fn confirm_many(&mut self) -> Result<(), S::Error> {
        let retired = self.node.session.as_ref().map_or(0, |s| s.retired);
        if retired >= limits::CONFIRM_OPS { self.confirm() } else { Ok(()) }
    }

    /// Tell the region which numbers it need not remember.
    pub fn confirm(&mut self) -> Result<(), S::Error> {
        let Some(session) = &self.node.session else { return Ok(()) };
        if session.confirming.is_some() {
            return Ok(());
        }
        let ids = session.ids.clone();
        let mut told = self.store.unconfirmed()?;
        told.retain(|(device, _)| ids.contains(device));
        if told.is_empty() {
            return Ok(());
        }
        for (device, seqs) in &told {
            self.send(Kind::Confirm(wire::Confirm {
                device: device.0.to_vec().into(),
                seqs: Some(convert::wire_seq_set(seqs)),
            }));
        }
        // The region may only forget what this file can no longer lose: the removal is on disk.
        self.out.durable = true;
        let sent_ms = self.now_ms;
        self.send(Kind::Ping(wire::Ping { sent_ms }));
        if let Some(session) = &mut self.node.session {
            session.confirming = Some((sent_ms, told));
            session.retired = 0;
        }
        Ok(())
    }

    fn on_pong(&mut self, pong: wire::Pong) -> Handled<S::Error> {
        self.take_time(pong.ping_ms, pong.received_ms, pong.received_ms);
        let Some(session) = &mut self.node.session else { return Ok(Ok(())) };
        if session.confirming.as_ref().is_some_and(|(sent, _)| *sent <= pong.ping_ms) {
            let (_, told) = session.confirming.take().unwrap_or_default();
            for (device, seqs) in told {
                self.store.clear_unconfirmed(device, &seqs)?;
            }
        }
        self.restamp()?;
        self.push()?;
        Ok(Ok(()))
    }

    /// Have the region say something.
    pub fn ping(&mut self) {
        if self.node.session.as_ref().is_some_and(|s| s.region.is_some()) {
            let sent_ms = self.now_ms;
            self.send(Kind::Ping(wire::Ping { sent_ms }));
        }
    }

    pub fn poll(&mut self) -> Result<(), S::Error> {
        let Some(session) = self.node.session.as_ref().filter(|s| s.region.is_some()) else {
            return Ok(());
        };
        if session.outdated {
            self.stop(RENEWED, "this file has a new device id; greet again under it");
            return Ok(());
        }
        if session.round_trip.is_none() {
            // The last exchange told nothing: the clock was set while it was on its way.
            let sent_ms = self.now_ms;
            self.send(Kind::Ping(wire::Ping { sent_ms }));
        }
        self.restamp()?;
        self.refetch_overdue()?;
        self.confirm()?;
        self.offer_refused_again()?;
        self.push()
    }
}

/// How far a subscription has been consumed.
pub(super) fn consumed(sub: &Subscription) -> Subscription {
    let (cursor, pass) = (sub.cursor.clone(), sub.pass.clone());
    let terms = Terms { keep_ms: sub.terms.keep_ms, ..Terms::default() };
    Subscription { cursor, pass, terms, ..Subscription::default() }
}

/// A malformed frame is the region's fault, an error the store's.
pub(super) type Handled<E> = Result<Result<(), Malformed>, E>;
