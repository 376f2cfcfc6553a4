//! The SDK as an app sees it, against regions in memory.

mod http;
mod live;
mod processes;
mod sync;
mod world;
mod writes;
