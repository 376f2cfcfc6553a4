//! Deltas: rows of a scope, and what they mean for its cursor.
//!
//! A cursor moves only at the end of a pass of a region that covers it, or with a live change of
//! such a region. What another region shows is taken in for what it is worth, and asked for again.

use super::call::Call;
use super::install::{Row, Snapshot};
use super::keep::{Admit, Room};
use super::parse::{Chunk, Parsed, Where, parse};
use super::session::{Handled, consumed};
use super::store::{OpState, OwnOp, Pass, Store, Subscription};
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::wire::device_frame::Kind;
use crate::{limits, wire};
use landfall_model::id::{DeviceId, EntityKey};
use landfall_model::vector::{SeqSet, Vector};
use std::collections::{BTreeMap, BTreeSet};

/// Of fewer rows in a chunk each is asked for by itself whether it is here.
const ROWS_WORTH_ASKING: usize = 2;

/// How long to wait before rows are asked for again without a sign that the region has them.
const REFETCH_RETRY_MS: i64 = 30_000;

/// Removed rows that are remembered for the case of a cut.
const REMOVED_MAX: usize = 10_000;

impl<S: Store> Call<'_, S> {
    pub fn on_delta(
        &mut self,
        delta: wire::Delta,
        random: &mut dyn FnMut() -> u64,
    ) -> Handled<S::Error> {
        // As the region counts it.
        let bytes = delta.body.len().max(1) as u64;
        let sub = delta.sub;
        let received = match self.note_received(&delta.received) {
            Ok(received) => received,
            Err(m) => return Ok(Err(m)),
        };
        let mut parsed = match parse(&delta) {
            Ok(parsed) => parsed,
            Err(m) => return Ok(Err(m)),
        };
        if self.used_elsewhere() {
            // A copy of this file is at work. Which of the rows have this file's ops in them
            // cannot be told: take none, and come back under another id.
            self.renew(random)?;
            return Ok(Ok(()));
        }
        self.give_credit(bytes);
        let Some(session) = &self.node.session else { return Ok(Ok(())) };
        let Some(open) = session.subs.get(&sub) else { return Ok(Ok(())) };
        let scope = open.scope.clone();
        let above = parsed.clip(&session.cuts);
        let known = open.known.clone();
        let Some(subscription) = self.store.subscription(&scope)? else { return Ok(Ok(())) };
        if known != consumed(&subscription) {
            self.ask_anew(sub, &subscription)?;
            return Ok(Ok(()));
        }
        let snapshot = Snapshot {
            scope,
            received,
            whole_texts: match parsed.place {
                Where::Chunk(_) => subscription.cursor.is_empty(),
                Where::Live { .. } => false,
                Where::Refetched { .. } => true,
            },
            refetched: match &parsed.place {
                Where::Refetched { at, .. } => Some(at.clone()),
                _ => None,
            },
        };
        if mutant::active(Mutant::FlaggedFromAnotherChunk) {
            for own in self.all_ops()? {
                if own.overlay && snapshot.has(own.sealed.op.dot) {
                    self.touch(&own.sealed.op.key.clone());
                    self.leave_overlay(own)?;
                }
            }
        }
        self.take_in(sub, subscription, parsed, &snapshot)?;
        for key in above {
            self.store.add_refetch(&snapshot.scope, &key)?;
        }
        Ok(Ok(()))
    }

    /// What the region had received when it read the rows. Only this tells which own ops are in
    /// them; what the session knows besides may be newer.
    fn note_received(
        &mut self,
        received: &[wire::SeqSet],
    ) -> Result<BTreeMap<DeviceId, SeqSet>, Malformed> {
        let mut sets = BTreeMap::new();
        let Some(session) = &mut self.node.session else { return Ok(sets) };
        if received.len() > session.ids.len() {
            return Err(Malformed("received numbers"));
        }
        for (id, set) in session.ids.iter().zip(received) {
            let set = convert::seq_set(Some(set))?;
            session.received.entry(*id).or_default().union(&set);
            sets.insert(*id, set);
        }
        Ok(sets)
    }

    fn give_credit(&mut self, bytes: u64) {
        let Some(session) = &mut self.node.session else { return };
        session.consumed = session.consumed.saturating_add(bytes);
        if session.consumed >= limits::CREDIT_BYTES / 4 {
            let bytes = std::mem::take(&mut session.consumed);
            self.send(Kind::Credit(wire::Credit { bytes }));
        }
    }

    fn take_in(
        &mut self,
        number: u32,
        mut sub: Subscription,
        parsed: Parsed,
        from: &Snapshot,
    ) -> Result<(), S::Error> {
        if sub.denied.take().is_some() {
            self.forget_subscribed();
        }
        let rows = parsed.rows;
        match parsed.place {
            Where::Chunk(chunk) => self.take_chunk(number, sub, rows, chunk, from)?,
            Where::Live { advance } => self.take_live(number, sub, rows, &advance, from)?,
            Where::Refetched { absent, at } => {
                self.note_held(&at);
                self.keep_subscription(number, &from.scope, &sub)?;
                self.note_refetched(number, &rows, &absent);
                let room = self.room(&from.scope, &sub, true, false)?;
                self.take_refetched(number, &rows, &absent, &at, from, room)?;
                self.refetch_others()?;
            }
        }
        Ok(())
    }

    fn take_chunk(
        &mut self,
        number: u32,
        mut sub: Subscription,
        rows: Vec<Row>,
        mut chunk: Chunk,
        from: &Snapshot,
    ) -> Result<(), S::Error> {
        let covering = chunk.covering || mutant::active(Mutant::CursorFromNonCovering);
        self.note_held(&chunk.start);
        self.sub_state(number, |s| s.covering = covering);
        let mut room = self.room(&from.scope, &sub, covering, false)?;
        let known = self.known_among(&rows)?;
        self.install_all(rows, from, !covering, room.as_mut(), known)?;
        sub.short |= room.as_ref().is_some_and(|r| r.short);
        let count = chunk.rows;
        if covering {
            self.move_pass(&mut sub, chunk.start, chunk.done, chunk.last);
            sub.loading |= chunk.more;
            (sub.rows_taken, sub.rows_total) = count;
            if let Some(room) = &room
                && self.cut_short(&from.scope, &mut sub, room)?
            {
                self.ask_anew(number, &sub)?;
                (chunk.done, chunk.more) = (true, false);
            }
            if !sub.loading {
                sub.synced_ms = self.server_now();
            }
        } else {
            // Between its chunks a scope that was whole is not.
            sub.loading |= !chunk.done || chunk.more;
            if chunk.done {
                let region = self.node.session.as_ref().and_then(|s| s.region);
                sub.provisional = region.map(|r| (r, chunk.start));
                sub.loading = chunk.more || sub.cursor.is_empty() || sub.pass.is_some();
            }
        }
        self.keep_subscription(number, &from.scope, &sub)?;
        let over = covering && chunk.done;
        self.progress(&from.scope, count.0, count.1.max(count.0), over && !chunk.more);
        if over {
            self.miss_own(from)?;
            self.prune_removed()?;
            // Rows from elsewhere may be beyond anything that this region will ever hold: asked
            // once, it says if that is known.
            self.refetch(number, true)?;
        }
        Ok(())
    }

    fn take_live(
        &mut self,
        number: u32,
        mut sub: Subscription,
        rows: Vec<Row>,
        advance: &Vector,
        from: &Snapshot,
    ) -> Result<(), S::Error> {
        self.note_held(advance);
        let covering = self.sub_state(number, |s| s.covering);
        let moves = covering && sub.pass.is_none();
        let mut room = self.room(&from.scope, &sub, covering, true)?;
        // Live rows are mostly here, and far apart.
        self.install_all(rows, from, !covering, room.as_mut(), None)?;
        sub.short |= room.is_some_and(|r| r.short);
        if moves {
            sub.cursor.join(advance);
        } else if let Some((region, seen)) = &mut sub.provisional
            && self.node.session.as_ref().and_then(|s| s.region) == Some(*region)
        {
            seen.join(advance);
        }
        self.keep_subscription(number, &from.scope, &sub)?;
        self.refetch(number, false)
    }

    /// An answer may stop short, so that it fits a frame: the walk goes on behind what it has.
    fn note_refetched(&mut self, number: u32, rows: &[Row], absent: &[EntityKey]) {
        let last = rows.iter().map(|r| &r.key).chain(absent).max();
        self.sub_state(number, |s| {
            let asked = s.refetching.take().unwrap_or(0);
            if rows.len() + absent.len() < asked {
                s.walked = last.cloned();
            }
        });
    }

    fn take_refetched(
        &mut self,
        number: u32,
        rows: &[Row],
        absent: &[EntityKey],
        at: &Vector,
        from: &Snapshot,
        mut room: Option<Room>,
    ) -> Result<(), S::Error> {
        let mut settled = Vec::new();
        for row in rows {
            let admitted = match &mut room {
                Some(room) => self.admit(row, from, room)?,
                None => Admit::Take,
            };
            if admitted == Admit::Skip || self.install(row, from)? {
                settled.push(&row.key);
            }
        }
        for key in absent {
            let before = self.store.base(key)?.filter(|base| base.holds.contains(&from.scope));
            if self.leave(key, at, from)? {
                settled.push(key);
                if let Some(before) = before {
                    self.tell_absent(key, &before.entity)?;
                }
            }
        }
        for key in &settled {
            self.store.remove_refetch(&from.scope, key)?;
        }
        // An answer that settled nothing would only be given again.
        let more = self.sub_state(number, |s| s.walked.is_some());
        if settled.is_empty() && !more { Ok(()) } else { self.refetch(number, false) }
    }

    fn keep_subscription(
        &mut self,
        number: u32,
        scope: &str,
        sub: &Subscription,
    ) -> Result<(), S::Error> {
        self.sub_state(number, |s| s.known = consumed(sub));
        self.store.put_subscription(scope, sub)
    }

    fn sub_state<T: Default>(
        &mut self,
        number: u32,
        f: impl FnOnce(&mut super::session::Sub) -> T,
    ) -> T {
        let session = self.node.session.as_mut();
        session.and_then(|s| s.subs.get_mut(&number)).map(f).unwrap_or_default()
    }

    /// `again`: the region does not cover the cursor, and one that does is asked for all of it. `known`:
    /// rows of which anything is here, if that was asked.
    fn install_all(
        &mut self,
        rows: Vec<Row>,
        from: &Snapshot,
        again: bool,
        mut room: Option<&mut Room>,
        known: Option<BTreeSet<EntityKey>>,
    ) -> Result<(), S::Error> {
        for row in rows {
            let admitted = match &mut room {
                Some(room) => self.admit(&row, from, room)?,
                None => Admit::Take,
            };
            let key = row.key.clone();
            match admitted {
                Admit::Skip => continue,
                Admit::Ask => {}
                Admit::Take if known.as_ref().is_some_and(|known| !known.contains(&key)) => {
                    self.install_unknown(row, from)?;
                }
                Admit::Take => drop(self.install(&row, from)?),
            }
            if again || admitted == Admit::Ask {
                self.store.add_refetch(&from.scope, &key)?;
            }
        }
        Ok(())
    }

    /// Which rows of a chunk this device knows anything of; `None` if that is not worth asking.
    fn known_among(&mut self, rows: &[Row]) -> Result<Option<BTreeSet<EntityKey>>, S::Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(None) };
        // In key order, each once, as regions walk.
        if rows.len() < ROWS_WORTH_ASKING || !rows.is_sorted_by(|a, b| a.key < b.key) {
            return Ok(None);
        }
        let known = self.store.known(&first.key, &last.key, rows.len())?;
        Ok((known.len() < rows.len()).then(|| known.into_iter().collect()))
    }

    /// One chunk of a pass that covers the cursor.
    fn move_pass(
        &mut self,
        sub: &mut Subscription,
        start: Vector,
        done: bool,
        last: Option<EntityKey>,
    ) {
        let (start, from, after) = match sub.pass.take() {
            // The rows of a pass that went through several regions are as old as the oldest.
            Some(open) if mutant::active(Mutant::PassStartReplaced) => {
                (start, open.from, last.or(open.after))
            }
            Some(open) => (open.start.meet(&start), open.from, last.or(open.after)),
            None => (start, sub.cursor.clone(), last),
        };
        if done || mutant::active(Mutant::CursorJoinedAtFirstChunk) {
            sub.cursor.join(&start);
            sub.provisional = None;
            sub.loading = false;
        } else {
            sub.pass = Some(Pass { start, after, from });
            sub.loading = true;
        }
    }

    /// Ask for rows by name, if the region covers the cursor and is known to have what is here of
    /// them; `anyway` asks without knowing.
    pub fn refetch(&mut self, number: u32, anyway: bool) -> Result<(), S::Error> {
        let Some(session) = &self.node.session else { return Ok(()) };
        let Some(sub) = session.subs.get(&number) else { return Ok(()) };
        if sub.refetching.is_some() || !sub.covering {
            return Ok(());
        }
        let open = session.subs.values().filter(|s| s.refetching.is_some()).count();
        if open >= limits::QUESTIONS_MAX {
            // Asked when another is answered.
            if let Some(session) = &mut self.node.session {
                *session.to_refetch.entry(number).or_default() |= anyway;
            }
            return Ok(());
        }
        let (scope, mut walked) = (sub.scope.clone(), sub.walked.clone());
        let held = session.vector.clone();
        let (mut keys, mut beyond) = (Vec::new(), Vector::new());
        // Rows that cannot be had yet do not stand in the way of those behind them.
        while keys.is_empty() {
            let waiting = self.store.refetches(&scope, walked.as_ref(), limits::QUESTION_KEYS)?;
            walked = waiting.last().filter(|_| waiting.len() == limits::QUESTION_KEYS).cloned();
            for key in waiting {
                let known = self.store.base(&key)?.unwrap_or_default().known();
                if (anyway || held.covers(&known)) && !self.in_doubt(&key)? {
                    let above = known.iter().filter(|(o, seq)| *seq > held.get(*o));
                    above.for_each(|(o, seq)| beyond.advance(o, seq));
                    keys.push(convert::wire_key(&key));
                }
            }
            if walked.is_none() {
                break;
            }
        }
        self.sub_state(number, |s| s.walked = walked);
        if !keys.is_empty() {
            self.sub_state(number, |s| s.refetching = Some(keys.len()));
            let beyond = (!beyond.is_empty()).then(|| convert::wire_vector(&beyond));
            self.send(Kind::Refetch(wire::Refetch { sub: number, keys, beyond }));
        }
        Ok(())
    }

    /// A question was answered: others that waited for that are asked.
    fn refetch_others(&mut self) -> Result<(), S::Error> {
        let session = self.node.session.as_mut();
        let waiting = session.map(|s| std::mem::take(&mut s.to_refetch)).unwrap_or_default();
        waiting.into_iter().try_for_each(|(number, anyway)| self.refetch(number, anyway))
    }

    /// An own op waits for the answer that tells whether a received number is its own.
    fn in_doubt(&mut self, key: &EntityKey) -> Result<bool, S::Error> {
        let ops = self.store.ops_on(key)?;
        let waits = |own: &OwnOp| match own.state {
            OpState::Sent { .. } => true,
            OpState::Accepted { .. } => !self.vouched(own.sealed.op.dot),
            _ => false,
        };
        let waits = |own: &OwnOp| own.overlay && waits(own);
        Ok(ops.iter().any(|own| waits(own) && self.has_received(own.sealed.op.dot)))
    }

    /// Rows that waited for the answer to an own op can be had now.
    pub fn refetch_settled(&mut self) -> Result<(), S::Error> {
        let Some(session) = &mut self.node.session else { return Ok(()) };
        if !std::mem::take(&mut session.settled) {
            return Ok(());
        }
        let numbers: Vec<u32> = session.subs.keys().copied().collect();
        numbers.into_iter().try_for_each(|n| self.refetch(n, false))
    }

    /// Regions catch up with one another without a change in the scope that would say so.
    pub fn refetch_overdue(&mut self) -> Result<(), S::Error> {
        let now = self.now_ms;
        let Some(session) = &mut self.node.session else { return Ok(()) };
        if now.saturating_sub(session.refetched_ms).abs() < REFETCH_RETRY_MS {
            return Ok(());
        }
        session.refetched_ms = now;
        let numbers: Vec<u32> = session.subs.keys().copied().collect();
        numbers.into_iter().try_for_each(|n| self.refetch(n, true))
    }

    /// A pass is over, and own ops that the region has are still in the overlay: it left out what
    /// is gone by now. Asked by name, it says so.
    fn miss_own(&mut self, from: &Snapshot) -> Result<(), S::Error> {
        for own in self.ops_that_left()? {
            let op = &own.sealed.op;
            if own.overlay
                && from.has(op.dot)
                && self.reader.scopes(self.store, &op.key)?.contains(&from.scope)
            {
                self.store.add_refetch(&from.scope, &op.key)?;
            }
        }
        Ok(())
    }

    /// Forget removed rows that no cut can bring back, and those beyond the limit.
    fn prune_removed(&mut self) -> Result<(), S::Error> {
        let removed = self.store.removed()?;
        let mut left = removed.len();
        for (scope, key, touch) in removed {
            if left > REMOVED_MAX || self.node.safe.covers(&touch) {
                self.store.forget_removed(&scope, &key)?;
                left -= 1;
            }
        }
        Ok(())
    }
}
