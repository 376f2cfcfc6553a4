//! Who may use whom. The table is HOUSE law: an edge that it lacks needs an ADR and a line here.

use super::{assert_holds, tree};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What each crate may use of ours, as normal, build or dev dependency alike: a test that needs
/// both a device and a region belongs to `sim` or `cli`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sync", &["model"]),
    ("tls", &[]),
    ("disk", &[]),
    ("device", &["model", "sync", "tls", "disk"]),
    ("region", &["model", "sync", "tls", "disk", "media", "insight"]),
    ("media", &[]),
    ("insight", &[]),
    ("edge", &["model", "sync"]),
    ("chaos", &["model", "sync"]),
    ("sim", &["model", "sync", "device", "region"]),
    ("testkit", &["model", "sync", "device"]),
    ("fuzz", &["model", "sync", "device", "region"]),
    ("cli", &["model", "sync", "device", "region", "media", "insight", "edge", "chaos", "sim"]),
    // bindings/
    ("ffi", &["device", "model", "testkit"]),
    ("web", &["device", "model", "testkit"]),
];

/// Outside crates that only some of ours may use, dev dependencies apart.
const OWNED: &[(&str, &[&str])] = &[
    ("axum", &["region"]),
    ("clap", &["cli"]),
    ("rustls", &["tls"]),
    ("tokio-rustls", &["tls"]),
    ("tracing-subscriber", &["cli"]),
];

/// The crates without clock, randomness, thread, socket, file or async runtime, and the outside
/// crates that would bring them in.
const PURE: &[&str] = &["model", "sync"];
const IMPURE: &[&str] = &[
    "async-trait",
    "axum",
    "futures-util",
    "getrandom",
    "h2",
    "hyper",
    "hyper-util",
    "rand",
    "rusqlite",
    "tempfile",
    "tokio",
    "tracing-subscriber",
];

#[derive(Debug, PartialEq)]
struct Edge {
    from: String,
    to: String,
    /// One of ours (by path) or an outside crate.
    ours: bool,
    dev: bool,
}

#[test]
fn workspace_keeps_to_the_dependency_table() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut violations: Vec<String> = packages.iter().filter_map(misplaced).collect();
    let edges: Vec<Edge> = packages.iter().flat_map(edges).collect();
    violations.extend(edges.iter().filter_map(violation));
    assert_holds("only the edges of MAY_USE exist (crates/cli/tests/it/house)", violations);
}

#[test]
fn forbidden_edges_are_seen() {
    let check = |from: &str, to: &str, ours: bool, dev: bool, forbidden: bool| {
        let edge = Edge { from: from.into(), to: to.into(), ours, dev };
        assert_eq!(violation(&edge).is_some(), forbidden, "{edge:?}");
    };
    check("sync", "model", true, false, false);
    check("model", "sync", true, false, true);
    check("device", "region", true, false, true);
    check("region", "device", true, true, true);
    check("region", "region", true, true, false);
    check("unheard-of", "model", true, false, true);
    check("model", "unheard-of", true, false, true);
    check("model", "tokio", false, false, true);
    check("model", "proptest", false, true, false);
    check("device", "tokio", false, false, false);
    check("device", "axum", false, false, true);
    check("region", "axum", false, false, false);
    check("region", "rustls", false, false, true);
}

/// Why this edge must not exist, or `None`.
fn violation(edge: &Edge) -> Option<String> {
    let Edge { from, to, ours, dev } = edge;
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| name == from) else {
        return Some(format!("{from}: not in the table"));
    };
    if *ours {
        let allowed = from == to || may_use.contains(&to.as_str());
        return (!allowed).then(|| format!("{from} -> {to}: not in the table"));
    }
    if *dev {
        return None;
    }
    if PURE.contains(&from.as_str()) && IMPURE.contains(&to.as_str()) {
        return Some(format!("{from} -> {to}: {from} is pure"));
    }
    let (_, owners) = OWNED.iter().find(|(name, _)| name == to)?;
    (!owners.contains(&from.as_str())).then(|| format!("{from} -> {to}: only {owners:?} use it"))
}

/// A package is called after its folder: `crates/model` holds `landfall-model`, `crates/cli` the
/// binary `landfall`. It stands in the table even when nothing is on either side of it.
fn misplaced(package: &Value) -> Option<String> {
    let name = package["name"].as_str().expect("name");
    let folder = folder_of(package);
    let expected = match folder.as_str() {
        "cli" => "landfall".to_owned(),
        other => format!("landfall-{other}"),
    };
    if name != expected {
        return Some(format!("{folder}: its package is {name}, not {expected}"));
    }
    let known = MAY_USE.iter().any(|(known, _)| *known == folder);
    (!known).then(|| format!("{folder}: not in the table"))
}

fn edges(package: &Value) -> Vec<Edge> {
    let from = folder_of(package);
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    let edge = |dependency: &Value| {
        let path = dependency["path"].as_str();
        let to = match path {
            Some(path) => file_name(Path::new(path)),
            None => dependency["name"].as_str().expect("name").to_owned(),
        };
        let dev = dependency["kind"].as_str() == Some("dev");
        Edge { from: from.clone(), to, ours: path.is_some(), dev }
    };
    dependencies.iter().map(edge).collect()
}

fn folder_of(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().expect("manifest_path"));
    file_name(manifest.parent().expect("a manifest lies in a folder"))
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a folder has a name").to_string_lossy().into_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(tree::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}
