//! The client as the worker's TypeScript sees it. Every call is one of `landfall_device::Client`,
//! with its arguments and its answer converted.

use crate::convert::{self, failure, get, malformed, text, told};
use crate::storage::Place;
use crate::{edits, explain, options, queries, rescue};
use js_sys::{Array, Error, Function, Object, Promise, Uint8Array};
use landfall_device::{Client, LiveExplain, Rescue, Schema, SyncLimits, TextEditor, Watch, code};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

/// An editor of a text went with the tab that had the file, or was closed.
const EDITOR_GONE: &str = "LF2311";

/// What ends a wait, by its number.
type Stops = Rc<RefCell<BTreeMap<u32, oneshot::Sender<()>>>>;

/// Where a live query is asked how it works, by its number. It ends when this is dropped.
type Watches = Rc<RefCell<BTreeMap<u32, mpsc::UnboundedSender<Asked>>>>;

/// Who asked a live query how it works.
type Asked = oneshot::Sender<Result<LiveExplain, landfall_device::Error>>;

/// One account's file, open in this worker.
#[wasm_bindgen]
pub struct WebClient {
    client: Client,
    place: Place,
    watches: Watches,
    waits: Stops,
    last_watch: u32,
    texts: BTreeMap<u32, TextEditor>,
    last_text: u32,
}

impl fmt::Debug for WebClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in a browser", self.client)
    }
}

#[wasm_bindgen]
impl WebClient {
    /// Open the account's file, or make it. `options` is `OpenOptions` of the TypeScript package.
    pub async fn open(options: JsValue) -> Result<WebClient, Error> {
        tell_panics();
        let folder = text(&options, "name")?;
        let in_memory = get(&options, "inMemory").is_truthy();
        let place = if in_memory { Place::in_memory() } else { Place::take(&folder).await? };
        let opened = options::of_app(&options, &place)
            .and_then(|o| Client::open(o).map_err(|e| failure(e.code(), e.message())));
        match opened {
            Ok(client) => Ok(Self::new(client, place)),
            Err(error) => {
                place.leave();
                Err(error)
            }
        }
    }

    /// Write edits in one transaction: all of them or none, and once for each `name`.
    pub fn commit(&self, edits: Array, name: &str) -> Result<JsValue, Error> {
        let transaction = edits::gather(self.client.transaction(), &edits)?;
        let receipt = transaction.commit_once(name).map_err(told)?;
        Ok(convert::receipt(self.client.schema(), &receipt))
    }

    /// The rows of a statement that reads.
    pub fn query(&self, sql: &str, params: JsValue) -> Result<Array, Error> {
        let rows = self.client.query(sql, convert::parameters(&params)?).map_err(told)?;
        Ok(rows.iter().map(convert::row).collect())
    }

    /// An entity's row; null if this device has none.
    pub fn get(&self, kind: &str, id: &str) -> Result<JsValue, Error> {
        let row = self.client.get(kind, id).map_err(told)?;
        Ok(row.as_ref().map_or(JsValue::NULL, |row| convert::row(row).into()))
    }

    /// The rows of a type that hold these words. `query` is `SearchQuery` of the TypeScript package.
    pub fn search(&self, query: JsValue) -> Result<Array, Error> {
        let rows = self.client.search_with(&queries::search(&query)?).map_err(told)?;
        Ok(rows.iter().map(convert::row).collect())
    }

    /// Watch a window of a table, a search, or any statement; `listener` is called with each update, and
    /// with an error at the end if there is one. The answer is for `unwatch`.
    pub fn watch(&mut self, query: JsValue, listener: Function) -> Result<u32, Error> {
        let watch = queries::watch(&self.client, &query)?;
        self.last_watch += 1;
        let (ask, asked) = mpsc::unbounded_channel();
        self.watches.borrow_mut().insert(self.last_watch, ask);
        spawn_local(follow(watch, asked, listener));
        Ok(self.last_watch)
    }

