//! Limits of a region server: what one session, one peer and all of them together may cost. The
//! limits of the protocol itself are in [`landfall_sync::limits`].

use landfall_sync::limits::{CREDIT_BYTES, FRAME_BYTES_MAX};
use std::time::Duration;

/// Sessions of devices at a time.
pub const SESSIONS_MAX: usize = 20_000;

/// Links from peers at a time: several per region, for those that are just being replaced.
pub const LINKS_MAX: usize = 256;

/// Connections beyond sessions and links, for health checks and status pages.
pub const CONNECTIONS_SPARE: usize = 256;

/// Frames per second of one session, on average and at once. A device puts many ops in a frame,
/// so one that is above this is broken or hostile: it is answered `overloaded`, and closed.
pub const SESSION_FRAMES_PER_SECOND: u32 = 2_000;
pub const SESSION_FRAMES_BURST: u32 = 8_000;

/// Bytes per second of one session, on average and at once. Being above this is honest (a full
/// outbox on a fast line), so it is not refused: the server reads on when it is paid for, and flow
/// control slows the device down.
pub const SESSION_BYTES_PER_SECOND: u32 = 16 << 20;
pub const SESSION_BYTES_BURST: u32 = 64 << 20;

/// When a session that was closed for its rate, or not let in, should come back.
pub const OVERLOADED_RETRY_MS: u64 = 2_000;

/// Bytes of the first frame. It is read before anybody has shown a token.
/// A peer's holds a vector, which grows with the incarnations of a world.
pub const HELLO_BYTES_MAX: usize = 64 << 10;
pub const PEER_HELLO_BYTES_MAX: usize = 1 << 20;

/// The handshake of TLS, the first request of a connection, and the first frame of a session must
/// each come within this.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of frames, as they are in memory, over all sessions and links, that wait for the driver.
/// Readers of sockets wait when it is used up. Counted in units, because semaphores count in 32 bits.
pub const QUEUED_BYTES_MAX: usize = 256 << 20;
pub const QUEUED_BYTES_UNIT: usize = 1 << 10;

/// Frames that may be decoded at a time and wait to be counted there.
pub const DECODING_MAX: usize = 4;

/// Frames and bytes that wait for one connection. The driver waits for nobody: a connection whose
/// queue is full is closed, and resumes from its cursor.
pub const OUTGOING_FRAMES_MAX: usize = 8_192;
pub const OUTGOING_BYTES_MAX: usize = 32 << 20;

/// Bytes of rows, over all sessions, that wait to be taken by their connections: no more chunks of passes
/// are made beyond this. Live changes are, which sessions share.
pub const WAITING_BYTES_MAX: usize = 128 << 20;

/// Bytes of encoded frames that are handed to the socket in one piece.
pub const WRITE_BYTES: usize = 64 << 10;

/// Inputs taken into one turn of the driver.
pub const INPUTS_PER_TURN: usize = 1_024;

/// HTTP/2 flow control: what one stream, and one connection, may have on its way. A stream's
/// window bounds its rate over a long round trip (1 MiB over 200 ms is 5 MB/s).
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
pub const CONNECTION_STREAMS_MAX: u32 = 64;

/// Server-side HTTP/2 pings: they find connections that died silently.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
pub const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// The driver's clockwork: expired tokens are found, rates are counted.
pub const TICK_EVERY: Duration = Duration::from_secs(1);

/// Waits between attempts to reach a peer.
pub const RETRY_MIN: Duration = Duration::from_millis(100);
pub const RETRY_MAX: Duration = Duration::from_secs(5);

/// A peer must answer a connection attempt within this.
pub const DIAL_WITHIN: Duration = Duration::from_secs(5);

const _: () = assert!(FRAME_BYTES_MAX <= SESSION_BYTES_BURST as usize);
const _: () = assert!(FRAME_BYTES_MAX <= QUEUED_BYTES_MAX);
const _: () = assert!(HELLO_BYTES_MAX < FRAME_BYTES_MAX);
// What a device has given credit for must fit, and one frame beyond it.
const _: () = assert!(CREDIT_BYTES as usize + FRAME_BYTES_MAX <= OUTGOING_BYTES_MAX);
