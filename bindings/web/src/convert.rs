//! Values across the border between Rust and JavaScript.
//!
//! | SQLite | JavaScript |
//! |---|---|
//! | NULL | `null` |
//! | INTEGER | `number` where that is exact (up to 2^53), else `bigint` |
//! | REAL, TEXT | `number`, `string` |
//! | BLOB | `Uint8Array` |
//!
//! A dot is `"<device>#<number>"`, as the client prints it.

use js_sys::{Array, BigInt, Error, JSON, Object, Reflect, Uint8Array};
use landfall_device::{
    Account, ConnectionState, Coverage, DeviceId, Dot, EntityKey, Event, Fate, FieldId, Granted,
    Outcome, Progress, Row, RowChange, Schema, SqlValue, SyncReport, Terms, Value, WatchUpdate,
    WriteReceipt, lost_value, public_code,
};
use wasm_bindgen::prelude::*;

/// The largest whole number up to which every one is a `number` of its own.
const EXACT_MAX: i64 = (1 << 53) - 1;

/// An error with the code that programs look at.
pub fn failure(code: &str, message: &str) -> Error {
    let error = Error::new(message);
    error.set_name("LandfallError");
    set(&error, "code", code);
    error
}

pub fn told(error: landfall_device::Error) -> Error {
    failure(error.code(), error.message())
}

/// An argument that is not of the form that `index.d.ts` gives it.
pub fn malformed(what: &str) -> Error {
    failure("LF2111", &format!("{what} is missing, or is of another type than it must be."))
}

pub fn set(object: &JsValue, key: &str, value: impl Into<JsValue>) {
    // Fails only for what is no object.
    let _ = Reflect::set(object, &key.into(), &value.into());
}

pub fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

pub fn text(object: &JsValue, key: &str) -> Result<String, Error> {
    get(object, key).as_string().ok_or_else(|| malformed(key))
}

/// A text that may be left out.
pub fn text_if(object: &JsValue, key: &str) -> Option<String> {
    get(object, key).as_string()
}

pub fn account_of(object: &JsValue) -> Result<Account, Error> {
    Ok(Account { tenant: text(object, "tenant")?, subject: text(object, "subject")? })
}

pub fn account(account: &Account) -> JsValue {
    let object = Object::new();
    set(&object, "tenant", account.tenant.as_str());
    set(&object, "subject", account.subject.as_str());
    object.into()
}

/// A whole number that may be left out; not a negative one.
pub fn amount_if(object: &JsValue, key: &str) -> Result<Option<u64>, Error> {
    let value = get(object, key);
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    u64::try_from(whole(&value)?).map(Some).map_err(|_| malformed(key))
}

/// A priority; the lowest, where it is left out.
pub fn priority(object: &JsValue, key: &str) -> Result<u8, Error> {
    u8::try_from(amount_if(object, key)?.unwrap_or(0)).map_err(|_| malformed(key))
}

/// How much of a scope a subscription holds.
pub fn terms(object: &JsValue) -> Result<Terms, Error> {
    Ok(Terms {
        keep_ms: amount_if(object, "keepMs")?,
        priority: priority(object, "priority")?,
        rows_max: amount_if(object, "rowsMax")?,
        bytes_max: amount_if(object, "bytesMax")?,
        ttl_ms: amount_if(object, "ttlMs")?,
    })
}

/// The same, told.
pub fn terms_of(terms: &Terms) -> JsValue {
    let object = Object::new();
    let amounts = [
        ("keepMs", terms.keep_ms),
        ("rowsMax", terms.rows_max),
        ("bytesMax", terms.bytes_max),
        ("ttlMs", terms.ttl_ms),
    ];
    for (key, amount) in amounts {
        // What is left out is without limit.
        if let Some(amount) = amount {
            set(&object, key, amount as f64);
        }
    }
    set(&object, "priority", f64::from(terms.priority));
    object.into()
}

