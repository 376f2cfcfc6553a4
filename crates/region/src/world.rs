//! What a region takes from the world around it, besides sockets and disks. Only the binary reads
//! the wall clock and draws random numbers; tests pass their own.

use std::fmt::Debug;

/// The wall clock.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// A source of random bytes, good enough for keys.
pub trait Entropy: Send + Sync + Debug {
    fn fill(&self, bytes: &mut [u8]);

    /// A number below `n`, for jitter (not exactly uniform).
    fn below(&self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes) % n.max(1)
    }
}
