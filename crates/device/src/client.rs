//! The client: one account's file on this device, and everything an app does with it.
//!
//! Calls come from any of the app's threads and wait for no network. Writes are done on the
//! caller's thread in one SQLite transaction; a thread of the client's own talks to the regions.
//!
//! What is written survives the process as soon as the call returns. It survives a loss of power
//! from the next fsync on, which comes before the first byte of it leaves the device, at the latest
//! at [`Client::close`]. A process that is killed leaves nothing to repair; the next one to open
//! the file goes on where it stopped, once the killed one's lease on syncing has run out.

use crate::engine;
use crate::error::{Error, OpenError};
use crate::event::{ConnectionState, Events, Granted, Only, Progress};
use crate::explain::Explanation;
use crate::fates::{Cancelled, Fate, OutboxStatus, WriteOutcome};
use crate::inner::Inner;
use crate::options::{Account, Conditions, Options};
use crate::read::{self, Row, Rows, SqlValue};
use crate::runtime::Running;
use crate::store::MemoryFile;
use crate::text::TextEditor;
use crate::transaction::Transaction;
use crate::transport::Traffic;
use landfall_model::id::{Dot, EntityKey};
use landfall_model::schema::{Merge, Schema};
use landfall_sync::device::node::{Edit, Problem, Receipt, RefusedEdit};
use landfall_sync::device::store::Terms;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A handle to an open file. Clones share it; when the last one is dropped, syncing stops.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    engine: Arc<Engine>,
}

/// A transaction that was written to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The identities of its ops, for [`Client::fate`]. Empty if it changed nothing.
    pub dots: Vec<Dot>,
    /// The entities that it wrote to, in order.
    pub keys: Vec<EntityKey>,
}

impl From<Receipt> for WriteReceipt {
    fn from(receipt: Receipt) -> Self {
        Self { dots: receipt.dots, keys: receipt.keys }
    }
}

