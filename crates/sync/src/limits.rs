//! Every limit of the protocol, in one place.

/// Wire versions that this build speaks, ascending.
pub const WIRE_VERSIONS: &[u32] = &[1];

/// The largest op that a region takes, in bytes of payload.
pub const OP_BYTES_MAX: usize = 1 << 20;

/// The largest transaction, in bytes of payload and in ops.
pub const TRANSACTION_BYTES_MAX: usize = 4 << 20;
pub const TRANSACTION_OPS_MAX: usize = 10_000;

/// The largest frame, before and after decompression.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// What the parts of one frame's message, or of a Delta's rows, may take in memory. Honest ones
/// take a few times their bytes; without a limit a kilobyte that was packed could take gigabytes.
pub const FRAME_MEMORY_MAX: usize = 64 << 20;

/// Ops of one session that may wait for an answer.
pub const PUSH_OPS_MAX: u32 = 4_096;

/// A device offers a region again what it refused and others have not decided on, and asks those: this
/// long after the last new refusal, and then each time after twice the wait, up to the longest.
pub const REFUSED_AGAIN_MS_FIRST: i64 = 2_000;
pub const REFUSED_AGAIN_MS_MAX: i64 = 300_000;

/// Ops that a session retires before it tells the region so without waiting for its next poll.
pub const CONFIRM_OPS: usize = 4_096;

/// A session's first frames with ops, and with rows. Later ones may be as large as all before them
/// together, up to PUSH_BYTES or CHUNK_BYTES: a frame that did not arrive whole counts for nothing,
/// so a session that is cut off anywhere keeps half of what it carried, however slow its link. A part
/// of a pass shows by itself, so what most catch-ups bring is one.
pub const PUSH_BYTES_FIRST: usize = 8 << 10;
pub const CHUNK_BYTES_FIRST: usize = 64 << 10;

/// Bytes of op payload in one Push frame, after which the device starts another.
pub const PUSH_BYTES: usize = 256 << 10;

/// Delta bytes that a region sends before it waits for credit.
pub const CREDIT_BYTES: u64 = 4 << 20;

/// Rows and bytes of state at which a chunk of a pass is closed.
pub const CHUNK_ROWS: usize = 1_000;
pub const CHUNK_BYTES: usize = 512 << 10;

/// Bytes of entries in one answer to a peer, and answers that may be on their way to it. The latter keep
/// a long line full: 4 MiB for each round trip.
pub const ENTRIES_BYTES: usize = 512 << 10;
pub const ENTRIES_AHEAD: usize = 8;

/// Bytes of rows in one live change. What is larger is told in chunks.
pub const LIVE_BYTES: usize = 4 << 20;

/// The largest row. One that has grown beyond is not sent, and stops no other.
pub const ROW_BYTES_MAX: usize = 8 << 20;

/// Device ids that one Hello may name: the present one of a file, and former ones that still have
/// something to settle. Each Delta carries a set of numbers per id.
pub const HELLO_DEVICES_MAX: usize = 256;

/// Logs that one vector may name.
pub const VECTOR_ENTRIES_MAX: usize = 65_536;

/// Ranges of numbers that a region has of one device, beyond which it takes no op that begins another.
/// A device fills its gaps: it has at most one for each op that waits for an answer.
pub const RECEIVED_RANGES_MAX: usize = 2 * PUSH_OPS_MAX as usize;

/// Ranges in one set of numbers.
pub const RANGES_MAX: usize = 65_536;

/// Subscriptions of one session.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;

/// Logs that the cursors of one session's subscriptions may name in all.
pub const CURSOR_ENTRIES_MAX: usize = 131_072;

/// Questions for rows by name that a session may have open, and names in one of a device's.
pub const QUESTIONS_MAX: usize = 8;
pub const QUESTION_KEYS: usize = 256;

/// Longest scope, entity id and principal, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// Dots that one op may name: births, needs, births of its parent, additions taken out of sets,
/// births whose counts it carries.
pub const DOTS_PER_OP_MAX: usize = 10_000;

/// How far regions' clocks may be apart, in milliseconds.
pub const REGION_OFFSET_MS_MAX: i64 = 600;

/// How far into the future a pushed stamp may lie, in milliseconds: one second of network, and
/// the offsets of the region that set the device's clock and of the one that judges it.
pub const STAMP_AHEAD_MS_MAX: i64 = 1_000 + 2 * REGION_OFFSET_MS_MAX;

/// Loose text blobs of one document after which they are folded into a snapshot.
pub const TEXT_BLOBS_FOLD: usize = 64;

/// Deletions that a device keeps so that they can be undone, and their bytes in all.
pub const DELETIONS_KEPT: usize = 200;
pub const DELETIONS_BYTES_KEPT: usize = 8 << 20;

/// The largest deletion that is kept, what stood below the entity included. What is larger cannot
/// be undone. A restore goes out as one transaction, so it is no larger than that may be.
pub const DELETION_BYTES_MAX: usize = 512 << 10;

/// Births whose counts a restore keeps apart in one counter. Each costs its dot in the row for as
/// long as the row is there; few rows are ever brought back twice.
pub const CARRIED_BIRTHS_MAX: usize = 16;

const _: () = assert!(PUSH_BYTES_FIRST <= PUSH_BYTES && CHUNK_BYTES_FIRST <= CHUNK_BYTES);
const _: () = assert!(CARRIED_BIRTHS_MAX < DOTS_PER_OP_MAX);
const _: () = assert!(DELETION_BYTES_MAX < OP_BYTES_MAX);
const _: () = assert!(DELETION_BYTES_MAX <= DELETIONS_BYTES_KEPT);
const _: () = assert!(OP_BYTES_MAX <= TRANSACTION_BYTES_MAX);
const _: () = assert!(TRANSACTION_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX <= FRAME_MEMORY_MAX);
const _: () = assert!(LIVE_BYTES + ROW_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES as u64 <= CREDIT_BYTES);
const _: () = assert!(ENTRIES_BYTES + TRANSACTION_BYTES_MAX < FRAME_BYTES_MAX);
