//! Scope templates: `warehouse/{warehouse}`.
//!
//! A scope's name decides who may see a row, so two pairs of field values should not give one
//! name, and no value may pretend to be a template's fixed beginning. Hence a template begins with
//! a fixed word, and `/` stands between two fields.

use super::ast::Literal;
use super::diagnostic::{Sink, Span, code};
use super::names::{Names, TypeInfo};
use super::{Field, FieldKind, Merge, ScopePart, ScopeTemplate};

/// Longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 200;

/// What scopes of Landfall's own begin with.
const RESERVED: &str = "lf_";

/// The home of `@local` entities, which no schema can name.
pub const LOCAL_HOME: &str = "lf_local";

/// Whose scope it is: the rules for what it may read differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Home,
    Audience,
}

/// A template as written; spans are offsets in its text.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    Field(&'a str, Span),
}

/// What is wrong with a template's text.
struct Fault {
    span: Span,
    message: String,
    help: String,
}

fn fault(span: Span, message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { span, message: message.into(), help: help.into() }
}

/// Reads a template and its fields; reports what is wrong.
pub(super) fn resolve(
    names: &Names,
    owner: &TypeInfo,
    (source, literal): (&str, &Literal),
    role: Role,
    sink: &mut Sink,
) -> Option<ScopeTemplate> {
    let parts = match parse(source) {
        Ok(parts) => parts,
        Err(f) => {
            sink.report(code::SCOPE_SYNTAX, &literal.inner(f.span), f.message, f.help);
            return None;
        }
    };
    let mut resolved = Some(Vec::new());
    for part in parts {
        let part = match part {
            Part::Text(text) => Some(ScopePart::Text(text.to_owned())),
            Part::Field(name, at) => {
                template_field(names, owner, name, &literal.inner(at), role, sink)
            }
        };
        resolved = match (resolved, part) {
            (Some(mut list), Some(part)) => {
                list.push(part);
                Some(list)
            }
            _ => None,
        };
    }
    Some(ScopeTemplate { source: source.to_owned(), parts: resolved? })
}

/// Splits a template into text and fields.
fn parse(source: &str) -> Result<Vec<Part<'_>>, Fault> {
    const EXAMPLE: &str =
        "Write for example `\"team/{team}\"`, or a fixed name like `\"catalog\"`.";
    if source.is_empty() {
        return Err(fault(0..0, "a scope needs a name", EXAMPLE));
    }
    if source.len() > TEMPLATE_BYTES_MAX {
        let message = format!("a scope has at most {TEMPLATE_BYTES_MAX} characters");
        return Err(fault(0..source.len(), message, EXAMPLE));
    }
    if source.starts_with(RESERVED) {
        return Err(fault(0..3, "scopes that begin with `lf_` are Landfall's own", EXAMPLE));
    }
    let first = source.chars().next().map_or(0, char::len_utf8);
    if !source.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(fault(
            0..first,
            "a scope begins with a fixed word, so that no field's value can pick another scope",
            EXAMPLE,
        ));
    }
    let mut parts = Vec::new();
    let mut at = 0;
    let mut separated = true;
    while at < source.len() {
        let rest = &source[at..];
        if rest.starts_with('{') {
            let name = field_name(rest, at)?;
            if !separated {
                return Err(fault(
                    at..at + name.len() + 2,
                    "two fields need a `/` between them: else two different scopes could have one name",
                    "Write for example `\"team/{team}/{member}\"`.",
                ));
            }
            parts.push(Part::Field(name, at..at + name.len() + 2));
            separated = false;
            at += name.len() + 2;
        } else {
            let text = &rest[..rest.find('{').unwrap_or(rest.len())];
            check_text(text, at)?;
            separated |= text.contains('/');
            parts.push(Part::Text(text));
            at += text.len();
        }
    }
    if let [Part::Text(word), Part::Field(..), ..] = &parts[..]
        && RESERVED.starts_with(word)
    {
        let message = "a value behind this word could make a scope of Landfall's own, `lf_…`";
        return Err(fault(0..word.len(), message, EXAMPLE));
    }
    if source.ends_with('/') || source.contains("//") {
        let at = source.find("//").map_or(source.len() - 1, |i| i + 1);
        return Err(fault(at..at + 1, "nothing stands beside this `/`", "Remove it."));
    }
    Ok(parts)
}

