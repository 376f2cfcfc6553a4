//! What to write instead, where the SDK refuses a write or a statement. It knows the schema's
//! names, and not how a person spells values.

use crate::transfer::value::{wanted, whole};
use landfall_device::Error;
use landfall_model::schema::{EntityType, Field, FieldKind, Home, Schema};

/// A refused write, with what the type asks for.
pub(crate) fn write(schema: &Schema, kind: &EntityType, error: Error) -> anyhow::Error {
    let path = error.refused_edit().and_then(|refused| refused.field.as_deref());
    let help = match (error.code(), path) {
        ("LF2003", Some(path)) => members(schema, kind, path),
        ("LF2005", Some(path)) => value(schema, kind, path),
        ("LF2007", Some(path)) => choices(schema, kind, path),
        ("LF2009", _) => home(kind),
        _ => None,
    };
    match help {
        Some(help) => anyhow::anyhow!("{error} {help}"),
        None => error.into(),
    }
}

/// The field at the end of `address.zip`, and the value objects on its way.
fn at<'s>(schema: &'s Schema, kind: &'s EntityType, path: &str) -> Option<&'s Field> {
    let mut fields = &kind.fields;
    let mut words = path.split('.').peekable();
    loop {
        let field = fields.iter().find(|f| Some(&*f.name) == words.peek().copied())?;
        words.next();
        if words.peek().is_none() {
            return Some(field);
        }
        fields = &schema.values.get(object(&field.kind)?)?.fields;
    }
}

/// The value type of an object, or of a list's elements.
fn object(kind: &FieldKind) -> Option<&str> {
    match kind {
        FieldKind::Object(name) => Some(name),
        FieldKind::List(element) => object(element),
        _ => None,
    }
}

fn names(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|f| &*f.name).collect();
    names.join(", ")
}

fn members(schema: &Schema, kind: &EntityType, path: &str) -> Option<String> {
    let (above, _) = path.rsplit_once('.')?;
    let of = schema.values.get(object(&at(schema, kind, above)?.kind)?)?;
    Some(format!("{} has {}.", of.name, names(&of.fields)))
}

fn value(schema: &Schema, kind: &EntityType, path: &str) -> Option<String> {
    let field = at(schema, kind, path)?;
    Some(format!("`{path}` {}.", wanted(&whole(field))))
}

fn choices(schema: &Schema, kind: &EntityType, path: &str) -> Option<String> {
    let of = match &at(schema, kind, path)?.kind {
        FieldKind::List(element) => element,
        kind => kind,
    };
    let FieldKind::Enum(name) = of else { return None };
    Some(format!("{name} has {}.", schema.enums.get(name)?.values.join(", ")))
}

fn home(kind: &EntityType) -> Option<String> {
    let Home::Scope(template) = &kind.home else { return None };
    let fields = template.fields().filter_map(|f| kind.field(f));
    let fields: Vec<String> = fields.map(|f| format!("{}=…", f.name)).collect();
    let (name, fields) = (&kind.name, fields.join(" "));
    Some(format!("{name} lives in `{}`: give {fields}", template.source))
}

/// A statement that SQLite does not understand, at a type whose name is a word of SQL.
pub(crate) fn statement(schema: &Schema, error: Error) -> anyhow::Error {
    let near = error.message().split("near \"").nth(1).and_then(|rest| rest.split('"').next());
    let named = |word: &&str| schema.types.values().any(|t| t.name.eq_ignore_ascii_case(word));
    match near.filter(named) {
        Some(word) => anyhow::anyhow!(
            "{error} `{word}` is a word of SQL, too: in quotation marks, \"{word}\", it is the type."
        ),
        None => error.into(),
    }
}
