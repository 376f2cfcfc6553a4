//! Who is called what: every declaration with its kind and its number.
//!
//! A number is derived from the first name that a type or field ever had, so that a rename (with
//! `@was`) keeps it. Numbers are in every op ever written; a schema in which two things have one
//! number is refused.

use super::Field;
use super::ast::{Document, EnumDecl, FieldDecl, Name, TypeDecl};
use super::diagnostic::{Sink, Span, code};
use super::directives::{self, Place, Uses};
use crate::hash::name_id;
use crate::id::{FieldId, TypeId};
use std::collections::BTreeMap;

/// Most types and enums of a schema. A thousand tables is far beyond an app; the limit keeps
/// every pass cheap.
pub const TYPES_MAX: usize = 1000;

/// Most fields of a type. SQLite stops at 2000 columns and PostgreSQL at 1600; the side columns
/// need room too.
pub const FIELDS_MAX: usize = 500;

/// Longest name, in bytes: PostgreSQL silently cuts longer ones, and two could become one.
pub const NAME_BYTES_MAX: usize = 60;

/// Names of types that are built in.
pub(super) const BUILT_IN: &[&str] = &[
    "ID",
    "String",
    "Int",
    "Int64",
    "Float",
    "Boolean",
    "Decimal",
    "Instant",
    "Date",
    "LocalTime",
    "ZonedDateTime",
    "Bytes",
    "JSON",
    "Blob",
    "Image",
    "Text",
    "Counter",
    "BoundedCounter",
];

/// Columns that every table of SQLite or PostgreSQL already has; quoting does not help.
const SYSTEM_COLUMNS: &[&str] =
    &["rowid", "oid", "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entity,
    Local,
    Value,
    /// It says nothing, or two things; reported, and not checked further.
    Unknown,
}

#[derive(Debug)]
pub(super) struct TypeInfo<'a> {
    pub decl: &'a TypeDecl,
    pub uses: Uses<'a>,
    pub kind: Kind,
    pub id: TypeId,
    pub members: Vec<Member<'a>>,
    by_name: BTreeMap<&'a str, usize>,
}

/// A field with its number; `field` once it is resolved.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub decl: &'a FieldDecl,
    pub uses: Uses<'a>,
    pub id: FieldId,
    pub field: Option<Field>,
}

#[derive(Debug)]
pub(super) struct EnumInfo<'a> {
    pub decl: &'a EnumDecl,
    pub closed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Named {
    Type(usize),
    Enum(usize),
    /// Declared by something that could not be read.
    Unreadable,
}

#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub types: Vec<TypeInfo<'a>>,
    pub enums: Vec<EnumInfo<'a>>,
    by_name: BTreeMap<&'a str, Named>,
}

impl<'a> TypeInfo<'a> {
    pub fn name(&self) -> &'a str {
        &self.decl.name.text
    }

    pub fn member(&self, name: &str) -> Option<&Member<'a>> {
        self.by_name.get(name).map(|i| &self.members[*i])
    }

    pub fn member_names(&self) -> impl Iterator<Item = &'a str> {
        self.members.iter().map(|m| m.decl.name.text.as_str())
    }
}

impl<'a> Names<'a> {
    pub fn get(&self, name: &str) -> Option<Named> {
        self.by_name.get(name).copied()
    }

    pub fn all(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().copied()
    }
}

/// Reads all declarations, or reports that there are too many of them.
pub(super) fn collect<'a>(document: &'a Document, sink: &mut Sink) -> Option<Names<'a>> {
    check_limits(document, sink)?;
    let mut names = Names::default();
    let mut first_spans: BTreeMap<String, &Span> = BTreeMap::new();
    for decl in &document.types {
        names.types.push(type_info(decl, sink));
        let this = Named::Type(names.types.len() - 1);
        declare(&mut names.by_name, &mut first_spans, &decl.name, this, sink);
    }
    for decl in &document.enums {
        names.enums.push(enum_info(decl, sink));
        let this = Named::Enum(names.enums.len() - 1);
        declare(&mut names.by_name, &mut first_spans, &decl.name, this, sink);
    }
    for name in &document.unreadable {
        names.by_name.entry(name).or_insert(Named::Unreadable);
    }
    number_types(&mut names, sink);
    Some(names)
}

