//! The device's numbers and clock, and its own ops: outbox, overlay, what is still to confirm.

use super::error::Error;
use super::rows;
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, RegionId, TypeId};
use landfall_model::op::{Fingerprint, Sealed};
use landfall_model::stamp::Hlc;
use landfall_model::vector::SeqSet;
use landfall_sync::device::store::{Meta, OpState, OwnOp};
use rusqlite::{Connection, Row, params};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn meta(conn: &Connection) -> Result<Option<Meta>, Error> {
    let sql = "SELECT device, last_seq, sent_seq, clock, read, offset_ms, former, last_order
        FROM _lf_meta";
    rows::query_one(conn, sql, [], |row| {
        Ok(Meta {
            device: DeviceId(row.get(0)?),
            last_seq: rows::from_bits(row.get(1)?),
            sent_seq: rows::from_bits(row.get(2)?),
            clock: Hlc(rows::from_bits(row.get(3)?)),
            read: Hlc(rows::from_bits(row.get(4)?)),
            offset_ms: row.get(5)?,
            former: rows::packed_at(row, 6)?,
            last_order: rows::from_bits(row.get(7)?),
        })
    })
}

pub(super) fn put_meta(conn: &Connection, meta: &Meta) -> Result<(), Error> {
    let sql = "INSERT OR REPLACE INTO _lf_meta
        (one, device, last_seq, sent_seq, clock, read, offset_ms, former, last_order)
        VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)";
    let params = params![
        meta.device.0,
        rows::bits(meta.last_seq),
        rows::bits(meta.sent_seq),
        rows::bits(meta.clock.0),
        rows::bits(meta.read.0),
        meta.offset_ms,
        rows::pack(&meta.former),
        rows::bits(meta.last_order),
    ];
    rows::execute(conn, sql, params)?;
    Ok(())
}

pub(super) fn put(conn: &Connection, own: &OwnOp) -> Result<(), Error> {
    let (dot, key) = (own.sealed.op.dot, &own.sealed.op.key);
    let (state, about) = state_columns(&own.state);
    let sql = "INSERT INTO _lf_op
        (device, seq, place, home, kind, id, state, about, overlay, payload, print)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (device, seq) DO UPDATE SET
        place = excluded.place, home = excluded.home, kind = excluded.kind, id = excluded.id,
        state = excluded.state, about = excluded.about, overlay = excluded.overlay,
        payload = excluded.payload, print = excluded.print";
    let params = params![
        dot.device.0,
        rows::bits(dot.seq),
        rows::bits(own.order),
        key.home,
        key.kind.0,
        key.id,
        state,
        about,
        own.overlay,
        own.sealed.payload,
        own.sealed.fingerprint.0,
    ];
    rows::execute(conn, sql, params)?;
    Ok(())
}

/// Of a row that is there: what changes of an op on its way, and none of what never does.
pub(super) fn put_state(conn: &Connection, own: &OwnOp) -> Result<(), Error> {
    let dot = own.sealed.op.dot;
    let (state, about) = state_columns(&own.state);
    let sql = "UPDATE _lf_op SET state = ?, about = ?, overlay = ? WHERE device = ? AND seq = ?";
    let params = params![state, about, own.overlay, dot.device.0, rows::bits(dot.seq)];
    match rows::execute(conn, sql, params)? {
        1 => Ok(()),
        _ => Err(Error::Damaged("an op that is on its way is not kept".to_owned())),
    }
}

pub(super) fn get(conn: &Connection, dot: Dot) -> Result<Option<OwnOp>, Error> {
    let sql = "SELECT place, state, about, overlay, payload, print FROM _lf_op
        WHERE device = ? AND seq = ?";
    rows::query_one(conn, sql, params![dot.device.0, rows::bits(dot.seq)], own_at)
}

pub(super) fn remove(conn: &Connection, dot: Dot) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_op WHERE device = ? AND seq = ?";
    rows::execute(conn, sql, params![dot.device.0, rows::bits(dot.seq)])?;
    Ok(())
}

pub(super) fn on_entity(conn: &Connection, key: &EntityKey) -> Result<Vec<OwnOp>, Error> {
    let sql = "SELECT place, state, about, overlay, payload, print FROM _lf_op
        WHERE home = ? AND kind = ? AND id = ? ORDER BY place";
    rows::query_all(conn, sql, params![key.home, key.kind.0, key.id], own_at)
}

