//! Reading deltas: what does not read as one ends the session before anything of it counts.

use super::cuts::clip_all;
use super::install::Row;
use crate::convert::{self, Malformed};
use crate::mutant::{self, Mutant};
use crate::wire;
use crate::wire::delta::Place;
use landfall_model::codec;
use landfall_model::entity::Entity;
use landfall_model::id::{EntityKey, FieldId};
use landfall_model::vector::{Origin, Vector};
use std::collections::{BTreeMap, BTreeSet};

/// A delta with its parts checked.
pub(super) struct Parsed {
    pub rows: Vec<Row>,
    pub place: Where,
}

impl Parsed {
    /// A region that has not heard of a cut still counts what stands above it. Returns the rows
    /// that have such things in them.
    pub fn clip(&mut self, cuts: &BTreeMap<Origin, u64>) -> Vec<EntityKey> {
        match &mut self.place {
            Where::Chunk(Chunk { start: at, .. })
            | Where::Live { advance: at }
            | Where::Refetched { at, .. } => clip_all(at, cuts),
        };
        let mut above = Vec::new();
        for row in &mut self.rows {
            if clip_all(&mut row.touch, cuts) {
                above.push(row.key.clone());
            }
        }
        above
    }
}

/// One chunk of a pass, without its rows.
pub(super) struct Chunk {
    pub start: Vector,
    pub done: bool,
    /// Another pass follows before the rows are all of one time.
    pub more: bool,
    pub last: Option<EntityKey>,
    pub covering: bool,
    /// Rows of the pass so far, and in all if that is known.
    pub rows: (u64, u64),
}

pub(super) enum Where {
    Chunk(Chunk),
    Live { advance: Vector },
    Refetched { absent: Vec<EntityKey>, at: Vector },
}

pub(super) fn parse(delta: &wire::Delta) -> Result<Parsed, Malformed> {
    let body = wire::read_body(&delta.body).map_err(|_| Malformed("rows"))?;
    let rows = body.rows.iter().map(|r| parse_row(r, &body.masks)).collect::<Result<_, _>>()?;
    let place = match delta.place.as_ref().ok_or(Malformed("delta"))? {
        Place::Chunk(c) => Where::Chunk(Chunk {
            start: convert::vector(c.start.as_ref())?,
            done: c.done,
            more: c.more,
            last: c.last.as_ref().map(|k| convert::key(Some(k))).transpose()?,
            covering: c.covering,
            rows: (c.rows_so_far, c.rows_total),
        }),
        Place::Live(l) => Where::Live { advance: convert::vector(l.advance.as_ref())? },
        Place::Refetched(r) => Where::Refetched {
            absent: r.absent.iter().map(|k| convert::key(Some(k))).collect::<Result<_, _>>()?,
            at: convert::vector(r.at.as_ref())?,
        },
    };
    Ok(Parsed { rows, place })
}

fn parse_row(row: &wire::Row, masks: &[wire::Mask]) -> Result<Row, Malformed> {
    let entity = match row.left || row.outside {
        true => Entity::default(),
        false => codec::from_bytes(&row.state).map_err(|_| Malformed("row"))?,
    };
    let text = |t: &wire::TextField| {
        let text = codec::from_bytes(&t.text).map_err(|_| Malformed("text"))?;
        Ok((FieldId(t.field), text))
    };
    let shown = match row.mask {
        0 => None,
        n => {
            let mask = masks.get(n as usize - 1).ok_or(Malformed("mask"))?;
            Some(mask.shown.iter().map(|f| FieldId(*f)).collect::<BTreeSet<_>>())
        }
    };
    let gone = row.outside && mutant::active(Mutant::OutsideTakenAsLeft);
    Ok(Row {
        key: convert::key(row.key.as_ref())?,
        touch: convert::vector(row.touch.as_ref())?,
        left: row.left || gone,
        outside: row.outside && !gone,
        entity,
        state: row.state.clone(),
        texts: row.texts.iter().map(text).collect::<Result<_, _>>()?,
        shown,
    })
}
