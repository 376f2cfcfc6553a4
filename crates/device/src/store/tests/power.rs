//! The power goes at a random moment. What is there afterwards is the file as some commit left it, whole:
//! the last durable one, or one that came after it.

use super::super::{Database, Error, Options, Transaction};
use super::{Folder, ORDERS, key, kind, schema};
use landfall_disk::Disk;
use landfall_model::id::{DeviceId, EntityKey, TypeId};
use landfall_sync::device::store::{Base, Meta, Store, View};
use rusqlite::Connection;
use rusqlite::types::Value;

/// Losses of power in the life of one file.
const CUTS: usize = 8;

/// Changes of the disk before the power goes, at most.
const CHANGES_MAX: u64 = 150;

#[test]
fn after_a_loss_of_power_the_file_is_as_a_commit_left_it() {
    let mut lost = 0;
    for seed in 0..12 {
        match live(seed, false) {
            Ok(commits) => lost += commits,
            Err(message) => panic!("seed {seed}: {message}"),
        }
    }
    assert!(lost > 0, "what is not durable is lost now and then");
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = (0..12).any(|seed| live(seed, true).is_err());
    assert!(noticed, "the test would see no lost commit");
}

/// The file at the last durable commit and at each one since; the last of them may not have returned.
type History = Vec<Vec<String>>;

/// How many commits were lost that were not durable.
fn live(seed: u64, lies: bool) -> Result<usize, String> {
    let folder = Folder::new();
    let disk = Disk::new(folder.0.path(), seed).map_err(|e| e.to_string())?;
    let database = open(&folder)?;
    let mut last = dump(&database.conn).map_err(|e| e.to_string())?;
    drop(database);
    if lies {
        disk.lie();
    }
    let mut lost = 0;
    for cut in 0..CUTS {
        let mut history = vec![last];
        disk.cut_after(disk.below(CHANGES_MAX));
        until_the_power_goes(&folder, &disk, &mut history)?;
        disk.power_on().map_err(|e| e.to_string())?;
        // It may go again while the file is opened.
        if disk.below(3) == 0 {
            disk.cut_after(disk.below(20));
            drop(open(&folder));
            disk.cut();
            disk.power_on().map_err(|e| e.to_string())?;
        }
        let database = open(&folder)?;
        last = dump(&database.conn).map_err(|e| e.to_string())?;
        let at = history.iter().rposition(|then| *then == last);
        let at = at.ok_or_else(|| format!("after cut {cut} it is as no commit left it"))?;
        lost += history.len() - 1 - at;
    }
    Ok(lost)
}

/// An error is the disk's while it has no power.
fn until_the_power_goes(folder: &Folder, disk: &Disk, history: &mut History) -> Result<(), String> {
    while !disk.is_off() {
        match open(folder).and_then(|mut database| write(&mut database, disk, history)) {
            Err(message) if !disk.is_off() => return Err(message),
            _ => {}
        }
    }
    Ok(())
}

/// Some commits, and then the file is closed.
fn write(database: &mut Database, disk: &Disk, history: &mut History) -> Result<(), String> {
    let order = kind(database, "Order");
    for _ in 0..1 + disk.below(60) {
        let durable = disk.below(4) == 0;
        let done = database.transact(durable, |t| {
            for _ in 0..1 + disk.below(8) {
                change(t, order, disk)?;
            }
            // So that no two commits leave the same.
            t.put_fact("n", &history.len().to_le_bytes())?;
            t.put_fact("luck", &disk.below(u64::MAX).to_le_bytes())?;
            history.push(dump(t.conn)?);
            Ok::<_, Error>(())
        });
        done.map_err(|e| e.to_string())?;
        if durable {
            history.drain(..history.len() - 1);
        }
        if disk.below(15) == 0 {
            // What takes thousands of pages otherwise: the log is moved, and begun anew.
            let sql = "PRAGMA wal_checkpoint(RESTART)";
            database.conn.query_row(sql, (), |_| Ok(())).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// Few names, so that later commits write over earlier ones.
fn change(t: &mut Transaction<'_>, order: TypeId, disk: &Disk) -> Result<(), Error> {
    let row: EntityKey = key(order, &format!("o{}", disk.below(30)));
    match disk.below(7) {
        0 => t.put_meta(&Meta { last_seq: disk.below(1_000), ..Meta::default() }),
        1 => t.remove_base(&row),
        2 => t.put_pin(&row, disk.below(2) == 0),
        3 => t.add_unconfirmed(DeviceId::from_number(disk.below(4)), disk.below(50)),
        4 => t.show(&row, Some(&View::default()).filter(|_| disk.below(3) > 0)),
        5 => t.put_fact(&row.id, &vec![7; disk.below(9_000) as usize]),
        _ => {
            let holds = [row.home.clone()].into();
            t.put_base(&row, &Base { holds, ..Base::default() })
        }
    }
}

/// Little memory for pages, so that some are written before the commit.
fn open(folder: &Folder) -> Result<Database, String> {
    let options = Options { cache_kib: 16, ..Options::default() };
    Database::open(&folder.file(), &schema(ORDERS), options).map_err(|e| e.to_string())
}

/// Every row of every table.
fn dump(conn: &Connection) -> Result<Vec<String>, Error> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = conn.prepare(sql)?;
    let names: Vec<String> = names.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut all = Vec::new();
    for name in names {
        let mut statement = conn.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let columns = statement.column_count();
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|at| row.get(at)).collect();
            all.push(format!("{name} {:?}", values?));
        }
    }
    all.sort();
    Ok(all)
}
