//! A batch of writes by name, as one transaction.

use landfall_device::{Client, Transaction};
use landfall_model::value::Value as Model;

/// What happens to one entity.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Edit {
    /// The entity type's name.
    pub kind: String,
    /// The entity's id.
    pub id: String,
    /// What the edit means to it.
    pub action: Action,
    /// Its home scope, where the device may know several of this type and id.
    pub home: Option<String>,
    /// Changes of its fields, in order; none with a deletion.
    pub changes: Vec<Change>,
}

/// What an edit means to its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Action {
    /// Create it, or change it where the device knows it.
    Upsert,
    /// Change it; it is there.
    Update,
    /// Delete it; it is there.
    Delete,
}

/// A change of one field.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum Change {
    /// Give a register a value.
    Put {
        /// The field's name.
        field: String,
        /// Its value from now on.
        value: Value,
    },
    /// Add to a counter; a negative number takes away.
    Increment {
        /// The field's name.
        field: String,
        /// How much.
        by: i64,
    },
    /// Put an element into a set.
    AddToSet {
        /// The field's name.
        field: String,
        /// The element.
        element: Value,
    },
    /// Take an element out of a set.
    RemoveFromSet {
        /// The field's name.
        field: String,
        /// The element.
        element: Value,
    },
    /// Replace a part of a text.
    Splice {
        /// The field's name.
        field: String,
        /// The first code point that goes, from 0 on.
        at: u32,
        /// How many code points go.
        delete: u32,
        /// What comes there.
        insert: String,
    },
}

/// A value to be written. Decimals may be text (`"12.50"`); value objects and lists are JSON text
/// with member names.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum Value {
    /// No value.
    Null,
    /// A boolean.
    Bool {
        /// The value.
        value: bool,
    },
    /// A whole number, or microseconds since 1970.
    Int {
        /// The value.
        value: i64,
    },
    /// A double.
    Float {
        /// The value.
        value: f64,
    },
    /// Text, and what is written as text.
    Text {
        /// The value.
        value: String,
    },
    /// Bytes.
    Bytes {
        /// The value.
        value: Vec<u8>,
    },
}

impl From<Value> for Model {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool { value } => Self::Bool(value),
            Value::Int { value } => Self::Int(value),
            Value::Float { value } => Self::from(value),
            Value::Text { value } => Self::Text(value),
            Value::Bytes { value } => Self::Bytes(value),
        }
    }
}

/// The transaction of a batch.
pub(crate) fn transaction(client: &Client, edits: Vec<Edit>) -> Transaction {
    edits.into_iter().fold(client.transaction(), one)
}

fn one(transaction: Transaction, edit: Edit) -> Transaction {
    let Edit { kind, id, action, home, changes } = edit;
    let none = || std::iter::empty::<(&str, Model)>();
    let begun = match action {
        Action::Upsert => transaction.upsert(&kind, &id, none()),
        Action::Update => transaction.update(&kind, &id, none()),
        Action::Delete => transaction.delete(&kind, &id),
    };
    let changed = changes.into_iter().fold(begun, |t, c| change(t, &kind, &id, c));
    match home {
        Some(home) => changed.in_home(&home),
        None => changed,
    }
}

fn change(t: Transaction, kind: &str, id: &str, change: Change) -> Transaction {
    match change {
        Change::Put { field, value } => t.update(kind, id, [(field, value.into())]),
        Change::Increment { field, by } => t.increment(kind, id, &field, by),
        Change::AddToSet { field, element } => t.add_to_set(kind, id, &field, element.into()),
        Change::RemoveFromSet { field, element } => {
            t.remove_from_set(kind, id, &field, element.into())
        }
        Change::Splice { field, at, delete, insert } => {
            t.splice(kind, id, &field, at as usize, delete as usize, &insert)
        }
    }
}
