//! Why a row shows, or does not, as `Explanation` of the TypeScript package.

use crate::convert::{self, connection, fate, key, set};
use js_sys::{Array, Object};
use landfall_device::explain::{
    Answer, Explanation, FieldWrite, OwnWrite, ScopeState, Wait, Why, WriteKind,
};
use landfall_device::{Fate, Schema, public_code};
use wasm_bindgen::JsValue;

pub fn explanation(schema: &Schema, told: &Explanation) -> JsValue {
    let row = &told.row;
    let object = Object::new();
    set(&object, "key", key(schema, &row.key));
    set(&object, "answer", answer(schema, told));
    set(&object, "sentence", told.sentence());
    set(&object, "text", told.to_string());
    set(&object, "pinned", row.pinned);
    set(&object, "scopes", row.scopes.iter().map(scope).collect::<Array>());
    set(&object, "audiences", row.audiences.iter().map(JsValue::from).collect::<Array>());
    let fields = row.fields.iter().map(|write| field_write(told, write));
    set(&object, "fields", fields.collect::<Array>());
    let writes = row.writes.iter().map(|write| own_write(schema, write));
    set(&object, "writes", writes.collect::<Array>());
    let outcomes = told.outcomes.iter();
    let outcomes = outcomes.map(|o| convert::outcome(schema, o.dot, &o.key, &o.outcome));
    set(&object, "outcomes", outcomes.collect::<Array>());
    set(&object, "canRestore", row.deletion.is_some());
    set(&object, "connection", connection(&told.connection));
    object.into()
}

/// `is` is the word of docs/field.md, by which the rest of the answer is told apart.
fn answer(schema: &Schema, told: &Explanation) -> JsValue {
    let object = Object::new();
    set(&object, "is", told.word());
    match &told.row.answer {
        Answer::Present { own_writes, .. } => set(&object, "ownWrites", *own_writes as f64),
        Answer::Deleted { by } => {
            let by = by.as_ref().map(|by| by.dot.to_string());
            set(&object, "by", by.map_or(JsValue::NULL, JsValue::from));
        }
        Answer::FellWith { parent } => set(&object, "parent", key(schema, parent)),
        Answer::Rejected { dot, code, field, detail } => {
            set(&object, "dot", dot.to_string());
            set(&object, "code", public_code(code));
            set(&object, "reason", code.as_str());
            set(&object, "field", field.map_or(JsValue::NULL, |f| told.field(f).into()));
            set(&object, "detail", detail.as_str());
        }
        Answer::Denied { scope, code } => {
            set(&object, "scope", &**scope);
            set(&object, "code", code.as_str());
        }
        Answer::Left { scope } | Answer::Asked { scope } | Answer::Loading { scope } => {
            set(&object, "scope", &**scope);
        }
        Answer::NoRoom { scope, was_here } => {
            set(&object, "scope", &**scope);
            set(&object, "wasHere", *was_here);
        }
        Answer::OutsideWindow { scope, keep_ms } => {
            set(&object, "scope", &**scope);
            set(&object, "keepMs", *keep_ms as f64);
        }
        Answer::NotThere { as_of_ms } => set(&object, "asOfMs", *as_of_ms as f64),
        Answer::NotSubscribed => {}
    }
    object.into()
}

fn scope(state: &ScopeState) -> JsValue {
    let object = Object::new();
    let why = match state.why {
        Why::Home => "home",
        Why::Named => "named",
        Why::Possible => "possible",
    };
    set(&object, "scope", &*state.scope);
    set(&object, "why", why);
    set(&object, "holds", state.holds);
    let subscription = state.subscription.as_ref().map(|sub| {
        let object = Object::new();
        set(&object, "denied", sub.denied.as_deref().map_or(JsValue::NULL, JsValue::from));
        set(&object, "loading", sub.loading);
        set(&object, "terms", convert::terms_of(&sub.terms));
        set(&object, "short", sub.short);
        set(&object, "asOfMs", sub.as_of_ms as f64);
        set(&object, "asked", sub.asked);
        JsValue::from(object)
    });
    set(&object, "subscription", subscription.unwrap_or(JsValue::NULL));
    object.into()
}

fn field_write(told: &Explanation, write: &FieldWrite) -> JsValue {
    let object = Object::new();
    set(&object, "field", told.field(write.field));
    set(&object, "dot", write.dot.to_string());
    set(&object, "atMs", write.stamp.hlc.millis() as f64);
    set(&object, "own", write.own);
    set(&object, "confirmed", write.over.is_none());
    object.into()
}

fn own_write(schema: &Schema, write: &OwnWrite) -> JsValue {
    let what = match write.what {
        WriteKind::Create => "create",
        WriteKind::Update => "update",
        WriteKind::Delete => "delete",
    };
    let object = Object::new();
    set(&object, "dot", write.dot.to_string());
    set(&object, "what", what);
    set(&object, "fate", fate(schema, &Fate::from(&write.state)));
    set(&object, "shows", write.shows);
    set(&object, "atMs", write.hlc.millis() as f64);
    set(&object, "waits", write.waits.iter().map(wait).collect::<Array>());
    object.into()
}

fn wait(wait: &Wait) -> JsValue {
    let object = Object::new();
    let on = match wait {
        Wait::Session => "session",
        Wait::Write(dot) => {
            set(&object, "dot", dot.to_string());
            "write"
        }
        Wait::Time => "time",
        Wait::Turn => "turn",
        Wait::Answer(regions) => {
            let numbers = regions.iter().map(|r| JsValue::from(f64::from(r.0)));
            set(&object, "regions", numbers.collect::<Array>());
            "answer"
        }
        Wait::Copies => "copies",
        Wait::Row => "row",
    };
    set(&object, "on", on);
    object.into()
}
