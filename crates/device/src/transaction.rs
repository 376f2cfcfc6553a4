//! Writes by name: types, fields and values as the app spells them, gathered into one transaction.
//!
//! A [`Transaction`] is memory until [`Transaction::commit`], which does everything in one SQLite
//! transaction: it resolves names and ids, has the state machine check and make the ops, and
//! writes rows, overlay and outbox. All of it is kept, or nothing.

use crate::client::{Client, WriteReceipt};
use crate::error::Error;
use crate::text_form::{Unread, element, read};
use landfall_model::id::TypeId;
use landfall_model::schema::{EntityType, Field, Schema};
use landfall_model::value::Value;
use landfall_sync::device::node::FieldEdit;
use landfall_sync::device::node::{Problem, RefusedEdit};

/// Edits to be committed together. Edits of one entity become one op; a later edit sees the
/// earlier ones. Faults in names and values are told at the commit.
///
/// Values are given as the field stores them (see [`Value`]). Where a field is a decimal, bytes, an
/// object or a list, text is read too: `"12.50"`, base64, or JSON as the column of an object holds
/// it. Text of a JSON field is JSON, or the commit fails with `LF2005`.
#[derive(Debug, Clone)]
#[must_use = "nothing is written before commit"]
pub struct Transaction {
    client: Client,
    edits: Vec<NamedEdit>,
    /// The edit that the last call made or added to.
    last: usize,
    fault: Option<Error>,
}

/// What an edit means to its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Create it or change it.
    Upsert,
    /// Change it; it is there.
    Update,
    Delete,
}

/// An edit whose names are resolved, and whose entity is known by type and id only.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedEdit {
    pub intent: Intent,
    pub kind: TypeId,
    pub id: String,
    /// For an entity of which there may be several with this id.
    pub home: Option<String>,
    pub fields: Vec<(landfall_model::id::FieldId, FieldEdit)>,
}

