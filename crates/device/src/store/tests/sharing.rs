//! Several handles on one file: numbers, locks, what others wrote, and the lease.

use super::super::{Database, Error, Options};
use super::{Folder, ORDERS, committed, schema};
use landfall_sync::device::store::{Meta, Store};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const WRITERS: usize = 4;

/// One value from each of several threads that begin together.
fn together<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(WRITERS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    work()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn several_handles_may_make_the_file_at_once() {
    for _ in 0..20 {
        let folder = Folder::new();
        together(|| drop(folder.open(ORDERS)));
        committed(&mut folder.open(ORDERS), |t| t.put_meta(&Meta::default()));
    }
}

#[test]
fn numbers_are_given_once() {
    const EACH: u64 = 200;
    let folder = Folder::new();
    drop(folder.open(ORDERS));
    let given = together(|| {
        let mut database = folder.open(ORDERS);
        let take = || {
            committed(&mut database, |t| {
                let mut meta = t.meta()?.unwrap_or_default();
                meta.last_seq += 1;
                t.put_meta(&meta)?;
                Ok(meta.last_seq)
            })
        };
        std::iter::repeat_with(take).take(EACH as usize).collect::<Vec<u64>>()
    });
    let given: Vec<u64> = given.concat();
    let distinct: BTreeSet<u64> = given.iter().copied().collect();
    assert_eq!(distinct.len(), given.len());
    assert_eq!(distinct.last(), Some(&(WRITERS as u64 * EACH)));
}

#[test]
fn who_waits_too_long_is_told_so() {
    let folder = Folder::new();
    let mut one = folder.open(ORDERS);
    let options = Options { busy_timeout: Duration::from_millis(20), ..Options::default() };
    let mut two = Database::open(&folder.file(), &schema(ORDERS), options).unwrap();
    committed(&mut one, |_| {
        let refused = two.transact(false, |t| t.put_meta(&Meta::default()));
        assert!(matches!(refused, Err(Error::Busy)));
        Ok(())
    });
    committed(&mut two, |t| t.put_meta(&Meta::default()));
}

#[test]
fn what_another_handle_wrote_is_noticed_once() {
    let folder = Folder::new();
    let mut one = folder.open(ORDERS);
    let mut two = folder.open(ORDERS);
    assert!(!one.changed_elsewhere().unwrap());
    committed(&mut one, |t| t.put_meta(&Meta::default()));
    assert!(!one.changed_elsewhere().unwrap());
    committed(&mut two, |t| t.put_meta(&Meta::default()));
    assert!(one.changed_elsewhere().unwrap());
    assert!(!one.changed_elsewhere().unwrap());
    assert!(two.changed_elsewhere().unwrap());
}

#[test]
fn a_reader_reads_while_others_write_and_cannot_write() {
    let folder = Folder::new();
    let mut database = folder.open(ORDERS);
    let reader = database.reader().unwrap();
    let count = || -> i64 {
        reader.query_row("SELECT count(*) FROM _lf_meta", [], |row| row.get(0)).unwrap()
    };
    committed(&mut database, |t| {
        t.put_meta(&Meta::default())?;
        assert_eq!(count(), 0);
        Ok(())
    });
    assert_eq!(count(), 1);
    assert!(reader.execute("DELETE FROM _lf_meta", []).is_err());
    assert_eq!(count(), 1);
}

#[test]
fn one_process_syncs_at_a_time() {
    let folder = Folder::new();
    let mut one = folder.open(ORDERS);
    let mut two = folder.open(ORDERS);
    assert_eq!(one.lease().unwrap(), None);
    assert!(one.acquire_lease("one", 1_000, 100).unwrap());
    assert!(!two.acquire_lease("two", 1_099, 100).unwrap());
    assert!(one.renew_lease("one", 1_090, 100).unwrap());
    assert!(!two.acquire_lease("two", 1_100, 100).unwrap());
    assert!(!two.renew_lease("two", 1_100, 100).unwrap());
    let lease = two.lease().unwrap().unwrap();
    assert_eq!((lease.holder.as_str(), lease.expires_ms, lease.beat), ("one", 1_190, 2));

    // It goes on as its own successor, and after it let go another one may.
    assert!(one.acquire_lease("one", 1_100, 100).unwrap());
    two.release_lease("two").unwrap();
    assert!(!two.acquire_lease("two", 1_101, 100).unwrap());
    one.release_lease("one").unwrap();
    assert_eq!(one.lease().unwrap(), None);
    assert!(two.acquire_lease("two", 1_101, 100).unwrap());
    assert!(!one.acquire_lease("one", 1_102, 100).unwrap());
}

#[test]
fn the_lease_of_a_killed_process_ends_and_its_ghost_learns_it() {
    let folder = Folder::new();
    let mut ghost = folder.open(ORDERS);
    let mut heir = folder.open(ORDERS);
    assert!(ghost.acquire_lease("ghost", 1_000, 100).unwrap());
    assert!(committed(&mut ghost, |t| t.holds_lease("ghost")));
    assert!(heir.acquire_lease("heir", 1_100, 100).unwrap());
    assert!(!committed(&mut ghost, |t| t.holds_lease("ghost")));
    assert!(!ghost.renew_lease("ghost", 1_150, 100).unwrap());
    assert!(committed(&mut heir, |t| t.holds_lease("heir")));
}

#[test]
fn a_lease_from_a_clock_that_was_set_back_does_not_last_for_years() {
    let folder = Folder::new();
    let mut one = folder.open(ORDERS);
    assert!(one.acquire_lease("one", 9_000_000, 100).unwrap());
    assert!(one.acquire_lease("two", 1_000, 100).unwrap());
    // A clock reading taken just before the lease was written is no such case.
    assert!(!one.acquire_lease("three", 901, 100).unwrap());
}

#[test]
fn one_handle_at_a_time_gets_the_lease() {
    let folder = Folder::new();
    drop(folder.open(ORDERS));
    let names: Vec<String> = (0..WRITERS).map(|n| n.to_string()).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let got = together(|| {
        let name = &names[next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)];
        folder.open(ORDERS).acquire_lease(name, 1_000, 60_000).unwrap()
    });
    assert_eq!(got.iter().filter(|g| **g).count(), 1);
}
