//! Devices made by hand, for worlds of regions only: ops drawn from the rules of the model alone,
//! pushed to any region, again and again, whatever was answered.
//!
//! With clones allowed, two ops share a dot now and then. Hands keep no outbox: what a region has
//! accepted is the region's to keep, and what it loses before another has it is lost.

use crate::app::App;
use crate::losses::Name;
use crate::net::{Conn, Pipe};
use crate::world::{EPOCH_MS, Event, World};
use landfall_model::id::{DeviceId, Dot, EntityKey};
use landfall_model::op::{Action, Change, FieldChange, Op, Sealed, Tx};
use landfall_model::stamp::Hlc;
use landfall_model::value::Value;
use landfall_sync::{convert, wire};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::device_frame::Kind as FromDevice;
use wire::region_frame::Kind as FromRegion;

/// Stands for a device's index in connections of hands.
pub const HAND: usize = usize::MAX;

/// Ids that hands write under.
const DEVICES: usize = 4;

#[derive(Debug, Default)]
pub struct Hands {
    /// Transactions, in order of writing.
    made: Vec<Vec<Sealed>>,
    last: BTreeMap<DeviceId, u64>,
    /// Births of each entity, newest last.
    births: BTreeMap<EntityKey, Vec<Dot>>,
    waiting: BTreeSet<Dot>,
    /// What was pushed over each connection.
    pushed: BTreeMap<u64, BTreeSet<Name>>,
}

impl Hands {
    /// Dots that no region has answered for.
    pub fn unanswered(&self) -> usize {
        self.waiting.len()
    }
}

impl World {
    /// Make a transaction, and push it or some earlier ones.
    pub fn hand_acts(&mut self) {
        if self.healing {
            return self.push_all_by_hand();
        }
        if self.acts_left == 0 {
            return self.after(1_000, Event::Hand);
        }
        self.acts_left -= 1;
        self.make_transaction();
        let count = 1 + self.rng.below(3);
        let mut batch = Vec::new();
        for _ in 0..count {
            let newest = self.rng.chance(600);
            let at = self.rng.below(self.hands.made.len());
            let at = if newest { self.hands.made.len() - 1 } else { at };
            batch.push(self.hands.made[at].clone());
        }
        self.push_by_hand(batch);
        let most = self.plan.pause_ms * 2;
        let wait = self.rng.between(0, most);
        self.after(wait, Event::Hand);
    }

    fn push_all_by_hand(&mut self) {
        let waiting = |tx: &&Vec<Sealed>| tx.iter().any(|s| self.hands.waiting.contains(&s.op.dot));
        let batch: Vec<Vec<Sealed>> = self.hands.made.iter().filter(waiting).cloned().collect();
        if !batch.is_empty() {
            self.push_by_hand(batch);
        }
        self.after(1_000, Event::Hand);
    }

    fn make_transaction(&mut self) {
        let device = DeviceId::from_number(1 + self.rng.below(DEVICES) as u64);
        let count = 1 + self.rng.below(3) as u32;
        let last = self.hands.last.entry(device).or_default();
        let fork = *last > 0 && self.rng.chance(self.plan.clone * 4);
        let first = if fork { *last } else { *last + 1 };
        *last = (*last).max(first + u64::from(count) - 1);
        let tx = Tx { first, count };
        let home = format!("team/{}", crate::app::TEAMS[self.rng.below(2)]);
        let ops: Vec<Sealed> =
            tx.seqs().map(|seq| self.make_op(Dot::new(device, seq), tx, &home)).collect();
        let dots: Vec<Dot> = ops.iter().map(|o| o.op.dot).collect();
        self.say(format!("a hand makes {dots:?}, again: {fork}"));
        self.hands.waiting.extend(dots);
        self.hands.made.push(ops);
    }