/// The name in the braces at the start of `rest`.
fn field_name(rest: &str, at: usize) -> Result<&str, Fault> {
    let Some(end) = rest.find('}') else {
        return Err(fault(at..at + 1, "a `}` is missing for this `{`", "Write `{field}`."));
    };
    let name = &rest[1..end];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        let trimmed = name.trim();
        let help = if trimmed.is_empty() || trimmed == name {
            "Write the name of a field of this type: `{team}`.".to_owned()
        } else {
            format!("Write `{{{trimmed}}}`, without spaces.")
        };
        return Err(fault(at..at + end + 1, "this is no field name", help));
    }
    Ok(name)
}

fn check_text(text: &str, at: usize) -> Result<(), Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    match text.char_indices().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((i, '}')) => {
            Err(fault(at + i..at + i + 1, "a `{` is missing for this `}`", "Write `{field}`."))
        }
        Some((i, c)) => Err(fault(
            at + i..at + i + c.len_utf8(),
            "a scope's fixed text is made of letters, digits, `/`, `-`, `_` and `.`",
            "Remove this character.",
        )),
    }
}

fn template_field(
    names: &Names,
    owner: &TypeInfo,
    name: &str,
    span: &Span,
    role: Role,
    sink: &mut Sink,
) -> Option<ScopePart> {
    let Some(member) = owner.member(name) else {
        let near = sink.did_you_mean(name, owner.member_names());
        sink.report(
            code::SCOPE_FIELD_UNKNOWN,
            span,
            format!("`{}` has no field `{name}`", owner.name()),
            format!("{near}Write one of its fields, or add `{name}: ID!`."),
        );
        return None;
    };
    let field = member.field.as_ref()?;
    let at = &member.decl.name.span;
    let id = ScopePart::Field(member.id);
    if role == Role::Home && (field.merge != Merge::Register || field.default.is_some()) {
        sink.report(
            code::SCOPE_FIELD_CHANGES,
            span,
            format!("a home scope never changes, but `{name}` {}", changes(field)),
            format!("Read a plain field here: `{name}: ID!`. To move an entity, delete it here and create it there."),
        )
        .note(at, "declared here");
        return None;
    }
    if !readable(field) {
        let help = match &field.kind {
            FieldKind::Ref(target) => {
                let target = names.types.iter().find(|t| t.id == *target);
                let target = target.map_or("entity", |t| t.name());
                format!("Add a plain field with the id of the {target}: `{name}Id: ID!`.")
            }
            _ if field.default.is_some() => {
                "Remove @default: it applies at reading, and regions deliver by what is stored."
                    .into()
            }
            _ => "A scope reads fields of type ID, String, Int, Int64 or an enum.".into(),
        };
        sink.report(
            code::SCOPE_FIELD_KIND,
            span,
            format!("a scope cannot read `{name}: {}`", member.decl.ty),
            help,
        )
        .note(at, "declared here");
        return None;
    }
    if role == Role::Home && !field.required {
        sink.report(
            code::SCOPE_FIELD_NULLABLE,
            span,
            format!("every entity has a home scope, but `{name}` may be null"),
            format!("Write `{name}: {}!`.", member.decl.ty),
        )
        .note(at, "declared here");
        return None;
    }
    Some(id)
}

fn changes(field: &Field) -> &'static str {
    match field.merge {
        Merge::Set => "is a set",
        Merge::Counter => "is a counter",
        Merge::Text => "is a text",
        Merge::Register => "has a default, which a later schema may change",
    }
}

fn readable(field: &Field) -> bool {
    field.merge == Merge::Register
        && field.default.is_none()
        && matches!(
            field.kind,
            FieldKind::Id
                | FieldKind::String
                | FieldKind::Int
                | FieldKind::Int64
                | FieldKind::Enum(_)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_splits_into_text_and_fields() {
        let parts = parse("a/{b}/c-{d}").unwrap_or_else(|f| panic!("{}", f.message));
        let expected =
            [Part::Text("a/"), Part::Field("b", 2..5), Part::Text("/c-"), Part::Field("d", 8..11)];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_template_that_could_name_two_scopes_alike_is_refused() {
        let check = |source: &str, span: Option<Span>| {
            assert_eq!(parse(source).err().map(|f| f.span), span, "{source:?}");
        };
        check("catalog", None);
        check("user-{id}", None);
        check("", Some(0..0));
        check("{a}", Some(0..1));
        check("/a", Some(0..1));
        check("a/", Some(1..2));
        check("a//b", Some(2..3));
        check("a/{b}{c}", Some(5..8));
        check("a/{b}-{c}", Some(6..9));
        check("a/{b", Some(2..3));
        check("a/b}", Some(3..4));
        check("a/{}", Some(2..4));
        check("a/{ b }", Some(2..7));
        check("a é", Some(1..2));
        check("lf_x", Some(0..3));
        check("l{x}", Some(0..1));
        check("lf{x}", Some(0..2));
    }
}
