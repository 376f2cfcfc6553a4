//! Faults on purpose: a stretch of network that is slow, narrow, or gone.
//!
//! [`Proxy`] stands between two real processes on one machine and makes of the loopback device what
//! its [`Profile`] says. Nothing here knows what the bytes mean.

mod profile;
mod proxy;

pub use profile::Profile;
pub use proxy::{Proxy, Way};
