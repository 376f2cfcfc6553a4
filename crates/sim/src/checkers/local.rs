//! Rows of local types: what a device wrote is on it, whatever else goes, and on no other.
//!
//! After each call of a device they are compared with what the writes of its file add up to. A power
//! cut takes both back to the last durable commit. That no such write is sent is looked at where
//! payloads leave ([`crate::oracle`]).

use crate::world::World;
use landfall_model::id::EntityKey;
use landfall_model::value::Value;
use landfall_sync::device::memory::MemoryStore;
use landfall_sync::device::node::{Edit, FieldEdit};
use std::collections::BTreeMap;

/// What a row shows: its memo, and its count.
type Row = (Option<Value>, i64);

type Rows = BTreeMap<EntityKey, Row>;

/// Local rows of each file, as they should be.
#[derive(Debug, Default)]
pub struct Local {
    rows: BTreeMap<usize, Rows>,
    /// As of the last durable commit.
    durable: BTreeMap<usize, Rows>,
    /// As of the transaction whose commit is under way.
    pending: Option<Rows>,
}

impl Local {
    /// A call of the device was committed.
    pub fn committed(&mut self, device: usize, durable: bool) {
        if let Some(rows) = self.pending.take() {
            self.rows.insert(device, rows);
        }
        if durable {
            self.durable.insert(device, self.rows.get(&device).cloned().unwrap_or_default());
        }
    }

    pub fn not_committed(&mut self) {
        self.pending = None;
    }

    pub fn power_lost(&mut self, device: usize) {
        self.rows.insert(device, self.durable.get(&device).cloned().unwrap_or_default());
    }

    /// A copy of a file is on disk.
    pub fn copied(&mut self, from: usize, to: usize) {
        let rows = self.rows.get(&from).cloned().unwrap_or_default();
        self.durable.insert(to, rows.clone());
        self.rows.insert(to, rows);
    }
}

impl World {
    /// A transaction was made and is about to be committed.
    pub fn expect_local(&mut self, device: usize, edits: &[Edit]) {
        let ids = self.app.ids;
        let mut rows = self.oracle.local.rows.get(&device).cloned().unwrap_or_default();
        for edit in edits {
            match edit {
                Edit::Upsert { kind, id, fields } if *kind == ids.sketch => {
                    let key = crate::app::App::key(landfall_model::schema::LOCAL_HOME, *kind, id);
                    let row = rows.entry(key).or_default();
                    for (field, edit) in fields {
                        match edit {
                            FieldEdit::Put(v) if *field == ids.sketch_memo => {
                                row.0 = Some(v.clone())
                            }
                            FieldEdit::Increment(n) => row.1 += n,
                            _ => {}
                        }
                    }
                }
                Edit::Delete { key } if key.kind == ids.sketch => {
                    rows.remove(key);
                }
                _ => {}
            }
        }
        self.oracle.local.pending = Some(rows);
    }

    pub fn check_local(&mut self, device: usize) {
        let shown = self.sketches(&self.devices[device].store);
        let none = Rows::new();
        let expected = self.oracle.local.rows.get(&device).unwrap_or(&none);
        if shown != *expected {
            let name = &self.devices[device].name;
            let message = format!("{name} shows {shown:?} of its own, and wrote {expected:?}");
            self.fail("local", "I2", message);
        }
    }

    /// An older copy of the file took its place.
    pub fn local_put_back(&mut self, device: usize) {
        let rows = self.sketches(&self.devices[device].store);
        self.oracle.local.durable.insert(device, rows.clone());
        self.oracle.local.rows.insert(device, rows);
    }

    fn sketches(&self, store: &MemoryStore) -> Rows {
        let ids = self.app.ids;
        // This is looked at after every call, so only where they are.
        let first = crate::app::App::key(landfall_model::schema::LOCAL_HOME, ids.sketch, "");
        let rows = store.visible().range(first..).take_while(|(key, _)| key.kind == ids.sketch);
        let row =
            |(key, view): (&EntityKey, &std::sync::Arc<landfall_sync::device::store::View>)| {
                let memo = view.registers.get(&ids.sketch_memo).cloned();
                (key.clone(), (memo, view.counters.get(&ids.seen).copied().unwrap_or(0)))
            };
        rows.map(row).collect()
    }
}