fn check_limits(document: &Document, sink: &mut Sink) -> Option<()> {
    let mut ok = Some(());
    if document.types.len() + document.enums.len() > TYPES_MAX {
        let span = document.types.iter().map(|t| &t.name.span).max_by_key(|s| s.start);
        sink.report(
            code::LIMIT,
            span.unwrap_or(&(0..0)),
            format!("the file has more than {TYPES_MAX} types and enums"),
            "Put small objects that are always read together into `@value` types or JSON fields.",
        );
        ok = None;
    }
    for t in document.types.iter().filter(|t| t.fields.len() > FIELDS_MAX) {
        sink.report(
            code::LIMIT,
            &t.name.span,
            format!("`{}` has more than {FIELDS_MAX} fields", t.name.text),
            "Split it into an entity and children (`parent:`), or group fields into `@value` types.",
        );
        ok = None;
    }
    ok
}

/// Adds a name to the one namespace of types and enums. SQLite's table names are
/// case-insensitive, so names that differ only by case are one name.
fn declare<'a>(
    by_name: &mut BTreeMap<&'a str, Named>,
    first_spans: &mut BTreeMap<String, &'a Span>,
    name: &'a Name,
    this: Named,
    sink: &mut Sink,
) {
    if let Some(first) = first_spans.get(&name.text.to_ascii_lowercase()) {
        let (message, help) = match by_name.contains_key(name.text.as_str()) {
            true => (
                format!("`{}` is declared twice", name.text),
                "Give one of them another name, or write them as one.",
            ),
            false => (
                format!("`{}` differs only by case from another name", name.text),
                "SQL tables do not tell upper from lower case: give it a name of its own.",
            ),
        };
        sink.report(code::DUPLICATE_TYPE, &name.span, message, help)
            .note(first, "first declared here");
        // The other spelling is declared too, so its uses are no further errors.
        by_name.entry(&name.text).or_insert(this);
        return;
    }
    first_spans.insert(name.text.to_ascii_lowercase(), &name.span);
    by_name.insert(&name.text, this);
}

fn type_info<'a>(decl: &'a TypeDecl, sink: &mut Sink) -> TypeInfo<'a> {
    check_name(&decl.name, "type", sink);
    let uses = directives::check(&decl.directives, Place::Type, sink);
    let kind = kind_of(decl, &uses, sink);
    if decl.fields.is_empty() && kind == Kind::Value {
        sink.report(
            code::EMPTY,
            &decl.name.span,
            format!("`{}` has no fields", decl.name.text),
            format!("Write `type {} @value {{ name: String! }}`.", decl.name.text),
        );
    }
    let first_name = first_name(&decl.name, &uses, sink);
    let (members, by_name) = members(decl, first_name, sink);
    TypeInfo { decl, id: TypeId(name_id(first_name)), uses, kind, members, by_name }
}

fn kind_of(decl: &TypeDecl, uses: &Uses, sink: &mut Sink) -> Kind {
    let kinds: Vec<(&str, Kind)> =
        [("entity", Kind::Entity), ("value", Kind::Value), ("local", Kind::Local)]
            .into_iter()
            .filter(|(directive, _)| uses.has(directive))
            .collect();
    let name = &decl.name.text;
    match kinds.as_slice() {
        [(_, kind)] => *kind,
        [] if uses.unclear => Kind::Unknown,
        [] => {
            sink.report(
                code::NO_STRATEGY,
                &decl.name.span,
                format!("`{name}` does not say how its conflicts are settled"),
                format!(
                    "Write `type {name} @entity(strategy: LAST_WRITE_WINS, scope: \"…\")`: the newest \
                     value of each field wins; or `strategy: CRDT` for text, sets and counters that \
                     merge; or `@value` for an object inside other types; or `@local` for a type that \
                     never leaves the device."
                ),
            );
            Kind::Unknown
        }
        [(first, _), (second, _), ..] => {
            let span = &uses.get(second).expect("filtered by has").span;
            let first_span = &uses.get(first).expect("filtered by has").span;
            sink.report(
                code::TWO_KINDS,
                span,
                format!("`{name}` cannot be both @{first} and @{second}"),
                format!("Remove @{second}, or remove @{first}."),
            )
            .note(first_span, format!("@{first} is here"));
            Kind::Unknown
        }
    }
}

