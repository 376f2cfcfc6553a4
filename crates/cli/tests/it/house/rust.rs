//! Reads one Rust file as far as the rules need it: its production code with comments and
//! literals blanked, its string literals, the names of its test-only modules, and its `use` trees.

use std::ops::Range;

/// A Rust file without its comments and test-only items.
#[derive(Debug)]
pub struct RustFile {
    /// The code; comments, literals and `#[cfg(test)]` items are spaces. Lines keep their number.
    pub code: String,
    /// String literals of the production code: (line, text as written).
    pub strings: Vec<(usize, String)>,
    /// Modules declared `#[cfg(test)] mod name;`: their files are test code too.
    pub test_modules: Vec<String>,
}

impl RustFile {
    pub fn parse(text: &str) -> Self {
        let mut scanner = Scanner::new(text);
        scanner.run();
        let Scanner { mut code, strings, .. } = scanner;
        let test_items = test_items(&code);
        let test_modules = test_items.iter().filter_map(|it| module_name(&code[it.clone()]));
        let test_modules = test_modules.collect();
        for item in &test_items {
            code[item.clone()].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        }
        let outside_tests = |at: usize| !test_items.iter().any(|item| item.contains(&at));
        let strings = strings
            .into_iter()
            .filter(|(at, _)| outside_tests(*at))
            .map(|(at, text)| (line_of(&code, at), text))
            .collect();
        Self { code: code.into_iter().collect(), strings, test_modules }
    }

    /// The lines that mention `path` (`std::fs`), written out or imported through a `use` tree.
    pub fn lines_with_path(&self, path: &str) -> Vec<usize> {
        let written_out = self.code.lines().enumerate();
        let mut lines: Vec<usize> = written_out
            .filter(|(_, line)| contains_path(line, path))
            .map(|(index, _)| index + 1)
            .collect();
        for (line, import) in self.imports() {
            if contains_path(&import, path) && !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    /// Every imported path, trees written out, with the line of its `use`.
    fn imports(&self) -> Vec<(usize, String)> {
        let mut imports = Vec::new();
        for (start, keyword) in self.code.match_indices("use ") {
            // Comments and literals are blank, so a whole word `use` is the keyword.
            let inside_word = self.code[..start].chars().next_back().is_some_and(is_word);
            let tree = &self.code[start + keyword.len()..];
            if let (false, Some(end)) = (inside_word, tree.find(';')) {
                let line = 1 + self.code[..start].matches('\n').count();
                let tree: String = tree[..end].split_whitespace().collect();
                expand(&tree, "", &mut |path| imports.push((line, path)));
            }
        }
        imports
    }
}

/// Calls `found` with every path of a `use` tree: `a::{b, c::{d}}` has `a::b` and `a::c::d`.
fn expand(tree: &str, prefix: &str, found: &mut impl FnMut(String)) {
    let Some(open) = tree.find('{') else {
        return found(format!("{prefix}{tree}"));
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let inside = tree[open + 1..].strip_suffix('}').unwrap_or(&tree[open + 1..]);
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&inside[start..at], &prefix, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&inside[start..], &prefix, found);
}

/// Whether `text` mentions `path` as a whole: `std::fs` is in `std::fs::read`, not in `std::fsx`.
fn contains_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + path.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(code: &[char], at: usize) -> usize {
    1 + code[..at].iter().filter(|c| **c == '\n').count()
}

/// The ranges of the items that exist only in tests, attributes included.
fn test_items(code: &[char]) -> Vec<Range<usize>> {
    const ATTRIBUTES: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test,"];
    let mut items: Vec<Range<usize>> = Vec::new();
    let starts = |at: usize| {
        ATTRIBUTES.iter().any(|attribute| {
            let rest = &code[at..];
            rest.len() >= attribute.len() && attribute.chars().zip(rest).all(|(a, b)| a == *b)
        })
    };
    let mut at = 0;
    while at < code.len() {
        if code[at] == '#' && starts(at) {
            let end = item_end(code, at);
            items.push(at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    items
}

/// Where the item that begins at `at` ends: behind its `;`, or behind the brace that closes it.
fn item_end(code: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[at..].iter().enumerate() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *c == '}' {
                    return at + offset + 1;
                }
            }
            ';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// The `name` of an item `#[cfg(test)] mod name;`.
fn module_name(item: &[char]) -> Option<String> {
    let item: String = item.iter().collect();
    let (_, name) = item.strip_suffix(';')?.rsplit_once("mod ")?;
    Some(name.trim().to_owned())
}

struct Scanner {
    source: Vec<char>,
    at: usize,
    code: Vec<char>,
    /// (offset of the opening quote, text between the quotes)
    strings: Vec<(usize, String)>,
}

impl Scanner {
    fn new(text: &str) -> Self {
        Self { source: text.chars().collect(), at: 0, code: Vec::new(), strings: Vec::new() }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) if !self.inside_word() => self.raw_string(),
                ('\'', _) => self.quote(),
                _ => self.keep(1),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.at + ahead).copied()
    }

    /// `r` begins a raw string on its own or after the `b` or `c` of a byte or C string.
    fn inside_word(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).map(|at| self.source[at]);
        match before(1) {
            Some('b' | 'c') => before(2).is_some_and(is_word),
            Some(c) => is_word(c),
            None => false,
        }
    }

    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.source.len());
        self.code.extend_from_slice(&self.source[self.at..end]);
        self.at = end;
    }

