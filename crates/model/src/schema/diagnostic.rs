//! What the compiler says about a schema that it refuses.
//!
//! A diagnostic is data: a stable code, byte spans, a message and the text to write instead. The
//! CLI renders it for people and as JSON; nothing here knows about colours or terminals.

use std::fmt;
use std::ops::Range;

/// Byte offsets into the schema's source.
pub type Span = Range<usize>;

/// The most diagnostics that one compilation returns: the first ones, by position.
pub const DIAGNOSTICS_MAX: usize = 100;

/// The most diagnostics that are collected before they are sorted and cut. Several passes walk
/// the file, so more are kept than are returned; beyond this, a hostile file costs nothing more.
const COLLECTED_MAX: usize = 10 * DIAGNOSTICS_MAX;

/// One fault of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `LF1001`…, as listed in [`code::ALL`]; once published, a code keeps its meaning.
    pub code: &'static str,
    pub span: Span,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// Other places that explain the fault: `first declared here`.
    pub notes: Vec<Note>,
}

/// A further span, with what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub span: Span,
    pub label: String,
}

impl Diagnostic {
    /// Adds a further labelled span.
    pub(super) fn note(&mut self, span: &Span, label: impl Into<String>) -> &mut Self {
        self.notes.push(Note { span: span.clone(), label: label.into() });
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// A place in a file as editors count: both from 1, columns in Unicode code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The position of a byte offset; an offset past the end is the end.
    pub fn of(source: &str, offset: usize) -> Self {
        let before = &source[..floor_char_boundary(source, offset)];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The largest char boundary at or below `offset`.
pub(super) fn floor_char_boundary(source: &str, offset: usize) -> usize {
    let mut i = offset.min(source.len());
    while !source.is_char_boundary(i) {
        i -= 1;
    }
    i
}

/// Collects diagnostics while the passes run.
#[derive(Debug, Default)]
pub(super) struct Sink {
    list: Vec<Diagnostic>,
    /// Takes what is reported when `list` is full.
    overflow: Option<Diagnostic>,
}

impl Sink {
    pub fn report(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Diagnostic {
        let d = Diagnostic {
            code,
            span: span.clone(),
            message: message.into(),
            help: help.into(),
            notes: Vec::new(),
        };
        if self.is_full() {
            return self.overflow.insert(d);
        }
        self.list.push(d);
        self.list.last_mut().expect("just pushed")
    }

    /// How many are kept so far.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True when nothing more is kept, so that a pass can stop early.
    pub fn is_full(&self) -> bool {
        self.list.len() >= COLLECTED_MAX
    }

    /// The diagnostics by position, cut to [`DIAGNOSTICS_MAX`].
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| {
            (a.span.start, a.span.end, a.code).cmp(&(b.span.start, b.span.end, b.code))
        });
        self.list.dedup();
        self.list.truncate(DIAGNOSTICS_MAX);
        self.list
    }

    /// ` Did you mean …?` for an unknown name, or nothing. Costs little once many are collected.
    pub fn did_you_mean<'a>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> String {
        if self.list.len() >= DIAGNOSTICS_MAX {
            return String::new();
        }
        match nearest(name, candidates) {
            Some(near) => format!("Did you mean `{near}`? "),
            None => String::new(),
        }
    }
}

/// The candidate nearest to `name` by edits, if it is near enough to be meant.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(NAME_CHARS_COMPARED).collect();
    let limit = (wanted.len() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|c| {
            let other: Vec<char> = c.to_lowercase().chars().take(NAME_CHARS_COMPARED).collect();
            if other.len().abs_diff(wanted.len()) > limit {
                return None;
            }
            Some((edits(&wanted, &other), c)).filter(|(d, _)| *d <= limit)
        })
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Names are compared up to this length, so that a hostile name cannot cost much.
const NAME_CHARS_COMPARED: usize = 64;

/// Edits between two words: insert, delete, replace, swap of neighbours.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let same = usize::from(a[i] != b[j]);
            row[j + 1] = (last[j] + same).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// `a`, `b` or `c`, each in backquotes.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        /// The codes, one constant each. `docs/schema.md` explains every one of them.
        pub mod code {
            $(#[doc = $title] pub const $name: &str = $code;)*

            /// Every code with its title, in order.
            pub const ALL: &[(&str, &str)] = &[$(($code, $title)),*];
        }
    };
}

