//! The world for the tests of apps, as `landfall_testkit` has it: devices and a region in memory, in a
//! time that the test moves. Only with the feature `testkit`; what a browser downloads has none of
//! it. It needs no browser: a wasm engine with JavaScript around it is enough.
//!
//! The world runs in the call that drives it ([`TestWorld::run_ready`], [`TestWorld::settle`],
//! [`TestWorld::advance`]). Live queries and events reach their JavaScript listeners in the
//! microtasks that follow.

use crate::client::WebClient;
use crate::convert::{self, cell, failure, set};
use crate::edits;
use js_sys::{Array, Error, JSON, Object};
use landfall_device::{Schema, SqlValue, Value};
use landfall_model::schema::{EntityType, FieldKind};
use landfall_testkit as kit;
use landfall_testkit::{Reason, Refusal, RegionRow, Rights, Testkit, Which};
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::prelude::*;

/// A world with one region.
#[wasm_bindgen]
#[derive(Debug)]
pub struct TestWorld {
    kit: Testkit,
}

#[wasm_bindgen]
impl TestWorld {
    /// A world for an app's schema; its ids and waits come from the seed.
    pub fn open(schema: &str, seed: u32) -> Result<TestWorld, Error> {
        let schema = landfall_device::compile(schema);
        let schema = Arc::new(schema.map_err(|e| failure(e.code(), e.message()))?);
        let options = kit::Options { seed: seed.into(), ..kit::Options::new(schema) };
        Ok(Self { kit: Testkit::with(options) })
    }

    /// A device of an account, by name; made if there is none.
    pub fn device(&self, account: &str, name: &str) -> Result<TestDevice, Error> {
        Ok(TestDevice { device: self.kit.device_of(account, name).map_err(refused)? })
    }

    /// The world ends; clients of it fail with `LF2104` from here on.
    pub fn end(&self) {
        self.kit.end();
    }

    /// Milliseconds since 1970.
    #[wasm_bindgen(js_name = nowMs)]
    pub fn now_ms(&self) -> f64 {
        self.kit.now_ms() as f64
    }

    /// Run what can run now, without time passing.
    #[wasm_bindgen(js_name = runReady)]
    pub fn run_ready(&self) -> Result<(), Error> {
        self.kit.run_ready().map_err(refused)
    }

    /// Let so many milliseconds pass.
    pub fn advance(&self, ms: f64) -> Result<(), Error> {
        self.kit.advance(duration(ms)).map_err(refused)
    }

    /// Run until nothing is left to do but what waits for the test; `Waiting[]` of the TypeScript.
    pub fn settle(&self) -> Result<Array, Error> {
        let settled = self.kit.settle().map_err(refused)?;
        Ok(settled.waiting.iter().map(waiting).collect())
    }

    /// From now on the account may do this and nothing else.
    pub fn allow(&self, account: &str, scopes: Vec<String>, audiences: Vec<String>) {
        self.kit.allow(account, Rights { scopes, audiences });
    }

    /// The account may also read and write this home scope.
    pub fn grant(&self, account: &str, scope: &str) {
        self.kit.grant(account, scope);
    }

    /// The account may no longer see this scope.
    pub fn revoke(&self, account: &str, scope: &str) -> Result<(), Error> {
        self.kit.revoke(account, scope).map_err(refused)
    }

    /// Refuse the next write to this type, and if it is given to this id.
    #[wasm_bindgen(js_name = rejectNext)]
    pub fn reject_next(
        &self,
        kind: String,
        id: Option<String>,
        reason: String,
        field: Option<String>,
        detail: String,
    ) -> Result<(), Error> {
        let which = match id {
            Some(id) => Which::Entity(kind, id),
            None => Which::Type(kind),
        };
        self.reject(which, reason, field, detail)
    }

    /// Refuse this write.
    #[wasm_bindgen(js_name = rejectWrite)]
    pub fn reject_write(
        &self,
        dot: &str,
        reason: String,
        field: Option<String>,
        detail: String,
    ) -> Result<(), Error> {
        self.reject(Which::Write(convert::dot(dot)), reason, field, detail)
    }

    /// From now on a frame takes so many milliseconds, one way.
    #[wasm_bindgen(js_name = delayRegion)]
    pub fn delay_region(&self, one_way_ms: f64) {
        self.kit.region().delay(duration(one_way_ms));
    }

    /// The region's process dies.
    #[wasm_bindgen(js_name = stopRegion)]
    pub fn stop_region(&self) {
        self.kit.region().stop();
    }

    /// The region is there again.
    #[wasm_bindgen(js_name = startRegion)]
    pub fn start_region(&self) {
        self.kit.region().start();
    }

    /// What the region holds of a type, each row an object with the columns of the device's table.
    pub fn rows(&self, kind: &str) -> Result<Array, Error> {
        let rows = self.kit.region().rows(kind).map_err(refused)?;
        let schema = self.kit.schema();
        let Some(kind) = schema.entity_named(kind) else { return Ok(Array::new()) };
        Ok(rows.iter().map(|r| row(&schema, kind, r)).collect())
    }

