//! The world for the tests of apps, as [`landfall_testkit`] has it: devices and a region in memory,
//! in a time that the test moves. Only with the feature `testkit`; a library that ships has none of it.
//!
//! The world runs on the thread of the call that drives it ([`TestWorld::run_ready`],
//! [`TestWorld::settle`], [`TestWorld::advance`]), listeners included, and drops what it holds with
//! its last handle. The hand-written half makes calls one at a time, and drives the world after each.

use crate::client::Client;
use crate::edit::{self, Edit};
use crate::error::CallError;
use crate::fate::{self, Dot};
use crate::row::{Rows, SqlValue};
use landfall_testkit as kit;
use landfall_testkit::{Device, Refusal, Rights, Testkit, Which};
use std::sync::Arc;
use std::time::Duration;

/// A world with one region.
#[derive(Debug, uniffi::Object)]
pub struct TestWorld {
    kit: Testkit,
}

/// Why a region refuses a write.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct TestRefusal {
    /// The region's word for it: one that regions give, or one of the app's backend.
    pub word: String,
    /// The field that is to blame, if one is.
    pub field: Option<String>,
    /// For people.
    pub detail: String,
}

/// Which writes are meant.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum TestWrites {
    /// Writes to entities of this type.
    OfType {
        /// The type's name.
        kind: String,
    },
    /// Writes to this entity.
    OfEntity {
        /// The type's name.
        kind: String,
        /// The entity's id.
        id: String,
    },
    /// This write.
    One {
        /// Its identity.
        dot: Dot,
    },
}

/// What a device waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TestReason {
    /// The test cut it off.
    Offline,
    /// The app wants no network.
    SwitchedOff,
    /// The test stopped the region.
    RegionStopped,
    /// The test let its token expire.
    TokenExpired,
    /// It is not done yet.
    Unfinished,
}

/// A device that has something left to do.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct TestWaiting {
    /// The account and the device's own name: `ann/phone`.
    pub device: String,
    /// What for.
    pub reason: TestReason,
    /// Writes in its outbox.
    pub unsent: u64,
    /// Scopes that are not wholly here.
    pub scopes: Vec<String>,
}

#[uniffi::export]
impl TestWorld {
    /// A world for an app's schema; its ids and waits come from the seed.
    #[uniffi::constructor(name = "open")]
    pub fn open(schema: &str, seed: u64) -> Result<Arc<Self>, CallError> {
        let schema = Arc::new(landfall_device::compile(schema)?);
        let options = kit::Options { seed, ..kit::Options::new(schema) };
        Ok(Arc::new(Self { kit: Testkit::with(options) }))
    }

    /// A device of an account, by name; made if there is none.
    pub fn device(&self, account: &str, name: &str) -> Result<Arc<TestDevice>, CallError> {
        Ok(Arc::new(TestDevice { device: self.kit.device_of(account, name)? }))
    }

    /// The world ends; clients of it fail with `LF2104` from here on.
    pub fn end(&self) {
        self.kit.end();
    }

