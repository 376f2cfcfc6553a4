//! `landfall new`: a project to start from, with a schema that explains itself, and an app in Rust.
//!
//! Nothing is ever written over: the directory must be empty, or not there. Files are written into
//! it one after the other; a directory that is left half-filled by a full disk is told as such and
//! can be removed.
//!
//! Nothing of Landfall is released, so the app needs the SDK's source: from `--sdk`, or from the
//! checkout that this binary was built in, if it is still there.

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use anyhow::Context;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The project's directory; it must be empty, or not there
    dir: PathBuf,
    /// A checkout of Landfall's source, which the app's Cargo.toml is to name
    #[arg(long)]
    sdk: Option<PathBuf>,
}

/// What a project begins with, by name.
const FILES: [(&str, &str); 3] = [
    ("schema.graphql", include_str!("new/project/schema.graphql")),
    (".gitignore", include_str!("new/project/gitignore")),
    ("src/main.rs", include_str!("new/project/src/main.rs")),
];

/// The same, with `{name}` and `{sdk}` to be filled in.
const TEMPLATES: [(&str, &str); 2] = [
    ("README.md", include_str!("new/project/README.md.in")),
    ("Cargo.toml", include_str!("new/project/Cargo.toml.in")),
];

/// The SDK's crate, in a checkout.
const SDK: &str = "crates/device";

/// Where this binary was built.
const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let name = package_name(&args.dir)?;
    refuse_what_is_there(&args.dir)?;
    let sdk = sdk(args.sdk.as_deref())?;
    for (file, text) in FILES {
        write(&args.dir.join(file), text)?;
    }
    for (file, text) in TEMPLATES {
        let text = text.replace("{name}", &name).replace("{sdk}", &sdk_text(file, sdk.as_deref()));
        write(&args.dir.join(file), &text)?;
    }
    announce(&args.dir, sdk.is_some());
    Ok(Exit::Done)
}

/// The directory's name as cargo takes it.
fn package_name(dir: &Path) -> anyhow::Result<String> {
    let absolute = std::path::absolute(dir).context("the current directory")?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().map(letter).collect();
    let name = name.trim_matches('-').to_owned();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(name);
    }
    Ok(format!("app-{name}").trim_end_matches('-').to_owned())
}

fn refuse_what_is_there(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    let in_the_way = |message: String| Err(fault::new(code::IN_THE_WAY, message));
    match std::fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => in_the_way(format!(
                "{shown} is not empty, and nothing is written over; name a new directory"
            )),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            in_the_way(format!("{shown} is a file; name a new directory"))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

/// The SDK's directory; `None` if nobody says where it is.
fn sdk(given: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let in_checkout = |dir: &Path| {
        let sdk = dir.join(SDK);
        sdk.join("Cargo.toml").is_file().then(|| sdk.canonicalize().ok())?
    };
    let Some(dir) = given else { return Ok(in_checkout(Path::new(BUILT_IN))) };
    match in_checkout(dir) {
        Some(sdk) => Ok(Some(sdk)),
        None => {
            let message = format!(
                "{} holds no {SDK}; --sdk names a checkout of Landfall's source",
                dir.display()
            );
            Err(fault::new(code::ARGUMENTS, message))
        }
    }
}

/// What a file says of how the app gets the SDK.
fn sdk_text(file: &str, sdk: Option<&Path>) -> String {
    let path = sdk.map(|p| p.display().to_string());
    match (file, path) {
        // A literal string of TOML takes no escapes.
        ("Cargo.toml", Some(path)) => format!("landfall-device = {{ path = '{path}' }}"),
        ("Cargo.toml", None) => "\
# Write where that is, and remove the `#`:
# landfall-device = { path = \"…/landfall/crates/device\" }
# or, from your own copy of its repository:
# landfall-device = { git = \"…\", rev = \"…\" }"
            .to_owned(),
        (_, Some(_)) => "\
Nothing of Landfall is released yet. `Cargo.toml` names the SDK by its path in a checkout on this machine; for others
who build the app, put the checkout beside it and make the path relative, or name your copy's git address and revision.
The first build compiles SQLite and takes a few minutes."
            .to_owned(),
        (_, None) => "\
Nothing of Landfall is released yet, so `cargo run` needs its source: write into `Cargo.toml` where it lies.
The first build compiles SQLite and takes a few minutes."
            .to_owned(),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(path).with_context(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(failed)
}

fn announce(dir: &Path, sdk: bool) {
    let colour = terminal::stdout_colour();
    let shown = dir.to_string_lossy();
    let quoted = shlex::try_quote(&shown).unwrap_or_default();
    terminal::say(terminal::bold(&format!("{} is ready. Next:", dir.display()), colour));
    terminal::say(format!("\n  cd {quoted}\n  landfall dev --schema schema.graphql\n"));
    terminal::say("It says what to type into a second terminal. README.md has the rest.");
    if !sdk {
        terminal::say("For the app in Rust, Cargo.toml must be told where Landfall's source is.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_name_to_the_package() {
        let check = |dir: &str, expected: &str| {
            assert_eq!(package_name(Path::new(dir)).expect("a name"), expected, "{dir}");
        };
        check("/tmp/workshop", "workshop");
        check("/tmp/My Shop", "my-shop");
        check("/tmp/2nd", "app-2nd");
        check("/tmp/Ünder", "nder");
        check("/tmp/…", "app");
    }
}
