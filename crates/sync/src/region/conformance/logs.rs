//! Logs: dense, read in portions, ended by cuts.

use super::{head, log_row, origin};
use crate::region::store::{Head, Store};

pub fn logs_are_dense<S: Store>(s: &mut S) {
    let (o, p) = (origin(2, 7, 3), origin(1, 7, 3));
    assert_eq!(s.head(o).unwrap(), Head::default());
    assert!(s.heads().unwrap().is_empty());
    for wrong in [0, 2, u64::MAX] {
        assert!(s.append(o, &log_row(wrong)).is_err(), "a log begins at 1, not at {wrong}");
    }
    s.append(o, &log_row(1)).unwrap();
    s.append(o, &log_row(2)).unwrap();
    s.append(p, &log_row(1)).unwrap();
    for wrong in [0, 1, 2, 4] {
        assert!(s.append(o, &log_row(wrong)).is_err(), "3 follows 2, not {wrong}");
    }
    s.append(o, &log_row(3)).unwrap();
    assert_eq!(s.head(o).unwrap(), head(3));
    assert_eq!(s.heads().unwrap(), [(p, head(1)), (o, head(3))], "by origin");
    assert_eq!(s.log(p, 0, usize::MAX).unwrap(), [log_row(1)]);
    let another_life = origin(2, 8, 3);
    assert_eq!(s.head(another_life).unwrap(), Head::default(), "each life has its own log");
}

pub fn logs_are_read_in_portions<S: Store>(s: &mut S) {
    let o = origin(1, 1, 0);
    for seq in 1..=20 {
        s.append(o, &log_row(seq)).unwrap();
        s.append(origin(1, 1, 1), &log_row(seq)).unwrap();
    }
    let mut seqs = |after: u64, max_bytes: usize| -> Vec<u64> {
        s.log(o, after, max_bytes).unwrap().iter().map(|r| r.seq).collect()
    };
    let size = log_row(1).entry.len();
    assert_eq!(seqs(0, usize::MAX), (1..=20).collect::<Vec<_>>());
    assert_eq!(seqs(17, usize::MAX), [18, 19, 20]);
    assert_eq!(seqs(20, usize::MAX), [0; 0]);
    assert_eq!(seqs(u64::MAX, usize::MAX), [0; 0]);
    assert_eq!(seqs(5, 0), [6], "at least one");
    assert_eq!(seqs(5, size), [6, 7], "the entry that exceeds is the last one");
    assert_eq!(seqs(5, size - 1), [6]);
    assert_eq!(seqs(5, 2 * size - 1), [6, 7]);
    assert_eq!(s.log(o, 7, 0).unwrap(), [log_row(8)], "entries and hashes come back as they were");
    assert!(s.log(origin(9, 9, 9), 0, 9).unwrap().is_empty());
}

pub fn logs_end_at_a_cut<S: Store>(s: &mut S) {
    let (o, p) = (origin(1, 1, 0), origin(1, 1, 1));
    for seq in 1..=5 {
        s.append(o, &log_row(seq)).unwrap();
        s.append(p, &log_row(seq)).unwrap();
    }
    s.truncate(o, 9).unwrap();
    assert_eq!(s.head(o).unwrap(), head(5), "above the head there is nothing to drop");
    s.truncate(o, 3).unwrap();
    assert_eq!(s.head(o).unwrap(), head(3), "the hash is the one behind the last entry");
    assert_eq!(s.log(o, 0, usize::MAX).unwrap(), [1, 2, 3].map(log_row));
    assert_eq!(s.head(p).unwrap(), head(5), "other logs stay");
    assert!(s.append(o, &log_row(6)).is_err());
    s.append(o, &log_row(4)).unwrap();
    s.truncate(o, 0).unwrap();
    assert_eq!(s.heads().unwrap(), [(p, head(5))], "an empty log has no head");
    s.append(o, &log_row(1)).unwrap();
    assert_eq!(s.head(o).unwrap(), head(1));

    assert!(s.cuts().unwrap().is_empty());
    s.put_cut(p, 5).unwrap();
    s.put_cut(o, 3).unwrap();
    s.put_cut(p, 4).unwrap();
    assert_eq!(s.cuts().unwrap(), [(o, 3), (p, 4)], "one for each log, by origin");
    assert_eq!(s.head(p).unwrap(), head(5), "noting a cut does not make it");
}
