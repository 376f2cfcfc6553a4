//! A real server on a real socket, driven by a small client that speaks the wire by hand.

mod client;
mod crash;
mod hostile;
mod load;
mod peers;
mod sessions;
mod websocket;
mod world;
