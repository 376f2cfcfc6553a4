//! What the simulator itself has seen, apart from what the nodes say of themselves.
//!
//! It writes down every op when its local transaction commits, every payload that leaves a device,
//! and every answer that reaches one. The checkers compare the end of the run with this.

use crate::checkers::keep::Asked;
use crate::checkers::local::Local;
use crate::losses::{Losses, Name};
use crate::world::World;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope};
use landfall_model::op::{Change, Fingerprint, Sealed};
use landfall_model::schema::LOCAL_HOME;
use landfall_sync::convert;
use landfall_sync::device::memory::MemoryStore;
use landfall_sync::device::store::{OpState, Store};
use landfall_sync::{limits, wire};
use std::collections::{BTreeMap, BTreeSet};
use wire::region_frame::Kind as FromRegion;

/// An op of a file, by the file's own order; its dot may change when the file takes a new id.
#[derive(Debug, Clone)]
pub struct Written {
    pub sealed: Sealed,
    pub at: i64,
    /// It left the device.
    pub sent: bool,
}

/// A region said that it has an op.
#[derive(Debug, Clone)]
pub struct Ack {
    /// The first region that said so, and when it did.
    pub region: usize,
    pub at: i64,
    /// Who heard it last, and when.
    pub device: usize,
    pub heard: i64,
    pub durable: bool,
    pub sealed: Sealed,
}

/// What a device may send: device, number, content.
pub type Payload = (usize, Dot, Fingerprint);

#[derive(Debug, Default)]
pub struct Oracle {
    /// Ops of each file as it stands: (device, order).
    pub written: BTreeMap<(usize, u64), Written>,
    pub acks: BTreeMap<(Dot, Fingerprint), Ack>,
    /// Dots that a region refused, per device.
    pub refused: BTreeMap<(usize, Dot), BTreeSet<(usize, String)>>,
    /// Everything that ever left a device.
    pub pushed: BTreeMap<(Dot, Fingerprint), Sealed>,
    /// Per file and dot, what left last.
    pub last_pushed: BTreeMap<(usize, Dot), Fingerprint>,
    /// Which regions a payload was sent to, and when to each for the first time.
    pub sent_to: BTreeMap<Payload, BTreeMap<usize, i64>>,
    /// Ops that a region has answered for since the device connected to it: device, region, number.
    pub answered: BTreeSet<(usize, usize, Dot)>,
    /// Scopes that a device let go, or died before it had them: it did not follow all that became of its writes.
    pub let_go: BTreeSet<(usize, Scope)>,
    /// Rows that a device evicted: it did not follow what became of its writes on them.
    pub evicted: BTreeSet<(usize, EntityKey)>,
    /// Ops that were taken back before they were sent.
    pub cancelled: BTreeMap<(usize, Dot), Fingerprint>,
    /// Local transactions whose commit is under way.
    pub pending: Vec<(usize, Dot)>,
    /// They bring a row back.
    pub restoring: bool,
    /// Rows of local types.
    pub local: Local,
    /// Terms and pins that apps asked for.
    pub asked: Asked,
    /// What disasters took.
    pub losses: Losses,
    /// Rows that came to each device in deltas.
    pub rows: BTreeMap<usize, u64>,
    /// Device ids of files that were copied or put back.
    pub shared_ids: BTreeSet<DeviceId>,
    increments: BTreeMap<(EntityKey, FieldId), i64>,
}

impl Oracle {
    /// A device's call was committed: note the ops that it wrote.
    pub fn after_commit(&mut self, device: usize, store: &MemoryStore, now: i64) {
        let pending = std::mem::take(&mut self.pending);
        let restoring = std::mem::take(&mut self.restoring);
        if pending.is_empty() {
            return;
        }
        let dots: BTreeSet<Dot> = pending.iter().map(|(_, d)| *d).collect();
        for op in store.own_ops().filter(|o| dots.contains(&o.sealed.op.dot)) {
            let written = Written { sealed: op.sealed.clone(), at: now, sent: false };
            let new = self.written.insert((device, op.order), written).is_none();
            if new && !restoring {
                self.count(&op.sealed);
            }
        }
    }

