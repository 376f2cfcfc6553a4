//! Syntax errors in words that help.
//!
//! The parser recovers from an error and goes on, which finds the next error too, but also makes
//! one slip into many. So a definition tells only its first syntax error, and every bad character
//! after it, and what it declares is not checked further.

use super::diagnostic::{Sink, Span, code, floor_char_boundary, nearest};
use apollo_parser::Error;

/// A definition's extent in the source.
#[derive(Debug)]
pub(super) struct Extent {
    pub start: usize,
    /// `{ … }` with no keyword: nearly always what is left of a definition that did not parse.
    pub bare: bool,
}

/// The message for a string that its line ends.
pub(super) const OPEN_STRING: &str = "unterminated string value";

/// Words that begin a definition of GraphQL.
const KEYWORDS: &[&str] =
    &["type", "enum", "interface", "union", "input", "scalar", "extend", "directive"];

/// Reports the errors; says for each definition whether it could be read.
pub(super) fn report(
    source: &str,
    errors: &[Error],
    extents: &[Extent],
    sink: &mut Sink,
) -> Vec<bool> {
    let starts: Vec<usize> = extents.iter().filter(|e| !e.bare).map(|e| e.start).collect();
    let group_of = |offset: usize| starts.partition_point(|s| *s <= offset);
    let mut told_group: Option<usize> = None;
    let mut told_line: Option<usize> = None;
    let mut line = 0;
    let mut line_counted_to = 0;
    let mut any = vec![false; starts.len() + 1];
    let mut unreadable = vec![false; starts.len() + 1];
    let mut errors: Vec<&Error> = errors.iter().collect();
    errors.sort_by_key(|e| e.index());
    for error in errors {
        let group = group_of(error.index());
        any[group] = true;
        unreadable[group] |= !between_definitions(error.message());
        // Counted on from the last error, so that many errors on one long line cost little.
        let here = error.index().clamp(line_counted_to, source.len());
        line += source.as_bytes()[line_counted_to..here].iter().filter(|b| **b == b'\n').count();
        line_counted_to = here;
        let first = told_group != Some(group);
        let certain = is_lexical(error.message()) || is_stray_word(source, error);
        if first || (certain && told_line != Some(line)) {
            explain(source, error, sink);
            told_line = Some(line);
        }
        told_group = Some(group);
        if sink.is_full() {
            break;
        }
    }
    extents
        .iter()
        .map(|e| {
            let group = group_of(e.start);
            if e.bare { !any[group] } else { !unreadable[group] }
        })
        .collect()
}

/// True for errors in the text around definitions, which leave the definitions whole.
fn between_definitions(message: &str) -> bool {
    message == "expected definition"
        || message.starts_with("expected a definition")
        || message.starts_with("expected a StringValue, Name or")
        || message.starts_with("Unexpected <EOF>")
}

/// True for a word at a line's very start where a definition should begin: people indent what is
/// inside a definition, so this is one of its own and not the rest of a broken one.
fn is_stray_word(source: &str, error: &Error) -> bool {
    let at = error.index();
    between_definitions(error.message())
        && source.as_bytes().get(at).is_some_and(u8::is_ascii_alphabetic)
        && (at == 0 || source.as_bytes()[at - 1] == b'\n')
}