    /// How a live query works, and what it has done so far.
    #[wasm_bindgen(js_name = explainWatch)]
    pub fn explain_watch(&self, watch: u32) -> Promise {
        let (answer, told_all) = oneshot::channel();
        if let Some(ask) = self.watches.borrow().get(&watch) {
            // It has ended: nobody answers.
            let _ = ask.send(answer);
        }
        future_to_promise(async move {
            match told_all.await {
                Ok(Ok(all)) => Ok(queries::live_explain(&all)),
                Ok(Err(error)) => Err(told(error).into()),
                Err(_) => Err(failure(code::CLOSED, "The live query has ended.").into()),
            }
        })
    }

    pub fn unwatch(&self, watch: u32) {
        self.watches.borrow_mut().remove(&watch);
    }

    /// An editor on a text field of an entity that is there. The answer is for the calls below, each
    /// of which answers with the text as the editor shows it.
    pub fn text(&mut self, kind: &str, id: &str, field: &str) -> Result<u32, Error> {
        let editor = self.client.text(kind, id, field).map_err(told)?;
        self.last_text += 1;
        self.texts.insert(self.last_text, editor);
        Ok(self.last_text)
    }

    #[wasm_bindgen(js_name = textValue)]
    pub fn text_value(&mut self, text: u32) -> Result<String, Error> {
        Ok(self.editor(text)?.value())
    }

    #[wasm_bindgen(js_name = textSplice)]
    pub fn text_splice(
        &mut self,
        text: u32,
        at: u32,
        delete: u32,
        insert: &str,
    ) -> Result<String, Error> {
        let editor = self.editor(text)?;
        editor.splice(at as usize, delete as usize, insert).map_err(told)?;
        Ok(editor.value())
    }

    #[wasm_bindgen(js_name = textPull)]
    pub fn text_pull(&mut self, text: u32) -> Result<String, Error> {
        let editor = self.editor(text)?;
        editor.pull().map_err(told)?;
        Ok(editor.value())
    }

    /// Write what was spliced since the last commit; null if nothing was.
    #[wasm_bindgen(js_name = textCommit)]
    pub fn text_commit(&mut self, text: u32) -> Result<JsValue, Error> {
        let receipt = self.editor(text)?.commit().map_err(told)?;
        let schema = self.client.schema();
        Ok(receipt.map_or(JsValue::NULL, |receipt| convert::receipt(schema, &receipt)))
    }

    #[wasm_bindgen(js_name = textClose)]
    pub fn text_close(&mut self, text: u32) {
        self.texts.remove(&text);
    }

    /// Call `listener` with everything that happens from now on.
    pub fn events(&self, listener: Function) {
        let mut events = self.client.events();
        let schema = Arc::clone(&self.client_schema());
        spawn_local(async move {
            while let Some(event) = events.next().await {
                if let Some(event) = convert::event(&schema, &event) {
                    // What the listener throws is its own.
                    let _ = listener.call1(&JsValue::NULL, &event);
                }
            }
        });
    }

    /// `terms` are `Terms` of the TypeScript package.
    pub fn subscribe(&self, scope: &str, terms: JsValue) -> Result<(), Error> {
        self.client.subscribe_with(scope, convert::terms(&terms)?).map_err(told)
    }

    pub fn refill(&self, scope: &str) -> Result<(), Error> {
        self.client.refill(scope).map_err(told)
    }

    pub fn pin(&self, kind: &str, home: &str, id: &str) -> Result<(), Error> {
        self.client.pin(kind, home, id).map_err(told)
    }

    pub fn unpin(&self, kind: &str, home: &str, id: &str) -> Result<(), Error> {
        self.client.unpin(kind, home, id).map_err(told)
    }

    pub fn granted(&self) -> JsValue {
        self.client.granted().as_ref().map_or(JsValue::NULL, convert::granted)
    }

    /// Whose file it is.
    pub fn account(&self) -> JsValue {
        convert::account(self.client.account())
    }

    pub fn unsubscribe(&self, scope: &str) -> Result<(), Error> {
        self.client.unsubscribe(scope).map_err(told)
    }

    pub fn subscriptions(&self) -> Result<Array, Error> {
        let all = self.client.subscriptions().map_err(told)?;
        Ok(all.iter().map(convert::progress).collect())
    }

    pub fn fate(&self, dot: &str) -> Result<JsValue, Error> {
        let fate = self.client.fate(convert::dot(dot)).map_err(told)?;
        Ok(convert::fate(self.client.schema(), &fate))
    }

