//! Arguments that mean nothing are refused, with a code and a word on what to write.

use crate::binary::landfall;
use std::net::TcpListener;

#[track_caller]
fn check(args: &[&str], code: i32, parts: &[&str]) {
    let output = landfall(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    for part in parts {
        assert!(errors.contains(part), "{args:?}: {part:?} is missing in: {errors}");
    }
}

#[test]
fn a_token_for_nobody_or_nothing_is_refused() {
    check(&["token", "--subject", " ", "--scope", "*"], 2, &["LF9008", "--subject anna"]);
    check(&["token", "--subject", "a", "--scope", ""], 2, &["LF9008", "--scope '*'"]);
    check(&["token", "--subject", "a"], 2, &["LF9008", "could do nothing"]);
    check(&["token", "--subject", "a", "--scope", "*", "--days", "0"], 2, &["--days"]);
}

#[test]
fn arguments_that_exclude_each_other_are_refused() {
    check(&["dev", "--schema", "x.graphql", "--phones", "2"], 2, &["--schema", "--phones"]);
    check(&["dev", "--no-phones", "--phones", "2"], 2, &["--no-phones"]);
    check(&["dev", "--phones", "0"], 2, &["--phones"]);
}

#[test]
fn a_world_whose_port_is_taken_leaves_no_file() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("world");
    let place = dir.to_str().unwrap();
    // The page's port, and then a region's.
    for page in [port, port - 1] {
        let page = page.to_string();
        check(&["dev", "--dir", place, "--port", &page], 3, &["LF9002", "try --port"]);
        assert!(!dir.exists());
    }
}

#[test]
fn help_has_the_exit_codes() {
    let output = landfall(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("2  wrong arguments"), "{text}");
}

#[test]
fn a_regions_configuration_is_told_with_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let schema = "type A @entity(strategy: CRDT, scope: \"all\") { id: ID! }";
    std::fs::write(dir.join("app.graphql"), schema).unwrap();
    std::fs::write(dir.join("short"), "x").unwrap();
    std::fs::write(dir.join("none.json"), "{").unwrap();
    let path = dir.join("region.toml");
    let check = |first: &str, rest: &str, parts: &[&str]| {
        let text =
            format!("{first}\nregion = 1\nschema = \"app.graphql\"\ndata_dir = \"data\"\n{rest}\n");
        std::fs::write(&path, text).unwrap();
        let parts = [&["error: LF9007: "][..], parts].concat();
        // One that starts all the same ends with its input, which is none.
        let args = ["region", "--with-parent", "--config", path.to_str().unwrap()];
        self::check(&args, 3, &parts);
        assert!(!dir.join("data").exists());
    };
    let name = "name = \"fr\"";
    let keys = "peer_key = \"peer\"\ndev_key = \"dev\"";
    let with = |line: &str| format!("{keys}\n{line}");
    check(name, &with("copies = 0"), &["region.toml:7: `copies`: there is one region"]);
    check(name, &with("copies = 2"), &["region.toml:7: `copies`: there is one region"]);
    let peer = "[[peers]]\nregion = 2\nname = \"\"\nurl = \"http://127.0.0.1:1\"";
    check(name, &with(peer), &["region.toml:9: `name`: is empty"]);
    let peer = peer.replace("\"\"", "\"de\"");
    check(name, &with(&format!("copies = 3\n{peer}")), &["region.toml:7: `copies`", "2 regions"]);
    check("name = \" \"", &with("copies = 1"), &["region.toml:1: `name`: is empty"]);
    let open = with("copies = 1\nlisten = \"0.0.0.0:0\"");
    check(name, &open, &["region.toml:8: `listen`", "listen_beyond_loopback = true"]);
    let roots = |line: &str| with(&format!("copies = 1\n{line}"));
    check(name, &roots("peer_roots_only = true"), &["region.toml:8: `peer_roots_only`", "nobody"]);
    let none = roots("peer_roots = \"none.json\"");
    check(name, &none, &["region.toml:8: `peer_roots`", "no certificate in it"]);
    let peer = peer.replace("127.0.0.1", "10.0.0.2");
    let clear = roots(&format!("peer_roots = \"none.json\"\n{peer}"));
    check(name, &clear, &["region.toml:12: `url`", "write https://"]);
    let tls = |cert: &str| roots(&format!("tls = {{ cert = \"{cert}\", key = \"nowhere\" }}"));
    check(name, &tls("none.json"), &["region.toml:8: `tls.key`", "nowhere cannot be read"]);
    check(name, &tls("nowhere"), &["region.toml:8: `tls.cert`", "No such file"]);
    let table = roots("[tls]\nkey = \"none.json\"\ncert = \"none.json\"");
    check(name, &table, &["region.toml:10: `tls.cert`", "none.json has no -----BEGIN CERT"]);
    let half = roots("[tls]\ncert = \"none.json\"");
    check(name, &half, &["region.toml", "missing field `key`"]);
    let short = "copies = 1\npeer_key = \"peer\"\ndev_key = \"short\"";
    check(name, short, &["region.toml:7: `dev_key`", "32 secret bytes"]);
    let jwks = |file: &str| format!("copies = 1\npeer_key = \"peer\"\njwks = \"{file}\"");
    check(name, &jwks("none.json"), &["region.toml:7: `jwks`", "public keys"]);
    check(name, &jwks("nowhere.json"), &["region.toml:7: `jwks`", "No such file"]);
    check(name, "copies = 1\npeer_key = \"peer\"", &["`jwks`: nobody could log in"]);
}

#[test]
fn a_second_world_on_the_same_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("app.graphql");
    let text = "type A @entity(strategy: CRDT, scope: \"all\") { id: ID! }";
    std::fs::write(&schema, text).unwrap();
    let dir = folder.path().join("world");
    let _first = crate::device::Dev::start(&dir, &schema);
    let [dir, schema] = [&dir, &schema].map(|path| path.to_str().unwrap());
    let args = ["dev", "--dir", dir, "--schema", schema, "--port", "0", "--seconds", "1"];
    check(&args, 3, &["LF5005", "Stop the other process"]);
}
