//! Entities and their children.

use landfall_model::id::EntityKey;

use super::{awkward_keys, key, origin, record};
use crate::region::store::{Record, Store};

pub fn entities_are_kept_whole<S: Store>(s: &mut S) {
    let k = key("home/a", 1, "x");
    assert_eq!(s.entity(&k).unwrap(), None);
    s.put_entity(&k, Record::default()).unwrap();
    assert_eq!(s.entity(&k).unwrap(), Some(Record::default()), "empty is not absent");
    for n in 1..4 {
        let r = record(n, &["home/a", "driver/7"]);
        s.put_entity(&k, r.clone()).unwrap();
        assert_eq!(s.entity(&k).unwrap(), Some(r), "put replaces all of the record");
    }
    let fewer = record(9, &["home/a"]);
    s.put_entity(&k, fewer.clone()).unwrap();
    assert_eq!(s.entity(&k).unwrap(), Some(fewer), "left scopes are gone");
    assert_eq!(s.entity(&key("home/a", 2, "x")).unwrap(), None, "types are apart");
    assert_eq!(s.entity(&key("home/b", 1, "x")).unwrap(), None, "homes are apart");
}

pub fn entities_come_in_key_order<S: Store>(s: &mut S) {
    let keys = awkward_keys();
    for (n, k) in keys.iter().enumerate().rev() {
        s.put_entity(k, record(n as u64 + 1, &[&k.home])).unwrap();
    }
    // Named, but never arrived: these are no entities.
    s.put_child(&key("a", 3, "parent"), &key("a", 3, "child")).unwrap();
    s.touch("a", &key("a", 3, "touched"), origin(1, 1, 0), 1).unwrap();
    let all = s.entities(None, usize::MAX).unwrap();
    let expected: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, k)| (k.clone(), record(n as u64 + 1, &[&k.home])))
        .collect();
    assert_eq!(all, expected, "all entities, by home, type and id, bytewise");
    let mut paged = Vec::new();
    loop {
        let after = paged.last().cloned();
        let page = s.entities(after.as_ref(), 4).unwrap();
        assert!(page.len() <= 4, "no more than the limit");
        if page.is_empty() {
            break;
        }
        paged.extend(page.into_iter().map(|(k, _)| k));
    }
    assert_eq!(paged, keys, "pages continue behind the last key");
    let between = s.entities(Some(&key("a", 2, "aa")), 1).unwrap();
    assert_eq!(between[0].0, keys[3], "`after` need not exist");
    assert!(s.entities(None, 0).unwrap().is_empty());
}

pub fn children_are_listed_once<S: Store>(s: &mut S) {
    let parent = key("h", 1, "p");
    assert!(s.children(&parent).unwrap().is_empty());
    for id in ["c", "a", "b", "a", "c"] {
        s.put_child(&parent, &key("h", 2, id)).unwrap();
    }
    s.put_child(&key("h", 1, "q"), &key("h", 2, "other")).unwrap();
    s.put_child(&key("h", 2, "a"), &key("h", 3, "grandchild")).unwrap();
    let children: Vec<EntityKey> = ["a", "b", "c"].map(|id| key("h", 2, id)).into();
    assert_eq!(s.children(&parent).unwrap(), children, "once each, ascending");
    assert_eq!(s.entity(&parent).unwrap(), None, "naming a parent does not make it arrive");
    s.put_entity(&parent, record(1, &["h"])).unwrap();
    assert_eq!(s.children(&parent).unwrap(), children, "nor does its arrival matter");
}
