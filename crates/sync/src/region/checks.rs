//! May this transaction be accepted?
//!
//! Asked once, by the region that a device pushes to. What one region has accepted, all regions
//! apply: replicated ops never come here. Every refusal has a stable code.

use super::Core;
use super::access::Author;
use super::store::{Refusal, Store};
use crate::limits;
use landfall_model::id::{Dot, FieldId, Scope};
use landfall_model::op::{Action, Change, Op, Sealed, TextChange};
use landfall_model::schema::{Audience, EntityType, Home, Merge};
use landfall_model::text::Document;
use landfall_model::vector::SeqSet;
use std::collections::BTreeSet;

/// Codes of refusals, as they go over the wire. docs/errors/README.md has a row for each.
pub mod code {
    pub const WRONG_PRINCIPAL: &str = "wrong_principal";
    pub const INCOMPLETE: &str = "incomplete_transaction";
    pub const TOO_LARGE: &str = "too_large";
    pub const MALFORMED: &str = "malformed";
    pub const CLOCK_AHEAD: &str = "clock_ahead";
    pub const EXPIRED: &str = "expired";
    pub const NOT_ALLOWED: &str = "not_allowed";
    pub const WRONG_HOME: &str = "wrong_home_scope";
    pub const UNKNOWN_TYPE: &str = "unknown_type";
    pub const LOCAL_TYPE: &str = "local_type";
    pub const WRONG_MERGE: &str = "wrong_merge";
    pub const UNSUPPORTED: &str = "unsupported";
    pub const FORKED: &str = "forked_device";
    pub const VOIDED: &str = "voided";
    pub const DEPENDS: &str = "depends_on_refused";
}

fn refuse(op: &Op, code: &str, field: Option<FieldId>, detail: impl Into<String>) -> Refusal {
    Refusal { code: code.to_owned(), seq: op.dot.seq, field, detail: detail.into() }
}

impl Core {
    /// The transaction as a whole: complete, of one author, and not too large.
    pub(super) fn check_shape(&self, author: &Author, ops: &[Sealed]) -> Result<(), Refusal> {
        let first = &ops[0].op;
        let tx = first.tx;
        if ops.len().max(tx.count as usize) > limits::TRANSACTION_OPS_MAX {
            return Err(refuse(first, code::TOO_LARGE, None, "too many ops in one transaction"));
        }
        let bytes: usize = ops.iter().map(|o| o.payload.len()).sum();
        if bytes > limits::TRANSACTION_BYTES_MAX {
            return Err(refuse(first, code::TOO_LARGE, None, "the transaction is too large"));
        }
        for o in ops {
            let op = &o.op;
            if op.principal != author.subject {
                let detail = "an op is pushed only under the account that wrote it";
                return Err(refuse(op, code::WRONG_PRINCIPAL, None, detail));
            }
            if o.payload.len() > limits::OP_BYTES_MAX {
                return Err(refuse(op, code::TOO_LARGE, None, "the op is too large"));
            }
            if op.tx != tx || op.dot.device != first.dot.device {
                let detail = "ops of several transactions in one";
                return Err(refuse(op, code::MALFORMED, None, detail));
            }
        }
        if !ops.windows(2).all(|w| w[0].op.dot.seq < w[1].op.dot.seq) {
            return Err(refuse(first, code::MALFORMED, None, "numbers do not ascend"));
        }
        Ok(())
    }

    /// All of the transaction's numbers are here.
    pub(super) fn check_complete(&self, ops: &[Sealed]) -> Result<(), Refusal> {
        let tx = ops[0].op.tx;
        let complete = ops.len() == tx.count as usize && ops[0].op.dot.seq == tx.first;
        if complete {
            return Ok(());
        }
        let detail = "a transaction is pushed whole, or not at all";
        Err(refuse(&ops[0].op, code::INCOMPLETE, None, detail))
    }

