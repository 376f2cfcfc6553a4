//! The vocabulary and the merge rules of Landfall.
//!
//! This crate is pure. It knows no clock, random source, thread, socket, file or async runtime:
//! time and randomness are arguments. Everything in it that is stored or sent has a golden file
//! in `testdata/`.

pub mod codec;
pub mod entity;
pub mod hash;
pub mod hex;
pub mod id;
pub mod op;
pub mod schema;
pub mod stamp;
pub mod text;
pub mod value;
pub mod vector;