impl Transaction {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, edits: Vec::new(), last: 0, fault: None }
    }

    /// Create the entity, or change the given fields where the device knows one of this id.
    pub fn upsert<N: AsRef<str>>(
        self,
        kind: &str,
        id: &str,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Self {
        self.put(Intent::Upsert, kind, id, fields)
    }

    /// Change the given fields of an entity that is there.
    pub fn update<N: AsRef<str>>(
        self,
        kind: &str,
        id: &str,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Self {
        self.put(Intent::Update, kind, id, fields)
    }

    /// Delete an entity that is there.
    pub fn delete(mut self, kind: &str, id: &str) -> Self {
        match self.kind(kind) {
            Ok(kind) => {
                self.entry(Intent::Delete, kind.id, id);
                self
            }
            Err(problem) => self.failed(None, problem),
        }
    }

    /// Add to a counter; a negative number takes away. Counted exactly once, wherever it merges.
    pub fn increment(self, kind: &str, id: &str, field: &str, by: i64) -> Self {
        self.one(kind, id, field, |_, _| Ok(FieldEdit::Increment(by)))
    }

    /// Put an element into a set.
    pub fn add_to_set(self, kind: &str, id: &str, field: &str, value: Value) -> Self {
        self.one(kind, id, field, |s, f| Ok(FieldEdit::Add(read(s, element(&f.kind), value)?)))
    }

    /// Take an element out of a set. One that is added elsewhere at the same time stays.
    pub fn remove_from_set(self, kind: &str, id: &str, field: &str, value: Value) -> Self {
        self.one(kind, id, field, |s, f| Ok(FieldEdit::Remove(read(s, element(&f.kind), value)?)))
    }

    /// Replace `delete` code points of a text, from code point `at` on, by `insert`.
    pub fn splice(
        self,
        kind: &str,
        id: &str,
        field: &str,
        at: usize,
        delete: usize,
        insert: &str,
    ) -> Self {
        let insert = insert.to_owned();
        self.one(kind, id, field, |_, _| Ok(FieldEdit::Splice { at, delete, insert }))
    }

    /// The edit before this, and those of its entity that follow, mean the one in this home scope.
    /// Only needed for an update or a deletion where the device knows several of one type and id:
    /// an upsert says it by the fields of the scope.
    pub fn in_home(mut self, home: &str) -> Self {
        if let Some(edit) = self.edits.get_mut(self.last) {
            edit.home = Some(home.to_owned());
        }
        self
    }

    /// Write. When this returns, the transaction survives the process, and is on its way to the
    /// regions; see [`Client::write`] for what it survives besides.
    ///
    /// Fails without a trace if an edit cannot be made: codes `LF20xx` say why.
    pub fn commit(self) -> Result<WriteReceipt, Error> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.client.inner.write_named(self.edits),
        }
    }

    /// Like [`Transaction::commit`], at most once for this name: if a transaction of the name was
    /// written already, nothing is, and the receipt is that one's. For callers that can lose the
    /// answer, such as another tab of a browser; the last names are kept in the file, a few dozen.
    pub fn commit_once(self, name: &str) -> Result<WriteReceipt, Error> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.client.inner.write_once(name, self.edits),
        }
    }

    fn put<N: AsRef<str>>(
        mut self,
        intent: Intent,
        kind: &str,
        id: &str,
        fields: impl IntoIterator<Item = (N, Value)>,
    ) -> Self {
        let kind = match self.kind(kind) {
            Ok(kind) => kind,
            Err(problem) => return self.failed(None, problem),
        };
        let mut edits = Vec::new();
        for (name, value) in fields {
            let name = name.as_ref();
            let Some(field) = kind.field_named(name) else {
                return self.failed(Some(name), Problem::UnknownField);
            };
            match read(self.client.schema(), &field.kind, value) {
                Ok(value) => edits.push((field.id, FieldEdit::Put(value))),
                Err(unread) => return self.unread(name, unread),
            }
        }
        self.entry(intent, kind.id, id).fields.extend(edits);
        self
    }

    fn one(
        mut self,
        kind: &str,
        id: &str,
        name: &str,
        edit: impl FnOnce(&Schema, &Field) -> Result<FieldEdit, Unread>,
    ) -> Self {
        let kind = match self.kind(kind) {
            Ok(kind) => kind,
            Err(problem) => return self.failed(None, problem),
        };
        let Some(field) = kind.field_named(name) else {
            return self.failed(Some(name), Problem::UnknownField);
        };
        match edit(self.client.schema(), field) {
            Ok(edit) => {
                self.entry(Intent::Update, kind.id, id).fields.push((field.id, edit));
                self
            }
            Err(unread) => self.unread(name, unread),
        }
    }

    fn unread(self, field: &str, unread: Unread) -> Self {
        let below = unread.path.map(|path| format!(".{path}")).unwrap_or_default();
        self.failed(Some(&format!("{field}{below}")), unread.problem)
    }

    fn kind(&self, name: &str) -> Result<std::sync::Arc<EntityType>, Problem> {
        self.client.schema().entity_named(name).cloned().ok_or(Problem::UnknownType)
    }

    /// The edit of this entity that is still open for more, or a new one. A deletion ends it: what
    /// follows is another life.
    fn entry(&mut self, intent: Intent, kind: TypeId, id: &str) -> &mut NamedEdit {
        let same = |e: &NamedEdit| e.kind == kind && e.id == id;
        let open = self
            .edits
            .iter()
            .rposition(same)
            .filter(|at| intent != Intent::Delete && self.edits[*at].intent != Intent::Delete);
        let at = open.unwrap_or_else(|| {
            let home = None;
            let fields = Vec::new();
            self.edits.push(NamedEdit { intent, kind, id: id.to_owned(), home, fields });
            self.edits.len() - 1
        });
        self.last = at;
        let edit = &mut self.edits[at];
        if intent == Intent::Upsert {
            edit.intent = Intent::Upsert;
        }
        edit
    }

    /// The first fault is the one that is told.
    fn failed(mut self, field: Option<&str>, problem: Problem) -> Self {
        let field = field.map(str::to_owned);
        let refused = RefusedEdit { edit: self.edits.len(), field, problem };
        self.fault.get_or_insert_with(|| refused.into());
        self
    }
}
