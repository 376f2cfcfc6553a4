//! Own writes out of a damaged file, and into another one.
//!
//! A file that SQLite refuses ([`code LF2204`](crate::store::Error)) may hold writes that were never
//! sent; all else comes from a region. [`rescue`] reads what can still be read, changes nothing, and
//! says what it could not read. The app, or its support, then opens a new file for the account
//! and gives it the writes with [`Client::take_in`], directly or by way of a document that was saved
//! meanwhile. Why each of them counts once, whatever had become of it, is argued in
//! `landfall_sync::device` (`rescued`).
//!
//! What is not rescued: rows that regions have confirmed, subscriptions, pins. They are asked for
//! again.

use crate::client::Client;
use crate::error::{Error, OpenError, code};
use crate::store::salvage::{self, Damage, DocumentError, Salvaged};
use landfall_model::id::{DeviceId, Dot};
use landfall_sync::device::node::Rescued;
pub use landfall_sync::device::node::TakenIn;
use landfall_sync::device::store::{OpState, OwnOp};
use std::collections::BTreeMap;
#[cfg(not(target_family = "wasm"))]
use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    path::Path,
};

/// What could be read of a damaged file.
#[derive(Debug, Clone, PartialEq)]
pub struct Rescue {
    pub(crate) salvaged: Salvaged,
}

/// A rescue in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RescueReport {
    /// Writes that were read and had not been sent when their row was written.
    pub unsent: u64,
    /// Writes that were read, may have been sent, and are not known to be safe.
    pub sent: u64,
    /// Writes that were read and are safe.
    pub safe: u64,
    /// Refused writes that were read.
    pub refused: u64,
    /// Outcomes that were read.
    pub outcomes: u64,
    /// Writes that are known to have been there and could not be read.
    pub lost: Vec<Dot>,
    /// Writes that were read, of transactions of which another part could not be.
    pub incomplete: u64,
    /// Rows of writes and outcomes that are not as they were written.
    pub rows_damaged: u64,
    /// Pages that are missing or make no sense, and frames of the log behind a damaged one. What
    /// was in them is not known.
    pub pages_unread: u64,
    /// The head of the file is destroyed.
    pub header_destroyed: bool,
}

impl RescueReport {
    /// True if nothing shows that anything is missing. A log that is not there leaves no trace: what
    /// stood in it alone is missing all the same.
    pub fn is_whole(&self) -> bool {
        let pages = self.pages_unread == 0 && !self.header_destroyed;
        self.lost.is_empty() && self.rows_damaged == 0 && pages && self.incomplete == 0
    }
}

/// Read what can be read of a file that need not be whole. The file, and its `-wal` if one lies
/// beside it, are only read, and must not be open in this process.
///
/// Fails with `LF2201` if it cannot be read at all, with `LF2202` if it is something else's.
#[cfg(not(target_family = "wasm"))]
pub fn rescue(path: impl AsRef<Path>) -> Result<Rescue, OpenError> {
    Ok(Rescue { salvaged: salvage::salvage(path.as_ref())? })
}

