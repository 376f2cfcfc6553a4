//! The difference between two answers of one query: as few changes as lead from one to the other.
//!
//! Rows are known by their keys. A row that is in both answers stays, moves or changes; which rows
//! move is decided by the longest run that keeps its order, so that one row taken to the top is
//! one move and not one for each row that it passed.

use crate::read::{Row, SqlValue};
use std::collections::BTreeMap;

/// One change of a live query's rows. `old` is a place in the rows before all changes of the
/// update, `new` a place in the rows after all of them; both count from 0.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// The row is no longer in the answer.
    Remove {
        /// Where it was.
        old: usize,
    },
    /// The row is new in the answer.
    Insert {
        /// Where it is.
        new: usize,
        /// All its values.
        row: Row,
    },
    /// The row changed its place among those that stayed; if values changed too, an update
    /// follows.
    Move {
        /// Where it was.
        old: usize,
        /// Where it is.
        new: usize,
    },
    /// Some of the row's values are others.
    Update {
        /// Where it was.
        old: usize,
        /// Where it is.
        new: usize,
        /// Which columns changed, by place, ascending.
        columns: Vec<usize>,
        /// All its values, as they are now.
        row: Row,
    },
}

impl RowChange {
    /// The same, in a list that begins with so many rows more.
    fn shift(&mut self, by: usize) {
        match self {
            Self::Remove { old } => *old += by,
            Self::Insert { new, .. } => *new += by,
            Self::Move { old, new } | Self::Update { old, new, .. } => {
                *old += by;
                *new += by;
            }
        }
    }
}

/// What tells rows apart: values of columns, and the occurrence where rows are alike.
type Key = (Vec<Part>, usize);

/// How a query's rows are known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keying {
    /// By these columns.
    Columns(Vec<usize>),
    /// By the first column where its values are unique in both answers, else by the whole row.
    FirstOrWhole,
}

/// A value that can be compared and ordered by its bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Null,
    Integer(i64),
    Real(u64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<&SqlValue> for Part {
    fn from(value: &SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Integer(i) => Self::Integer(*i),
            SqlValue::Real(x) => Self::Real(x.to_bits()),
            SqlValue::Text(s) => Self::Text(s.clone()),
            SqlValue::Blob(b) => Self::Blob(b.clone()),
        }
    }
}

/// Removals by falling old place; then moves, insertions and updates by rising new place.
pub(super) fn diff(keying: &Keying, old: &[Row], new: &[Row]) -> Vec<RowChange> {
    // What is alike at both ends stays where it is: it is in the longest run that keeps its order.
    let alike = |(a, b): &(&Row, &Row)| a == b;
    let head = old.iter().zip(new).take_while(alike).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(alike).count();
    let (old, new) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut changes = differences(keying, old, new);
    changes.iter_mut().for_each(|change| change.shift(head));
    changes
}

fn differences(keying: &Keying, old: &[Row], new: &[Row]) -> Vec<RowChange> {
    let (old_keys, new_keys) = keys(keying, old, new);
    let mut old_places: BTreeMap<&Key, usize> =
        old_keys.iter().enumerate().map(|(at, key)| (key, at)).collect();
    // Per new place, where the row was.
    let origins: Vec<Option<usize>> = new_keys.iter().map(|key| old_places.remove(key)).collect();
    let mut gone: Vec<usize> = old_places.into_values().collect();
    gone.sort_unstable_by(|a, b| b.cmp(a));
    let mut changes: Vec<RowChange> =
        gone.into_iter().map(|old| RowChange::Remove { old }).collect();
    let stayed: Vec<usize> = origins.iter().copied().flatten().collect();
    let mut in_order = longest_rising(&stayed).into_iter().peekable();
    for (at, origin) in origins.into_iter().enumerate() {
        let row = &new[at];
        let Some(was) = origin else {
            changes.push(RowChange::Insert { new: at, row: row.clone() });
            continue;
        };
        if in_order.next_if_eq(&was).is_none() {
            changes.push(RowChange::Move { old: was, new: at });
        }
        let columns = changed_columns(&old[was], row);
        if !columns.is_empty() {
            changes.push(RowChange::Update { old: was, new: at, columns, row: row.clone() });
        }
    }
    changes
}

/// Carry changes out on a copy of the rows, as a list on a screen does. Panics on changes of other
/// rows than these: those of one query are carried out in their order, none left out.
pub fn apply(rows: &mut Vec<Row>, changes: &[RowChange]) {
    let mut old: Vec<Option<Row>> = std::mem::take(rows).into_iter().map(Some).collect();
    let mut placed: BTreeMap<usize, Row> = BTreeMap::new();
    for change in changes {
        match change {
            RowChange::Remove { old: at } => old[*at] = None,
            RowChange::Move { old: at, new } => {
                if let Some(row) = old[*at].take() {
                    placed.insert(*new, row);
                }
            }
            RowChange::Insert { new, row } => {
                placed.insert(*new, row.clone());
            }
            RowChange::Update { .. } => {}
        }
    }
    *rows = old.into_iter().flatten().collect();
    for (new, row) in placed {
        rows.insert(new, row);
    }
    for change in changes {
        if let RowChange::Update { new, row, .. } = change {
            rows[*new] = row.clone();
        }
    }
}

