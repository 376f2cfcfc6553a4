//! Checks of base rows, what hangs on them, and how they are found.

use super::{base, dot, key, ok, own, text};
use crate::device::store::{
    Base, Deletion, Document, LastValues, ParentName, Referred, Store, TextMark, View,
};
use landfall_model::codec;
use landfall_model::id::{EntityKey, FieldId, TypeId};
use landfall_model::text::Text;
use landfall_model::value::Value;

pub(super) fn bases_come_back_whole<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    let first = base("one", 1, &["s/1"]);
    ok(s.put_base(&a, &first));
    ok(s.put_base(&b, &Base::default()));
    assert_eq!(ok(s.base(&a)), Some(first));
    assert_eq!(ok(s.base(&b)), Some(Base::default()));

    let second = base("two", 2, &["s/1", "driver/9"]);
    ok(s.put_base(&a, &second));
    assert_eq!(ok(s.base(&a)), Some(second));

    ok(s.remove_base(&a));
    ok(s.remove_base(&a));
    assert_eq!(ok(s.base(&a)), None);
    assert_eq!(ok(s.base(&b)), Some(Base::default()));
}

pub(super) fn bases_are_walked_in_key_order<S: Store>(s: &mut S) {
    let keys: Vec<EntityKey> = (10..20).map(|n| key("s/1", 1, &n.to_string())).collect();
    for key in keys.iter().rev() {
        ok(s.put_base(key, &base(&key.id, 1, &["s/1"])));
    }
    let walked = |s: &mut S, after: Option<&EntityKey>, limit| -> Vec<EntityKey> {
        ok(s.bases(after, limit)).into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(walked(s, None, usize::MAX), keys);
    assert_eq!(walked(s, None, 3), keys[..3]);
    assert_eq!(walked(s, Some(&keys[2]), 4), keys[3..7]);
    assert_eq!(walked(s, Some(&keys[9]), 4), []);
    assert_eq!(walked(s, None, 0), []);
    // A place need not name a row that is there.
    assert_eq!(walked(s, Some(&key("s/1", 1, "175")), 1), keys[8..9]);
    assert_eq!(ok(s.bases(None, 1)), [(keys[0].clone(), base("10", 1, &["s/1"]))]);
}

pub(super) fn what_is_known_of_a_range_of_names_is_told<S: Store>(s: &mut S) {
    let name = |id: &str| key("s/1", 1, id);
    let row = base("new", 1, &["s/1"]);
    ok(s.add_base(&name("b"), &row, &codec::to_bytes(&row.entity)));
    assert_eq!(ok(s.base(&name("b"))), Some(row));
    assert_eq!(ok(s.held_by("s/1", None, 9)), [name("b")]);
    ok(s.put_op(&own(1, 1, 1, "c")));
    ok(s.put_own_birth(&name("d"), Some(dot(1, 1))));
    ok(s.put_own_birth(&name("b"), Some(dot(1, 2))));
    for other in [key("s/0", 1, "b"), key("s/1", 0, "b"), key("s/1", 2, "b"), key("s/2", 1, "b")] {
        ok(s.put_base(&other, &Base::default()));
    }
    let known = |s: &mut S, first: &str, last: &str, limit| {
        let mut known = ok(s.known(&name(first), &name(last), limit));
        known.sort_unstable();
        known.dedup();
        known
    };
    assert_eq!(known(s, "a", "z", 9), [name("b"), name("c"), name("d")]);
    assert_eq!(known(s, "b", "c", 9), [name("b"), name("c")]);
    assert_eq!(known(s, "ba", "bz", 9), []);
    assert_eq!(ok(s.known(&name("a"), &name("z"), 2)).len(), 2);
    let mut all = ok(s.known(&key("s/1", 0, "b"), &key("s/1", 2, "b"), 9));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5, "kinds are within the range, too: {all:?}");
}

