//! The device's side of Landfall: a SQLite file that the app reads with plain SQL, and what keeps
//! it in step with the regions.
//!
//! The app writes through this crate and reads its own tables. A write is in the file, with
//! everything that is needed to push it, before the call returns; the network is never waited for.
//! What devices and regions say to each other is decided in `landfall-sync`; this crate owns the
//! file, the clock, the threads and the connections, and holds no rule of merging.

pub mod store;
