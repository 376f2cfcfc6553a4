//! Names, types and codecs as Swift spells them.

use landfall_model::schema::{FieldKind, Schema};

/// Words that cannot be names without backticks.
const KEYWORDS: &[&str] = &[
    "Any",
    "Protocol",
    "Self",
    "Type",
    "as",
    "associatedtype",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "continue",
    "default",
    "defer",
    "deinit",
    "do",
    "else",
    "enum",
    "extension",
    "fallthrough",
    "false",
    "fileprivate",
    "for",
    "func",
    "guard",
    "if",
    "import",
    "in",
    "init",
    "inout",
    "internal",
    "is",
    "let",
    "nil",
    "operator",
    "precedencegroup",
    "private",
    "protocol",
    "public",
    "repeat",
    "rethrows",
    "return",
    "self",
    "static",
    "struct",
    "subscript",
    "super",
    "switch",
    "throw",
    "throws",
    "true",
    "try",
    "typealias",
    "var",
    "where",
    "while",
];

/// A name where code stands.
pub fn property(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("`{name}`") } else { name.to_owned() }
}

/// A member of an enum as Swift calls cases: `ON_SHELF` is `onShelf`, `Unknown` is `unknown`.
pub fn case(member: &str) -> String {
    let shouts = !member.chars().any(|c| c.is_ascii_lowercase());
    let words: Vec<&str> = member.split('_').filter(|word| !word.is_empty()).collect();
    let cased = |(at, word): (usize, &&str)| {
        let (head, tail) = word.split_at(1);
        let tail = if shouts { tail.to_ascii_lowercase() } else { tail.to_owned() };
        let head = if at == 0 { head.to_ascii_lowercase() } else { head.to_ascii_uppercase() };
        head + &tail
    };
    let name: String = words.iter().enumerate().map(cased).collect();
    // What begins with a digit now began with an underscore.
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { member.to_owned() }
}

/// A string in quotes.
pub fn literal(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A doc comment; nothing without a text. `notes` are further sentences of ours.
pub fn doc(indent: &str, text: Option<&str>, notes: &[&str]) -> String {
    let text = text.unwrap_or_default().trim();
    let mut lines: Vec<&str> = text.lines().collect();
    if !lines.is_empty() && !notes.is_empty() {
        lines.push("");
    }
    lines.extend(notes);
    lines.iter().map(|line| format!("{indent}/// {line}").trim_end().to_owned() + "\n").collect()
}

/// The type of what a field holds, nothing apart. A type of the schema goes before one of Swift's that
/// is called the same, so those are written with their module then.
pub fn swift_type(schema: &Schema, kind: &FieldKind) -> String {
    match kind {
        FieldKind::Id
        | FieldKind::String
        | FieldKind::Json
        | FieldKind::Blob
        | FieldKind::Ref(_)
        | FieldKind::Text => own(schema, "String"),
        FieldKind::Int => own(schema, "Int"),
        FieldKind::Int64 | FieldKind::Counter => own(schema, "Int64"),
        FieldKind::Float => own(schema, "Double"),
        FieldKind::Boolean => own(schema, "Bool"),
        FieldKind::Bytes => "Foundation.Data".to_owned(),
        FieldKind::Decimal { .. } => "Foundation.Decimal".to_owned(),
        FieldKind::Instant => "Foundation.Date".to_owned(),
        FieldKind::Date => "Landfall.LocalDate".to_owned(),
        FieldKind::LocalTime => "Landfall.LocalTime".to_owned(),
        FieldKind::ZonedDateTime => "Landfall.ZonedDateTime".to_owned(),
        FieldKind::Enum(name) | FieldKind::Object(name) => name.clone(),
        FieldKind::List(element) => format!("[{}]", swift_type(schema, element)),
    }
}

/// A set of what a field's elements are.
pub fn set_type(schema: &Schema, element: &FieldKind) -> String {
    format!("{}<{}>", own(schema, "Set"), swift_type(schema, element))
}

fn own(schema: &Schema, name: &str) -> String {
    let types = schema.types.values().any(|t| t.name == name);
    let taken = types || schema.values.contains_key(name) || schema.enums.contains_key(name);
    if taken { format!("Swift.{name}") } else { name.to_owned() }
}

/// The codec of what a field holds.
pub fn codec(kind: &FieldKind) -> String {
    let codec = match kind {
        FieldKind::Id
        | FieldKind::String
        | FieldKind::Blob
        | FieldKind::Ref(_)
        | FieldKind::Text => "string",
        FieldKind::Json => "json",
        FieldKind::Int => "int",
        FieldKind::Int64 | FieldKind::Counter => "int64",
        FieldKind::Float => "double",
        FieldKind::Boolean => "bool",
        FieldKind::Bytes => "bytes",
        FieldKind::Instant => "instant",
        FieldKind::Date => "date",
        FieldKind::LocalTime => "localTime",
        FieldKind::ZonedDateTime => "zonedDateTime",
        FieldKind::Decimal { scale, .. } => return format!("Landfall.Codecs.decimal({scale})"),
        FieldKind::Enum(name) | FieldKind::Object(name) => return format!("{name}._codec"),
        FieldKind::List(element) => {
            return format!("Landfall.Codecs.list({})", self::codec(element));
        }
    };
    format!("Landfall.Codecs.{codec}")
}
