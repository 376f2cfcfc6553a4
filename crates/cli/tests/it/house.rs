//! The house rules that a machine can hold: who may use whom, what each crate must never know,
//! and documents that still name things which exist.
//!
//! A rule that fails here is changed here, in the same commit as an ADR that says why.
//!
//! - `dependencies`: the edges between our crates, and the outside crates that have one owner.
//! - `sources`: words that a crate's source must not contain (clocks, files, SQL, HTTP types).
//! - `docs`: error pages, the ADR index, links, and the names in ARCHITECTURE.md.
//! - `tree`, `rust`: how the tests read the checkout. `rust` is a scanner, not a parser: it knows
//!   comments, literals, `#[cfg(test)]` items and `use` trees, which is all that the rules need.

mod dependencies;
mod docs;
mod rust;
mod sources;
mod tree;

/// Fails with every violation on its own line.
#[track_caller]
fn assert_holds(rule: &str, violations: Vec<String>) {
    assert!(violations.is_empty(), "{rule}\n  {}\n", violations.join("\n  "));
}
