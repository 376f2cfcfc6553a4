//! The region: commits what devices push, replicates with its peers, and tells devices what
//! changed.

pub mod access;
pub mod node;
pub mod store;
