//! A transaction as JavaScript gives it: a list of edits, each an object with an `op`.

use crate::convert::{get, malformed, text, text_if, value, whole};
use js_sys::{Array, Error, Object};
use landfall_device::{Transaction, Value};
use wasm_bindgen::{JsCast, JsValue};

/// Add every edit to the transaction. Names and values are checked at its commit.
pub fn gather(mut transaction: Transaction, edits: &Array) -> Result<Transaction, Error> {
    for edit in edits.iter() {
        transaction = one(transaction, &edit)?;
        if let Some(home) = text_if(&edit, "home") {
            transaction = transaction.in_home(&home);
        }
    }
    Ok(transaction)
}

fn one(t: Transaction, edit: &JsValue) -> Result<Transaction, Error> {
    let (kind, id) = (&text(edit, "type")?, &text(edit, "id")?);
    let field = || text(edit, "field");
    let place = |key: &str| {
        whole(&get(edit, key)).and_then(|n| usize::try_from(n).map_err(|_| malformed(key)))
    };
    Ok(match text(edit, "op")?.as_str() {
        "upsert" => t.upsert(kind, id, fields(edit)?),
        "update" => t.update(kind, id, fields(edit)?),
        "delete" => t.delete(kind, id),
        "increment" => t.increment(kind, id, &field()?, whole(&get(edit, "by"))?),
        "add" => t.add_to_set(kind, id, &field()?, value(&get(edit, "value"))?),
        "remove" => t.remove_from_set(kind, id, &field()?, value(&get(edit, "value"))?),
        "splice" => {
            let (at, delete) = (place("at")?, place("delete")?);
            t.splice(kind, id, &field()?, at, delete, &text(edit, "insert")?)
        }
        _ => return Err(malformed("op")),
    })
}

/// Members that are undefined are left out: `null` is a value, and nothing is none.
fn fields(edit: &JsValue) -> Result<Vec<(String, Value)>, Error> {
    let fields = get(edit, "fields");
    let object = fields.dyn_ref::<Object>().ok_or_else(|| malformed("fields"))?;
    let mut all = Vec::new();
    for entry in Object::entries(object).iter() {
        let entry: Array = entry.unchecked_into();
        let (name, given) = (entry.get(0).as_string(), entry.get(1));
        if !given.is_undefined() {
            all.push((name.unwrap_or_default(), value(&given)?));
        }
    }
    Ok(all)
}