    fn make_op(&mut self, dot: Dot, tx: Tx, home: &str) -> Sealed {
        let ids = self.app.ids;
        let key = App::key(home, ids.memo, &format!("n{}", self.rng.below(2)));
        let known = self.hands.births.get(&key).cloned().unwrap_or_default();
        let team = Value::text(home.strip_prefix("team/").expect("a team's home"));
        let write = |field, value| FieldChange {
            field,
            change: Change::Register { value, replaced: None },
        };
        let value = Value::Int((self.rng.draw() % 1_000) as i64);
        let (births, action) = if known.is_empty() || self.rng.chance(150) {
            self.hands.births.entry(key.clone()).or_default().push(dot);
            let mut births = known;
            births.push(dot);
            (births, Action::Create { parent: None, changes: vec![write(ids.team, team)] })
        } else if self.rng.chance(100) {
            (known, Action::Delete)
        } else if self.rng.chance(500) {
            let change = Change::Counter(1);
            (known, Action::Update(vec![FieldChange { field: ids.votes, change }]))
        } else {
            let value = Value::text(format!("{value:?}"));
            (known, Action::Update(vec![write(ids.title, value)]))
        };
        let mut births = births;
        births.sort();
        births.dedup();
        let hlc = Hlc::from_millis(self.now.max(EPOCH_MS));
        Op { hlc, tx, births, action, ..Op::void(dot, key, Arc::from("office-1")) }.seal()
    }

    fn push_by_hand(&mut self, batch: Vec<Vec<Sealed>>) {
        let up: Vec<usize> =
            self.live_regions().into_iter().filter(|r| self.regions[*r].node.is_some()).collect();
        let Some(&region) = self.rng.pick(&up) else { return };
        let conn = self.net.id();
        let life = self.regions[region].life;
        let (to_region, to_device) = (Pipe::default(), Pipe::default());
        let (device_up, region_up) = (true, true);
        let c = Conn {
            since: self.now,
            device: HAND,
            region,
            life,
            to_region,
            to_device,
            device_up,
            region_up,
        };
        self.net.conns.insert(conn, c);
        let devices = (1..=DEVICES as u64).map(|n| DeviceId::from_number(n).0.to_vec().into());
        let hello = wire::Hello {
            versions: vec![1],
            token: App::token("office-1", self.now + 100_000_000),
            devices: devices.collect(),
            ..Default::default()
        };
        let transactions = batch.iter().map(|ops| wire::push::Transaction {
            ops: ops.iter().map(|o| o.payload.to_vec().into()).collect(),
        });
        let push = wire::Push { transactions: transactions.collect() };
        for o in batch.iter().flatten() {
            let name = (o.op.dot, o.fingerprint);
            self.oracle.pushed.insert(name, o.clone());
            self.hands.pushed.entry(conn).or_default().insert(name);
        }
        let late = if self.healing { 0 } else { self.rng.between(0, 3_000) };
        let mut at = self.now;
        for kind in [FromDevice::Hello(hello), FromDevice::Push(push)] {
            let bytes = wire::DeviceFrame { kind: Some(kind) }.encode_to_vec();
            at += self.latency() + late;
            self.schedule(at, Event::ToRegion { conn, bytes });
        }
        self.schedule(at + 500, Event::RegionHangs { conn });
    }

    /// A region answers a hand.
    pub fn hand_hears(&mut self, conn: u64, region: usize, frame: &wire::RegionFrame, sent: i64) {
        let Some(FromRegion::Fates(fates)) = &frame.kind else { return };
        let Ok(id) = convert::device_id(&fates.device) else { return };
        for fate in &fates.fates {
            let what = match &fate.kind {
                Some(wire::fate::Kind::Accepted(_)) => "has",
                Some(wire::fate::Kind::Rejected(r)) => {
                    self.mark("refused");
                    r.code.as_str()
                }
                _ => "?",
            };
            for seq in fate.first..fate.first + u64::from(fate.count) {
                let dot = Dot::new(id, seq);
                self.say(format!("region {region} to a hand: {dot:?} {what}"));
                self.hands.waiting.remove(&dot);
                if what == "has" {
                    self.hand_is_answered(conn, region, dot, fate.durable, sent);
                }
            }
        }
    }

    /// A region has what this connection pushed under a number. Which of two it means, where two
    /// were pushed, it does not say.
    fn hand_is_answered(&mut self, conn: u64, region: usize, dot: Dot, durable: bool, sent: i64) {
        let pushed = self.hands.pushed.get(&conn).into_iter().flatten();
        let under: Vec<Name> = pushed.filter(|(d, _)| *d == dot).copied().collect();
        if let [name] = under[..] {
            self.note_ack(HAND, region, name, durable, sent);
            self.mark("hand answered");
        }
    }
}
