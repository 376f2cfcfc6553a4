//! Log entries and the rolling hash over them.
//!
//! A region's log has one entry per (transaction, home scope). The hash of a log runs over what
//! identifies its content: number, dots and fingerprints, duplicates included. Two regions that
//! hold the same log up to a number hold the same hash there; anything else is damage.

use landfall_model::codec;
use landfall_model::hash::hash128;
use landfall_model::id::DeviceId;
use landfall_model::op::{DecodeError, Fingerprint, Sealed};
use landfall_model::vector::Origin;
use minicbor::{Decode, Encode};

/// One entry of a log.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Entry {
    /// Ops of one transaction in one home scope, ascending by number.
    #[n(0)]
    Ops {
        #[n(0)]
        payloads: Vec<Payload>,
        /// Some of the ops have a dot that was already used by another op: merge them all the same.
        #[n(1)]
        fork: bool,
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
pub struct Payload(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

/// The rolling hash of a log behind some entry; all zero before the first.
pub type LogHash = [u8; 16];

/// An entry with its ops opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    Ops { ops: Vec<Sealed>, fork: bool },
    Cut { origin: Origin, last: u64 },
}

impl Entry {
    pub fn of_ops(ops: &[Sealed], fork: bool) -> Self {
        Self::Ops { payloads: ops.iter().map(|o| Payload(o.payload.to_vec())).collect(), fork }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        codec::to_bytes(self)
    }
}

impl Opened {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match codec::from_bytes(bytes)? {
            Entry::Ops { payloads, fork } => {
                let ops =
                    payloads.iter().map(|p| Sealed::decode(&p.0)).collect::<Result<_, _>>()?;
                Ok(Self::Ops { ops, fork })
            }
            Entry::Cut { origin, last } => Ok(Self::Cut { origin, last }),
        }
    }

    /// The log's hash behind this entry, given the hash before it and the entry's number.
    pub fn roll(&self, before: LogHash, seq: u64) -> LogHash {
        let identity: Vec<(DeviceId, u64, Fingerprint)> = match self {
            Self::Ops { ops, .. } => {
                ops.iter().map(|o| (o.op.dot.device, o.op.dot.seq, o.fingerprint)).collect()
            }
            Self::Cut { origin, last } => {
                let fingerprint = Fingerprint(hash128(&codec::to_bytes(origin)));
                vec![(DeviceId::default(), *last, fingerprint)]
            }
        };
        let mut bytes = before.to_vec();
        bytes.extend(codec::to_bytes(&(seq, identity)));
        hash128(&bytes)
    }
}
