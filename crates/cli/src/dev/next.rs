//! What to type next: commands of `landfall device` with the types and scopes of the schema at hand.
//!
//! Every line is one that works as it stands, so that somebody who has never seen the schema has a
//! row on two phones after three of them.

use landfall_model::schema::{EntityType, Field, FieldKind, Home, Merge, Schema};
use landfall_model::value::Value;
use std::cmp::Reverse;
use std::path::Path;

/// Where `landfall dev` keeps its files if it is not told otherwise.
const DEFAULT_DIR: &str = ".landfall";

/// The id of the row that the commands write.
const ID: &str = "first-one";

/// A row that words on a command line make.
struct Example<'s> {
    kind: &'s EntityType,
    scope: String,
    /// `field=value`.
    words: Vec<String>,
}

/// Commands that write a row on one phone and read it on another; none where the schema has no type
/// that a command can write.
pub(super) fn commands(schema: &Schema, dir: &Path) -> Vec<String> {
    let Some(example) = example(schema) else { return Vec::new() };
    let dir = match dir.to_string_lossy() {
        dir if dir == DEFAULT_DIR => String::new(),
        dir => format!(" --dir {}", quoted(&dir)),
    };
    let words: Vec<String> = example.words.iter().map(|word| quoted(word)).collect();
    let (words, name, scope) = (words.join(" "), &example.kind.name, quoted(&example.scope));
    vec![
        format!("landfall device{dir} anna put {name} {ID} {words}").trim_end().to_owned(),
        format!("landfall device{dir} bob subscribe {scope}"),
        format!("landfall device{dir} bob get {name} {ID}"),
    ]
}

/// Words that make a row of a type, for somebody who wants to write one.
pub(super) fn words(schema: &Schema, kind: &EntityType) -> String {
    let words = row(schema, kind).map(|example| example.words).unwrap_or_default();
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it; most need no quotes.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+@,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    shlex::try_quote(word).unwrap_or_default().into_owned()
}

/// Of all types that have one: the type that shows most, and of these the one with the shortest
/// command.
fn example(schema: &Schema) -> Option<Example<'_>> {
    let examples = schema.types.values().filter(|t| !t.local).filter_map(|t| row(schema, t));
    let shows =
        |e: &Example<'_>| (!e.kind.audiences.is_empty(), schema.children(e.kind.id).count());
    examples.max_by_key(|e| (shows(e), Reverse(e.words.join(" ").len())))
}

fn row<'s>(schema: &'s Schema, kind: &'s EntityType) -> Option<Example<'s>> {
    let Home::Scope(template) = &kind.home else { return None };
    let scope_fields: Vec<_> = template.fields().collect();
    let (mut words, mut values) = (Vec::new(), Vec::new());
    for field in &kind.fields {
        if field.name == "id" {
            values.push((field.id, Value::text(ID)));
        } else if field.required {
            let word = word(schema, field)?;
            let value = match field.kind {
                FieldKind::Int | FieldKind::Int64 => Value::Int(word.parse().ok()?),
                _ => Value::text(&*word),
            };
            words.push(format!("{}={word}", field.name));
            values.push((field.id, value));
        }
    }
    // A row with nothing in it but its scope shows nothing.
    if words.len() <= scope_fields.len() {
        let more = kind.fields.iter().filter(|f| f.name != "id" && !f.required);
        words.extend(more.filter_map(|f| Some(optional(f, &word(schema, f)?))).next());
    }
    let scope = template.render(|f| values.iter().find(|(id, _)| *id == f).map(|(_, v)| v))?;
    Some(Example { kind, scope: scope.to_string(), words })
}

fn optional(field: &Field, word: &str) -> String {
    let sign = if matches!(field.merge, Merge::Set | Merge::Counter) { "+=" } else { "=" };
    format!("{}{sign}{word}", field.name)
}

/// A value of a field, as it is typed; `None` for what a person does not type.
fn word(schema: &Schema, field: &Field) -> Option<String> {
    let kind = match (&field.kind, field.merge) {
        (FieldKind::List(element), Merge::Set) => element,
        (kind, _) => kind,
    };
    let word = match kind {
        FieldKind::Id => return Some(format!("{}-1", field.name)),
        FieldKind::Ref(_) => "some-id",
        FieldKind::String | FieldKind::Text => "hello",
        FieldKind::Int | FieldKind::Int64 | FieldKind::Counter | FieldKind::Float => "1",
        FieldKind::Boolean => "true",
        FieldKind::Decimal { scale, .. } => {
            if *scale > 0 {
                "1.5"
            } else {
                "1"
            }
        }
        FieldKind::Instant => "now",
        FieldKind::Date => "2026-01-31",
        FieldKind::LocalTime => "10:30:00",
        FieldKind::Bytes => "0aff",
        FieldKind::Json => "{}",
        FieldKind::List(_) => "[]",
        FieldKind::Enum(name) => return schema.enums.get(name)?.values.first().cloned(),
        FieldKind::Object(name) => {
            let members = schema.values.get(name)?.fields.iter().filter(|f| f.required);
            let plain = |f: &Field| matches!(f.kind, FieldKind::String | FieldKind::Id);
            let member = |f: &Field| plain(f).then(|| format!("\"{}\":\"hello\"", f.name));
            let members: Vec<String> = members.map(member).collect::<Option<_>>()?;
            return Some(format!("{{{}}}", members.join(",")));
        }
        FieldKind::ZonedDateTime | FieldKind::Blob => return None,
    };
    Some(word.to_owned())
}
