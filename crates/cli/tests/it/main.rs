//! Tests of the whole: the house rules, and the binary as a user runs it. One test program, so
//! that everything links once.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod bench;
mod binary;
mod house;
mod replay;
mod schema;
mod sim;
