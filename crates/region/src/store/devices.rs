//! Devices, and what was refused of them.
//!
//! What is known of a device is asked for several times with each of its ops and changes with most
//! of them, so it is kept in memory while the transaction is open, and written once, before the
//! commit. Most devices have never been refused anything: which have is remembered, too.

use landfall_model::id::{DeviceId, Dot, FieldId};
use landfall_model::op::Fingerprint;
use landfall_sync::region::store::{DeviceRecord, Refusal};
use rusqlite::Row;
use std::collections::BTreeMap;

use super::cache::Cache;
use super::database::Database;
use super::error::Error;
use super::values::{Bytes16, Number, decode, encode};

/// Devices remembered per generation; one takes a few hundred bytes. One whose numbers have so many
/// gaps that it would take much more is read anew each time.
const DEVICES_MAX: usize = 8 << 10;
const RANGES_REMEMBERED: usize = 64;

/// See the module's description.
#[derive(Debug)]
pub struct Devices {
    known: Cache<DeviceId, DeviceRecord>,
    /// What the open transaction changed.
    changed: BTreeMap<DeviceId, DeviceRecord>,
    /// Whether the device has rows in `refusal`, or had.
    refused: Cache<DeviceId, bool>,
}

impl Devices {
    pub fn new() -> Self {
        Self {
            known: Cache::new(DEVICES_MAX),
            changed: BTreeMap::new(),
            refused: Cache::new(DEVICES_MAX),
        }
    }

    fn remember(&mut self, device: DeviceId, record: DeviceRecord) {
        let ranges = record.received.ranges().len() + record.confirmed.ranges().len();
        match ranges <= RANGES_REMEMBERED {
            true => self.known.insert(device, record),
            false => self.known.remove(&device),
        }
    }
}

impl Database {
    pub(super) fn read_device(&mut self, device: DeviceId) -> Result<DeviceRecord, Error> {
        if let Some(record) = self.devices.changed.get(&device) {
            return Ok(record.clone());
        }
        if let Some(record) = self.devices.known.get(&device) {
            return Ok(record);
        }
        let record = self.read_device_row(device)?;
        self.devices.remember(device, record.clone());
        Ok(record)
    }

    fn read_device_row(&self, device: DeviceId) -> Result<DeviceRecord, Error> {
        let mut statement = self.statement(
            "SELECT received, confirmed, closed, principal FROM device WHERE device = ?1",
        )?;
        let mut rows = statement.query([Bytes16(device.0)])?;
        let Some(row) = rows.next()? else { return Ok(DeviceRecord::default()) };
        let (received, confirmed): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let principal: Option<String> = row.get(3)?;
        Ok(DeviceRecord {
            received: decode("a device's received numbers", &received)?,
            confirmed: decode("a device's confirmed numbers", &confirmed)?,
            closed: row.get(2)?,
            principal: principal.map(Into::into),
        })
    }

    pub(super) fn keep_device(&mut self, device: DeviceId, record: &DeviceRecord) {
        self.devices.changed.insert(device, record.clone());
    }

    /// Called last before a commit.
    pub(super) fn write_devices(&mut self) -> Result<(), Error> {
        for (device, record) in std::mem::take(&mut self.devices.changed) {
            let (received, confirmed) = (encode(&record.received), encode(&record.confirmed));
            let principal = record.principal.as_deref();
            self.statement(
                "INSERT INTO device (device, received, confirmed, closed, principal)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (device) DO UPDATE
                 SET received = ?2, confirmed = ?3, closed = ?4, principal = ?5",
            )?
            .execute((
                Bytes16(device.0),
                received,
                confirmed,
                record.closed,
                principal,
            ))?;
            self.devices.remember(device, record);
        }
        Ok(())
    }

    pub(super) fn read_refusals(&mut self, dot: Dot) -> Result<Vec<(Fingerprint, Refusal)>, Error> {
        if !self.was_refused(dot.device)? {
            return Ok(Vec::new());
        }
        let refusal = |row: &Row<'_>| {
            let fingerprint: Bytes16 = row.get(0)?;
            let seq: Number = row.get(2)?;
            let field: Option<u32> = row.get(3)?;
            let (code, detail) = (row.get(1)?, row.get(4)?);
            let refusal = Refusal { code, seq: seq.0, field: field.map(FieldId), detail };
            Ok((Fingerprint(fingerprint.0), refusal))
        };
        let mut statement = self.statement(
            "SELECT fingerprint, code, cause, field, detail FROM refusal
             WHERE device = ?1 AND seq = ?2 ORDER BY fingerprint",
        )?;
        let name = (Bytes16(dot.device.0), Number(dot.seq));
        Ok(statement.query_map(name, refusal)?.collect::<Result<_, _>>()?)
    }

    fn was_refused(&mut self, device: DeviceId) -> Result<bool, Error> {
        if let Some(refused) = self.devices.refused.get(&device) {
            return Ok(refused);
        }
        let refused = self
            .statement("SELECT EXISTS (SELECT 1 FROM refusal WHERE device = ?1)")?
            .query_row([Bytes16(device.0)], |row| row.get(0))?;
        self.devices.refused.insert(device, refused);
        Ok(refused)
    }

    pub(super) fn write_refusal(
        &mut self,
        dot: Dot,
        fingerprint: Fingerprint,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        self.statement(
            "INSERT OR REPLACE INTO refusal (device, seq, fingerprint, code, cause, field, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            Bytes16(dot.device.0),
            Number(dot.seq),
            Bytes16(fingerprint.0),
            &refusal.code,
            Number(refusal.seq),
            refusal.field.map(|f| f.0),
            &refusal.detail,
        ))?;
        self.devices.refused.insert(dot.device, true);
        Ok(())
    }

    pub(super) fn delete_refusal(&mut self, dot: Dot, of: Fingerprint) -> Result<(), Error> {
        if !self.was_refused(dot.device)? {
            return Ok(());
        }
        let name = (Bytes16(dot.device.0), Number(dot.seq), Bytes16(of.0));
        self.statement("DELETE FROM refusal WHERE device = ?1 AND seq = ?2 AND fingerprint = ?3")?
            .execute(name)?;
        Ok(())
    }
}
