//! An open transaction on a device's file: the store that the state machine works on, and what
//! the SDK keeps beside it.

use super::error::Error;
use super::tables::{self, Tables};
use super::{bases, deletions, lease, ops, outcomes, references, rows, scopes, show, typed};
use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope, TypeId};
use landfall_model::text::{Text, Typed};
use landfall_model::value::Value;
use landfall_model::vector::{Origin, SeqSet, Vector};
use landfall_sync::device::store::{
    Base, Deletion, Held, Meta, Outcome, OwnOp, Store, Subscription, TextMark, View,
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The fact that says whose file it is.
const ACCOUNT: &str = "account";

/// See [`super::Database::transact`].
#[derive(Debug)]
pub struct Transaction<'d> {
    pub(super) conn: &'d Connection,
    pub(super) tables: &'d Tables,
}

impl Transaction<'_> {
    /// Whether the sync lease is still the holder's. Asked in each transaction of a session: a
    /// process that slept past its lease must not go on where another has gone on already.
    pub fn holds_lease(&self, holder: &str) -> Result<bool, Error> {
        lease::holds(self.conn, holder)
    }

    /// Outcomes that were not dismissed, in the order in which they came.
    pub fn outcomes(&self) -> Result<Vec<(Dot, EntityKey, Outcome)>, Error> {
        outcomes::all(self.conn)
    }

    /// Types whose typed rows were shown under another schema, and have to be shown anew.
    pub fn stale_types(&self) -> Result<Vec<TypeId>, Error> {
        tables::stale(self.conn)
    }

    /// All rows of a type have been shown anew.
    pub fn mark_shown(&mut self, kind: TypeId) -> Result<(), Error> {
        tables::mark_shown(self.conn, kind)
    }

    /// See [`super::Database::version`].
    pub fn version(&self) -> Result<i64, Error> {
        super::data_version(self.conn)
    }

    /// Whether something was typed that is not part of its op yet.
    pub fn has_typed(&self) -> Result<bool, Error> {
        typed::any(self.conn)
    }

    /// What that is, in the order in which it was typed.
    pub fn typed(&self) -> Result<Vec<(EntityKey, FieldId, Typed)>, Error> {
        typed::all(self.conn)
    }

    pub fn clear_typed(&mut self) -> Result<(), Error> {
        typed::clear(self.conn)
    }

    /// Whose file it is: tenant and subject.
    pub fn account(&self) -> Result<Option<(String, String)>, Error> {
        let Some(known) = self.fact(ACCOUNT)? else { return Ok(None) };
        let known = String::from_utf8(known).map_err(|_| Error::Damaged("account".to_owned()))?;
        Ok(known.split_once('\0').map(|(t, s)| (t.to_owned(), s.to_owned())))
    }

    pub fn put_account(&mut self, tenant: &str, subject: &str) -> Result<(), Error> {
        self.put_fact(ACCOUNT, format!("{tenant}\0{subject}").as_bytes())
    }

    /// Something that the SDK keeps under a name, such as the signed directory of regions.
    pub fn fact(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT value FROM _lf_fact WHERE name = 'sdk/' || ?";
        rows::query_value(self.conn, sql, [name])
    }

    pub fn put_fact(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO _lf_fact (name, value) VALUES ('sdk/' || ?, ?)";
        rows::execute(self.conn, sql, rusqlite::params![name, value]).map(drop)
    }
}

