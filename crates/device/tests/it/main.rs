//! The SDK as an app sees it, against regions in memory.

mod accounts;
mod field;
mod http;
mod live;
mod parts;
mod processes;
mod rescue;
mod sync;
mod world;
mod writes;
