//! `landfall directory`: the list of regions that devices are given, signed.
//!
//! The operator keeps a JSON file and signs it with a key that no region holds; regions hand the
//! signed list out, and apps are built with the public key. docs/operating.md tells the whole.

use crate::exit::Exit;
use crate::fault::{self, code};
use crate::terminal;
use crate::world::OsEntropy;
use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use landfall_region::auth::Secret;
use landfall_sync::region::node::Directory;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// URLs that a device reads of a list, over all regions.
const URLS_MAX: usize = 64;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Sign a list of regions and print it, for `directory` in the regions' configurations
    Sign {
        /// The list (JSON): {"version": 1, "regions": [{"name": "eu", "urls": ["https://…"]}]}
        list: PathBuf,
        /// The private key; made if it is not there. Keep it off the regions' machines
        #[arg(long)]
        key: PathBuf,
    },
    /// Print the public key that apps are built with
    Key {
        /// The private key; made if it is not there
        #[arg(long)]
        key: PathBuf,
    },
}

/// The file. Unknown keys are errors: a region that drains by a misspelt word does not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Devices take a higher one only.
    version: u64,
    /// In order of preference.
    regions: Vec<Listed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    /// The first is used; the others are for the day on which its name is not found.
    urls: Vec<String>,
    /// Devices use it only when no other region answers.
    #[serde(default)]
    draining: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::Sign { list, key } => terminal::say(sign(&read_list(&list)?, &signing(&key)?)),
        Command::Key { key } => {
            terminal::say(BASE64.encode(signing(&key)?.verifying_key().to_bytes()));
        }
    }
    Ok(Exit::Done)
}

fn signing(path: &Path) -> anyhow::Result<SigningKey> {
    let secret = Secret::load_or_create(path, &OsEntropy)?;
    Ok(SigningKey::from_bytes(secret.bytes()))
}

fn read_list(path: &Path) -> anyhow::Result<List> {
    let file = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {file}"))?;
    let wrong = |message: String| fault::new(code::CONFIGURATION, format!("{file}: {message}"));
    // The message ends with line and column.
    let list: List = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if list.version == 0 {
        return Err(wrong("versions begin with 1".to_owned()));
    }
    let urls: Vec<&String> = list.regions.iter().flat_map(|r| &r.urls).collect();
    let is_url = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    if let Some(url) = urls.iter().find(|url| !is_url(url)) {
        return Err(wrong(format!(
            "`{url}` is no URL; write https://host, or http://host:port for a test"
        )));
    }
    if let Some(region) = list.regions.iter().find(|r| r.urls.is_empty() || r.name.is_empty()) {
        return Err(wrong(format!("region `{}` needs a name and at least one URL", region.name)));
    }
    if urls.is_empty() || urls.len() > URLS_MAX {
        return Err(wrong(format!("{} URLs; a list has 1 to {URLS_MAX}", urls.len())));
    }
    Ok(list)
}

/// A JSON Web Signature in compact form.
fn sign(list: &List, key: &SigningKey) -> String {
    let payload = serde_json::to_vec(list).expect("a list can be written");
    let signed = format!("{}.{}", BASE64.encode(r#"{"alg":"EdDSA"}"#), BASE64.encode(payload));
    let signature = key.sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", BASE64.encode(signature))
}

/// A signed list, for a region to hand out. It has no key to look at the signature with.
pub(crate) fn read(path: &Path) -> anyhow::Result<Directory> {
    let file = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {file}"))?;
    let jws = text.trim().to_owned();
    let payload = jws.split('.').nth(1).and_then(|payload| BASE64.decode(payload).ok());
    let list = payload.and_then(|bytes| serde_json::from_slice::<List>(&bytes).ok());
    let Some(List { version, .. }) = list else {
        let message = format!("{file} is no signed list; `landfall directory sign` makes one");
        return Err(fault::new(code::CONFIGURATION, message));
    };
    Ok(Directory { version, jws })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<List, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        read_list(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_signed_list_says_its_version() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = r#"{"version": 7, "regions": [{"name": "eu", "urls": ["https://eu.example"]}]}"#;
        let jws = sign(&list(text).expect("a list"), &SigningKey::from_bytes(&[1; 32]));
        std::fs::write(file.path(), format!("{jws}\n")).expect("written");
        let read = read(file.path()).expect("signed");
        assert_eq!((read.version, read.jws), (7, jws));
    }

    #[test]
    fn lists_that_mean_nothing_are_refused_with_a_reason() {
        let check = |text: &str, reason: &str| {
            let told = list(text).expect_err("a fault");
            assert!(told.contains(reason), "{told}");
        };
        check("{\n\"version\": 1, \"regoins\": []}", "line 2 column 23");
        check(r#"{"version": 0, "regions": []}"#, "begin with 1");
        check(r#"{"version": 1, "regions": []}"#, "0 URLs");
        check(r#"{"version": 1, "regions": [{"name": "a", "urls": []}]}"#, "`a` needs");
        check(r#"{"version": 1, "regions": [{"name": "a", "urls": ["a:1"]}]}"#, "`a:1` is no URL");
    }
}
