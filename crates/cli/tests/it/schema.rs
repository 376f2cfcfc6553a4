//! `landfall schema check`.

use crate::binary::{json, landfall, repository, stdout};

#[test]
fn the_example_has_no_errors() {
    let output = landfall(&["schema", "check", "examples/shop/schema.graphql"]);
    let expected = "examples/shop/schema.graphql: 5 entity types, no errors\n";
    assert_eq!(stdout(&output), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_error_shows_its_place_its_line_and_what_to_write() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.graphql");
    std::fs::write(&path, "\ntype Order {\n  id: ID!\n}\n").expect("written");
    let path = path.to_str().expect("a path of text");
    let output = landfall(&["schema", "check", path]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["app.graphql:2:6", "type Order {", "@entity(strategy:"] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    let found = json(&["schema", "check", path, "--json"]);
    assert_eq!(
        (&found["errors"][0]["line"], &found["errors"][0]["column"]),
        (&2.into(), &6.into())
    );
}

#[test]
fn a_file_that_is_not_there_is_another_exit_code() {
    let output = landfall(&["schema", "check", "nowhere.graphql"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read nowhere.graphql"));
    assert!(repository().join("Cargo.toml").exists());
}
