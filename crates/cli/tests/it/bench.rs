//! `landfall bench`: the shape of what work costs. No time is ever judged.

use crate::binary::json;

#[test]
fn work_costs_in_proportion_to_what_changes() {
    let small = ["--pushes", "5", "--subscribers", "20", "--rows", "3000", "--json"];
    let page = json(&[&["bench", "cost"], small.as_slice()].concat());
    assert_eq!(page["holds"], true, "{page:#}");
    assert!(page["machine"]["commit"].is_string(), "{page:#}");
    let encodings = &page["figures"]["encodings"];
    assert_eq!((&encodings["encodings"], &encodings["frames"]), (&20.into(), &400.into()));
    let crowd = &page["figures"]["commits"][2];
    assert_eq!(crowd["devices"], 64);
    assert!(crowd["commits"].as_u64() < crowd["pushes"].as_u64(), "{crowd:#}");
}

/// Each benchmark of speed, small: that it comes to its end, and says its figures.
#[test]
fn benchmarks_say_their_figures_beside_a_limit() {
    let cases: [(&[&str], &str); 8] = [
        (&["ingest", "--devices", "4", "--ops", "50"], "durable at the region"),
        (&["push", "--ops", "200"], "until all are durable"),
        (&["propagation", "--writes", "10", "--rate", "50", "--seconds", "1"], "alone, p50"),
        (&["bootstrap", "--rows", "2000"], "rows into typed tables"),
        (
            &["live-query", "--writes", "100", "--rows", "500", "--rate", "50", "--seconds", "1"],
            "local write, p50",
        ),
        (&["replication", "--ops", "500", "--rate", "50"], "applied"),
        (&["text", "--keys", "300"], "a commit per key"),
        (&["metadata", "--rows", "20", "--rounds", "2"], "an entity at the region"),
    ];
    for (arguments, name) in cases {
        let page = json(&[&["bench"], arguments, &["--json"]].concat());
        assert!(page["machine"]["commit"].is_string(), "{page:#}");
        let figures = page["figures"]["figures"].as_array().expect("figures");
        let figure = figures.iter().find(|f| f["name"] == name);
        let figure = figure.unwrap_or_else(|| panic!("{name}: {page:#}"));
        let (value, beside) = (figure["value"].as_f64(), figure["beside"]["value"].as_f64());
        assert!(value.is_some_and(|v| v > 0.0), "{figure:#}");
        assert!(beside.is_some_and(|v| v > 0.0), "{figure:#}");
    }
}

#[test]
fn sessions_wait_and_devices_move_in_benchmarks() {
    let page = json(&["bench", "idle", "--sessions", "20", "--json"]);
    let last = page["figures"]["figures"].as_array().expect("figures").last().cloned();
    assert!(last.is_some_and(|f| f["value"].as_f64() > Some(0.0)), "{page:#}");
    let page = json(&["bench", "failover", "--rounds", "2", "--json"]);
    let names: Vec<&str> = page["figures"]["figures"]
        .as_array()
        .expect("figures")
        .iter()
        .filter_map(|f| f["name"].as_str())
        .collect();
    assert!(names.contains(&"its region falls silent, p50"), "{page:#}");
}