pub(super) fn keys_order_by_home_then_kind_then_id<S: Store>(s: &mut S) {
    let keys = [
        key("a", u32::MAX, "é"),
        key("a", u32::MAX, "𝄞"),
        key("a/", 1, "z"),
        key("b", 2, "B"),
        key("b", 2, "a"),
        key("b", 10, "A"),
        key("b", 1 << 31, ""),
    ];
    assert!(keys.is_sorted());
    for key in keys.iter().rev() {
        ok(s.put_base(key, &base("x", 1, &["all"])));
    }
    let walked: Vec<EntityKey> = ok(s.bases(None, 100)).into_iter().map(|(k, _)| k).collect();
    assert_eq!(walked, keys);
    assert_eq!(ok(s.held_by("all", None, 100)), keys);
    for (at, key) in keys.iter().enumerate() {
        let behind: Vec<EntityKey> =
            ok(s.bases(Some(key), 100)).into_iter().map(|(k, _)| k).collect();
        assert_eq!(behind, keys[at + 1..]);
        assert_eq!(ok(s.held_by("all", Some(key), 100)), keys[at + 1..]);
    }
}

pub(super) fn holds_follow_the_base_row<S: Store>(s: &mut S) {
    let (a, b) = (key("w/1", 1, "a"), key("w/2", 1, "b"));
    ok(s.put_base(&b, &base("b", 1, &["w/2", "driver/9"])));
    ok(s.put_base(&a, &base("a", 1, &["w/1", "driver/9"])));
    assert_eq!(ok(s.held_by("driver/9", None, 10)), [a.clone(), b.clone()]);
    assert_eq!(ok(s.held_by("driver/9", None, 1)), std::slice::from_ref(&a));
    assert_eq!(ok(s.held_by("driver/9", Some(&a), 10)), std::slice::from_ref(&b));
    assert_eq!(ok(s.held_by("w/1", None, 10)), std::slice::from_ref(&a));
    assert_eq!(ok(s.held_by("driver", None, 10)), []);
    assert_eq!(ok(s.held_by("driver/99", None, 10)), []);

    ok(s.put_base(&a, &base("a", 1, &["driver/8"])));
    assert_eq!(ok(s.held_by("driver/9", None, 10)), std::slice::from_ref(&b));
    assert_eq!(ok(s.held_by("driver/8", None, 10)), std::slice::from_ref(&a));
    assert_eq!(ok(s.held_by("w/1", None, 10)), []);

    ok(s.remove_base(&b));
    assert_eq!(ok(s.held_by("driver/9", None, 10)), []);
    assert_eq!(ok(s.held_by("w/2", None, 10)), []);
}

/// What its home alone holds may be kept in another way; nobody sees that.
pub(super) fn a_row_that_its_home_alone_holds_is_found_like_any_other<S: Store>(s: &mut S) {
    let (a, b, c) = (key("w/1", 1, "a"), key("w/1", 1, "b"), key("w/1", 2, "c"));
    ok(s.put_base(&c, &base("c", 1, &["w/1"])));
    ok(s.put_base(&a, &base("a", 1, &["w/1"])));
    ok(s.put_base(&b, &base("b", 1, &["driver/9", "w/1"])));
    let found = |s: &mut S| {
        let held = ok(s.held("w/1"));
        assert_eq!(held.rows, ok(s.held_by("w/1", None, 9)).len() as u64);
        let mut long = ok(s.longest_held("w/1", 0, 9));
        long.sort();
        assert_eq!(long, ok(s.held_by("w/1", None, 9)));
        (long, held.bytes)
    };
    let (keys, bytes) = found(s);
    assert_eq!(keys, [a.clone(), b.clone(), c.clone()], "in key order");
    assert_eq!(ok(s.held_by("w/1", Some(&a), 1)), std::slice::from_ref(&b));
    assert_eq!(ok(s.longest_held("w/1", 1, 9)).len(), 2);

    // One gains a scope, one loses the other, one changes hands.
    ok(s.put_base(&a, &base("a", 2, &["driver/9", "w/1"])));
    ok(s.put_base(&b, &base("b", 2, &["w/1"])));
    ok(s.put_base(&c, &base("c", 2, &["driver/9"])));
    assert_eq!(found(s).0, [a.clone(), b.clone()]);
    assert_eq!(ok(s.held_by("driver/9", None, 9)), [a.clone(), c.clone()]);
    assert_eq!(ok(s.base(&b)), Some(base("b", 2, &["w/1"])));

    ok(s.put_base(&c, &base("c", 3, &["w/1"])));
    assert_eq!(found(s).1, bytes, "each counts once");
    for key in [&a, &b, &c] {
        ok(s.remove_base(key));
    }
    assert_eq!(found(s), (vec![], 0));
    assert_eq!(ok(s.held_by("driver/9", None, 9)), []);
}