impl Store for Transaction<'_> {
    type Error = Error;

    fn meta(&mut self) -> Result<Option<Meta>, Error> {
        ops::meta(self.conn)
    }

    fn put_meta(&mut self, meta: &Meta) -> Result<(), Error> {
        ops::put_meta(self.conn, meta)
    }

    fn base(&mut self, key: &EntityKey) -> Result<Option<Base>, Error> {
        bases::get(self.conn, key)
    }

    fn put_base(&mut self, key: &EntityKey, base: &Base) -> Result<(), Error> {
        bases::put(self.conn, key, base)
    }

    fn add_base(&mut self, key: &EntityKey, base: &Base, state: &[u8]) -> Result<(), Error> {
        bases::add(self.conn, key, base, state)
    }

    fn known(
        &mut self,
        first: &EntityKey,
        last: &EntityKey,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        bases::known(self.conn, first, last, limit)
    }

    fn remove_base(&mut self, key: &EntityKey) -> Result<(), Error> {
        bases::remove(self.conn, key)
    }

    fn held_by(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        bases::held_by(self.conn, scope, after, limit)
    }

    fn held(&mut self, scope: &str) -> Result<Held, Error> {
        bases::held(self.conn, scope)
    }

    fn longest_held(
        &mut self,
        scope: &str,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        bases::longest_held(self.conn, scope, skip, limit)
    }

    fn older(
        &mut self,
        kind: TypeId,
        field: FieldId,
        floor: &Value,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        show::older(self.conn, self.tables, (kind, field), floor, after, limit)
    }

    fn put_pin(&mut self, key: &EntityKey, pinned: bool) -> Result<(), Error> {
        scopes::put_pin(self.conn, key, pinned)
    }

    fn is_pinned(&mut self, key: &EntityKey) -> Result<bool, Error> {
        scopes::is_pinned(self.conn, key)
    }

    fn pins(&mut self) -> Result<Vec<EntityKey>, Error> {
        scopes::pins(self.conn)
    }

    fn bases(
        &mut self,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<(EntityKey, Base)>, Error> {
        bases::walk(self.conn, after, limit)
    }

    fn base_text(&mut self, key: &EntityKey, field: FieldId) -> Result<Text, Error> {
        bases::text(self.conn, key, field)
    }

    fn text_print(&mut self, key: &EntityKey, field: FieldId) -> Result<Option<u64>, Error> {
        bases::text_print(self.conn, key, field)
    }

    fn put_base_text(&mut self, key: &EntityKey, field: FieldId, text: &Text) -> Result<(), Error> {
        bases::put_text(self.conn, key, field, text)
    }

    fn put_child(&mut self, parent: &EntityKey, child: &EntityKey) -> Result<(), Error> {
        bases::put_child(self.conn, parent, child)
    }

    fn children(&mut self, parent: &EntityKey) -> Result<Vec<EntityKey>, Error> {
        bases::children(self.conn, parent)
    }

    fn find(&mut self, kind: TypeId, id: &str) -> Result<Vec<EntityKey>, Error> {
        ops::find(self.conn, kind, id)
    }

    fn put_text_mark(
        &mut self,
        key: &EntityKey,
        field: FieldId,
        mark: Option<&TextMark>,
    ) -> Result<(), Error> {
        bases::put_text_mark(self.conn, key, field, mark)
    }

    fn text_mark(&mut self, key: &EntityKey, field: FieldId) -> Result<Option<TextMark>, Error> {
        bases::text_mark(self.conn, key, field)
    }

    fn put_op(&mut self, op: &OwnOp) -> Result<(), Error> {
        ops::put(self.conn, op)
    }

    fn put_op_state(&mut self, op: &OwnOp) -> Result<(), Error> {
        ops::put_state(self.conn, op)
    }

    fn op(&mut self, dot: Dot) -> Result<Option<OwnOp>, Error> {
        ops::get(self.conn, dot)
    }

    fn remove_op(&mut self, dot: Dot) -> Result<(), Error> {
        ops::remove(self.conn, dot)
    }

    fn ops_on(&mut self, key: &EntityKey) -> Result<Vec<OwnOp>, Error> {
        ops::on_entity(self.conn, key)
    }

    fn outbox(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Error> {
        ops::outbox(self.conn, after, limit)
    }

    fn ops_that_left(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Error> {
        ops::that_left(self.conn, after, limit)
    }

    fn ops(&mut self, after: u64, limit: usize) -> Result<Vec<OwnOp>, Error> {
        ops::all(self.conn, after, limit)
    }

    fn put_void(&mut self, void: &OwnOp) -> Result<(), Error> {
        ops::put_void(self.conn, void)
    }

    fn void(&mut self, dot: Dot) -> Result<Option<OwnOp>, Error> {
        ops::void(self.conn, dot)
    }

    fn voids(&mut self) -> Result<Vec<OwnOp>, Error> {
        ops::voids(self.conn)
    }

    fn remove_void(&mut self, dot: Dot) -> Result<(), Error> {
        ops::remove_void(self.conn, dot)
    }

    fn unconfirmed(&mut self) -> Result<Vec<(DeviceId, SeqSet)>, Error> {
        ops::unconfirmed(self.conn)
    }

    fn add_unconfirmed(&mut self, device: DeviceId, seq: u64) -> Result<(), Error> {
        ops::add_unconfirmed(self.conn, device, seq)
    }

    fn clear_unconfirmed(&mut self, device: DeviceId, seqs: &SeqSet) -> Result<(), Error> {
        ops::clear_unconfirmed(self.conn, device, seqs)
    }

    fn own_birth(&mut self, key: &EntityKey) -> Result<Option<Dot>, Error> {
        ops::own_birth(self.conn, key)
    }

    fn put_own_birth(&mut self, key: &EntityKey, birth: Option<Dot>) -> Result<(), Error> {
        ops::put_own_birth(self.conn, key, birth)
    }

    fn subscriptions(&mut self) -> Result<Vec<(Scope, Subscription)>, Error> {
        scopes::all(self.conn)
    }

    fn subscription(&mut self, scope: &str) -> Result<Option<Subscription>, Error> {
        scopes::get(self.conn, scope)
    }

    fn put_subscription(&mut self, scope: &str, sub: &Subscription) -> Result<(), Error> {
        scopes::put(self.conn, scope, sub)
    }

    fn remove_subscription(&mut self, scope: &str) -> Result<(), Error> {
        scopes::remove(self.conn, scope)
    }

    fn add_refetch(&mut self, scope: &str, key: &EntityKey) -> Result<(), Error> {
        scopes::add_refetch(self.conn, scope, key)
    }

    fn refetches(
        &mut self,
        scope: &str,
        after: Option<&EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        scopes::refetches(self.conn, scope, after, limit)
    }

    fn remove_refetch(&mut self, scope: &str, key: &EntityKey) -> Result<(), Error> {
        scopes::remove_refetch(self.conn, scope, key)
    }

    fn add_removed(&mut self, scope: &str, key: &EntityKey, touch: &Vector) -> Result<(), Error> {
        scopes::add_removed(self.conn, scope, key, touch)
    }

    fn removed(&mut self) -> Result<Vec<(Scope, EntityKey, Vector)>, Error> {
        scopes::removed(self.conn)
    }

    fn forget_removed(&mut self, scope: &str, key: &EntityKey) -> Result<(), Error> {
        scopes::forget_removed(self.conn, scope, key)
    }

    fn cuts(&mut self) -> Result<BTreeMap<Origin, u64>, Error> {
        scopes::cuts(self.conn)
    }

    fn put_cut(&mut self, origin: Origin, last: u64) -> Result<(), Error> {
        scopes::put_cut(self.conn, origin, last)
    }

    fn referrers(&mut self, kind: TypeId, id: &str, gone: bool) -> Result<Vec<EntityKey>, Error> {
        references::referrers(self.conn, kind, id, gone)
    }

    fn put_deletion(&mut self, key: &EntityKey, deletion: Option<&Deletion>) -> Result<(), Error> {
        deletions::put(self.conn, key, deletion)
    }

    fn deletion(&mut self, key: &EntityKey) -> Result<Option<Deletion>, Error> {
        deletions::get(self.conn, key)
    }

    fn trim_deletions(&mut self, count: usize, bytes: usize) -> Result<(), Error> {
        deletions::trim(self.conn, count, bytes)
    }

    fn forget_deletions(&mut self, home: &str) -> Result<(), Error> {
        deletions::forget(self.conn, home)
    }

    fn show(&mut self, key: &EntityKey, view: Option<&View>) -> Result<(), Error> {
        show::show(self.conn, self.tables, key, view)
    }

    fn add_outcome(&mut self, dot: Dot, key: &EntityKey, outcome: &Outcome) -> Result<bool, Error> {
        outcomes::add(self.conn, dot, key, outcome)
    }

    fn remove_outcomes(&mut self, dot: Dot) -> Result<(), Error> {
        outcomes::remove(self.conn, dot)
    }
}
