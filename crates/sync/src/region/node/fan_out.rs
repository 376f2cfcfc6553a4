//! Telling devices what changed: live fan-out, ended logs, durability.

use super::{Node, ToDevice, Turn, received, send, wire_cut};
use crate::mutant::{self, Mutant};
use crate::region::feed::{Rows, Want};
use crate::region::node::{Output, SessionId};
use crate::region::session::{Pass, State};
use crate::region::store::Store;
use crate::{convert, limits, wire};
use landfall_model::vector::Vector;

impl Node {
    /// Tell every session which logs have ended, before it hears of anything behind that. What it is
    /// to be told next goes on from what counts, as it does on the device.
    pub(super) fn tell_cuts(&mut self, turn: &mut Turn) {
        let cuts = std::mem::take(&mut turn.batch.cuts);
        if cuts.is_empty() || mutant::active(Mutant::CutsNotTold) {
            return;
        }
        let told: Vec<wire::Cut> = cuts.iter().map(|(o, last)| wire_cut(*o, *last)).collect();
        self.moved = true;
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
        let mut awake = Vec::new();
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
                    awake.push(id);
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
        awake.into_iter().for_each(|id| self.wake(id));
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