codes! {
    SYNTAX = "LF1001", "syntax error";
    FILE_TOO_LARGE = "LF1002", "file too large";
    LIMIT = "LF1003", "too much of something";
    NO_ENTITY = "LF1004", "no entity type";
    NOT_IN_LANGUAGE = "LF1005", "a definition that a schema does not have";
    EXTEND = "LF1006", "extend";
    FIELD_ARGUMENTS = "LF1007", "field arguments";
    IMPLEMENTS = "LF1008", "implements";
    NOT_YET = "LF1009", "not there yet";

    DUPLICATE_TYPE = "LF1101", "two definitions with one name";
    DUPLICATE_FIELD = "LF1102", "two fields with one name";
    DUPLICATE_ENUM_VALUE = "LF1103", "an enum value twice";
    DUPLICATE_DIRECTIVE = "LF1104", "a directive twice";
    DUPLICATE_ARGUMENT = "LF1105", "an argument twice";
    RESERVED_NAME = "LF1106", "reserved name";
    UNKNOWN_DIRECTIVE = "LF1107", "unknown directive";
    DIRECTIVE_PLACE = "LF1108", "a directive in the wrong place";
    UNKNOWN_ARGUMENT = "LF1109", "unknown argument";
    MISSING_ARGUMENT = "LF1110", "missing argument";
    ARGUMENT_VALUE = "LF1111", "wrong argument value";
    UNKNOWN_TYPE = "LF1112", "unknown type";
    BAD_WAS = "LF1113", "a @was that says nothing";
    NAME_TAKEN = "LF1114", "the first name of another";
    NUMBER_TAKEN = "LF1115", "two names with one number";
    NAME_TOO_LONG = "LF1116", "name too long";

    NO_STRATEGY = "LF1201", "no strategy";
    TWO_KINDS = "LF1202", "two kinds of type at once";
    NO_ID = "LF1203", "no `id: ID!`";
    NO_HOME = "LF1204", "neither scope nor parent";
    TWO_HOMES = "LF1205", "both scope and parent";
    SCOPE_SYNTAX = "LF1206", "a scope that cannot be read";
    SCOPE_FIELD_UNKNOWN = "LF1207", "a scope that reads an unknown field";
    SCOPE_FIELD_NULLABLE = "LF1208", "a home scope field that may be null";
    SCOPE_FIELD_KIND = "LF1209", "a field that no scope can read";
    SCOPE_FIELD_CHANGES = "LF1210", "a home scope field that can change";
    BAD_PARENT = "LF1211", "a parent that is no required reference";
    PARENT_CYCLE = "LF1212", "a cycle of parents";
    PARENT_NOT_SYNCED = "LF1213", "a parent that is not synced";
    CHILD_AUDIENCE = "LF1214", "an audience on a child";
    AUDIENCE_NOT_SYNCED = "LF1215", "an audience on a type that is not synced";
    AUDIENCE_FIELD_UNKNOWN = "LF1216", "an audience that names an unknown field";
    CANNOT_HIDE = "LF1217", "a field that cannot be hidden";
    CANNOT_WRITE = "LF1218", "a field that never changes";
    AUDIENCE_FIELD_TWICE = "LF1219", "a field listed twice";
    AUDIENCE_TWICE = "LF1220", "an audience twice";
    VALUE_CYCLE = "LF1221", "a value that contains itself";
    NOT_IN_VALUE = "LF1222", "not possible in a value";
    EMPTY = "LF1223", "nothing inside";
    AUDIENCE_FIELDS_CHANGE = "LF1224", "an audience that reads two fields which can change";

    DECIMAL_WITHOUT_SIZE = "LF1301", "Decimal without @decimal";
    DECIMAL_SIZE = "LF1302", "a decimal of impossible size";
    DECIMAL_PLACE = "LF1303", "@decimal without Decimal";
    SET_PLACE = "LF1304", "@set without a list";
    SET_ELEMENT = "LF1305", "a set of something else than scalars";
    LIST_ELEMENT_NULLABLE = "LF1306", "a list or a set with null elements";
    LIST_ELEMENT = "LF1307", "a list of something that no list holds";
    ALWAYS_THERE = "LF1308", "`!` on something that is always there";
    REF_MISSING = "LF1309", "a reference without @ref";
    REF_PLACE = "LF1310", "@ref without an entity type";
    REF_SET_NULL = "LF1311", "SET_NULL on a required field";
    REF_CASCADE = "LF1312", "CASCADE without a parent";
    REF_LOCAL = "LF1313", "a reference to a type that is not synced";
    DEFAULT_PLACE = "LF1314", "a field that cannot have a default";
    DEFAULT_VALUE = "LF1315", "a default of the wrong kind";
    INDEX_PLACE = "LF1316", "@index on a field without an order";
    WINDOW_PLACE = "LF1317", "@window where it says nothing";
    SEARCH_PLACE = "LF1318", "@search on a field without words";
    SEARCH_OPTIONS = "LF1319", "a search that cannot work";
    SHARED_PLACE = "LF1320", "@shared on something that has no scope of its own";
    SHARED_FIELDS = "LF1321", "a shared scope that reads fields";
    SHARED_AUDIENCE = "LF1322", "an audience on a shared type";
    SHARED_REF = "LF1323", "a reference from a shared type to one that is not";
    SHARED_SET_NULL = "LF1324", "SET_NULL into a shared scope";
    SHARED_MIXED = "LF1325", "a shared scope that others are in, too";
}
