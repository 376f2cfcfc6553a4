//! The client's handle: each call is that of [`landfall_device::Client`] with its values converted.

use crate::accounts::Account;
use crate::edit::{self, Edit};
use crate::error::CallError;
use crate::event::{ConnectionState, EventStream, Granted, Progress, Terms};
use crate::explain::{self, Explanation};
use crate::fate::{self, Cancelled, Dot, Fate, OutboxStatus, Receipt, WriteOutcome};
use crate::live::{self, Query, Watch, WatchListener};
use crate::network::Conditions;
use crate::open::{self, OpenOptions, TokenProvider};
use crate::rescue::{RescuedWrites, TakenIn};
use crate::row::{self, Row, Rows, SqlValue};
use crate::search::Search;
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

    /// The rows of a type that hold these words, the best first. Fails with `LF2120` if the type is
    /// not searched.
    pub fn search(&self, search: Search) -> Result<Rows, CallError> {
        Ok((&self.client.search_with(&search.into())?).into())
    }

    /// A search whose changes are told. It is run anew when rows of its type change.
    pub fn observe_search(
        &self,
        search: Search,
        listener: Arc<dyn WatchListener>,
    ) -> Result<Arc<Watch>, CallError> {
        let handle = self.client.observe_search_with(&search.into(), live::adapter(listener))?;
        Ok(Watch::new(handle))
    }

    /// An editor on a text field of an entity that is there.
    pub fn text(&self, kind: &str, id: &str, field: &str) -> Result<Arc<TextEditor>, CallError> {
        Ok(TextEditor::new(self.client.text(kind, id, field)?, self.schema.clone()))
    }

    // ---- what becomes of writes ----

    /// Where a write of this device stands.
    pub fn fate(&self, dot: Dot) -> Result<Fate, CallError> {
        Ok(fate::fate(&self.schema, self.client.fate(fate::dot(&dot))?))
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
        Ok(self.client.dismiss(fate::dot(&dot))?)
    }

    /// Make a refused transaction anew, as seen from now. Fails with `LF2020` if the write was not
    /// refused, or is gone.
    pub fn resubmit(&self, dot: Dot) -> Result<Receipt, CallError> {
        let receipt = self.client.resubmit(fate::dot(&dot))?;
        Ok(fate::receipt(&self.schema, receipt))
    }

    /// Take back a write that never left this device, with its transaction and with all that
    /// stands on it. Refused with `LF2021` if one of them may have left, with `LF2022` if there is no
    /// such write, with `LF2023` if a later edit of the same text has it in it.
    pub fn cancel(&self, dot: Dot) -> Result<Cancelled, CallError> {
        Ok(fate::cancelled(&self.schema, self.client.cancel(fate::dot(&dot))?))
    }

    /// Bring a deleted entity back as this device knew it last, with all that fell with it. `home`
    /// is its home scope. Fails with `LF2024` if this device does not know its values any more.
    pub fn restore(&self, kind: &str, home: &str, id: &str) -> Result<Receipt, CallError> {
        Ok(fate::receipt(&self.schema, self.client.restore(kind, home, id)?))
    }

    // ---- what a device knows of itself ----

    /// Why an entity shows on this device, or does not. `home` is its home scope; without it, fails
    /// with `LF2013` if the id stands for several.
    pub fn explain(
        &self,
        kind: &str,
        id: &str,
        home: Option<String>,
    ) -> Result<Explanation, CallError> {
        let told = match home {
            Some(home) => self.client.explain(kind, &home, id)?,
            None => self.client.explain_id(kind, id)?,
        };
        Ok(explain::explanation(&self.schema, told))
    }

    /// A JSON document for support, without the user's data. It reads the whole file.
    pub fn support_bundle(&self) -> Result<String, CallError> {
        Ok(self.client.support_bundle()?)
    }

    /// Take in the writes of a damaged file of this account, each once. To take the same rescue in
    /// again does no harm. Fails with `LF2107` if a write in it was made by another account.
    pub fn take_in(&self, rescue: &RescuedWrites) -> Result<TakenIn, CallError> {
        Ok(self.client.take_in(&rescue.0)?.into())
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

    /// What the user's network and battery are like now, as the operating system says.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.client.set_conditions(conditions.into());
    }

    /// The operating system says that the device's network is another one, or is back: look at
    /// once whether the region still answers, and end every wait.
    pub fn network_changed(&self) {
        self.client.network_changed();
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
