//! Faults on purpose: a stretch of network that is slow, narrow, or gone.
//!
//! [`Proxy`] stands between two real processes on one machine and makes of the loopback device what
//! its [`Profile`] says. Nothing here knows what the bytes mean. What is uneven, or drawn by those who
//! plan faults, is of [`Random`], so that a seed repeats it.

mod profile;
mod proxy;
mod random;

pub use profile::Profile;
pub use proxy::{Proxy, Way};
pub use random::Random;