/// What a field is set to. What is neither plain nor bytes goes as JSON, which the client reads by
/// the field's type.
pub fn value(value: &JsValue) -> Result<Value, Error> {
    if value.is_null() || value.is_undefined() {
        return Ok(Value::Null);
    }
    if let Some(truth) = value.as_bool() {
        return Ok(Value::Bool(truth));
    }
    if let Some(text) = value.as_string() {
        return Ok(Value::Text(text));
    }
    if let Some(number) = value.as_f64() {
        let whole = number.fract() == 0.0 && number.abs() <= EXACT_MAX as f64;
        return Ok(if whole { Value::Int(number as i64) } else { Value::from(number) });
    }
    if value.is_bigint() {
        return Ok(Value::Int(whole(value)?));
    }
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        return Ok(Value::Bytes(bytes.to_vec()));
    }
    let replacer = Closure::<dyn Fn(JsValue, JsValue) -> JsValue>::new(|_, member| text_of(member));
    let json = JSON::stringify_with_replacer(value, replacer.as_ref());
    Ok(Value::Text(json.map_err(|_| malformed("a field's value"))?.into()))
}

/// What JSON has no form for goes as text: bytes, and whole numbers beyond 2^53.
fn text_of(member: JsValue) -> JsValue {
    if member.is_bigint() {
        return whole(&member).map_or(member, |n| n.to_string().into());
    }
    match member.dyn_ref::<Uint8Array>() {
        Some(bytes) => {
            let latin1: String = bytes.to_vec().into_iter().map(char::from).collect();
            base64(&latin1).into()
        }
        None => member,
    }
}

#[wasm_bindgen]
extern "C" {
    /// A character below 256 is a byte.
    #[wasm_bindgen(js_name = btoa)]
    fn base64(latin1: &str) -> String;
}

/// A whole number, from a `number` or a `bigint`.
pub fn whole(value: &JsValue) -> Result<i64, Error> {
    if let Some(number) = value.as_f64().filter(|n| n.fract() == 0.0) {
        return Ok(number as i64);
    }
    i64::try_from(BigInt::unchecked_from_js(value.clone())).map_err(|_| malformed("a number"))
}

/// A parameter of a statement.
pub fn parameter(value: &JsValue) -> Result<SqlValue, Error> {
    if value.is_null() || value.is_undefined() {
        return Ok(SqlValue::Null);
    }
    if let Some(truth) = value.as_bool() {
        return Ok(truth.into());
    }
    if let Some(text) = value.as_string() {
        return Ok(text.into());
    }
    if let Some(number) = value.as_f64() {
        let is_whole = number.fract() == 0.0 && number.abs() <= EXACT_MAX as f64;
        return Ok(if is_whole { SqlValue::Integer(number as i64) } else { number.into() });
    }
    if value.is_bigint() {
        return Ok(SqlValue::Integer(whole(value)?));
    }
    let bytes = value.dyn_ref::<Uint8Array>().ok_or_else(|| malformed("a parameter"))?;
    Ok(SqlValue::Blob(bytes.to_vec()))
}

pub fn parameters(values: &JsValue) -> Result<Vec<SqlValue>, Error> {
    if values.is_undefined() {
        return Ok(Vec::new());
    }
    let values = values.dyn_ref::<Array>().ok_or_else(|| malformed("params"))?;
    values.iter().map(|v| parameter(&v)).collect()
}

pub fn cell(value: &SqlValue) -> JsValue {
    match value {
        SqlValue::Null => JsValue::NULL,
        SqlValue::Integer(i) if i.unsigned_abs() <= EXACT_MAX.unsigned_abs() => (*i as f64).into(),
        SqlValue::Integer(i) => BigInt::from(*i).into(),
        SqlValue::Real(x) => (*x).into(),
        SqlValue::Text(s) => s.into(),
        SqlValue::Blob(b) => Uint8Array::from(b.as_slice()).into(),
    }
}

/// A row as an object: column to value.
pub fn row(row: &Row) -> JsValue {
    let object = Object::new();
    for (column, value) in row.columns().iter().zip(row.values()) {
        set(&object, column, cell(value));
    }
    object.into()
}

