//! The change index: what changed above a cursor, in key order, page by page.

use landfall_model::id::EntityKey;
use landfall_model::vector::{Origin, Vector};

use super::{awkward_keys, ids, key, origin, record};
use crate::region::store::Store;

pub fn index_finds_what_is_above_the_cursor<S: Store>(s: &mut S) {
    let (o1, o2) = (origin(1, 1, 0), origin(2, 1, 0));
    let [a, b, c] = ["a", "b", "c"].map(|id| key("h", 1, id));
    s.touch("h", &c, o1, 1).unwrap();
    s.touch("h", &a, o1, 2).unwrap();
    s.touch("h", &b, o2, 1).unwrap();
    s.touch("h", &c, o2, 2).unwrap();
    let mut changed = |cursor: &[(Origin, u64)]| {
        let cursor: Vector = cursor.iter().copied().collect();
        ids(s.changed("h", &cursor, None, 99).unwrap())
    };
    assert_eq!(changed(&[]), ["a", "b", "c"], "an absent origin is covered up to 0");
    assert_eq!(changed(&[(o1, 1)]), ["a", "b", "c"]);
    assert_eq!(changed(&[(o1, 2)]), ["b", "c"], "c was also touched by the other log");
    assert_eq!(changed(&[(o2, 2)]), ["a", "c"]);
    assert_eq!(changed(&[(o1, 1), (o2, 2)]), ["a"]);
    assert_eq!(changed(&[(o1, 2), (o2, 1)]), ["c"]);
    assert_eq!(changed(&[(o1, 2), (o2, 2)]), [""; 0]);
    assert_eq!(changed(&[(o1, 99), (o2, 99)]), [""; 0], "a cursor may be above all");
    // Going back, or again, changes nothing; going on does.
    s.touch("h", &a, o1, 2).unwrap();
    s.touch("h", &a, o1, 1).unwrap();
    let cursor: Vector = [(o1, 1), (o2, 2)].into_iter().collect();
    assert_eq!(ids(s.changed("h", &cursor, None, 99).unwrap()), ["a"]);
    let cursor: Vector = [(o1, 2), (o2, 2)].into_iter().collect();
    assert!(s.changed("h", &cursor, None, 99).unwrap().is_empty());
    s.touch("h", &a, o1, 3).unwrap();
    assert_eq!(ids(s.changed("h", &cursor, None, 99).unwrap()), ["a"]);
    assert_eq!(s.scope_size("h").unwrap(), 3, "an entity counts once, however often touched");
}

pub fn index_knows_incarnations_apart<S: Store>(s: &mut S) {
    let (old, new) = (origin(1, 1_000, 5), origin(1, 2_000, 5));
    let other_stream = origin(1, 2_000, 6);
    s.touch("h", &key("h", 1, "old"), old, 9).unwrap();
    s.touch("h", &key("h", 1, "new"), new, 1).unwrap();
    s.touch("h", &key("h", 1, "stream"), other_stream, 1).unwrap();
    let cursor: Vector = [(old, 9)].into_iter().collect();
    let changed = ids(s.changed("h", &cursor, None, 99).unwrap());
    assert_eq!(changed, ["new", "stream"], "a life's numbers say nothing about the next");
    let cursor: Vector = [(new, 9), (other_stream, 9)].into_iter().collect();
    assert_eq!(ids(s.changed("h", &cursor, None, 99).unwrap()), ["old"]);
}

