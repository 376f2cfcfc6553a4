//! `landfall new`, and the first commands on what it makes.
//!
//! The app that a project begins with is compiled here, from the very file that is handed out, and
//! run on a world.

use crate::binary::{landfall, landfall_in, stdout};
use crate::device::Dev;
use serde_json::Value as Json;
use std::path::Path;

#[path = "../../src/new/project/src/main.rs"]
#[expect(dead_code, reason = "a test calls what the app's `main` calls")]
mod app;

fn new_project(dir: &Path) -> String {
    let output = landfall(&["new", dir.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    stdout(&output)
}

#[test]
fn a_new_project_has_a_sound_schema_and_says_what_to_do_next() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("workshop");
    let said = new_project(&dir);
    assert!(said.contains("landfall dev --schema schema.graphql"), "{said}");
    let check = landfall_in(&dir, &["schema", "check", "schema.graphql"]);
    assert_eq!(stdout(&check), "schema.graphql: 3 entity types, no errors\n");
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"workshop\""), "{manifest}");
    assert!(manifest.contains("crates/device'"), "{manifest}");
    let app = std::fs::read_to_string(dir.join("src/main.rs")).unwrap();
    assert_eq!(app, include_str!("../../src/new/project/src/main.rs"), "what is tested is given");
    let ignored = std::fs::read_to_string(dir.join(".gitignore")).unwrap();
    assert!(ignored.contains("/.landfall/"), "{ignored}");
}

#[test]
fn a_new_project_never_writes_over_anything() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("schema.graphql");
    std::fs::write(&theirs, "mine").unwrap();
    let check = |place: &Path, part: &str| {
        let output = landfall(&["new", place.to_str().unwrap()]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains("LF9009") && errors.contains(part), "{errors}");
    };
    check(folder.path(), "is not empty");
    check(&theirs, "is a file");
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Runs what `landfall dev` says to type next, word by word.
fn follow(dir: &Path, started: &Json) -> Vec<String> {
    let commands = started["next"].as_array().expect("a list").iter();
    let run = |command: &Json| {
        let words = shlex::split(command.as_str().unwrap()).expect("words");
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let output = landfall_in(dir, &words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command}: {errors}");
        stdout(&output)
    };
    commands.map(run).collect()
}

#[test]
fn what_dev_says_to_type_next_works_word_by_word() {
    let shop = crate::binary::repository().join("examples/shop/schema.graphql");
    let one_of_each = "enum Size { SMALL LARGE }
        type Place @value { street: String! note: String }
        type Odd @entity(strategy: CRDT, scope: \"a/{n}/b-{size}\") {
          id: ID! n: Int! size: Size! at: Instant! on: Date! sure: Boolean! raw: Bytes!
          price: Decimal! @decimal(precision: 9, scale: 3) share: Float! place: Place! any: JSON!
          names: [String!]! time: LocalTime! }";
    let cases = [std::fs::read_to_string(shop).unwrap(), one_of_each.to_owned()];
    for sdl in cases {
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join("app.graphql");
        std::fs::write(&schema, sdl).unwrap();
        let dev = Dev::start(&folder.path().join("a world"), &schema);
        let said = follow(folder.path(), &dev.started);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("two regions have it"), "{said:?}");
        assert!(said[2].contains("first-one"), "{said:?}");
    }
}

#[test]
fn the_app_of_a_new_project_runs_on_its_world() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("workshop");
    new_project(&dir);
    let world = dir.join(".landfall");
    let dev = Dev::start(&world, &dir.join("schema.graphql"));
    follow(&dir, &dev.started);
    let regions: Vec<(String, String)> = dev.started["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["name"].as_str().unwrap().to_owned(), r["url"].as_str().unwrap().to_owned()))
        .collect();
    let token = landfall_in(&dir, &["token", "--subject", "carla", "--scope", "team/*"]);
    let token = stdout(&token).trim().to_owned();
    let pairs = regions.iter().map(|(name, url)| (name.as_str(), url.as_str()));
    let client = app::open(&folder.path().join("carla.db"), "carla", &token, pairs).unwrap();
    let seen = app::work(&client, "carla").unwrap().join("\n");
    client.close().unwrap();
    assert!(seen.contains("two regions have it"), "{seen}");
    assert!(seen.contains("the door has 1 votes, from [\"carla\"]"), "{seen}");
    let text = std::fs::read_to_string(dir.join("README.md")).unwrap();
    let phones = text.lines().filter(|l| l.starts_with("landfall device "));
    let mut count = 0;
    for line in phones {
        let words = shlex::split(line).expect("words");
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let output = landfall_in(&dir, &words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {errors}");
        count += 1;
    }
    assert_eq!(count, 6, "the README has changed its commands");
}
