//! An entity type: its row, what an edit can change, its columns, and how it is made anew.

use super::super::kotlin::entity::{PENDING, Shape};
use super::super::kotlin::names::{element, free};
use super::names::{codec, doc, literal, property, set_type, swift_type};
use landfall_model::schema::{EntityType, Field, FieldKind, Merge, Schema};
use std::fmt::Write;

const UPSERT: &str = "Create it, or change it where this device knows it.";

/// What the writes of a shared type are for.
const PUBLISHED: &str = "\
Create it, or change it: for who publishes the type, as a test of the app may. What a device writes of it is \
refused with `LF2121`.";

pub fn write(out: &mut String, schema: &Schema, kind: &EntityType) {
    let shape = Shape::of(schema, kind);
    row(out, &shape);
    edit(out, &shape);
    columns(out, &shape);
    reader(out, &shape);
    out.push_str("}\n\n");
    upsert(out, &shape);
}

fn type_of(shape: &Shape<'_>, field: &Field) -> String {
    match field.merge {
        Merge::Set => set_type(shape.schema, element(field)),
        _ => swift_type(shape.schema, &field.kind),
    }
}

fn row(out: &mut String, shape: &Shape<'_>) {
    let (name, fields) = (&shape.kind.name, &shape.kind.fields);
    let by_id = if shape.kind.field_named("id").is_some() { ", Swift.Identifiable" } else { "" };
    let about = doc("", shape.kind.doc.as_deref(), &[]);
    let searched = if shape.kind.search().is_some() { ", Landfall.SearchedRow" } else { "" };
    let base = if shape.kind.shared { "EntityRow" } else { "WrittenRow" };
    let _ = writeln!(
        out,
        "\n{about}public struct {name}: Landfall.{base}{searched}, Swift.Hashable{by_id} {{"
    );
    for field in fields {
        let hidden = shape.hidden.contains(&field.id);
        let notes: &[&str] =
            if hidden { &["Not everybody who sees the row sees this."] } else { &[] };
        out.push_str(&doc("    ", field.doc.as_deref(), notes));
        let rest = if shape.always(field) { "" } else { "?" };
        let _ = writeln!(
            out,
            "    public let {}: {}{rest}",
            property(&field.name),
            type_of(shape, field)
        );
    }
    if shape.has_pending {
        out.push_str(&doc("    ", Some("Some of it is not yet held by enough regions."), &[]));
        let _ = writeln!(out, "    public let {PENDING}: Swift.Bool");
    }
    let mut parameters: Vec<String> = fields
        .iter()
        .map(|f| {
            let rest = if shape.always(f) { "" } else { "? = nil" };
            format!("        {}: {}{rest}", property(&f.name), type_of(shape, f))
        })
        .collect();
    let mut names: Vec<String> = fields.iter().map(|f| property(&f.name)).collect();
    if shape.has_pending {
        parameters.push(format!("        {PENDING}: Swift.Bool = false"));
        names.push(PENDING.to_owned());
    }
    let _ = write!(out, "\n    public init(\n{}\n    ) {{\n", parameters.join(",\n"));
    for name in names {
        let _ = writeln!(out, "        self.{name} = {name}");
    }
    out.push_str("    }\n");
}

fn edit(out: &mut String, shape: &Shape<'_>) {
    out.push_str(
        "
    /// What changes of a row; what is not set stays as it is.
    public struct Edit: Landfall.EntityEdit {
        public var _changes: [Landfall.Change] = []

        public init() {}
",
    );
    for field in shape.fields().filter(|f| !shape.fixed.contains(&f.id)) {
        let (name, text) = (property(&field.name), literal(&field.name));
        let (kind, codec) = (swift_type(shape.schema, element(field)), codec(element(field)));
        let _ = write!(out, "\n{}", doc("        ", field.doc.as_deref(), &[]));
        let merged = match field.merge {
            Merge::Register => {
                let rest = if field.required { "" } else { "?" };
                let _ = write!(
                    out,
                    "        public var {name}: {kind}{rest} {{
            @available(*, unavailable, message: \"an edit does not know the row\")
            get {{ Swift.fatalError() }}
            set {{ _put({text}, {codec}, newValue) }}
        }}
"
                );
                continue;
            }
            Merge::Set => (format!("SetEdit<{kind}>"), format!("({text}, {codec})")),
            Merge::Counter => ("CounterEdit".to_owned(), format!("({text})")),
            Merge::Text => ("TextEdit".to_owned(), format!("({text})")),
        };
        let _ = write!(
            out,
            "        public var {name}: Landfall.{0} {{
            get {{ Landfall.{0}{1} }}
            set {{ _changes += newValue._changes }}
        }}
",
            merged.0, merged.1
        );
    }
    out.push_str("    }\n");
}

