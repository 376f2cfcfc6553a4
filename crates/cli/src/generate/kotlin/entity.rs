//! An entity type: its row, what an edit can change, its columns, its writes and its table.

use super::names::{codec, doc, element, free, kotlin_type, literal, property};
use landfall_model::id::FieldId;
use landfall_model::schema::{EntityType, Field, FieldKind, Home, Merge, Schema};
use std::fmt::Write;

/// The device's own column that tells whether regions lack something of the row.
pub const PENDING: &str = "isPending";

/// What the writes of a shared type are for.
const PUBLISHED: &str = "\
Writes of this type by who publishes it, as a test of the app may. Those of a device are refused with `LF2121`.";

pub fn write(out: &mut String, schema: &Schema, kind: &EntityType) {
    let shape = Shape::of(schema, kind);
    out.push('\n');
    shape.row(out);
    out.push_str(" {\n");
    shape.edit(out);
    shape.writes(out);
    shape.table(out);
    shape.columns(out);
    shape.reader(out);
    out.push_str("}\n");
}

/// What generated code has to know of a type, in any language.
pub struct Shape<'s> {
    pub schema: &'s Schema,
    pub kind: &'s EntityType,
    /// Fields that an audience does not see: their columns may be empty.
    pub hidden: Vec<FieldId>,
    /// Fields that never change: of the home scope, and the parent.
    pub fixed: Vec<FieldId>,
    /// No field of the schema takes the name.
    pub has_pending: bool,
}

impl<'s> Shape<'s> {
    pub fn of(schema: &'s Schema, kind: &'s EntityType) -> Self {
        let audiences = schema.root(kind.id).map(|t| t.audiences.as_slice()).unwrap_or_default();
        let hides = audiences.iter().flat_map(|a| &a.hide);
        let hidden = hides.filter(|(t, _)| *t == kind.id).map(|(_, field)| *field).collect();
        let fixed = match &kind.home {
            Home::Scope(template) => template.fields().collect(),
            Home::Parent { field, .. } => vec![*field],
        };
        let has_pending = kind.field_named(PENDING).is_none();
        Self { schema, kind, hidden, fixed, has_pending }
    }

