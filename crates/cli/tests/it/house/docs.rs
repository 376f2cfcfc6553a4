//! Documents that still name things which exist, and things that have their document.

use super::{assert_holds, sources, tree};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The hosts of package registries and toolchain servers. Which mirror a build uses is the
/// machine's business, so none of them is named in the project. Written in two parts, so that
/// this file does not name them either.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("yarnpkg", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("rubygems", ".org"),
    concat!("maven.apache", ".org"),
    concat!("static.rust-lang", ".org"),
    concat!("sh.rustup", ".rs"),
    concat!("deb.debian", ".org"),
];

/// How ARCHITECTURE.md marks a line that names something not built yet.
const TO_CONFIRM: &str = "(to confirm)";

#[test]
fn no_file_names_a_registry_host() {
    // Cargo writes the name of its default registry into its lock file.
    let files = tree::files(".").into_iter().filter(|path| path != Path::new("Cargo.lock"));
    let mut violations = Vec::new();
    for path in files {
        let Some(text) = tree::text(&path) else {
            continue;
        };
        let named = REGISTRY_HOSTS.iter().filter(|host| text.contains(**host));
        violations.extend(named.map(|host| format!("{}: {host}", path.display())));
    }
    assert_holds("no file names a registry host", violations);
}

#[test]
fn every_error_code_has_its_documentation() {
    let documented = documented_codes();
    let mut violations = BTreeSet::new();
    for (path, file) in sources::all_production_files() {
        let codes = file.strings.iter().flat_map(|(_, text)| error_codes(text));
        let missing = codes.filter(|code| !documented.contains(code));
        violations.extend(missing.map(|code| format!("{code} ({})", path.display())));
    }
    let violations = violations.into_iter().collect();
    assert_holds("every LF code has a page or a table row below docs/", violations);
}

#[test]
fn every_decision_is_in_the_index() {
    let index = tree::text(Path::new("docs/adr/README.md")).expect("docs/adr/README.md");
    let not_a_record = ["README.md", "template.md"].map(|it| Path::new("docs/adr").join(it));
    let records = tree::files_with_extension("docs/adr", "md");
    let records = records.into_iter().filter(|path| !not_a_record.contains(path));
    let names =
        records.map(|path| path.file_name().expect("a file").to_string_lossy().into_owned());
    let missing = names.filter(|name| !index.contains(&format!("]({name})")));
    assert_holds("docs/adr/README.md links every record", missing.collect());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut violations = Vec::new();
    for path in tree::files_with_extension(".", "md") {
        let text = tree::text(&path).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let broken = relative_links(&text).into_iter().filter(|it| !tree::exists(&folder.join(it)));
        violations.extend(broken.map(|link| format!("{}: {link}", path.display())));
    }
    assert_holds("relative links name files that exist", violations);
}

#[test]
fn architecture_names_files_that_exist() {
    let text = architecture();
    let lines = text.lines().filter(|line| !line.contains(TO_CONFIRM));
    let words =
        lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || "`|();,:".contains(c)));
    let paths = words.filter(|it| it.contains("/src/") || it.contains("/tests/"));
    let missing = paths.filter(|it| !tree::exists(&Path::new("crates").join(it)));
    let missing = missing.map(str::to_owned).collect();
    assert_holds("a file that ARCHITECTURE.md names is there, below crates/", missing);
}

#[test]
fn architecture_names_tests_that_exist() {
    let text = architecture();
    let tables = text.lines().filter(|line| line.starts_with('|') && !line.contains(TO_CONFIRM));
    // Nothing else on the page has a name of so many words.
    let tests: Vec<&str> =
        tables.flat_map(quoted).filter(|it| it.matches('_').count() >= 3).collect();
    assert!(tests.len() > 20, "the tables have changed their form");
    let sources = tree::files_with_extension("crates", "rs");
    let sources: Vec<String> = sources.iter().filter_map(|path| tree::text(path)).collect();
    let is_there = |test: &&str| {
        let name = test.rsplit("::").next().expect("rsplit gives at least one part");
        let function = format!("fn {name}(");
        sources.iter().any(|text| text.contains(&function))
    };
    let missing = tests.into_iter().filter(|test| !is_there(test)).map(str::to_owned).collect();
    assert_holds("a test that ARCHITECTURE.md names is there", missing);
}

#[test]
fn codes_and_links_are_read() {
    assert_eq!(error_codes("see LF0101, LF01 and xLF0102; not LF01034"), ["LF0101"]);
    assert_eq!(
        relative_links("[a](b.md#c) [d](https://e) [f](#g) ![h](../i.png)"),
        ["b.md", "../i.png"]
    );
    assert_eq!(quoted("| I1 | `a::b` and `c` |"), ["a::b", "c"]);
}

fn architecture() -> String {
    tree::text(Path::new("ARCHITECTURE.md")).expect("ARCHITECTURE.md")
}

/// Codes with a page `docs/errors/LF0101.md`, or with a heading or a table row in a document.
fn documented_codes() -> BTreeSet<String> {
    let is_decision = |path: &PathBuf| path.starts_with("docs/adr");
    let mut codes = BTreeSet::new();
    for path in tree::files_with_extension("docs", "md").iter().filter(|it| !is_decision(it)) {
        codes.extend(error_codes(&path.file_stem().unwrap_or_default().to_string_lossy()));
        let text = tree::text(path).unwrap_or_default();
        let rows = text.lines().filter(|line| line.starts_with(['|', '#']));
        codes.extend(rows.flat_map(error_codes));
    }
    codes
}

/// The `LF` + four digits that stand as words in `text`.
fn error_codes(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_code = |word: &&str| {
        let digits = word.strip_prefix("LF").unwrap_or_default();
        digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_digit())
    };
    words.filter(is_code).map(str::to_owned).collect()
}

/// The targets of `[text](target)` that are files of ours, without their `#anchor`.
fn relative_links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter_map(|target| target.split('#').next());
    let ours = files.filter(|it| !it.is_empty() && !it.contains(':') && !it.contains(' '));
    ours.map(str::to_owned).collect()
}

/// What stands between backticks.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}