    fn blank(&mut self, count: usize) {
        let end = (self.at + count).min(self.source.len());
        let blanked = self.source[self.at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' });
        self.code.extend(blanked);
        self.at = end;
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.blank(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.blank(1);
                    continue;
                }
            }
            self.blank(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let open = self.at;
        self.keep(1);
        let start = self.at;
        while let Some(c) = self.peek(0) {
            match c {
                '"' => break,
                '\\' => self.blank(2),
                _ => self.blank(1),
            }
        }
        self.end_string(open, start, 1);
    }

    fn raw_string(&mut self) {
        let hashes = self.source[self.at + 1..].iter().take_while(|c| **c == '#').count();
        if self.peek(1 + hashes) != Some('"') {
            // A raw identifier: `r#type`.
            return self.keep(1 + hashes);
        }
        let open = self.at;
        self.keep(2 + hashes);
        let start = self.at;
        let closes = |scanner: &Self| {
            scanner.peek(0) == Some('"') && (1..=hashes).all(|n| scanner.peek(n) == Some('#'))
        };
        while self.peek(0).is_some() && !closes(self) {
            self.blank(1);
        }
        self.end_string(open, start, 1 + hashes);
    }

    fn end_string(&mut self, open: usize, start: usize, closing: usize) {
        self.strings.push((open, self.source[start..self.at].iter().collect()));
        self.keep(closing);
    }

    /// A character literal, or the tick of a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == Some('\\') {
            self.blank(3);
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.blank(1);
            }
            self.blank(1);
        } else if self.peek(2) == Some('\'') {
            self.blank(3);
        } else {
            self.keep(1);
        }
    }
}

#[test]
fn comments_and_literals_are_not_code() {
    let file = RustFile::parse(concat!(
        "//! std::fs\n",
        "fn f<'a>(x: &'a str) { /* std::net /* tokio */ */ g('\"', '\\'', \"a \\\" {\") }\n",
    ));
    let words: Vec<&str> = file.code.split_whitespace().collect();
    assert_eq!(words.join(" "), "fn f<'a>(x: &'a str) { g( , , \" \") }");
    assert_eq!(file.strings, [(2, "a \\\" {".to_owned())]);
}

#[test]
fn raw_strings_end_at_their_own_quote() {
    let file =
        RustFile::parse("let r#type = br#\"a \"quoted\" b\"#; let x = r\"\\\";\nuse std::fs;\n");
    let texts: Vec<&str> = file.strings.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["a \"quoted\" b", "\\"]);
    assert_eq!(file.lines_with_path("std::fs"), [2]);
}

#[test]
fn test_items_are_not_production_code() {
    let file = RustFile::parse(
        "use a::b;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse std::fs;\nfn f() {}\n\
         #[cfg(test)]\nmod inline {\n  fn g() { std::net(\"SELECT 1\") }\n}\nfn h() { i(\"kept\") }\n",
    );
    assert_eq!(file.test_modules, ["tests"]);
    assert_eq!(file.lines_with_path("std::fs"), [0; 0]);
    assert_eq!(file.lines_with_path("std::net"), [0; 0]);
    assert_eq!(file.strings, [(11, "kept".to_owned())]);
    assert!(file.code.contains("fn f()") && file.code.contains("fn h()"));
}

#[test]
fn imports_are_seen_through_their_trees() {
    let file = RustFile::parse(
        "pub use std::{\n    collections::BTreeMap,\n    time::{Duration, SystemTime},\n};\nfn f() {\n    use std::fs::File;\n}\n",
    );
    assert_eq!(file.lines_with_path("std::time::SystemTime"), [1]);
    assert_eq!(file.lines_with_path("std::fs"), [6]);
    assert_eq!(file.lines_with_path("std::thread"), [0; 0]);
}
