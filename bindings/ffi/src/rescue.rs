//! Own writes out of a damaged file, and into another one; see [`landfall_device::rescue`].

use crate::accounts::Account;
use crate::error::CallError;
use crate::fate::Dot;
use landfall_device as device;
use std::sync::Arc;

/// What could be read of a damaged file.
#[derive(Debug, uniffi::Object)]
pub struct RescuedWrites(pub(crate) device::Rescue);

#[uniffi::export]
impl RescuedWrites {
    /// Read what can be read of a file that need not be whole. The file, and its `-wal` if one lies
    /// beside it, are only read, and must not be open in this process. Fails with `LF2201` if it
    /// cannot be read at all, with `LF2202` if it is something else's.
    #[uniffi::constructor(name = "of_file")]
    pub fn of_file(path: &str) -> Result<Arc<Self>, CallError> {
        Ok(Arc::new(Self(device::rescue(path)?)))
    }

    /// Read a document that was saved. Fails with `LF2113` if it is none, or not whole.
    #[uniffi::constructor(name = "load")]
    pub fn load(path: &str) -> Result<Arc<Self>, CallError> {
        Ok(Arc::new(Self(device::Rescue::load(path)?)))
    }

    /// Save it as a document, which has the user's data in it. Nothing stands at `path` yet.
    pub fn save(&self, path: &str) -> Result<(), CallError> {
        Ok(self.0.save(path)?)
    }

    /// What was read and what was not.
    pub fn report(&self) -> RescueReport {
        self.0.report().into()
    }

    /// The account whose file it was, if that could be read.
    pub fn account(&self) -> Option<Account> {
        let (tenant, subject) = self.0.account()?;
        Some(Account { tenant: tenant.to_owned(), subject: subject.to_owned() })
    }
}

/// A rescue in numbers.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RescueReport {
    /// Nothing shows that anything is missing.
    pub whole: bool,
    /// Writes that were read and had not been sent.
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
    /// Pages that are missing or make no sense. What was in them is not known.
    pub pages_unread: u64,
    /// The head of the file is destroyed.
    pub header_destroyed: bool,
}

impl From<device::RescueReport> for RescueReport {
    fn from(report: device::RescueReport) -> Self {
        Self {
            whole: report.is_whole(),
            unsent: report.unsent,
            sent: report.sent,
            safe: report.safe,
            refused: report.refused,
            outcomes: report.outcomes,
            lost: report.lost.into_iter().map(Into::into).collect(),
            incomplete: report.incomplete,
            rows_damaged: report.rows_damaged,
            pages_unread: report.pages_unread,
            header_destroyed: report.header_destroyed,
        }
    }
}

/// What was taken in of a rescue.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct TakenIn {
    /// In the outbox again, under their old numbers.
    pub waiting: Vec<Dot>,
    /// Kept as refused: they had been refused before, or cannot be pushed.
    pub refused: Vec<Dot>,
    /// Held by enough regions when the file broke: they come with the rows.
    pub safe: u64,
    /// Here already.
    pub known: u64,
}

impl From<device::TakenIn> for TakenIn {
    fn from(taken: device::TakenIn) -> Self {
        let device::TakenIn { waiting, refused, safe, known } = taken;
        let dots = |all: Vec<device::Dot>| all.into_iter().map(Into::into).collect();
        Self { waiting: dots(waiting), refused: dots(refused), safe, known }
    }
}