    /// A call was not committed: its process died.
    pub fn not_committed(&mut self) {
        self.pending.clear();
        self.restoring = false;
        self.local.not_committed();
    }

    /// Count an op's increments. Stamps, numbers and so fingerprints may change before it is sent: it is
    /// counted where it is written, and not where it leaves.
    fn count(&mut self, sealed: &Sealed) {
        for change in sealed.op.changes() {
            if let Change::Counter(n) = change.change {
                let counter = (sealed.op.key.clone(), change.field);
                *self.increments.entry(counter).or_default() += n;
            }
        }
    }

    /// All that was ever counted.
    pub fn increments(&self) -> &BTreeMap<(EntityKey, FieldId), i64> {
        &self.increments
    }

    /// The increments of a counter that were ever written.
    pub fn increments_on(&self, key: &EntityKey, field: FieldId) -> i64 {
        self.increments.get(&(key.clone(), field)).copied().unwrap_or(0)
    }

    /// What a file has lost was not written, and what it has again, it did not take back.
    pub fn cut_back(&mut self, device: usize, file: &MemoryStore, last_order: u64) {
        self.written.retain(|(d, order), _| *d != device || *order <= last_order);
        let there: BTreeSet<Dot> = file.own_ops().map(|own| own.sealed.op.dot).collect();
        self.cancelled.retain(|(d, dot), _| *d != device || !there.contains(dot));
    }

    /// An older copy took a file's place: it does not know what it has sent since.
    pub fn put_back(&mut self, device: usize, file: &MemoryStore, last_order: u64) {
        self.cut_back(device, file, last_order);
        self.last_pushed.retain(|(d, _), _| *d != device);
        self.sent_to.retain(|(d, ..), _| *d != device);
        self.count_again(file);
    }

    /// What two lives of a file may both send, under different numbers, is two writes.
    fn count_again(&mut self, file: &MemoryStore) {
        let unsent = file.own_ops().filter(|own| own.state == OpState::Unsent);
        let unsent: Vec<Sealed> = unsent.map(|own| own.sealed.clone()).collect();
        unsent.iter().for_each(|sealed| self.count(sealed));
    }

    /// A file was copied.
    pub fn copied(&mut self, from: usize, to: usize, file: &MemoryStore) {
        self.count_again(file);
        let heard: Vec<_> = self.refused.iter().filter(|((d, _), _)| *d == from).collect();
        let heard: Vec<_> =
            heard.into_iter().map(|((_, dot), r)| ((to, *dot), r.clone())).collect();
        self.refused.extend(heard);
        let copies: Vec<_> = self
            .written
            .iter()
            .filter(|((d, _), _)| *d == from)
            .map(|((_, order), w)| ((to, *order), w.clone()))
            .collect();
        self.written.extend(copies);
        // What the file did not follow, its copy did not either.
        inherit(&mut self.let_go, from, to);
        inherit(&mut self.evicted, from, to);
        self.local.copied(from, to);
    }
}

impl World {
    /// Payloads leave a device.
    pub fn note_push(&mut self, device: usize, conn: u64, push: &wire::Push) {
        let payloads = push.transactions.iter().flat_map(|t| &t.ops);
        for payload in payloads {
            let sealed = match Sealed::decode(payload) {
                Ok(sealed) => sealed,
                Err(e) => {
                    let message = format!("{} sends no op: {e}", self.devices[device].name);
                    return self.fail("wire", "I17", message);
                }
            };
            self.note_pushed_op(device, conn, sealed);
        }
    }

