//! The files of the checkout, without what tools put there.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that no rule looks into: made by tools, and ignored by git.
const SKIPPED_DIRECTORIES: &[&str] = &[".git", ".landfall", "node_modules", "target"];

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Path::parent)
        .expect("crates/cli is two levels below the root")
}

/// Every file below `directory` (relative to the root), relative to the root, in order of name.
/// A directory that does not exist has no files.
pub fn files(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(directory), &mut found);
    found.sort();
    found
}

/// The files below `directory` whose name ends in `.extension`.
pub fn files_with_extension(directory: &str, extension: &str) -> Vec<PathBuf> {
    let wanted = |path: &PathBuf| path.extension().is_some_and(|it| it == extension);
    files(directory).into_iter().filter(wanted).collect()
}

/// The text of a file; `None` when it is not UTF-8 (an image, a golden file) or has just been
/// removed.
pub fn text(path: &Path) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

pub fn exists(path: &Path) -> bool {
    root().join(path).exists()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        // Not `path.is_dir()`: a symbolic link could lead out of the checkout, or in a circle.
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if !SKIPPED_DIRECTORIES.contains(&entry.file_name().to_string_lossy().as_ref()) {
                collect(&path, found);
            }
        } else if kind.is_file() {
            found.push(path.strip_prefix(root()).expect("below the root").to_path_buf());
        }
    }
}
