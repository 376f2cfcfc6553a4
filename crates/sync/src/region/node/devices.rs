//! Frames of devices: greeting, subscriptions, pushes, and questions.

use super::passes::tell_void;
use super::{Handled, Node, Stop, ToDevice, Turn, send, wire_cut, wire_error};
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::region::access::Author;
use crate::region::commit::Verdict;
use crate::region::node::{OPS_PER_TURN_MAX, Output, Report, SessionId};
use crate::region::session::{Pass, Question, Session, State, Sub};
use crate::region::store::{DotRecord, Store};
use crate::{limits, wire};
use landfall_model::id::{DeviceId, Dot, Scope};
use landfall_model::op::{Op, Sealed};
use landfall_model::stamp::Hlc;
use landfall_model::vector::{Position, SeqSet, Vector};
use std::collections::BTreeMap;
use wire::device_frame::Kind as FromDevice;

impl Node {
    /// What is returned is the rest of a frame that is more than this turn takes.
    pub(super) fn on_device<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        frame: wire::DeviceFrame,
        turn: &mut Turn,
    ) -> Result<Result<Option<wire::DeviceFrame>, Stop>, S::Error> {
        let Some(kind) = frame.kind else {
            return Ok(Err(Stop::new("malformed", "an empty frame, or one of a later version")));
        };
        let handled = match (kind, self.sessions.get_mut(&id)) {
            (FromDevice::Hello(hello), _) => self.on_hello(store, id, hello, turn)?,
            (_, None) => Err(Stop::new("hello_first", "the first frame must be Hello")),
            (FromDevice::Push(p), _) => return self.on_push(store, id, p, turn),
            (FromDevice::Subscribe(s), _) => self.on_subscribe(store, id, s, turn)?,
            (FromDevice::Status(s), _) => self.on_status(store, id, &s, turn)?,
            (FromDevice::Confirm(c), _) => self.on_confirm(store, id, &c, turn)?,
            (FromDevice::Refetch(r), _) => self.on_refetch(id, &r, turn),
            (FromDevice::Unsubscribe(u), _) => {
                self.unsubscribe(id, u.sub);
                Ok(())
            }
            (FromDevice::Credit(c), Some(session)) => {
                session.add_credit(c.bytes);
                self.wake(id);
                Ok(())
            }
            (FromDevice::Ping(p), Some(_)) => {
                let pong = wire::Pong { ping_ms: p.sent_ms, received_ms: turn.now_ms };
                send(&mut turn.out, id, ToDevice::Pong(pong));
                Ok(())
            }
        };
        Ok(handled.map(|()| None))
    }

    fn on_hello<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        hello: wire::Hello,
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        if self.sessions.contains_key(&id) {
            return Ok(Err(Stop::new("hello_twice", "a session has one Hello")));
        }
        let common = hello.versions.iter().filter(|v| limits::WIRE_VERSIONS.contains(v)).max();
        let Some(&version) = common else {
            let spoken = limits::WIRE_VERSIONS;
            let message = format!("no common wire version; this region speaks {spoken:?}");
            return Ok(Err(Stop::new("version", message)));
        };
        if hello.placement != u32::from(self.core.config.placement) {
            return Ok(Err(Stop::new("wrong_placement", "the placement is not served here")));
        }
        let author = match self.auth.device(&hello.token, turn.now_ms) {
            Ok(author) => author,
            Err(denial) => return Ok(Err(denial.into())),
        };
        if hello.devices.len() > limits::HELLO_DEVICES_MAX {
            return Ok(Err(Malformed("greeting: too many device ids").into()));
        }
        let mut devices = Vec::new();
        let mut known = Vec::new();
        for bytes in &hello.devices {
            let device = match convert::device_id(bytes) {
                Ok(d) => d,
                Err(m) => return Ok(Err(m.into())),
            };
            let record = store.device(device)?;
            if record.principal.is_some_and(|p| p != author.subject) {
                let message = "the device id belongs to another account";
                return Ok(Err(Stop::new("wrong_principal", message)));
            }
            let received = Some(convert::wire_seq_set(&record.received));
            known.push(wire::Known { received, closed: record.closed });
            devices.push(device);
        }
        let welcome = self.welcome(&hello, version, &author, known, turn.now_ms);
        send(&mut turn.out, id, ToDevice::Welcome(welcome));
        if let Some(newer) = self.directory.as_ref().filter(|d| d.version > hello.directory) {
            let jws = newer.jws.clone();
            send(&mut turn.out, id, ToDevice::Directory(wire::Directory { jws }));
        }
        for device in &devices {
            let before = self.pushers.insert(*device, id).filter(|before| *before != id);
            if let Some(before) = before.and_then(|b| self.sessions.get_mut(&b)) {
                before.superseded = true;
            }
        }
        self.sessions.insert(id, Session::new(author, devices, hello.credit));
        Ok(Ok(()))
    }

    fn welcome(
        &self,
        hello: &wire::Hello,
        version: u32,
        author: &Author,
        known: Vec<wire::Known>,
        now_ms: i64,
    ) -> wire::Welcome {
        let config = &self.core.config;
        wire::Welcome {
            version,
            region: config.region.0.into(),
            incarnation: self.core.incarnation,
            received_ms: now_ms,
            sent_ms: now_ms,
            hello_ms: hello.sent_ms,
            known,
            codec: u32::from(hello.codecs.contains(&1)),
            push_ops: limits::PUSH_OPS_MAX,
            op_bytes: limits::OP_BYTES_MAX as u32,
            transaction_bytes: limits::TRANSACTION_BYTES_MAX as u32,
            cuts: self.core.cuts.iter().map(|(o, l)| wire_cut(*o, *l)).collect(),
            head_token: Default::default(),
            lost: config.lost.iter().map(|r| r.0.into()).collect(),
            regions: config.regions.iter().map(|r| r.0.into()).collect(),
            copies: config.copies_needed() as u32,
            scopes: author.scopes.iter().map(ToString::to_string).collect(),
            // What an account publishes, it may read.
            audiences: author
                .audiences
                .iter()
                .chain(&author.publishes)
                .map(ToString::to_string)
                .collect(),
            accepts_percent: self.accepts_percent,
        }
    }

    fn on_subscribe<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        s: wire::Subscribe,
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        // A number that is given again ends what it stood for.
        self.unsubscribe(id, s.sub);
        let (mut cursor, pass, mut provisional) = match (
            convert::vector(s.cursor.as_ref()),
            s.pass.as_ref().map(|p| convert::vector(Some(p))).transpose(),
            convert::vector(s.provisional.as_ref()),
        ) {
            (Ok(c), Ok(p), Ok(v)) => (c, p, v),
            _ => return Ok(Err(Malformed("vector").into())),
        };
        let session = self.sessions.get_mut(&id).expect("checked by the caller");
        let too_many = session.subs.len() >= limits::SUBSCRIPTIONS_MAX
            || session.cursor_entries() + cursor.len() > limits::CURSOR_ENTRIES_MAX;
        let too_long = s.scope.len() > limits::NAME_BYTES_MAX;
        if !session.author.may_read(&s.scope) || too_many || too_long {
            let (code, message) = if too_many {
                ("too_many_subscriptions", "the session has as many subscriptions as are allowed")
            } else {
                ("not_allowed", "the account may not read this scope")
            };
            let denied = wire::Denied { sub: s.sub, error: Some(wire_error(code, message)) };
            send(&mut turn.out, id, ToDevice::Denied(denied));
            return Ok(Ok(()));
        }
        for (origin, last) in &self.core.cuts {
            cursor.clip(*origin, *last);
            provisional.clip(*origin, *last);
        }
        let covering = self.core.vector.covers(&cursor);
        let mut from = cursor.clone();
        if !covering {
            from.join(&provisional);
        }
        let total = if from.is_empty() { store.scope_size(&s.scope)? } else { 0 };
        let mut state = Pass::new(from, self.core.vector.clone(), covering, total);
        state.fresh = s.fresh && state.from.is_empty() && pass.is_none();
        if let Some(start) = pass {
            // The pass goes on where it was cut off; it is complete as of both its beginnings.
            if !mutant::active(Mutant::PassStartReplaced) {
                state.start = start.meet(&self.core.vector);
            }
            state.after = s.after.as_ref().and_then(|k| convert::key(Some(k)).ok());
        }
        let scope: Scope = s.scope.into();
        self.readers.entry(scope.clone()).or_default().insert((id, s.sub));
        let (state, priority, keep_ms) = (State::Pass(state), s.priority, s.keep_ms);
        session.subs.insert(s.sub, Sub { scope, cursor, state, priority, keep_ms });
        self.wake(id);
        Ok(Ok(()))
    }

    fn on_push<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        push: wire::Push,
        turn: &mut Turn,
    ) -> Result<Result<Option<wire::DeviceFrame>, Stop>, S::Error> {
        // What was sent before the device came back may be a form of ops that it has given up since:
        // a refused stamp is mended under the same dot, and that is known only where it was refused.
        if self.sessions[&id].superseded {
            let message = "the device id pushes in a later session";
            return Ok(Err(Stop::new("superseded", message)));
        }
        let mut fates: BTreeMap<DeviceId, Vec<wire::Fate>> = BTreeMap::new();
        let mut transactions = push.transactions.into_iter().peekable();
        while let Some(tx) = transactions.next_if(|_| turn.work() < OPS_PER_TURN_MAX) {
            let ops: Result<Vec<Sealed>, _> = tx.ops.iter().map(|p| Sealed::decode(p)).collect();
            let ops = match ops {
                Ok(ops) if ops.is_empty() => continue,
                Ok(ops) if mutant::active(Mutant::StampPulledBack) => pulled_back(ops, turn.now_ms),
                Ok(ops) => ops,
                Err(e) => return Ok(Err(Stop::new("malformed", e.to_string()))),
            };
            let session = self.sessions.get_mut(&id).expect("checked by the caller");
            if ops.iter().any(|o| !session.devices.contains(&o.op.dot.device)) {
                let message = "ops of a device id that Hello did not name";
                return Ok(Err(Stop::new("unknown_device", message)));
            }
            let first = fates.is_empty().then_some(ops[0].op.dot);
            if let Some(dot) = first
                && leaves_gap(&store.device(dot.device)?.received, dot.seq)
            {
                let message = "the device leaves too many numbers out";
                return Ok(Err(Stop::new("too_many_gaps", message)));
            }
            let (core, author) = (&mut self.core, &session.author);
            let answers = core.commit(store, author, ops, turn.now_ms, &mut turn.batch)?;
            turn.out.transactions += 1;
            turn.out.wrote = true;
            for (dot, verdict) in answers {
                let durable = match &verdict {
                    Verdict::Accepted(p) => self.core.durable(*p),
                    Verdict::Rejected(_) => false,
                };
                if let (Verdict::Accepted(p), false) = (&verdict, durable) {
                    session.watch.insert(dot, *p);
                }
                turn.out.ops += u64::from(matches!(verdict, Verdict::Accepted(_)));
                add_fate(fates.entry(dot.device).or_default(), dot, &verdict, durable);
            }
        }
        for (device, fates) in fates {
            let device = device.0.to_vec().into();
            send(&mut turn.out, id, ToDevice::Fates(wire::Fates { device, fates }));
        }
        let rest: Vec<_> = transactions.collect();
        let rest = (!rest.is_empty()).then(|| {
            let kind = Some(FromDevice::Push(wire::Push { transactions: rest }));
            wire::DeviceFrame { kind }
        });
        Ok(Ok(rest))
    }

    fn on_status<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        status: &wire::Status,
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        let (device, seqs) = match self.device_and_seqs(id, &status.device, status.seqs.as_ref()) {
            Ok(both) => both,
            Err(stop) => return Ok(Err(stop)),
        };
        let asked = numbers(&seqs).take(limits::PUSH_OPS_MAX as usize);
        let (fingerprints, rest) = status.fingerprints.as_chunks::<16>();
        let asked = asked.count();
        turn.batch.looked_up += asked as u64;
        if !rest.is_empty() || fingerprints.len() != asked {
            return Ok(Err(Malformed("fingerprints").into()));
        }
        let positions = match positions(&status.positions, asked) {
            Ok(positions) => positions,
            Err(malformed) => return Ok(Err(malformed.into())),
        };
        // Nobody has what was accepted there alone.
        let lacking = positions.iter().flatten().filter(|at| !self.core.vector.contains(**at));
        let lacking: Vector = lacking.map(|at| (at.origin, at.seq)).collect();
        tell_void(&self.core, id, &lacking, &mut turn.out);
        let received = store.device(device)?.received;
        let mut fates = Vec::new();
        for ((seq, fingerprint), at) in numbers(&seqs).zip(fingerprints).zip(positions) {
            let dot = Dot::new(device, seq);
            let mut records = store.dots(dot)?;
            records.retain(|_| received.contains(seq));
            let this = records.iter().find(|r| r.fingerprint.0 == *fingerprint);
            let (verdict, otherwise) = match this {
                Some(r) => (Some(Verdict::Accepted(r.position)), None),
                None if !records.is_empty() => (None, Some(wire::fate::Kind::Other(true))),
                None => {
                    let refusals = store.refusals(dot)?;
                    let this = refusals.into_iter().find(|(of, _)| of.0 == *fingerprint);
                    let verdict = this.map(|(_, refusal)| Verdict::Rejected(refusal));
                    // What has taken the number is forgotten; that it is this op, its place tells.
                    let other = received.contains(seq)
                        && at.is_some_and(|at| !self.core.vector.contains(at));
                    let otherwise = match other {
                        true => wire::fate::Kind::Other(true),
                        false => wire::fate::Kind::Unknown(true),
                    };
                    (verdict, Some(otherwise))
                }
            };
            let Some(verdict) = verdict else {
                fates.push(wire::Fate { first: seq, count: 1, kind: otherwise, durable: false });
                continue;
            };
            let durable = matches!(&verdict, Verdict::Accepted(p) if self.core.durable(*p));
            if let (Verdict::Accepted(p), false) = (&verdict, durable) {
                let session = self.sessions.get_mut(&id).expect("checked by the caller");
                session.watch.insert(dot, *p);
            }
            add_fate(&mut fates, dot, &verdict, durable);
        }
        let device = device.0.to_vec().into();
        send(&mut turn.out, id, ToDevice::Fates(wire::Fates { device, fates }));
        Ok(Ok(()))
    }

    fn on_confirm<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        confirm: &wire::Confirm,
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        let (device, seqs) = match self.device_and_seqs(id, &confirm.device, confirm.seqs.as_ref())
        {
            Ok(both) => both,
            Err(stop) => return Ok(Err(stop)),
        };
        let mut record = store.device(device)?;
        // What was not received here cannot be confirmed here; a forged set stays small.
        record.confirmed.union(&record.received.intersection(&seqs));
        store.put_device(device, &record)?;
        turn.out.wrote = true;
        // Both files of a closed id may still send under it: their fingerprints are kept.
        if !record.closed {
            // What was confirmed just now; and, a page at a time, what had to stay before.
            let first = seqs.spans().next().map_or(0, |(first, _)| first);
            self.forget_confirmed(store, device, &record.confirmed, first)?;
            let from = self.sessions.get(&id).map_or(0, |session| session.forget_from);
            let next = self.forget_confirmed(store, device, &record.confirmed, from)?;
            if let Some(session) = self.sessions.get_mut(&id) {
                session.forget_from = next;
            }
        }
        Ok(Ok(()))
    }

    /// Forget the records that nobody will ask for: of a page of numbers, those that the device has
    /// confirmed and every region has. Returns where the next page begins.
    fn forget_confirmed<S: Store>(
        &self,
        store: &mut S,
        device: DeviceId,
        confirmed: &SeqSet,
        from: u64,
    ) -> Result<u64, S::Error> {
        let page = store.dot_records(device, from, limits::PUSH_OPS_MAX as usize)?;
        let next = page.last().map_or(0, |(last, _)| last + 1);
        let stays = |(seq, dot): &(u64, DotRecord)| {
            !confirmed.contains(*seq) || !self.core.settled(dot.position)
        };
        // Between those that stay, all go.
        for gone in page.split(stays).filter(|gone| !gone.is_empty()) {
            store.remove_dots(device, gone[0].0, gone[gone.len() - 1].0)?;
        }
        Ok(if next > confirmed.highest() { 0 } else { next })
    }

    /// It is answered as the session's credit allows.
    fn on_refetch(
        &mut self,
        id: SessionId,
        refetch: &wire::Refetch,
        turn: &mut Turn,
    ) -> Result<(), Stop> {
        let session = self.sessions.get_mut(&id).expect("checked by the caller");
        if !session.subs.contains_key(&refetch.sub) {
            return Ok(());
        }
        if session.questions.len() >= limits::QUESTIONS_MAX {
            let message = "more questions for rows than may be open";
            return Err(Stop::new("too_many_questions", message));
        }
        let beyond = convert::vector(refetch.beyond.as_ref())?;
        tell_void(&self.core, id, &beyond, &mut turn.out);
        let keys = refetch.keys.iter().take(limits::QUESTION_KEYS);
        let keys = keys.map(|key| convert::key(Some(key))).collect::<Result<_, _>>()?;
        session.questions.push_back(Question { sub: refetch.sub, keys });
        self.wake(id);
        Ok(())
    }

    fn device_and_seqs(
        &self,
        id: SessionId,
        device: &[u8],
        seqs: Option<&wire::SeqSet>,
    ) -> Result<(DeviceId, SeqSet), Stop> {
        let device = convert::device_id(device)?;
        if !self.sessions[&id].devices.contains(&device) {
            return Err(Stop::new("unknown_device", "a device id that Hello did not name"));
        }
        Ok((device, convert::seq_set(seqs)?))
    }

    fn unsubscribe(&mut self, id: SessionId, sub: u32) {
        self.behind.remove(&(id, sub));
        let Some(gone) = self.sessions.get_mut(&id).and_then(|s| s.subs.remove(&sub)) else {
            return;
        };
        if let Some(readers) = self.readers.get_mut(&gone.scope) {
            readers.remove(&(id, sub));
            if readers.is_empty() {
                self.readers.remove(&gone.scope);
            }
        }
    }

    pub(super) fn forget(&mut self, id: SessionId) {
        let subs: Vec<u32> =
            self.sessions.get(&id).map(|s| s.subs.keys().copied().collect()).unwrap_or_default();
        subs.into_iter().for_each(|sub| self.unsubscribe(id, sub));
        let devices = self.sessions.remove(&id).map(|s| s.devices).unwrap_or_default();
        for device in devices {
            if self.pushers.get(&device) == Some(&id) {
                self.pushers.remove(&device);
            }
        }
    }

    pub(super) fn stop_session(&mut self, id: SessionId, stop: Stop, out: &mut Output) {
        out.reports.push(Report::Refused { code: stop.code.clone() });
        send(out, id, ToDevice::Error(wire_error(&stop.code, &stop.message)));
        out.close.push(id);
        self.device_gone(id);
    }

    pub(super) fn expire_sessions(&mut self, turn: &mut Turn) {
        let expired = |s: &Session| s.author.expires_ms <= turn.now_ms;
        let ids: Vec<SessionId> =
            self.sessions.iter().filter(|(_, s)| expired(s)).map(|(id, _)| *id).collect();
        for id in ids {
            let stop =
                Stop::new("token_expired", "the token has expired; come back with a new one");
            self.stop_session(id, stop, &mut turn.out);
        }
    }
}