    fn note_pushed_op(&mut self, device: usize, conn: u64, sealed: Sealed) {
        let (dot, fingerprint) = (sealed.op.dot, sealed.fingerprint);
        if *sealed.op.key.home == *LOCAL_HOME {
            let message = format!("{} sends {dot:?}, a local write", self.devices[device].name);
            return self.fail("local", "I13", message);
        }
        let own = self.devices[device].store.op(dot).expect("a store in memory does not fail");
        self.say({
            let name = &self.devices[device].name;
            format!("{name} sends {dot:?} {fingerprint:?} {}", told(&sealed))
        });
        let before = self.oracle.last_pushed.insert((device, dot), fingerprint);
        if let Some(before) = before.filter(|b| *b != fingerprint)
            && fingerprint != Fingerprint::VOID
        {
            self.check_resealed(device, dot, before);
        }
        self.check_above_read(device, &sealed);
        if let Some(region) = self.net.conns.get(&conn).map(|c| c.region) {
            self.note_again(device, dot, fingerprint, region);
            let sent_to = self.oracle.sent_to.entry((device, dot, fingerprint)).or_default();
            sent_to.entry(region).or_insert(self.now);
        }
        if let Some(own) = own.filter(|o| o.sealed.fingerprint == fingerprint) {
            let written = Written { sealed: sealed.clone(), at: self.now, sent: true };
            self.oracle.written.insert((device, own.order), written);
        }
        self.oracle.pushed.entry((dot, fingerprint)).or_insert(sealed);
    }

    /// Nothing leaves before it is on disk: what was sent is known to be sent after a power cut.
    /// `before` is the id that the device sent under.
    pub fn check_sent_is_on_disk(&mut self, device: usize, before: DeviceId) {
        let meta = self.devices[device].store.meta().expect("a store in memory does not fail");
        let knows = |dot: &Dot| match &meta {
            // A file that is back under the id before has lost that it took this one.
            Some(m) => m.device == dot.device && dot.seq <= m.sent_seq,
            None => false,
        };
        let of_file = |(d, dot): &&(usize, Dot)| *d == device && dot.device == before;
        let forgot = self.oracle.last_pushed.keys().filter(of_file).find(|(_, dot)| !knows(dot));
        if let Some((_, dot)) = forgot.copied() {
            let message = format!("{} sent {dot:?} and lost it", self.devices[device].name);
            self.fail("durability", "I2", message);
        }
    }

    /// I7: a payload that was sent changes only after every region that it went to refused it for
    /// its stamp.
    fn check_resealed(&mut self, device: usize, dot: Dot, before: Fingerprint) {
        if self.all_found_it_ahead((device, dot, before)) {
            self.mark("restamp");
            return;
        }
        let message = format!("{} rewrote {dot:?} after sending it", self.devices[device].name);
        self.fail("stamps", "I7", message);
    }

    /// Whether all regions that a payload was sent to refused it for its stamp.
    pub fn all_found_it_ahead(&self, payload: Payload) -> bool {
        let refusals = self.oracle.refused.get(&(payload.0, payload.1));
        let ahead = |by| refusals.is_some_and(|all| all.contains(&(by, "clock_ahead".to_owned())));
        self.asked(payload).all(ahead)
    }

