//! Kotlin for one schema: a single file on top of the runtime in `bindings/kotlin`.
//!
//! The same schema always gives the same text. Types of the runtime and of Java are written with
//! their packages, so a schema may have a type `Column` or `Instant`; what nests in the class of
//! every entity has names that a schema's types cannot take, and a schema that does is told so.

pub(super) mod entity;
pub(super) mod names;
mod value;

pub(super) use names::{class, client_of, package};

use super::walk::{Writers, check_names, entities};
use landfall_model::schema::{EntityType, Schema};
use names::{free, literal, property};
use std::fmt::Write;

const HEADER: &str = "\
// Written by `landfall generate kotlin`. To change it, change the schema and write it anew.

@file:Suppress(\"RedundantVisibilityModifier\", \"unused\")

";

/// Names that nest in the classes of entities.
const NESTED: &[&str] = &["Columns", "Companion", "Edit", "Table", "Writes"];

/// The file's text; or why the schema's names do not go into one, for people.
pub(super) fn file(
    schema: &Schema,
    source: &str,
    package: &str,
    client: &str,
) -> Result<String, String> {
    check_names(schema, client, NESTED, "Kotlin, where every entity has a class of that name")?;
    let mut out = format!("{HEADER}package {package}\n");
    client_class(&mut out, &entities(schema), source, client);
    let writers = Writers { entity: entity::write, object: value::object, choice: value::choice };
    writers.write(&mut out, schema);
    Ok(out)
}

fn client_class(out: &mut String, entities: &[&EntityType], source: &str, client: &str) {
    let tables: Vec<String> = entities.iter().map(|t| property(&names::lower(&t.name))).collect();
    let sdk = free("sdk", &tables);
    let _ = write!(
        out,
        "\n/** The app's database: a table for each entity type, and the client under it. */\n\
         public class {client}(public val {sdk}: landfall.Landfall) {{\n"
    );
    for (kind, table) in entities.iter().zip(&tables) {
        let _ = writeln!(out, "    public val {table}: {0}.Table = {0}.Table({sdk})", kind.name);
    }
    let _ = write!(
        out,
        "\n    /** Writes to several tables in one transaction: all of them or none. */\n    \
             public suspend fun write(batch: Writes.() -> Unit): landfall.Receipt =\n        \
                 {sdk}.write {{ Writes(it).batch() }}\n\n    \
             /** See [landfall.Landfall.close]. */\n    \
             public suspend fun close(): Unit = {sdk}.close()\n\n    \
             /** What a transaction can write to. */\n    \
             @landfall.LandfallDsl\n    \
             public class Writes internal constructor(batch: landfall.Batch) {{\n"
    );
    for (kind, table) in entities.iter().zip(&tables).filter(|(kind, _)| !kind.shared) {
        let _ =
            writeln!(out, "        public val {table}: {0}.Writes = {0}.Writes(batch)", kind.name);
    }
    out.push_str("    }\n\n");
    opening(out, source, client);
    out.push_str("}\n");
}

fn opening(out: &mut String, source: &str, client: &str) {
    out.push_str("    public companion object {\n        /** The schema, as regions have it. */\n");
    out.push_str("        public val SCHEMA: kotlin.String = listOf(\n");
    for line in source.lines() {
        let _ = writeln!(out, "            {},", literal(line));
    }
    out.push_str("        ).joinToString(\"\\n\", postfix = \"\\n\")\n\n");
    let _ = write!(
        out,
        "        /** Open an account's file, or make it; see [landfall.Landfall.open]. */\n        \
                 public suspend fun open(\n            \
                     path: kotlin.String,\n            \
                     subject: kotlin.String,\n            \
                     regions: kotlin.collections.List<landfall.Region>,\n            \
                     tenant: kotlin.String = \"\",\n            \
                     startOffline: kotlin.Boolean = false,\n            \
                     diskBytesMax: kotlin.Long? = null,\n            \
                     network: landfall.NetworkOptions? = null,\n            \
                     tokens: landfall.Tokens,\n        \
                 ): {client} = {client}(\n            \
                     landfall.Landfall.open(\n                \
                         landfall.OpenOptions(\n                    \
                             path, SCHEMA, tenant, subject, regions, startOffline,\n                    \
                             diskBytesMax?.toULong(), network,\n                \
                         ),\n                \
                         tokens = tokens,\n            \
                     ),\n        \
                 )\n    }}\n"
    );
}
