//! The device SDK for other languages: what UniFFI turns into Kotlin and Swift.
//!
//! This crate converts and cancels; it decides nothing. Every call is one of
//! [`landfall_device::Client`], under the same name and with the same codes. What crosses is plain
//! data, handles, and three kinds of callback:
//!
//! - [`TokenProvider`] is asynchronous and called while a session begins;
//! - [`WatchListener`] is called on the thread of the live queries, one update at a time, and for
//!   the last time when the query has ended, whoever ended it;
//! - events are not called but fetched ([`EventStream::next`]), so a slow reader holds up nothing.
//!
//! No callback is made on the thread of a caller, and none under a lock of the client. A listener
//! that throws is not called for it again, and hurts nobody else.
//!
//! What waits for the network or for events is asynchronous, and ends when it is cancelled, in Swift by
//! a [`Waiter`]. Other calls do not return before they are done: a write waits for the disk. The
//! hand-written halves (`bindings/kotlin`, `bindings/swift`) move all of them off the main thread.

mod accounts;
mod client;
mod edit;
mod error;
mod event;
mod explain;
mod fate;
mod live;
mod network;
mod open;
mod rescue;
mod row;
mod search;
mod slot;
#[cfg(feature = "testkit")]
mod testkit;
mod text;
mod wait;

pub use accounts::{Account, AccountFiles, AccountsOptions, KnownAccount, Unsent};
pub use client::Client;
pub use edit::{Action, Change, Edit, Value};
pub use error::CallError;
pub use event::{ConnectionState, Coverage, Event, EventStream, Granted, Missing, Progress, Terms};
pub use explain::{
    Answer, Explanation, FieldWrite, OwnWrite, ScopeState, SubscriptionState, Wait, Why, WriteKind,
};
pub use fate::{Cancelled, Dot, Entity, Fate, OutboxStatus, Outcome, Receipt, WriteOutcome};
pub use live::{
    Include, ListenerError, LiveExplain, OrderBy, Query, RowChange, Watch, WatchListener,
    WatchUpdate,
};
pub use network::{Conditions, NetworkOptions, OnMetered};
pub use open::{OpenOptions, Region, TokenError, TokenProvider, TokenReason};
pub use rescue::{RescueReport, RescuedWrites, TakenIn};
pub use row::{Row, Rows, SqlValue};
pub use search::{Marks, Search, SearchSyntax};
pub use slot::{SyncLimits, SyncReport};
#[cfg(feature = "testkit")]
pub use testkit::{TestDevice, TestReason, TestRefusal, TestWaiting, TestWorld, TestWrites};
pub use text::TextEditor;
pub use wait::Waiter;

uniffi::setup_scaffolding!("landfall");
