//! The way through a schema that generated code takes, whatever the language: every type once, in an
//! order that the schema's text does not change.

use landfall_model::schema::{EntityType, EnumType, Schema, ValueType};

/// How a language writes a type of each kind.
pub struct Writers {
    pub entity: fn(&mut String, &Schema, &EntityType),
    pub object: fn(&mut String, &Schema, &ValueType),
    pub choice: fn(&mut String, &EnumType),
}

impl Writers {
    /// Write all types: entities, value objects, enums, each by name.
    pub fn write(&self, out: &mut String, schema: &Schema) {
        for kind in entities(schema) {
            (self.entity)(out, schema, kind);
        }
        for kind in schema.values.values() {
            (self.object)(out, schema, kind);
        }
        for kind in schema.enums.values() {
            (self.choice)(out, kind);
        }
    }
}

/// Entity types by name; those that stay on the device, too.
pub fn entities(schema: &Schema) -> Vec<&EntityType> {
    let mut kinds: Vec<&EntityType> = schema.types.values().map(|t| &**t).collect();
    kinds.sort_by(|a, b| a.name.cmp(&b.name));
    kinds
}

/// Why the names of the types do not go into one file with the client, for people. `taken` are names
/// that the language needs, and `place` is the language, and what they are there.
pub fn check_names(
    schema: &Schema,
    client: &str,
    taken: &[&str],
    place: &str,
) -> Result<(), String> {
    let kinds = schema.types.values().map(|t| &t.name);
    let mut names = kinds.chain(schema.values.keys()).chain(schema.enums.keys());
    let Some(name) = names.find(|n| taken.contains(&n.as_str()) || *n == client) else {
        return Ok(());
    };
    Err(if name == client {
        format!("`{name}` is a type of the schema: name the client's class with --client")
    } else {
        format!("`{name}` cannot be a type in {place}: rename it, and keep its data with @was")
    })
}
