//! Runs the binary as a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate's place")
}

pub(crate) fn landfall(args: &[&str]) -> Output {
    landfall_in(&repository(), args)
}

pub(crate) fn landfall_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("the binary starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is text")
}

pub(crate) fn json(args: &[&str]) -> serde_json::Value {
    let output = landfall(args);
    let text = stdout(&output);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}\n{errors}"))
}
