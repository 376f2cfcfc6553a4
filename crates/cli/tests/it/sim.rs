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

#[test]
fn an_unknown_kind_of_trouble_is_named() {
    let output = landfall(&["sim", "--seeds", "1", "--without", "cut,nonsense"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"nonsense\""));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn marks_list_paths_that_no_seed_took() {
    let text = stdout(&landfall(&["sim", "--seeds", "1", "--weather", "calm", "--marks"]));
    assert!(text.contains("       0  region lost\n"), "{text}");
}

#[test]
fn a_failing_seed_is_made_small_and_fails_again_by_its_command() {
    let mutant = ["--mutant", "unsent-row-evicted"];
    let found = json(&[&["sim", "--json"], &mutant[..]].concat());
    let seed = found["failures"][0]["seed"].to_string();
    let shrunk = json(&[&["sim", "--json", "--shrink", &seed], &mutant[..]].concat());
    let (before, after) = (&shrunk["before"], &shrunk["after"]);
    let count = |plan: &serde_json::Value| plan["kinds"].as_array().expect("a list").len();
    assert!(count(after) < count(before), "{shrunk}");
    let command = shrunk["repeat"].as_str().expect("a command");
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--json"]).collect();
    let again = json(&words);
    assert_eq!(again["failures"][0]["checker"], shrunk["checker"], "{command}");
}

#[test]
fn a_seed_that_passes_is_not_shrunk() {
    let output = landfall(&["sim", "--shrink", "1"]);
    assert_eq!(output.status.code(), Some(1));
}
