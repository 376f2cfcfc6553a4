//! The statements behind `changed` use the indexes that make them cheap.

use super::super::index::{ABOVE, ALL, AT_HOME, NEXT_ORIGIN, WALK};
use super::{commit, key, open, origin, temporary};
use landfall_model::vector::Vector;
use landfall_sync::region::store::Store;
use rusqlite::{Connection, StatementStatus};

#[test]
fn changed_never_scans_or_sorts() {
    let (_directory, path) = temporary();
    open(&path).close().unwrap();
    let connection = Connection::open(&path).unwrap();
    let check = |sql: &str, parameters: usize, expected: &[&str]| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let none = rusqlite::params_from_iter(vec![rusqlite::types::Null; parameters]);
        let plan = statement.query_map(none, |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        assert_eq!(plan, expected, "{sql}");
    };
    check(ALL, 3, &["SEARCH entry USING PRIMARY KEY (scope=? AND key>?)"]);
    let by_key = "SEARCH entity USING INDEX sqlite_autoindex_entity_1 (key>? AND key<?)";
    check(AT_HOME, 2, &[by_key]);
    check(NEXT_ORIGIN, 2, &["SEARCH change USING PRIMARY KEY (scope=? AND origin>?)"]);
    check(ABOVE, 4, &["SEARCH change USING PRIMARY KEY (scope=? AND origin=? AND seq>?)"]);
    check(
        WALK,
        2,
        &[
            "SEARCH e USING PRIMARY KEY (scope=? AND key>?)",
            "SEARCH t USING PRIMARY KEY (scope=? AND entity=?)",
        ],
    );
}

/// SQLite may prepare a statement again for a new value; for some of ours that took most of the time.
#[test]
fn a_new_value_does_not_prepare_a_statement_again() {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    commit(&mut database, |d| {
        let sql = "SELECT n FROM dot WHERE device = ?1 AND first = ?2 ORDER BY n";
        let mut statement = d.statement(sql).unwrap();
        for seq in 0..10 {
            assert!(statement.query(([7_u8; 16], seq)).unwrap().next().unwrap().is_none());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    });
}

/// Both ways to find what changed, at the size where one takes over from the other.
#[test]
fn few_and_many_changes_are_found_alike() {
    // In an audience, and at home.
    for scope in ["s", "warehouse/lyon"] {
        found_alike(scope);
    }
}

fn found_alike(scope: &str) {
    let (_directory, path) = temporary();
    let mut database = open(&path);
    let o = origin(1, 0);
    commit(&mut database, |d| {
        for n in 1..=2_000_u64 {
            d.touch(scope, &key(&format!("{:05}", n * 1_009 % 2_003)), o, n).unwrap();
        }
        // With pages of 10, more than sqrt(2000 * 10) = 141 changes are walked.
        for changed in [1, 9, 10, 11, 140, 141, 142, 143, 1_000, 2_000] {
            let cursor: Vector = [(o, 2_000 - changed)].into_iter().collect();
            let first_page = d.changed(scope, &cursor, None, 10).unwrap();
            let all = d.changed(scope, &cursor, None, usize::MAX).unwrap();
            assert_eq!(all.len() as u64, changed);
            assert!(all.is_sorted());
            assert_eq!(first_page, all[..all.len().min(10)]);
            let behind = d.changed(scope, &cursor, Some(&all[0]), 10).unwrap();
            assert_eq!(behind, all[1..all.len().min(11)]);
        }
    });
}