pub(super) fn base_texts_come_and_go<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    let (one, two) = (text(1), text(2));
    ok(s.put_base_text(&a, FieldId(1), &one));
    ok(s.put_base_text(&a, FieldId(2), &two));
    ok(s.put_base_text(&b, FieldId(1), &two));
    assert_eq!(ok(s.base_text(&a, FieldId(1))), one);
    assert_eq!(ok(s.base_text(&a, FieldId(2))), two);
    ok(s.put_base_text(&a, FieldId(1), &two));
    assert_eq!(ok(s.base_text(&a, FieldId(1))), two);
    ok(s.put_base_text(&a, FieldId(1), &Text::default()));
    ok(s.put_base_text(&a, FieldId(1), &Text::default()));
    assert!(ok(s.base_text(&a, FieldId(1))).is_empty());
    assert_eq!(ok(s.base_text(&a, FieldId(2))), two);
    assert_eq!(ok(s.base_text(&b, FieldId(1))), two);
}

pub(super) fn prints_tell_base_texts_apart<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    assert_eq!(ok(s.text_print(&a, FieldId(1))), None);
    ok(s.put_base_text(&a, FieldId(1), &text(1)));
    ok(s.put_base_text(&b, FieldId(2), &text(2)));
    let first = ok(s.text_print(&a, FieldId(1)));
    assert!(first.is_some());
    assert_ne!(ok(s.text_print(&b, FieldId(2))), first);
    assert_eq!(ok(s.text_print(&a, FieldId(2))), None);

    ok(s.put_base_text(&a, FieldId(1), &text(2)));
    assert_ne!(ok(s.text_print(&a, FieldId(1))), first, "another text");
    ok(s.put_base_text(&a, FieldId(1), &Text::default()));
    assert_eq!(ok(s.text_print(&a, FieldId(1))), None);
    // One that comes back is not taken for what was there in between.
    ok(s.put_base_text(&a, FieldId(1), &text(3)));
    assert_ne!(ok(s.text_print(&a, FieldId(1))), first);

    ok(s.put_base(&b, &base("x", 1, &["s/1"])));
    ok(s.remove_base(&b));
    assert_eq!(ok(s.text_print(&b, FieldId(2))), None);
}

/// A row that left the device's scopes leaves its disk, texts and all.
pub(super) fn a_base_row_takes_its_texts_along<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    for key in [&a, &b] {
        ok(s.put_base(key, &base("x", 1, &["s/1"])));
        ok(s.put_base_text(key, FieldId(0), &text(1)));
        ok(s.put_base_text(key, FieldId(u32::MAX), &text(2)));
    }
    ok(s.put_base(&a, &base("y", 2, &[])));
    assert_eq!(ok(s.base_text(&a, FieldId(0))), text(1));
    ok(s.remove_base(&a));
    assert!(ok(s.base_text(&a, FieldId(0))).is_empty());
    assert!(ok(s.base_text(&a, FieldId(u32::MAX))).is_empty());
    assert_eq!(ok(s.base_text(&b, FieldId(0))), text(1));
}