    /// Another device, far away, writes these edits.
    #[wasm_bindgen(js_name = writeAsOthers)]
    pub fn write_as_others(&self, edits: Array) -> Result<(), Error> {
        // Nothing is written before the commit, so a malformed edit leaves no trace.
        let mut malformed = None;
        let written =
            self.kit.as_others(|client| match edits::gather(client.transaction(), &edits) {
                Ok(transaction) => transaction.commit().map(drop),
                Err(error) => {
                    malformed = Some(error);
                    Ok(())
                }
            });
        match malformed {
            Some(error) => Err(error),
            None => written.map_err(refused),
        }
    }
}

impl TestWorld {
    fn reject(
        &self,
        which: Which,
        reason: String,
        field: Option<String>,
        detail: String,
    ) -> Result<(), Error> {
        let mut refusal = Refusal::new(reason).detail(detail);
        if let Some(field) = field {
            refusal = refusal.field(field);
        }
        self.kit.region().reject_next(which, refusal).map_err(refused)
    }
}

/// A device of a world.
#[wasm_bindgen]
#[derive(Debug)]
pub struct TestDevice {
    device: kit::Device,
}

#[wasm_bindgen]
impl TestDevice {
    /// The account and the device's own name: `ann/phone`.
    pub fn name(&self) -> String {
        self.device.name().to_owned()
    }

    /// The app's client; another one after a restart.
    pub fn client(&self) -> WebClient {
        WebClient::over(self.device.client())
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
    pub fn restart(&self) -> Result<WebClient, Error> {
        self.device.restart().map(WebClient::over).map_err(refused)
    }

    /// The account's token has expired, and the app cannot get another one.
    #[wasm_bindgen(js_name = expireToken)]
    pub fn expire_token(&self) {
        self.device.expire_token();
    }

    /// The app gets a good token again.
    #[wasm_bindgen(js_name = renewToken)]
    pub fn renew_token(&self) {
        self.device.renew_token();
    }
}

fn refused(error: kit::Error) -> Error {
    failure(error.code(), error.message())
}

fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1_000.0).unwrap_or(Duration::MAX)
}

fn waiting(waiting: &kit::Waiting) -> JsValue {
    let object = Object::new();
    let reason = match waiting.reason {
        Reason::Offline => "offline",
        Reason::SwitchedOff => "switchedOff",
        Reason::RegionStopped => "regionStopped",
        Reason::TokenExpired => "tokenExpired",
        Reason::Unfinished => "unfinished",
    };
    set(&object, "device", waiting.device.as_str());
    set(&object, "reason", reason);
    set(&object, "unsent", waiting.unsent as f64);
    set(&object, "scopes", waiting.scopes.iter().map(JsValue::from).collect::<Array>());
    object.into()
}

fn row(schema: &Schema, kind: &EntityType, row: &RegionRow) -> JsValue {
    let object = Object::new();
    set(&object, "id", row.id.as_str());
    set(&object, "_home", row.home.as_str());
    set(&object, "_pending", 0);
    for field in kind.fields.iter().filter(|f| f.name != "id") {
        let value = row.fields.get(&field.name);
        let value = value.map_or(JsValue::NULL, |v| column(schema, &field.kind, v));
        set(&object, &field.name, value);
    }
    object.into()
}

/// As the device's table holds it: truth as a number, objects and lists as JSON, with bytes in it in
/// hexadecimal.
fn column(schema: &Schema, kind: &FieldKind, value: &Value) -> JsValue {
    match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)).into(),
        Value::Bytes(bytes) => cell(&SqlValue::Blob(bytes.clone())),
        Value::Object(_) | Value::List(_) => {
            JSON::stringify(&plain(schema, Some(kind), value)).map_or(JsValue::NULL, Into::into)
        }
        other => plain(schema, None, other),
    }
}

fn plain(schema: &Schema, kind: Option<&FieldKind>, value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(i) => cell(&SqlValue::Integer(*i)),
        Value::Float(x) => x.get().into(),
        Value::Text(s) => s.into(),
        Value::Bytes(b) => b.iter().map(|b| format!("{b:02x}")).collect::<String>().into(),
        Value::List(items) => {
            let element = match kind {
                Some(FieldKind::List(element)) => Some(&**element),
                other => other,
            };
            items.iter().map(|item| plain(schema, element, item)).collect::<Array>().into()
        }
        Value::Object(members) => {
            let declared = match kind {
                Some(FieldKind::Object(name)) => schema.values.get(name),
                _ => None,
            };
            let object = Object::new();
            for member in members {
                let field = declared.and_then(|d| d.fields.iter().find(|f| f.id == member.field));
                if let Some(field) = field {
                    let value = plain(schema, Some(&field.kind), &member.value);
                    set(&object, &field.name, value);
                }
            }
            object.into()
        }
    }
}
