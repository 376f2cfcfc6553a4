//! What becomes of own writes: receipts, fates and outcomes.

use crate::row::SqlValue;
use landfall_device as device;
use landfall_device::{DeviceId, FieldId, Schema};

/// The identity of a write.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Dot {
    /// The device that made it, as 32 hexadecimal digits.
    pub device: String,
    /// The number that the device gave it.
    pub seq: u64,
}

impl From<device::Dot> for Dot {
    fn from(dot: device::Dot) -> Self {
        Self { device: dot.device.to_string(), seq: dot.seq }
    }
}

/// The device's dot. What is none becomes one that no device gives, so that each call answers as it does
/// for any write that it does not know.
pub(crate) fn dot(dot: &Dot) -> device::Dot {
    let known: Result<DeviceId, _> = dot.device.parse();
    known.map_or(device::Dot::new(DeviceId([0; 16]), 0), |device| device::Dot::new(device, dot.seq))
}

/// Which entity.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Entity {
    /// The entity type's name; empty if the schema does not have it.
    pub kind: String,
    /// The entity's id.
    pub id: String,
    /// Its home scope.
    pub home: String,
}

pub(crate) fn entity(schema: &Schema, key: &device::EntityKey) -> Entity {
    let kind = schema.entity(key.kind).map(|t| t.name.clone()).unwrap_or_default();
    Entity { kind, id: key.id.to_string(), home: key.home.to_string() }
}

/// A transaction that was written to the file.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Receipt {
    /// The identities of its writes. Empty if it changed nothing.
    pub dots: Vec<Dot>,
    /// The entities that it wrote to, in order.
    pub entities: Vec<Entity>,
}

pub(crate) fn receipt(schema: &Schema, receipt: device::WriteReceipt) -> Receipt {
    Receipt {
        dots: receipt.dots.into_iter().map(Into::into).collect(),
        entities: receipt.keys.iter().map(|key| entity(schema, key)).collect(),
    }
}

/// Writes that were taken back before they left this device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Cancelled {
    /// The transaction of the write that was named.
    pub dots: Vec<Dot>,
    /// What stood on it, in whole transactions.
    pub dependants: Vec<Dot>,
    /// The entities that they wrote to, each once.
    pub entities: Vec<Entity>,
}

pub(crate) fn cancelled(schema: &Schema, cancelled: device::Cancelled) -> Cancelled {
    let device::Cancelled { dots, dependants, keys } = cancelled;
    Cancelled {
        dots: dots.into_iter().map(Into::into).collect(),
        dependants: dependants.into_iter().map(Into::into).collect(),
        entities: keys.iter().map(|key| entity(schema, key)).collect(),
    }
}

/// Where an own write stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Fate {
    /// No region has answered yet. The write shows on this device.
    Pending {
        /// It may have left this device.
        sent: bool,
    },
    /// A region has it, and so will all.
    Accepted {
        /// Held by as many regions as the placement asks for: it has left the outbox.
        durable: bool,
    },
    /// Every region that it was sent to has refused it. It no longer shows.
    Rejected {
        /// Why, as a stable code.
        code: String,
        /// Why, in the region's word.
        reason: String,
        /// The field that is to blame, if one is.
        field: Option<String>,
        /// In the region's words; for people.
        detail: String,
    },
    /// No write of this device, or one that was dismissed.
    Unknown,
}

pub(crate) fn fate(schema: &Schema, fate: device::Fate) -> Fate {
    match fate {
        device::Fate::Pending { sent } => Fate::Pending { sent },
        device::Fate::Accepted { durable } => Fate::Accepted { durable },
        device::Fate::Rejected { code, reason, field, detail } => {
            let field = field.and_then(|f| field_name(schema, f));
            Fate::Rejected { code: code.to_owned(), reason, field, detail }
        }
        device::Fate::Unknown => Fate::Unknown,
    }
}

/// A field's number is made from its name, so any type that has it tells the name.
fn field_name(schema: &Schema, id: FieldId) -> Option<String> {
    schema.types.values().find_map(|t| t.field(id)).map(|f| f.name.clone())
}

/// The outbox in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct OutboxStatus {
    /// Writes that no region has answered for.
    pub pending: u64,
    /// Writes that a region has, and not yet as many as are asked for.
    pub accepted: u64,
    /// When the oldest of them was written, in milliseconds since 1970, in estimated server time.
    pub oldest_ms: Option<i64>,
}

impl From<device::OutboxStatus> for OutboxStatus {
    fn from(status: device::OutboxStatus) -> Self {
        let device::OutboxStatus { pending, accepted, oldest_ms } = status;
        Self { pending, accepted, oldest_ms }
    }
}

/// Something an own write came to, that the app should deal with and then dismiss.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct WriteOutcome {
    /// The write.
    pub dot: Dot,
    /// What it wrote to.
    pub entity: Entity,
    /// What it came to.
    pub outcome: Outcome,
}

/// What an own write came to.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum Outcome {
    /// A region refused the write; it is kept for fixing.
    Rejected {
        /// Why, as a stable code.
        code: String,
        /// Why, in the region's word.
        reason: String,
        /// The field that is to blame, if one is.
        field: Option<String>,
        /// In the region's words; for people.
        detail: String,
    },
    /// Another write won over this one, and its author had not seen it.
    Overwritten {
        /// The field's name.
        field: String,
        /// The value that lost, as a column would hold it.
        lost: SqlValue,
    },
    /// The entity had been deleted when the write arrived.
    Deleted,
    /// The row left this device's scopes before the write was sent.
    Left,
    /// What had been read was lost with a region and rolled back.
    RolledBack,
}

pub(crate) fn outcome(
    schema: &Schema,
    key: &device::EntityKey,
    outcome: device::Outcome,
) -> Outcome {
    let lost = device::lost_value(schema, key, &outcome);
    match outcome {
        device::Outcome::Rejected { code: reason, field, detail } => Outcome::Rejected {
            code: device::public_code(&reason).to_owned(),
            field: field.and_then(|f| field_name(schema, f)),
            reason,
            detail,
        },
        device::Outcome::Overwritten { field, .. } => {
            let field = field_name(schema, field).unwrap_or_default();
            Outcome::Overwritten { field, lost: lost.as_ref().map_or(SqlValue::Null, Into::into) }
        }
        device::Outcome::Deleted => Outcome::Deleted,
        device::Outcome::Left => Outcome::Left,
        device::Outcome::RolledBack => Outcome::RolledBack,
    }
}

pub(crate) fn write_outcome(schema: &Schema, all: device::WriteOutcome) -> WriteOutcome {
    let device::WriteOutcome { dot, key, outcome: came_to } = all;
    let entity = entity(schema, &key);
    WriteOutcome { dot: dot.into(), entity, outcome: outcome(schema, &key, came_to) }
}
