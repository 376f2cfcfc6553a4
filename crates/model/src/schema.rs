//! The compiled schema: what the app declared, checked, with every name resolved to its number.
//!
//! [`compile`] turns SDL into this; the device, the region and the CLI read it. The struct is
//! plain data and immutable.
//!
//! Compilation is pure and goes in passes, each in its own module: `parse` (text to declarations),
//! `directives` and `names` (what each declaration says and is called), `fields`, `homes`,
//! `search`, `audiences`, `shared`, and `check`, which runs them. Every fault is a [`Diagnostic`].

mod ast;
mod audiences;
mod check;
mod defaults;
mod diagnostic;
mod directives;
mod fields;
mod fingerprint;
mod homes;
mod names;
mod parse;
mod recover;
mod scopes;
mod search;
mod shared;
#[cfg(test)]
mod tests;

pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Note, Position, code};
pub use fields::DECIMAL_PRECISION_MAX;
pub use names::{FIELDS_MAX, NAME_BYTES_MAX, TYPES_MAX};
pub use parse::{NESTING_MAX, SOURCE_BYTES_MAX, TOKENS_MAX};
pub use scopes::{LOCAL_HOME, TEMPLATE_BYTES_MAX};
pub use search::{PREFIX_CHARS_MAX, PREFIXES_MAX, Search, Tokenizer};
pub use shared::SHARED_SCOPES_MAX;

use crate::id::{EntityKey, FieldId, Scope, TypeId};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compiles a schema's source. On failure: all its faults by position, at most
/// [`DIAGNOSTICS_MAX`].
///
/// Reads nothing but `source`, and is safe for hostile input: see the limits in this module.
pub fn compile(source: &str) -> Result<Schema, Vec<Diagnostic>> {
    let mut sink = diagnostic::Sink::default();
    let schema = parse::parse(source, &mut sink).and_then(|d| check::check(&d, &mut sink));
    match (schema, sink.finish()) {
        (Some(schema), faults) if faults.is_empty() => Ok(schema),
        (_, faults) => Err(faults),
    }
}

/// A whole app, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Entity types (and `@local` types), by number.
    pub types: BTreeMap<TypeId, Arc<EntityType>>,
    /// `@value` types by name.
    pub values: BTreeMap<String, Arc<ValueType>>,
    /// Enums by name.
    pub enums: BTreeMap<String, Arc<EnumType>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EntityType {
    pub id: TypeId,
    pub name: String,
    pub doc: Option<String>,
    pub strategy: Strategy,
    /// `@local`: kept on the device, never synced.
    pub local: bool,
    /// `@shared`, or below a parent that is: the same for every account, and written by its publishers
    /// only.
    pub shared: bool,
    pub home: Home,
    pub audiences: Vec<Audience>,
    /// In order of declaration. The `id` field is among them.
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    LastWriteWins,
    Crdt,
}

/// Where an entity's home scope comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Home {
    Scope(ScopeTemplate),
    /// The child shares its parent's home scope and audiences; `field` refers to the parent.
    Parent {
        field: FieldId,
        kind: TypeId,
    },
}

/// `warehouse/{warehouse}`: literal text and field references, in turn.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeTemplate {
    pub source: String,
    pub parts: Vec<ScopePart>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ScopePart {
    Text(String),
    Field(FieldId),
}

impl ScopeTemplate {
    /// The scope that these field values name; `None` while a field is null or empty.
    pub fn render<'a>(&self, value: impl Fn(FieldId) -> Option<&'a Value>) -> Option<Scope> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                ScopePart::Text(t) => out.push_str(t),
                ScopePart::Field(f) => match value(*f)? {
                    Value::Text(s) if !s.is_empty() => push_escaped(&mut out, s),
                    Value::Int(i) => out.push_str(&i.to_string()),
                    _ => return None,
                },
            }
        }
        Some(out.into())
    }

    /// The field values that make the template name this scope, as text: the way back of
    /// [`render`](Self::render). A value has no `/` and one stands between two fields, so there
    /// is one answer at most.
    pub fn read(&self, scope: &str) -> Option<Vec<(FieldId, String)>> {
        let mut rest = scope;
        let mut values = Vec::new();
        for (i, part) in self.parts.iter().enumerate() {
            match part {
                ScopePart::Text(t) => rest = rest.strip_prefix(t.as_str())?,
                ScopePart::Field(f) => {
                    let after = match self.parts.get(i + 1) {
                        Some(ScopePart::Text(t)) => t.split('/').next().unwrap_or_default(),
                        _ => "",
                    };
                    let word = rest.split('/').next().unwrap_or_default();
                    let value =
                        word.strip_suffix(after).filter(|v| !v.is_empty() && !v.contains('*'))?;
                    values.push((*f, unescaped(value)));
                    rest = &rest[value.len()..];
                }
            }
        }
        rest.is_empty().then_some(values)
    }

    /// True if some field values would make the template name this scope.
    pub fn could_render(&self, scope: &str) -> bool {
        self.read(scope).is_some()
    }

    /// The fields that the template reads.
    pub fn fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.parts.iter().filter_map(|p| match p {
            ScopePart::Field(f) => Some(*f),
            ScopePart::Text(_) => None,
        })
    }
}