pub fn index_pages_in_key_order<S: Store>(s: &mut S) {
    let keys = awkward_keys();
    let o = [origin(1, 1, 0), origin(2, 1, 0)];
    for (n, k) in keys.iter().enumerate().rev() {
        s.touch("scope", k, o[n % 2], 100 - n as u64).unwrap();
        s.touch("scope", k, o[0], 50).unwrap();
    }
    let cursors = [
        Vector::new(),
        [(o[0], 1)].into_iter().collect(),
        [(o[1], 99)].into_iter().collect(),
        [(o[0], 49), (o[1], 49)].into_iter().collect::<Vector>(),
    ];
    for cursor in cursors {
        for limit in [1, 3, 17, 18, usize::MAX] {
            let mut paged: Vec<EntityKey> = Vec::new();
            loop {
                let page = s.changed("scope", &cursor, paged.last(), limit).unwrap();
                assert!(page.len() <= limit, "no more than the limit");
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            assert_eq!(paged, keys, "cursor {cursor:?}, limit {limit}");
        }
        let behind_a = s.changed("scope", &cursor, Some(&key("a", 2, "aa")), 1).unwrap();
        assert_eq!(behind_a, [keys[3].clone()], "`after` need not exist");
        assert!(s.changed("scope", &cursor, None, 0).unwrap().is_empty());
    }
}

pub fn entries_come_with_what_is_known_of_each<S: Store>(s: &mut S) {
    let keys = awkward_keys();
    for (n, k) in keys.iter().enumerate() {
        s.touch("scope", k, origin(1, 1, 0), n as u64 + 1).unwrap();
        s.touch("another", &key("h", 1, "a"), origin(1, 1, 0), 1).unwrap();
        if n % 2 == 0 {
            s.put_entity(k, record(n as u64 + 1, &["scope"])).unwrap();
        }
    }
    assert!(s.entries("none", None, 9).unwrap().is_empty());
    for limit in [1, 3, usize::MAX] {
        let mut paged: Vec<EntityKey> = Vec::new();
        loop {
            let page = s.entries("scope", paged.last(), limit).unwrap();
            assert!(page.len() <= limit, "no more than the limit");
            if page.is_empty() {
                break;
            }
            for (key, known) in page {
                assert_eq!(known, s.entity(&key).unwrap());
                paged.push(key);
            }
        }
        assert_eq!(paged, keys);
    }
}

pub fn index_keeps_scopes_apart<S: Store>(s: &mut S) {
    let o = origin(1, 1, 0);
    let k = key("h", 1, "a");
    assert_eq!(s.scope_size("h").unwrap(), 0);
    assert!(s.changed("h", &Vector::new(), None, 9).unwrap().is_empty());
    s.touch("h", &k, o, 1).unwrap();
    s.touch("driver/1", &k, o, 2).unwrap();
    s.touch("driver/1", &key("i", 1, "b"), o, 3).unwrap();
    assert_eq!(s.changed("h", &Vector::new(), None, 9).unwrap(), std::slice::from_ref(&k));
    let at_2: Vector = [(o, 2)].into_iter().collect();
    assert_eq!(ids(s.changed("driver/1", &at_2, None, 9).unwrap()), ["b"]);
    assert!(s.changed("driver", &Vector::new(), None, 9).unwrap().is_empty());
    assert!(s.changed("driver/11", &Vector::new(), None, 9).unwrap().is_empty());
    assert_eq!((s.scope_size("h").unwrap(), s.scope_size("driver/1").unwrap()), (1, 2));
    assert_eq!(s.entity(&k).unwrap(), None, "the index and the entities are apart");
}

/// Stores may choose another way where more changed than a page holds; the answer is the same.
pub fn index_holds_when_many_changed<S: Store>(s: &mut S) {
    let o = [origin(1, 1, 0), origin(2, 1, 0), origin(3, 1, 0)];
    for n in 0..600 {
        // Scattered, so that order of arrival is not key order.
        let id = format!("{:03}", n * 7 % 600);
        s.touch("h", &key("h", 1, &id), o[n % 3], n as u64 + 1).unwrap();
    }
    for (above, limit) in [(0, 5), (300, 5), (300, 250), (590, 5), (590, 250), (600, 5)] {
        let cursor: Vector = o.iter().map(|o| (*o, above)).collect();
        let mut expected: Vec<String> =
            (above..600).map(|n| format!("{:03}", n * 7 % 600)).collect();
        expected.sort();
        let mut paged: Vec<EntityKey> = Vec::new();
        loop {
            let page = s.changed("h", &cursor, paged.last(), limit).unwrap();
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(ids(paged), expected, "above {above}, limit {limit}");
    }
}
