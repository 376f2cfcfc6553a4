//! Handshakes on loopback: who is believed, who is not, and what is served when files change.

mod authority;
mod connecting;
mod renewal;
mod server;
