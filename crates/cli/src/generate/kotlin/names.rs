//! Names, types and codecs as Kotlin spells them.

use landfall_model::schema::{Field, FieldKind, Merge, Schema};

/// Words that cannot be names without backticks.
const KEYWORDS: &[&str] = &[
    "as",
    "break",
    "class",
    "continue",
    "do",
    "else",
    "false",
    "for",
    "fun",
    "if",
    "in",
    "interface",
    "is",
    "null",
    "object",
    "package",
    "return",
    "super",
    "this",
    "throw",
    "true",
    "try",
    "typealias",
    "typeof",
    "val",
    "var",
    "when",
    "while",
];

/// Reads `--package`.
pub fn package(text: &str) -> Result<String, String> {
    let good = |word: &str| {
        let mut chars = word.chars();
        chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !KEYWORDS.contains(&word)
    };
    let all_good = text.split('.').all(good);
    all_good.then(|| text.to_owned()).ok_or_else(|| "write it as com.example.shop".to_owned())
}

/// Reads `--client`.
pub fn class(text: &str) -> Result<String, String> {
    let mut chars = text.chars();
    let good = chars.next().is_some_and(|c| c.is_ascii_uppercase())
        && chars.all(|c| c.is_ascii_alphanumeric());
    good.then(|| text.to_owned()).ok_or_else(|| "write it as Shop".to_owned())
}

/// The client's class, after the package: `com.example.shop` has `Shop`.
pub fn client_of(package: &str) -> String {
    let last = package.rsplit('.').next().unwrap_or(package);
    last.split('_').map(upper).collect()
}

fn upper(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// `OrderLine` is `orderLine`.
pub fn lower(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// A name where code stands.
pub fn property(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("`{name}`") } else { name.to_owned() }
}

/// The name, or one like it that is not taken.
pub fn free(name: &str, taken: &[String]) -> String {
    let mut name = name.to_owned();
    while taken.contains(&name) {
        name.push('_');
    }
    name
}

/// A string in quotes.
pub fn literal(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A doc comment; nothing without a text. `notes` are further sentences of ours.
pub fn doc(indent: &str, text: Option<&str>, notes: &[&str]) -> String {
    let text = text.unwrap_or_default().trim().replace("*/", "*&#47;");
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    if !lines.is_empty() && !notes.is_empty() {
        lines.push("");
    }
    lines.extend(notes);
    match lines[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        _ => {
            let line = |l: &&str| format!("{indent} * {l}").trim_end().to_owned() + "\n";
            let body: String = lines.iter().map(line).collect();
            format!("{indent}/**\n{body}{indent} */\n")
        }
    }
}

/// The type of what a field holds, null apart. A type of the schema goes before one of Kotlin's
/// that is called the same, so those are written with their package then.
pub fn kotlin_type(schema: &Schema, kind: &FieldKind) -> String {
    let own = |name: &str, package: &str| {
        let types = schema.types.values().any(|t| t.name == name);
        let taken = types || schema.values.contains_key(name) || schema.enums.contains_key(name);
        if taken { format!("{package}.{name}") } else { name.to_owned() }
    };
    match kind {
        FieldKind::Id
        | FieldKind::String
        | FieldKind::Json
        | FieldKind::Blob
        | FieldKind::Ref(_)
        | FieldKind::Text => own("String", "kotlin"),
        FieldKind::Int => own("Int", "kotlin"),
        FieldKind::Int64 | FieldKind::Counter => own("Long", "kotlin"),
        FieldKind::Float => own("Double", "kotlin"),
        FieldKind::Boolean => own("Boolean", "kotlin"),
        FieldKind::Bytes => own("ByteArray", "kotlin"),
        FieldKind::Decimal { .. } => "java.math.BigDecimal".to_owned(),
        FieldKind::Instant => "java.time.Instant".to_owned(),
        FieldKind::Date => "java.time.LocalDate".to_owned(),
        FieldKind::LocalTime => "java.time.LocalTime".to_owned(),
        FieldKind::ZonedDateTime => "java.time.ZonedDateTime".to_owned(),
        FieldKind::Enum(name) | FieldKind::Object(name) => name.clone(),
        FieldKind::List(element) => {
            let list = own("List", "kotlin.collections");
            format!("{list}<{}>", kotlin_type(schema, element))
        }
    }
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
        FieldKind::Int64 | FieldKind::Counter => "long",
        FieldKind::Float => "double",
        FieldKind::Boolean => "boolean",
        FieldKind::Bytes => "bytes",
        FieldKind::Instant => "instant",
        FieldKind::Date => "date",
        FieldKind::LocalTime => "localTime",
        FieldKind::ZonedDateTime => "zonedDateTime",
        FieldKind::Decimal { scale, .. } => return format!("landfall.Codecs.decimal({scale})"),
        FieldKind::Enum(name) | FieldKind::Object(name) => return format!("{name}.codec"),
        FieldKind::List(element) => {
            return format!("landfall.Codecs.list({})", self::codec(element));
        }
    };
    format!("landfall.Codecs.{codec}")
}

/// What a set's elements are.
pub fn element(field: &Field) -> &FieldKind {
    match (&field.merge, &field.kind) {
        (Merge::Set, FieldKind::List(element)) => element,
        (_, kind) => kind,
    }
}