pub(super) fn text_marks_go_with_the_base_row<S: Store>(s: &mut S) {
    let (a, b) = (key("s/1", 1, "a"), key("s/1", 1, "b"));
    let mark = |n| TextMark { births: vec![dot(1, n), dot(2, n)], version: vec![n as u8, 0] };
    ok(s.put_base(&a, &Base::default()));
    for (key, field, n) in [(&a, 1, 1), (&a, 2, 2), (&b, 1, 3), (&a, 1, 4)] {
        ok(s.put_text_mark(key, FieldId(field), Some(&mark(n))));
    }
    assert_eq!(ok(s.text_mark(&a, FieldId(1))), Some(mark(4)));
    assert_eq!(ok(s.text_mark(&a, FieldId(2))), Some(mark(2)));
    ok(s.put_text_mark(&a, FieldId(1), None));
    ok(s.put_text_mark(&a, FieldId(1), None));
    assert_eq!(ok(s.text_mark(&a, FieldId(1))), None);
    ok(s.remove_base(&a));
    assert_eq!(ok(s.text_mark(&a, FieldId(2))), None);
    assert_eq!(ok(s.text_mark(&b, FieldId(1))), Some(mark(3)));
}

pub(super) fn children_are_noted_once<S: Store>(s: &mut S) {
    let (p, q) = (key("s/1", 1, "p"), key("s/1", 1, "q"));
    let (a, b) = (key("s/1", 2, "a"), key("s/1", 2, "b"));
    for child in [&b, &a, &b] {
        ok(s.put_child(&p, child));
    }
    ok(s.put_child(&q, &b));
    assert_eq!(ok(s.children(&p)), [a.clone(), b.clone()]);
    assert_eq!(ok(s.children(&q)), std::slice::from_ref(&b));
    assert_eq!(ok(s.children(&a)), []);
}

pub(super) fn names_are_found_in_any_home<S: Store>(s: &mut S) {
    for home in ["s/3", "s/2", "s/1"] {
        ok(s.put_base(&key(home, 1, "a"), &Base::default()));
    }
    for other in [key("s/1", 2, "a"), key("s/1", 1, "aa"), key("s/1", 1, "")] {
        ok(s.put_base(&other, &Base::default()));
    }
    let homes = |homes: &[&str], id: &str| -> Vec<EntityKey> {
        homes.iter().map(|home| key(home, 1, id)).collect()
    };
    assert_eq!(ok(s.find(TypeId(1), "a")), homes(&["s/1", "s/2", "s/3"], "a"));
    assert_eq!(ok(s.find(TypeId(3), "a")), []);
    ok(s.remove_base(&key("s/1", 1, "a")));
    assert_eq!(ok(s.find(TypeId(1), "a")), homes(&["s/2", "s/3"], "a"));
    // Own ops count, and an entity that has both is named once.
    ok(s.put_op(&own(1, 1, 1, "a")));
    ok(s.put_op(&own(1, 2, 2, "b")));
    ok(s.put_op(&own(1, 3, 3, "b")));
    assert_eq!(ok(s.find(TypeId(1), "a")), homes(&["s/1", "s/2", "s/3"], "a"));
    ok(s.put_base(&key("s/1", 1, "a"), &Base::default()));
    assert_eq!(ok(s.find(TypeId(1), "a")), homes(&["s/1", "s/2", "s/3"], "a"));
    assert_eq!(ok(s.find(TypeId(1), "b")), homes(&["s/1"], "b"));
}

