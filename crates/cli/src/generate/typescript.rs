//! TypeScript for one schema: types alone, on top of the package in `bindings/web`.
//!
//! For each entity type there is what a row of its table holds (`OrderRow`), what can be put into
//! it (`OrderPut`), and both together in `Tables`, which `open<Tables>` takes. A `@shared` type is
//! marked there, and a client offers no writes of it. Rows are as SQLite has them: value objects,
//! lists and sets are JSON text, booleans 0 or 1. The same schema always gives the same text.

use landfall_model::schema::{EntityType, EnumType, Field, FieldKind, Merge, Schema, ValueType};
use std::fmt::Write;

const HEADER: &str = "\
// Written by `landfall generate typescript`. To change it, change the schema and write it anew.
";

/// The file's text.
pub(super) fn file(schema: &Schema, source: &str) -> String {
    let mut out = HEADER.to_owned();
    for kind in schema.enums.values() {
        choice(&mut out, kind);
    }
    for kind in schema.values.values() {
        object(&mut out, kind);
    }
    let kinds = super::walk::entities(schema);
    for kind in &kinds {
        entity(&mut out, kind);
    }
    out.push_str("\n/** The types of this schema, for `open<Tables>`. */\n");
    out.push_str("export type Tables = {\n");
    for kind in &kinds {
        let (name, search) = (&kind.name, search(kind));
        let shared = if kind.shared { "; shared: true" } else { "" };
        let _ = writeln!(out, "  {name}: {{ row: {name}Row; put: {name}Put{search}{shared} }};");
    }
    let text = serde_json::Value::from(source);
    let _ = write!(out, "}};\n\n/** The schema's own text. */\nexport const schema = {text};\n");
    out
}

/// Other members may come: an old app meets what a newer one wrote.
fn choice(out: &mut String, kind: &EnumType) {
    let members: Vec<String> = kind.values.iter().map(|m| format!("\"{m}\"")).collect();
    let _ =
        write!(out, "\nexport type {} = {} | (string & {{}});\n", kind.name, members.join(" | "));
}

fn object(out: &mut String, kind: &ValueType) {
    let _ = writeln!(out, "\nexport interface {} {{", kind.name);
    for field in &kind.fields {
        let none = if field.required { "" } else { " | null" };
        let _ = writeln!(out, "  {}: {}{none};", field.name, put(&field.kind));
    }
    out.push_str("}\n");
}

fn entity(out: &mut String, kind: &EntityType) {
    let _ = writeln!(out, "\n/** A row of the table `{}`. */", kind.name);
    let _ = writeln!(out, "export interface {}Row {{", kind.name);
    for field in &kind.fields {
        doc(out, field);
        let none = if field.required || field.merge != Merge::Register { "" } else { " | null" };
        let _ = writeln!(out, "  {}: {}{none};", field.name, column(&field.kind, field.merge));
    }
    out.push_str("  /** The home scope. */\n  _home: string;\n");
    out.push_str("  /** 1 while some of the row is not yet held by enough regions. */\n");
    out.push_str("  _pending: 0 | 1;\n}\n");
    let by = if kind.shared { ", by who publishes it" } else { "" };
    let _ = writeln!(out, "\n/** What can be put into `{}`{by}. */", kind.name);
    let _ = writeln!(out, "export interface {}Put {{", kind.name);
    let registers = kind.fields.iter().filter(|f| f.merge == Merge::Register && f.name != "id");
    for field in registers {
        let none = if field.required { "" } else { " | null" };
        let _ = writeln!(out, "  {}: {}{none};", field.name, put(&field.kind));
    }
    out.push_str("}\n");
}

/// The fields that can be searched, if there are any.
fn search(kind: &EntityType) -> String {
    let Some((_, fields)) = kind.search() else { return String::new() };
    let names: Vec<String> = fields.iter().map(|f| format!("\"{}\"", f.name)).collect();
    format!("; search: {}", names.join(" | "))
}