fn members<'a>(
    decl: &'a TypeDecl,
    type_first_name: &str,
    sink: &mut Sink,
) -> (Vec<Member<'a>>, BTreeMap<&'a str, usize>) {
    let mut members: Vec<Member<'a>> = Vec::new();
    let mut by_name = BTreeMap::new();
    let mut spans: BTreeMap<String, &Name> = BTreeMap::new();
    let mut numbers: BTreeMap<FieldId, (&str, &Span)> = BTreeMap::new();
    for field in &decl.fields {
        check_name(&field.name, "field", sink);
        let uses = directives::check(&field.directives, Place::Field, sink);
        if let Some(first) = spans.get(&field.name.text.to_ascii_lowercase()) {
            let (message, help) = match first.text == field.name.text {
                true => (
                    format!("`{}` has two fields `{}`", decl.name.text, first.text),
                    "Remove one of them, or give it another name.",
                ),
                false => (
                    format!("`{}` and `{}` differ only by case", first.text, field.name.text),
                    "SQL columns do not tell upper from lower case: give it a name of its own.",
                ),
            };
            sink.report(code::DUPLICATE_FIELD, &field.name.span, message, help)
                .note(&first.span, "first declared here");
            by_name.entry(field.name.text.as_str()).or_insert(members.len());
        } else {
            spans.insert(field.name.text.to_ascii_lowercase(), &field.name);
            by_name.insert(field.name.text.as_str(), members.len());
        }
        let first_name = first_name(&field.name, &uses, sink);
        let id = FieldId(name_id(&format!("{type_first_name}.{first_name}")));
        let duplicate = by_name[field.name.text.as_str()] != members.len();
        if !duplicate
            && let Some((other, span)) = numbers.insert(id, (first_name, &field.name.span))
        {
            number_taken(&field.name, first_name, other, span, "field", sink);
        }
        members.push(Member { decl: field, uses, id, field: None });
    }
    (members, by_name)
}

/// The name that decides the number: `@was`, or the present one.
fn first_name<'a>(name: &'a Name, uses: &Uses<'a>, sink: &mut Sink) -> &'a str {
    let Some((was, literal)) = uses.get("was").and_then(|u| u.text("name")) else {
        return &name.text;
    };
    let is_name = was.starts_with(|c: char| c.is_ascii_alphabetic())
        && was.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        sink.report(
            code::BAD_WAS,
            &literal.span,
            format!("`{was}` never was a name"),
            "Write the first name that this had: `@was(name: \"oldName\")`.",
        );
        return &name.text;
    }
    if was == name.text {
        sink.report(
            code::BAD_WAS,
            &literal.span,
            format!("`{was}` is the present name"),
            "Remove @was, or write the first name that this had.",
        );
    }
    was
}

fn number_types(names: &mut Names, sink: &mut Sink) {
    let mut numbers: BTreeMap<TypeId, usize> = BTreeMap::new();
    for (i, t) in names.types.iter().enumerate() {
        // The second of two types of one name is reported as that.
        if !matches!(names.by_name.get(t.name()), Some(Named::Type(first)) if *first == i) {
            continue;
        }
        if let Some(other) = numbers.insert(t.id, i) {
            let other = &names.types[other];
            let first = |t: &TypeInfo| match t.uses.get("was").and_then(|u| u.text("name")) {
                Some((was, _)) => was.to_owned(),
                None => t.name().to_owned(),
            };
            let (a, b) = (first(t), first(other));
            number_taken(&t.decl.name, &a, &b, &other.decl.name.span, "type", sink);
        }
    }
}