/// True if a device that has left out many numbers goes on with yet another gap.
fn leaves_gap(received: &SeqSet, seq: u64) -> bool {
    let beside = |n: u64| received.contains(n);
    received.ranges().len() >= limits::RECEIVED_RANGES_MAX
        && !beside(seq)
        && !beside(seq.saturating_sub(1))
        && !beside(seq.saturating_add(1))
}

/// Ops with stamps no later than this, which no region may do to them.
fn pulled_back(ops: Vec<Sealed>, now_ms: i64) -> Vec<Sealed> {
    let most = Hlc::from_millis(now_ms);
    let back = |o: Sealed| if o.op.hlc > most { Op { hlc: most, ..o.op }.seal() } else { o };
    ops.into_iter().map(back).collect()
}

/// Add an answer, to the last one if it says the same of the next number.
/// Where ops were accepted, as far as the device says so.
fn positions(told: &[wire::Position], asked: usize) -> Result<Vec<Option<Position>>, Malformed> {
    if told.is_empty() {
        return Ok(vec![None; asked]);
    }
    if told.len() != asked {
        return Err(Malformed("positions"));
    }
    told.iter().map(|p| (p.seq > 0).then(|| convert::position(p)).transpose()).collect()
}

fn add_fate(fates: &mut Vec<wire::Fate>, dot: Dot, verdict: &Verdict, durable: bool) {
    let kind = Some(match verdict {
        Verdict::Accepted(p) => wire::fate::Kind::Accepted(convert::wire_position(*p)),
        Verdict::Rejected(r) => wire::fate::Kind::Rejected(wire::Rejected {
            code: r.code.clone(),
            seq: r.seq,
            field: r.field.map_or(0, |f| f.0),
            detail: r.detail.clone(),
        }),
    });
    match fates.last_mut() {
        Some(f)
            if f.first.checked_add(u64::from(f.count)) == Some(dot.seq)
                && f.kind == kind
                && f.durable == durable =>
        {
            f.count += 1;
        }
        _ => fates.push(wire::Fate { first: dot.seq, count: 1, kind, durable }),
    }
}

fn numbers(set: &SeqSet) -> impl Iterator<Item = u64> + '_ {
    set.spans().flat_map(|(a, b)| a..=b)
}