    /// One op that no region has accepted yet.
    pub(super) fn check_op<S: Store>(
        &self,
        store: &mut S,
        author: &Author,
        op: &Op,
        now_ms: i64,
    ) -> Result<Result<(), Refusal>, S::Error> {
        if op.is_void() {
            return Ok(Ok(()));
        }
        if let Err(refusal) = check_limits(op, now_ms) {
            return Ok(Err(refusal));
        }
        let Some(kind) = self.schema.entity(op.key.kind) else {
            let detail = "this region does not know the entity type yet";
            return Ok(Err(refuse(op, code::UNKNOWN_TYPE, None, detail)));
        };
        if let Err(refusal) = check_schema(op, kind) {
            return Ok(Err(refusal));
        }
        self.check_access(store, author, op, kind)
    }

    /// An op that stands on nothing but own creates that were decided here, and never arrived, would
    /// be accepted to no effect.
    pub(super) fn check_needs<S: Store>(
        &self,
        store: &mut S,
        op: &Op,
        received: &SeqSet,
    ) -> Result<Option<Refusal>, S::Error> {
        let Some((key, births)) = op.stands_on() else { return Ok(None) };
        let needs: BTreeSet<&Dot> = op.needs.iter().collect();
        let own = |b: &Dot| b.device == op.dot.device && needs.contains(b);
        if !births.iter().all(own) {
            return Ok(None);
        }
        let there = store.entity(&key)?.map(|record| record.entity).unwrap_or_default();
        for birth in births {
            if there.knows(*birth) {
                return Ok(None);
            }
            // A void came in its place, or it was refused; otherwise it is on its way.
            if !received.contains(birth.seq) && store.refusals(*birth)?.is_empty() {
                return Ok(None);
            }
        }
        let detail = format!("it hangs on {}, which was refused", births[0]);
        Ok(Some(refuse(op, code::DEPENDS, None, detail)))
    }

    fn check_access<S: Store>(
        &self,
        store: &mut S,
        author: &Author,
        op: &Op,
        kind: &EntityType,
    ) -> Result<Result<(), Refusal>, S::Error> {
        if kind.shared {
            let detail = "the type is shared, and the account does not publish its scope";
            let refusal = || refuse(op, code::NOT_ALLOWED, None, detail);
            return Ok(author.may_publish(&op.key.home).then_some(()).ok_or_else(refusal));
        }
        if author.may_write_home(&op.key.home) {
            return Ok(Ok(()));
        }
        let held = self.audiences_for(store, author, op)?;
        let allowed = |field: Option<FieldId>| match (&op.action, field) {
            (Action::Create { .. }, _) => held.iter().any(|a| a.create),
            (Action::Delete, _) => held.iter().any(|a| a.delete),
            (_, Some(f)) => held.iter().any(|a| a.write.contains(&(kind.id, f))),
            (_, None) => !held.is_empty(),
        };
        if op.changes().is_empty() && !allowed(None) {
            return Ok(Err(refuse(op, code::NOT_ALLOWED, None, "no write access to this scope")));
        }
        let refused = op.changes().iter().map(|c| c.field).find(|f| !allowed(Some(*f)));
        Ok(match refused {
            Some(f) => {
                let detail = "the account may not write this field here";
                Err(refuse(op, code::NOT_ALLOWED, Some(f), detail))
            }
            None => Ok(()),
        })
    }

    /// The audiences of the author that decide about an op. A create is judged by the scopes that
    /// its own fields name; where the entity is there already, by those that hold it now, too: to
    /// create what is there is to change it, and its fields must not let anybody in who was not.
    fn audiences_for<S: Store>(
        &self,
        store: &mut S,
        author: &Author,
        op: &Op,
    ) -> Result<Vec<&Audience>, S::Error> {
        let Some(there) = store.entity(&op.key)?.filter(|_| op.is_create()) else {
            return Ok(held_by(author, self.audiences_after(store, op)?));
        };
        let under = self.under_parent(store, &op.key, &there.entity, 0)?;
        if there.entity.exists(&under)
            && held_by(author, self.audiences(store, &op.key, &there.entity, &under)?).is_empty()
        {
            return Ok(Vec::new());
        }
        Ok(held_by(author, self.audiences_after(store, op)?))
    }
}

fn held_by<'a>(author: &Author, all: Vec<(Scope, &'a Audience)>) -> Vec<&'a Audience> {
    let held = all.into_iter().filter(|(scope, _)| author.in_audience(scope));
    held.map(|(_, audience)| audience).collect()
}

