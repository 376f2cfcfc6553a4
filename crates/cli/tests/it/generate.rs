//! `landfall generate`. What it writes for `testdata/generate/library.graphql` is a golden file:
//! `UPDATE_GOLDEN=1 cargo test -p landfall --test it generate` writes it anew, to be reviewed.

use crate::binary::{landfall, repository, stdout};
use std::path::Path;

const LIBRARY: &str = "crates/cli/testdata/generate/library.graphql";
const GOLDEN: &str = "crates/cli/testdata/generate/Library.kt";
const GOLDEN_SWIFT: &str = "crates/cli/testdata/generate/Library.swift";

fn kotlin(schema: &str, dir: &Path, more: &[&str]) -> std::process::Output {
    let dir = dir.to_str().expect("a path of text");
    let args = ["generate", "kotlin", schema, "--package", "com.example.library", "--out", dir];
    landfall(&[&args, more].concat())
}

#[test]
fn kotlin_is_written_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = kotlin(LIBRARY, dir.path(), &[]);
    let path = dir.path().join("com/example/library/Library.kt");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout(&output), format!("{}\n", path.display()), "{errors}");
    assert_golden(&path, GOLDEN);
}

#[test]
fn swift_is_written_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = swift(LIBRARY, dir.path(), &["--client", "Library"]);
    let path = dir.path().join("Library.swift");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout(&output), format!("{}\n", path.display()), "{errors}");
    assert_golden(&path, GOLDEN_SWIFT);
}

fn swift(schema: &str, dir: &Path, more: &[&str]) -> std::process::Output {
    let dir = dir.to_str().expect("a path of text");
    landfall(&[&["generate", "swift", schema, "--out", dir], more].concat())
}

fn assert_golden(path: &Path, golden: &str) {
    let written = std::fs::read_to_string(path).expect("it was written");
    let kept = repository().join(golden);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&kept, &written).expect("the golden file is written");
    }
    let expected = std::fs::read_to_string(&kept).expect("the golden file is there");
    let mut lines = written.lines().zip(expected.lines()).enumerate();
    if let Some((at, (found, expected))) = lines.find(|(_, (found, expected))| found != expected) {
        panic!("{golden}:{}: found {found:?}, expected {expected:?}", at + 1);
    }
    assert_eq!(written.len(), expected.len(), "{golden} has more or fewer lines");
}

#[test]
fn names_that_clash_in_kotlin_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |sdl: &str, more: &[&str], code: i32, part: &str| {
        let path = dir.path().join("app.graphql");
        std::fs::write(&path, sdl).expect("written");
        let output = kotlin(path.to_str().expect("a path of text"), dir.path(), more);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{sdl} {more:?}: {errors}");
        assert!(errors.contains(part), "{sdl} {more:?}: {errors}");
    };
    let named = |name: &str| {
        format!("type {name} @entity(strategy: LAST_WRITE_WINS, scope: \"all\") {{ id: ID! }}")
    };
    check(&named("Thing"), &[], 0, "");
    check(&named("Edit"), &[], 1, "error: LF9014: `Edit` cannot be a type in Kotlin");
    check(&named("Library"), &[], 1, "name the client's class with --client");
    check(&named("Library"), &["--client", "Books"], 0, "");
    check(&named("Thing"), &["--client", "my books"], 2, "write it as Shop");
    check(&named("Thing"), &["--package", "Com..shop"], 2, "");
    check("type Thing { id: ID! }", &[], 3, "LF1201");
}

#[test]
fn names_that_clash_in_swift_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |sdl: &str, code: i32, part: &str| {
        let path = dir.path().join("app.graphql");
        std::fs::write(&path, sdl).expect("written");
        let output = swift(path.to_str().expect("a path of text"), dir.path(), &[]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{sdl}: {errors}");
        assert!(errors.contains(part), "{sdl}: {errors}");
    };
    let of = |name: &str, more: &str| {
        format!(
            "type {name} @entity(strategy: LAST_WRITE_WINS, scope: \"all\") {{ id: ID! {more} }}"
        )
    };
    check(&of("Thing", "default: String"), 0, "");
    check(&of("TableRow", ""), 1, "error: LF9014: `TableRow` cannot be a type in Swift");
    check(&of("Database", ""), 1, "name the client's class with --client");
    check(&of("Thing", "self: String"), 1, "`self` cannot be a field in Swift");
}
