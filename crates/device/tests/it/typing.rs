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
    for at in 1..5_500 {
        assert_eq!(type_at(&mut editor, at).dots, first.dots, "the op grows");
        if at == 100 || at == 4_500 {
            assert_eq!(note(&client), alphabet(at + 1), "whoever reads sees what was typed");
        }
    }
    client.abandon().unwrap();
    let client = offline(&world, &path);
    assert_eq!(note(&client), alphabet(5_500));
    assert_eq!(client.outbox_status().unwrap().pending, 2, "the order and its note");
    client.go_online();
    client.drain(SOON).unwrap();
    let other = Client::open(world.options(&dir.path().join("b.db"), &[0])).unwrap();
    other.subscribe("market/fr").unwrap();
    other.settle(SOON).unwrap();
    assert_eq!(note(&other), alphabet(5_500));
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

/// Two editors of one text, each of which pulls now and then; what they did is read in their process,
/// in another, or by the next one after a kill.
#[test]
fn whatever_two_editors_type_is_there_whoever_reads_it_and_after_a_kill() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let mut client = offline(&world, &path);
    let other = offline(&world, &path);
    let mut editors = [editor(&client), client.text("Order", "o1", "note").unwrap()];
    let mut state = 7_u64;
    let mut below = move |n: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for _ in 0..120 {
        let which = below(2) as usize;
        let typist = &mut editors[which];
        if below(3) > 0 {
            typist.pull().unwrap();
        }
        for _ in 0..below(30) {
            for _ in 0..=below(3) {
                let len = typist.value().chars().count() as u64;
                let at = below(len + 1);
                let delete = if below(3) == 0 { below((len - at).min(4) + 1) } else { 0 };
                let insert = ["", "x", "ab", "ü", "日本", "🦀"][below(6) as usize];
                typist.splice(at as usize, delete as usize, insert).unwrap();
            }
            if below(8) == 0 {
                typist.pull().unwrap();
            }
            typist.commit().unwrap();
        }
        match below(4) {
            0 => _ = note(&client),
            1 => _ = note(&other),
            2 => {
                client.abandon().unwrap();
                client = offline(&world, &path);
                let read = note(&client);
                // An editor outlives the process of its file in a test alone.
                editors = [0, 1].map(|_| client.text("Order", "o1", "note").unwrap());
                assert_eq!(editors[0].value(), read);
            }
            _ => {}
        }
        if below(4) == 0 {
            let read = note(&client);
            for editor in &mut editors {
                editor.pull().unwrap();
                assert_eq!(editor.value(), read);
            }
            assert_eq!(note(&other), read);
        }
    }
    assert!(note(&client).chars().count() > 100);
    for client in [client, other] {
        client.close().unwrap();
    }
}

/// The text before the kill is what the editor showed, which had all of it.
#[test]
fn what_an_editor_did_is_done_again_after_a_kill() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let path = dir.path().join("a.db");
    let mut client = offline(&world, &path);
    let mut typist = editor(&client);
    for round in 0..10 {
        for at in 0..40 {
            typist.splice(at, 0, "né🦀").unwrap();
            if at % 3 == 0 {
                typist.splice(at / 2, 2, "-").unwrap();
            }
            typist.commit().unwrap();
        }
        let shown = typist.value();
        client.abandon().unwrap();
        client = offline(&world, &path);
        assert_eq!(note(&client), shown, "round {round}");
        typist = client.text("Order", "o1", "note").unwrap();
        assert_eq!(typist.value(), shown);
    }
    client.close().unwrap();
}
