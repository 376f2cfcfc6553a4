//! The client as the worker's TypeScript sees it. Every call is one of `landfall_device::Client`,
//! with its arguments and its answer converted.

use crate::clock::BrowserClock;
use crate::convert::{self, failure, get, malformed, text, told};
use crate::edits;
use crate::runtime::EventLoop;
use crate::storage::Place;
use crate::token::FromFunction;
use crate::transport::OverWebSocket;
use js_sys::{Array, Error, Function, Object, Promise};
use landfall_device::{
    Account, Client, FixedToken, Network, Options, Query, RegionUrl, Schema, SyncLimits,
    SystemRandom, TokenProvider, Watch,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

/// What ends a live query, or a wait, by its number.
type Stops = Rc<RefCell<BTreeMap<u32, oneshot::Sender<()>>>>;

/// One account's file, open in this worker.
#[wasm_bindgen]
pub struct WebClient {
    client: Client,
    place: Place,
    watches: Stops,
    waits: Stops,
    last_watch: u32,
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
        let opened = read_options(&options, &place)
            .and_then(|o| Client::open(o).map_err(|e| failure(e.code(), e.message())));
        match opened {
            Ok(client) => Ok(Self {
                client,
                place,
                watches: Rc::default(),
                waits: Rc::default(),
                last_watch: 0,
            }),
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

    /// Watch a window of a table, or any statement; `listener` is called with each update, and
    /// with an error at the end if there is one. The answer is for `unwatch`.
    pub fn watch(&mut self, query: JsValue, listener: Function) -> Result<u32, Error> {
        let watch = match convert::text_if(&query, "sql") {
            Some(sql) => {
                let params = convert::parameters(&get(&query, "params"))?;
                self.client.watch(&sql, params).map_err(told)?
            }
            None => self.client.observe(window(&query)?).map_err(told)?,
        };
        self.last_watch += 1;
        let (stop, stopped) = oneshot::channel();
        self.watches.borrow_mut().insert(self.last_watch, stop);
        spawn_local(follow(watch, stopped, listener));
        Ok(self.last_watch)
    }

    pub fn unwatch(&self, watch: u32) {
        self.watches.borrow_mut().remove(&watch);
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
        let fate = self.client.fate(convert::dot(dot)?).map_err(told)?;
        Ok(convert::fate(self.client.schema(), None, &fate))
    }

    pub fn outcomes(&self) -> Result<Array, Error> {
        let (all, schema) = (self.client.outcomes().map_err(told)?, self.client.schema());
        Ok(all.iter().map(|o| convert::outcome(schema, o.dot, &o.key, &o.outcome)).collect())
    }

    pub fn dismiss(&self, dot: &str) -> Result<(), Error> {
        self.client.dismiss(convert::dot(dot)?).map_err(told)
    }

    pub fn resubmit(&self, dot: &str) -> Result<JsValue, Error> {
        let receipt = self.client.resubmit(convert::dot(dot)?).map_err(told)?;
        Ok(convert::receipt(self.client.schema(), &receipt))
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
        let limits = SyncLimits { deadline, bytes_max: convert::amount_if(&limits, "bytesMax")? };
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
        Self {
            client,
            place: Place::in_memory(),
            watches: Rc::default(),
            waits: Rc::default(),
            last_watch: 0,
        }
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

    fn client_schema(&self) -> Arc<Schema> {
        self.client.schema_shared()
    }
}

/// Carry updates to the listener until it is stopped.
async fn follow(mut watch: Watch, mut stopped: oneshot::Receiver<()>, listener: Function) {
    loop {
        let update = tokio::select! {
            update = watch.next() => update,
            // Stopped, or the client is gone.
            _ = &mut stopped => return,
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

fn window(query: &JsValue) -> Result<Query, Error> {
    let mut window = Query::table(text(query, "table")?);
    if let Some(filter) = convert::text_if(query, "where") {
        window = window.filter(filter, convert::parameters(&get(query, "params"))?);
    }
    if let Some(order) = get(query, "orderBy").dyn_ref::<Array>() {
        for column in order.iter() {
            let name = text(&column, "column")?;
            let descending = get(&column, "descending").is_truthy();
            window = if descending { window.descending(name) } else { window.ascending(name) };
        }
    }
    if let Some(limit) = get(query, "limit").as_f64() {
        window = window.limit(limit as u64);
    }
    Ok(window)
}

fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1_000.0).unwrap_or(Duration::MAX)
}

fn read_options(options: &JsValue, place: &Place) -> Result<Options, Error> {
    let account = convert::account_of(&get(options, "account"))?;
    let mut read = offline_options(place, &text(options, "schema")?, account)?;
    let regions = get(options, "regions");
    let regions = regions.dyn_ref::<Array>().ok_or_else(|| malformed("regions"))?;
    let region = |r: JsValue| Ok(RegionUrl::new(text(&r, "name")?, text(&r, "url")?));
    read.regions = regions.iter().map(region).collect::<Result<_, Error>>()?;
    read.tokens = match get(options, "token").dyn_into::<Function>() {
        Ok(function) => Arc::new(FromFunction::new(function)),
        Err(token) => Arc::new(FixedToken(token.as_string().ok_or_else(|| malformed("token"))?)),
    };
    read.network.start_offline = get(options, "startOffline").is_truthy();
    read.disk_bytes_max = convert::amount_if(options, "diskBytesMax")?;
    Ok(read)
}

/// Options of a client that has no regions.
pub fn offline_options(place: &Place, schema: &str, account: Account) -> Result<Options, Error> {
    let schema = landfall_device::compile(schema).map_err(|e| failure(e.code(), e.message()))?;
    let tokens: Arc<dyn TokenProvider> = Arc::new(FixedToken::default());
    Ok(Options {
        path: place.file(),
        schema: Arc::new(schema),
        account,
        regions: Vec::new(),
        tokens,
        clock: Arc::new(BrowserClock::default()),
        random: Arc::new(SystemRandom),
        transport: Arc::new(OverWebSocket),
        runtime: Arc::new(EventLoop),
        network: Network::default(),
        disk_bytes_max: None,
        shared: None,
        publishes: false,
    })
}

/// A panic ends the worker; its place in the code is all that can still be told.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&format!("landfall: {panic}").into());
    }));
}
