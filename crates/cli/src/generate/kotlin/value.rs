//! Value objects, and enums that keep what they do not know.

use super::names::{codec, doc, free, kotlin_type, literal, property};
use landfall_model::schema::{EnumType, Schema, ValueType};
use std::fmt::Write;

/// A `@value` type: a data class that is written as a whole.
pub fn object(out: &mut String, schema: &Schema, kind: &ValueType) {
    let name = &kind.name;
    let _ = write!(out, "\n{}public data class {name}(\n", doc("", kind.doc.as_deref(), &[]));
    for field in &kind.fields {
        let rest = if field.required { "" } else { "? = null" };
        let _ = writeln!(
            out,
            "{}    public val {}: {}{rest},",
            doc("    ", field.doc.as_deref(), &[]),
            property(&field.name),
            kotlin_type(schema, &field.kind)
        );
    }
    let _ = write!(
        out,
        ") {{\n    public companion object {{\n        \
                 public val codec: landfall.Codec<{name}> = landfall.Codecs.obj(\n            \
                     write = {{\n                mapOf(\n"
    );
    for field in &kind.fields {
        let mark = if field.required { "" } else { "?" };
        let (text, codec) = (literal(&field.name), codec(&field.kind));
        let value = property(&field.name);
        let _ =
            writeln!(out, "                    {text} to it.{value}{mark}.let({codec}::toJson),");
    }
    let _ = write!(
        out,
        "                )\n            }},\n            read = {{\n                {name}(\n"
    );
    for field in &kind.fields {
        let how = if field.required { "required" } else { "optional" };
        let (text, codec) = (literal(&field.name), codec(&field.kind));
        let value = property(&field.name);
        let _ = writeln!(out, "                    {value} = it.{how}({text}, {codec}),");
    }
    out.push_str("                )\n            },\n        )\n    }\n}\n");
}

/// An enum: an object for each member that this app knows, and a class for those that later
/// versions may add.
pub fn choice(out: &mut String, kind: &EnumType) {
    let name = &kind.name;
    let unknown = free("Unknown", &kind.values);
    let _ = write!(
        out,
        "\n{}public sealed class {name}(public val name: kotlin.String) {{\n",
        doc("", kind.doc.as_deref(), &[])
    );
    for member in &kind.values {
        let (object, text) = (property(member), literal(member));
        let _ = writeln!(out, "    public data object {object} : {name}({text})");
    }
    let _ = write!(
        out,
        "\n    /** A member that this version of the app does not know. It is written back as it is. */\n    \
             public data class {unknown}(public val member: kotlin.String) : {name}(member)\n\n    \
             public companion object {{\n        \
                 /** The member of this name. */\n        \
                 public fun of(name: kotlin.String): {name} = when (name) {{\n"
    );
    for member in &kind.values {
        let _ = writeln!(out, "            {} -> {}", literal(member), property(member));
    }
    let _ = write!(
        out,
        "            else -> {unknown}(name)\n        }}\n\n        \
                 public val codec: landfall.Codec<{name}> = landfall.Codecs.text({{ it.name }}, {{ of(it) }})\n    \
             }}\n}}\n"
    );
}