fn check_limits(op: &Op, now_ms: i64) -> Result<(), Refusal> {
    let long = |s: &str| s.len() > limits::NAME_BYTES_MAX;
    if long(&op.key.home) || long(&op.key.id) || op.key.home.is_empty() || op.key.id.is_empty() {
        return Err(refuse(op, code::MALFORMED, None, "an id or a scope is empty or too long"));
    }
    if op.named_dots() > limits::DOTS_PER_OP_MAX {
        return Err(refuse(op, code::TOO_LARGE, None, "the op names too many dots"));
    }
    if op.hlc.millis() > now_ms + limits::STAMP_AHEAD_MS_MAX {
        let detail = "the stamp lies in the future; ask for the time and stamp again";
        return Err(refuse(op, code::CLOCK_AHEAD, None, detail));
    }
    if op.expires_ms.is_some_and(|at| at < now_ms) {
        return Err(refuse(op, code::EXPIRED, None, "the op expired before it arrived"));
    }
    if op.preconditions.is_some() || op.blobs.is_some() {
        let detail = "preconditions and blobs are not there yet";
        return Err(refuse(op, code::UNSUPPORTED, None, detail));
    }
    Ok(())
}

/// Fields that this region's schema does not know pass: a newer app may write them. So do values that
/// do not fit theirs, such as text of a JSON field that is none: what fits is said by the schema that
/// the app was compiled with, and devices show what does not fit theirs as it is.
fn check_schema(op: &Op, kind: &EntityType) -> Result<(), Refusal> {
    if kind.local {
        return Err(refuse(op, code::LOCAL_TYPE, None, "the type stays on the device"));
    }
    if matches!(op.action, Action::Update(_) | Action::Delete) && op.births.is_empty() {
        return Err(refuse(op, code::MALFORMED, None, "the op names no birth"));
    }
    for change in op.changes() {
        // A blob that cannot be read would make the whole document unreadable, everywhere.
        let readable = |t: &TextChange| Document::default().import(&t.update).is_ok();
        if matches!(&change.change, Change::Text(t) if !readable(t)) {
            let detail = "the text update cannot be read";
            return Err(refuse(op, code::MALFORMED, Some(change.field), detail));
        }
        let Some(field) = kind.field(change.field) else { continue };
        let merge = match &change.change {
            Change::Register { .. } => Merge::Register,
            Change::Set { .. } => Merge::Set,
            Change::Counter(_) | Change::Carried(_) => Merge::Counter,
            Change::Text(_) => Merge::Text,
        };
        if merge != field.merge {
            let detail = "the field merges in another way";
            return Err(refuse(op, code::WRONG_MERGE, Some(field.id), detail));
        }
    }
    check_home(op, kind)
}

/// A root's home scope is what its own fields say; a child names a parent.
fn check_home(op: &Op, kind: &EntityType) -> Result<(), Refusal> {
    let wrong = || refuse(op, code::WRONG_HOME, None, "the home scope is not what the fields say");
    match (&kind.home, &op.action) {
        // Whoever moves an entity moves what hangs on it: types make a tree of that, forged parents
        // a web that no region comes to the end of.
        (Home::Scope(_), Action::Create { parent: Some(_), .. }) => Err(wrong()),
        (Home::Scope(template), Action::Create { changes, .. }) => {
            let id = landfall_model::value::Value::text(&*op.key.id);
            let value = |f: FieldId| {
                if Some(f) == kind.id_field() {
                    return Some(&id);
                }
                changes.iter().find(|c| c.field == f).and_then(|c| match &c.change {
                    Change::Register { value, .. } => Some(value),
                    _ => None,
                })
            };
            match template.render(value) {
                Some(home) if home == op.key.home => Ok(()),
                _ => Err(wrong()),
            }
        }
        (Home::Scope(template), Action::Update(changes)) => {
            match changes.iter().find(|c| template.fields().any(|f| f == c.field)) {
                Some(c) => Err(Refusal { field: Some(c.field), ..wrong() }),
                None => Ok(()),
            }
        }
        (Home::Parent { kind: parent, .. }, Action::Create { parent: named, .. }) => match named {
            Some(p) if p.kind == *parent => Ok(()),
            _ => Err(refuse(op, code::WRONG_HOME, None, "the create names no parent")),
        },
        _ => Ok(()),
    }
}