pub fn update(update: &WatchUpdate) -> JsValue {
    let object = Object::new();
    set(&object, "changes", update.changes.iter().map(change).collect::<Array>());
    set(&object, "coverage", coverage(update.coverage));
    set(&object, "incremental", update.incremental);
    object.into()
}

fn change(change: &RowChange) -> JsValue {
    let object = Object::new();
    let at = |key: &str, place: usize| set(&object, key, place as f64);
    match change {
        RowChange::Remove { old } => {
            set(&object, "kind", "remove");
            at("old", *old);
        }
        RowChange::Insert { new, row: inserted } => {
            set(&object, "kind", "insert");
            at("new", *new);
            set(&object, "row", row(inserted));
        }
        RowChange::Move { old, new } => {
            set(&object, "kind", "move");
            at("old", *old);
            at("new", *new);
        }
        RowChange::Update { old, new, columns, row: updated } => {
            set(&object, "kind", "update");
            at("old", *old);
            at("new", *new);
            let names = columns.iter().filter_map(|c| updated.columns().get(*c));
            set(&object, "columns", names.map(JsValue::from).collect::<Array>());
            set(&object, "row", row(updated));
        }
    }
    object.into()
}

fn coverage(coverage: Coverage) -> &'static str {
    match coverage {
        Coverage::Complete => "complete",
        Coverage::Loading => "loading",
        Coverage::Partial => "partial",
    }
}

pub fn receipt(schema: &Schema, receipt: &WriteReceipt) -> JsValue {
    let object = Object::new();
    let dots = receipt.dots.iter().map(|dot| JsValue::from(dot.to_string()));
    set(&object, "dots", dots.collect::<Array>());
    set(&object, "keys", receipt.keys.iter().map(|k| key(schema, k)).collect::<Array>());
    object.into()
}

/// An entity by the names of the schema.
pub fn key(schema: &Schema, key: &EntityKey) -> JsValue {
    let object = Object::new();
    let kind = schema.types.get(&key.kind).map_or("", |kind| &kind.name);
    set(&object, "type", kind);
    set(&object, "id", &*key.id);
    set(&object, "home", &*key.home);
    object.into()
}

/// A dot. A text that is none becomes one that no device gives, so that each call answers as it does
/// for any write that it does not know.
pub fn dot(text: &str) -> Dot {
    text.parse().unwrap_or(Dot::new(DeviceId([0; 16]), 0))
}

pub fn fate(schema: &Schema, fate: &Fate) -> JsValue {
    let object = Object::new();
    match fate {
        Fate::Pending { sent } => {
            set(&object, "state", "pending");
            set(&object, "sent", *sent);
        }
        Fate::Accepted { durable } => {
            set(&object, "state", "accepted");
            set(&object, "durable", *durable);
        }
        Fate::Rejected { code, reason, field, detail } => {
            set(&object, "state", "rejected");
            set(&object, "code", *code);
            set(&object, "reason", reason.as_str());
            set(&object, "field", field.map_or(JsValue::NULL, |field| field_name(schema, field)));
            set(&object, "detail", detail.as_str());
        }
        Fate::Unknown => set(&object, "state", "unknown"),
    }
    object.into()
}

/// A field's number is made from its name, so any type that has it tells the name.
fn field_name(schema: &Schema, id: FieldId) -> JsValue {
    let field = schema.types.values().find_map(|t| t.field(id));
    field.map_or(JsValue::NULL, |field| field.name.as_str().into())
}