    pub fn outcomes(&self) -> Result<Array, Error> {
        let (all, schema) = (self.client.outcomes().map_err(told)?, self.client.schema());
        Ok(all.iter().map(|o| convert::outcome(schema, o.dot, &o.key, &o.outcome)).collect())
    }

    pub fn dismiss(&self, dot: &str) -> Result<(), Error> {
        self.client.dismiss(convert::dot(dot)).map_err(told)
    }

    pub fn resubmit(&self, dot: &str) -> Result<JsValue, Error> {
        let receipt = self.client.resubmit(convert::dot(dot)).map_err(told)?;
        Ok(convert::receipt(self.client.schema(), &receipt))
    }

    /// Take back a write that never left this device, with all that stands on it.
    pub fn cancel(&self, dot: &str) -> Result<JsValue, Error> {
        let cancelled = self.client.cancel(convert::dot(dot)).map_err(told)?;
        let object = Object::new();
        convert::set(&object, "dots", rescue::dots(&cancelled.dots));
        convert::set(&object, "dependants", rescue::dots(&cancelled.dependants));
        let keys = cancelled.keys.iter().map(|key| convert::key(self.client.schema(), key));
        convert::set(&object, "keys", keys.collect::<Array>());
        Ok(object.into())
    }

    /// Bring a deleted entity back as this device knew it last.
    pub fn restore(&self, kind: &str, home: &str, id: &str) -> Result<JsValue, Error> {
        let receipt = self.client.restore(kind, home, id).map_err(told)?;
        Ok(convert::receipt(self.client.schema(), &receipt))
    }

    /// Why an entity shows, or does not; without its home scope where that is undefined.
    pub fn explain(&self, kind: &str, id: &str, home: Option<String>) -> Result<JsValue, Error> {
        let explained = match home {
            Some(home) => self.client.explain(kind, &home, id),
            None => self.client.explain_id(kind, id),
        };
        Ok(explain::explanation(self.client.schema(), &explained.map_err(told)?))
    }

    /// A JSON document for support, without the user's data.
    #[wasm_bindgen(js_name = supportBundle)]
    pub fn support_bundle(&self) -> Result<String, Error> {
        self.client.support_bundle().map_err(told)
    }

    /// Take in the writes of a damaged file of this account: the document of a `Rescue`.
    #[wasm_bindgen(js_name = takeIn)]
    pub fn take_in(&self, document: Uint8Array) -> Result<JsValue, Error> {
        let rescue = Rescue::of_document(&document.to_vec()).map_err(told)?;
        Ok(rescue::taken_in(&self.client.take_in(&rescue).map_err(told)?))
    }

    #[wasm_bindgen(js_name = outboxStatus)]
    pub fn outbox_status(&self) -> Result<JsValue, Error> {
        let status = self.client.outbox_status().map_err(told)?;
        let object = Object::new();
        convert::set(&object, "pending", status.pending as f64);
        convert::set(&object, "accepted", status.accepted as f64);
        let oldest = status.oldest_ms.map_or(JsValue::NULL, |ms| (ms as f64).into());
        convert::set(&object, "oldestMs", oldest);
        Ok(object.into())
    }

    pub fn connection(&self) -> JsValue {
        convert::connection(&self.client.connection())
    }

    #[wasm_bindgen(js_name = goOffline)]
    pub fn go_offline(&self) {
        self.client.go_offline();
    }

    #[wasm_bindgen(js_name = goOnline)]
    pub fn go_online(&self) {
        self.client.go_online();
    }

