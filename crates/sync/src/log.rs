//! Log entries and the rolling hash over them.
//!
//! A region's log has one entry per (transaction, home scope). The hash of a log runs over what
//! identifies its content: number, dots and fingerprints, duplicates included, and what the region
//! that logged it said of them. Two regions that hold the same log up to a number hold the same
//! hash there; anything else is damage.

use landfall_model::codec;
use landfall_model::hash::hash128;
use landfall_model::id::DeviceId;
use landfall_model::op::{DecodeError, Fingerprint, Sealed};
use landfall_model::vector::Origin;
use minicbor::{Decode, Encode};

/// One entry of a log.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Entry<'a> {
    /// Ops of one transaction in one home scope, ascending by number.
    #[n(0)]
    Ops {
        #[b(0)]
        payloads: Vec<Payload<'a>>,
        /// Some of the ops have a dot that was already used by another op: merge them all the same.
        #[n(1)]
        fork: bool,
        /// Of a transaction that spans home scopes: what all its ops are, here and in other logs.
        #[n(2)]
        whole: Option<Whole>,
    },
    /// The end of an incarnation's log.
    #[n(1)]
    Cut {
        #[n(0)]
        origin: Origin,
        #[n(1)]
        last: u64,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct Payload<'a>(#[cbor(b(0), with = "minicbor::bytes")] pub &'a [u8]);

/// The hash of the fingerprints of all ops of a transaction, as the region that decided it saw
/// them. It tells what completes a part of the transaction from what only says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct Whole(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl Whole {
    /// Of the fingerprints in the order of the ops' numbers.
    pub fn of(fingerprints: impl IntoIterator<Item = Fingerprint>) -> Self {
        let bytes: Vec<u8> = fingerprints.into_iter().flat_map(|f| f.0).collect();
        Self(hash128(&bytes))
    }
}

/// The rolling hash of a log behind some entry; all zero before the first.
pub type LogHash = [u8; 16];

/// An entry with its ops opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    Ops { ops: Vec<Sealed>, fork: bool, whole: Option<Whole> },
    Cut { origin: Origin, last: u64 },
}

impl Entry<'_> {
    /// What an entry's bytes say of its transaction as a whole.
    pub fn whole(bytes: &[u8]) -> Option<Whole> {
        match codec::from_bytes(bytes) {
            Ok(Entry::Ops { whole, .. }) => whole,
            _ => None,
        }
    }
}

impl Opened {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match codec::from_bytes(bytes)? {
            Entry::Ops { payloads, fork, whole } => {
                let ops = payloads.iter().map(|p| Sealed::decode(p.0)).collect::<Result<_, _>>()?;
                Ok(Self::Ops { ops, fork, whole })
            }
            Entry::Cut { origin, last } => Ok(Self::Cut { origin, last }),
        }
    }

    pub fn ops(&self) -> &[Sealed] {
        match self {
            Self::Ops { ops, .. } => ops,
            Self::Cut { .. } => &[],
        }
    }

    /// As it is logged.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ops { ops, fork, whole } => {
                let payloads = ops.iter().map(|o| Payload(&o.payload)).collect();
                codec::to_bytes(&Entry::Ops { payloads, fork: *fork, whole: *whole })
            }
            Self::Cut { origin, last } => {
                codec::to_bytes(&Entry::Cut { origin: *origin, last: *last })
            }
        }
    }

    /// The log's hash behind this entry, given the hash before it and the entry's number.
    pub fn roll(&self, before: LogHash, seq: u64) -> LogHash {
        type Identity = Vec<(DeviceId, u64, Fingerprint)>;
        let (identity, fork, whole): (Identity, bool, Option<Whole>) = match self {
            Self::Ops { ops, fork, whole } => {
                let op = |o: &Sealed| (o.op.dot.device, o.op.dot.seq, o.fingerprint);
                (ops.iter().map(op).collect(), *fork, *whole)
            }
            Self::Cut { origin, last } => {
                let fingerprint = Fingerprint(hash128(&codec::to_bytes(origin)));
                (vec![(DeviceId::default(), *last, fingerprint)], false, None)
            }
        };
        let mut bytes = before.to_vec();
        bytes.extend(codec::to_bytes(&(seq, identity, fork, whole)));
        hash128(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_model::hex;
    use landfall_model::id::{Dot, EntityKey, RegionId, StreamId, TypeId};
    use landfall_model::op::{Action, Op};

    fn deletion(seq: u64) -> Sealed {
        let dot = Dot::new(DeviceId::from_number(7), seq);
        let key = EntityKey::new("w/lyon", TypeId(5), "o1");
        let void = Op::void(dot, key, "ada".into());
        Op { births: vec![dot], action: Action::Delete, ..void }.seal()
    }

    /// Entries and the hash behind them, as regions have stored and sent them.
    #[test]
    fn entries_have_the_bytes_of_their_file_and_decode_from_them() {
        let ops = vec![deletion(1), deletion(2)];
        let whole = Some(Whole::of(ops.iter().map(|o| o.fingerprint)));
        let origin = Origin { region: RegionId(2), incarnation: 3, stream: StreamId(4) };
        let entries = [
            ("of one home scope", Opened::Ops { ops: ops.clone(), fork: false, whole: None }),
            ("of several", Opened::Ops { ops: ops[..1].to_vec(), fork: false, whole }),
            ("a fork", Opened::Ops { ops, fork: true, whole: None }),
            ("a cut", Opened::Cut { origin, last: 9 }),
        ];
        let (mut hash, mut found) = (LogHash::default(), String::new());
        for ((name, entry), seq) in entries.iter().zip(1..) {
            let bytes = entry.to_bytes();
            hash = entry.roll(hash, seq);
            found += &format!(
                "{name}\n  entry {}\n  hash  {}\n",
                hex::encode(&bytes),
                hex::encode(&hash)
            );
            assert_eq!(Opened::decode(&bytes).as_ref(), Ok(entry), "{name}");
        }
        assert_eq!(found, include_str!("../testdata/log_entries.txt"));
    }
}
