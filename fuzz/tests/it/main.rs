//! Every input that is kept, and a fixed number of changes to them, through every target: no
//! instrumented build, a few seconds, and the same inputs each time.
//!
//! What a coverage-guided run finds is copied into the corpus, so what it found once is tried in
//! every later run of this.

mod memory;
mod mutate;

use landfall_fuzz::{TARGETS, Target};
use mutate::Mutator;
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

/// All that is kept may take so many bytes in the repository.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

/// Changed inputs per target.
const CHANGED: usize = 400;

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting;

fn folder(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The kept inputs of a target, by name.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder(target)).unwrap_or_else(|e| panic!("{}: {e}", target.name));
    let read = |file: fs::DirEntry| {
        let bytes = fs::read(file.path()).expect("a file of the corpus can be read");
        (file.file_name().to_string_lossy().into_owned(), bytes)
    };
    let mut inputs: Vec<_> = files.map(|file| read(file.expect("an entry"))).collect();
    inputs.sort();
    inputs
}

/// Run one input, and say which it was if it fails.
fn check(target: &Target, name: &str, input: &[u8]) {
    let before = memory::begin();
    let done = catch_unwind(|| (target.run)(input));
    let taken = memory::peak_since(before);
    let shown = || input.escape_ascii().to_string();
    assert!(done.is_ok(), "{}/{name} breaks it: b\"{}\"", target.name, shown());
    let most = target.memory_max;
    assert!(taken <= most, "{}/{name} takes {taken} bytes of {most}", target.name);
}

#[test]
fn every_input_that_is_kept_is_taken_or_refused() {
    for target in TARGETS {
        // What a target makes once for all of its inputs is not an input's.
        (target.run)(b"");
        let inputs = corpus(target);
        assert!(!inputs.is_empty(), "{} has no input", target.name);
        for (name, input) in inputs {
            check(target, &name, &input);
        }
    }
}

#[test]
fn changes_to_inputs_are_taken_or_refused() {
    for (nth, target) in TARGETS.iter().enumerate() {
        let inputs: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(nth as u64);
        for round in 0..CHANGED {
            let input = mutator.changed(&inputs, target.bytes_max);
            check(target, &format!("changed {round}"), &input);
        }
    }
}

#[test]
fn the_corpus_is_small_and_nothing_else_lies_in_it() {
    let known: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(known.len(), TARGETS.len(), "two targets have one name");
    let all = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut bytes = 0;
    for entry in fs::read_dir(all).expect("the corpus").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(known.contains(&*name), "corpus/{name} belongs to no target");
        for file in fs::read_dir(entry.path()).expect("a folder") {
            bytes += file.and_then(|file| file.metadata()).expect("a file").len();
        }
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "the corpus has {bytes} bytes");
}

/// Writes the inputs that targets make of themselves into the corpus: see CONTRIBUTING.md.
#[test]
#[ignore = "writes into the repository; run it by name when a target's valid inputs change"]
fn write_seeds() {
    for target in TARGETS {
        fs::create_dir_all(folder(target)).expect("the corpus can be written");
        for (name, input) in (target.seeds)() {
            fs::write(folder(target).join(name), input).expect("the corpus can be written");
        }
    }
}
