//! Telling devices what changed: live fan-out, catch-up passes, durability.

use super::{Node, ToDevice, Turn, received, send, wire_cut};
use crate::mutant::{self, Mutant};
use crate::region::Core;
use crate::region::feed::{Rows, Want};
use crate::region::node::{CHUNKS_PER_TURN, Output, SessionId};
use crate::region::session::{Pass, State};
use crate::region::store::Store;
use crate::{convert, limits, wire};
use landfall_model::vector::{Origin, Vector};
use std::cmp::Reverse;

impl Node {
    /// Tell every session which logs have ended, before it hears of anything behind that. What it is
    /// to be told next goes on from what counts, as it does on the device.
    pub(super) fn tell_cuts(&mut self, turn: &mut Turn) {
        let cuts = std::mem::take(&mut turn.batch.cuts);
        if cuts.is_empty() || mutant::active(Mutant::CutsNotTold) {
            return;
        }
        let told: Vec<wire::Cut> = cuts.iter().map(|(o, last)| wire_cut(*o, *last)).collect();
        for (id, session) in &mut self.sessions {
            session.subs.values_mut().for_each(|sub| sub.clip(&cuts));
            session.watch.clip(&cuts);
            let frame = wire::Cuts { cuts: told.clone(), ..Default::default() };
            send(&mut turn.out, *id, ToDevice::Cuts(frame));
        }
    }

    /// Tell live readers what this turn changed: one read and one encoding per scope.
    pub(super) fn fan_out<S: Store>(
        &mut self,
        store: &mut S,
        before: &Vector,
        turn: &mut Turn,
    ) -> Result<(), S::Error> {
        let advance = convert::wire_vector(&turn.batch.advanced);
        for (scope, keys) in &turn.batch.touched {
            let Some(readers) = self.readers.get(scope) else { continue };
            let live = |(id, sub): &&(SessionId, u32)| {
                matches!(self.sessions[id].subs[sub].state, State::Live { .. })
            };
            let live: Vec<(SessionId, u32)> = readers.iter().filter(live).copied().collect();
            if live.is_empty() {
                continue;
            }
            let mut rows = Rows::default();
            let mut fits = true;
            for key in keys {
                fits &= rows.bytes() < limits::LIVE_BYTES;
                if fits {
                    self.core.add_row(store, Want::since(scope, before), key, &mut rows)?;
                }
            }
            turn.out.reports.extend(rows.take_too_large());
            let body: prost::bytes::Bytes = rows.encode().into();
            for (id, number) in live {
                let session = self.sessions.get_mut(&id).expect("readers are sessions");
                let sub = session.subs.get_mut(&number).expect("readers are subscribed");
                let State::Live { covering } = sub.state else { continue };
                if session.credit <= 0 && mutant::active(Mutant::WakeUpLost) {
                    continue;
                }
                if session.credit <= 0 || !fits {
                    let pass = Pass::new(before.clone(), self.core.vector.clone(), covering, 0);
                    sub.state = State::Pass(pass);
                    continue;
                }
                session.credit -= body.len() as i64;
                let live = wire::Live { advance: Some(advance.clone()) };
                let delta = wire::Delta {
                    sub: number,
                    body: body.clone(),
                    received: received(store, &session.devices)?,
                    place: Some(wire::delta::Place::Live(live)),
                };
                send(&mut turn.out, id, ToDevice::Delta(delta));
            }
        }
        Ok(())
    }

    /// Move passes on as credit allows, and start those that a waiting cursor is due.
    pub(super) fn run_passes<S: Store>(
        &mut self,
        store: &mut S,
        turn: &mut Turn,
    ) -> Result<(), S::Error> {
        let mut budget = CHUNKS_PER_TURN;
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            let subs = self.sessions[&id].subs.iter();
            let mut subs: Vec<(Reverse<u32>, u32)> =
                subs.map(|(n, sub)| (Reverse(sub.priority), *n)).collect();
            subs.sort();
            for (_, sub) in subs {
                self.cover(id, sub, &mut turn.out);
                while self.wants_chunk(id, sub) {
                    if budget == 0 {
                        turn.out.more = true;
                        return Ok(());
                    }
                    budget -= 1;
                    self.send_chunk(store, id, sub, turn)?;
                }
            }
        }
        Ok(())
    }

    /// A reader whose cursor was above ours is asked again from it, once we cover it.
    fn cover(&mut self, id: SessionId, sub: u32, out: &mut Output) {
        let sub = self.sessions.get_mut(&id).and_then(|s| s.subs.get_mut(&sub));
        let Some(sub) = sub else { return };
        let waiting = matches!(sub.state, State::Live { covering: false });
        if waiting {
            for origin in tell_void(&self.core, id, &sub.cursor, out) {
                sub.cursor.clip(origin, 0);
            }
        }
        if waiting && self.core.vector.covers(&sub.cursor) {
            let pass = Pass::new(sub.cursor.clone(), self.core.vector.clone(), true, 0);
            sub.state = State::Pass(pass);
        }
    }

    fn wants_chunk(&self, id: SessionId, sub: u32) -> bool {
        let session = &self.sessions[&id];
        session.credit > 0 && matches!(session.subs[&sub].state, State::Pass(_))
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

    /// Tell sessions which of their ops enough regions hold by now.
    pub(super) fn report_durable(&mut self, out: &mut Output) {
        if !std::mem::take(&mut self.peers_moved) {
            return;
        }
        for (id, session) in &mut self.sessions {
            for (device, seqs) in session.watch.take(|position| self.core.durable(position)) {
                let device = device.0.to_vec().into();
                let seqs = Some(convert::wire_seq_set(&seqs));
                send(out, *id, ToDevice::Durable(wire::Durable { device, seqs }));
            }
        }
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
