//! What a field says about searching its words.
//!
//! The searched fields of a type share one full-text index on each device, so that one question is
//! asked of all of them and ranked once. The index is the device's own: it holds what the device's
//! row shows, so a column that is hidden from an audience is not searched there either. Regions know
//! nothing of it.

use super::ast::FieldDecl;
use super::diagnostic::{Sink, code};
use super::directives::{Use, Uses};
use super::names::TypeInfo;
use super::{FieldKind, Merge};

/// Most prefix lengths of one index: each makes the index about as large again.
pub const PREFIXES_MAX: usize = 4;

/// Longest prefix that an index is kept for, in characters. Longer ones are found all the same.
pub const PREFIX_CHARS_MAX: u8 = 8;

/// How words are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub tokenizer: Tokenizer,
    /// Lengths of prefixes that are looked up and not scanned for, in characters; ascending.
    pub prefixes: Vec<u8>,
}

/// What a text is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// Words, as Unicode 6.1 has them; case and accents do not count.
    Unicode61,
    /// All runs of three characters: finds the inside of words, and text without spaces.
    Trigram,
}

impl Tokenizer {
    /// As the schema writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unicode61 => "UNICODE61",
            Self::Trigram => "TRIGRAM",
        }
    }
}

/// Names that a full-text table keeps for itself.
const TAKEN: &[&str] = &["rank", "rowid"];

/// What `@search` on the field asks for.
pub(super) fn of_field(
    decl: &FieldDecl,
    uses: &Uses,
    kind: &FieldKind,
    merge: Merge,
    sink: &mut Sink,
) -> Option<Search> {
    let u = uses.get("search")?;
    let name = &decl.name.text;
    let has_words =
        matches!((kind, merge), (FieldKind::String, Merge::Register) | (_, Merge::Text));
    if !has_words {
        sink.report(
            code::SEARCH_PLACE,
            &u.span,
            format!("`{name}` holds `{}`, which has no words to search for", decl.ty),
            "Put @search on a `String` or a `Text`; other fields are found by @index and SQL.",
        );
        return None;
    }
    if TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
        sink.report(
            code::SEARCH_PLACE,
            &u.span,
            format!("a full-text index has a column of its own named `{name}`"),
            format!("Rename the field: `{name}Text: {} @was(name: \"{name}\") @search`.", decl.ty),
        );
        return None;
    }
    let tokenizer = match u.choice("tokenizer") {
        Some(("TRIGRAM", _)) => Tokenizer::Trigram,
        _ => Tokenizer::Unicode61,
    };
    Some(Search { tokenizer, prefixes: prefixes(u, tokenizer, sink)? })
}

fn prefixes(u: &Use, tokenizer: Tokenizer, sink: &mut Sink) -> Option<Vec<u8>> {
    let given = u.wholes("prefix");
    let faults = sink.len();
    if let (Tokenizer::Trigram, Some((_, first))) = (tokenizer, given.first()) {
        sink.report(
            code::SEARCH_OPTIONS,
            &first.span,
            "TRIGRAM looks up runs of three characters, so prefixes have no index",
            "Remove `prefix`: with TRIGRAM any part of a word is found.",
        );
        return None;
    }
    if let Some((_, beyond)) = given.get(PREFIXES_MAX) {
        sink.report(
            code::SEARCH_OPTIONS,
            &beyond.span,
            format!("an index is kept for at most {PREFIXES_MAX} prefix lengths"),
            "Write the lengths after which people look at the list: `prefix: [2, 3]`.",
        );
    }
    let mut lengths: Vec<u8> = Vec::new();
    for (chars, literal) in given {
        match u8::try_from(chars) {
            Ok(chars) if (1..=PREFIX_CHARS_MAX).contains(&chars) => lengths.push(chars),
            _ => {
                let message = format!("a prefix has 1 to {PREFIX_CHARS_MAX} characters here");
                let help =
                    "Longer prefixes are found without an index for them. Write `prefix: [2, 3]`.";
                sink.report(code::SEARCH_OPTIONS, &literal.span, message, help);
            }
        }
    }
    lengths.sort_unstable();
    lengths.dedup();
    (sink.len() == faults).then_some(lengths)
}

/// The searched fields of a type are one index.
pub(super) fn check_agrees(t: &TypeInfo, sink: &mut Sink) {
    let searched = t.members.iter().filter_map(|m| {
        let search = m.field.as_ref()?.search.as_ref()?;
        Some((m, search, m.uses.get("search")?))
    });
    let mut searched = searched;
    let Some((first, wanted, first_use)) = searched.next() else { return };
    for (member, _, u) in searched.filter(|(_, search, _)| *search != wanted) {
        let (this, that) = (&member.decl.name.text, &first.decl.name.text);
        sink.report(
            code::SEARCH_OPTIONS,
            &u.span,
            format!("`{this}` is searched in another way than `{that}`, and they share one index"),
            "Write the same `tokenizer` and `prefix` on all searched fields of a type.",
        )
        .note(&first_use.span, "the other one");
    }
}
