//! Files in numbers, as a terminal shows them, or as JSON.

use crate::terminal::one_line;
use landfall_device::explain::time;
use landfall_device::store::inspect::{Inspection, Writes};
use landfall_device::{RescueReport, Terms, public_code};
use serde_json::{Value as Json, json};
use std::fmt::Write;
use std::path::Path;

pub(super) fn device(path: &Path, found: &Inspection) -> String {
    let mut out = format!("{}: a device's file, format {}\n", path.display(), found.format);
    let used = found.pages.saturating_sub(found.pages_free) * found.page_bytes;
    let free = found.pages_free * found.page_bytes;
    let _ = writeln!(out, "  {} in use, {} free", bytes(used), bytes(free));
    match &found.faults[..] {
        [] => out += "  its structure is sound\n",
        faults => {
            out += "  its structure is DAMAGED; --rescue OUT saves the writes\n";
            faults.iter().for_each(|fault| _ = writeln!(out, "    {}", one_line(fault)));
        }
    }
    if let Some((tenant, subject)) = &found.account {
        let _ = writeln!(out, "  account {}", account(tenant, subject));
    }
    if let Some(meta) = &found.meta {
        let (id, last, sent) = (meta.device, meta.last_seq, meta.sent_seq);
        let _ = writeln!(out, "  device {id}, writes numbered up to {last}, sent up to {sent}");
    }
    if let Some(lease) = &found.lease {
        let _ =
            writeln!(out, "  a process held the lease on syncing until {}", time(lease.expires_ms));
    }
    title(&mut out, "Outbox and kept writes");
    writes(&mut out, found);
    title(&mut out, "Outcomes that the app has not dismissed");
    let lines = found.outcomes.iter().map(|o| {
        let code = o.code.as_deref().map(|c| format!(" {c} ({})", public_code(c)));
        vec![format!("{}{}", o.what, code.unwrap_or_default()), o.count.to_string()]
    });
    table(&mut out, &["outcome", "writes"], lines.collect());
    title(&mut out, "Subscriptions");
    subscriptions(&mut out, found);
    title(&mut out, "Tables");
    let of_app = |name: &str| !name.starts_with("_lf_");
    let (app, own): (Vec<_>, Vec<_>) = found.tables.iter().partition(|(name, _)| of_app(name));
    let filled = own.into_iter().filter(|(_, rows)| *rows > 0);
    let lines =
        app.into_iter().chain(filled).map(|(name, rows)| vec![name.clone(), rows.to_string()]);
    table(&mut out, &["table", "rows"], lines.collect());
    out.trim_end().to_owned()
}

fn writes(out: &mut String, found: &Inspection) {
    let line = |w: &Writes| {
        let name = found.types.get(&w.kind).map_or("?", |n| n);
        let oldest = if w.count > w.damaged { time(w.oldest_ms) } else { "?".to_owned() };
        vec![name.to_owned(), w.state.to_owned(), w.count.to_string(), bytes(w.bytes), oldest]
    };
    let lines = found.writes.iter().map(line).collect();
    table(out, &["type", "state", "writes", "size", "oldest"], lines);
}

fn subscriptions(out: &mut String, found: &Inspection) {
    let line = |(scope, sub, held): &(landfall_device::Scope, _, _)| {
        let sub: &landfall_device::Subscription = sub;
        let held: &landfall_device::Held = held;
        let state = match &sub.denied {
            Some(code) => format!("refused ({code})"),
            None if sub.loading => "loading".to_owned(),
            None if sub.is_partial() => "a part".to_owned(),
            None => "complete".to_owned(),
        };
        let as_of = if sub.synced_ms > 0 { time(sub.synced_ms) } else { "never".to_owned() };
        let (logs, rows) = (sub.cursor.iter().count().to_string(), held.rows.to_string());
        vec![scope.to_string(), state, rows, bytes(held.bytes), logs, terms(&sub.terms), as_of]
    };
    let lines = found.subscriptions.iter().map(line).collect();
    let heads = ["scope", "state", "rows", "size", "logs", "terms", "heard to its end"];
    table(out, &heads, lines);
}

fn terms(terms: &Terms) -> String {
    let mut words = Vec::new();
    words.extend(terms.keep_ms.map(|ms| format!("last {} h", ms / 3_600_000)));
    words.extend(terms.rows_max.map(|n| format!("{n} rows")));
    words.extend(terms.bytes_max.map(bytes));
    words.extend((terms.priority > 0).then(|| format!("priority {}", terms.priority)));
    if words.is_empty() { "all".to_owned() } else { words.join(", ") }
}