    /// The regions, of those that still are, that a payload was sent to.
    pub fn asked(&self, payload: Payload) -> impl Iterator<Item = usize> + '_ {
        let sent_to = self.oracle.sent_to.get(&payload).into_iter().flatten();
        sent_to.map(|(region, _)| *region).filter(|region| !self.regions[*region].lost)
    }

    /// A region's answer reaches a device.
    pub fn note_answer(
        &mut self,
        device: usize,
        region: usize,
        frame: &wire::RegionFrame,
        sent: i64,
    ) {
        match &frame.kind {
            Some(FromRegion::Fates(fates)) => self.note_fates(device, region, fates, sent),
            Some(FromRegion::Durable(d)) => {
                let Ok(id) = convert::device_id(&d.device) else { return };
                let Ok(seqs) = convert::seq_set(d.seqs.as_ref()) else { return };
                self.mark("durability told later");
                let Oracle { acks, last_pushed, .. } = &mut self.oracle;
                let first = (Dot::new(id, 0), Fingerprint([0; 16]));
                let last = (Dot::new(id, u64::MAX), Fingerprint([0xff; 16]));
                for ((dot, fingerprint), ack) in acks.range_mut(first..=last) {
                    // A void that took the place of a refused op says nothing about the op.
                    let latest = last_pushed.get(&(device, *dot)) == Some(fingerprint);
                    let told = ack.device == device && seqs.contains(dot.seq);
                    ack.durable |= told && latest;
                }
            }
            Some(FromRegion::Closed(_)) => self.mark("closed"),
            Some(FromRegion::Cuts(_)) => self.mark("void logs told"),
            Some(FromRegion::Denied(_)) => self.mark("denied"),
            Some(FromRegion::Welcome(w)) => {
                if w.known.iter().any(|k| k.closed) {
                    self.mark("closed id greeted");
                }
                if !w.cuts.is_empty() {
                    self.mark("cuts told in a greeting");
                }
            }
            Some(FromRegion::Delta(d)) => self.note_delta(device, region, d),
            _ => {}
        }
    }

    fn note_fates(&mut self, device: usize, region: usize, fates: &wire::Fates, sent: i64) {
        let Ok(id) = convert::device_id(&fates.device) else { return };
        for fate in &fates.fates {
            for seq in fate.first..fate.first + u64::from(fate.count) {
                self.note_fate(device, region, Dot::new(id, seq), fate, sent);
            }
        }
    }

    fn note_fate(&mut self, device: usize, region: usize, dot: Dot, fate: &wire::Fate, sent: i64) {
        match &fate.kind {
            Some(wire::fate::Kind::Accepted(_)) => {
                self.say(format!("region {region} has {dot:?}, durable {}", fate.durable));
                if fate.durable {
                    self.mark("durable at once");
                }
                let conn = self.devices[device].conn.and_then(|c| self.net.conns.get(&c));
                if conn.is_none_or(|c| c.region != region) {
                    self.mark("hedge answered");
                }
                self.oracle.answered.insert((device, region, dot));
                if let Some(fp) = self.oracle.last_pushed.get(&(device, dot)).copied() {
                    self.note_ack(device, region, (dot, fp), fate.durable, sent);
                }
            }
            Some(wire::fate::Kind::Rejected(r)) => {
                self.say(format!("region {region} refuses {dot:?}: {}", r.code));
                self.mark("refused");
                self.mark(match r.code.as_str() {
                    "clock_ahead" => "refused for its stamp",
                    "not_allowed" => "refused for want of access",
                    "depends_on_refused" => "refused with what it stands on",
                    "incomplete_transaction" => "refused as a part of a transaction",
                    "forked_device" => "refused as a used number",
                    _ => "refused for something else",
                });
                self.oracle.answered.insert((device, region, dot));
                let last = self.oracle.last_pushed.get(&(device, dot));
                // What fills the number of a write that has ended is no write.
                if last.is_none_or(|fp| *fp != Fingerprint::VOID) {
                    let refusal = (region, r.code.clone());
                    self.oracle.refused.entry((device, dot)).or_default().insert(refusal);
                }
            }
            Some(wire::fate::Kind::Unknown(_)) => self.mark("fate not known any more"),
            Some(wire::fate::Kind::Other(_)) => self.mark("number held by another file's write"),
            _ => {}
        }
    }

    /// A region's word that it has an op reaches whoever sent it.
    pub fn note_ack(&mut self, device: usize, region: usize, name: Name, durable: bool, sent: i64) {
        let Some(sealed) = self.oracle.pushed.get(&name).cloned() else { return };
        self.check_stamp(name.0, sealed.op.hlc.millis(), sent);
        let ack = Ack { region, at: sent, device, heard: self.now, durable, sealed };
        let known = self.oracle.acks.entry(name).or_insert(ack);
        (known.at, known.device, known.heard) = (known.at.min(sent), device, self.now);
        known.durable |= durable;
    }

    /// I7: no region takes a stamp further ahead than the limit, whatever a device's clock says.
    /// The answer left right after the region had judged it, or later.
    fn check_stamp(&mut self, dot: Dot, stamp_ms: i64, sent: i64) {
        let most = sent + limits::STAMP_AHEAD_MS_MAX + limits::REGION_OFFSET_MS_MAX;
        if stamp_ms > most {
            let by = stamp_ms - sent;
            self.fail("stamps", "I7", format!("{dot:?} was accepted {by} ms ahead of time"));
        }
    }

    fn note_delta(&mut self, device: usize, region: usize, delta: &wire::Delta) {
        use prost::Message;
        let Ok(body) = wire::Body::decode(delta.body.as_ref()) else {
            return self.fail("wire", "I17", format!("region {region} sends a bad body"));
        };
        *self.oracle.rows.entry(device).or_default() += body.rows.len() as u64;
        if body.rows.iter().any(|row| row.left) {
            self.mark("row left its scope");
        }
        if body.rows.iter().any(|row| row.outside) {
            self.mark("row outside its window");
        }
        if matches!(&delta.place, Some(wire::delta::Place::Chunk(c)) if c.done) {
            self.devices[device].caught_up.insert(delta.sub);
        }
        match &delta.place {
            Some(wire::delta::Place::Chunk(c)) if !c.covering => self.mark("chunk not covering"),
            Some(wire::delta::Place::Refetched(_)) => self.mark("refetched"),
            Some(wire::delta::Place::Live(_)) => self.mark("live delta"),
            _ => {}
        }
        self.say({
            let rows = body.rows.iter().map(|r| {
                let id = r.key.as_ref().map_or("?", |k| k.id.as_str());
                if r.left { format!("{id} left") } else { id.to_owned() }
            });
            let place = match &delta.place {
                Some(wire::delta::Place::Chunk(c)) => {
                    format!("chunk covering {} done {}", c.covering, c.done)
                }
                Some(wire::delta::Place::Live(_)) => "live".to_owned(),
                Some(wire::delta::Place::Refetched(_)) => "refetched".to_owned(),
                None => "?".to_owned(),
            };
            let rows: Vec<String> = rows.collect();
            let name = &self.devices[device].name;
            format!("{name} gets {place} of sub {} from region {region}: {rows:?}", delta.sub)
        });
    }
}

