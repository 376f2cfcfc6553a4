//! Frames of peers. On each link one side asks (`Want`) and the other answers (`Entries`), a few
//! answers ahead of what the asker says it has; a question that finds nothing new waits until there
//! is something.

use super::{Handled, LinkId, Node, Stop, Turn, begin_anew, end_at_fork, wire_error};
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::region::Core;
use crate::region::forks::Weighed;
use crate::region::node::{Output, Report};
use crate::region::replicate::Block;
use crate::region::store::Store;
use crate::{limits, wire};
use landfall_model::id::RegionId;
use landfall_model::vector::{Origin, Vector};
use std::collections::VecDeque;
use wire::peer_frame::Kind as PeerKind;

/// The answering side of a link. Each `Want` says what the peer has on disk, so far as it has taken in
/// answers by then; answers go on from what was sent, not from there, as long as that is the same.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Where the next one begins. None before the first question, and while the peer has something
    /// else than it was sent: then nothing more is sent until nothing is on its way.
    next: Option<Vector>,
    /// The most bytes of entries in one, as the peer asked.
    max_bytes: usize,
    /// How many were sent.
    sent: u64,
    /// What the peer has once it has taken in each that is on its way, the oldest first.
    ahead: VecDeque<Vector>,
}

impl Answers {
    fn on_want(&mut self, want: &wire::Want, after: &Vector) {
        self.max_bytes = (want.max_bytes as usize).min(limits::ENTRIES_BYTES);
        let on_its_way = self.sent.saturating_sub(want.answered);
        let mut same = want.show.is_empty();
        while self.ahead.len() as u64 > on_its_way {
            let reached = self.ahead.pop_front();
            same &= reached.is_none_or(|reached| after.covers(&reached));
        }
        if self.ahead.is_empty() {
            let mut next = after.clone();
            for position in want.show.iter().flat_map(convert::position) {
                next.clip(position.origin, position.seq);
            }
            self.next = Some(next);
        } else if !same {
            self.next = None;
        } else if let Some(next) = &mut self.next {
            next.join(after);
        }
    }

    /// One answer, if there is something to say. The flag tells that there is more to say at once.
    fn next<S: Store>(
        &mut self,
        core: &Core,
        store: &mut S,
    ) -> Result<Option<(Vec<wire::Batch>, bool)>, S::Error> {
        let room = self.ahead.len() < limits::ENTRIES_AHEAD;
        let Some(next) = self.next.as_mut().filter(|_| room) else { return Ok(None) };
        let (batches, full) = batches(core, store, next, self.max_bytes)?;
        if batches.is_empty() {
            return Ok(None);
        }
        self.sent += 1;
        self.ahead.push_back(next.clone());
        Ok(Some((batches, full && self.ahead.len() < limits::ENTRIES_AHEAD)))
    }
}

