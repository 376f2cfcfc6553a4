//! A short name for what a schema means.

use super::{
    Audience, EntityType, Field, FieldKind, Home, Merge, OnDelete, Schema, ScopePart,
    ScopeTemplate, Strategy,
};
use crate::hash::hash128;
use crate::value::Value;
use std::fmt::Write;

impl Schema {
    /// Equal for two schemas that mean the same: the order of declarations, white space, comments
    /// and descriptions do not count; names do, because tables and columns carry them.
    pub fn fingerprint(&self) -> [u8; 16] {
        hash128(render(self).as_bytes())
    }
}

/// One line per thing, sorted, so that the text is the same on every machine and version.
fn render(schema: &Schema) -> String {
    let mut out = String::from("landfall schema 1\n");
    for t in schema.types.values() {
        entity(&mut out, t);
    }
    for v in schema.values.values() {
        line(&mut out, format_args!("value {}", v.name));
        fields(&mut out, &v.fields);
    }
    for e in schema.enums.values() {
        let mut values = e.values.clone();
        values.sort();
        line(&mut out, format_args!("enum {} closed={} {}", e.name, e.closed, values.join(" ")));
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

fn entity(out: &mut String, t: &EntityType) {
    let strategy = match t.strategy {
        Strategy::LastWriteWins => "lww",
        Strategy::Crdt => "crdt",
    };
    let home = match &t.home {
        Home::Scope(s) => format!("scope {}", template(s)),
        Home::Parent { field, kind } => format!("parent {:x} of {:x}", field.0, kind.0),
    };
    let shared = if t.shared { " shared" } else { "" };
    line(
        out,
        format_args!("type {:x} {} {strategy} local={}{shared} {home}", t.id.0, t.name, t.local),
    );
    let mut audiences: Vec<String> = t.audiences.iter().map(audience).collect();
    audiences.sort();
    for a in audiences {
        line(out, format_args!(" audience {a}"));
    }
    fields(out, &t.fields);
}

/// With field numbers: a renamed field is still the one that the scope reads.
fn template(t: &ScopeTemplate) -> String {
    t.parts
        .iter()
        .map(|p| match p {
            ScopePart::Text(text) => text.clone(),
            ScopePart::Field(f) => format!("{{{:x}}}", f.0),
        })
        .collect()
}

fn audience(a: &Audience) -> String {
    let columns = |list: &[(crate::id::TypeId, crate::id::FieldId)]| {
        let mut list: Vec<String> =
            list.iter().map(|(t, f)| format!("{:x}.{:x}", t.0, f.0)).collect();
        list.sort();
        list.join(",")
    };
    format!(
        "{} hide={} write={} create={} delete={}",
        template(&a.scope),
        columns(&a.hide),
        columns(&a.write),
        a.create,
        a.delete
    )
}

fn fields(out: &mut String, fields: &[Field]) {
    let mut fields: Vec<&Field> = fields.iter().collect();
    fields.sort_by_key(|f| f.id);
    for f in fields {
        let merge = match f.merge {
            Merge::Register => "register",
            Merge::Set => "set",
            Merge::Counter => "counter",
            Merge::Text => "text",
        };
        let reference = f.reference.as_ref().map_or(String::new(), |r| {
            let on_delete = match r.on_delete {
                OnDelete::Cascade => "cascade",
                OnDelete::SetNull => "set-null",
                OnDelete::Keep => "keep",
            };
            format!(" {on_delete}")
        });
        let default = f.default.as_ref().map_or(String::new(), |v| format!(" = {}", literal(v)));
        let window = if f.window { " window" } else { "" };
        let search = f.search.as_ref().map_or(String::new(), |s| {
            let prefixes: Vec<String> = s.prefixes.iter().map(u8::to_string).collect();
            format!(" search({} {})", s.tokenizer.name(), prefixes.join(","))
        });
        line(
            out,
            format_args!(
                " {:x} {} {} {merge} required={} index={}{window}{search}{reference}{default}",
                f.id.0,
                f.name,
                kind(&f.kind),
                f.required,
                f.index
            ),
        );
    }
}

fn kind(k: &FieldKind) -> String {
    match k {
        FieldKind::Id => "id".into(),
        FieldKind::String => "string".into(),
        FieldKind::Int => "int".into(),
        FieldKind::Int64 => "int64".into(),
        FieldKind::Float => "float".into(),
        FieldKind::Boolean => "boolean".into(),
        FieldKind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        FieldKind::Instant => "instant".into(),
        FieldKind::Date => "date".into(),
        FieldKind::LocalTime => "local-time".into(),
        FieldKind::ZonedDateTime => "zoned-date-time".into(),
        FieldKind::Bytes => "bytes".into(),
        FieldKind::Json => "json".into(),
        FieldKind::Blob => "blob".into(),
        FieldKind::Enum(name) => format!("enum {name}"),
        FieldKind::Object(name) => format!("value {name}"),
        FieldKind::Ref(target) => format!("ref {:x}", target.0),
        FieldKind::List(element) => format!("[{}]", kind(element)),
        FieldKind::Text => "text".into(),
        FieldKind::Counter => "counter".into(),
    }
}

/// A default's value; text is quoted, so that no text looks like another value.
fn literal(v: &Value) -> String {
    match v {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => format!("{:x}", f.get().to_bits()),
        Value::Text(t) => format!("{:?}", t.as_bytes()),
        Value::Bytes(b) => format!("{b:?}"),
        Value::Object(members) => {
            let members = members.iter().map(|m| format!("{:x}:{}", m.field.0, literal(&m.value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::List(items) => {
            format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(","))
        }
    }
}
