//! The client's handle: each call is that of [`landfall_device::Client`] with its values converted.

use crate::accounts::Account;
use crate::edit::{self, Edit};
use crate::error::CallError;
use crate::event::{ConnectionState, EventStream, Granted, Progress, Terms};
use crate::fate::{self, Dot, Fate, OutboxStatus, Receipt, WriteOutcome};
use crate::live::{self, Query, Watch, WatchListener};
use crate::open::{self, OpenOptions, TokenProvider};
use crate::row::{self, Row, Rows, SqlValue};
use crate::slot::{SyncLimits, SyncReport};
use crate::text::TextEditor;
use landfall_device as device;
use landfall_device::Schema;
use std::sync::Arc;
use std::time::Duration;

/// An open file of one account. When the last handle goes, syncing stops.
#[derive(Debug, uniffi::Object)]
pub struct Client {
    client: device::Client,
    schema: Arc<Schema>,
}

#[uniffi::export]
impl Client {
    /// Open an account's file, or make it, and begin to sync unless told to start offline.
    #[uniffi::constructor(name = "open")]
    pub fn open(
        options: OpenOptions,
        tokens: Arc<dyn TokenProvider>,
    ) -> Result<Arc<Self>, CallError> {
        let options = open::options(options, tokens)?;
        let schema = options.schema.clone();
        Ok(Self::of(device::Client::open(options)?, schema))
    }

    // ---- writing ----

    /// Write a batch in one transaction: all of it or nothing.
    pub fn write(&self, edits: Vec<Edit>) -> Result<Receipt, CallError> {
        let receipt = edit::transaction(&self.client, edits).commit()?;
        Ok(fate::receipt(&self.schema, receipt))
    }

    // ---- reading ----

    /// Run one SQL statement that reads.
    pub fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<Rows, CallError> {
        Ok((&self.client.query(sql, row::params(params))?).into())
    }

    /// An entity's row, if this device has it.
    pub fn get(&self, kind: &str, id: &str) -> Result<Option<Row>, CallError> {
        Ok(self.client.get(kind, id)?.as_ref().map(Into::into))
    }

    /// Watch a window of one table.
    pub fn observe(
        &self,
        query: Query,
        listener: Arc<dyn WatchListener>,
    ) -> Result<Arc<Watch>, CallError> {
        let handle = self.client.observe_with(query.into(), live::adapter(listener))?;
        Ok(Watch::new(handle))
    }

    /// Watch any SQL that reads.
    pub fn watch(
        &self,
        sql: &str,
        params: Vec<SqlValue>,
        listener: Arc<dyn WatchListener>,
    ) -> Result<Arc<Watch>, CallError> {
        let handle = self.client.watch_with(sql, row::params(params), live::adapter(listener))?;
        Ok(Watch::new(handle))
    }

    /// An editor on a text field of an entity that is there.
    pub fn text(&self, kind: &str, id: &str, field: &str) -> Result<Arc<TextEditor>, CallError> {
        Ok(TextEditor::new(self.client.text(kind, id, field)?, self.schema.clone()))
    }

    // ---- what becomes of writes ----

    /// Where a write of this device stands.
    pub fn fate(&self, dot: Dot) -> Result<Fate, CallError> {
        Ok(fate::fate(&self.schema, self.client.fate(fate::dot(&dot)?)?))
    }

    /// Everything that happens from now on.
    pub fn events(&self) -> Arc<EventStream> {
        self.stream(self.client.events())
    }

    /// Every step of every own write from now on.
    pub fn fates(&self) -> Arc<EventStream> {
        self.stream(self.client.fates())
    }

    /// The outbox in numbers; empty once every write is as safe as was asked for.
    pub fn outbox_status(&self) -> Result<OutboxStatus, CallError> {
        Ok(self.client.outbox_status()?.into())
    }

    /// Refused, overwritten and otherwise unlucky writes, oldest first, until they are dismissed.
    pub fn outcomes(&self) -> Result<Vec<WriteOutcome>, CallError> {
        let all = self.client.outcomes()?;
        Ok(all.into_iter().map(|o| fate::write_outcome(&self.schema, o)).collect())
    }

    /// The app has dealt with the outcomes of a write: forget them.
    pub fn dismiss(&self, dot: Dot) -> Result<(), CallError> {
        Ok(self.client.dismiss(fate::dot(&dot)?)?)
    }

    /// Make a refused transaction anew, as seen from now.
    pub fn resubmit(&self, dot: Dot) -> Result<Receipt, CallError> {
        let receipt = self.client.resubmit(fate::dot(&dot)?)?;
        Ok(fate::receipt(&self.schema, receipt))
    }

