//! Tells the binary which commit and which profile it was built from, for figures that are worth
//! nothing without them.

use std::path::{Path, PathBuf};
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
    println!("cargo::rustc-env=LANDFALL_PROFILE={}", profile());
}

/// The profile's name. Cargo tells only which built-in one it goes back to, but builds each in a
/// directory of its own, above the `build` that this script writes into; that of `dev` is `debug`.
fn profile() -> String {
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    let build = Path::new(&out).ancestors().find(|dir| dir.ends_with("build"));
    let name = build.and_then(Path::parent).and_then(Path::file_name).and_then(|n| n.to_str());
    match name {
        Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
        None => "unknown".to_owned(),
    }
}
