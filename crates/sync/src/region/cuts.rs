//! The end of a region's life.
//!
//! A region that cannot show that its store is the one it last wrote starts a new incarnation. The
//! old one's logs then end where the live regions hold them: once every live peer has been heard
//! from and all that any of them holds of the old life is here, the region logs one *cut* per old
//! log in its own new one. A region declared lost for ever is cut in the same way by the live
//! region with the lowest number.
//!
//! Whoever learns of a cut drops what it holds above it, and logs those ops again under positions
//! of its own: their dots say that they are duplicates wherever they are known.

use super::Core;
use super::merge::Batch;
use super::node::Report;
use super::store::Store;
use crate::log::Opened;
use landfall_model::id::{Dot, RegionId, STREAMS_PER_PLACEMENT, StreamId};
use landfall_model::vector::{Origin, Position, Vector};

/// Rows scanned at a time when touch vectors are clipped.
const SCAN_ROWS: usize = 1_000;

impl Core {
    /// Log the cuts that are due. Returns true if any was logged.
    pub(super) fn log_due_cuts<S: Store>(
        &mut self,
        store: &mut S,
        batch: &mut Batch,
    ) -> Result<bool, S::Error> {
        let due: Vec<(RegionId, u64)> = self.lives_to_cut().collect();
        let mut logged = false;
        for (region, incarnation) in due {
            if !self.holds_all_of(region, incarnation) {
                continue;
            }
            for origin in self.streams(region, incarnation) {
                if self.cuts.contains_key(&origin) {
                    continue;
                }
                self.log_cut(store, origin, self.vector.get(origin), batch)?;
                logged = true;
            }
            self.reports.push(Report::LifeEnded { region, incarnation });
        }
        Ok(logged)
    }

    /// End a log at `last`, and say so in this life's own log.
    pub(super) fn log_cut<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        last: u64,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        let own = self.own_stream(origin.stream);
        self.append(store, own, &Opened::Cut { origin, last }, batch)?;
        self.apply_cut(store, origin, last, batch)
    }

    /// Ended lives that this region must cut and has not.
    fn lives_to_cut(&self) -> impl Iterator<Item = (RegionId, u64)> + '_ {
        let me = self.config.region;
        let coordinator = self.config.live().min() == Some(me);
        self.lives.iter().copied().filter(move |(region, incarnation)| {
            let ended = if *region == me {
                *incarnation != self.incarnation
            } else {
                coordinator && self.config.lost.contains(region)
            };
            ended && self.streams(*region, *incarnation).any(|o| !self.cuts.contains_key(&o))
        })
    }

    pub(super) fn streams(
        &self,
        region: RegionId,
        incarnation: u64,
    ) -> impl Iterator<Item = Origin> + use<> {
        let first = self.config.placement * STREAMS_PER_PLACEMENT;
        (first..first + STREAMS_PER_PLACEMENT).map(move |s| Origin {
            region,
            incarnation,
            stream: StreamId(s),
        })
    }

    /// Every live peer has been heard from, and none holds more of that life than is here.
    fn holds_all_of(&self, region: RegionId, incarnation: u64) -> bool {
        let me = self.config.region;
        self.config.live().filter(|r| *r != me).all(|r| {
            self.peers.get(&r).is_some_and(|peer| {
                let held = |o: Origin| peer.vector.get(o) <= self.vector.get(o);
                peer.heard && self.streams(region, incarnation).all(held)
            })
        })
    }

    /// True if nobody holds anything of this log or ever will: every live region has been heard
    /// from, none has an entry of its life, and its owner is in a later life or lost. A life with a
    /// higher number than the one known may have just begun.
    pub(super) fn is_void(&self, origin: Origin) -> bool {
        let (owner, life) = (origin.region, origin.incarnation);
        let me = self.config.region;
        let over = match self.peers.get(&owner) {
            _ if owner == me => life < self.incarnation,
            Some(peer) => peer.incarnation.is_some_and(|now| life < now),
            None => false,
        };
        if !over && !self.config.lost.contains(&owner) {
            return false;
        }
        let silent = |v: &Vector| v.iter().all(|(o, _)| (o.region, o.incarnation) != (owner, life));
        let live = self.config.live().filter(|r| *r != me);
        let mut others = live.map(|r| self.peers.get(&r));
        silent(&self.vector) && others.all(|p| p.is_some_and(|p| p.heard && silent(&p.vector)))
    }

    pub(super) fn apply_cut<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        last: u64,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        if self.cuts.get(&origin).is_some_and(|known| *known <= last) {
            return Ok(());
        }
        self.cuts.insert(origin, last);
        batch.cuts.insert(origin, last);
        store.put_cut(origin, last)?;
        self.take_back(store, origin, last, batch)
    }

    /// Drop what a log holds above `last`, and log its ops again in this life's own logs.
    fn take_back<S: Store>(
        &mut self,
        store: &mut S,
        origin: Origin,
        last: u64,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        if self.vector.get(origin) <= last {
            return Ok(());
        }
        let above = store.log(origin, last, usize::MAX)?;
        store.clip_index(origin, last)?;
        store.truncate(origin, last)?;
        self.vector.clip(origin, last);
        batch.advanced.clip(origin, last);
        self.clip_touches(store, origin, last)?;
        for row in above {
            if let Ok(opened @ Opened::Ops { .. }) = Opened::decode(&row.entry) {
                let was = Position { origin, seq: row.seq };
                self.log_again(store, opened, was, batch)?;
            }
        }
        Ok(())
    }

    /// Give ops that stood above a cut a position here.
    fn log_again<S: Store>(
        &mut self,
        store: &mut S,
        opened: Opened,
        was: Position,
        batch: &mut Batch,
    ) -> Result<(), S::Error> {
        let position = self.log_own(store, &opened, batch)?;
        for sealed in opened.ops() {
            self.move_dot(store, sealed.op.dot, was, position)?;
            self.merge(store, sealed, position, false, batch)?;
        }
        Ok(())
    }

    fn move_dot<S: Store>(
        &self,
        store: &mut S,
        dot: Dot,
        was: Position,
        position: Position,
    ) -> Result<(), S::Error> {
        let records = store.dots(dot)?;
        store.remove_dots(dot.device, dot.seq, dot.seq)?;
        for mut record in records {
            if record.position == was {
                record.position = position;
            }
            store.add_dot(dot, record)?;
        }
        Ok(())
    }

    fn clip_touches<S: Store>(
        &self,
        store: &mut S,
        origin: Origin,
        last: u64,
    ) -> Result<(), S::Error> {
        let mut after = None;
        loop {
            let rows = store.entities(after.as_ref(), SCAN_ROWS)?;
            let Some((key, _)) = rows.last() else { return Ok(()) };
            after = Some(key.clone());
            for (key, mut record) in rows {
                if record.touch.clip(origin, last) {
                    store.put_entity(&key, record)?;
                }
            }
        }
    }
}