impl Client {
    /// Open an account's file, or make it, and begin to sync unless
    /// [`start_offline`](crate::Network::start_offline) says otherwise.
    ///
    /// Fails if the file cannot be opened, is not this account's, or does not fit the schema; its
    /// bytes are then as they were. Codes: `LF22xx`, `LF2107`.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Self::begin(Inner::open(options, false)?)
    }

    /// Like [`Client::open`], with the file in this process's memory: `path` is not looked at. For
    /// tests of apps, and for what need not outlive the process.
    pub fn open_in_memory(mut options: Options, file: &MemoryFile) -> Result<Self, OpenError> {
        options.path = file.path().to_owned();
        Self::begin(Inner::open(options, true)?)
    }

    fn begin(inner: Arc<Inner>) -> Result<Self, OpenError> {
        let engine = Engine { inner: inner.clone(), running: Mutex::default() };
        let files = inner.shared.iter().map(|file| &file.inner);
        for file in files.chain([&inner]) {
            let running = engine::start(file.clone())?;
            engine.lock().push(running);
        }
        Ok(Self { inner, engine: Arc::new(engine) })
    }

    /// The app's schema.
    pub fn schema(&self) -> &Schema {
        &self.inner.options.schema
    }

    /// The app's schema, to be kept.
    pub fn schema_shared(&self) -> Arc<Schema> {
        self.inner.options.schema.clone()
    }

    // ---- writing ----

    /// Write edits in one transaction: all of them or none.
    ///
    /// When this returns, the rows show, live queries are about to fire, and the ops are on their
    /// way. Fails without a trace if an edit cannot be made (`LF20xx`) or the file fails.
    pub fn write(&self, edits: &[Edit]) -> Result<WriteReceipt, Error> {
        self.inner.write(edits)
    }

    /// Gather edits by name, to be written together.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    // ---- reading ----

    /// Run one SQL statement that reads. Fails with `LF2102` if SQLite refuses it.
    pub fn query(
        &self,
        sql: &str,
        params: impl IntoIterator<Item = SqlValue>,
    ) -> Result<Rows, Error> {
        let params: Vec<SqlValue> = params.into_iter().collect();
        self.inner.with_reader(|conn| read::store::query(conn, sql, &params))
    }

    /// An entity's row; `None` if this device has none, which does not mean that there is none.
    /// Fails if the id stands for several, in different home scopes.
    pub fn get(&self, kind: &str, id: &str) -> Result<Option<Row>, Error> {
        let refused = |problem| RefusedEdit { edit: 0, field: None, problem };
        let Some(found) = self.schema().entity_named(kind) else {
            return Err(refused(Problem::UnknownType).into());
        };
        let rows = self.inner.with_reader(|c| read::store::rows_of_id(c, &found.name, id))?;
        if rows.len() > 1 {
            return Err(refused(Problem::Ambiguous).into());
        }
        Ok(rows.into_iter().next())
    }

    /// An editor on a text field of an entity that is there. Codes `LF20xx` say why not.
    pub fn text(&self, kind: &str, id: &str, field: &str) -> Result<TextEditor, Error> {
        let found = self.schema().entity_named(kind);
        let kind = found.ok_or_else(|| Error::problem(Problem::UnknownType))?;
        let field = kind.field_named(field).ok_or_else(|| Error::problem(Problem::UnknownField))?;
        if field.merge != Merge::Text {
            return Err(Error::problem(Problem::WrongEdit));
        }
        if kind.shared && !self.inner.options.publishes {
            return Err(Error::problem(Problem::Shared));
        }
        let key = self.inner.find(kind.id, id)?;
        let author = self.inner.text_author(&key, field.id)?;
        TextEditor::open(self.clone(), key, field.id, author)
    }

    /// A hash over all rows that regions have confirmed, equal on all replicas that hold the same.
    /// It reads everything: for tests and for support.
    pub fn digest(&self) -> Result<String, Error> {
        self.inner.digest()
    }

    // ---- what becomes of writes ----

    /// Where a write of this device stands.
    pub fn fate(&self, dot: Dot) -> Result<Fate, Error> {
        self.inner.fate(dot)
    }

    /// Every step of every own write from now on, as [`crate::Event::Fate`].
    pub fn fates(&self) -> Events {
        self.inner.listen(Only::Fates)
    }

    /// Everything that happens from now on.
    pub fn events(&self) -> Events {
        self.inner.listen(Only::All)
    }

    /// The outbox in numbers; empty once every write is as safe as was asked for.
    pub fn outbox_status(&self) -> Result<OutboxStatus, Error> {
        self.inner.outbox_status()
    }

    /// Refused, overwritten and otherwise unlucky writes, oldest first, until they are dismissed.
    pub fn outcomes(&self) -> Result<Vec<WriteOutcome>, Error> {
        self.inner.outcomes()
    }

    /// The app has dealt with the outcomes of a write: forget them, and the write if it was
    /// refused.
    pub fn dismiss(&self, dot: Dot) -> Result<(), Error> {
        self.inner.dismiss(dot)
    }

    /// Make a refused transaction anew, as seen from now. Fails if the write was not refused.
    pub fn resubmit(&self, dot: Dot) -> Result<WriteReceipt, Error> {
        self.inner.resubmit(dot)
    }

    /// Take back a write that never left this device, with its transaction and with all that
    /// stands on it, such as the lines of an order. Rows show as if it had not been made.
    ///
    /// Refused without a trace with `LF2021` if the write, or one that stands on it, may have left
    /// this device; with `LF2022` if there is no such write; with `LF2023` if a later edit of the
    /// same text has it in it, which is to be cancelled first.
    pub fn cancel(&self, dot: Dot) -> Result<Cancelled, Error> {
        self.inner.cancel(dot)
    }

    /// Bring a deleted entity back as this device knew it last, with all that fell with it:
    /// an ordinary write, that creates them anew. `home` is its home scope. The receipt is empty if
    /// it is there.
    ///
    /// Fails with `LF2024` if this device does not know its values any more: it keeps those of the
    /// last 200 deletions, made here or told by a region while the row was here, and forgets them
    /// with the scope. Fails with `LF2012` if its parent is gone: that is what is to be restored.
    pub fn restore(&self, kind: &str, home: &str, id: &str) -> Result<WriteReceipt, Error> {
        self.inner.restore(&self.key(kind, home, id)?)
    }

    /// Why an entity shows on this device, or does not, as far as the device knows. `home` is its
    /// home scope.
    pub fn explain(&self, kind: &str, home: &str, id: &str) -> Result<Explanation, Error> {
        self.inner.explain(&self.key(kind, home, id)?)
    }

    /// Like [`Client::explain`], where the home scope is not known. Fails with `LF2013` if the id
    /// stands for several, in different home scopes.
    pub fn explain_id(&self, kind: &str, id: &str) -> Result<Explanation, Error> {
        let found = self.schema().entity_named(kind);
        let kind = found.ok_or_else(|| Error::problem(Problem::UnknownType))?;
        self.inner.explain(&self.inner.key_of(kind, id)?)
    }

    // ---- subscriptions ----

    /// Hold all of a scope's rows on this device from now on, across restarts.
    pub fn subscribe(&self, scope: &str) -> Result<(), Error> {
        self.subscribe_with(scope, Terms::default())
    }

    /// Hold a part of a scope's rows on this device from now on, across restarts; or another part
    /// than before. Wider terms than before read the scope anew; narrower ones let go of rows, soon.
    pub fn subscribe_with(&self, scope: &str, terms: Terms) -> Result<(), Error> {
        self.inner.subscribe(scope, terms)
    }

    /// Ask anew for all that a subscription may hold, after rows of it were left out or evicted. While
    /// a row is not here, nobody looks whether a write of this device on it, which was safe before,
    /// is overwritten.
    pub fn refill(&self, scope: &str) -> Result<(), Error> {
        self.inner.refill(scope)
    }

    /// Keep a row whatever its age and however little room there is, and fetch it if it is not
    /// here. `home` is its home scope. It still leaves when the account may no longer see it.
    pub fn pin(&self, kind: &str, home: &str, id: &str) -> Result<(), Error> {
        self.inner.pin(&self.key(kind, home, id)?, true)
    }

    /// Keep a row no longer than others.
    pub fn unpin(&self, kind: &str, home: &str, id: &str) -> Result<(), Error> {
        self.inner.pin(&self.key(kind, home, id)?, false)
    }

    /// What the account may subscribe, as the last region said; `None` before one has.
    pub fn granted(&self) -> Option<Granted> {
        self.inner.granted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key(&self, kind: &str, home: &str, id: &str) -> Result<EntityKey, Error> {
        let found = self.schema().entity_named(kind);
        let found = found.ok_or_else(|| Error::problem(Problem::UnknownType))?;
        Ok(EntityKey::new(home, found.id, id))
    }

    /// Let go of a scope's rows. Writes on them that were not sent yet are still sent.
    pub fn unsubscribe(&self, scope: &str) -> Result<(), Error> {
        self.inner.unsubscribe(scope)
    }

    /// How far a subscription is; `None` if the scope is not subscribed.
    pub fn progress(&self, scope: &str) -> Result<Option<Progress>, Error> {
        Ok(self.subscriptions()?.into_iter().find(|p| *p.scope == *scope))
    }

    /// All subscriptions, by scope.
    pub fn subscriptions(&self) -> Result<Vec<Progress>, Error> {
        self.inner.subscriptions()
    }

    // ---- the network ----

    /// Use no network until [`Client::go_online`]. An open session is closed.
    pub fn go_offline(&self) {
        self.inner.set_online(false);
    }

    /// Sync from now on.
    pub fn go_online(&self) {
        self.inner.set_online(true);
    }

    /// What the user's network and battery are like now, as the operating system says. What it
    /// means is in [`Options::network`]: [`Policy`](crate::Policy).
    pub fn set_conditions(&self, conditions: Conditions) {
        self.inner.change_goal(|goal| goal.conditions = conditions);
    }

    /// The operating system says that the device's network is another one, or is back: look at
    /// once whether the region still answers, and end every wait.
    pub fn network_changed(&self) {
        self.inner.change_goal(|goal| goal.network = goal.network.wrapping_add(1));
    }

    /// Where the connection stands.
    pub fn connection(&self) -> ConnectionState {
        self.inner.connection.borrow().clone()
    }

    /// Bytes sent and received since the client was opened.
    pub fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    /// Wait until the outbox is empty and every subscription was heard to its end in the open
    /// session, without blocking. Fails with `LF2106` if that takes too long, as it does offline.
    pub async fn settle_async(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.settle_async(timeout).await
    }

    /// Wait until every write is as safe as was asked for, without blocking. Fails with `LF2109` if
    /// that takes too long, as it does offline.
    pub async fn drain_async(&self, timeout: Duration) -> Result<(), Error> {
        self.inner.drain_async(timeout).await
    }

    /// Whose file it is.
    pub fn account(&self) -> &Account {
        &self.inner.options.account
    }

    /// Stop syncing, make all that was written survive a loss of power, and let go of the file.
    /// Other clones fail with `LF2104` from here on. Not to be called by a listener.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.stop();
        self.engine.join();
        self.inner.close(true)
    }

    /// Like [`Client::close`], for callers that must not block; needed where the engine has no
    /// thread of its own.
    pub async fn close_async(&self) -> Result<(), Error> {
        self.inner.stop();
        self.inner.until_engine_ended().await;
        self.inner.close(true)
    }

    /// Let go of the file as a process that is killed does. What was written is in the file, as after
    /// any kill; nothing more is written, not even that nobody syncs the file now: who opens it next
    /// waits until the lease of this client has run out. Other clones fail with `LF2104` from here on.
    /// For tests of what an app finds when it comes back.
    pub fn abandon(&self) -> Result<(), Error> {
        self.inner.stop();
        self.inner.abandon()
    }
}

/// The sync engine, as long as anybody holds a client.
#[derive(Debug)]
struct Engine {
    inner: Arc<Inner>,
    /// One for each file.
    running: Mutex<Vec<Running>>,
}

impl Engine {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self) {
        let running = std::mem::take(&mut *self.lock());
        running.into_iter().for_each(Running::join);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.inner.stop();
        self.join();
        // The file is whole whatever happens here; it only may be a while until another syncs it.
        let _ = self.inner.close(false);
    }
}
