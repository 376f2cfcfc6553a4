//! Tests of the whole: the house rules, and the binary as a user runs it. One test program, so
//! that everything links once.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::print_stdout, reason = "victims tell what they do, and tests their figures")]

mod arguments;
#[path = "../../../tls/tests/it/authority.rs"]
mod authority;
mod bench;
mod binary;
mod dev;
mod device;
mod drill;
mod failover;
mod generate;
mod handover;
mod house;
mod inspect;
mod kills;
mod new;
mod page;
mod replay;
mod schema;
mod sim;
mod throttle;
mod tls;
mod transfer;
mod victim;
mod world;