    /// Fields without the id.
    pub fn fields(&self) -> impl Iterator<Item = &'s Field> {
        let id = self.kind.id_field();
        self.kind.fields.iter().filter(move |f| Some(f.id) != id)
    }

    /// Fields without which a new entity cannot be made.
    pub fn needed(&self) -> Vec<&'s Field> {
        let needed = |f: &&Field| f.merge == Merge::Register && f.required && f.default.is_none();
        self.fields().filter(needed).collect()
    }

    fn type_of(&self, field: &Field) -> String {
        let kind = kotlin_type(self.schema, element(field));
        match field.merge {
            Merge::Set => format!("kotlin.collections.Set<{kind}>"),
            _ => kind,
        }
    }

    /// Whether a row always has a value. Sets, counters and texts begin empty.
    pub fn always(&self, field: &Field) -> bool {
        let begins = field.merge != Merge::Register || field.required;
        begins && !self.hidden.contains(&field.id)
    }

    fn row(&self, out: &mut String) {
        out.push_str(&doc("", self.kind.doc.as_deref(), &[]));
        let _ = writeln!(out, "public data class {}(", self.kind.name);
        for field in &self.kind.fields {
            let hidden = self.hidden.contains(&field.id);
            let notes: &[&str] =
                if hidden { &["Not everybody who sees the row sees this."] } else { &[] };
            out.push_str(&doc("    ", field.doc.as_deref(), notes));
            let (name, kind) = (property(&field.name), self.type_of(field));
            let rest = if self.always(field) { "" } else { "? = null" };
            let _ = writeln!(out, "    public val {name}: {kind}{rest},");
        }
        if self.has_pending {
            out.push_str(&doc("    ", Some("Some of it is not yet held by enough regions."), &[]));
            let _ = writeln!(out, "    public val {PENDING}: kotlin.Boolean = false,");
        }
        out.push(')');
    }

    fn edit(&self, out: &mut String) {
        out.push_str("    /** What changes of a row; what is not set stays as it is. */\n");
        out.push_str("    public class Edit : landfall.EntityEdit() {\n");
        for field in self.fields().filter(|f| !self.fixed.contains(&f.id)) {
            let (name, text) = (property(&field.name), literal(&field.name));
            let (kind, codec) = (kotlin_type(self.schema, element(field)), codec(element(field)));
            out.push_str(&doc("        ", field.doc.as_deref(), &[]));
            let line = match field.merge {
                Merge::Register if field.required => {
                    format!("var {name}: {kind} by required({text}, {codec})")
                }
                Merge::Register => format!("var {name}: {kind}? by optional({text}, {codec})"),
                Merge::Set => {
                    format!("val {name}: landfall.SetEdit<{kind}> = set({text}, {codec})")
                }
                Merge::Counter => format!("val {name}: landfall.CounterEdit = counter({text})"),
                Merge::Text => format!("val {name}: landfall.TextEdit = text({text})"),
            };
            let _ = writeln!(out, "        public {line}");
        }
        out.push_str("    }\n\n");
    }

    /// Parameters of an upsert, and their names.
    fn parameters(&self) -> (String, Vec<String>) {
        let mut names = vec!["id".to_owned()];
        let mut text = "id: kotlin.String, ".to_owned();
        for field in self.needed() {
            let _ = write!(text, "{}: {}, ", property(&field.name), self.type_of(field));
            names.push(property(&field.name));
        }
        let edit = free("edit", &names);
        let _ = write!(text, "{edit}: Edit.() -> kotlin.Unit = {{}}");
        names.push(edit);
        (text, names)
    }

    fn writes(&self, out: &mut String) {
        let (name, (parameters, names)) = (literal(&self.kind.name), self.parameters());
        let (id, edit) = (&names[0], &names[names.len() - 1]);
        let about =
            if self.kind.shared { PUBLISHED } else { "Writes of this type within a transaction." };
        out.push_str(&doc("    ", Some(about), &[]));
        let _ = write!(
            out,
            "    public class Writes(batch: landfall.Batch) :
        landfall.Writes<Edit>(batch, {name}, ::Edit) {{
        /** Create it, or change it where this device knows it. */
        public fun upsert({parameters}) {{
            put(
                {id},
                listOf(
"
        );
        for field in self.needed() {
            let (text, codec) = (literal(&field.name), codec(&field.kind));
            let value = property(&field.name);
            let _ = writeln!(out, "                    given({text}, {codec}, {value}),");
        }
        let _ = write!(
            out,
            "                ),
                {edit},
            )
        }}
    }}

"
        );
    }

    fn table(&self, out: &mut String) {
        let searched = if self.kind.search().is_some() { "Searched" } else { "" };
        let (name, text) = (&self.kind.name, literal(&self.kind.name));
        if self.kind.shared {
            let _ = write!(
                out,
                "    /** The table: rows and live queries. Devices do not write this type. */
    public class Table(client: landfall.Landfall) :
        landfall.{searched}ReadTable<{name}, Columns>(client, {text}, Columns, {{ read(it) }})

"
            );
            return;
        }
        let (parameters, names) = self.parameters();
        let arguments = names.join(", ");
        let _ = write!(
            out,
            "    /** The table: rows, writes and live queries. */
    public class Table(client: landfall.Landfall) :
        landfall.{searched}Table<{name}, Edit, Columns, Writes>(client, {text}, Columns, {{ read(it) }}, ::Writes) {{
        /** Create it, or change it where this device knows it. */
        public suspend fun upsert({parameters}): landfall.Receipt =
            write {{ upsert({arguments}) }}
    }}

"
        );
    }

    fn columns(&self, out: &mut String) {
        out.push_str("    /** Columns, for conditions and orders. */\n");
        out.push_str("    public object Columns {\n");
        let composite = |f: &Field| {
            let tree = matches!(f.kind, FieldKind::Object(_) | FieldKind::List(_));
            f.merge == Merge::Set || tree
        };
        for field in self.kind.fields.iter().filter(|f| !composite(f)) {
            let kind = kotlin_type(self.schema, &field.kind);
            let _ = writeln!(
                out,
                "        public val {}: landfall.Column<{kind}> = landfall.Column({}, {})",
                property(&field.name),
                literal(&field.name),
                codec(&field.kind)
            );
        }
        out.push_str("    }\n\n");
    }

    fn reader(&self, out: &mut String) {
        let name = &self.kind.name;
        let _ = write!(
            out,
            "    public companion object {{\n        \
                     /** A row of this type, from any query that has all its columns. */\n        \
                     public fun read(row: landfall.RowView): {name} = {name}(\n"
        );
        for field in &self.kind.fields {
            let (text, codec) = (literal(&field.name), codec(element(field)));
            let read = match field.merge {
                Merge::Register if self.always(field) => format!("row.required({text}, {codec})"),
                Merge::Set if self.always(field) => {
                    format!("row.optional({text}, landfall.Codecs.set({codec})).orEmpty()")
                }
                Merge::Set => format!("row.optional({text}, landfall.Codecs.set({codec}))"),
                Merge::Counter if self.always(field) => {
                    format!("row.optional({text}, {codec}) ?: 0L")
                }
                Merge::Text if self.always(field) => {
                    format!("row.optional({text}, {codec}).orEmpty()")
                }
                _ => format!("row.optional({text}, {codec})"),
            };
            let _ = writeln!(out, "            {} = {read},", property(&field.name));
        }
        if self.has_pending {
            let _ = writeln!(
                out,
                "            {PENDING} = row.required(\"_pending\", landfall.Codecs.boolean),"
            );
        }
        out.push_str("        )\n    }\n");
    }
}
