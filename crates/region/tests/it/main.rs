//! A real server on a real socket, driven by a small client that speaks the wire by hand.

#[path = "../../../tls/tests/it/authority.rs"]
mod authority;
mod client;
mod crash;
mod hostile;
mod load;
mod peers;
mod sessions;
mod tls;
mod websocket;
mod world;