pub fn outcome(schema: &Schema, dot: Dot, at: &EntityKey, outcome: &Outcome) -> JsValue {
    let object = Object::new();
    set(&object, "dot", dot.to_string());
    set(&object, "key", key(schema, at));
    let kind = match outcome {
        Outcome::Rejected { code, field: blamed, detail } => {
            set(&object, "code", public_code(code));
            set(&object, "reason", code.as_str());
            set(&object, "field", blamed.map_or(JsValue::NULL, |field| field_name(schema, field)));
            set(&object, "detail", detail.as_str());
            "rejected"
        }
        Outcome::Overwritten { field: lost, .. } => {
            set(&object, "field", field_name(schema, *lost));
            let lost = lost_value(schema, at, outcome);
            set(&object, "lost", lost.as_ref().map_or(JsValue::NULL, cell));
            "overwritten"
        }
        Outcome::Deleted => "deleted",
        Outcome::Left => "left",
        Outcome::RolledBack => "rolledBack",
    };
    set(&object, "kind", kind);
    object.into()
}

pub fn progress(progress: &Progress) -> JsValue {
    let object = Object::new();
    set(&object, "scope", &*progress.scope);
    set(&object, "rows", progress.rows as f64);
    set(&object, "total", progress.total as f64);
    set(&object, "coverage", coverage(progress.coverage));
    let missing = Object::new();
    let older = progress.missing.older_than_ms.map_or(JsValue::NULL, |ms| (ms as f64).into());
    set(&missing, "olderThanMs", older);
    set(&missing, "forRoom", progress.missing.for_room);
    let denied = progress.missing.denied.as_deref().map_or(JsValue::NULL, JsValue::from);
    set(&missing, "denied", denied);
    set(&object, "missing", missing);
    set(&object, "asOfMs", progress.as_of_ms as f64);
    object.into()
}

pub fn granted(granted: &Granted) -> JsValue {
    let names = |all: &[String]| all.iter().map(JsValue::from).collect::<Array>();
    let object = Object::new();
    set(&object, "scopes", names(&granted.scopes));
    set(&object, "audiences", names(&granted.audiences));
    object.into()
}

pub fn sync_report(report: SyncReport) -> JsValue {
    let object = Object::new();
    set(&object, "done", report.done);
    set(&object, "unsent", report.unsent as f64);
    set(&object, "bytesUp", report.bytes_up as f64);
    set(&object, "bytesDown", report.bytes_down as f64);
    object.into()
}

pub fn connection(state: &ConnectionState) -> JsValue {
    let object = Object::new();
    let (name, region) = match state {
        ConnectionState::Offline => ("offline", None),
        ConnectionState::Standby => ("standby", None),
        ConnectionState::Connecting { region } => ("connecting", Some(region)),
        ConnectionState::Online { region } => ("online", Some(region)),
        ConnectionState::Waiting { retry_ms, code } => {
            set(&object, "retryMs", *retry_ms as f64);
            set(&object, "code", code.as_deref().map_or(JsValue::NULL, JsValue::from));
            ("waiting", None)
        }
    };
    set(&object, "state", name);
    if let Some(region) = region {
        set(&object, "region", region.as_str());
    }
    object.into()
}

/// An event; `None` for those that a browser has no use for.
pub fn event(schema: &Schema, event: &Event) -> Option<JsValue> {
    let object = Object::new();
    let kind = match event {
        Event::Fate { dot, key: at, fate: now } => {
            set(&object, "dot", dot.to_string());
            set(&object, "key", key(schema, at));
            set(&object, "fate", fate(schema, now));
            "fate"
        }
        Event::Outcome { dot, key: at, outcome: come } => {
            set(&object, "outcome", outcome(schema, *dot, at, come));
            "outcome"
        }
        Event::Progress(now) => {
            set(&object, "progress", progress(now));
            "progress"
        }
        Event::Granted(now) => {
            set(&object, "granted", granted(now));
            "granted"
        }
        Event::Denied { scope, code } => {
            set(&object, "scope", &**scope);
            set(&object, "code", code.as_str());
            "denied"
        }
        Event::Connection(state) => {
            set(&object, "connection", connection(state));
            "connection"
        }
        Event::Missed(count) => {
            set(&object, "count", *count as f64);
            "missed"
        }
        _ => return None,
    };
    set(&object, "kind", kind);
    Some(object.into())
}