    // ---- subscriptions ----

    /// Hold a scope's rows on this device from now on, across restarts.
    pub fn subscribe(&self, scope: &str) -> Result<(), CallError> {
        Ok(self.client.subscribe(scope)?)
    }

    /// Hold a part of a scope's rows on this device from now on, across restarts.
    pub fn subscribe_with(&self, scope: &str, terms: Terms) -> Result<(), CallError> {
        Ok(self.client.subscribe_with(scope, terms.into())?)
    }

    /// Ask anew for all that a subscription may hold, after rows of it were left out or evicted.
    pub fn refill(&self, scope: &str) -> Result<(), CallError> {
        Ok(self.client.refill(scope)?)
    }

    /// Keep a row whatever its age and however little room there is, and fetch it if it is not
    /// here. `home` is its home scope.
    pub fn pin(&self, kind: &str, home: &str, id: &str) -> Result<(), CallError> {
        Ok(self.client.pin(kind, home, id)?)
    }

    /// Keep a row no longer than others.
    pub fn unpin(&self, kind: &str, home: &str, id: &str) -> Result<(), CallError> {
        Ok(self.client.unpin(kind, home, id)?)
    }

    /// Let go of a scope's rows. Writes on them that were not sent yet are still sent.
    pub fn unsubscribe(&self, scope: &str) -> Result<(), CallError> {
        Ok(self.client.unsubscribe(scope)?)
    }

    /// How far a subscription is; nothing if the scope is not subscribed.
    pub fn progress(&self, scope: &str) -> Result<Option<Progress>, CallError> {
        Ok(self.client.progress(scope)?.map(Into::into))
    }

    /// All subscriptions, by scope.
    pub fn subscriptions(&self) -> Result<Vec<Progress>, CallError> {
        Ok(self.client.subscriptions()?.into_iter().map(Into::into).collect())
    }

    // ---- the network ----

    /// Use no network until [`Client::go_online`]. An open session is closed.
    pub fn go_offline(&self) {
        self.client.go_offline();
    }

    /// Sync from now on.
    pub fn go_online(&self) {
        self.client.go_online();
    }

    /// Where the connection stands.
    pub fn connection(&self) -> ConnectionState {
        self.client.connection().into()
    }

    /// Wait until the outbox is empty and every subscription was heard to its end. Fails with
    /// `LF2106` if that takes longer than so many milliseconds. To cancel ends the wait.
    pub async fn settle(&self, timeout_ms: u64) -> Result<(), CallError> {
        Ok(self.client.settle_async(Duration::from_millis(timeout_ms)).await?)
    }

    /// Wait until every write is as safe as was asked for. Fails with `LF2109` if that takes longer
    /// than so many milliseconds. To cancel ends the wait.
    pub async fn drain(&self, timeout_ms: u64) -> Result<(), CallError> {
        Ok(self.client.drain_async(Duration::from_millis(timeout_ms)).await?)
    }

    /// Sync for a while, in a slot that the system gives to an app in the background: until all is
    /// done, the time is over, or about so many bytes went either way. Writes go first, then
    /// subscriptions by their priority. To cancel ends the slot; the next one goes on where it
    /// stopped. The client is offline again afterwards, if it was before.
    pub async fn sync_once(&self, limits: SyncLimits) -> Result<SyncReport, CallError> {
        Ok(self.client.sync_once_async(limits.into()).await?.into())
    }

    /// What the account may subscribe, as the last region said; nothing before one has.
    pub fn granted(&self) -> Option<Granted> {
        self.client.granted().map(Into::into)
    }

    /// Whose file it is.
    pub fn account(&self) -> Account {
        self.client.account().into()
    }

    /// Stop syncing, make all that was written survive a loss of power, and let go of the file.
    /// Other calls fail with `LF2104` from here on; to close twice is to close once. Not to be
    /// called by a listener.
    pub fn shut(&self) -> Result<(), CallError> {
        Ok(self.client.close()?)
    }
}

impl Client {
    /// A handle to a client that is open.
    pub(crate) fn of(client: device::Client, schema: Arc<Schema>) -> Arc<Self> {
        Arc::new(Self { client, schema })
    }

    /// The device's client.
    pub(crate) fn inner(&self) -> &device::Client {
        &self.client
    }

    fn stream(&self, events: device::Events) -> Arc<EventStream> {
        EventStream::new(events, self.schema.clone())
    }
}
