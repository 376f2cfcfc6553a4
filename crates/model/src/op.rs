//! Ops: what a device says it changed.
//!
//! An op is encoded once, by the device that made it. Those bytes are its payload: they are
//! fingerprinted, sent, logged and replicated as they are, and nobody encodes them again. An op
//! describes itself (stable field numbers and merge types), so a replica without its schema, or
//! with another version of it, merges it all the same.

use crate::hash;
use crate::id::{DeviceId, Dot, EntityKey, FieldId, TypeId, arc_str};
use crate::stamp::{Hlc, Stamp};
use crate::value::Value;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One change to one entity.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Op {
    #[n(0)]
    pub dot: Dot,
    #[n(1)]
    pub hlc: Hlc,
    #[n(2)]
    pub key: EntityKey,
    /// The subject that made it; it is pushed under no other.
    #[n(3)]
    #[cbor(with = "arc_str")]
    pub principal: Arc<str>,
    #[n(4)]
    pub tx: Tx,
    /// The living births that the author saw, ascending, its own among them if the op creates.
    #[n(5)]
    pub births: Vec<Dot>,
    #[n(6)]
    pub action: Action,
    /// Further dots that must be answered where this one is pushed.
    #[n(7)]
    pub needs: Vec<Dot>,
    /// Reserved: milliseconds since 1970 after which the op may no longer be accepted.
    #[n(8)]
    pub expires_ms: Option<i64>,
    /// Reserved: conditions under which the op may be accepted, in a form of their own.
    #[n(9)]
    #[cbor(with = "minicbor::bytes")]
    pub preconditions: Option<Vec<u8>>,
    /// Reserved: content hashes of blobs that must be stored before.
    #[n(10)]
    pub blobs: Option<Vec<String>>,
}

/// The transaction of an op: `count` dots of its device from `first` on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Tx {
    #[n(0)]
    pub first: u64,
    #[n(1)]
    pub count: u32,
}

impl Tx {
    pub fn last(self) -> u64 {
        self.first.saturating_add(u64::from(self.count.max(1)) - 1)
    }

