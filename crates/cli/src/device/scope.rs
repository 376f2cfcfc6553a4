//! Scopes, as a person writes them.

use crate::fault::{self, code};
use landfall_model::schema::{Home, Schema};
use std::collections::BTreeSet;

/// A scope that no row can be in is a slip of the pen: nothing would ever come of it.
pub(crate) fn check(schema: &Schema, scope: &str) -> anyhow::Result<()> {
    let synced = schema.types.values().filter(|t| !t.local);
    let templates = synced.flat_map(|kind| {
        let home = match &kind.home {
            Home::Scope(template) => Some(template),
            Home::Parent { .. } => None,
        };
        home.into_iter().chain(kind.audiences.iter().map(|a| &a.scope))
    });
    let mut known = BTreeSet::new();
    for template in templates {
        if template.could_render(scope) {
            return Ok(());
        }
        known.insert(template.source.as_str());
    }
    let known: Vec<&str> = known.into_iter().collect();
    let message = format!(
        "`{scope}` is no scope of this schema; they look like {}, with a value in the place of \
         each {{field}}",
        known.join(", ")
    );
    Err(fault::new(code::UNKNOWN_NAME, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_no_row_can_be_in_is_told_with_those_that_can() {
        let sdl = r#"
            type Job @entity(strategy: CRDT, scope: "region/{region}")
              @audience(scope: "technician/{who}") { id: ID! region: ID! who: ID }
            type Sku @entity(strategy: CRDT, scope: "catalog") { id: ID! }"#;
        let schema = landfall_model::schema::compile(sdl).expect("the test's schema");
        for scope in ["region/fr", "technician/bea", "catalog"] {
            check(&schema, scope).expect(scope);
        }
        for scope in ["", "regio/fr", "region/*", "region/", "region", "region/fr/x", "catalogs"] {
            let told = check(&schema, scope).expect_err(scope).to_string();
            let ways = "catalog, region/{region}, technician/{who}";
            assert!(told.starts_with("LF9005: ") && told.contains(ways), "{scope}: {told}");
        }
    }
}
