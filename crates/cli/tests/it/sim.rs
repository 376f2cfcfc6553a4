//! `landfall sim`.

use crate::binary::{json, landfall, stdout};

#[test]
fn a_run_ends_with_its_count() {
    let output = landfall(&["sim", "--seeds", "3"]);
    let text = stdout(&output);
    assert_eq!(text.lines().last(), Some("3 passed, 0 failed"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_unknown_mutant_is_named() {
    let output = landfall(&["sim", "--mutant", "nonsense"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"nonsense\""));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn no_worlds_and_no_threads_are_refused() {
    for nothing in [["sim", "--seeds", "0"], ["sim", "--jobs", "0"]] {
        assert_eq!(landfall(&nothing).status.code(), Some(2), "{nothing:?}");
    }
}

#[test]
fn json_says_the_same() {
    let report = json(&["sim", "--seeds", "2", "--json"]);
    assert_eq!((&report["passed"], &report["failed"]), (&2.into(), &0.into()));
}