/// What is noted of a file holds for its copy.
fn inherit<T: Clone + Ord>(noted: &mut BTreeSet<(usize, T)>, from: usize, to: usize) {
    let of_it = noted.iter().filter(|(device, _)| *device == from);
    let of_it: Vec<_> = of_it.map(|(_, what)| (to, what.clone())).collect();
    noted.extend(of_it);
}

/// An op in words.
pub fn told(sealed: &Sealed) -> String {
    use landfall_model::op::Action;
    let op = &sealed.op;
    let changes = |changes: &[landfall_model::op::FieldChange]| {
        let told = changes.iter().map(|c| match &c.change {
            Change::Register { value, .. } => format!("{:x}={value:?}", c.field.0 & 0xfff),
            Change::Set { add, remove } => {
                let gone: Vec<_> = remove.iter().map(|r| &r.value).collect();
                format!("+{add:?} -{gone:?}")
            }
            Change::Counter(n) => format!("+{n}"),
            Change::Carried(counts) => format!("carries {counts:?}"),
            Change::Text(t) => format!("{t:?}"),
        });
        told.collect::<Vec<_>>().join(" ")
    };
    let what = match &op.action {
        Action::Create { changes: c, .. } => format!("create {}", changes(c)),
        Action::Update(c) => format!("update {}", changes(c)),
        Action::Delete => "delete".to_owned(),
        Action::Void => "void".to_owned(),
    };
    let (key, births, tx) = (&op.key, &op.births, op.tx);
    format!("{}:{} {what} (births {births:?}, tx {}+{})", key.home, key.id, tx.first, tx.count)
}
