//! Between the wire's messages and the model's types. Whatever a peer may send is checked here.

use crate::log::LogHash;
use crate::{limits, wire};
use landfall_model::id::{DeviceId, EntityKey, RegionId, StreamId, TypeId};
use landfall_model::vector::{Origin, Position, SeqSet, Vector};

/// A message that is well-formed protobuf and still makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

pub fn device_id(bytes: &[u8]) -> Result<DeviceId, Malformed> {
    bytes.try_into().map(DeviceId).map_err(|_| Malformed("device id"))
}

pub fn origin(o: Option<&wire::Origin>) -> Result<Origin, Malformed> {
    let o = o.ok_or(Malformed("origin"))?;
    Ok(Origin {
        region: RegionId(o.region.try_into().map_err(|_| Malformed("region"))?),
        incarnation: o.incarnation,
        stream: StreamId(o.stream.try_into().map_err(|_| Malformed("stream"))?),
    })
}

pub fn wire_origin(o: Origin) -> wire::Origin {
    wire::Origin {
        region: o.region.0.into(),
        incarnation: o.incarnation,
        stream: o.stream.0.into(),
    }
}

pub fn mark(m: &wire::Mark) -> Result<(Origin, LogHash), Malformed> {
    let hash = m.hash.as_ref().try_into().map_err(|_| Malformed("hash"))?;
    Ok((origin(m.origin.as_ref())?, hash))
}

pub fn wire_mark(origin: Origin, hash: LogHash) -> wire::Mark {
    wire::Mark { origin: Some(wire_origin(origin)), hash: hash.to_vec().into() }
}

pub fn position(p: &wire::Position) -> Result<Position, Malformed> {
    Ok(Position { origin: origin(p.origin.as_ref())?, seq: p.seq })
}

pub fn wire_position(p: Position) -> wire::Position {
    wire::Position { origin: Some(wire_origin(p.origin)), seq: p.seq }
}

/// An absent vector is the empty one.
pub fn vector(v: Option<&wire::Vector>) -> Result<Vector, Malformed> {
    let mut out = Vector::new();
    for life in v.map(|v| v.lives.as_slice()).unwrap_or_default() {
        let region = RegionId(life.region.try_into().map_err(|_| Malformed("region"))?);
        let (pairs, rest) = life.heads.as_chunks::<2>();
        if !rest.is_empty() || out.len() + pairs.len() > limits::VECTOR_ENTRIES_MAX {
            return Err(Malformed("vector"));
        }
        for &[stream, seq] in pairs {
            let stream = StreamId(stream.try_into().map_err(|_| Malformed("stream"))?);
            out.advance(Origin { region, incarnation: life.incarnation, stream }, seq);
        }
    }
    Ok(out)
}

pub fn wire_vector(v: &Vector) -> wire::Vector {
    let mut lives: Vec<wire::vector::Life> = Vec::new();
    for (o, seq) in v.iter() {
        let (region, incarnation) = (u32::from(o.region.0), o.incarnation);
        let same = |l: &&mut wire::vector::Life| l.region == region && l.incarnation == incarnation;
        let head = [u64::from(o.stream.0), seq];
        match lives.last_mut().filter(same) {
            Some(life) => life.heads.extend(head),
            None => lives.push(wire::vector::Life { region, incarnation, heads: head.into() }),
        }
    }
    wire::Vector { lives }
}

/// An absent set is the empty one. Ranges ascend: in any other order, many of them would cost the
/// square of their number.
pub fn seq_set(s: Option<&wire::SeqSet>) -> Result<SeqSet, Malformed> {
    let Some(s) = s else { return Ok(SeqSet::default()) };
    let (pairs, rest) = s.ranges.as_chunks::<2>();
    let firsts = pairs.iter().map(|[first, _]| *first);
    let before = std::iter::once(s.upto).chain(pairs.iter().map(|[_, last]| *last));
    let ascend = before.zip(firsts).all(|(before, first)| before < first)
        && pairs.iter().all(|[first, last]| first <= last);
    if !rest.is_empty() || pairs.len() > limits::RANGES_MAX || !ascend {
        return Err(Malformed("set of numbers"));
    }
    Ok(SeqSet::from_parts(s.upto, pairs.iter().map(|&[a, b]| (a, b))))
}

pub fn wire_seq_set(s: &SeqSet) -> wire::SeqSet {
    let ranges = s.ranges().iter().flat_map(|&(a, b)| [a, b]).collect();
    wire::SeqSet { upto: s.contiguous(), ranges }
}

pub fn key(k: Option<&wire::Key>) -> Result<EntityKey, Malformed> {
    let k = k.ok_or(Malformed("key"))?;
    let fits = |s: &str| s.len() <= limits::NAME_BYTES_MAX;
    if !fits(&k.home) || !fits(&k.id) {
        return Err(Malformed("key"));
    }
    Ok(EntityKey::new(k.home.as_str(), TypeId(k.kind), k.id.as_str()))
}

pub fn wire_key(k: &EntityKey) -> wire::Key {
    wire::Key { home: k.home.to_string(), kind: k.kind.0, id: k.id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_sets_come_back_as_they_went() {
        let mut v = Vector::new();
        for (r, i, s, n) in [(0, 5, 0, 9), (0, 5, 3, 1), (0, 7, 0, 2), (4, 1, 15, 1 << 40)] {
            let origin = Origin { region: RegionId(r), incarnation: i, stream: StreamId(s) };
            v.advance(origin, n);
        }
        assert_eq!(vector(Some(&wire_vector(&v))), Ok(v));
        let s = SeqSet::from_parts(4, [(6, 9), (20, 20)]);
        assert_eq!(seq_set(Some(&wire_seq_set(&s))), Ok(s));
    }

    #[test]
    fn ranges_that_do_not_ascend_are_malformed() {
        let check = |upto, ranges: &[u64], ok| {
            let set = wire::SeqSet { upto, ranges: ranges.to_vec() };
            assert_eq!(seq_set(Some(&set)).is_ok(), ok, "{set:?}");
        };
        check(4, &[6, 9, 20, 20], true);
        check(0, &[1, 1, 2, u64::MAX], true);
        check(4, &[20, 20, 6, 9], false);
        check(4, &[6, 9, 9, 12], false);
        check(4, &[9, 6], false);
        check(9, &[6, 12], false);
    }

    #[test]
    fn half_a_pair_is_malformed() {
        let life = wire::vector::Life { region: 1, incarnation: 1, heads: vec![1, 2, 3] };
        assert!(vector(Some(&wire::Vector { lives: vec![life] })).is_err());
        assert!(seq_set(Some(&wire::SeqSet { upto: 1, ranges: vec![3] })).is_err());
    }
}
