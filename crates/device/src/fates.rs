//! What became of own writes: their fates, their outcomes, and the outbox as a whole.
//!
//! A fate only moves forward: pending, then accepted or rejected; and an accepted write becomes
//! safer: in one region, then in as many as the placement asks for. All of it is read from the
//! file, so it is the same in every process and after a restart.

use crate::account_file::NOT_TAKEN_OVER;
use crate::read::SqlValue;
use crate::text_form;
use landfall_model::id::{Dot, EntityKey, FieldId};
use landfall_model::schema::{Field, Schema};
use landfall_model::value::Value;
pub use landfall_sync::device::node::Cancelled;
use landfall_sync::device::store::{OpState, Outcome};

/// Where an own write stands.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        /// Why, as a stable code of this SDK; see [`public_code`].
        code: &'static str,
        /// Why, in the region's word.
        reason: String,
        /// The field that is to blame, if one is.
        field: Option<FieldId>,
        /// In the region's words; for people.
        detail: String,
    },
    /// No write of this device, or one that was dismissed or cancelled.
    Unknown,
}

impl Fate {
    /// True once nothing more will be heard of the write.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Accepted { durable: true } | Self::Rejected { .. } | Self::Unknown)
    }
}

impl From<&OpState> for Fate {
    fn from(state: &OpState) -> Self {
        match state {
            OpState::Unsent => Self::Pending { sent: false },
            OpState::Sent { .. } => Self::Pending { sent: true },
            OpState::Accepted { .. } => Self::Accepted { durable: false },
            OpState::Durable { .. } => Self::Accepted { durable: true },
            OpState::Rejected { code, field, detail } => Self::Rejected {
                code: public_code(code),
                reason: code.clone(),
                field: *field,
                detail: detail.clone(),
            },
        }
    }
}

/// Codes of refusals as apps see them. The words on the left go over the wire.
const REFUSALS: &[(&str, &str)] = &[
    ("wrong_principal", "LF4001"),
    ("incomplete_transaction", "LF4002"),
    ("too_large", "LF4003"),
    ("malformed", "LF4004"),
    ("clock_ahead", "LF4005"),
    ("expired", "LF4006"),
    ("not_allowed", "LF4007"),
    ("wrong_home_scope", "LF4008"),
    ("unknown_type", "LF4009"),
    ("local_type", "LF4010"),
    ("wrong_merge", "LF4011"),
    ("unsupported", "LF4012"),
    ("forked_device", "LF4013"),
    ("voided", "LF4014"),
    ("depends_on_refused", "LF4015"),
    ("cancelled", "LF4016"),
    (NOT_TAKEN_OVER, "LF2131"),
];

/// The `LF40xx` code of a region's refusal; `LF4000` for one that this build does not know.
pub fn public_code(reason: &str) -> &'static str {
    REFUSALS.iter().find(|(word, _)| *word == reason).map_or("LF4000", |(_, code)| code)
}

/// The outbox in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxStatus {
    /// Writes that no region has answered for.
    pub pending: u64,
    /// Writes that a region has, and not yet as many as are asked for.
    pub accepted: u64,
    /// When the oldest of them was written, in milliseconds since 1970, in estimated server time.
    pub oldest_ms: Option<i64>,
}

impl OutboxStatus {
    /// True if every write is where it should be.
    pub fn is_empty(&self) -> bool {
        self.pending == 0 && self.accepted == 0
    }
}

/// Something an own write came to, that the app should deal with and then dismiss.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOutcome {
    /// The write.
    pub dot: Dot,
    /// What it wrote to.
    pub key: EntityKey,
    /// What it came to.
    pub outcome: Outcome,
}

impl WriteOutcome {
    /// True if no region has the write: it is here alone, for the app to make it anew.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn is_of_a_refused_write(&self) -> bool {
        matches!(self.outcome, Outcome::Rejected { .. } | Outcome::Left)
    }
}

/// A field's value as its column would hold it.
pub fn column_value(schema: &Schema, field: &Field, value: &Value) -> SqlValue {
    text_form::column(value, field, &schema.values)
}

/// The value that lost, where a write was overwritten, as its column would hold it.
pub fn lost_value(schema: &Schema, key: &EntityKey, outcome: &Outcome) -> Option<SqlValue> {
    let Outcome::Overwritten { field, lost, .. } = outcome else { return None };
    let field = schema.entity(key.kind)?.field(*field)?;
    Some(column_value(schema, field, lost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn refusals_have_codes_of_their_own() {
        let codes: BTreeSet<&str> = REFUSALS.iter().map(|(_, code)| *code).collect();
        let words: BTreeSet<&str> = REFUSALS.iter().map(|(word, _)| *word).collect();
        assert_eq!((codes.len(), words.len()), (REFUSALS.len(), REFUSALS.len()));
        assert_eq!(public_code("not_allowed"), "LF4007");
        assert_eq!(public_code("invented_later"), "LF4000");
    }
}
