//! The bytes of every stored and sent form, held in `testdata/encoding/`.
//!
//! A file has one data item per line: its bytes in hex, indented by nesting, and behind `#` what
//! they say. `UPDATE_GOLDEN=1 cargo test -p landfall-model --test laws` writes the files anew. A
//! change there is a new format: old bytes must go on being read.

use super::samples;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::hash::name_id;
use landfall_model::id::{DeviceId, Dot, StreamId};
use landfall_model::op::Sealed;
use landfall_model::text::{Document, Text, Version};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/encoding")
}

fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

/// The bytes of a golden file: what stands before `#`.
fn unhex(file: &str) -> Vec<u8> {
    let digits: Vec<u8> = file
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// One line per data item.
fn annotated(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < bytes.len() {
        at = item(bytes, at, 0, &mut out);
    }
    out
}

fn item(bytes: &[u8], at: usize, depth: usize, out: &mut String) -> usize {
    let mut decoder = minicbor::Decoder::new(&bytes[at..]);
    let mut inside = 0;
    use minicbor::data::Type;
    let what = match decoder.datatype().unwrap() {
        Type::Array => {
            inside = decoder.array().unwrap().unwrap();
            format!("array {inside}")
        }
        Type::Map => {
            let pairs = decoder.map().unwrap().unwrap();
            inside = 2 * pairs;
            format!("map {pairs}")
        }
        Type::Bytes => format!("bytes {}", decoder.bytes().unwrap().len()),
        Type::String => format!("text {:?}", decoder.str().unwrap()),
        Type::Bool => format!("{}", decoder.bool().unwrap()),
        Type::Null => {
            decoder.null().unwrap();
            "null".to_owned()
        }
        _ => format!("{}", decoder.int().unwrap()),
    };
    let end = at + decoder.position();
    let line = format!("{}{}", "  ".repeat(depth), hex(&bytes[at..end]));
    writeln!(out, "{line:<44} # {what}").unwrap();
    (0..inside).fold(end, |at, _| item(bytes, at, depth + 1, out))
}

/// The lines that differ, with those around them.
fn diff(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    let mut lines = |mark: char, lines: &[&str]| {
        lines.iter().for_each(|line| writeln!(out, "{mark} {line}").unwrap());
    };
    lines(' ', &old[same.saturating_sub(3)..same]);
    lines('-', &old[same..old.len() - tail]);
    lines('+', &new[same..new.len() - tail]);
    lines(' ', &old[old.len() - tail..][..tail.min(3)]);
    out
}

/// Compare with the file, or write it.
fn hold(file: &str, actual: &str) -> Result<String, String> {
    let path = folder().join(file);
    if update() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).map_err(|e| format!("{file}: {e}"))?;
    if expected == actual {
        return Ok(expected);
    }
    Err(format!("{file} (UPDATE_GOLDEN=1 accepts):\n{}", diff(&expected, actual)))
}

#[test]
fn every_form_has_the_bytes_of_its_file_and_decodes_from_them() {
    let mut faults = Vec::new();
    for sample in samples::all() {
        let file = format!("{}.cbor.hex", sample.name);
        match hold(&file, &annotated(&sample.bytes)) {
            Ok(held) => faults.extend(sample.check(&unhex(&held)).err()),
            Err(fault) => faults.push(fault),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_golden_file_is_left_without_a_form() {
    let known: BTreeSet<String> =
        samples::all().iter().map(|s| format!("{}.cbor.hex", s.name)).collect();
    let listed = fs::read_dir(folder()).unwrap();
    let stray: Vec<String> = listed
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".cbor.hex") && !known.contains(name))
        .collect();
    assert!(stray.is_empty(), "{stray:?}");
}

#[test]
fn numbers_streams_and_fingerprints_are_derived_as_they_were() {
    let mut out = String::new();
    for name in ["Order", "Order.total", "Note", "Note.body", ""] {
        writeln!(out, "name_id {name:?} = {:#010x}", name_id(name)).unwrap();
    }
    for (placement, home) in [(0, "user/42"), (0, "warehouse/lyon"), (3, "catalog"), (1, "")] {
        writeln!(out, "stream {placement} {home:?} = {}", StreamId::of(placement, home).0).unwrap();
    }
    for sample in samples::all().iter().filter(|s| s.name.starts_with("op_")) {
        let fingerprint = Sealed::decode(&sample.bytes).unwrap().fingerprint;
        writeln!(out, "fingerprint {} = {}", sample.name, hex(&fingerprint.0)).unwrap();
    }
    let held = hold("derived.txt", &out);
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

/// The text library's own bytes may change with its version; what is stored must stay readable.
#[test]
fn stored_text_stays_readable() {
    let birth = Dot::new(DeviceId::from_number(1), 1);
    let path = folder().join("text_of_loro_1_17.hex");
    if update() && !path.exists() {
        fs::write(&path, hex(&to_bytes(&loro_text(birth))) + "\n").unwrap();
    }
    let text: Text = from_bytes(&unhex(&fs::read_to_string(&path).unwrap())).unwrap();
    assert_eq!(text.loose_blobs(), 1);
    assert_eq!(text.open(|b| b == birth).unwrap().value(), "héllo wörld 😀");
    assert_eq!(text.canonical(), loro_text(birth).canonical());
}

/// A snapshot of one author's text and a loose blob of another's.
fn loro_text(birth: Dot) -> Text {
    let first = Document::default();
    first.set_author(1);
    first.splice(0, 0, "hello").unwrap();
    first.splice(1, 1, "é").unwrap();
    let update = first.changes_since(&Version::default()).unwrap();
    let mut text = Text::default();
    text.apply(&[birth], Dot::new(DeviceId::from_number(1), 2), &update);
    text.compact().unwrap();
    let second = Document::default();
    second.set_author(2);
    second.import(&update).unwrap();
    let seen = second.version();
    second.splice(5, 0, " wörld 😀").unwrap();
    let update = second.changes_since(&seen).unwrap();
    text.apply(&[birth], Dot::new(DeviceId::from_number(2), 1), &update);
    text
}
