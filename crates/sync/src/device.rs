//! The device: writes locally first, pushes in the background, takes in what regions tell.
//!
//! [`node::Node`] is the whole of it, as its driver sees it. Behind it: `write`, `locate`, `check`
//! and `texts` (edits become ops), `view` and `references` (base and overlay become what shows), `outbox`, `fates`
//! and `restamp` (ops leave and are answered), `delta`, `install` and `leave` (rows come and go),
//! `keep` (how much of a scope is held), `session`, `cuts` and `identity` (regions, their ends, and
//! copies of this file), `again` (what was refused), `cancel` and `restore` (what is taken back),
//! `rescued` (writes of a damaged file), `local` (what never leaves), [`explain`] (why a row shows
//! or does not). `call` is what they share, and `output` what they ask of the
//! driver.

mod again;
mod call;
mod cancel;
mod check;
pub mod conformance;
mod cuts;
mod delta;
pub mod explain;
mod fates;
mod identity;
mod install;
mod keep;
mod leave;
mod local;
mod locate;
pub mod memory;
pub mod node;
mod outbox;
mod output;
mod parse;
mod references;
mod refused;
mod rescued;
mod restamp;
mod restore;
mod rolled_back;
mod session;
pub mod store;
mod texts;
mod undecided;
mod view;
mod write;

#[cfg(test)]
mod tests;
