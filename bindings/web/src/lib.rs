//! The device's client in a browser: what JavaScript calls, and what the client asks of a browser.
//!
//! This is the part that runs in a worker, the only place where a browser's files can be read and
//! written without waiting. It converts values and carries calls; the rules are those of
//! `landfall-device`, and everything between pages and this worker is TypeScript in `ts/`.
//!
//! Off the web the crate is empty.

#![cfg(target_family = "wasm")]

mod accounts;
mod client;
mod clock;
mod convert;
mod edits;
mod explain;
mod options;
mod queries;
mod rescue;
mod runtime;
mod storage;
#[cfg(feature = "testkit")]
mod testkit;
mod token;
mod transport;

pub use accounts::{claim_account, known_account};
pub use client::WebClient;
pub use rescue::rescue_file;
#[cfg(feature = "testkit")]
pub use testkit::{TestDevice, TestWorld};
