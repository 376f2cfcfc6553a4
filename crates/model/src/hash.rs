//! The one hash of the project: SHA-256, cut to the width that its use needs.

use sha2::{Digest, Sha256};

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The first 16 bytes of SHA-256.
pub fn hash128(bytes: &[u8]) -> [u8; 16] {
    sha256(bytes)[..16].try_into().expect("SHA-256 has 32 bytes")
}

/// The first 8 bytes of SHA-256, big-endian.
pub fn hash64(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(sha256(bytes)[..8].try_into().expect("SHA-256 has 32 bytes"))
}

/// A stable number below 2^31 for a name; the schema refuses two names with one number.
pub fn name_id(name: &str) -> u32 {
    (hash64(name.as_bytes()) >> 33) as u32
}
