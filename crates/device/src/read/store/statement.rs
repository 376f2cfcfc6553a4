//! Whether a text is one statement that only reads, told before SQLite sees it.
//!
//! SQLite's own word on that (`sqlite3_stmt_readonly`) is about the database alone: it also counts
//! `BEGIN`, `ATTACH` and most pragmas as reading, which change the connection, and some of them while
//! they are prepared. Readers share their connections, so a transaction that one of them left open would
//! have the next ones see the past, and the writer wait.

use crate::error::{Error, code};

/// How a statement that reads begins, behind any `EXPLAIN`.
const READS: &[&str] = &["SELECT", "WITH", "VALUES"];

/// Fails with `LF2102` if the text begins otherwise than what reads, or holds more than one statement.
pub(super) fn check(sql: &str) -> Result<(), Error> {
    let refused = |message: &str| Err(Error::new(code::QUERY, message));
    if sql.contains('\0') {
        // SQLite stops reading there, within a comment or a quote, too.
        return refused("The statement holds a NUL. Give it without, or as a parameter.");
    }
    let mut words = Tokens(sql).take_while(|t| *t != Token::End);
    let mut first = words.next();
    if first.is_some_and(|t| t.is("EXPLAIN")) {
        first = words.next();
        if first.is_some_and(|t| t.is("QUERY")) {
            // `PLAN`
            words.next();
            first = words.next();
        }
    }
    if !first.is_some_and(|t| READS.iter().any(|word| t.is(word))) {
        let message = "The statement does not begin as one that reads: SELECT, WITH or VALUES. To \
            write, use a transaction of the client, so that it syncs.";
        return refused(message);
    }
    let mut behind = Tokens(sql).skip_while(|t| *t != Token::End);
    if behind.any(|t| t != Token::End) {
        return refused("The text holds several statements. Give one.");
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'s> {
    /// A keyword, or a name without quotes.
    Word(&'s str),
    /// What is in quotes, and all other signs.
    Other,
    /// The end of a statement.
    End,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(w) if w.eq_ignore_ascii_case(word))
    }
}

/// The tokens of a text as SQLite parts them, as far as it matters here; comments and spaces are none.
struct Tokens<'s>(&'s str);

impl<'s> Iterator for Tokens<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            let rest = self.0.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            self.0 = if let Some(comment) = rest.strip_prefix("--") {
                behind(comment, "\n")
            } else if let Some(comment) = rest.strip_prefix("/*") {
                behind(comment, "*/")
            } else {
                break self.0 = rest;
            };
        }
        let first = self.0.chars().next()?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        let (token, length) = match first {
            ';' => (Token::End, 1),
            // A quote in quotes is written twice: two pieces in quotes are as good as one.
            '\'' | '"' | '`' => (Token::Other, quoted(self.0, first)),
            '[' => (Token::Other, quoted(self.0, ']')),
            c if is_word(c) => {
                let end = self.0.find(|c| !is_word(c)).unwrap_or(self.0.len());
                (Token::Word(&self.0[..end]), end)
            }
            c => (Token::Other, c.len_utf8()),
        };
        self.0 = &self.0[length..];
        Some(token)
    }
}

/// What stands behind the end of a comment; nothing if it does not end.
fn behind<'s>(comment: &'s str, end: &str) -> &'s str {
    comment.split_once(end).map_or("", |(_, rest)| rest)
}

/// The length of what begins with a quote, up to the one that ends it or the end of the text.
fn quoted(text: &str, end: char) -> usize {
    text[1..].find(end).map_or(text.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_that_reads_is_told_from_all_else() {
        let reads = |sql: &str, expected: bool| assert_eq!(check(sql).is_ok(), expected, "{sql:?}");
        reads("SELECT 1", true);
        reads(" /* a; */ -- b; \n with n AS (SELECT 1) SELECT * FROM n; ;-- c", true);
        reads("VALUES(';', \"a\"\";\", [;], `;`, 'it''s;')", true);
        reads("explain query plan SELECT 1", true);
        reads("EXPLAIN SELECT 1", true);
        reads("", false);
        reads("/* all\0 */ VALUES (1)", false);
        reads(";", false);
        reads("; SELECT 1", false);
        reads("BEGIN", false);
        reads("EXPLAIN PRAGMA query_only = 0", false);
        reads("EXPLAIN QUERY PLAN ATTACH ':memory:' AS x", false);
        reads("/* SELECT */ PRAGMA cache_size = 1", false);
        reads("-- SELECT 1\rBEGIN", false);
        reads("SELECTED", false);
        reads("\"SELECT\" 1", false);
        reads("SELECT 1; BEGIN", false);
        reads("SELECT '; ' || \"; \" ;;; BEGIN", false);
        reads("SELECT 'open; BEGIN", true);
        reads("SELECT 1 /* open; BEGIN", true);
    }
}
