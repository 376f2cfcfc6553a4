//! Accepting what a device pushes.
//!
//! One call decides one transaction: wholly accepted, or wholly refused. Accepted means that its
//! ops are in this region's log, in the received set and in the merged state, all in the store
//! transaction under way. Refused means that nothing is replicated and nothing counts as received;
//! a durable refusal says why, except where the same op may be accepted when it comes again.
//!
//! A dot that was received before is looked up by fingerprint. The same fingerprint is the same op
//! and gets the same answer. Another one is a second op under the dot (a cloned or rolled-back
//! file): it is accepted as an op of its own, and the device id is closed. If the fingerprint is
//! no longer known, nobody can tell, and the op is refused as `forked_device`. What is missing of a
//! transaction of which a part is here: `parts`.

use super::Core;
use super::access::Author;
use super::checks::code;
use super::merge::Batch;
use super::parts::Part;
use super::store::{DotRecord, Head, LogRow, Refusal, Store};
use crate::log::{Opened, Whole};
use crate::mutant::{self, Mutant};
use landfall_model::id::{Dot, Scope};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::vector::{Origin, Position};
use std::collections::BTreeMap;

/// The answer to one op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted(Position),
    Rejected(Refusal),
}

/// How a pushed op relates to what was received before.
enum Known {
    New,
    Duplicate(Position),
    /// A second op under a dot.
    Fork,
    Refused(&'static str),
}

impl Core {
    /// Decide one transaction. The answers are in the order of `ops`.
    pub(super) fn commit<S: Store>(
        &mut self,
        store: &mut S,
        author: &Author,
        ops: Vec<Sealed>,
        now_ms: i64,
        batch: &mut Batch,
    ) -> Result<Vec<(Dot, Verdict)>, S::Error> {
        let all =
            |r: Refusal| ops.iter().map(|o| (o.op.dot, Verdict::Rejected(r.clone()))).collect();
        if let Err(refusal) = self.check_shape(author, &ops) {
            return Ok(all(refusal));
        }
        let known = ops.iter().map(|o| self.known(store, o)).collect::<Result<Vec<_>, _>>()?;
        let mut part = Part::None;
        if known.iter().any(|k| matches!(k, Known::New | Known::Fork)) {
            part = self.part_of(store, &ops, batch)?;
        }
        if let Some(refusal) = self.refusal(store, author, &ops, &known, &part, now_ms)? {
            // A stamp is mended and sent again under the same dot, and a part again when the others
            // have come; anything else stays refused, so that a copy of this push that is still on
            // its way finds the same answer.
            if !matches!(&*refusal.code, code::CLOCK_AHEAD | code::INCOMPLETE) {
                for (op, known) in ops.iter().zip(&known) {
                    if matches!(known, Known::New) {
                        store.put_refusal(op.op.dot, op.fingerprint, &refusal)?;
                        if mutant::active(Mutant::RefusalReplicated) {
                            let mut record = store.device(op.op.dot.device)?;
                            record.received.insert(op.op.dot.seq);
                            store.put_device(op.op.dot.device, &record)?;
                        }
                    }
                }
            }
            return Ok(all(refusal));
        }
        let whole = part.whole(&ops);
        self.accept(store, author, ops, &known, whole, batch)
    }

    fn known<S: Store>(&self, store: &mut S, sealed: &Sealed) -> Result<Known, S::Error> {
        let dot = sealed.op.dot;
        if !store.device(dot.device)?.received.contains(dot.seq) {
            return Ok(Known::New);
        }
        let records = store.dots(dot)?;
        let same = records.iter().find(|r| r.fingerprint == sealed.fingerprint);
        Ok(match (same, records.first()) {
            (Some(r), _) => Known::Duplicate(r.position),
            // The op that a void stands for was accepted elsewhere: that is the answer.
            (None, Some(r)) if sealed.op.is_void() => Known::Duplicate(r.position),
            (None, Some(r)) if r.fingerprint == Fingerprint::VOID => Known::Refused(code::VOIDED),
            (None, Some(r)) if mutant::active(Mutant::ForkAsDuplicate) => {
                Known::Duplicate(r.position)
            }
            (None, Some(_)) => Known::Fork,
            (None, None) => Known::Refused(code::FORKED),
        })
    }