pub(super) fn device_json(found: &Inspection) -> Json {
    let meta = found.meta.as_ref().map(|m| {
        json!({ "id": m.device.to_string(), "last": m.last_seq, "sent": m.sent_seq,
            "former_ids": m.former.len(), "clock_ms": m.clock.millis(), "offset_ms": m.offset_ms })
    });
    let writes = found.writes.iter().map(|w| {
        json!({ "type": found.types.get(&w.kind), "state": w.state, "count": w.count,
            "bytes": w.bytes, "oldest_ms": (w.count > w.damaged).then_some(w.oldest_ms),
            "damaged": w.damaged })
    });
    let outcomes = found.outcomes.iter();
    let outcomes = outcomes.map(|o| json!({ "outcome": o.what, "code": o.code, "count": o.count }));
    let subscriptions = found.subscriptions.iter().map(|(scope, sub, held)| {
        let cursor = sub.cursor.iter().map(|(origin, seq)| {
            json!([origin.region.0, origin.incarnation, origin.stream.0, seq])
        });
        json!({ "scope": &**scope, "denied": sub.denied, "loading": sub.loading,
            "short": sub.short, "rows": held.rows, "bytes": held.bytes,
            "as_of_ms": sub.synced_ms, "keep_ms": sub.terms.keep_ms,
            "rows_max": sub.terms.rows_max, "bytes_max": sub.terms.bytes_max,
            "cursor": cursor.collect::<Vec<Json>>() })
    });
    let tables = found.tables.iter().map(|(name, rows)| json!({ "table": name, "rows": rows }));
    let account = found.account.as_ref();
    json!({
        "kind": "device", "format": found.format, "faults": found.faults,
        "page_bytes": found.page_bytes, "pages": found.pages, "pages_free": found.pages_free,
        "account": account.map(|(tenant, subject)| json!({ "tenant": tenant, "subject": subject })),
        "device": meta, "writes": writes.collect::<Vec<Json>>(),
        "outcomes": outcomes.collect::<Vec<Json>>(),
        "subscriptions": subscriptions.collect::<Vec<Json>>(),
        "lease": found.lease.as_ref().map(|l| json!({ "expires_ms": l.expires_ms, "beat": l.beat })),
        "tables": tables.collect::<Vec<Json>>(),
    })
}

/// Whose a file is, as the app named them.
fn account(tenant: &str, subject: &str) -> String {
    let of = if tenant.is_empty() { String::new() } else { format!(" of {tenant}") };
    one_line(&format!("{subject}{of}"))
}

pub(super) fn rescue(of: Option<(&str, &str)>, report: &RescueReport) -> String {
    let mut out = "Writes that can be read\n".to_owned();
    if let Some((tenant, subject)) = of {
        out = format!("Writes of {} that can be read\n", account(tenant, subject));
    }
    let line = |n: u64, what: &str| vec![n.to_string(), what.to_owned()];
    let lines = vec![
        line(report.unsent, "never sent, as far as the file tells"),
        line(report.sent, "sent, and not known to be safe"),
        line(report.refused, "refused, for the app to deal with"),
        line(report.safe, "safe in the regions"),
        line(report.outcomes, "outcomes"),
    ];
    table(&mut out, &["", ""], lines);
    if report.is_whole() {
        out += "\nNothing shows that anything is missing.";
        return out;
    }
    out += "\nWhat could not be read\n";
    let lost = report.lost.len() as u64;
    let mut lines = vec![
        line(lost, "writes of which only the number is left"),
        line(report.rows_damaged, "rows that are not as they were written"),
        line(report.incomplete, "writes whose transaction lacks a part: kept as refused"),
        line(report.pages_unread, "pages and log frames: what was in them is not known"),
    ];
    lines.extend(report.header_destroyed.then(|| line(1, "head of the file")));
    lines.retain(|line| line[0] != "0");
    table(&mut out, &["", ""], lines);
    out.trim_end().to_owned()
}

pub(super) fn rescue_json(account: Option<(&str, &str)>, report: &RescueReport) -> Json {
    let lost: Vec<String> = report.lost.iter().map(ToString::to_string).collect();
    json!({
        "kind": "rescue", "whole": report.is_whole(),
        "account": account.map(|(tenant, subject)| json!({ "tenant": tenant, "subject": subject })),
        "unsent": report.unsent, "sent": report.sent, "safe": report.safe,
        "refused": report.refused, "outcomes": report.outcomes, "lost": lost,
        "incomplete": report.incomplete, "rows_damaged": report.rows_damaged,
        "pages_unread": report.pages_unread, "header_destroyed": report.header_destroyed,
    })
}

