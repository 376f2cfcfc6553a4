//! Typing into a text, a commit per key: it waits beside its op, and everybody sees all of it.

use crate::world::{SOON, World};
use landfall_device::{Client, TextEditor, WriteReceipt};
use std::path::Path;

fn offline(world: &World, path: &Path) -> Client {
    let mut options = world.options(path, &[0]);
    options.network.start_offline = true;
    Client::open(options).unwrap()
}

/// An order, and an editor of its note.
fn editor(client: &Client) -> TextEditor {
    client.transaction().upsert("Order", "o1", [("market", "fr".into())]).commit().unwrap();
    client.text("Order", "o1", "note").unwrap()
}

fn type_at(editor: &mut TextEditor, at: usize) -> WriteReceipt {
    let letter = char::from(b'a' + (at % 26) as u8).to_string();
    editor.splice(at, 0, &letter).unwrap();
    editor.commit().unwrap().unwrap()
}

fn note(client: &Client) -> String {
    client.get("Order", "o1").unwrap().unwrap().text("note").unwrap_or_default().to_owned()
}

fn alphabet(len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + (at % 26) as u8)).collect()
}

#[test]
fn typing_is_one_op_however_many_commits_it_takes_and_survives_a_kill() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let client = offline(&world, &path);
    let mut editor = editor(&client);
    let first = type_at(&mut editor, 0);
    for at in 1..2_500 {
        assert_eq!(type_at(&mut editor, at).dots, first.dots, "the op grows");
        if at % 800 == 0 {
            assert_eq!(note(&client), alphabet(at + 1), "whoever reads sees what was typed");
        }
    }
    client.abandon().unwrap();
    let client = offline(&world, &path);
    assert_eq!(note(&client), alphabet(2_500));
    assert_eq!(client.outbox_status().unwrap().pending, 2, "the order and its note");
    client.go_online();
    client.drain(SOON).unwrap();
    let other = Client::open(world.options(&dir.path().join("b.db"), &[0])).unwrap();
    other.subscribe("market/fr").unwrap();
    other.settle(SOON).unwrap();
    assert_eq!(note(&other), alphabet(2_500));
    client.close().unwrap();
    other.close().unwrap();
}

#[test]
fn what_one_process_types_another_reads_and_writes_over() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let (typist, other) = (offline(&world, &path), offline(&world, &path));
    let mut editor = editor(&typist);
    for at in 0..20 {
        type_at(&mut editor, at);
        assert_eq!(note(&other), alphabet(at + 1));
    }
    for at in 20..40 {
        type_at(&mut editor, at);
    }
    other.transaction().splice("Order", "o1", "note", 0, 40, "").commit().unwrap();
    assert_eq!(note(&typist), "", "the other took all of it away");
    for at in 40..60 {
        type_at(&mut editor, at);
    }
    assert_eq!(note(&other), alphabet(60)[40..]);
    for client in [typist, other] {
        client.close().unwrap();
    }
}
