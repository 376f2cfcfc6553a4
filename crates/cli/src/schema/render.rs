//! Diagnostics of a schema, for people and for machines.

use ariadne::{Color, Config, IndexType, Label, Report, ReportKind, Source};
use landfall_model::schema::{Diagnostic, Position};
use serde_json::{Value, json};

/// Each fault with file, line and column, the line itself, and what to write instead; then a line
/// that counts them.
pub(crate) fn text(path: &str, source: &str, diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut out = Vec::new();
    for d in diagnostics {
        let mut report = Report::build(ReportKind::Error, (path, d.span.clone()))
            .with_config(Config::default().with_color(colour).with_index_type(IndexType::Byte))
            .with_code(d.code)
            .with_message(&d.message)
            .with_label(
                Label::new((path, d.span.clone())).with_message("here").with_color(Color::Red),
            )
            .with_help(&d.help);
        for note in &d.notes {
            let label = Label::new((path, note.span.clone())).with_message(&note.label);
            report = report.with_label(label.with_color(Color::Blue));
        }
        // Writing to memory does not fail.
        let _ = report.finish().write((path, Source::from(source)), &mut out);
        out.push(b'\n');
    }
    let mut text = String::from_utf8_lossy(&out).into_owned();
    let errors = if diagnostics.len() == 1 { "error" } else { "errors" };
    text.push_str(&format!("{path}: {} {errors}", diagnostics.len()));
    text
}

/// The same as one JSON object. Lines and columns count from 1, columns in code points.
pub(crate) fn json(path: &str, source: &str, diagnostics: &[Diagnostic]) -> Value {
    let one = |d: &Diagnostic| {
        let (start, end) = (Position::of(source, d.span.start), Position::of(source, d.span.end));
        let notes: Vec<Value> = d
            .notes
            .iter()
            .map(|n| {
                let at = Position::of(source, n.span.start);
                json!({ "line": at.line, "column": at.column, "label": n.label })
            })
            .collect();
        json!({
            "code": d.code, "line": start.line, "column": start.column,
            "end_line": end.line, "end_column": end.column,
            "message": d.message, "help": d.help, "notes": notes,
        })
    };
    json!({
        "file": path,
        "ok": diagnostics.is_empty(),
        "errors": diagnostics.iter().map(one).collect::<Vec<_>>(),
    })
}
