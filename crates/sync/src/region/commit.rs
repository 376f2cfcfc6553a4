//! Accepting what a device pushes.
//!
//! One call decides one transaction: wholly accepted, or wholly refused. Accepted means that its
//! ops are in this region's log, in the received set and in the merged state, all in the store
//! transaction under way. Refused means that a durable refusal says why; nothing is replicated and
//! nothing counts as received.
//!
//! A dot that was received before is looked up by fingerprint. The same fingerprint is the same op
//! and gets the same answer. Another one is a second op under the dot (a cloned or rolled-back
//! file): it is accepted as an op of its own, and the device id is closed. If the fingerprint is
//! no longer known, nobody can tell, and the op is refused as `forked_device`.

use super::Core;
use super::access::Author;
use super::checks::code;
use super::merge::Batch;
use super::store::{DotRecord, Head, LogRow, Refusal, Store};
use crate::log::{Entry, Opened};
use crate::mutant::{self, Mutant};
use landfall_model::id::{Dot, Scope};
use landfall_model::op::{Fingerprint, Op, Sealed};
use landfall_model::vector::{Origin, Position, SeqSet};
use std::collections::BTreeMap;

/// The answer to one op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted(Position),
    Rejected(Refusal),
}

/// What was received of a transaction before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    /// One of its numbers, and nobody knows any more of which transaction: it may lack the others,
    /// but each is checked.
    Forgotten,
    Accepted,
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
        ops: &[Sealed],
        now_ms: i64,
        batch: &mut Batch,
    ) -> Result<Vec<(Dot, Verdict)>, S::Error> {
        let all =
            |r: Refusal| ops.iter().map(|o| (o.op.dot, Verdict::Rejected(r.clone()))).collect();
        if let Err(refusal) = self.check_shape(author, ops) {
            return Ok(all(refusal));
        }
        let known = ops.iter().map(|o| self.known(store, o)).collect::<Result<Vec<_>, _>>()?;
        if let Some(refusal) = self.refusal(store, author, ops, &known, now_ms)? {
            // A stamp is mended and sent again under the same dot; anything else stays refused, so
            // that a copy of this push that is still on its way finds the same answer.
            if refusal.code != code::CLOCK_AHEAD {
                for (op, known) in ops.iter().zip(&known) {
                    if matches!(known, Known::New) {
                        store.put_refusal(op.op.dot, &refusal)?;
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
        self.accept(store, author, ops, &known, batch)
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
        if record.principal.is_some_and(|p| p != author.subject) {
            let (code, seq) = (code::WRONG_PRINCIPAL.to_owned(), ops[0].op.dot.seq);
            let detail = "the device id belongs to another account".to_owned();
            return Ok(Some(Refusal { code, seq, field: None, detail }));
        }
        let part = self.part_of(store, &ops[0].op, &record.received)?;
        // Some of it was accepted, so all of it was: the rest is taken unchecked.
        let accepted = part == Part::Accepted;
        if part == Part::None
            && let Err(refusal) = self.check_complete(ops)
        {
            return Ok(Some(refusal));
        }
        for (o, known) in ops.iter().zip(known) {
            let check = match known {
                Known::Fork => true,
                Known::New => !accepted,
                Known::Duplicate(_) | Known::Refused(_) => false,
            };
            if !check {
                continue;
            }
            if let Some(refusal) = store.refusal(o.op.dot)?.filter(|_| !o.op.is_void()) {
                return Ok(Some(refusal));
            }
            if let Err(refusal) = self.check_op(store, author, &o.op, now_ms)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    /// What is here of the op's transaction. An op says itself what transaction it is of, so only
    /// one that was accepted in that same transaction speaks for it.
    fn part_of<S: Store>(
        &self,
        store: &mut S,
        op: &Op,
        received: &SeqSet,
    ) -> Result<Part, S::Error> {
        let mut part = Part::None;
        for seq in op.tx.seqs().take(op.tx.count as usize).filter(|s| received.contains(*s)) {
            let records = store.dots(Dot::new(op.dot.device, seq))?;
            if records.iter().any(|r| r.tx == op.tx) {
                return Ok(Part::Accepted);
            }
            if records.is_empty() {
                part = Part::Forgotten;
            }
        }
        Ok(part)
    }

    /// Log, merge and note what is new; answer all.
    fn accept<S: Store>(
        &mut self,
        store: &mut S,
        author: &Author,
        ops: &[Sealed],
        known: &[Known],
        batch: &mut Batch,
    ) -> Result<Vec<(Dot, Verdict)>, S::Error> {
        let mut entries: BTreeMap<Scope, (Vec<&Sealed>, bool)> = BTreeMap::new();
        for (o, known) in ops.iter().zip(known) {
            if matches!(known, Known::New | Known::Fork) {
                let entry = entries.entry(o.op.key.home.clone()).or_default();
                entry.0.push(o);
                entry.1 |= matches!(known, Known::Fork);
            }
        }
        let device = ops[0].op.dot.device;
        let mut record = store.device(device)?;
        let mut positions: BTreeMap<(u64, Fingerprint), Position> = BTreeMap::new();
        for (home, entry, fork) in torn(entries) {
            let origin = self.own_origin(&home);
            let position = self.log_own(store, origin, &entry, fork, batch)?;
            record.closed |= fork;
            for sealed in entry {
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
        let answer = |(o, known): (&Sealed, &Known)| {
            let position = match known {
                Known::Duplicate(p) => *p,
                _ => positions[&(o.op.dot.seq, o.fingerprint)],
            };
            (o.op.dot, Verdict::Accepted(position))
        };
        Ok(ops.iter().zip(known).map(answer).collect())
    }

    /// Append ops of one transaction and home scope to this region's own log.
    pub(super) fn log_own<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        ops: &[&Sealed],
        fork: bool,
        batch: &mut Batch,
    ) -> Result<Position, S::Error> {
        let ops: Vec<Sealed> = ops.iter().map(|o| (*o).clone()).collect();
        let entry = Entry::of_ops(&ops, fork).to_bytes();
        self.append(store, origin, entry, &Opened::Ops { ops, fork }, batch)
    }

    /// Append an entry behind the head. The head is read and moved here, last before the commit
    /// and under the store's one write transaction, so numbers are dense and in commit order.
    pub(super) fn append<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        entry: Vec<u8>,
        opened: &Opened,
        batch: &mut Batch,
    ) -> Result<Position, S::Error> {
        let Head { seq, hash } = store.head(origin)?;
        let seq = seq + 1;
        store.append(origin, &LogRow { seq, entry, hash: opened.roll(hash, seq) })?;
        self.vector.advance(origin, seq);
        self.lives.insert((origin.region, origin.incarnation));
        batch.advanced.advance(origin, seq);
        Ok(Position { origin, seq })
    }
}

/// One entry per home scope, unless a mutant tears them.
fn torn(entries: BTreeMap<Scope, (Vec<&Sealed>, bool)>) -> Vec<(Scope, Vec<&Sealed>, bool)> {
    let mut out = Vec::new();
    for (home, (ops, fork)) in entries {
        if mutant::active(Mutant::HalfTransaction) {
            out.extend(ops.into_iter().map(|op| (home.clone(), vec![op], fork)));
        } else {
            out.push((home, ops, fork));
        }
    }
    out
}
