//! The SDK as an app sees it, against regions in memory.

mod accounts;
#[path = "../../../tls/tests/it/authority.rs"]
mod authority;
mod field;
mod http;
mod live;
mod local;
mod parts;
mod processes;
mod references;
mod regions;
mod rescue;
mod search;
mod shared;
mod sync;
mod tls;
mod typing;
mod windows;
mod world;
mod writes;