/// A value must not reach into another scope: `/` separates a scope's words and nothing else.
fn push_escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '%' => out.push_str("%25"),
            '/' => out.push_str("%2F"),
            '*' => out.push_str("%2A"),
            c => out.push(c),
        }
    }
}

fn unescaped(value: &str) -> String {
    value.replace("%2A", "*").replace("%2F", "/").replace("%25", "%")
}

/// A further scope that sees the entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Audience {
    pub scope: ScopeTemplate,
    /// Columns that never reach this audience, as (type, field): the entity's own, or a child's.
    pub hide: Vec<(TypeId, FieldId)>,
    /// Columns that this audience may write; none unless listed.
    pub write: Vec<(TypeId, FieldId)>,
    pub create: bool,
    pub delete: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub id: FieldId,
    /// The name in SQL and in generated code.
    pub name: String,
    pub doc: Option<String>,
    pub kind: FieldKind,
    pub merge: Merge,
    pub required: bool,
    /// `@index`: the device's and the region's tables get an index on it.
    pub index: bool,
    /// `@window`: tells how old the entity is, for subscriptions that keep what is young.
    pub window: bool,
    /// `@search`: its words are found on the device.
    pub search: Option<Search>,
    pub reference: Option<Reference>,
    /// `@default(value: …)`: applied at reading, never stored.
    pub default: Option<Value>,
}

/// How concurrent changes of one field meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Merge {
    Register,
    Set,
    Counter,
    Text,
}

/// What a field (or a set's element) holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    Id,
    String,
    Int,
    Int64,
    Float,
    Boolean,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Instant,
    Date,
    LocalTime,
    ZonedDateTime,
    Bytes,
    Json,
    Blob,
    /// A name in [`Schema::enums`].
    Enum(String),
    /// A name in [`Schema::values`].
    Object(String),
    /// A reference to an entity of this type; stores its id (and home scope where it differs).
    Ref(TypeId),
    /// A list as one register.
    List(Box<FieldKind>),
    /// Collaborative text ([`Merge::Text`]).
    Text,
    /// Increments ([`Merge::Counter`]).
    Counter,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    pub target: TypeId,
    pub on_delete: OnDelete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    Cascade,
    SetNull,
    Keep,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ValueType {
    pub name: String,
    pub doc: Option<String>,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EnumType {
    pub name: String,
    pub doc: Option<String>,
    /// Values in order of declaration. Open by default: an unknown value is kept as it is.
    pub values: Vec<String>,
    pub closed: bool,
}

impl Schema {
    pub fn entity(&self, id: TypeId) -> Option<&Arc<EntityType>> {
        self.types.get(&id)
    }

    pub fn entity_named(&self, name: &str) -> Option<&Arc<EntityType>> {
        self.types.values().find(|t| t.name == name)
    }

    /// The text fields of a type, ascending; none for an unknown type.
    pub fn text_fields(&self, id: TypeId) -> Vec<FieldId> {
        let fields = self.types.get(&id).map(|t| t.fields.as_slice()).unwrap_or_default();
        let mut texts: Vec<FieldId> =
            fields.iter().filter(|f| f.merge == Merge::Text).map(|f| f.id).collect();
        texts.sort();
        texts
    }

    /// Types that some field refers to with `SET_NULL`: who shows such a field has to know whether
    /// what it names was deleted.
    pub fn set_null_targets(&self) -> BTreeSet<TypeId> {
        let fields = self.types.values().flat_map(|t| &t.fields);
        fields.filter_map(|f| f.nulled_with()).collect()
    }

    /// Types whose parent is `id`.
    pub fn children(&self, id: TypeId) -> impl Iterator<Item = &Arc<EntityType>> {
        self.types
            .values()
            .filter(move |t| matches!(t.home, Home::Parent { kind, .. } if kind == id))
    }

    /// The type that holds the scope and the audiences of `id`: itself, or its topmost parent.
    pub fn root(&self, id: TypeId) -> Option<&Arc<EntityType>> {
        let mut t = self.types.get(&id)?;
        while let Home::Parent { kind, .. } = t.home {
            t = self.types.get(&kind)?;
        }
        Some(t)
    }

    /// The shared scopes, each with the types whose rows are in it.
    pub fn shared_scopes(&self) -> BTreeMap<Scope, BTreeSet<TypeId>> {
        let mut scopes: BTreeMap<Scope, BTreeSet<TypeId>> = BTreeMap::new();
        for kind in self.types.values().filter(|t| t.shared) {
            if let Some(scope) = self.root(kind.id).and_then(|root| root.shared_scope()) {
                scopes.entry(scope).or_default().insert(kind.id);
            }
        }
        scopes
    }

    /// The schema with only some of its entity types: those whose tables one file has.
    pub fn part(&self, has: impl Fn(&EntityType) -> bool) -> Self {
        let types = self.types.iter().filter(|(_, t)| has(t));
        Self { types: types.map(|(id, t)| (*id, t.clone())).collect(), ..self.clone() }
    }

    /// The key of an entity of a root type from its fields; `None` if a scope field is missing.
    pub fn root_key<'a>(
        &self,
        kind: TypeId,
        id: &str,
        value: impl Fn(FieldId) -> Option<&'a Value>,
    ) -> Option<EntityKey> {
        match &self.types.get(&kind)?.home {
            Home::Scope(t) => Some(EntityKey::new(t.render(value)?, kind, id)),
            Home::Parent { .. } => None,
        }
    }
}

