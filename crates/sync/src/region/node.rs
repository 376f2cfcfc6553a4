//! One region, seen by its driver.
//!
//! The driver owns sockets, clocks and the disk. It feeds frames in ([`Node::device_frame`],
//! [`Node::peer_frame`]), begins a store transaction, lets [`Node::work`] do everything that is
//! queued, commits with an fsync, and only then sends what `work` returned. Whatever was queued by
//! then shares one transaction and one fsync: that is the group commit.
//!
//! A crash before the commit loses the node's memory and the open transaction, and nothing that
//! anybody was told.
