//! Begin, commit, rollback, and the memory beside the file.

use super::super::Error;
use super::{append, commit, dot, key, log_row, open, origin, temporary};
use landfall_model::id::{DeviceId, EntityKey};
use landfall_model::op::{Fingerprint, Tx};
use landfall_model::vector::{Position, Vector};
use landfall_sync::region::store::{DeviceRecord, DotRecord, Head, Record, Refusal, Store};

fn ids(keys: Vec<EntityKey>) -> Vec<String> {
    keys.iter().map(|k| k.id.to_string()).collect()
}

/// Numbers of names, heads and sizes are remembered. Those that a rolled-back transaction gave are
/// given again to others, so a stale one would point at the wrong row.
#[test]
fn a_rollback_leaves_nothing_remembered() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    let record_of = |scope: &str| Record { scopes: [scope.into()].into(), ..Record::default() };
    let dot_record = |stream| DotRecord {
        fingerprint: Fingerprint([1; 16]),
        position: Position { origin: origin(1, stream), seq: 1 },
        tx: Tx { first: 1, count: 1 },
    };

    database.begin().unwrap();
    database.put_entity(&key("lost"), record_of("lost")).unwrap();
    database.touch("lost", &key("lost"), origin(1, 9), 1).unwrap();
    database.add_dot(dot(1, 1), dot_record(9)).unwrap();
    append(&mut database, 1..=5);
    database.rollback();

    commit(&mut database, |d| {
        assert_eq!(d.head(origin(1, 0)).unwrap(), Head::default());
        d.put_entity(&key("kept"), record_of("kept")).unwrap();
        d.touch("kept", &key("kept"), origin(1, 3), 2).unwrap();
        d.add_dot(dot(1, 1), dot_record(3)).unwrap();
        d.append(origin(1, 0), &log_row(1)).unwrap();
    });
    commit(&mut database, |d| {
        assert_eq!(d.entity(&key("lost")).unwrap(), None);
        assert_eq!(d.scope_size("lost").unwrap(), 0);
        assert_eq!(d.changed("lost", &Vector::new(), None, 9).unwrap(), []);
        d.put_entity(&key("lost"), record_of("again")).unwrap();
        d.touch("lost", &key("lost"), origin(1, 9), 1).unwrap();
    });
    // Once from memory, once from the file.
    for _ in 0..2 {
        commit(&mut database, |d| {
            assert_eq!(d.entity(&key("kept")).unwrap(), Some(record_of("kept")));
            assert_eq!(d.entity(&key("lost")).unwrap(), Some(record_of("again")));
            assert_eq!(ids(d.changed("kept", &Vector::new(), None, 9).unwrap()), ["kept"]);
            assert_eq!(ids(d.changed("lost", &Vector::new(), None, 9).unwrap()), ["lost"]);
            assert_eq!((d.scope_size("kept").unwrap(), d.scope_size("lost").unwrap()), (1, 1));
            assert_eq!(d.dots(dot(1, 1)).unwrap(), [dot_record(3)]);
            assert_eq!(d.head(origin(1, 0)).unwrap().seq, 1);
        });
        database.close().unwrap();
        database = open(&path);
    }
}

#[test]
fn a_rollback_leads_back_to_the_last_commit() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| {
        append(d, 1..=5);
        d.touch("s", &key("a"), origin(1, 0), 5).unwrap();
    });
    database.begin().unwrap();
    database.truncate(origin(1, 0), 2).unwrap();
    database.touch("s", &key("a"), origin(1, 0), 9).unwrap();
    database.touch("s", &key("b"), origin(1, 0), 9).unwrap();
    database.rollback();
    commit(&mut database, |d| {
        assert_eq!(d.head(origin(1, 0)).unwrap().seq, 5);
        let cursor: Vector = [(origin(1, 0), 5)].into_iter().collect();
        assert_eq!(d.changed("s", &cursor, None, 9).unwrap(), []);
        assert_eq!(d.scope_size("s").unwrap(), 1);
    });
}

#[test]
fn commits_are_counted_once_each_and_only_if_they_changed_something() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    assert_eq!(database.facts("h").unwrap().commits, 0);
    commit(&mut database, |d| append(d, 1..=50));
    commit(&mut database, |d| d.head(origin(1, 0)).unwrap());
    commit(&mut database, |d| append(d, 51..=52));
    database.begin().unwrap();
    append(&mut database, [53]);
    database.rollback();
    assert_eq!(database.facts("h").unwrap().commits, 2);
    database.close().unwrap();
    assert_eq!(open(&path).facts("h").unwrap().commits, 2);
}

#[test]
fn nothing_is_done_outside_of_a_transaction() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    let refused = database.put_cut(origin(1, 0), 1).unwrap_err();
    assert!(matches!(refused, Error::OutOfTransaction), "{refused:?}");
    assert!(database.commit().is_err());
    database.begin().unwrap();
    assert!(database.begin().is_err());
    database.put_cut(origin(1, 0), 1).unwrap();
    database.commit().unwrap();
    commit(&mut database, |d| assert_eq!(d.cuts().unwrap(), [(origin(1, 0), 1)]));
}

#[test]
fn an_entry_out_of_order_spoils_nothing() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| {
        append(d, 1..=2);
        assert!(d.append(origin(1, 0), &log_row(4)).is_err());
        append(d, [3]);
    });
    commit(&mut database, |d| assert_eq!(d.log(origin(1, 0), 0, 9_999).unwrap().len(), 3));
}

#[test]
fn what_is_remembered_of_a_device_is_what_the_file_holds() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    let device = DeviceId::from_number(1);
    let with_gaps = |gaps: u64| {
        let mut record = DeviceRecord::default();
        (1..=gaps).for_each(|n| record.received.insert(2 * n));
        record
    };
    // One that is remembered, and one that takes too much for that.
    for gaps in [3, 500, 4] {
        commit(&mut database, |d| d.put_device(device, &with_gaps(gaps)).unwrap());
        assert_eq!(commit(&mut database, |d| d.device(device).unwrap()), with_gaps(gaps));
        database.begin().unwrap();
        database.put_device(device, &with_gaps(9)).unwrap();
        assert_eq!(database.device(device).unwrap(), with_gaps(9));
        database.rollback();
        assert_eq!(commit(&mut database, |d| d.device(device).unwrap()), with_gaps(gaps));
    }
    drop(database);
    let mut database = open(&path);
    assert_eq!(commit(&mut database, |d| d.device(device).unwrap()), with_gaps(4));
}

#[test]
fn a_refusal_is_found_whether_or_not_it_was_asked_for_before() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    let (code, detail) = ("c".to_owned(), "d".to_owned());
    let refusal = Refusal { code, seq: 1, field: None, detail };
    let of = Fingerprint([1; 16]);
    assert_eq!(commit(&mut database, |d| d.refusals(dot(1, 1)).unwrap()), []);
    commit(&mut database, |d| d.put_refusal(dot(1, 1), of, &refusal).unwrap());
    assert_eq!(commit(&mut database, |d| d.refusals(dot(1, 1)).unwrap()), [(of, refusal.clone())]);
    assert_eq!(commit(&mut database, |d| d.refusals(dot(1, 2)).unwrap()), []);
    database.begin().unwrap();
    database.put_refusal(dot(2, 1), of, &refusal).unwrap();
    database.rollback();
    assert_eq!(commit(&mut database, |d| d.refusals(dot(2, 1)).unwrap()), []);
    drop(database);
    let mut database = open(&path);
    assert_eq!(commit(&mut database, |d| d.refusals(dot(1, 1)).unwrap()), [(of, refusal)]);
}
