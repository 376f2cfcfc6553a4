//! Writes out of files that were damaged on purpose, in many ways.

use crate::field::offline;
use crate::world::{SOON, World, order};
use landfall_device::{Client, ConnectionState, Dot, Outcome, Rescue, Value, rescue};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Damaged files of each kind.
const SEEDS: u64 = 6;

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed * 7_919 + 17);
        // The first numbers of small seeds are small.
        (0..16).for_each(|_| _ = random.below(2));
        random
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// A file with writes that were sent and writes that were not, as a crash leaves it: with its log.
struct Broken {
    dir: tempfile::TempDir,
    /// What each unsent write added to a counter of its own, or the order that it made.
    unsent: BTreeMap<Dot, String>,
}

const WRITES: usize = 60;

fn id(n: usize) -> String {
    format!("stock-{n:03}")
}

const NONE: [(&str, Value); 0] = [];

/// One write: a counter counts it, so that twice shows.
fn sell(client: &Client, n: usize) -> Vec<Dot> {
    let edit =
        client.transaction().upsert("Stock", &id(n), NONE).increment("Stock", &id(n), "sold", 1);
    edit.commit().unwrap().dots
}

fn broken(world: &World, checkpointed: bool) -> Broken {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.db");
    let client = world.client(&path, &[0]);
    client.subscribe("catalog").unwrap();
    order(&client, "sent", "PLACED");
    client.settle(SOON).unwrap();
    offline(&client);
    let mut unsent = BTreeMap::new();
    for n in 0..WRITES {
        for dot in sell(&client, n) {
            unsent.insert(dot, id(n));
        }
    }
    let file = dir.path().join("broken.db");
    if checkpointed {
        client.close().unwrap();
        fs::copy(&path, &file).unwrap();
    } else {
        // As a kill leaves it: nothing has moved the log into the file.
        fs::copy(&path, &file).unwrap();
        fs::copy(wal(&path), wal(&file)).unwrap();
        client.close().unwrap();
    }
    Broken { dir, unsent }
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Take what can be read into a new file, sync, and look what arrived: every write that was read,
/// once, and no other.
fn check(world: &World, broken: &Broken, what: &str) -> (usize, Rescue) {
    let file = broken.dir.path().join("broken.db");
    let before = (fs::read(&file).unwrap(), fs::read(wal(&file)).ok());
    let found = rescue(&file).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(before == (fs::read(&file).unwrap(), fs::read(wal(&file)).ok()), "{what}: only read");
    let saved = broken.dir.path().join("saved.lfrescue");
    found.save(&saved).unwrap();
    assert_eq!(Rescue::load(&saved).unwrap(), found, "{what}: the document has all of it");

    let fresh = world.client(&broken.dir.path().join("fresh.db"), &[1]);
    fresh.subscribe("catalog").unwrap();
    offline(&fresh);
    let taken = fresh.take_in(&found).unwrap();
    let again = fresh.take_in(&found).unwrap();
    assert!(again.waiting.is_empty(), "{what}: taken in once");
    fresh.go_online();
    fresh.settle(SOON).unwrap_or_else(|e| panic!("{what}: {e} {:?}", fresh.outbox_status()));
    let rows = fresh.query("SELECT id, sold FROM Stock", []).unwrap();
    let sold: BTreeMap<String, i64> = rows
        .iter()
        .map(|r| (r.text("id").unwrap().to_owned(), r.integer("sold").unwrap()))
        .collect();
    let read: BTreeSet<&String> =
        taken.waiting.iter().filter_map(|dot| broken.unsent.get(dot)).collect();
    let arrived: BTreeSet<&String> = sold.keys().collect();
    assert!(read.is_subset(&arrived), "{what}: {read:?} of {arrived:?}");
    assert!(sold.values().all(|n| *n == 1), "{what}: {sold:?}");
    let report = found.report();
    let missing = broken.unsent.keys().filter(|d| !taken.waiting.contains(d)).count();
    let parked = taken.refused.len();
    let told: BTreeSet<Dot> = fresh.outcomes().unwrap().iter().map(|o| o.dot).collect();
    assert!(taken.refused.iter().all(|dot| told.contains(dot)), "{what}: each has an outcome");
    if missing > parked {
        assert!(
            !report.is_whole() || !wal(&file).exists(),
            "{what}: {missing} missing, {report:?}"
        );
    }
    fresh.close().unwrap();
    for name in ["fresh.db", "saved.lfrescue"] {
        fs::remove_file(broken.dir.path().join(name)).unwrap();
    }
    (missing, found)
}

#[test]
fn a_whole_file_gives_every_write_once() {
    for checkpointed in [true, false] {
        let world = World::new(2);
        let broken = broken(&world, checkpointed);
        let (missing, found) = check(&world, &broken, "whole");
        let report = found.report();
        assert_eq!(missing, 0, "{report:?}");
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.unsent, broken.unsent.len() as u64);
        assert_eq!(found.account(), Some(("acme", "user-7")));
    }
}

