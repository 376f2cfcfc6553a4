//! The SDK as an app sees it, against regions in memory.

mod accounts;
mod http;
mod live;
mod parts;
mod processes;
mod regions;
mod sync;
mod world;
mod writes;