    // ---- time ----

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.kit.now_ms()
    }

    /// Run what can run now, without time passing.
    pub fn run_ready(&self) -> Result<(), CallError> {
        Ok(self.kit.run_ready()?)
    }

    /// Let so many milliseconds pass.
    pub fn advance(&self, ms: u64) -> Result<(), CallError> {
        Ok(self.kit.advance(Duration::from_millis(ms))?)
    }

    /// Run until nothing is left to do but what waits for the test.
    pub fn settle(&self) -> Result<Vec<TestWaiting>, CallError> {
        Ok(self.kit.settle()?.waiting.into_iter().map(Into::into).collect())
    }

    // ---- accounts ----

    /// From now on the account may do this and nothing else.
    pub fn allow(&self, account: &str, scopes: Vec<String>, audiences: Vec<String>) {
        self.kit.allow(account, Rights { scopes, audiences });
    }

    /// The account may also read and write this home scope.
    pub fn grant(&self, account: &str, scope: &str) {
        self.kit.grant(account, scope);
    }

    /// The account may no longer see this scope.
    pub fn revoke(&self, account: &str, scope: &str) -> Result<(), CallError> {
        Ok(self.kit.revoke(account, scope)?)
    }

    // ---- the region ----

    /// Refuse the next write that is meant, with its whole transaction.
    pub fn reject_next(&self, which: TestWrites, refusal: TestRefusal) -> Result<(), CallError> {
        let which = match which {
            TestWrites::OfType { kind } => Which::Type(kind),
            TestWrites::OfEntity { kind, id } => Which::Entity(kind, id),
            TestWrites::One { dot } => Which::Write(fate::dot(&dot)),
        };
        let mut made = Refusal::new(refusal.word).detail(refusal.detail);
        if let Some(field) = refusal.field {
            made = made.field(field);
        }
        Ok(self.kit.region().reject_next(which, made)?)
    }

    /// From now on a frame takes so many milliseconds, one way.
    pub fn delay_region(&self, one_way_ms: u64) {
        self.kit.region().delay(Duration::from_millis(one_way_ms));
    }

    /// The region's process dies.
    pub fn stop_region(&self) {
        self.kit.region().stop();
    }

    /// The region is there again.
    pub fn start_region(&self) {
        self.kit.region().start();
    }

    /// What the region holds of a type, with the columns of the device's table.
    pub fn rows(&self, kind: &str) -> Result<Rows, CallError> {
        let rows = self.kit.region().rows(kind)?;
        let schema = self.kit.schema();
        let fields = schema.entity_named(kind).map(|t| t.fields.as_slice()).unwrap_or_default();
        let fields: Vec<_> = fields.iter().filter(|f| f.name != "id").collect();
        let own = ["id", "_home", "_pending"].map(str::to_owned);
        let columns = own.into_iter().chain(fields.iter().map(|f| f.name.clone())).collect();
        let values = |row: kit::RegionRow| {
            let (id, home) = (text(&row.id), text(&row.home));
            let column = |f: &&landfall_model::schema::Field| match row.fields.get(&f.name) {
                Some(value) => (&landfall_device::column_value(&schema, f, value)).into(),
                None => SqlValue::Null,
            };
            let own = [id, home, SqlValue::Integer { value: 0 }];
            own.into_iter().chain(fields.iter().map(column)).collect()
        };
        Ok(Rows { columns, rows: rows.into_iter().map(values).collect() })
    }

    /// Another device, far away, writes this batch.
    pub fn write_as_others(&self, edits: Vec<Edit>) -> Result<(), CallError> {
        let write = |c: &landfall_device::Client| edit::transaction(c, edits).commit().map(drop);
        Ok(self.kit.as_others(write)?)
    }
}

/// A device of a world.
#[derive(Debug, uniffi::Object)]
pub struct TestDevice {
    device: Device,
}

#[uniffi::export]
impl TestDevice {
    /// The account and the device's own name: `ann/phone`.
    pub fn name(&self) -> String {
        self.device.name().to_owned()
    }

    /// The app's client; another one after a restart.
    pub fn client(&self) -> Arc<Client> {
        over(self.device.client())
    }

    /// The network goes, and with it what is on its way.
    pub fn offline(&self) {
        self.device.offline();
    }

    /// The network is back.
    pub fn online(&self) {
        self.device.online();
    }

    /// The app's process is killed and started again.
    pub fn restart(&self) -> Result<Arc<Client>, CallError> {
        Ok(over(self.device.restart()?))
    }

    /// The account's token has expired, and the app cannot get another one.
    pub fn expire_token(&self) {
        self.device.expire_token();
    }

    /// The app gets a good token again.
    pub fn renew_token(&self) {
        self.device.renew_token();
    }
}

fn text(value: &str) -> SqlValue {
    SqlValue::Text { value: value.to_owned() }
}

impl From<kit::Waiting> for TestWaiting {
    fn from(waiting: kit::Waiting) -> Self {
        let kit::Waiting { device, reason, unsent, scopes } = waiting;
        let reason = match reason {
            kit::Reason::Offline => TestReason::Offline,
            kit::Reason::SwitchedOff => TestReason::SwitchedOff,
            kit::Reason::RegionStopped => TestReason::RegionStopped,
            kit::Reason::TokenExpired => TestReason::TokenExpired,
            kit::Reason::Unfinished => TestReason::Unfinished,
        };
        Self { device, reason, unsent, scopes }
    }
}

impl From<kit::Error> for CallError {
    fn from(error: kit::Error) -> Self {
        let (code, detail) = (error.code().to_owned(), error.message().to_owned());
        Self::Failed { code, detail, edit: None, field: None }
    }
}

fn over(client: landfall_device::Client) -> Arc<Client> {
    let schema = client.schema_shared();
    Client::of(client, schema)
}