    /// `conditions` are `Conditions` of the TypeScript package.
    #[wasm_bindgen(js_name = setConditions)]
    pub fn set_conditions(&self, conditions: JsValue) {
        self.client.set_conditions(options::conditions(&conditions));
    }

    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&self) {
        self.client.network_changed();
    }

    /// Wait until nothing is left to do with the regions, at most so many milliseconds. `wait` is
    /// for `giveUp`.
    pub fn settle(&self, timeout_ms: f64, wait: u32) -> Promise {
        let client = self.client.clone();
        self.waiting(wait, async move {
            client.settle_async(duration(timeout_ms)).await.map_err(told)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Wait until every write is as safe as was asked for, at most so many milliseconds.
    pub fn drain(&self, timeout_ms: f64, wait: u32) -> Promise {
        let client = self.client.clone();
        self.waiting(wait, async move {
            client.drain_async(duration(timeout_ms)).await.map_err(told)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Sync until all is done, the time is over, or about so many bytes went either way.
    #[wasm_bindgen(js_name = syncOnce)]
    pub fn sync_once(&self, limits: JsValue, wait: u32) -> Result<Promise, Error> {
        let client = self.client.clone();
        let deadline_ms = get(&limits, "deadlineMs").as_f64();
        let deadline = duration(deadline_ms.ok_or_else(|| malformed("deadlineMs"))?);
        let priority_min = convert::priority(&limits, "priorityMin")?;
        let bytes_max = convert::amount_if(&limits, "bytesMax")?;
        let limits = SyncLimits { deadline, bytes_max, priority_min };
        Ok(self.waiting(wait, async move {
            let report = client.sync_once_async(limits).await.map_err(told)?;
            Ok(convert::sync_report(report))
        }))
    }

    /// Nobody waits for this any more: its promise is kept at once.
    #[wasm_bindgen(js_name = giveUp)]
    pub fn give_up(&self, wait: u32) {
        self.waits.borrow_mut().remove(&wait);
    }

    /// A hash over all rows that regions have confirmed.
    pub fn digest(&self) -> Result<String, Error> {
        self.client.digest().map_err(told)
    }

    /// Stop syncing and let go of the file.
    pub async fn close(self) -> Result<(), Error> {
        self.watches.borrow_mut().clear();
        self.waits.borrow_mut().clear();
        let closed = self.client.close_async().await.map_err(told);
        self.place.leave();
        closed
    }

    /// A client that is open already.
    #[cfg(feature = "testkit")]
    pub(crate) fn over(client: Client) -> Self {
        Self::new(client, Place::in_memory())
    }

    fn new(client: Client, place: Place) -> Self {
        let (watches, waits) = (Rc::default(), Rc::default());
        let (last_watch, texts, last_text) = (0, BTreeMap::new(), 0);
        Self { client, place, watches, waits, last_watch, texts, last_text }
    }

    fn waiting(
        &self,
        wait: u32,
        work: impl Future<Output = Result<JsValue, Error>> + 'static,
    ) -> Promise {
        let (stop, mut stopped) = oneshot::channel();
        self.waits.borrow_mut().insert(wait, stop);
        let waits = self.waits.clone();
        future_to_promise(async move {
            let done = tokio::select! {
                done = work => done.map_err(JsValue::from),
                _ = &mut stopped => Ok(JsValue::UNDEFINED),
            };
            waits.borrow_mut().remove(&wait);
            done
        })
    }

    fn editor(&mut self, text: u32) -> Result<&mut TextEditor, Error> {
        let gone = "The editor of the text was closed. Open another.";
        self.texts.get_mut(&text).ok_or_else(|| failure(EDITOR_GONE, gone))
    }

    fn client_schema(&self) -> Arc<Schema> {
        self.client.schema_shared()
    }
}

/// Carry updates to the listener until it is stopped.
async fn follow(mut watch: Watch, mut asked: mpsc::UnboundedReceiver<Asked>, listener: Function) {
    loop {
        let update = tokio::select! {
            update = watch.next() => update,
            ask = asked.recv() => match ask {
                Some(answer) => {
                    // Whoever asked has gone.
                    let _ = answer.send(watch.explain());
                    continue;
                }
                // Stopped, or the client is gone.
                None => return,
            },
        };
        let told = match update {
            Some(Ok(update)) => listener.call1(&JsValue::NULL, &convert::update(&update)),
            Some(Err(error)) => {
                listener.call2(&JsValue::NULL, &JsValue::NULL, &convert::told(error))
            }
            None => return,
        };
        // What the listener throws is its own.
        let _ = told;
    }
}

fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1_000.0).unwrap_or(Duration::MAX)
}

/// A panic ends the worker; its place in the code is all that can still be told.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&format!("landfall: {panic}").into());
    }));
}
