//! The wire's messages, generated from `proto/wire.proto`, and their framing.

pub use generated::*;

#[allow(missing_debug_implementations, clippy::all, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/landfall.wire.v1.rs"));
}