#[test]
fn damaged_files_give_what_can_be_read_once_and_say_the_rest() {
    type Damage = fn(&mut Vec<u8>, &mut Random);
    let kinds: [(&str, bool, bool, Damage); 6] = [
        ("zeroed pages", true, false, |bytes, random| {
            for _ in 0..=random.below(4) {
                let page = random.below(bytes.len() / 4_096);
                bytes[page * 4_096..(page + 1) * 4_096].fill(0);
            }
        }),
        ("a truncated tail", true, false, |bytes, random| {
            // What was written last stands at the end.
            let keep = bytes.len() - 1 - random.below(bytes.len() / 5);
            bytes.truncate(keep);
        }),
        ("flipped bits", true, false, |bytes, random| {
            for _ in 0..40 {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }),
        ("a destroyed head", true, false, |bytes, random| {
            let upto = 100 + random.below(4_000);
            bytes[..upto].fill(0xa5);
        }),
        ("a torn log", false, true, |bytes, random| {
            let at = 32 + random.below(bytes.len() - 4_096);
            bytes[at..at + 2_048].fill(0);
        }),
        ("a log cut short", false, true, |bytes, random| {
            let keep = random.below(bytes.len());
            bytes.truncate(keep);
        }),
    ];
    for (what, checkpointed, in_log, damage) in kinds {
        let (mut total, mut lost) = (0, 0);
        for seed in 0..SEEDS {
            let world = World::new(2);
            let broken = broken(&world, checkpointed);
            let file = broken.dir.path().join("broken.db");
            let target = if in_log { wal(&file) } else { file };
            let mut bytes = fs::read(&target).unwrap();
            damage(&mut bytes, &mut Random::new(seed));
            fs::write(&target, bytes).unwrap();
            let (missing, _) = check(&world, &broken, &format!("{what}, seed {seed}"));
            total += broken.unsent.len();
            lost += missing;
        }
        println!("{what}: {} of {total} writes read", total - lost);
        assert!(lost < total, "{what}: something can always be read");
    }
}

/// Whatever was done to the file: what it gives was written, once, and what is missing is said.
fn check_said(broken: &Broken, bytes: &[u8], what: &str) -> usize {
    let file = broken.dir.path().join("broken.db");
    fs::write(&file, bytes).unwrap();
    let found = match rescue(&file) {
        Ok(found) => found,
        // Not a file of ours any more, and it says so.
        Err(error) => {
            assert!(error.code().starts_with("LF22"), "{what}: {error}");
            return broken.unsent.len();
        }
    };
    let report = found.report();
    let missing = broken.unsent.len() - report.unsent.min(broken.unsent.len() as u64) as usize;
    assert!(missing == 0 || !report.is_whole(), "{what}: {missing} missing, {report:?}");
    missing
}

#[test]
fn a_file_torn_at_any_page_says_what_it_does_not_give() {
    const PAGE: usize = 4_096;
    let world = World::new(1);
    let broken = broken(&world, true);
    let whole = fs::read(broken.dir.path().join("broken.db")).unwrap();
    let pages = whole.len() / PAGE;
    let mut missing = [0; 3];
    for page in 0..pages {
        let at = page * PAGE;
        missing[0] += check_said(&broken, &whole[..at], &format!("cut before page {page}"));
        let mut zeroed = whole.clone();
        zeroed[at..at + PAGE].fill(0);
        missing[1] += check_said(&broken, &zeroed, &format!("page {page} is zeros"));
        // The head of a page is of one moment, its end of another.
        let mut torn = whole.clone();
        let other = (page + 1) % pages * PAGE;
        torn.copy_within(other + PAGE / 2..other + PAGE, at + PAGE / 2);
        missing[2] += check_said(&broken, &torn, &format!("page {page} is torn"));
    }
    println!("{pages} pages; missing when cut, zeroed, torn: {missing:?}");
}

/// The file with one more page, which is the list of free pages and names those that are given.
fn with_free_list(whole: &[u8], pages: &[u32]) -> Vec<u8> {
    const PAGE: usize = 4_096;
    let mut bytes = whole.to_vec();
    let number = (bytes.len() / PAGE + 1) as u32;
    let mut list = vec![0; PAGE];
    list[4..8].copy_from_slice(&(pages.len() as u32).to_be_bytes());
    for (n, page) in pages.iter().enumerate() {
        list[8 + 4 * n..12 + 4 * n].copy_from_slice(&page.to_be_bytes());
    }
    bytes.extend(list);
    bytes[28..32].copy_from_slice(&number.to_be_bytes());
    bytes[32..36].copy_from_slice(&number.to_be_bytes());
    bytes[36..40].copy_from_slice(&(pages.len() as u32 + 1).to_be_bytes());
    bytes
}

#[test]
fn a_list_of_free_pages_that_names_one_in_use_hides_no_write() {
    let world = World::new(1);
    let broken = broken(&world, true);
    let whole = fs::read(broken.dir.path().join("broken.db")).unwrap();
    let pages = (whole.len() / 4_096) as u32;
    for page in 2..=pages {
        let damaged = with_free_list(&whole, &[page]);
        let missing = check_said(&broken, &damaged, &format!("page {page} is said to be free"));
        assert_eq!(missing, 0, "page {page}");
    }
}

#[test]
fn without_its_log_a_file_gives_what_the_file_has() {
    let world = World::new(2);
    let broken = broken(&world, false);
    fs::remove_file(wal(&broken.dir.path().join("broken.db"))).unwrap();
    let (missing, _) = check(&world, &broken, "no log");
    println!("no log: {missing} of {} writes missing", broken.unsent.len());
}

#[test]
fn a_write_that_had_arrived_is_not_made_a_second_time() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let path = dir.path().join("live.db");
    let client = world.client(&path, &[0]);
    client.subscribe("catalog").unwrap();
    offline(&client);
    sell(&client, 0);
    // The copy has the write as unsent, and it arrives after that.
    fs::copy(&path, dir.path().join("broken.db")).unwrap();
    fs::copy(wal(&path), wal(&dir.path().join("broken.db"))).unwrap();
    client.go_online();
    client.settle(SOON).unwrap();
    client.close().unwrap();
    world.replicated();
    let found = rescue(dir.path().join("broken.db")).unwrap();
    assert_eq!(found.report().unsent, 1);
    let fresh = world.client(&dir.path().join("fresh.db"), &[1]);
    fresh.subscribe("catalog").unwrap();
    fresh.take_in(&found).unwrap();
    fresh.settle(SOON).unwrap();
    let sold = fresh.query("SELECT sold FROM Stock", []).unwrap();
    assert_eq!(sold.scalar().and_then(|v| v.as_i64()), Some(1));
    assert!(fresh.outcomes().unwrap().is_empty());
    // The old file's life goes on beside it: no write of it is lost or doubled.
    let old = world.client(&path, &[0]);
    sell(&old, 0);
    old.settle(SOON).unwrap();
    let rows = old.query("SELECT sold FROM Stock", []).unwrap();
    assert_eq!(rows.scalar().and_then(|v| v.as_i64()), Some(2));
}