impl Node {
    pub(super) fn on_peer<S: Store>(
        &mut self,
        store: &mut S,
        id: LinkId,
        frame: wire::PeerFrame,
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(Ok(())) };
        match frame.kind {
            Some(PeerKind::Hello(hello)) => {
                if let Err(denial) = self.auth.peer(&hello.token, turn.now_ms) {
                    return Ok(Err(denial.into()));
                }
                if !hello.versions.iter().any(|v| limits::WIRE_VERSIONS.contains(v)) {
                    let spoken = limits::WIRE_VERSIONS;
                    let message = format!("no common wire version; this region speaks {spoken:?}");
                    return Ok(Err(Stop::new("version", message)));
                }
                let Ok(region) = u16::try_from(hello.region).map(RegionId) else {
                    return Ok(Err(Malformed("region").into()));
                };
                if !self.core.config.regions.contains(&region) || region == self.core.config.region
                {
                    return Ok(Err(Stop::new("unknown_region", "not a peer of this placement")));
                }
                link.region = Some(region);
                if !link.asks {
                    // One that was made earlier may greet later.
                    let known = self.hears_on.entry(region).or_insert(id);
                    *known = (*known).max(id);
                }
                let peer = self.core.peers.entry(region).or_default();
                peer.incarnation = Some(hello.incarnation);
                if self.outlived(hello.vector.as_ref()) {
                    begin_anew(&mut self.core, store, turn)?;
                }
                self.hear(store, id, region, (hello.vector.as_ref(), &hello.marks), turn)
            }
            Some(PeerKind::Want(want)) => {
                let Some(region) = link.region else {
                    return Ok(Err(Stop::new("hello_first", "the first frame must be PeerHello")));
                };
                match convert::vector(want.after.as_ref()) {
                    Ok(after) => link.answers.on_want(&want, &after),
                    Err(malformed) => return Ok(Err(malformed.into())),
                }
                self.hear(store, id, region, (want.after.as_ref(), &want.marks), turn)
            }
            Some(PeerKind::Entries(entries)) => self.on_entries(store, id, entries, turn),
            Some(PeerKind::Error(_)) | None => {
                turn.out.close_links.push(id);
                self.link_down(id);
                Ok(Ok(()))
            }
        }
    }

    fn on_entries<S: Store>(
        &mut self,
        store: &mut S,
        id: LinkId,
        entries: wire::Entries,
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        let link = self.links.get_mut(&id).expect("checked by the caller");
        let Some(region) = link.region else {
            return Ok(Err(Stop::new("hello_first", "the first frame must be PeerHello")));
        };
        link.taken_in += 1;
        link.asked = None;
        if self.outlived(entries.vector.as_ref()) {
            // What a later life has logged would cut the present one.
            return Ok(Err(Stop::new("outlived", "this region is in a later life elsewhere")));
        }
        let mut misfit = false;
        for batch in &entries.batches {
            let block = match block(batch) {
                Ok(b) => b,
                Err(m) => return Ok(Err(m.into())),
            };
            turn.out.entries_from_peers += block.entries.len() as u64;
            match self.core.weigh(store, region, &block)? {
                Weighed::Unasked => {
                    misfit |= !self.core.apply_block(store, region, &block, &mut turn.batch)?;
                }
                Weighed::Open => {}
                Weighed::Forked(last) => {
                    end_at_fork(&mut self.core, store, block.origin, last, turn)?;
                }
            }
        }
        if let Err(stop) =
            self.hear(store, id, region, (entries.vector.as_ref(), &entries.marks), turn)?
        {
            return Ok(Err(stop));
        }
        if misfit {
            // The other logs were taken in; asked again at once, the peer would say the same.
            let message = "the rolling hash of a log does not fit";
            return Ok(Err(Stop::new("log_mismatch", message)));
        }
        Ok(Ok(()))
    }

    /// A peer holds logs of a later life of this region: our store is a copy from before it. Their
    /// numbers are noted, so that no life has one of them again.
    fn outlived(&mut self, vector: Option<&wire::Vector>) -> bool {
        let Ok(vector) = convert::vector(vector) else { return false };
        let (me, life) = (self.core.config.region, self.core.incarnation);
        let later: Vec<Origin> = vector
            .iter()
            .map(|(o, _)| o)
            .filter(|o| o.region == me && o.incarnation > life)
            .collect();
        self.core.lives.extend(later.iter().map(|o| (me, o.incarnation)));
        !later.is_empty()
    }

    /// A peer said what it holds. If it holds more of this life's logs than we wrote, our store was
    /// put back: a new life begins. If it holds something else, it is asked to show that.
    ///
    /// What it holds now is what it said last on the link that it asks on. The other link is another
    /// connection: what comes on it may have left before that, and nothing may follow for long. It
    /// counts only while the peer asks nothing.
    fn hear<S: Store>(
        &mut self,
        store: &mut S,
        id: LinkId,
        region: RegionId,
        (vector, marks): (Option<&wire::Vector>, &[wire::Mark]),
        turn: &mut Turn,
    ) -> Handled<S::Error> {
        let mut vector = match convert::vector(vector) {
            Ok(v) => v,
            Err(m) => return Ok(Err(m.into())),
        };
        let (me, life) = (self.core.config.region, self.core.incarnation);
        let ours = |o: Origin| o.region == me && o.incarnation == life;
        let above = vector.iter().any(|(o, s)| ours(o) && s > self.core.vector.get(o));
        if above && !mutant::active(Mutant::LifeReusedAfterRestore) {
            begin_anew(&mut self.core, store, turn)?;
        }
        if let Err(m) = self.core.compare(store, region, &mut vector, marks)? {
            return Ok(Err(m.into()));
        }
        if self.hears_on.get(&region).is_none_or(|link| *link == id) {
            self.peers_moved |= self.core.heard(region, vector);
        }
        Ok(Ok(()))
    }

    /// Greet, ask and answer on every link, as each is due.
    pub(super) fn talk_to_peers<S: Store>(
        &mut self,
        store: &mut S,
        out: &mut Output,
    ) -> Result<(), S::Error> {
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            let link = self.links.get_mut(&id).expect("just listed");
            if !link.greeted && (link.asks || link.region.is_some()) {
                link.greeted = true;
                let hello = wire::PeerHello {
                    versions: limits::WIRE_VERSIONS.to_vec(),
                    token: self.token.clone(),
                    region: self.core.config.region.0.into(),
                    incarnation: self.core.incarnation,
                    vector: Some(convert::wire_vector(&self.core.vector)),
                    marks: marks(store, link.region)?,
                };
                out.peer.push((id, wire::PeerFrame { kind: Some(PeerKind::Hello(hello)) }));
            }
            let asks = link.region.filter(|_| link.asks);
            let question = asks.map(|r| (self.core.vector.clone(), self.core.to_show(r)));
            if let Some((after, show)) = question.filter(|q| link.asked.as_ref() != Some(q)) {
                let want = wire::Want {
                    after: Some(convert::wire_vector(&after)),
                    max_bytes: limits::ENTRIES_BYTES as u64,
                    answered: link.taken_in,
                    marks: marks(store, link.region)?,
                    show: show.iter().map(|p| convert::wire_position(*p)).collect(),
                };
                link.asked = Some((after, show));
                out.peer.push((id, wire::PeerFrame { kind: Some(PeerKind::Want(want)) }));
            }
            if let Some((batches, more)) = link.answers.next(&self.core, store)? {
                out.more |= more;
                let vector = Some(convert::wire_vector(&self.core.vector));
                let marks = marks(store, link.region)?;
                let entries = wire::Entries { batches, vector, marks };
                out.peer.push((id, wire::PeerFrame { kind: Some(PeerKind::Entries(entries)) }));
            }
        }
        Ok(())
    }

    pub(super) fn stop_link(&mut self, id: LinkId, stop: Stop, out: &mut Output) {
        out.reports.push(Report::Refused { code: stop.code.clone() });
        let error = PeerKind::Error(wire_error(&stop.code, &stop.message));
        out.peer.push((id, wire::PeerFrame { kind: Some(error) }));
        out.close_links.push(id);
        self.link_down(id);
    }
}

