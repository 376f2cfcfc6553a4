//! Arguments that mean nothing are refused, with a code and a word on what to write.

use crate::binary::landfall;
use std::net::TcpListener;

#[track_caller]
fn check(args: &[&str], code: i32, parts: &[&str]) {
    let output = landfall(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    for part in parts {
        assert!(errors.contains(part), "{args:?}: {part:?} is missing in: {errors}");
    }
}

#[test]
fn a_token_for_nobody_or_nothing_is_refused() {
    check(&["token", "--subject", " ", "--scope", "*"], 2, &["LF9008", "--subject anna"]);
    check(&["token", "--subject", "a", "--scope", ""], 2, &["LF9008", "--scope '*'"]);
    check(&["token", "--subject", "a"], 2, &["LF9008", "could do nothing"]);
    check(&["token", "--subject", "a", "--scope", "*", "--days", "0"], 2, &["--days"]);
}

#[test]
fn arguments_that_exclude_each_other_are_refused() {
    check(&["dev", "--schema", "x.graphql", "--phones", "2"], 2, &["--schema", "--phones"]);
    check(&["dev", "--no-phones", "--phones", "2"], 2, &["--no-phones"]);
    check(&["dev", "--phones", "0"], 2, &["--phones"]);
}

#[test]
fn a_world_whose_port_is_taken_leaves_no_file() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("world");
    let place = dir.to_str().unwrap();
    // The page's port, and then a region's.
    for page in [port, port - 1] {
        let page = page.to_string();
        check(&["dev", "--dir", place, "--port", &page], 3, &["LF9002", "try --port"]);
        assert!(!dir.exists());
    }
}

#[test]
fn help_has_the_exit_codes() {
    let output = landfall(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("2  wrong arguments"), "{text}");
}