impl Rescue {
    /// [`rescue`](crate::rescue), of the bytes of a file that has no `-wal`: where files have no path.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, OpenError> {
        Ok(Self { salvaged: salvage::of_bytes(bytes)? })
    }

    /// What was read and what was not.
    pub fn report(&self) -> RescueReport {
        let Salvaged { ops, outcomes, damage, .. } = &self.salvaged;
        let count = |state: fn(&OpState) -> bool| ops.iter().filter(|o| state(&o.state)).count();
        let Damage { lost, rows, pages_missing, pages_unread, frames_unread, header } = damage;
        RescueReport {
            unsent: count(|s| *s == OpState::Unsent) as u64,
            sent: count(|s| matches!(s, OpState::Sent { .. } | OpState::Accepted { .. })) as u64,
            safe: count(|s| matches!(s, OpState::Durable { .. })) as u64,
            refused: count(|s| matches!(s, OpState::Rejected { .. })) as u64,
            outcomes: outcomes.len() as u64,
            lost: lost.iter().copied().collect(),
            incomplete: self.incomplete(),
            rows_damaged: *rows,
            pages_unread: pages_missing + pages_unread + frames_unread,
            header_destroyed: *header,
        }
    }

    /// The account whose file it was, if that could be read: tenant and subject.
    pub fn account(&self) -> Option<(&str, &str)> {
        self.salvaged.account.as_ref().map(|(tenant, subject)| (&**tenant, &**subject))
    }

    /// Unsent writes whose transaction lacks a part.
    fn incomplete(&self) -> u64 {
        let name = |own: &OwnOp| {
            let op = &own.sealed.op;
            (op.device(), op.tx.first, op.tx.count)
        };
        let mut read: BTreeMap<(DeviceId, u64, u32), u32> = BTreeMap::new();
        for own in &self.salvaged.ops {
            *read.entry(name(own)).or_default() += 1;
        }
        let open = |s: &OpState| matches!(s, OpState::Unsent | OpState::Sent { .. });
        let lacks = |own: &&OwnOp| read[&name(own)] < own.sealed.op.tx.count;
        let ops = self.salvaged.ops.iter().filter(|own| open(&own.state));
        ops.filter(lacks).count() as u64
    }

    /// As a document, which has the user's data in it.
    pub fn document(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        salvage::write(&self.salvaged, &mut bytes).expect("a vector takes what is written to it");
        bytes
    }

    /// Read a document. Fails with `LF2113` if it is none, or not whole.
    pub fn of_document(mut bytes: &[u8]) -> Result<Self, Error> {
        let salvaged = salvage::read(&mut bytes).map_err(not_taken)?;
        Ok(Self { salvaged })
    }

    /// Save it as a document, which has the user's data in it. Nothing stands at `path` yet.
    #[cfg(not(target_family = "wasm"))]
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let saved = File::create_new(path).and_then(|file| {
            let mut out = BufWriter::new(file);
            salvage::write(&self.salvaged, &mut out)?;
            out.flush()?;
            out.get_ref().sync_all()
        });
        saved.map_err(|e| {
            if e.kind() != std::io::ErrorKind::AlreadyExists {
                // A document without its end is of no use to anybody.
                let _ = fs::remove_file(path);
            }
            Error::new(code::RESCUE, "The rescue document could not be written.").because(e)
        })
    }

    /// Read a document that was saved. Fails with `LF2113` if it is none, or not whole.
    #[cfg(not(target_family = "wasm"))]
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = File::open(path).map_err(DocumentError::Io);
        let read = file.and_then(|file| salvage::read(&mut BufReader::new(file)));
        Ok(Self { salvaged: read.map_err(not_taken)? })
    }
}

fn not_taken(error: DocumentError) -> Error {
    let message = format!("The rescue document is not taken: {error}.");
    Error::new(code::RESCUE, message).because(error)
}

impl Client {
    /// Take in the writes of a damaged file of this account: those that are not known to be safe
    /// are sent, each once, whatever had become of it; those that were refused are there again
    /// with their outcomes. To take the same rescue in again does no harm.
    ///
    /// Fails with `LF2107`, and takes nothing, if a write in it was made by another account.
    pub fn take_in(&self, rescue: &Rescue) -> Result<TakenIn, Error> {
        let Salvaged { device, ops, voids, outcomes, .. } = rescue.salvaged.clone();
        let subject = &*self.account().subject;
        let foreign = ops.iter().chain(&voids).any(|own| *own.sealed.op.principal != *subject);
        let tenant = rescue.account().is_some_and(|(tenant, _)| tenant != self.account().tenant);
        if foreign || tenant {
            let message = "The rescued writes are another account's. Take them into its file.";
            return Err(Error::new(code::OTHER_ACCOUNT, message));
        }
        self.inner.take_in_rescued(Rescued { device, ops, voids, outcomes })
    }
}