pub(super) fn who_refers_to_an_id_is_found_by_how_it_shows<S: Store>(s: &mut S) {
    let (a, b, c) = (key("s/1", 1, "a"), key("s/1", 1, "b"), key("s/2", 2, "a"));
    let view = |held: &[(u32, &str, bool)]| {
        let referred = |(field, id, gone): &(u32, &str, bool)| {
            (FieldId(*field), Referred { kind: TypeId(9), id: (*id).to_owned(), gone: *gone })
        };
        View { references: held.iter().map(referred).collect(), ..View::default() }
    };
    ok(s.show(&a, Some(&view(&[(1, "x", false), (2, "y", false)]))));
    ok(s.show(&b, Some(&view(&[(1, "x", true), (2, "x", true)]))));
    ok(s.show(&c, Some(&view(&[(1, "x", false)]))));
    assert_eq!(ok(s.referrers(TypeId(9), "x", false)), [a.clone(), c.clone()]);
    assert_eq!(ok(s.referrers(TypeId(9), "x", true)), std::slice::from_ref(&b));
    assert_eq!(ok(s.referrers(TypeId(9), "y", false)), std::slice::from_ref(&a));
    assert_eq!(ok(s.referrers(TypeId(8), "x", false)), []);
    // Shown again, in another way; and not at all.
    ok(s.show(&a, Some(&view(&[(1, "x", true), (2, "z", false)]))));
    ok(s.show(&c, None));
    assert_eq!(ok(s.referrers(TypeId(9), "x", false)), []);
    assert_eq!(ok(s.referrers(TypeId(9), "x", true)), [a.clone(), b]);
    assert_eq!(ok(s.referrers(TypeId(9), "y", false)), []);
    assert_eq!(ok(s.referrers(TypeId(9), "z", false)), [a]);
}

pub(super) fn deletions_are_kept_until_newer_ones_need_their_place<S: Store>(s: &mut S) {
    let row = |id: &str| LastValues {
        key: key("s/1", 1, id),
        parent: Some(ParentName { kind: TypeId(2), id: "above".into() }),
        registers: [(FieldId(1), Value::text(id))].into(),
        sets: [(FieldId(2), vec![Value::Int(1), Value::Null])].into(),
        counters: [(FieldId(3), i64::MIN)].into(),
        documents: [(FieldId(4), Document(vec![0, 255]))].into(),
        texts: [(FieldId(5), "text".to_owned())].into(),
        counts: [(FieldId(6), [(dot(1, 1), -7)].into())].into(),
    };
    let deletion =
        |id: &str, seen_ms| Deletion { rows: vec![row(id), row("b")], own: None, seen_ms };
    let (a, b, c) = (key("s/1", 1, "a"), key("s/1", 1, "b"), key("s/2", 1, "a"));
    assert_eq!(ok(s.deletion(&a)), None);
    for (key, seen_ms) in [(&a, 1), (&b, 2), (&c, 3), (&a, -4)] {
        ok(s.put_deletion(key, Some(&deletion("x", seen_ms))));
    }
    assert_eq!(ok(s.deletion(&a)), Some(deletion("x", -4)), "the later one counts");
    ok(s.trim_deletions(3, usize::MAX));
    assert!(ok(s.deletion(&b)).is_some());
    // That of `a` was written last, that of `b` longest ago.
    ok(s.trim_deletions(2, usize::MAX));
    assert_eq!(ok(s.deletion(&b)), None);
    assert!(ok(s.deletion(&a)).is_some() && ok(s.deletion(&c)).is_some());
    let bytes = codec::to_bytes(&deletion("x", -4)).len();
    ok(s.trim_deletions(2, bytes));
    assert!(ok(s.deletion(&a)).is_some() && ok(s.deletion(&c)).is_none());
    ok(s.forget_deletions("s/2"));
    assert!(ok(s.deletion(&a)).is_some());
    ok(s.forget_deletions("s/1"));
    assert_eq!(ok(s.deletion(&a)), None);
    ok(s.put_deletion(&a, Some(&deletion("x", 5))));
    ok(s.put_deletion(&a, None));
    assert_eq!(ok(s.deletion(&a)), None);
}
