//! What a crate's source must not contain: its invariants of absence.
//!
//! Only production code is read: `src/` without comments, `#[cfg(test)]` items and the files of
//! test-only modules.

use super::rust::RustFile;
use super::{assert_holds, tree};
use std::path::{Path, PathBuf};

/// Clocks, threads, files, sockets, async runtimes: with none of these a state machine gives the
/// same answers in production, in a browser and in the simulator.
const IMPURE_PATHS: &[&str] = &[
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
];

/// A string that begins with one of these, and then a space or the end of the line, is SQL.
const SQL_VERBS: &[&str] =
    &["ALTER", "CREATE", "DELETE", "DROP", "INSERT", "PRAGMA", "REPLACE", "SELECT", "UPDATE"];

#[test]
fn pure_crates_know_no_clock_thread_file_socket_or_runtime() {
    let mut violations = Vec::new();
    for (path, file) in production_files(&["model", "sync"]) {
        for impure in IMPURE_PATHS {
            let lines = file.lines_with_path(impure);
            violations.extend(lines.iter().map(|line| at(&path, *line, impure)));
        }
    }
    assert_holds("model and sync take time, randomness and I/O as arguments", violations);
}

#[test]
fn sql_is_written_only_in_a_store() {
    let mut violations = Vec::new();
    for (path, file) in production_files(&all_crates()) {
        if !may_hold_sql(&path) {
            let sql = file.strings.iter().filter(|(_, text)| is_sql(text));
            violations.extend(sql.map(|(line, text)| at(&path, *line, text)));
        }
    }
    let scripts = tree::files_with_extension("crates", "sql");
    let astray = scripts.iter().filter(|path| !may_hold_sql(path) && !is_test_data(path));
    violations.extend(astray.map(|path| path.display().to_string()));
    assert_holds("SQL is written only below a crate's store/", violations);
}

#[test]
fn http_framework_types_stay_in_the_region_api() {
    let in_api = |path: &Path| {
        path.starts_with("crates/region/src/api") || path == Path::new("crates/region/src/api.rs")
    };
    let files = production_files(&all_crates()).into_iter().filter(|(path, _)| !in_api(path));
    let violations = lines_with_paths(files, &["axum"]);
    assert_holds("axum is known only in crates/region/src/api", violations);
}

#[test]
fn only_the_binary_reads_arguments_and_environment() {
    let outside_cli: Vec<String> = all_crates().into_iter().filter(|it| it != "cli").collect();
    let violations = lines_with_paths(production_files(&outside_cli), &["std::env"]);
    assert_holds("only crates/cli reads arguments and environment", violations);
}

#[test]
fn every_module_opens_with_prose() {
    let files =
        ["crates", "bindings", "fuzz"].map(|it| tree::files_with_extension(it, "rs")).concat();
    let opens = |path: &PathBuf| tree::text(path).is_none_or(|text| text.starts_with("//! "));
    let silent = files.iter().filter(|path| !opens(path));
    let violations = silent.map(|path| path.display().to_string()).collect();
    assert_holds("every module begins with a //! line that says what it is for", violations);
}

#[test]
fn sql_is_told_from_prose() {
    let check = |text: &str, expected: bool| assert_eq!(is_sql(text), expected, "{text:?}");
    check("SELECT 1", true);
    check("\n            INSERT INTO t VALUES (1)", true);
    check("CREATE\n TABLE t", true);
    check("DELETE", false);
    check("Select a region", false);
    check("SELECTED", false);
    check("the word SELECT", false);
}

/// Stores, and what reads a device's tables as an app does.
fn may_hold_sql(path: &Path) -> bool {
    let in_store = path.components().any(|it| it.as_os_str() == "store");
    let is_store = path.file_name().is_some_and(|it| it == "store.rs");
    // The replay, a benchmark's devices, the phones of `landfall dev` and what `landfall new` makes
    // are apps: they read their tables by plain SQL.
    let apps = [
        "crates/cli/src/replay",
        "crates/cli/src/bench/bootstrap.rs",
        "crates/cli/src/dev/phones.rs",
        "crates/cli/src/new/project",
    ];
    in_store || is_store || apps.iter().any(|app| path.to_string_lossy().starts_with(app))
}

fn is_test_data(path: &Path) -> bool {
    path.components().any(|it| it.as_os_str() == "testdata" || it.as_os_str() == "tests")
}

fn is_sql(text: &str) -> bool {
    let text = text.trim_start();
    SQL_VERBS.iter().any(|verb| {
        text.strip_prefix(verb).is_some_and(|rest| rest.starts_with([' ', '\n', '\t', '\\']))
    })
}

fn lines_with_paths(
    files: impl IntoIterator<Item = (PathBuf, RustFile)>,
    forbidden: &[&str],
) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, file) in files {
        for word in forbidden {
            let lines = file.lines_with_path(word);
            violations.extend(lines.iter().map(|line| at(&path, *line, word)));
        }
    }
    violations
}

fn at(path: &Path, line: usize, what: &str) -> String {
    let what: String = what.trim().chars().take(60).collect();
    format!("{}:{line}: {what}", path.display())
}

/// The folders below `crates/`.
fn all_crates() -> Vec<String> {
    let manifests = tree::files("crates").into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let folder = |path: PathBuf| {
        let folder = path.parent().and_then(Path::file_name);
        folder.expect("crates/<name>/Cargo.toml").to_string_lossy().into_owned()
    };
    manifests.map(folder).collect()
}

/// The files of these crates' `src/`, without those that only tests see.
pub fn production_files<S: AsRef<str>>(crates: &[S]) -> Vec<(PathBuf, RustFile)> {
    let sources = crates
        .iter()
        .flat_map(|it| tree::files_with_extension(&format!("crates/{}/src", it.as_ref()), "rs"));
    let files: Vec<(PathBuf, RustFile)> = sources
        .filter_map(|path| tree::text(&path).map(|text| (path, RustFile::parse(&text))))
        .collect();
    let test_modules: Vec<PathBuf> =
        files.iter().flat_map(|(path, it)| test_modules(path, it)).collect();
    let production = |path: &Path| {
        !test_modules.iter().any(|test| path.starts_with(test) || path == test.with_extension("rs"))
    };
    files.into_iter().filter(|(path, _)| production(path)).collect()
}

/// Where a file's test-only modules are: `foo.rs` has its modules in `foo/`, a root in its own
/// folder.
fn test_modules(path: &Path, file: &RustFile) -> Vec<PathBuf> {
    let is_root = ["lib.rs", "main.rs", "mod.rs"].iter().any(|root| path.ends_with(root));
    let folder = if is_root { path.with_file_name("") } else { path.with_extension("") };
    file.test_modules.iter().map(|name| folder.join(name)).collect()
}

/// Every production file of the workspace.
pub fn all_production_files() -> Vec<(PathBuf, RustFile)> {
    production_files(&all_crates())
}
