//! The region server: one process that commits what devices push, replicates with its peers, and
//! tells devices what changed.
//!
//! The rules are in `landfall-sync`, whose node is a pure state machine. This crate gives it a
//! disk, a clock and sockets. In the order in which a write meets them: [`api`] (HTTP in and out),
//! [`inputs`] (the queue), [`driver`] (the one thread that works), [`store`] (SQLite), [`outbox`]
//! (the way back); beside them [`peers`] (links to other regions), [`auth`] (tokens) and
//! [`status`] (what people see). [`server`] starts and ends all of it.

mod api;
pub mod auth;
mod driver;
mod inputs;
pub mod limits;
mod outbox;
mod peers;
pub mod server;
pub mod status;
pub mod store;
pub mod world;

/// Whom a region trusts, and what it shows of itself.
pub use landfall_tls as tls;
