//! Search: which rows hold these words; see [`landfall_device::Search`].

use crate::row::{self, SqlValue};
use landfall_device as device;

/// What to search for, and what to tell of what is found. The rows that come have the type's
/// columns and besides `_rank`, lower for better, and `_snippet`, a piece of the field in which the
/// most was found.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Search {
    /// The entity type's name.
    pub kind: String,
    /// What is looked for.
    pub text: String,
    /// How the text is read.
    pub syntax: SearchSyntax,
    /// Look only in these fields; none: in all that are searched.
    #[uniffi(default = [])]
    pub fields: Vec<String>,
    /// Only rows for which this SQL expression is true, too; `?` stands for the parameters in turn.
    #[uniffi(default = None)]
    pub filter: Option<String>,
    /// The filter's parameters.
    #[uniffi(default = [])]
    pub params: Vec<SqlValue>,
    /// At most so many rows, the best ones; 50 if left out.
    #[uniffi(default = None)]
    pub limit: Option<u32>,
    /// What stands before and after a word that was found; `[` and `]` if left out.
    #[uniffi(default = None)]
    pub marks: Option<Marks>,
    /// Length of the snippet, in words, 1 to 64; 16 if left out.
    #[uniffi(default = None)]
    pub snippet_words: Option<u8>,
    /// Also the whole of each searched field, marked: the column `_marked_title` for `title`.
    #[uniffi(default = false)]
    pub highlight: bool,
}

/// How the text of a search is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SearchSyntax {
    /// All of these words; `bread*` finds what begins with it, words in quotes stand one behind the
    /// other. No text is refused.
    Words,
    /// The same while it is being typed: the last word may go on, unless a space follows it.
    AsTyped,
    /// An expression of FTS5, for the app's own words; `LF2102` if it is none.
    Raw,
}

/// What stands around a word that was found.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Marks {
    /// Before it.
    pub before: String,
    /// Behind it.
    pub behind: String,
}

impl From<Search> for device::Search {
    fn from(search: Search) -> Self {
        let mut made = Self::new(search.kind, search.text).within(search.fields);
        made = match search.syntax {
            SearchSyntax::Words => made,
            SearchSyntax::AsTyped => made.as_typed(),
            SearchSyntax::Raw => made.raw(),
        };
        if let Some(filter) = search.filter {
            made = made.filter(filter, row::params(search.params));
        }
        if let Some(rows) = search.limit {
            made = made.limit(rows);
        }
        if let Some(Marks { before, behind }) = search.marks {
            made = made.marks(before, behind);
        }
        if let Some(words) = search.snippet_words {
            made = made.snippet_words(words);
        }
        if search.highlight { made.highlight() } else { made }
    }
}
