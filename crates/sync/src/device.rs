//! The device: writes locally first, pushes in the background, takes in what regions tell.

pub mod conformance;
pub mod memory;
pub mod node;
pub mod store;
