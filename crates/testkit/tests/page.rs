//! The examples of docs/testing.md stand in tests, line by line.

const PAGE: &str = include_str!("../../../docs/testing.md");

/// Each line of the page's code in this language, but for imports and comments, is a line of `test`.
fn check(language: &str, test: &str) {
    let fence = format!("```{language}");
    let blocks = PAGE.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<&str> = blocks.flat_map(str::lines).map(code).collect();
    assert!(lines.len() > 10, "the page has its example in {language}");
    let tested: Vec<&str> = test.lines().map(code).collect();
    for line in lines {
        assert!(line.starts_with("import ") || tested.contains(&line), "in no test: {line}");
    }
}

fn code(line: &str) -> &str {
    line.split(" //").next().unwrap_or_default().trim()
}

#[test]
fn the_examples_of_the_page_are_run() {
    check("rust", include_str!("app.rs"));
    check("kotlin", include_str!("../../../bindings/kotlin/test/TestkitTests.kt"));
    check("ts", include_str!("../../../bindings/web/test/testkit.test.mjs"));
}
