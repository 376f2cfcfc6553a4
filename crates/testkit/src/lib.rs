//! A world for the tests of an app: devices and a region in memory, in a time that the test moves.
//!
//! The devices are those of production ([`landfall_device::Client`] on SQLite), and the region
//! decides by the rules of production (`landfall-sync`). What is missing is everything around them:
//! no socket, no server, no thread, and no waiting. Time stands still until the test calls
//! [`Testkit::settle`] or [`Testkit::advance`]; a backoff of five seconds passes in no time. Same
//! test, same seed, same course of events.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use landfall_device::Fate;
//! use landfall_testkit::{Refusal, Testkit};
//!
//! let kit = Testkit::new(
//!     r#"type Order @entity(strategy: LAST_WRITE_WINS, scope: "market/{market}") {
//!       id: ID!  market: ID!  status: String  total: Int }"#,
//! )?;
//! let phone = kit.device("ann")?;
//! let app = phone.client();
//! app.subscribe("market/fr")?;
//!
//! // Offline, a write shows at once and waits in the outbox.
//! phone.offline();
//! let order = [("market", "fr".into()), ("status", "PLACED".into()), ("total", 900.into())];
//! let placed = app.transaction().upsert("Order", "o-1", order).commit()?;
//! kit.settle()?;
//! assert_eq!(app.get("Order", "o-1")?.unwrap().text("status"), Some("PLACED"));
//! assert_eq!(app.outbox_status()?.pending, 1);
//!
//! // The backend refuses it, for a reason of its own.
//! let refusal = Refusal::new("over_limit").field("total").detail("at most 500");
//! kit.region().reject_next("Order", refusal)?;
//! phone.online();
//! kit.settle()?;
//! assert!(matches!(app.fate(placed.dots[0])?, Fate::Rejected { reason, .. } if reason == "over_limit"));
//! assert!(app.get("Order", "o-1")?.is_none());
//!
//! // The app makes it again, and another device sees it.
//! app.resubmit(placed.dots[0])?;
//! let other = kit.device("bob")?;
//! other.client().subscribe("market/fr")?;
//! kit.settle()?;
//! assert_eq!(other.client().get("Order", "o-1")?.unwrap().integer("total"), Some(900));
//! # Ok(())
//! # }
//! ```
//!
//! # What is real and what is not
//!
//! Real: the file's tables and SQL, the outbox, live queries, outcomes, the protocol's state
//! machines on both sides, access by scope, the lease on the file, backoff, tokens that expire.
//! Not here: HTTP and compression, several regions, the region's database, and the operating system.
//! [`Device::restart`] is a killed process; the loss of power between two fsyncs is not simulated
//! here.
//!
//! # Threads
//!
//! All of it runs on the thread that calls [`Testkit::settle`], [`Testkit::advance`] or
//! [`Testkit::run`], listeners included. Calls that block in production have nobody to wait for here:
//! instead of `Client::settle` call [`Testkit::settle`], and to take from a
//! [`Watch`](landfall_device::Watch) or [`Events`](landfall_device::Events) call [`Testkit::run`] on
//! its `next()`, or `next_within(Duration::ZERO)` after the world has settled.

mod accounts;
mod device;
mod error;
mod kit;
mod limits;
mod network;
mod refusal;
mod region;
mod rows;
mod time;
mod world;

pub use accounts::Rights;
pub use device::Device;
pub use error::{Error, Reason, Settled, Waiting, code};
pub use kit::{Options, Testkit};
pub use refusal::{Refusal, Which};
pub use region::Region;
pub use rows::RegionRow;