/// True for errors of the lexer: the parser behind it is not confused by them.
fn is_lexical(message: &str) -> bool {
    [
        "Unexpected character",
        "Unexpected EOF",
        "Numbers must not",
        "Unterminated",
        "unterminated",
        "unexpected line",
        "unexpected end",
        "unexpected escaped",
        "incomplete unicode",
        "invalid unicode",
        "unicode escape",
        "unpaired surrogate",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

fn explain(source: &str, error: &Error, sink: &mut Sink) {
    let span = span_of(source, error);
    let found = match source[span.clone()].trim() {
        _ if error.is_eof() || error.index() >= source.trim_end().len() => {
            "the end of the file".to_owned()
        }
        text => format!("`{text}`"),
    };
    if let Some((word, rest)) = swallowed_definition(source, error) {
        sink.report(
            code::SYNTAX,
            &word,
            format!("a `}}` is missing before `{} {rest}`", &source[word.clone()]),
            "Close the definition above with `}`.",
        );
        return;
    }
    let (message, help) = match error.message() {
        m if is_lexical(m) => lexical(m, &source[span.clone()]),
        m if between_definitions(m) => {
            let help = stray(source[span.clone()].trim());
            (format!("expected a definition, found {found}"), help)
        }
        m => grammatical(m, &found),
    };
    sink.report(code::SYNTAX, &span, message, help);
}

/// What the grammar wanted.
fn grammatical(message: &str, found: &str) -> (String, String) {
    let (wanted, help) = if message.starts_with("expected R_CURLY") {
        ("another member or `}`", "A field is `name: Type`; a definition ends with `}`.")
    } else if message.starts_with("expected R_PAREN") {
        ("another argument or `)`", "Arguments stand between `(` and `)`, each as `name: value`.")
    } else if message.starts_with("expected R_BRACK") {
        ("`]`", "A list is written `[String!]`.")
    } else {
        match message {
            "expected a type" | "expected a Type" | "expected item type" => {
                ("a type", "A field is `name: Type`, for example `note: String`.")
            }
            "expected Field Definition" => ("a field", "Write at least one field: `id: ID!`."),
            "expected Enum Value Definition" => {
                ("an enum value", "Write at least one value, for example `OPEN`.")
            }
            "expected an Argument" => {
                ("an argument", "Write `name: value`, or leave the parentheses out.")
            }
            "expected a valid Value" => (
                "a value",
                "A value is a number, a \"string\", true, false, a NAME, or a [list] of these.",
            ),
            "unexpected variable value in a Const context" => {
                ("a value", "A schema has no variables: write the value itself.")
            }
            m if m.to_lowercase().starts_with("expected a name") => {
                ("a name", "A name is made of letters, digits and `_`, and begins with a letter.")
            }
            _ => return (format!("{message}, found {found}"), SHAPE.into()),
        }
    };
    (format!("expected {wanted}, found {found}"), help.into())
}

const SHAPE: &str =
    "A definition is `type Name @entity(…) { field: Type … }` or `enum Name { VALUE … }`.";

/// What a character cannot be.
fn lexical(message: &str, found: &str) -> (String, String) {
    let lower = message.to_lowercase();
    if lower.contains("escape") || lower.contains("surrogate") {
        let help = r#"Escapes are \" \\ \/ \b \f \n \r \t and \u0041."#;
        return ("a string with an escape that does not exist".into(), help.into());
    }
    if lower.contains("string value") || lower.contains("line terminator") {
        let help =
            "Close it with `\"`; text of several lines stands between `\"\"\"` and `\"\"\"`.";
        return ("a string that does not end".into(), help.into());
    }
    if lower.contains("number") || lower.contains("float") || lower.contains("integer") {
        let help = "Numbers are written like 12, -3 or 0.5.";
        return (format!("`{found}` is not a number"), help.into());
    }
    let help = match found.chars().next() {
        Some(';') => "Fields need no `;`: a new line or a space is enough.",
        Some('\'') => "Strings stand between double quotes: \"text\".",
        Some('/') => "A comment begins with `#`.",
        Some('.') => "Only `hide` and `write` use a dot, between two names: `OrderLine.quantity`.",
        _ => {
            "Names are made of letters, digits and `_`; other text belongs in a \"string\" \
              or behind `#`."
        }
    };
    (format!("unexpected `{found}`"), help.into())
}

/// Help for a word where a definition should begin.
fn stray(word: &str) -> String {
    let other_languages = ["class", "struct", "model", "entity", "table", "record", "message"];
    if other_languages.contains(&word) {
        return format!("Write `type` for `{word}`.");
    }
    match nearest(word, ["type", "enum"]) {
        Some(near) => format!("Did you mean `{near}`? {SHAPE}"),
        None if word == "}" || word == ")" || word == "]" => {
            format!("There is one `{word}` too many: remove it.")
        }
        None => SHAPE.into(),
    }
}

/// A definition that was read as fields of the one above it, because that was not closed: the
/// span of its keyword, and its name.
fn swallowed_definition(source: &str, error: &Error) -> Option<(Span, String)> {
    if error.message() != "expected a type" || error.is_eof() {
        return None;
    }
    let before = source.get(..error.index())?.trim_end();
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |i| i + 1);
    let word = before.get(start..)?;
    let named = error.data().chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    (KEYWORDS.contains(&word) && named)
        .then(|| (start..before.len(), source[span_of(source, error)].to_owned()))
}

/// The error's place: on one line, on char boundaries, never past the last character.
fn span_of(source: &str, error: &Error) -> Span {
    let text_end = source.trim_end().len();
    if error.index() >= text_end {
        let last = source[..text_end].chars().next_back().map_or(0, char::len_utf8);
        return text_end - last..text_end;
    }
    let start = floor_char_boundary(source, error.index());
    let rest = &source[start..];
    let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    let end = floor_char_boundary(source, start + error.data().len().clamp(first, line.max(first)));
    start..end
}

/// The names after `type` and `enum` anywhere in the text, whether it parses or not.
pub(super) fn declared_names(source: &str) -> Vec<String> {
    let words = source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut after_keyword = false;
    let mut names = Vec::new();
    for word in words.filter(|w| !w.is_empty()) {
        if after_keyword {
            names.push(word.to_owned());
        }
        after_keyword = KEYWORDS.contains(&word);
    }
    names
}
