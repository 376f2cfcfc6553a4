//! Documents: blobs by name, and what a reader lacks of them.

use landfall_model::id::{Dot, FieldId};
use landfall_model::text::Text;
use landfall_model::vector::{Origin, Vector};

use super::{at, dot, key, origin, text};
use crate::region::store::{Store, TextRow};

pub fn text_blobs_are_kept_by_name<S: Store>(s: &mut S) {
    let (k, f, o) = (key("h", 1, "doc"), FieldId(4), origin(1, 1, 0));
    assert!(s.text(&k, f).unwrap().is_empty());
    let (first, second) = ([dot(1, 1)], [dot(1, 1), dot(2, 1)]);
    s.add_text(&k, f, &first, dot(1, 2), b"one", at(o, 1)).unwrap();
    s.add_text(&k, f, &first, dot(2, 2), b"two", at(o, 2)).unwrap();
    s.add_text(&k, f, &second, dot(1, 2), b"other part", at(o, 3)).unwrap();
    s.add_text(&k, f, &first, dot(1, 2), b"one", at(o, 4)).unwrap();
    s.add_text(&k, FieldId(5), &first, dot(1, 9), b"other field", at(o, 5)).unwrap();
    s.add_text(&key("h", 1, "e"), f, &first, dot(1, 8), b"other row", at(o, 6)).unwrap();
    let expected = text(&[
        (&first, None, &[(dot(1, 2), b"one"), (dot(2, 2), b"two")]),
        (&second, None, &[(dot(1, 2), b"other part")]),
    ]);
    assert_eq!(s.text(&k, f).unwrap(), expected, "parts by births, blobs by name, each once");
    assert_eq!(s.entity(&k).unwrap(), None, "documents and entities are apart");
}

pub fn texts_since_gives_what_is_lacking<S: Store>(s: &mut S) {
    let (k, o, p) = (key("h", 1, "doc"), origin(1, 1, 0), origin(2, 1, 0));
    let births = [dot(1, 1)];
    s.add_text(&k, FieldId(9), &births, dot(1, 2), b"one", at(o, 1)).unwrap();
    s.add_text(&k, FieldId(2), &births, dot(1, 3), b"two", at(o, 2)).unwrap();
    s.add_text(&k, FieldId(2), &births, dot(2, 1), b"three", at(p, 1)).unwrap();
    // A duplicate: the same blob under a second position.
    s.add_text(&k, FieldId(9), &births, dot(1, 2), b"one", at(p, 2)).unwrap();
    let one = TextRow { field: FieldId(9), text: text(&[(&births, None, &[(dot(1, 2), b"one")])]) };
    let row = |blobs: &[(Dot, &[u8])]| TextRow {
        field: FieldId(2),
        text: text(&[(&births, None, blobs)]),
    };
    let both = row(&[(dot(1, 3), b"two"), (dot(2, 1), b"three")]);
    let mut since =
        |cursor: &[(Origin, u64)]| s.texts_since(&k, &cursor.iter().copied().collect()).unwrap();
    assert_eq!(since(&[]), [both.clone(), one.clone()], "fields ascend");
    assert_eq!(since(&[(o, 1)]), [both, one.clone()], "one lies above, under its second position");
    assert_eq!(since(&[(o, 2)]), [row(&[(dot(2, 1), b"three")]), one.clone()]);
    let two = row(&[(dot(1, 3), b"two")]);
    assert_eq!(since(&[(p, 2)]), [two, one.clone()], "or under its first");
    assert_eq!(since(&[(o, 2), (p, 1)]), [one], "a field that lacks nothing is left out");
    assert_eq!(since(&[(o, 2), (p, 2)]), []);
    let other = s.texts_since(&key("h", 1, "d"), &Vector::new()).unwrap();
    assert_eq!(other, [], "another entity has none");
}

pub fn folding_replaces_the_document<S: Store>(s: &mut S) {
    let (k, f, o) = (key("h", 1, "doc"), FieldId(2), origin(1, 1, 0));
    let (births, later) = ([dot(1, 1)], [dot(3, 1)]);
    s.add_text(&k, f, &births, dot(1, 2), b"one", at(o, 1)).unwrap();
    s.add_text(&k, f, &births, dot(1, 3), b"two", at(o, 2)).unwrap();
    s.add_text(&k, f, &births, dot(1, 9), b"waits", at(o, 3)).unwrap();
    s.add_text(&k, f, &later, dot(3, 2), b"gone", at(o, 4)).unwrap();
    let touch: Vector = [(o, 4)].into_iter().collect();
    let folded = text(&[(&births, Some(b"one+two"), &[(dot(1, 9), b"waits")])]);
    s.put_text(&k, f, &folded, &touch).unwrap();
    assert_eq!(s.text(&k, f).unwrap(), folded, "all parts are replaced");
    s.add_text(&k, f, &births, dot(1, 10), b"new", at(o, 5)).unwrap();
    let mut since = |seq: u64| {
        let rows = s.texts_since(&k, &[(o, seq)].into_iter().collect()).unwrap();
        rows.into_iter().map(|r| r.text).next().unwrap_or_default()
    };
    let new: (Dot, &[u8]) = (dot(1, 10), b"new");
    let waits: (Dot, &[u8]) = (dot(1, 9), b"waits");
    assert_eq!(since(2), text(&[(&births, Some(b"one+two"), &[waits, new])]));
    let at_3 = text(&[(&births, Some(b"one+two"), &[new])]);
    assert_eq!(since(3), at_3, "what was left unfolded keeps its position");
    assert_eq!(since(4), text(&[(&births, None, &[new])]), "the cursor covers the fold");
    assert_eq!(since(5), Text::default());

    // A blob of which no position is known counts as come with the touch that it is put under.
    let brought = text(&[(&births, None, &[(dot(7, 1), b"brought")])]);
    let touch: Vector = [(o, 6)].into_iter().collect();
    s.put_text(&k, f, &brought, &touch).unwrap();
    let at_5 = s.texts_since(&k, &[(o, 5)].into_iter().collect()).unwrap();
    assert_eq!(at_5, [TextRow { field: f, text: brought }]);
    assert_eq!(s.texts_since(&k, &touch).unwrap(), []);
    s.put_text(&k, f, &Text::default(), &touch).unwrap();
    assert!(s.text(&k, f).unwrap().is_empty(), "an empty document is none");
}
