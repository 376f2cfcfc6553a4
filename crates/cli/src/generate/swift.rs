//! Swift for one schema: a single file on top of the package in `bindings/swift`.
//!
//! The same schema always gives the same text. Types of the package, of Foundation and of Swift itself
//! are written with their modules where a schema's type may have their name; what nests in the type of
//! every entity, and the modules' own names, a schema's types cannot take, and a schema that does is
//! told so.

mod entity;
mod names;
mod value;

use super::kotlin::names::{free, lower};
use super::walk::{Writers, check_names, entities};
use landfall_model::schema::{EntityType, Schema};
use names::{literal, property};
use std::fmt::Write;

const HEADER: &str = "\
// Written by `landfall generate swift`. To change it, change the schema and write it anew.

import Foundation
import Landfall
";

/// Names that nest in the types of entities or in the client, stand for them in the package, or are
/// modules or words of Swift.
const TAKEN: &[&str] = &[
    "Any",
    "Columns",
    "Edit",
    "Foundation",
    "Landfall",
    "Protocol",
    "Self",
    "Swift",
    "TableRow",
    "Type",
    "Writes",
];

/// Methods of the client: a table of that name gets another one.
const METHODS: [&str; 5] = ["close", "init", "open", "schema", "write"];

/// The file's text; or why the schema's names do not go into one, for people.
pub(super) fn file(schema: &Schema, source: &str, client: &str) -> Result<String, String> {
    check_names(schema, client, TAKEN, "Swift, where the name means something else")?;
    check_fields(schema)?;
    let mut out = HEADER.to_owned();
    client_class(&mut out, &entities(schema), source, client);
    let writers = Writers { entity: entity::write, object: value::object, choice: value::choice };
    writers.write(&mut out, schema);
    Ok(out)
}

fn check_fields(schema: &Schema) -> Result<(), String> {
    let of_entities = schema.types.values().flat_map(|t| &t.fields);
    let mut fields = of_entities.chain(schema.values.values().flat_map(|t| &t.fields));
    if fields.any(|f| f.name == "self") {
        return Err(
            "`self` cannot be a field in Swift: rename it, and keep its data with @was".to_owned()
        );
    }
    Ok(())
}

fn client_class(out: &mut String, entities: &[&EntityType], source: &str, client: &str) {
    let taken = METHODS.map(str::to_owned);
    let tables: Vec<String> =
        entities.iter().map(|t| property(&free(&lower(&t.name), &taken))).collect();
    let sdk = free("sdk", &tables);
    let _ = write!(
        out,
        "\n/// The app's database: a table for each entity type, and the client under it.\n\
         public final class {client}: Swift.Sendable {{\n    \
             public let {sdk}: Landfall.LandfallClient\n"
    );
    for (kind, table) in entities.iter().zip(&tables) {
        let _ = writeln!(out, "    public let {table}: Landfall.Table<{}>", kind.name);
    }
    let _ = write!(
        out,
        "\n    public init(_ client: Landfall.LandfallClient) {{\n        self.{sdk} = client\n"
    );
    for (kind, table) in entities.iter().zip(&tables) {
        let _ = writeln!(out, "        self.{table} = Landfall.Table<{}>(client)", kind.name);
    }
    let _ = write!(
        out,
        "    }}\n\n    \
             /// Writes to several tables in one transaction: all of them or none.\n    \
             @discardableResult\n    \
             public func write(_ batch: @Sendable (Writes) throws -> Swift.Void) async throws -> Landfall.Receipt {{\n        \
                 try await self.{sdk}.write {{ try batch(Writes($0)) }}\n    }}\n\n    \
             /// See `LandfallClient.close`.\n    \
             public func close() async throws {{ try await self.{sdk}.close() }}\n\n    \
             /// What a transaction can write to.\n    \
             public struct Writes {{\n"
    );
    let written = entities.iter().zip(&tables).filter(|(kind, _)| !kind.shared);
    for (kind, table) in written.clone() {
        let _ = writeln!(out, "        public let {table}: Landfall.Writes<{}>", kind.name);
    }
    out.push_str("\n        init(_ batch: Landfall.Batch) {\n");
    for (kind, table) in written {
        let _ = writeln!(out, "            self.{table} = Landfall.Writes<{}>(batch)", kind.name);
    }
    out.push_str("        }\n    }\n\n");
    opening(out, source, client);
    out.push_str("}\n");
}

fn opening(out: &mut String, source: &str, client: &str) {
    out.push_str("    /// The schema, as regions have it.\n    public static let schema: Swift.String = _lines.joined(separator: \"\\n\")\n\n");
    out.push_str("    private static let _lines: [Swift.String] = [\n");
    for line in source.lines().chain([""]) {
        let _ = writeln!(out, "        {},", literal(line));
    }
    out.push_str("    ]\n\n");
    let _ = write!(
        out,
        "    /// Open an account's file, or make it; see `LandfallClient.open`.\n    \
             public static func open(\n        \
                 path: Swift.String,\n        \
                 subject: Swift.String,\n        \
                 regions: [Landfall.Region],\n        \
                 tenant: Swift.String = \"\",\n        \
                 startOffline: Swift.Bool = false,\n        \
                 diskBytesMax: Swift.UInt64? = nil,\n        \
                 network: Landfall.NetworkOptions? = nil,\n        \
                 tokens: @escaping Landfall.Tokens\n    \
             ) async throws -> {client} {{\n        \
                 let options = Landfall.OpenOptions(\n            \
                     path: path, schema: schema, tenant: tenant, subject: subject, regions: regions,\n            \
                     startOffline: startOffline, diskBytesMax: diskBytesMax, network: network)\n        \
                 return {client}(try await Landfall.LandfallClient.open(options, tokens: tokens))\n    }}\n"
    );
}
