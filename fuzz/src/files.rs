//! Damaged files of devices, and documents that were made of them: reading them ends, and gives
//! what it can prove.
//!
//! An input is a document; or, behind a zero, a row of patches to a whole file: where (three bytes),
//! how many bytes (one), and they themselves. A patch of no bytes cuts the file off there.

use crate::store;
use crate::world;
use landfall_device::{Account, Client, Options, Rescue};
use std::sync::OnceLock;

pub fn run(input: &[u8]) {
    match input {
        [0, patches @ ..] => {
            if let Ok(rescue) = Rescue::of_bytes(patched(patches)) {
                goes_on(&rescue);
            }
        }
        _ => {
            if let Ok(rescue) = Rescue::of_document(input) {
                goes_on(&rescue);
            }
        }
    }
}

/// What was read can be told, written down, and read again.
fn goes_on(rescue: &Rescue) {
    let report = rescue.report();
    rescue.account();
    let again = Rescue::of_document(&rescue.document()).expect("a document was just made");
    assert_eq!(again.report(), report);
}

fn patched(mut patches: &[u8]) -> Vec<u8> {
    let mut file = whole().to_vec();
    while let [a, b, c, length, rest @ ..] = patches {
        let at = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let (new, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        if new.is_empty() {
            file.truncate(at);
        }
        for (old, new) in file.iter_mut().skip(at).zip(new) {
            *old = *new;
        }
        patches = behind;
    }
    file
}

/// The file of a device that has written a little.
fn whole() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("there is room for a file");
        let path = folder.path().join("ada.db");
        let account = Account { tenant: String::new(), subject: "ada".to_owned() };
        let options = store::still(Options::new(&path, world::schema(), account));
        let client = Client::open(options).expect("a new file can be opened");
        client.subscribe("w/lyon").expect("a scope can be asked for");
        client.write(&store::edits()).expect("the rows can be made");
        client.close().expect("nothing holds the file");
        drop(client);
        std::fs::read(&path).expect("the file is there")
    })
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let rescue = Rescue::of_bytes(whole().to_vec()).expect("a whole file can be read");
    let patch = |at: usize, bytes: &[u8]| {
        let head = [0, (at >> 16) as u8, (at >> 8) as u8, at as u8, bytes.len() as u8];
        [&head[..], bytes].concat()
    };
    vec![
        ("document".to_owned(), rescue.document()),
        ("whole".to_owned(), vec![0]),
        ("no-header".to_owned(), patch(0, &[0; 100])),
        ("page-2".to_owned(), patch(4_096, &[0xff; 32])),
        ("cut".to_owned(), patch(20_000, &[])),
    ]
}