fn columns(out: &mut String, shape: &Shape<'_>) {
    out.push_str("\n    /// Columns, for conditions and orders.\n");
    out.push_str("    public struct Columns: Swift.Sendable {\n");
    let composite = |f: &Field| {
        let tree = matches!(f.kind, FieldKind::Object(_) | FieldKind::List(_));
        f.merge == Merge::Set || tree
    };
    for field in shape.kind.fields.iter().filter(|f| !composite(f)) {
        let _ = writeln!(
            out,
            "        public let {} = Landfall.Column<{}>({}, {})",
            property(&field.name),
            swift_type(shape.schema, &field.kind),
            literal(&field.name),
            codec(&field.kind)
        );
    }
    out.push_str("    }\n");
}

fn reader(out: &mut String, shape: &Shape<'_>) {
    let name = &shape.kind.name;
    let _ = write!(
        out,
        "
    public static let _kind: Swift.String = {}
    public static let _columns: Columns = Columns()

    /// A row of this type, from any query that has all its columns.
    public static func read(_ row: Landfall.RowView) throws -> {name} {{
        {name}(
",
        literal(name)
    );
    let mut values: Vec<String> = shape.kind.fields.iter().map(|f| read(shape, f)).collect();
    if shape.has_pending {
        values.push(format!("{PENDING}: try row.required(\"_pending\", Landfall.Codecs.bool)"));
    }
    let values: Vec<String> = values.iter().map(|v| format!("            {v}")).collect();
    let _ = write!(out, "{}\n        )\n    }}\n", values.join(",\n"));
}

fn read(shape: &Shape<'_>, field: &Field) -> String {
    let (text, codec) = (literal(&field.name), codec(element(field)));
    let always = shape.always(field);
    let value = match field.merge {
        Merge::Register if always => format!("row.required({text}, {codec})"),
        Merge::Set => {
            let rest = if always { " ?? []" } else { "" };
            format!("row.optional({text}, Landfall.Codecs.set({codec})){rest}")
        }
        Merge::Counter if always => format!("row.optional({text}, {codec}) ?? 0"),
        Merge::Text if always => format!("row.optional({text}, {codec}) ?? \"\""),
        _ => format!("row.optional({text}, {codec})"),
    };
    format!("{}: try {value}", property(&field.name))
}

/// In a transaction; and as one of its own, where devices write the type.
fn upsert(out: &mut String, shape: &Shape<'_>) {
    let name = &shape.kind.name;
    let needed = shape.needed();
    let mut taken: Vec<String> = needed.iter().map(|f| f.name.clone()).collect();
    let id = free("id", &taken);
    taken.push(id.clone());
    let edit = free("edit", &taken);
    let mut parameters = format!("_ {id}: Swift.String, ");
    let mut arguments = id.clone();
    let mut given = String::new();
    for field in needed {
        let (name, text) = (property(&field.name), literal(&field.name));
        let _ = write!(parameters, "{name}: {}, ", type_of(shape, field));
        let _ = write!(arguments, ", {name}: {name}");
        let _ = writeln!(
            given,
            "                .put(field: {text}, value: {}.toValue({name})),",
            codec(&field.kind)
        );
    }
    let list = if given.is_empty() { "[]".to_owned() } else { format!("[\n{given}            ]") };
    let about = if shape.kind.shared { PUBLISHED } else { UPSERT };
    let _ = write!(
        out,
        "extension Landfall.Writes where TableRow == {name} {{
    /// {about}
    public func upsert(
        {parameters}_ {edit}: (inout {name}.Edit) -> Swift.Void = {{ _ in }}
    ) {{
        _put(
            {id},
            {list},
            {edit})
    }}
}}
"
    );
    if shape.kind.shared {
        return;
    }
    let _ = write!(
        out,
        "
extension Landfall.Table where TableRow == {name} {{
    /// {UPSERT}
    @discardableResult
    public func upsert(
        {parameters}_ {edit}: @Sendable (inout {name}.Edit) -> Swift.Void = {{ _ in }}
    ) async throws -> Landfall.Receipt {{
        try await _write {{ $0.upsert({arguments}, {edit}) }}
    }}
}}
"
    );
}