#[test]
fn half_a_transaction_is_kept_with_an_outcome_and_can_be_made_anew() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let path = dir.path().join("live.db");
    let client = world.client(&path, &[0]);
    offline(&client);
    let both = client.transaction().upsert("Stock", "a", NONE).upsert("Stock", "b", NONE);
    let dots = both.commit().unwrap().dots;
    client.close().unwrap();
    // The payload of the second one is not what was written.
    let mut bytes = fs::read(&path).unwrap();
    let conn = rescue(&path).unwrap();
    let lines = dir.path().join("x.lfrescue");
    conn.save(&lines).unwrap();
    let text = fs::read_to_string(&lines).unwrap();
    let payload = text.lines().find(|l| l.contains("\"seq\":2")).unwrap();
    let payload = payload.split("\"payload\":\"").nth(1).unwrap().split('"').next().unwrap();
    let payload: Vec<u8> = (0..payload.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&payload[i..i + 2], 16).unwrap())
        .collect();
    let at = bytes.windows(payload.len()).position(|w| w == payload).unwrap();
    bytes[at + payload.len() - 1] ^= 1;
    fs::write(&path, bytes).unwrap();

    let found = rescue(&path).unwrap();
    let report = found.report();
    assert_eq!((report.incomplete, report.rows_damaged), (1, 1), "{report:?}");
    assert_eq!(report.lost, [dots[1]]);
    let fresh = world.client(&dir.path().join("fresh.db"), &[1]);
    let taken = fresh.take_in(&found).unwrap();
    assert_eq!((taken.waiting.len(), &taken.refused[..]), (0, &dots[..1]));
    let outcomes = fresh.outcomes().unwrap();
    assert!(
        matches!(&outcomes[0].outcome, Outcome::Rejected { code, .. } if code == "incomplete_transaction")
    );
    fresh.resubmit(dots[0]).unwrap();
    fresh.subscribe("catalog").unwrap();
    fresh.settle(SOON).unwrap();
    assert!(fresh.get("Stock", "a").unwrap().is_some());
    assert!(fresh.outcomes().unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn a_log_that_is_there_and_cannot_be_read_is_told_and_not_passed_over() {
    let broken = broken(&World::new(1), true);
    let file = broken.dir.path().join("broken.db");
    // A link to itself: it is there, and nobody can open it.
    std::os::unix::fs::symlink(wal(&file), wal(&file)).unwrap();
    assert_eq!(rescue(&file).unwrap_err().code(), "LF2201");
}

#[test]
fn to_take_writes_in_is_not_held_against_the_region() {
    let (world, dir) = (World::new(2), tempfile::tempdir().unwrap());
    let broken = broken(&world, true);
    let found = rescue(broken.dir.path().join("broken.db")).unwrap();
    let client = world.client(&dir.path().join("fresh.db"), &[0, 1]);
    client.subscribe("catalog").unwrap();
    client.settle(SOON).unwrap();
    let first = ConnectionState::Online { region: "r0".into() };
    assert_eq!(client.connection(), first);
    client.take_in(&found).unwrap();
    client.settle(SOON).unwrap();
    assert_eq!(client.connection(), first);
}

#[test]
fn another_accounts_writes_and_damaged_documents_are_refused() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let broken = broken(&world, true);
    let found = rescue(broken.dir.path().join("broken.db")).unwrap();
    let mut options = world.options(&dir.path().join("other.db"), &[0]);
    options.account.subject = "user-8".into();
    let other = Client::open(options).unwrap();
    assert_eq!(other.take_in(&found).unwrap_err().code(), "LF2107");
    assert!(other.outbox_status().unwrap().is_empty());

    let path = dir.path().join("a.lfrescue");
    found.save(&path).unwrap();
    assert_eq!(found.save(&path).unwrap_err().code(), "LF2113", "nothing is overwritten");
    let text = fs::read_to_string(&path).unwrap();
    let cut = text.rfind("{\"end\"").unwrap();
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        Rescue::load(&path).unwrap_err().code()
    };
    assert_eq!(check(&text[..cut]), "LF2113");
    assert_eq!(check(&text.replacen("\"payload\":\"8", "\"payload\":\"9", 1)), "LF2113");
    assert_eq!(check("{}"), "LF2113");
    assert_eq!(check(""), "LF2113");
    assert_eq!(rescue(dir.path().join("none")).unwrap_err().code(), "LF2201");
}

/// Browsers have pages of another size, and hand a file over as bytes.
#[test]
fn a_file_without_its_head_gives_its_writes_whatever_its_pages_measure() {
    let world = World::new(1);
    let broken = broken(&world, true);
    let path = broken.dir.path().join("broken.db");
    for page_bytes in [4_096, 8_192, 512, 65_536] {
        let file = rusqlite::Connection::open(&path).unwrap();
        let pragmas = format!("PRAGMA journal_mode = DELETE; PRAGMA page_size = {page_bytes};");
        file.execute_batch(&format!("{pragmas} VACUUM")).unwrap();
        file.close().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[..100].fill(0x55);
        let found = Rescue::of_bytes(bytes).unwrap();
        let report = found.report();
        assert_eq!(report.unsent, WRITES as u64, "{page_bytes}: {report:?}");
        assert!(report.header_destroyed && !report.is_whole() && report.lost.is_empty());
        let document = found.document();
        assert_eq!(Rescue::of_document(&document).unwrap(), found);
        let cut = Rescue::of_document(&document[..document.len() - 2]);
        assert_eq!(cut.unwrap_err().code(), "LF2113");
    }
    assert_eq!(Rescue::of_bytes(vec![0; 8_192]).unwrap().report().unsent, 0);
}