pub(super) fn outbox(conn: &Connection, after: u64, limit: usize) -> Result<Vec<OwnOp>, Error> {
    // The condition on `state` is the one of the partial index, word for word.
    let sql = "SELECT place, state, about, overlay, payload, print FROM _lf_op
        WHERE state <= 2 AND place > ? ORDER BY place, device, seq LIMIT ?";
    rows::query_all(conn, sql, params![rows::rank(after), rows::limit(limit)], own_at)
}

/// The indexes of [`all`], with those left out that no region can have.
pub(super) fn that_left(conn: &Connection, after: u64, limit: usize) -> Result<Vec<OwnOp>, Error> {
    let sql = "SELECT place, state, about, overlay, payload, print, device, seq FROM _lf_op
        WHERE state <= 2 AND state > 0 AND place > ?1
        UNION ALL
        SELECT place, state, about, overlay, payload, print, device, seq FROM _lf_op
        WHERE state > 2 AND place > ?1
        ORDER BY place, device, seq LIMIT ?2";
    rows::query_all(conn, sql, params![rows::rank(after), rows::limit(limit)], own_at)
}

/// Two indexes hold every op between them, each in order; the query merges them.
pub(super) fn all(conn: &Connection, after: u64, limit: usize) -> Result<Vec<OwnOp>, Error> {
    let sql = "SELECT place, state, about, overlay, payload, print, device, seq FROM _lf_op
        WHERE state <= 2 AND place > ?1
        UNION ALL
        SELECT place, state, about, overlay, payload, print, device, seq FROM _lf_op
        WHERE state > 2 AND place > ?1
        ORDER BY place, device, seq LIMIT ?2";
    rows::query_all(conn, sql, params![rows::rank(after), rows::limit(limit)], own_at)
}

/// Names among base rows and own ops.
pub(super) fn find(conn: &Connection, kind: TypeId, id: &str) -> Result<Vec<EntityKey>, Error> {
    let sql = "SELECT home, kind, id FROM _lf_base WHERE kind = ?1 AND id = ?2
        UNION
        SELECT home, kind, id FROM _lf_op WHERE kind = ?1 AND id = ?2
        ORDER BY home";
    rows::query_all(conn, sql, params![kind.0, id], |row| Ok(rows::key_at(row, 0)?))
}

pub(super) fn put_void(conn: &Connection, void: &OwnOp) -> Result<(), Error> {
    let dot = void.sealed.op.dot;
    let (state, about) = state_columns(&void.state);
    let sql = "INSERT OR REPLACE INTO _lf_void
        (device, seq, place, state, about, overlay, payload) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let (device, seq, place) = (dot.device.0, rows::bits(dot.seq), rows::bits(void.order));
    let payload = &void.sealed.payload;
    rows::execute(conn, sql, params![device, seq, place, state, about, void.overlay, payload])?;
    Ok(())
}

pub(super) fn void(conn: &Connection, dot: Dot) -> Result<Option<OwnOp>, Error> {
    let sql = "SELECT place, state, about, overlay, payload, NULL FROM _lf_void
        WHERE device = ? AND seq = ?";
    rows::query_one(conn, sql, params![dot.device.0, rows::bits(dot.seq)], own_at)
}

pub(super) fn voids(conn: &Connection) -> Result<Vec<OwnOp>, Error> {
    let sql = "SELECT place, state, about, overlay, payload, NULL FROM _lf_void
        ORDER BY place, device, seq";
    rows::query_all(conn, sql, [], own_at)
}

pub(super) fn remove_void(conn: &Connection, dot: Dot) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_void WHERE device = ? AND seq = ?";
    rows::execute(conn, sql, params![dot.device.0, rows::bits(dot.seq)])?;
    Ok(())
}

pub(super) fn unconfirmed(conn: &Connection) -> Result<Vec<(DeviceId, SeqSet)>, Error> {
    let sql = "SELECT device, seq FROM _lf_unconfirmed ORDER BY device, seq";
    let dots = rows::query_all(conn, sql, [], |row| Ok(rows::dot_at(row, 0)?))?;
    let mut sets: BTreeMap<DeviceId, SeqSet> = BTreeMap::new();
    for dot in dots {
        sets.entry(dot.device).or_default().insert(dot.seq);
    }
    Ok(sets.into_iter().collect())
}