    /// Why the transaction cannot be accepted, if so.
    fn refusal<S: Store>(
        &mut self,
        store: &mut S,
        author: &Author,
        ops: &[Sealed],
        known: &[Known],
        part: &Part,
        now_ms: i64,
    ) -> Result<Option<Refusal>, S::Error> {
        for (o, known) in ops.iter().zip(known) {
            if let Known::Refused(code) = known {
                let detail = "the number was used before, by this op or by another";
                let (code, detail) = ((*code).to_owned(), detail.to_owned());
                return Ok(Some(Refusal { code, seq: o.op.dot.seq, field: None, detail }));
            }
        }
        let record = store.device(ops[0].op.dot.device)?;
        if record.principal.as_ref().is_some_and(|p| *p != author.subject) {
            let (code, seq) = (code::WRONG_PRINCIPAL.to_owned(), ops[0].op.dot.seq);
            let detail = "the device id belongs to another account".to_owned();
            return Ok(Some(Refusal { code, seq, field: None, detail }));
        }
        let fresh = known.iter().any(|k| matches!(k, Known::New | Known::Fork));
        if fresh
            && matches!(part, Part::None | Part::Lacking)
            && let Err(refusal) = self.check_complete(ops)
        {
            return Ok(Some(refusal));
        }
        if matches!(part, Part::Completed(_)) {
            return Ok(None);
        }
        for (o, known) in ops.iter().zip(known) {
            if !matches!(known, Known::New | Known::Fork) {
                continue;
            }
            // What an op hangs on may have come from a peer since.
            let stands = |(of, r): &(Fingerprint, Refusal)| {
                !o.op.is_void() && *of == o.fingerprint && r.code != code::DEPENDS
            };
            if let Some((_, refusal)) = store.refusals(o.op.dot)?.into_iter().find(stands) {
                return Ok(Some(refusal));
            }
            if let Err(refusal) = self.check_op(store, author, &o.op, now_ms)? {
                return Ok(Some(refusal));
            }
            if let Some(refusal) = self.check_needs(store, &o.op, &record.received)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    /// Log, merge and note what is new; answer all.
    fn accept<S: Store>(
        &mut self,
        store: &mut S,
        author: &Author,
        ops: Vec<Sealed>,
        known: &[Known],
        whole: Option<Whole>,
        batch: &mut Batch,
    ) -> Result<Vec<(Dot, Verdict)>, S::Error> {
        let (device, tx) = (ops[0].op.dot.device, ops[0].op.tx);
        let asked: Vec<(Dot, Fingerprint)> =
            ops.iter().map(|o| (o.op.dot, o.fingerprint)).collect();
        let mut entries: BTreeMap<Scope, (Vec<Sealed>, bool)> = BTreeMap::new();
        for (o, known) in ops.into_iter().zip(known) {
            if matches!(known, Known::New | Known::Fork) {
                let entry = entries.entry(o.op.key.home.clone()).or_default();
                entry.0.push(o);
                entry.1 |= matches!(known, Known::Fork);
            }
        }
        batch.parts.remove(&(device, tx.first));
        let mut record = store.device(device)?;
        let mut positions: BTreeMap<(u64, Fingerprint), Position> = BTreeMap::new();
        for (ops, fork) in torn(entries) {
            let entry = Opened::Ops { ops, fork, whole };
            let position = self.log_own(store, &entry, batch)?;
            record.closed |= fork;
            for sealed in entry.ops() {
                let (dot, fingerprint) = (sealed.op.dot, sealed.fingerprint);
                record.received.insert(dot.seq);
                store.add_dot(dot, DotRecord { fingerprint, position, tx: sealed.op.tx })?;
                self.merge(store, sealed, position, true, batch)?;
                positions.insert((dot.seq, fingerprint), position);
            }
        }
        if !positions.is_empty() {
            record.principal.get_or_insert_with(|| author.subject.clone());
            store.put_device(device, &record)?;
            batch.devices.insert(device);
        }
        let answer = |((dot, fingerprint), known): ((Dot, Fingerprint), &Known)| {
            let position = match known {
                Known::Duplicate(p) => *p,
                _ => positions[&(dot.seq, fingerprint)],
            };
            (dot, Verdict::Accepted(position))
        };
        Ok(asked.into_iter().zip(known).map(answer).collect())
    }

    /// Append ops of one transaction and home scope to this region's own log.
    pub(super) fn log_own<S: Store>(
        &mut self,
        store: &mut S,
        entry: &Opened,
        batch: &mut Batch,
    ) -> Result<Position, S::Error> {
        let origin = self.own_origin(&entry.ops()[0].op.key.home);
        self.append(store, origin, entry, batch)
    }

    /// Append an entry behind the head. The head is read and moved here, last before the commit
    /// and under the store's one write transaction, so numbers are dense and in commit order.
    pub(super) fn append<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        opened: &Opened,
        batch: &mut Batch,
    ) -> Result<Position, S::Error> {
        let Head { seq, hash } = store.head(origin)?;
        let seq = seq + 1;
        let (entry, hash) = (opened.to_bytes(), opened.roll(hash, seq));
        store.append(origin, &LogRow { seq, entry, hash })?;
        self.vector.advance(origin, seq);
        self.lives.insert((origin.region, origin.incarnation));
        batch.advanced.advance(origin, seq);
        Ok(Position { origin, seq })
    }
}

/// The ops of one entry per home scope, unless a mutant tears them.
fn torn(entries: BTreeMap<Scope, (Vec<Sealed>, bool)>) -> Vec<(Vec<Sealed>, bool)> {
    let mut out = Vec::new();
    for (ops, fork) in entries.into_values() {
        if mutant::active(Mutant::HalfTransaction) {
            out.extend(ops.into_iter().map(|op| (vec![op], fork)));
        } else {
            out.push((ops, fork));
        }
    }
    out
}
