//! Documents: blobs of concurrent authors in any order, folded at any moment, joined from parts.

use super::config;
use super::history::shuffled;
use landfall_model::codec::{from_bytes, to_bytes};
use landfall_model::id::{DeviceId, Dot};
use landfall_model::text::{Document, Text, Version};
use proptest::prelude::*;

const AUTHORS: usize = 3;

#[derive(Clone, Debug)]
enum Move {
    Type {
        at: usize,
        delete: usize,
        insert: String,
    },
    /// Send what was written since the last time, or all of it.
    Send {
        whole: bool,
    },
    /// Read what an author has sent.
    Read {
        from: usize,
    },
}

#[derive(Clone, Debug)]
struct Sent {
    part: usize,
    dot: Dot,
    update: Vec<u8>,
}

/// What some authors sent, on two parts of a document, in the order of sending.
fn documents() -> impl Strategy<Value = Vec<Sent>> {
    let letters = prop_oneof![Just("a"), Just("bc"), Just("é"), Just("😀z"), Just("")];
    let typed = (0usize..12, 0usize..3, letters).prop_map(|(at, delete, insert)| Move::Type {
        at,
        delete,
        insert: insert.to_owned(),
    });
    let moved = prop_oneof![
        5 => typed,
        4 => prop::bool::weighted(0.3).prop_map(|whole| Move::Send { whole }),
        2 => (0..AUTHORS).prop_map(|from| Move::Read { from }),
    ];
    prop::collection::vec((0..AUTHORS, 0usize..2, moved), 1..30).prop_map(|moves| write(&moves))
}

fn write(moves: &[(usize, usize, Move)]) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    let desk = |part: usize, author: usize| {
        let document = Document::default();
        document.set_author((part * 10 + author + 1) as u64);
        (document, Version::default())
    };
    let mut desks: Vec<Vec<_>> =
        (0..2).map(|part| (0..AUTHORS).map(|author| desk(part, author)).collect()).collect();
    for (author, part, step) in moves {
        let device = DeviceId::from_number(*author as u64 + 1);
        let (document, last) = &mut desks[*part][*author];
        match step {
            Move::Type { at, delete, insert } => {
                let at = (*at).min(document.len());
                let delete = (*delete).min(document.len() - at);
                document.splice(at, delete, insert).unwrap();
            }
            Move::Send { whole } => {
                let since = if *whole { Version::default() } else { last.clone() };
                let update = document.changes_since(&since).unwrap();
                *last = document.version();
                sent.push(Sent {
                    part: *part,
                    dot: Dot::new(device, sent.len() as u64 + 1),
                    update,
                });
            }
            Move::Read { from } => {
                let from = DeviceId::from_number(*from as u64 + 1);
                for s in sent.iter().filter(|s| s.part == *part && s.dot.device == from) {
                    document.import(&s.update).unwrap();
                }
            }
        }
    }
    sent
}

fn births(part: usize) -> Vec<Dot> {
    let birth = |n| Dot::new(DeviceId::from_number(n), 1);
    if part == 0 { vec![birth(1)] } else { vec![birth(1), birth(2)] }
}

/// The blobs kept in the seed's order, folded at moments that the seed chooses.
fn kept(sent: &[Sent], seed: u64, fold: u64) -> Text {
    let mut text = Text::default();
    for (i, s) in shuffled(sent, seed).iter().enumerate() {
        text.apply(&births(s.part), s.dot, &s.update);
        if fold >> (i % 64) & 1 == 1 {
            text.compact().unwrap();
        }
    }
    text
}

/// What the parts that a test chooses say, read without [`Text`]: each blob imported in the order
/// of sending.
fn plain(sent: &[Sent], part: impl Fn(usize) -> bool) -> String {
    let document = Document::default();
    for s in sent.iter().filter(|s| part(s.part)) {
        document.import(&s.update).unwrap();
    }
    document.value()
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn any_order_and_any_folding_make_one_text(
        sent in documents(),
        seeds in any::<[u64; 2]>(),
        folds in any::<[u64; 2]>(),
    ) {
        let a = kept(&sent, seeds[0], folds[0]);
        let b = kept(&sent, seeds[1], folds[1]);
        let loose = kept(&sent, seeds[0], 0);
        prop_assert_eq!(a.canonical(), loose.canonical());
        prop_assert_eq!(b.canonical(), loose.canonical());
        prop_assert_eq!(a.open(|_| true).unwrap().value(), plain(&sent, |_| true));
        prop_assert_eq!(from_bytes::<Text>(&to_bytes(&a)), Ok(a));
    }

    #[test]
    fn joined_pieces_make_the_whole(
        sent in documents(),
        mask in any::<u64>(),
        other in any::<u64>(),
        folds in any::<[u64; 2]>(),
    ) {
        let chosen = |mask: u64| -> Vec<Sent> {
            let all = sent.iter().cloned().enumerate();
            all.filter(|(i, _)| mask >> (i % 64) & 1 == 1).map(|(_, s)| s).collect()
        };
        let a = kept(&chosen(mask), 1, folds[0]);
        let b = kept(&chosen(other), 2, folds[1]);
        let whole = kept(&chosen(mask | other), 3, 0);
        let mut ab = a.clone();
        ab.join(&b).unwrap();
        let mut ba = b.clone();
        ba.join(&a).unwrap();
        prop_assert_eq!(ab.canonical(), whole.canonical());
        prop_assert_eq!(ba.canonical(), whole.canonical());
        ab.compact().unwrap();
        ab.join(&a).unwrap();
        prop_assert_eq!(ab.canonical(), whole.canonical());
    }

    #[test]
    fn once_nothing_is_missing_everything_folds(sent in documents(), seed in any::<u64>()) {
        let mut text = kept(&sent, seed, seed);
        text.compact().unwrap();
        prop_assert_eq!(text.loose_blobs(), 0);
        prop_assert_eq!(text.compact().unwrap(), 0);
    }

    #[test]
    fn parts_fall_with_their_last_birth(sent in documents(), fold in any::<u64>()) {
        let second = births(1)[1];
        let mut text = kept(&sent, fold, fold);
        prop_assert_eq!(text.open(|b| b == second).unwrap().value(), plain(&sent, |p| p == 1));
        prop_assert_eq!(text.open(|_| false).unwrap().value(), "");
        text.retain(|b| b == second);
        prop_assert_eq!(text.open(|_| true).unwrap().value(), plain(&sent, |p| p == 1));
        prop_assert!(!text.has_part(&births(0)));
        text.retain(|_| false);
        prop_assert!(text.is_empty());
    }

    #[test]
    fn a_damaged_blob_is_an_error_or_a_text(
        sent in documents(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        for s in sent.iter().take(3) {
            let mut update = s.update.clone();
            let at = at.index(update.len());
            if cut {
                update.truncate(at);
            } else {
                update[at] = byte;
            }
            let mut text = Text::default();
            text.apply(&births(0), s.dot, &update);
            let _ = text.open(|_| true).map(|d| d.value());
            let _ = text.canonical();
            let _ = text.compact();
        }
    }
}
