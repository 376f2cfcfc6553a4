//! The device's side of Landfall: a SQLite file that the app reads with plain SQL, and what keeps
//! it in step with the regions.
//!
//! The app writes through this crate and reads its own tables. A write is in the file, with
//! everything that is needed to push it, before the call returns; the network is never waited for.
//! What devices and regions say to each other is decided in `landfall-sync`; this crate owns the
//! file, the clock, the threads and the connections, and holds no rule of merging.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let sdl = "";
//! use landfall_device::{Account, Client, Options, Query, RegionUrl};
//!
//! let account = Account { tenant: "acme".into(), subject: "user-7".into() };
//! let mut options = Options::from_sdl("/data/user-7.landfall", sdl, account)?;
//! options.regions = vec![RegionUrl::new("eu", "https://eu.example")];
//! let client = Client::open(options)?;
//!
//! client.subscribe("region/fr")?;
//! let receipt = client
//!     .transaction()
//!     .upsert("Order", "o-1", [("market", "fr".into()), ("status", "PLACED".into())])
//!     .add_to_set("Order", "o-1", "tags", "gift".into())
//!     .commit()?;
//! println!("{:?}", client.fate(receipt.dots[0])?);
//!
//! let mut orders = client.observe(Query::table("Order").descending("placedAt").limit(50))?;
//! let first = orders.next_within(std::time::Duration::from_secs(1));
//! # Ok(())
//! # }
//! ```
//!
//! The whole API is handles, batches of plain values, and callbacks; nothing in it borrows. So it
//! can be wrapped for other languages as it is.

mod account_file;
#[cfg(not(target_family = "wasm"))]
mod accounts;
#[cfg(not(target_family = "wasm"))]
mod blocking;
mod client;
mod directory;
mod engine;
mod error;
mod event;
pub mod explain;
mod fates;
mod inner;
mod live;
mod options;
mod read;
mod rescue;
pub mod runtime;
mod search;
mod slot;
pub mod store;
mod support;
mod text;
mod text_form;
mod transaction;
pub mod transport;

pub use account_file::{AccountFile, KnownAccount, Unsent};
#[cfg(not(target_family = "wasm"))]
pub use accounts::{Accounts, SignOut};
pub use client::{Client, WriteReceipt};
pub use error::{Error, OpenError, code};
pub use event::{ConnectionState, Coverage, Event, Events, Granted, Missing, Progress};
pub use fates::{
    Cancelled, Fate, OutboxStatus, WriteOutcome, column_value, lost_value, public_code,
};
pub use landfall_model::id::{DeviceId, Dot, EntityKey, FieldId, Scope, TypeId};
pub use landfall_model::schema::Schema;
pub use landfall_model::value::Value;
pub use landfall_sync::device::node::{Edit, FieldEdit};
pub use landfall_sync::device::store::{Held, Outcome, Subscription, Terms};
pub use live::{
    LiveExplain, Query, RowChange, Watch, WatchHandle, WatchListener, WatchUpdate, apply,
};
#[cfg(not(target_family = "wasm"))]
pub use options::SystemClock;
pub use options::{
    Account, Clock, Conditions, DirectoryKey, DirectoryKeyError, FixedToken, Network, OnMetered,
    Options, Policy, Random, RegionUrl, SystemRandom, TokenError, TokenFuture, TokenProvider,
    TokenReason, compile,
};
pub use read::{READ_BYTES_MAX, READ_STEPS_MAX, Row, Rows, SqlValue};
#[cfg(not(target_family = "wasm"))]
pub use rescue::rescue;
pub use rescue::{Rescue, RescueReport, TakenIn};
pub use search::{SEARCH_WORDS_MAX, Search, search_expression};
pub use slot::{SyncLimits, SyncReport};
pub use text::{TextEditor, TextVersion};
pub use text_form::bytes_from_text;
pub use transaction::Transaction;
