//! Faults planted on purpose.
//!
//! A checker that has never failed proves nothing. Each mutant here breaks one rule at the place
//! that keeps it, and the simulator must notice. Without the feature `mutants` nothing of this is
//! compiled in: [`active`] is a constant. With it, and unless [`set`] chose one for this thread,
//! [`active`] reads one thread-local cell. [`chunk_rows`] works in the same way: a simulated world
//! has few rows, and its passes are still to take many chunks.

/// Each mutant once: the variant, its name on the command line, and what it does wrong.
macro_rules! mutants {
    ($($variant:ident $name:literal $about:literal)*) => {
        /// A planted fault.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Mutant {
            $(#[doc = $about] $variant,)*
        }

        impl Mutant {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $about,)*
                }
            }
        }
    };
}

mutants! {
    CounterWithoutCoverage "counter-without-coverage"
        "a device replaces a counter by one that does not cover what it knows"
    OverlayRetiredByAck "overlay-retired-by-ack"
        "an ack takes an op off the overlay before its row came"
    FlaggedFromAnotherChunk "flagged-from-another-chunk"
        "an own op counts as in the base row because any delta lists its number"
    CursorJoinedAtFirstChunk "cursor-joined-at-first-chunk"
        "the cursor moves at the first chunk of a pass"
    IndexUnderPositionOnly "index-under-position-only"
        "an enter or leave of an audience is indexed under the op's position alone"
    LoserLeaveMissing "loser-leave-missing"
        "an op that names a scope its entity is not in writes no leave there"
    RefusalReplicated "refusal-replicated"
        "a refused op counts as received"
    DotReusedAfterRollback "dot-reused-after-rollback"
        "a rolled-back file goes on numbering where it was put back to"
    SentOpCoalesced "sent-op-coalesced"
        "an op that was sent is still rewritten"
    SentOpCancelled "sent-op-cancelled"
        "an op that was sent is still cancelled"
    HalfTransaction "half-transaction"
        "a transaction's ops of one home scope are logged in two entries"
    LifeReusedAfterRestore "life-reused-after-restore"
        "a restored region goes on with its old incarnation"
    AckBeforeCommit "ack-before-commit"
        "a region answers before its commit is on disk"
    CursorFromNonCovering "cursor-from-non-covering"
        "a region that does not cover the cursor of an audience moves it"
    OutboxDroppedAtAck "outbox-dropped-at-ack"
        "an outbox drops an op when one region has it"
    ForkAsDuplicate "fork-as-duplicate"
        "a second op under a dot is answered as a duplicate"
    CutNotClipped "cut-not-clipped"
        "a device keeps cursors above a cut"
    DuplicateAppliedTwice "duplicate-applied-twice"
        "a duplicate that arrives by replication counts again"
    SentBeforeFsync "sent-before-fsync"
        "a device sends before what it sends is on disk"
    RestoreCountsAnew "restore-counts-anew"
        "a restore counts what it brings back a second time"
    ReferrersNotShown "referrers-not-shown"
        "rows that refer to a deleted or reborn entity are not shown anew"
    LocalRowEvicted "local-row-evicted"
        "rows of local types go when there is no room"
    LocalWritePushed "local-write-pushed"
        "a write of a local type gets a number and is pushed"
    OutsideTakenAsLeft "outside-taken-as-left"
        "a row that is older than a window counts as one that left"
    UnsentRowEvicted "unsent-row-evicted"
        "a row goes for want of room though own writes on it are on their way"
    PinIgnored "pin-ignored"
        "rows that are pinned go for want of room"
    BudgetIgnored "budget-ignored"
        "a full budget takes in more"
    RollbackSilent "rollback-silent"
        "what is taken back after a region was lost is not told"
    OneRefusalIsFinal "one-refusal-is-final"
        "one region's refusal is final though another may have the op"
    RefusedNotOfferedAgain "refused-not-offered-again"
        "what a region refused is not offered to it again, though it may have it from a peer by now"
    OwedNotAsked "owed-not-asked"
        "a region that owes an answer to a refused write is not asked for it"
    CutsNotTold "cuts-not-told"
        "a session that is open is not told that a log has ended"
    StampPulledBack "stamp-pulled-back"
        "a region pulls a stamp back to its own clock"
    StampBelowRead "stamp-below-read"
        "a device stamps below what it has read"
    PassStartReplaced "pass-start-replaced"
        "a pass that goes on elsewhere counts as begun there"
    WakeUpLost "wake-up-lost"
        "a reader without credit is never told what it missed"
    DurableAtOne "durable-at-one"
        "a region calls durable what only it holds"
    LastToComeWins "last-to-come-wins"
        "of two values the one that comes last wins, whatever their stamps"
    RemovalWins "removal-wins"
        "who takes a label out takes out what others added unseen, too"
    CursorDroppedOnSwitch "cursor-dropped-on-switch"
        "a device asks every region anew for all that its scopes hold"
    AdoptKeepsId "adopt-keeps-id"
        "a file that changes accounts keeps its device id"
}

impl Mutant {
    pub const fn all() -> &'static [Self] {
        Self::ALL
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|m| m.name() == name)
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
