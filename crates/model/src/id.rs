//! Names of things: devices, regions, entity types, fields, entities.
//!
//! Every identifier here is stored and sent; its encoding is fixed by the golden files in
//! `testdata/`. Nothing here is drawn at random: callers pass randomness in.

use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A device's identity within one placement: 16 random bytes drawn when its file is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct DeviceId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl DeviceId {
    /// For tests and simulations: a device id that prints as its number.
    pub fn from_number(n: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Self(bytes)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last four bytes are enough to tell devices apart in a story or a log line.
        write!(f, "d")?;
        self.0[12..].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// An op's identity: its device and the number that device gave it. Numbers start at 1 and are
/// dense: a number is used once, by one op or by the void that replaced it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Dot {
    #[n(0)]
    pub device: DeviceId,
    #[n(1)]
    pub seq: u64,
}

impl Dot {
    pub fn new(device: DeviceId, seq: u64) -> Self {
        Self { device, seq }
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.device, self.seq)
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.device, self.seq)
    }
}

/// A text that is no device id or no dot in the form in which they are displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier as it is displayed")]
pub struct Unreadable;

/// Reads what is displayed: 32 hexadecimal digits.
impl FromStr for DeviceId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        // Also refuses the sign that the number parser would take.
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Unreadable);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| Unreadable)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Reads what is displayed: device and number with a `#` between them.
impl FromStr for Dot {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (device, seq) = text.split_once('#').ok_or(Unreadable)?;
        if !seq.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unreadable);
        }
        Ok(Self::new(device.parse()?, seq.parse().map_err(|_| Unreadable)?))
    }
}

/// A region, as numbered by the world's configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct RegionId(#[n(0)] pub u16);

/// An entity type. The number is derived from the type's first name, so renames keep it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct TypeId(#[n(0)] pub u32);

/// A field within its type (or value object). Derived like [`TypeId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct FieldId(#[n(0)] pub u32);

/// The one scope that partitions an entity, or an audience's name: `warehouse/lyon`.
pub type Scope = Arc<str>;

/// An entity's full name: (home scope, type, id).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct EntityKey {
    #[n(0)]
    #[cbor(with = "arc_str")]
    pub home: Scope,
    #[n(1)]
    pub kind: TypeId,
    #[n(2)]
    #[cbor(with = "arc_str")]
    pub id: Arc<str>,
}

impl EntityKey {
    pub fn new(home: impl Into<Scope>, kind: TypeId, id: impl Into<Arc<str>>) -> Self {
        Self { home: home.into(), kind, id: id.into() }
    }
}

impl fmt::Debug for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:x}:{}", self.home, self.kind.0, self.id)
    }
}

/// Number of streams that one placement's log is split into; fixed for the life of a world.
pub const STREAMS_PER_PLACEMENT: u16 = 16;

/// A stream of a region's log: `placement * 16 + hash(home scope) mod 16`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct StreamId(#[n(0)] pub u16);

impl StreamId {
    /// The stream that holds a home scope's entries in a placement.
    pub fn of(placement: u16, home: &str) -> Self {
        let slot = crate::hash::hash64(home.as_bytes()) % u64::from(STREAMS_PER_PLACEMENT);
        Self(placement * STREAMS_PER_PLACEMENT + slot as u16)
    }

    pub fn placement(self) -> u16 {
        self.0 / STREAMS_PER_PLACEMENT
    }
}

/// `Arc<str>` as a CBOR text string.
pub mod arc_str {
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self as enc, Encoder, Write};
    use std::sync::Arc;

    pub fn encode<C, W: Write>(
        v: &Arc<str>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), enc::Error<W::Error>> {
        e.str(v)?.ok()
    }

    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Arc<str>, Error> {
        d.str().map(Arc::from)
    }
}
