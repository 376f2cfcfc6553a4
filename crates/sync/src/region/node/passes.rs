//! Rows that a session asked for: passes over its scopes, and answers to questions by name.
//!
//! Sessions that may have something to be sent take turns, a chunk at a time, each as far as its credit
//! goes. A live subscription whose cursor is above what is here waits until it is not: one log of which
//! that is so is looked at, and another only when that one stands in the way no more.

use super::{Node, ToDevice, Turn, received, send};
use crate::region::Core;
use crate::region::feed::{Rows, Want};
use crate::region::node::{CHUNKS_PER_TURN, Output, SessionId};
use crate::region::session::{Pass, Question, State};
use crate::region::store::Store;
use crate::{convert, wire};
use landfall_model::vector::{Origin, Vector};
use std::collections::BTreeMap;

impl Node {
    /// The session may have something to be sent by now.
    pub(super) fn wake(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id)
            && !session.sends
            && session.may_send()
        {
            session.sends = true;
            self.senders.push_back(id);
        }
    }

    /// Send chunks and answers as credit allows.
    pub(super) fn run_passes<S: Store>(
        &mut self,
        store: &mut S,
        turn: &mut Turn,
    ) -> Result<(), S::Error> {
        let mut room = i64::try_from(self.room).unwrap_or(i64::MAX);
        for _ in 0..CHUNKS_PER_TURN {
            // More is sent when the driver says that there is room again.
            if room <= 0 {
                return Ok(());
            }
            let Some(id) = self.senders.pop_front() else { return Ok(()) };
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            session.sends = false;
            let credit = session.credit;
            if credit > 0 {
                match (session.questions.pop_front(), session.next_pass()) {
                    (Some(question), _) => self.answer(store, id, &question, turn)?,
                    (None, Some(sub)) => self.send_chunk(store, id, sub, turn)?,
                    (None, None) => {}
                }
            }
            let left = self.sessions.get(&id).map_or(credit, |s| s.credit);
            room = room.saturating_sub(credit - left);
            self.wake(id);
        }
        turn.out.more |= !self.senders.is_empty();
        Ok(())
    }

    /// Readers whose cursor was above ours are asked again from it, once we cover it.
    pub(super) fn go_on_behind(&mut self, out: &mut Output) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let mut void = BTreeMap::new();
        let mut is_void = |core: &Core, origin: Origin| {
            let life = (origin.region, origin.incarnation);
            *void.entry(life).or_insert_with(|| core.is_void(origin))
        };
        let mut awake = Vec::new();
        let (core, sessions) = (&self.core, &mut self.sessions);
        self.behind.retain(|(id, number), origin| {
            let sub = sessions.get_mut(id).and_then(|s| s.subs.get_mut(number));
            let Some(sub) = sub.filter(|s| matches!(s.state, State::Live { covering: false }))
            else {
                return false;
            };
            let above = |v: &Vector, o: Origin| v.get(o) > core.vector.get(o);
            if origin.is_some_and(|o| above(&sub.cursor, o) && !is_void(core, o)) {
                return true;
            }
            for gone in tell_void(core, *id, &sub.cursor, out) {
                sub.cursor.clip(gone, 0);
            }
            *origin = sub.cursor.iter().map(|(o, _)| o).find(|o| above(&sub.cursor, *o));
            if origin.is_some() {
                return true;
            }
            let pass = Pass::new(sub.cursor.clone(), core.vector.clone(), true, 0);
            sub.state = State::Pass(pass);
            awake.push(*id);
            false
        });
        awake.into_iter().for_each(|id| self.wake(id));
    }

    fn answer<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        Question { sub: number, keys }: &Question,
        turn: &mut Turn,
    ) -> Result<(), S::Error> {
        let session = self.sessions.get_mut(&id).expect("listed by the caller");
        let Some(sub) = session.subs.get(number) else { return Ok(()) };
        let (mut rows, mut absent) = (Rows::default(), Vec::new());
        let all = Vector::new();
        for key in keys {
            // Who may not see an entity and never could hears nothing of it, not even that it is.
            let record = store.entity(key)?;
            let ever = record.is_some_and(|r| r.was_in(&sub.scope));
            let want = Want::since(&sub.scope, &all);
            if !ever || !self.core.add_row(store, want, key, &mut rows)? {
                absent.push(convert::wire_key(key));
            }
            // What is left out is asked for again.
            if rows.bytes() >= session.chunk_bytes() {
                break;
            }
        }
        turn.out.reports.extend(rows.take_too_large());
        let at = Some(convert::wire_vector(&self.core.vector));
        let place = wire::delta::Place::Refetched(wire::Refetched { absent, at });
        let body = rows.encode().into();
        let received = received(store, &session.devices)?;
        let delta = wire::Delta { sub: *number, body, received, place: Some(place) };
        session.tell(delta.body.len());
        send(&mut turn.out, id, ToDevice::Delta(delta));
        Ok(())
    }

    fn send_chunk<S: Store>(
        &mut self,
        store: &mut S,
        id: SessionId,
        number: u32,
        turn: &mut Turn,
    ) -> Result<(), S::Error> {
        let (out, now_ms) = (&mut turn.out, turn.now_ms);
        let session = self.sessions.get_mut(&id).expect("listed by the caller");
        let bytes = session.chunk_bytes();
        let sub = session.subs.get_mut(&number).expect("listed by the caller");
        let State::Pass(pass) = &mut sub.state else { return Ok(()) };
        let floor_ms = (sub.keep_ms > 0).then(|| now_ms.saturating_sub_unsigned(sub.keep_ms));
        let (scope, since, fresh) = (&*sub.scope, &pass.from, pass.fresh);
        let want = Want { scope, since, fresh, floor_ms };
        let mut stretch = self.core.stretch(store, want, pass.after.as_ref(), bytes)?;
        pass.rows += stretch.rows.len() as u64;
        pass.after = stretch.last.or(pass.after.take());
        // What was committed since the pass began is fetched by another, shorter one.
        let more = stretch.done && !pass.start.covers(&self.core.vector);
        let chunk = wire::Chunk {
            start: Some(convert::wire_vector(&pass.start)),
            done: stretch.done,
            last: pass.after.as_ref().map(convert::wire_key),
            covering: pass.covering,
            rows_so_far: pass.rows,
            rows_total: pass.total,
            more,
        };
        if stretch.done {
            let (start, covering) = (pass.start.clone(), pass.covering);
            if covering {
                sub.cursor.join(&start);
            }
            sub.state = if more {
                State::Pass(Pass::new(start, self.core.vector.clone(), covering, 0))
            } else {
                State::Live { covering }
            };
            if !covering && !more {
                // Whether it has to wait, and for what, is looked at in the next turn.
                self.behind.insert((id, number), None);
                (self.moved, out.more) = (true, true);
            }
        }
        out.reports.extend(stretch.rows.take_too_large());
        let body: prost::bytes::Bytes = stretch.rows.encode().into();
        session.tell(body.len());
        let delta = wire::Delta {
            sub: number,
            body,
            received: received(store, &session.devices)?,
            place: Some(wire::delta::Place::Chunk(chunk)),
        };
        send(out, id, ToDevice::Delta(delta));
        Ok(())
    }
}

/// Tell a device which logs of a vector nobody holds anything of; they are returned. It is told
/// alone: a log entry would let a forged vector grow our logs.
pub(super) fn tell_void(
    core: &Core,
    id: SessionId,
    vector: &Vector,
    out: &mut Output,
) -> Vec<Origin> {
    let void: Vec<Origin> = vector.iter().map(|(o, _)| o).filter(|o| core.is_void(*o)).collect();
    if !void.is_empty() {
        let void = void.iter().map(|o| convert::wire_origin(*o)).collect();
        send(out, id, ToDevice::Cuts(wire::Cuts { void, ..Default::default() }));
    }
    void
}