/// Two things have one number: because they have one first name, or by an accident of hashing.
fn number_taken(
    name: &Name,
    first_name: &str,
    other_first_name: &str,
    other_span: &Span,
    what: &str,
    sink: &mut Sink,
) {
    if first_name == other_first_name {
        sink.report(
            code::NAME_TAKEN,
            &name.span,
            format!("two {what}s of this file were first named `{first_name}`"),
            format!(
                "Stored data knows the {what} by its first name. Give the newer one a name that \
                 was never used, or remove its @was."
            ),
        )
        .note(other_span, format!("the other {what} is here"));
        return;
    }
    sink.report(
        code::NUMBER_TAKEN,
        &name.span,
        format!("`{first_name}` and `{other_first_name}` happen to have the same number"),
        format!("Give the newer {what} another name, for example `{}2`.", name.text),
    )
    .note(other_span, format!("the other {what} is here"));
}

fn enum_info<'a>(decl: &'a EnumDecl, sink: &mut Sink) -> EnumInfo<'a> {
    check_name(&decl.name, "enum", sink);
    let uses = directives::check(&decl.directives, Place::Enum, sink);
    if decl.values.is_empty() {
        sink.report(
            code::EMPTY,
            &decl.name.span,
            format!("`{}` has no values", decl.name.text),
            format!("Write `enum {} {{ OPEN CLOSED }}`.", decl.name.text),
        );
    }
    let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
    for value in &decl.values {
        directives::check(&value.directives, Place::EnumValue, sink);
        check_length(&value.name, "enum value", sink);
        if let Some(first) = seen.insert(&value.name.text, &value.name.span) {
            let message = format!("`{}` has `{}` twice", decl.name.text, value.name.text);
            sink.report(code::DUPLICATE_ENUM_VALUE, &value.name.span, message, "Remove it.")
                .note(first, "first declared here");
        }
    }
    EnumInfo { decl, closed: uses.has("closed") }
}

/// Refuses names that Landfall or a database keeps for itself.
fn check_name(name: &Name, what: &str, sink: &mut Sink) {
    let lower = name.text.to_ascii_lowercase();
    let why = if name.text.starts_with('_') || lower.starts_with("lf_") {
        "names that begin with `_` or `lf_` are kept for Landfall's own columns"
    } else if what == "field" && SYSTEM_COLUMNS.contains(&lower.as_str()) {
        "databases have a hidden column of this name"
    } else if what != "field" && lower.starts_with("sqlite_") {
        "SQLite keeps names that begin with `sqlite_` for itself"
    } else if what != "field" && BUILT_IN.contains(&name.text.as_str()) {
        "this type is built in"
    } else {
        return check_length(name, what, sink);
    };
    let example = free_name(&name.text, what);
    let message = format!("`{}` cannot name {} {what}: {why}", name.text, article(what));
    sink.report(
        code::RESERVED_NAME,
        &name.span,
        message,
        format!("Choose another name, for example `{example}`."),
    );
}

/// The name without what makes it reserved.
fn free_name(name: &str, what: &str) -> String {
    let mut bare = name;
    for prefix in ["_", "lf_", "LF_", "sqlite_"] {
        bare = bare.trim_start_matches(prefix);
    }
    match (what, bare.chars().next()) {
        (_, Some(first)) if bare != name && what != "field" => {
            format!("{}{}", first.to_ascii_uppercase(), &bare[1..])
        }
        ("field", Some(_)) if bare != name => bare.to_owned(),
        ("field", _) => format!("my_{bare}"),
        _ => format!("My{bare}"),
    }
}

fn article(what: &str) -> &'static str {
    if what.starts_with('e') { "an" } else { "a" }
}

fn check_length(name: &Name, what: &str, sink: &mut Sink) {
    if name.text.len() > NAME_BYTES_MAX {
        sink.report(
            code::NAME_TOO_LONG,
            &name.span,
            format!("the name of this {what} has {} characters", name.text.len()),
            format!("A name has at most {NAME_BYTES_MAX}: longer ones are cut by databases."),
        );
    }
}