impl Field {
    /// The type that the field refers to, if it shows NULL once that entity is deleted.
    pub fn nulled_with(&self) -> Option<TypeId> {
        let reference = self.reference.as_ref()?;
        (reference.on_delete == OnDelete::SetNull).then_some(reference.target)
    }
}

impl EntityType {
    pub fn field(&self, id: FieldId) -> Option<&Field> {
        self.fields.iter().find(|f| f.id == id)
    }

    /// The `id` field, which is part of the entity's key and never a register.
    pub fn id_field(&self) -> Option<FieldId> {
        self.field_named("id").map(|f| f.id)
    }

    pub fn field_named(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// The one scope of all rows of a shared type; `None` for others, and for children.
    pub fn shared_scope(&self) -> Option<Scope> {
        match &self.home {
            Home::Scope(template) if self.shared => template.render(|_| None),
            _ => None,
        }
    }

    /// The field that tells how old an entity of this type is.
    pub fn window_field(&self) -> Option<&Field> {
        self.fields.iter().find(|f| f.window)
    }

    /// How the type is searched, and in which fields; `None` if in none. All of them are searched in
    /// one way.
    pub fn search(&self) -> Option<(&Search, Vec<&Field>)> {
        let fields: Vec<&Field> = self.fields.iter().filter(|f| f.search.is_some()).collect();
        Some((fields.first()?.search.as_ref()?, fields))
    }

    /// The lowest value of the window field that is not older than `floor_ms`, in milliseconds
    /// since 1970; a date counts to its end, in UTC. `None` where nothing tells the age.
    pub fn window_floor(&self, floor_ms: i64) -> Option<(FieldId, Value)> {
        let field = self.window_field()?;
        let floor = match field.kind {
            FieldKind::Date => Value::text(defaults::date_of(floor_ms.div_euclid(86_400_000))),
            _ => Value::Int(floor_ms.saturating_mul(1_000)),
        };
        Some((field.id, floor))
    }

    /// True if a value of a window field is below a floor. What has no age is never too old.
    pub fn is_older(value: Option<&Value>, floor: &Value) -> bool {
        match (value, floor) {
            (Some(Value::Int(at)), Value::Int(floor)) => at < floor,
            (Some(Value::Text(on)), Value::Text(floor)) => on < floor,
            _ => false,
        }
    }

    /// The audiences that see an entity of this type whose registers hold these values, each with
    /// the scope that it names. What never changes (the id, the fields of the home scope) is taken
    /// from the key, which is whole before any create has come.
    pub fn audience_scopes<'a>(
        &self,
        key: &EntityKey,
        register: impl Fn(FieldId) -> Option<&'a Value>,
    ) -> Vec<(Scope, &Audience)> {
        if self.audiences.is_empty() {
            return Vec::new();
        }
        let fixed = self.fixed(key);
        let scope = |a: &Audience| {
            a.scope.render(|f| match fixed.iter().find(|(fixed, _)| *fixed == f) {
                Some((_, value)) => Some(value),
                None => register(f),
            })
        };
        self.audiences.iter().filter_map(|a| Some((scope(a)?, a))).collect()
    }

    /// The fields whose values the key tells.
    fn fixed(&self, key: &EntityKey) -> Vec<(FieldId, Value)> {
        let home = match &self.home {
            Home::Scope(template) => template.read(&key.home).unwrap_or_default(),
            Home::Parent { .. } => Vec::new(),
        };
        let typed = |(f, text): (FieldId, String)| match self.field(f)?.kind {
            FieldKind::Int | FieldKind::Int64 => Some((f, Value::Int(text.parse().ok()?))),
            _ => Some((f, Value::text(text))),
        };
        let id = self.id_field().map(|f| (f, Value::text(&*key.id)));
        id.into_iter().chain(home.into_iter().filter_map(typed)).collect()
    }
}