fn changed_columns(old: &Row, new: &Row) -> Vec<usize> {
    let pairs = old.values().iter().zip(new.values()).enumerate();
    pairs.filter(|(_, (a, b))| !a.same(b)).map(|(at, _)| at).collect()
}

fn keys(keying: &Keying, old: &[Row], new: &[Row]) -> (Vec<Key>, Vec<Key>) {
    let width = new.first().or(old.first()).map_or(0, |row| row.values().len());
    let columns = match keying {
        Keying::Columns(columns) => columns.clone(),
        Keying::FirstOrWhole if unique_first(old) && unique_first(new) => vec![0],
        Keying::FirstOrWhole => (0..width).collect(),
    };
    (numbered(old, &columns), numbered(new, &columns))
}

fn unique_first(rows: &[Row]) -> bool {
    let mut firsts: Vec<Part> =
        rows.iter().filter_map(|r| Some(r.values().first()?.into())).collect();
    firsts.sort_unstable();
    firsts.windows(2).all(|pair| pair[0] != pair[1])
}

/// Rows with like values in these columns are told apart by their order.
fn numbered(rows: &[Row], columns: &[usize]) -> Vec<Key> {
    let mut seen: BTreeMap<Vec<Part>, usize> = BTreeMap::new();
    let key = |row: &Row| -> Key {
        let parts: Vec<Part> = columns.iter().map(|at| (&row.values()[*at]).into()).collect();
        let count = seen.entry(parts.clone()).or_default();
        *count += 1;
        (parts, *count)
    };
    rows.iter().map(key).collect()
}

/// The longest rising subsequence of distinct numbers.
fn longest_rising(numbers: &[usize]) -> Vec<usize> {
    // Per length, where the run of that length that ends lowest ends; per place, the one before.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(place) = at {
        run.push(numbers[place]);
        at = before[place];
    }
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Rows of two columns, written `a1`: key and value.
    fn rows(text: &str) -> Vec<Row> {
        let columns: Arc<[String]> = ["id".to_owned(), "n".to_owned()].into();
        let row = |word: &str| Row {
            columns: columns.clone(),
            values: [word[..1].into(), word[1..].into()].into(),
        };
        text.split_whitespace().map(row).collect()
    }

    fn check(old: &str, new: &str, expected: &[&str]) {
        let (old, new) = (rows(old), rows(new));
        let changes = diff(&Keying::Columns(vec![0]), &old, &new);
        let told: Vec<String> = changes
            .iter()
            .map(|c| match c {
                RowChange::Remove { old } => format!("-{old}"),
                RowChange::Insert { new, .. } => format!("+{new}"),
                RowChange::Move { old, new } => format!("{old}>{new}"),
                RowChange::Update { old, new, columns, .. } => format!("{old}~{new}{columns:?}"),
            })
            .collect();
        assert_eq!(told, expected);
        let mut copy = old;
        apply(&mut copy, &changes);
        assert_eq!(copy, new);
    }

    #[test]
    fn changes_are_as_few_as_possible() {
        check("a1 b1", "a1 b1", &[]);
        check("", "a1 b1", &["+0", "+1"]);
        check("a1 b1 c1", "b1", &["-2", "-0"]);
        check("a1 b1 c1", "a1 b2 c1", &["1~1[1]"]);
        check("a1 b1 c1 d1", "d1 a1 b1 c1", &["3>0"]);
        check("a1 b1 c1 d1", "b1 c1 d1 a2", &["0>3", "0~3[1]"]);
        check("a1 b1 c1", "x1 c1 b1", &["-0", "+0", "2>1"]);
        check("a1 b1 c1 d1 e1", "e1 x1 c3 a1", &["-3", "-1", "4>0", "+1", "2>2", "2~2[1]"]);
    }

    #[test]
    fn any_shuffle_is_carried_out_exactly() {
        let mut seed = 7_u64;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % n
        };
        for _ in 0..500 {
            let mut list = |_| {
                let mut letters: Vec<char> = ('a'..='j').collect();
                for at in (1..letters.len()).rev() {
                    letters.swap(at, draw(at as u64 + 1) as usize);
                }
                letters.truncate(draw(11) as usize);
                let words = letters.iter().map(|c| format!("{c}{} ", draw(2)));
                rows(&words.collect::<String>())
            };
            let (mut old, new) = (list(0), list(1));
            let changes = diff(&Keying::FirstOrWhole, &old, &new);
            apply(&mut old, &changes);
            assert_eq!(old, new);
        }
    }

    #[test]
    fn rows_without_a_key_are_known_by_all_they_hold() {
        let (old, new) = (rows("a1 a1 a2"), rows("a1 a2 a3"));
        let changes = diff(&Keying::FirstOrWhole, &old, &new);
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0], RowChange::Remove { old: 1 });
        assert!(matches!(changes[1], RowChange::Insert { new: 2, .. }));
    }
}
