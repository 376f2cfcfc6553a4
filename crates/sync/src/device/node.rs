//! One device, seen by its driver.
//!
//! The driver owns the file, the socket and the clock. For every call it begins a transaction on
//! the store, calls one method here, commits (durably if [`Output::durable`] says so), and only
//! then sends [`Output::frames`] and reports [`Output::events`]. If the commit fails or the process
//! dies, the node is dropped and opened anew from the file; nothing was sent that the file does
//! not know of.

use super::store::{OpState, Outcome};
use crate::wire::DeviceFrame;
use landfall_model::id::{Dot, EntityKey, FieldId, RegionId, Scope, TypeId};
use landfall_model::op::Tx;
use landfall_model::value::Value;

/// What a call asks its driver to do once the transaction is committed.
#[derive(Debug, Default)]
pub struct Output {
    /// To send, in order, on the current connection.
    pub frames: Vec<DeviceFrame>,
    /// The commit must have reached the disk before the frames leave.
    pub durable: bool,
    /// For observers: live queries, fate streams, progress.
    pub events: Vec<Event>,
    /// The session cannot go on: close the connection; reconnect after this many milliseconds.
    pub close: Option<Close>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    pub code: String,
    pub message: String,
    pub retry_after_ms: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The visible row changed (or went).
    Changed { key: EntityKey },
    Fate { dot: Dot, key: EntityKey, state: OpState },
    Outcome { dot: Dot, key: EntityKey, outcome: Outcome },
    /// A scope's pass moved: rows so far and in all, and whether it is complete.
    Progress { scope: Scope, rows: u64, total: u64, complete: bool },
    Denied { scope: Scope, code: String },
    /// The session is open with this region.
    Online { region: RegionId },
    /// The region asks to move elsewhere within this many milliseconds.
    Drain { within_ms: u64 },
}

/// One change of a local transaction. Edits of one transaction see one another.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Create the entity where the device knows none, else change it.
    Upsert { kind: TypeId, id: String, fields: Vec<(FieldId, FieldEdit)> },
    /// Change an entity that exists; an error if the device knows none.
    Update { key: EntityKey, fields: Vec<(FieldId, FieldEdit)> },
    Delete { key: EntityKey },
}

#[derive(Debug, Clone, PartialEq)]
pub enum FieldEdit {
    /// Write a register. [`Value::Null`] clears it.
    Put(Value),
    Add(Value),
    Remove(Value),
    Increment(i64),
    /// Replace `delete` code points of a text at `at`.
    Splice { at: usize, delete: usize, insert: String },
}

/// A committed local transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub dots: Vec<Dot>,
    pub tx: Tx,
    pub keys: Vec<EntityKey>,
}
