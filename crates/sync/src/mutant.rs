//! Faults planted on purpose.
//!
//! A checker that has never failed proves nothing. Each mutant here breaks one rule at the place
//! that keeps it, and the simulator must notice. Without the feature `mutants` nothing of this is
//! compiled in: [`active`] is a constant. With it, and unless [`set`] chose one for this thread,
//! [`active`] reads one thread-local cell. [`chunk_rows`] works in the same way: a simulated world
//! has few rows, and its passes are still to take many chunks.

/// A planted fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mutant {
    CounterWithoutCoverage,
    OverlayRetiredByAck,
    FlaggedFromAnotherChunk,
    CursorJoinedAtFirstChunk,
    IndexUnderPositionOnly,
    LoserLeaveMissing,
    RefusalReplicated,
    DotReusedAfterRollback,
    SentOpCoalesced,
    SentOpCancelled,
    HalfTransaction,
    LifeReusedAfterRestore,
    AckBeforeCommit,
    CursorFromNonCovering,
    OutboxDroppedAtAck,
    ForkAsDuplicate,
    CutNotClipped,
    DuplicateAppliedTwice,
    SentBeforeFsync,
    RestoreCountsAnew,
    ReferrersNotShown,
    LocalRowEvicted,
    LocalWritePushed,
}

impl Mutant {
    pub const ALL: &'static [Self] = &[
        Self::CounterWithoutCoverage,
        Self::OverlayRetiredByAck,
        Self::FlaggedFromAnotherChunk,
        Self::CursorJoinedAtFirstChunk,
        Self::IndexUnderPositionOnly,
        Self::LoserLeaveMissing,
        Self::RefusalReplicated,
        Self::DotReusedAfterRollback,
        Self::SentOpCoalesced,
        Self::SentOpCancelled,
        Self::HalfTransaction,
        Self::LifeReusedAfterRestore,
        Self::AckBeforeCommit,
        Self::CursorFromNonCovering,
        Self::OutboxDroppedAtAck,
        Self::ForkAsDuplicate,
        Self::CutNotClipped,
        Self::DuplicateAppliedTwice,
        Self::SentBeforeFsync,
        Self::RestoreCountsAnew,
        Self::ReferrersNotShown,
        Self::LocalRowEvicted,
        Self::LocalWritePushed,
    ];

    pub const fn all() -> &'static [Self] {
        Self::ALL
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|m| m.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::CounterWithoutCoverage => "counter-without-coverage",
            Self::OverlayRetiredByAck => "overlay-retired-by-ack",
            Self::FlaggedFromAnotherChunk => "flagged-from-another-chunk",
            Self::CursorJoinedAtFirstChunk => "cursor-joined-at-first-chunk",
            Self::IndexUnderPositionOnly => "index-under-position-only",
            Self::LoserLeaveMissing => "loser-leave-missing",
            Self::RefusalReplicated => "refusal-replicated",
            Self::DotReusedAfterRollback => "dot-reused-after-rollback",
            Self::SentOpCoalesced => "sent-op-coalesced",
            Self::SentOpCancelled => "sent-op-cancelled",
            Self::HalfTransaction => "half-transaction",
            Self::LifeReusedAfterRestore => "life-reused-after-restore",
            Self::AckBeforeCommit => "ack-before-commit",
            Self::CursorFromNonCovering => "cursor-from-non-covering",
            Self::OutboxDroppedAtAck => "outbox-dropped-at-ack",
            Self::ForkAsDuplicate => "fork-as-duplicate",
            Self::CutNotClipped => "cut-not-clipped",
            Self::DuplicateAppliedTwice => "duplicate-applied-twice",
            Self::SentBeforeFsync => "sent-before-fsync",
            Self::RestoreCountsAnew => "restore-counts-anew",
            Self::ReferrersNotShown => "referrers-not-shown",
            Self::LocalRowEvicted => "local-row-evicted",
            Self::LocalWritePushed => "local-write-pushed",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Self::CounterWithoutCoverage => {
                "a device replaces a counter by one that does not cover what it knows"
            }
            Self::OverlayRetiredByAck => "an ack takes an op off the overlay before its row came",
            Self::FlaggedFromAnotherChunk => {
                "an own op counts as in the base row because any delta lists its number"
            }
            Self::CursorJoinedAtFirstChunk => "the cursor moves at the first chunk of a pass",
            Self::IndexUnderPositionOnly => {
                "an enter or leave of an audience is indexed under the op's position alone"
            }
            Self::LoserLeaveMissing => {
                "an op that names a scope its entity is not in writes no leave there"
            }
            Self::RefusalReplicated => "a refused op counts as received",
            Self::DotReusedAfterRollback => {
                "a rolled-back file goes on numbering where it was put back to"
            }
            Self::SentOpCoalesced => "an op that was sent is still rewritten",
            Self::SentOpCancelled => "an op that was sent is still cancelled",
            Self::HalfTransaction => {
                "a transaction's ops of one home scope are logged in two entries"
            }
            Self::LifeReusedAfterRestore => "a restored region goes on with its old incarnation",
            Self::AckBeforeCommit => "a region answers before its commit is on disk",
            Self::CursorFromNonCovering => {
                "a region that does not cover the cursor of an audience moves it"
            }
            Self::OutboxDroppedAtAck => "an outbox drops an op when one region has it",
            Self::ForkAsDuplicate => "a second op under a dot is answered as a duplicate",
            Self::CutNotClipped => "a device keeps cursors above a cut",
            Self::DuplicateAppliedTwice => "a duplicate that arrives by replication counts again",
            Self::SentBeforeFsync => "a device sends before what it sends is on disk",
            Self::RestoreCountsAnew => "a restore counts what it brings back a second time",
            Self::ReferrersNotShown => {
                "rows that refer to a deleted or reborn entity are not shown anew"
            }
            Self::LocalRowEvicted => "rows of local types go when there is no room",
            Self::LocalWritePushed => "a write of a local type gets a number and is pushed",
        }
    }
}

#[cfg(feature = "mutants")]
mod chosen {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
        static CHUNK_ROWS: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// Close chunks at this many rows, if the limit is not lower.
    pub fn set_chunk_rows(rows: usize) {
        CHUNK_ROWS.with(|c| c.set(rows.max(1)));
    }

    /// Rows at which a chunk of a pass is closed.
    pub fn chunk_rows() -> usize {
        CHUNK_ROWS.with(Cell::get).min(crate::limits::CHUNK_ROWS)
    }

    /// Choose the mutant of this thread.
    pub fn set(mutant: Option<Mutant>) {
        CHOSEN.with(|c| c.set(mutant));
    }

    /// True if this fault is planted.
    pub fn active(mutant: Mutant) -> bool {
        CHOSEN.with(Cell::get) == Some(mutant)
    }
}

#[cfg(feature = "mutants")]
pub use chosen::{active, chunk_rows, set, set_chunk_rows};

/// True if this fault is planted; without the feature, never.
#[cfg(not(feature = "mutants"))]
pub const fn active(_: Mutant) -> bool {
    false
}

/// Rows at which a chunk of a pass is closed.
#[cfg(not(feature = "mutants"))]
pub const fn chunk_rows() -> usize {
    crate::limits::CHUNK_ROWS
}
