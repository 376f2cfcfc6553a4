//! What the simulator itself has seen, apart from what the nodes say of themselves.
//!
//! It writes down every op when its local transaction commits, every payload that leaves a device,
//! and every answer that reaches one. The checkers compare the end of the run with this.

use crate::checkers::local::Local;
use crate::world::World;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope};
use landfall_model::op::{Change, Fingerprint, Sealed};
use landfall_model::schema::LOCAL_HOME;
use landfall_sync::convert;
use landfall_sync::device::memory::MemoryStore;
use landfall_sync::device::store::Store;
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
    pub region: usize,
    pub at: i64,
    pub device: usize,
    pub durable: bool,
    pub sealed: Sealed,
}

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
    /// Which regions a payload was sent to.
    pub sent_to: BTreeMap<(usize, Dot, Fingerprint), BTreeSet<usize>>,
    /// Ops that a device's region has answered for since the device connected to it.
    pub answered: BTreeSet<(usize, Dot)>,
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
    /// Rows that came to each device in deltas.
    pub rows: BTreeMap<usize, u64>,
    /// Device ids of files that were copied or put back.
    pub shared_ids: BTreeSet<DeviceId>,
    increments: BTreeMap<(EntityKey, FieldId), i64>,
    counted: BTreeSet<(Dot, Fingerprint)>,
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
            self.written.insert((device, op.order), written);
        }
        for op in store.own_ops().filter(|o| dots.contains(&o.sealed.op.dot)) {
            if restoring {
                self.counted.insert((op.sealed.op.dot, op.sealed.fingerprint));
            }
            self.count(&op.sealed);
        }
    }

    /// A call was not committed: its process died.
    pub fn not_committed(&mut self) {
        self.pending.clear();
        self.restoring = false;
        self.local.not_committed();
    }

    /// Count an op's increments, once. What a copied file sends under a new number is another op.
    fn count(&mut self, sealed: &Sealed) {
        if !self.counted.insert((sealed.op.dot, sealed.fingerprint)) {
            return;
        }
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

    /// A file was put back: what it does not remember was not written.
    pub fn put_back(&mut self, device: usize, last_order: u64) {
        self.written.retain(|(d, order), _| *d != device || *order <= last_order);
        // Those that it remembers again, it did not take back.
        self.cancelled.retain(|(d, _), _| *d != device);
        self.last_pushed.retain(|(d, _), _| *d != device);
        self.sent_to.retain(|(d, ..), _| *d != device);
    }

    /// A file was copied.
    pub fn copied(&mut self, from: usize, to: usize) {
        let copies: Vec<_> = self
            .written
            .iter()
            .filter(|((d, _), _)| *d == from)
            .map(|((_, order), w)| ((to, *order), w.clone()))
            .collect();
        self.written.extend(copies);
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
            self.oracle.sent_to.entry((device, dot, fingerprint)).or_default().insert(region);
        }
        if let Some(own) = own.filter(|o| o.sealed.fingerprint == fingerprint) {
            let written = Written { sealed: sealed.clone(), at: self.now, sent: true };
            self.oracle.written.insert((device, own.order), written);
        }
        self.oracle.count(&sealed);
        self.oracle.pushed.entry((dot, fingerprint)).or_insert(sealed);
    }

    /// Nothing leaves before it is on disk: what was sent is known to be sent after a power cut.
    pub fn check_sent_is_on_disk(&mut self, device: usize) {
        let meta = self.devices[device].store.meta().expect("a store in memory does not fail");
        let known = meta.map(|m| (m.device, m.sent_seq)).unwrap_or_default();
        let forgot = self
            .oracle
            .last_pushed
            .keys()
            .find(|(d, dot)| *d == device && dot.device == known.0 && dot.seq > known.1);
        if let Some((_, dot)) = forgot.copied() {
            let message = format!("{} sent {dot:?} and lost it", self.devices[device].name);
            self.fail("durability", "I2", message);
        }
    }

    /// I7: a payload that was sent changes only after every region that it went to refused it for
    /// its stamp.
    fn check_resealed(&mut self, device: usize, dot: Dot, before: Fingerprint) {
        let none = BTreeSet::new();
        let refusals = self.oracle.refused.get(&(device, dot)).unwrap_or(&none);
        let sent_to = self.oracle.sent_to.get(&(device, dot, before)).into_iter().flatten();
        let live = self.live_regions();
        let mut asked = sent_to.filter(|r| live.contains(r));
        if asked.all(|r| refusals.contains(&(*r, "clock_ahead".to_owned()))) {
            self.mark("restamp");
            return;
        }
        let message = format!("{} rewrote {dot:?} after sending it", self.devices[device].name);
        self.fail("stamps", "I7", message);
    }

    /// A region's answer reaches a device.
    pub fn note_answer(&mut self, device: usize, region: usize, frame: &wire::RegionFrame) {
        match &frame.kind {
            Some(FromRegion::Fates(fates)) => self.note_fates(device, region, fates),
            Some(FromRegion::Durable(d)) => {
                let Ok(id) = convert::device_id(&d.device) else { return };
                let Ok(seqs) = convert::seq_set(d.seqs.as_ref()) else { return };
                self.mark("durability told later");
                let Oracle { acks, last_pushed, .. } = &mut self.oracle;
                for ((dot, fingerprint), ack) in acks {
                    // A void that took the place of a refused op says nothing about the op.
                    let latest = last_pushed.get(&(device, *dot)) == Some(fingerprint);
                    let told = ack.device == device && dot.device == id && seqs.contains(dot.seq);
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

    fn note_fates(&mut self, device: usize, region: usize, fates: &wire::Fates) {
        let Ok(id) = convert::device_id(&fates.device) else { return };
        for fate in &fates.fates {
            for seq in fate.first..fate.first + u64::from(fate.count) {
                self.note_fate(device, region, Dot::new(id, seq), fate);
            }
        }
    }

    fn note_fate(&mut self, device: usize, region: usize, dot: Dot, fate: &wire::Fate) {
        match &fate.kind {
            Some(wire::fate::Kind::Accepted(_)) => {
                self.say(format!("region {region} has {dot:?}, durable {}", fate.durable));
                if fate.durable {
                    self.mark("durable at once");
                }
                if self.devices[device]
                    .conn
                    .is_none_or(|c| self.net.conns.get(&c).is_none_or(|c| c.region != region))
                {
                    self.mark("hedge answered");
                }
                let Some(fp) = self.oracle.last_pushed.get(&(device, dot)) else { return };
                let Some(sealed) = self.oracle.pushed.get(&(dot, *fp)).cloned() else { return };
                let (at, durable) = (self.now, fate.durable);
                let sealed_ms = sealed.op.hlc.millis();
                let ack = Ack { region, at, device, durable, sealed };
                let conn = self.devices[device].conn.and_then(|c| self.net.conns.get(&c));
                if conn.is_some_and(|c| c.region == region) {
                    self.oracle.answered.insert((device, dot));
                }
                let known = self.oracle.acks.entry((dot, *fp)).or_insert(ack);
                known.durable |= durable;
                self.check_stamp(dot, sealed_ms);
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
                self.oracle.answered.insert((device, dot));
                let refusal = (region, r.code.clone());
                self.oracle.refused.entry((device, dot)).or_default().insert(refusal);
            }
            Some(wire::fate::Kind::Unknown(_)) => self.mark("fate not known any more"),
            Some(wire::fate::Kind::Other(_)) => self.mark("number held by another file's write"),
            _ => {}
        }
    }

    /// I7: no region takes a stamp further ahead than the limit, whatever a device's clock says.
    fn check_stamp(&mut self, dot: Dot, stamp_ms: i64) {
        let most = self.now + limits::STAMP_AHEAD_MS_MAX + limits::REGION_OFFSET_MS_MAX;
        if stamp_ms > most {
            let by = stamp_ms - self.now;
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
