//! Two branches of one of this region's own logs.
//!
//! A region that was restored from an older copy, and does not know it, writes numbers again that
//! its peers hold already. While it has written fewer than they hold, their vectors tell. Once it
//! has written as many, only the rolling hashes do. So a peer says beside its vector which hash it
//! has at its heads (`marks`). One that is not ours is a *doubt*: that head counts for nothing, and
//! the peer is asked to show the log again from below, from further and further below, until what
//! it shows continues a hash that both have.
//!
//! A doubt is no proof, for the peer's disk may be damaged, or ours. A proof is a chain of the
//! peer's entries from a hash that both have to the one that it said, beside an entry of ours that
//! follows from the same hash: two entries under one number. Only this region writes its logs, so it
//! wrote both, and it is the one that was restored. It begins a new life if the log is of the
//! present one, and cuts the log below the two; the rules of `cuts` then log both branches again.
//! Each log ends at its own fork, and a later proof, of a peer that was out of reach, cuts lower.
//!
//! Doubts are memory; a crash loses them, and the next greeting brings them back. The new life and
//! the cut are of one store transaction.

use super::Core;
use super::node::Report;
use super::replicate::Block;
use super::store::Store;
use crate::convert::{self, Malformed};
use crate::log::{LogHash, Opened};
use crate::wire;
use landfall_model::id::RegionId;
use landfall_model::vector::{Origin, Position, Vector};

/// A log of this region of which a peer says another hash than ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    /// The peer is to show what it holds above this number.
    after: u64,
    /// How far to go back if that is above the fork, too.
    step: u64,
    /// What it showed fits nothing. It is not asked again while it says the same.
    damaged: bool,
}

impl Doubt {
    fn above(after: u64) -> Self {
        Self { after, step: 1, damaged: false }
    }
}

/// What a block says of a doubt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Weighed {
    /// It was not asked for on account of a doubt.
    Unasked,
    /// It proves nothing so far.
    Open,
    /// What both have above this number differs.
    Forked(u64),
}

impl Core {
    /// Compare the hashes that a peer has at the heads of our logs. What differs is doubted, and is
    /// taken out of the vector.
    pub(super) fn compare<S: Store>(
        &mut self,
        store: &mut S,
        peer: RegionId,
        vector: &mut Vector,
        marks: &[wire::Mark],
    ) -> Result<Result<(), Malformed>, S::Error> {
        // What the peer has taken back meanwhile cannot be shown any more.
        self.doubts.retain(|(p, origin), d| *p != peer || vector.get(*origin) > d.after);
        for mark in marks {
            let (origin, hash) = match convert::mark(mark) {
                Ok(mark) => mark,
                Err(m) => return Ok(Err(m)),
            };
            let seq = vector.get(origin);
            let compared = self.peers.get(&peer).map_or(0, |p| p.compared.get(origin)) == seq;
            if origin.region != self.config.region || seq == 0 || compared {
                continue;
            }
            match self.hash_at(store, origin, seq)? {
                Some(ours) if ours != hash => {
                    self.doubt(peer, origin, seq);
                    vector.clip(origin, 0);
                }
                Some(_) => {
                    self.doubts.remove(&(peer, origin));
                    let known = &mut self.peers.entry(peer).or_default().compared;
                    known.clip(origin, 0);
                    known.advance(origin, seq);
                }
                None => {}
            }
        }
        Ok(Ok(()))
    }

    /// The peer has another hash than ours at this number. False if that is known.
    pub(super) fn doubt(&mut self, peer: RegionId, origin: Origin, seq: u64) -> bool {
        let new = !self.doubts.contains_key(&(peer, origin));
        if new {
            self.doubts.insert((peer, origin), Doubt::above(seq.saturating_sub(1)));
        }
        new
    }

    /// What the peer is to show again: each log after the number.
    pub(super) fn to_show(&self, peer: RegionId) -> Vec<Position> {
        let of_peer = self.doubts.iter().filter(|((p, _), d)| *p == peer && !d.damaged);
        of_peer.map(|((_, origin), d)| Position { origin: *origin, seq: d.after }).collect()
    }

    /// Does a peer's block settle a doubt?
    pub(super) fn weigh<S: Store>(
        &mut self,
        store: &mut S,
        peer: RegionId,
        block: &Block,
    ) -> Result<Weighed, S::Error> {
        let (origin, key) = (block.origin, (peer, block.origin));
        let asked = |d: &Doubt| d.after == block.after && !d.damaged;
        let Some(doubt) = self.doubts.get(&key).copied().filter(asked) else {
            return Ok(Weighed::Unasked);
        };
        let Some(ours) = self.hash_at(store, origin, doubt.after)? else {
            // The log was cut below meanwhile.
            self.doubts.remove(&key);
            return Ok(Weighed::Open);
        };
        if block.hash_before != ours && doubt.after > 0 {
            let after = doubt.after.saturating_sub(doubt.step);
            self.doubts.insert(key, Doubt { after, step: doubt.step * 2, damaged: false });
            return Ok(Weighed::Open);
        }
        let Some(theirs) = self.verify(block, ours) else {
            return Ok(self.damaged(peer, origin, block.after));
        };
        self.doubts.remove(&key);
        let mut before = ours;
        for (row, _) in &theirs {
            let rows = store.log(origin, row.seq - 1, 1)?;
            let Some(mine) = rows.first() else { return Ok(Weighed::Open) };
            if mine.hash != row.hash {
                let follows = |o: Opened| o.roll(before, row.seq) == mine.hash;
                if Opened::decode(&mine.entry).is_ok_and(follows) {
                    return Ok(Weighed::Forked(row.seq - 1));
                }
                return Ok(self.damaged(peer, origin, row.seq - 1));
            }
            before = row.hash;
        }
        if let Some((row, _)) = theirs.last().filter(|(r, _)| r.seq < self.vector.get(origin)) {
            self.doubts.insert(key, Doubt::above(row.seq));
        }
        Ok(Weighed::Open)
    }

    /// One of the two logs is damaged, which a person must hear of. The peer's copy counts for
    /// nothing until it fits; its other logs are taken in as ever.
    fn damaged(&mut self, peer: RegionId, origin: Origin, after: u64) -> Weighed {
        self.reports.push(Report::LogMismatch { origin, after });
        self.doubts.insert((peer, origin), Doubt { damaged: true, ..Doubt::above(after) });
        Weighed::Open
    }

    /// The rolling hash of a log at a number; `None` above its head.
    fn hash_at<S: Store>(
        &self,
        store: &mut S,
        origin: Origin,
        seq: u64,
    ) -> Result<Option<LogHash>, S::Error> {
        if seq == 0 {
            return Ok(Some(LogHash::default()));
        }
        let rows = store.log(origin, seq - 1, 1)?;
        Ok(rows.first().filter(|row| row.seq == seq).map(|row| row.hash))
    }
}