    pub fn seqs(self) -> impl Iterator<Item = u64> {
        self.first..=self.last()
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Action {
    /// Adds a birth (this op's dot) and writes fields.
    #[n(0)]
    Create {
        #[n(0)]
        parent: Option<Parent>,
        #[n(1)]
        changes: Vec<FieldChange>,
    },
    #[n(1)]
    Update(#[n(0)] Vec<FieldChange>),
    /// Kills the births that the op names.
    #[n(2)]
    Delete,
    /// Fills the number of an op that was never sent, or was finally refused.
    #[n(3)]
    Void,
}

/// The parent that a child was created under, in the child's own home scope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Parent {
    #[n(0)]
    pub kind: TypeId,
    #[n(1)]
    #[cbor(with = "arc_str")]
    pub id: Arc<str>,
    /// The parent's births that the author saw; the child's birth stands while one of them does.
    #[n(2)]
    pub births: Vec<Dot>,
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct FieldChange {
    #[n(0)]
    pub field: FieldId,
    #[n(1)]
    pub change: Change,
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Change {
    #[n(0)]
    Register {
        #[n(0)]
        value: Value,
        /// The stamp of the value that the author saw, which tells whether it was seen.
        #[n(1)]
        replaced: Option<Stamp>,
    },
    #[n(1)]
    Set {
        #[n(0)]
        add: Vec<Value>,
        /// Elements taken out, each with the dots of the additions that the author saw.
        #[n(1)]
        remove: Vec<Removal>,
    },
    #[n(2)]
    Counter(#[n(0)] i64),
    #[n(3)]
    Text(#[n(0)] TextChange),
    /// What a counter showed of births that are gone, by the births that it was counted on: of
    /// all that carry a birth's count, one counts.
    #[n(4)]
    Carried(#[n(0)] BTreeMap<Dot, i64>),
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Removal {
    #[n(0)]
    pub value: Value,
    #[n(1)]
    pub dots: Vec<Dot>,
}

/// Changes to a document since the last version that the author knew to be in two regions.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct TextChange {
    /// A Loro update blob.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub update: Vec<u8>,
}

impl std::fmt::Debug for TextChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "text({} bytes)", self.update.len())
    }
}

/// What tells two ops under one dot apart: SHA-256 of the payload, cut to 128 bits. All voids
/// share the reserved value zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Fingerprint(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl Fingerprint {
    pub const VOID: Self = Self([0; 16]);
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// An op with the bytes it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    pub op: Op,
    pub payload: Arc<[u8]>,
    pub fingerprint: Fingerprint,
}

/// Bytes that are no op.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not a well-formed op: {0}")]
    Malformed(String),
    #[error("not a well-formed op: {0} bytes follow its end")]
    TrailingBytes(usize),
    #[error("an op's number, its transaction's bounds or its births are out of order")]
    Inconsistent,
}

/// A payload that is not opened again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReopenError {
    #[error("the op is not the one that was written")]
    Another,
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Op {
    pub fn stamp(&self) -> Stamp {
        Stamp { hlc: self.hlc, device: self.dot.device }
    }

    pub fn device(&self) -> DeviceId {
        self.dot.device
    }

    pub fn changes(&self) -> &[FieldChange] {
        match &self.action {
            Action::Create { changes, .. } | Action::Update(changes) => changes,
            Action::Delete | Action::Void => &[],
        }
    }

    pub fn is_create(&self) -> bool {
        matches!(self.action, Action::Create { .. })
    }

    pub fn is_void(&self) -> bool {
        self.action == Action::Void
    }

    /// The births that the op stands on, and the entity that they are of: its own, or a created
    /// child's parent. It has no effect where none of them stands. `None` if it stands by itself.
    pub fn stands_on(&self) -> Option<(EntityKey, &[Dot])> {
        let (key, births) = match &self.action {
            Action::Create { parent: Some(p), .. } => {
                let key = EntityKey::new(self.key.home.clone(), p.kind, p.id.clone());
                (key, &p.births)
            }
            Action::Create { parent: None, .. } | Action::Void => return None,
            Action::Update(_) | Action::Delete => (self.key.clone(), &self.births),
        };
        (!births.is_empty()).then_some((key, births))
    }

    /// True if the op has nothing left to stand on when these births are gone.
    pub fn hangs_on(&self, gone: impl Fn(Dot) -> bool) -> bool {
        self.stands_on().is_some_and(|(_, births)| births.iter().all(|birth| gone(*birth)))
    }

    /// How many dots it names besides its own: births, needs, births of the parent, additions that
    /// it takes out of sets, and births whose counts it carries.
    pub fn named_dots(&self) -> usize {
        let above = match &self.action {
            Action::Create { parent: Some(parent), .. } => parent.births.len(),
            _ => 0,
        };
        let named = self.changes().iter().map(|c| match &c.change {
            Change::Set { remove, .. } => remove.iter().map(|r| r.dots.len()).sum(),
            Change::Carried(counts) => counts.len(),
            _ => 0,
        });
        self.births.len() + self.needs.len() + above + named.sum::<usize>()
    }

    /// The void of a dot: same device, number, home scope and author, no effect.
    pub fn void(dot: Dot, key: EntityKey, principal: Arc<str>) -> Self {
        Self {
            dot,
            hlc: Hlc::ZERO,
            key,
            principal,
            tx: Tx { first: dot.seq, count: 1 },
            births: Vec::new(),
            action: Action::Void,
            needs: Vec::new(),
            expires_ms: None,
            preconditions: None,
            blobs: None,
        }
    }

    /// Encode, once, for good.
    pub fn seal(self) -> Sealed {
        let payload: Arc<[u8]> = crate::codec::to_bytes(&self).into();
        let fingerprint = fingerprint(&self, &payload);
        Sealed { op: self, payload, fingerprint }
    }

    fn consistent(&self) -> bool {
        let ascending = |d: &[Dot]| d.windows(2).all(|w| w[0] < w[1]);
        let own_birth = !self.is_create() || self.births.contains(&self.dot);
        self.tx.first >= 1
            && self.tx.count >= 1
            && (self.tx.first..=self.tx.last()).contains(&self.dot.seq)
            && ascending(&self.births)
            && own_birth
    }
}

impl Sealed {
    /// Open again what was sealed or decoded before, and is known to be that by its fingerprint. It
    /// is spared what bytes from elsewhere are checked for.
    pub fn reopen(payload: Arc<[u8]>, fingerprint: Fingerprint) -> Result<Self, ReopenError> {
        if fingerprint == Fingerprint::VOID {
            // All voids share it, so it says nothing of the bytes.
            return match Self::decode(&payload)? {
                void if void.op.is_void() => Ok(void),
                _ => Err(ReopenError::Another),
            };
        }
        if Fingerprint(hash::hash128(&payload)) != fingerprint {
            return Err(ReopenError::Another);
        }
        let op = crate::codec::from_checked_bytes(&payload)?;
        Ok(Self { op, payload, fingerprint })
    }

    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let op: Op = crate::codec::from_bytes(payload)?;
        if !op.consistent() {
            return Err(DecodeError::Inconsistent);
        }
        let fingerprint = fingerprint(&op, payload);
        Ok(Self { op, payload: payload.into(), fingerprint })
    }
}

fn fingerprint(op: &Op, payload: &[u8]) -> Fingerprint {
    if op.is_void() { Fingerprint::VOID } else { Fingerprint(hash::hash128(payload)) }
}