pub(super) fn add_unconfirmed(conn: &Connection, device: DeviceId, seq: u64) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO _lf_unconfirmed (device, seq) VALUES (?, ?)";
    rows::execute(conn, sql, params![device.0, rows::bits(seq)])?;
    Ok(())
}

pub(super) fn clear_unconfirmed(
    conn: &Connection,
    device: DeviceId,
    seqs: &SeqSet,
) -> Result<(), Error> {
    let sql = "DELETE FROM _lf_unconfirmed WHERE device = ? AND seq BETWEEN ? AND ?";
    for (first, last) in seqs.spans() {
        rows::execute(conn, sql, params![device.0, rows::rank(first), rows::rank(last)])?;
    }
    Ok(())
}

pub(super) fn own_birth(conn: &Connection, key: &EntityKey) -> Result<Option<Dot>, Error> {
    let sql = "SELECT device, seq FROM _lf_birth WHERE home = ? AND kind = ? AND id = ?";
    let params = params![key.home, key.kind.0, key.id];
    rows::query_one(conn, sql, params, |row| Ok(rows::dot_at(row, 0)?))
}

pub(super) fn put_own_birth(
    conn: &Connection,
    key: &EntityKey,
    birth: Option<Dot>,
) -> Result<(), Error> {
    match birth {
        Some(dot) => {
            let sql = "INSERT OR REPLACE INTO _lf_birth (home, kind, id, device, seq)
                VALUES (?, ?, ?, ?, ?)";
            let (device, seq) = (dot.device.0, rows::bits(dot.seq));
            rows::execute(conn, sql, params![key.home, key.kind.0, key.id, device, seq])?
        }
        None => {
            let sql = "DELETE FROM _lf_birth WHERE home = ? AND kind = ? AND id = ?";
            rows::execute(conn, sql, params![key.home, key.kind.0, key.id])?
        }
    };
    Ok(())
}

fn own_at(row: &Row<'_>) -> Result<OwnOp, Error> {
    let payload: std::sync::Arc<[u8]> = row.get(4)?;
    let print: Option<[u8; 16]> = row.get(5)?;
    // Another op than the one that was written must not leave under its number.
    let sealed = match print {
        Some(print) => Sealed::reopen(payload, Fingerprint(print)).map_err(|e| e.to_string()),
        None => Sealed::decode(&payload).map_err(|e| e.to_string()),
    };
    let sealed = sealed.map_err(Error::Damaged)?;
    let order = rows::from_bits(row.get(0)?);
    Ok(OwnOp { order, sealed, state: state_at(row)?, overlay: row.get(3)? })
}

/// The number of a state, and what else there is to it.
pub(super) fn state_columns(state: &OpState) -> (i64, Option<Vec<u8>>) {
    match state {
        OpState::Unsent => (0, None),
        OpState::Sent { regions, refused_by } => (1, Some(rows::pack(&(regions, refused_by)))),
        OpState::Accepted { position } => (2, Some(rows::pack(position))),
        OpState::Durable { position } => (3, Some(rows::pack(position))),
        OpState::Rejected { code, field, detail } => (4, Some(rows::pack(&(code, field, detail)))),
    }
}

fn state_at(row: &Row<'_>) -> Result<OpState, Error> {
    let about = row.get_ref(2)?.as_blob_or_null();
    state_of(row.get(1)?, about.map_err(|e| Error::Damaged(e.to_string()))?)
}

/// The way back from [`state_columns`].
pub(super) fn state_of(number: i64, about: Option<&[u8]>) -> Result<OpState, Error> {
    let about = about.unwrap_or_default();
    Ok(match number {
        0 => OpState::Unsent,
        1 => {
            let (regions, refused_by): (BTreeSet<RegionId>, BTreeSet<RegionId>) =
                rows::unpack(about)?;
            OpState::Sent { regions, refused_by }
        }
        2 => OpState::Accepted { position: rows::unpack(about)? },
        3 => OpState::Durable { position: rows::unpack(about)? },
        4 => {
            let (code, field, detail): (String, Option<FieldId>, String) = rows::unpack(about)?;
            OpState::Rejected { code, field, detail }
        }
        other => return Err(Error::Damaged(format!("an op in state {other}"))),
    })
}