/// The hashes at the heads of a region's logs; of all logs, if it is not known who asks.
fn marks<S: Store>(store: &mut S, of: Option<RegionId>) -> Result<Vec<wire::Mark>, S::Error> {
    let heads = store.heads()?.into_iter();
    let heads = heads.filter(|(origin, _)| of.is_none_or(|region| origin.region == region));
    Ok(heads.map(|(origin, head)| convert::wire_mark(origin, head.hash)).collect())
}

/// What this region holds beyond `after`, up to `max_bytes`, and whether they were used up. `after`
/// is moved to where that ends.
fn batches<S: Store>(
    core: &Core,
    store: &mut S,
    after: &mut Vector,
    max_bytes: usize,
) -> Result<(Vec<wire::Batch>, bool), S::Error> {
    let mut batches = Vec::new();
    let mut left = max_bytes;
    for (origin, seq) in core.vector.iter() {
        let from = after.get(origin);
        if seq <= from {
            continue;
        }
        if left == 0 {
            break;
        }
        let before = match from {
            0 => Default::default(),
            // One row back, for the hash that the new ones continue.
            _ => match store.log(origin, from - 1, 1)?.first() {
                Some(row) => row.hash,
                None => continue,
            },
        };
        let rows = store.log(origin, from, left)?;
        let Some(last) = rows.last() else { continue };
        let bytes: usize = rows.iter().map(|r| r.entry.len()).sum();
        left = left.saturating_sub(bytes);
        after.advance(origin, last.seq);
        batches.push(wire::Batch {
            origin: Some(convert::wire_origin(origin)),
            after: from,
            hash_before: before.to_vec().into(),
            hash_after: last.hash.to_vec().into(),
            entries: rows.into_iter().map(|r| r.entry.into()).collect(),
        });
    }
    Ok((batches, left == 0))
}

fn block(batch: &wire::Batch) -> Result<Block, Malformed> {
    let hash = |b: &[u8]| b.try_into().map_err(|_| Malformed("hash"));
    Ok(Block {
        origin: convert::origin(batch.origin.as_ref())?,
        after: batch.after,
        hash_before: hash(&batch.hash_before)?,
        hash_after: hash(&batch.hash_after)?,
        entries: batch.entries.iter().map(|e| e.to_vec()).collect(),
    })
}
