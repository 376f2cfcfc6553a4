//! How devices and regions agree.
//!
//! This crate holds the wire, and the state machines of the three roles: device, region and peer
//! region. They are pure: bytes and the time come in, bytes and store calls go out. The same code
//! runs on a phone, in a region and in the simulator; only the store and the transport differ.
//!
//! The crate knows no clock, random source, thread, socket, file or async runtime.

pub mod convert;
pub mod device;
pub mod digest;
pub mod limits;
pub mod log;
pub mod mutant;
pub mod region;
pub mod wire;
