//! Value objects, and enums that keep what they do not know.

use super::super::kotlin::names::free;
use super::names::{case, codec, doc, literal, property, swift_type};
use landfall_model::schema::{EnumType, Field, Schema, ValueType};
use std::fmt::Write;

/// A `@value` type: a structure that is written as a whole.
pub fn object(out: &mut String, schema: &Schema, kind: &ValueType) {
    let name = &kind.name;
    let about = doc("", kind.doc.as_deref(), &[]);
    let _ = writeln!(out, "\n{about}public struct {name}: Swift.Sendable, Swift.Hashable {{");
    let mut parameters = Vec::new();
    for field in &kind.fields {
        let (field_name, kind) = (property(&field.name), swift_type(schema, &field.kind));
        let (rest, none) = if field.required { ("", "") } else { ("?", " = nil") };
        let about = doc("    ", field.doc.as_deref(), &[]);
        let _ = writeln!(out, "{about}    public var {field_name}: {kind}{rest}");
        parameters.push(format!("{field_name}: {kind}{rest}{none}"));
    }
    let _ = write!(out, "\n    public init({}) {{\n", parameters.join(", "));
    for field in &kind.fields {
        let _ = writeln!(out, "        self.{0} = {0}", property(&field.name));
    }
    let _ = write!(
        out,
        "    }}

    public static let _codec: Landfall.Codec<{name}> = Landfall.Codecs.object(
        write: {{ (value: {name}) -> [Landfall.Json.Member] in
            [
"
    );
    for field in &kind.fields {
        let (text, codec, value) =
            (literal(&field.name), codec(&field.kind), property(&field.name));
        let _ = writeln!(out, "                {codec}.member({text}, value.{value}),");
    }
    let _ = write!(
        out,
        "            ]
        }},
        read: {{ (members: Landfall.Members) throws -> {name} in
            {name}(
"
    );
    let read = |field: &Field| {
        let how = if field.required { "required" } else { "optional" };
        let (text, codec, value) =
            (literal(&field.name), codec(&field.kind), property(&field.name));
        format!("                {value}: try members.{how}({text}, {codec})")
    };
    let read: Vec<String> = kind.fields.iter().map(read).collect();
    let _ = write!(out, "{}\n            )\n        }})\n}}\n", read.join(",\n"));
}

/// An enum: a case for each member that this app knows, and one for those that later versions may add.
pub fn choice(out: &mut String, kind: &EnumType) {
    let name = &kind.name;
    let mut cases: Vec<String> = Vec::new();
    for member in &kind.values {
        cases.push(free(&case(member), &cases));
    }
    let (unknown, its_name) = (free("unknown", &cases), free("name", &cases));
    let about = doc("", kind.doc.as_deref(), &[]);
    let _ = writeln!(out, "\n{about}public enum {name}: Swift.Sendable, Swift.Hashable {{");
    for case in &cases {
        let _ = writeln!(out, "    case {}", property(case));
    }
    let _ = write!(
        out,
        "    /// A member that this version of the app does not know. It is written back as it is.
    case {unknown}(Swift.String)

    /// The member of this name.
    public init(_ name: Swift.String) {{
        switch name {{
"
    );
    for (member, case) in kind.values.iter().zip(&cases) {
        let _ = writeln!(out, "        case {}: self = .{}", literal(member), property(case));
    }
    let _ = write!(
        out,
        "        default: self = .{unknown}(name)
        }}
    }}

    /// As the schema calls it.
    public var {its_name}: Swift.String {{
        switch self {{
"
    );
    for (member, case) in kind.values.iter().zip(&cases) {
        let _ = writeln!(out, "        case .{}: return {}", property(case), literal(member));
    }
    let _ = write!(
        out,
        "        case let .{unknown}(name): return name
        }}
    }}

    public static let _codec: Landfall.Codec<{name}> = Landfall.Codecs.text({{ $0.{its_name} }}, {{ {name}($0) }})
}}
"
    );
}