/// A support bundle. What a later version added is in `--json`.
pub(super) fn bundle(bundle: &Json) -> String {
    let number = |json: &Json| json.as_i64().map_or_else(|| "?".to_owned(), |n| n.to_string());
    let text = |json: &Json| one_line(json.as_str().unwrap_or("·"));
    let at =
        |json: &Json| json.as_i64().filter(|ms| *ms > 0).map_or_else(|| "never".to_owned(), time);
    let none = Vec::new();
    let rows = |json: &'_ Json| json.as_array().unwrap_or(&none).clone();
    let (file, link) = (&bundle["file"], &bundle["connection"]);
    let mut out =
        format!("A support bundle of {}, SDK {}\n", at(&bundle["at_ms"]), text(&bundle["sdk"]));
    let (account, numbers) = (text(&bundle["account"]), &bundle["numbers"]);
    let _ = writeln!(out, "  account {account} (hashed), device {}", text(&numbers["device"]));
    let (last, sent) = (number(&numbers["last"]), number(&numbers["sent"]));
    let _ = writeln!(out, "  writes numbered up to {last}, sent up to {sent}");
    let (pages, faults) = (number(&file["pages"]), number(&file["faults"]));
    let _ =
        writeln!(out, "  file format {}, {pages} pages, {faults} faults", number(&file["format"]));
    let (up, down) = (number(&link["bytes_up"]), number(&link["bytes_down"]));
    let _ = writeln!(out, "  {}; {up} bytes up, {down} bytes down", text(&link["state"]));
    title(&mut out, "Outbox and kept writes");
    let line = |w: &Json| {
        let of = [text(&w["type"]), text(&w["state"]), number(&w["count"]), number(&w["bytes"])];
        of.into_iter().chain([at(&w["oldest_ms"])]).collect()
    };
    let lines = rows(&bundle["outbox"]).iter().map(line).collect();
    table(&mut out, &["type", "state", "writes", "bytes", "oldest"], lines);
    title(&mut out, "Outcomes");
    let line = |o: &Json| vec![text(&o["outcome"]), text(&o["code"]), number(&o["count"])];
    let lines = rows(&bundle["outcomes"]).iter().map(line).collect();
    table(&mut out, &["outcome", "code", "writes"], lines);
    title(&mut out, "Subscriptions (scopes hashed)");
    let line = |s: &Json| {
        let state = match (s["denied"].as_str(), s["loading"].as_bool()) {
            (Some(code), _) => format!("refused ({code})"),
            (_, Some(true)) => "loading".to_owned(),
            _ => "heard".to_owned(),
        };
        let held = number(&s["held_rows"]);
        vec![text(&s["scope"]), text(&s["form"]), state, held, at(&s["as_of_ms"])]
    };
    let lines = rows(&bundle["subscriptions"]).iter().map(line).collect();
    table(&mut out, &["scope", "form", "state", "rows", "heard to its end"], lines);
    title(&mut out, "Connection");
    let state = |h: &Json| vec![at(&h["at_ms"]), text(&h["state"]), text(&h["code"])];
    let error = |e: &Json| vec![at(&e["at_ms"]), "error".to_owned(), text(&e["code"])];
    let mut lines: Vec<Vec<String>> = rows(&link["history"]).iter().map(state).collect();
    lines.extend(rows(&link["errors"]).iter().map(error));
    lines.sort();
    table(&mut out, &["when", "state", "code"], lines);
    out.trim_end().to_owned()
}

fn title(out: &mut String, text: &str) {
    let bold = crate::terminal::bold(text, crate::terminal::stdout_colour());
    let _ = writeln!(out, "\n{bold}");
}

/// Columns under their heads, numbers to the right; heads that are empty are left out.
fn table(out: &mut String, heads: &[&str], mut lines: Vec<Vec<String>>) {
    lines.iter_mut().flatten().for_each(|cell| *cell = one_line(cell));
    if lines.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let width = |at: usize| {
        let cells = lines.iter().map(|line| line[at].chars().count());
        cells.chain([heads[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let number = |at: usize| lines.iter().all(|line| line[at].bytes().all(|b| b.is_ascii_digit()));
    let numbers: Vec<bool> = (0..heads.len()).map(number).collect();
    let mut row = |cells: &[&str]| {
        let mut line = String::from(" ");
        for (at, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(widths[at].saturating_sub(cell.chars().count()));
            let _ = match numbers[at] {
                true => write!(line, " {pad}{cell} "),
                false => write!(line, " {cell}{pad} "),
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    };
    if heads.iter().any(|head| !head.is_empty()) {
        row(heads);
    }
    for line in &lines {
        let cells: Vec<&str> = line.iter().map(String::as_str).collect();
        row(&cells);
    }
}

/// A size for people.
fn bytes(n: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| n >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", n as f64 / unit as f64),
        None => format!("{n} bytes"),
    }
}
