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
