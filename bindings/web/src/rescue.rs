//! Own writes out of a damaged file of this browser, and into another one.
//!
//! Files of a browser have no path, so a rescue crosses as the document that it is saved as. The
//! caller holds the lock of the folder's name, in a worker of its own. What a tab that was killed
//! left in the journal is not looked at: of the transaction that it was about to make, some writes may
//! be found.

use crate::convert::{self, failure, set};
use crate::storage::Place;
use js_sys::{Array, Error, Object, Uint8Array};
use landfall_device::{Account, Dot, Rescue, RescueReport, TakenIn};
use wasm_bindgen::prelude::*;

/// What can be read of the file in the folder of this name: a `Rescue` of the TypeScript package.
#[wasm_bindgen(js_name = rescueFile)]
pub async fn rescue_file(folder: &str) -> Result<JsValue, Error> {
    let place = Place::take(folder).await?;
    let read = read(&place);
    place.leave();
    read
}

fn read(place: &Place) -> Result<JsValue, Error> {
    let rescue = Rescue::of_bytes(place.bytes()?).map_err(|e| failure(e.code(), e.message()))?;
    let object = Object::new();
    set(&object, "report", report(&rescue.report()));
    let account = rescue.account().map(|(tenant, subject)| {
        convert::account(&Account { tenant: tenant.to_owned(), subject: subject.to_owned() })
    });
    set(&object, "account", account.unwrap_or(JsValue::NULL));
    set(&object, "document", Uint8Array::from(rescue.document().as_slice()));
    Ok(object.into())
}

fn report(report: &RescueReport) -> JsValue {
    let object = Object::new();
    let count = |key: &str, n: u64| set(&object, key, n as f64);
    count("unsent", report.unsent);
    count("sent", report.sent);
    count("safe", report.safe);
    count("refused", report.refused);
    count("outcomes", report.outcomes);
    count("incomplete", report.incomplete);
    count("rowsDamaged", report.rows_damaged);
    count("pagesUnread", report.pages_unread);
    set(&object, "whole", report.is_whole());
    set(&object, "lost", dots(&report.lost));
    set(&object, "headerDestroyed", report.header_destroyed);
    object.into()
}

/// What was taken in of a rescue.
pub fn taken_in(taken: &TakenIn) -> JsValue {
    let object = Object::new();
    set(&object, "waiting", dots(&taken.waiting));
    set(&object, "refused", dots(&taken.refused));
    set(&object, "safe", taken.safe as f64);
    set(&object, "known", taken.known as f64);
    object.into()
}

pub fn dots(dots: &[Dot]) -> Array {
    dots.iter().map(|dot| JsValue::from(dot.to_string())).collect()
}
