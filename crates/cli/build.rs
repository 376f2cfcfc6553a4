//! Tells the binary which commit it was built from, for figures that are worth nothing without it.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    // The branch's log grows with each commit; what the binary is made of decides whether it is
    // dirty. Not the tests: editing one must not build the binary anew.
    let crates = std::fs::read_dir("..").into_iter().flatten().flatten();
    let sources = crates.map(|entry| entry.path().join("src"));
    let others = ["../../.git/logs/HEAD", "../../Cargo.lock"].map(PathBuf::from);
    for path in sources.chain(others).filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    let described = Command::new("git").args(describe).output().ok();
    let commit = described
        .filter(|o| o.status.success())
        .and_then(|o| String::from_utf8(o.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |s| s.trim().to_owned());
    println!("cargo::rustc-env=LANDFALL_COMMIT={commit}");
}