fn doc(out: &mut String, field: &Field) {
    let unit = match &field.kind {
        FieldKind::Decimal { scale, .. } => format!("In units of 10^-{scale}."),
        FieldKind::Instant => "Microseconds since 1970-01-01T00:00:00Z.".to_owned(),
        FieldKind::Object(name) => format!("JSON of `{name}`."),
        FieldKind::List(_) => "JSON of an array.".to_owned(),
        _ if field.merge == Merge::Set => "JSON of an array.".to_owned(),
        _ => String::new(),
    };
    let text = field.doc.iter().map(String::as_str).chain([unit.as_str()]);
    let text: Vec<String> = text
        .filter(|part| !part.is_empty())
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /"))
        .collect();
    if !text.is_empty() {
        let _ = writeln!(out, "  /** {} */", text.join(" "));
    }
}

/// What the column holds when it is read.
fn column(kind: &FieldKind, merge: Merge) -> String {
    if merge == Merge::Set {
        return "string".to_owned();
    }
    match kind {
        FieldKind::Int => "number",
        FieldKind::Int64 | FieldKind::Decimal { .. } | FieldKind::Instant | FieldKind::Counter => {
            "number | bigint"
        }
        FieldKind::Float => "number",
        FieldKind::Boolean => "0 | 1",
        FieldKind::Bytes => "Uint8Array",
        FieldKind::Enum(name) => name,
        _ => "string",
    }
    .to_owned()
}

/// What a register, or a member of a value object, is set to.
fn put(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Int | FieldKind::Float => "number".to_owned(),
        FieldKind::Int64 | FieldKind::Instant | FieldKind::Counter => "number | bigint".to_owned(),
        // As text, which is exact: "12.50".
        FieldKind::Decimal { .. } => "string".to_owned(),
        FieldKind::Boolean => "boolean".to_owned(),
        FieldKind::Bytes => "Uint8Array".to_owned(),
        FieldKind::Enum(name) | FieldKind::Object(name) => name.clone(),
        FieldKind::List(element) => format!("({})[]", put(element)),
        _ => "string".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_gives_its_types() {
        let sdl = r#"
            type Order @entity(strategy: LAST_WRITE_WINS, scope: "market/{market}") {
              id: ID! market: ID! "What it costs." total: Decimal! @decimal(precision: 8, scale: 2)
              shipTo: Address paid: Boolean tags: [String!] @set status: Status }
            type Draft @local { id: ID! title: String! @search body: Text @search }
            type Product @entity(strategy: LAST_WRITE_WINS, scope: "catalog") @shared {
              id: ID! name: String @search }
            type Address @value { city: String! }
            enum Status { OPEN CLOSED }"#;
        let schema = landfall_model::schema::compile(sdl).expect("the test's schema is right");
        let text = file(&schema, sdl);
        let expected = r#"
export type Status = "OPEN" | "CLOSED" | (string & {});

export interface Address {
  city: string;
}

/** A row of the table `Draft`. */
export interface DraftRow {
  id: string;
  title: string;
  body: string;
  /** The home scope. */
  _home: string;
  /** 1 while some of the row is not yet held by enough regions. */
  _pending: 0 | 1;
}

/** What can be put into `Draft`. */
export interface DraftPut {
  title: string;
}

/** A row of the table `Order`. */
export interface OrderRow {
  id: string;
  market: string;
  /** What it costs. In units of 10^-2. */
  total: number | bigint;
  /** JSON of `Address`. */
  shipTo: string | null;
  paid: 0 | 1 | null;
  /** JSON of an array. */
  tags: string;
  status: Status | null;
  /** The home scope. */
  _home: string;
  /** 1 while some of the row is not yet held by enough regions. */
  _pending: 0 | 1;
}

/** What can be put into `Order`. */
export interface OrderPut {
  market: string;
  total: string;
  shipTo: Address | null;
  paid: boolean | null;
  status: Status | null;
}

/** A row of the table `Product`. */
export interface ProductRow {
  id: string;
  name: string | null;
  /** The home scope. */
  _home: string;
  /** 1 while some of the row is not yet held by enough regions. */
  _pending: 0 | 1;
}

/** What can be put into `Product`, by who publishes it. */
export interface ProductPut {
  name: string | null;
}

/** The types of this schema, for `open<Tables>`. */
export type Tables = {
  Draft: { row: DraftRow; put: DraftPut; search: "title" | "body" };
  Order: { row: OrderRow; put: OrderPut };
  Product: { row: ProductRow; put: ProductPut; search: "name"; shared: true };
};
"#;
        assert!(text.contains(expected), "{text}");
    }
}
