//! What is read and followed: windows, searches and statements, as JavaScript says them; and what a
//! live query says of itself.

use crate::convert::{self, get, malformed, set, text, text_if, told};
use js_sys::{Array, Error, Object};
use landfall_device::{Client, LiveExplain, Query, Search, Watch};
use wasm_bindgen::{JsCast, JsValue};

/// Begin to follow a `Query` or a `SearchQuery` of the TypeScript package.
pub fn watch(client: &Client, query: &JsValue) -> Result<Watch, Error> {
    if let Some(sql) = text_if(query, "sql") {
        let params = convert::parameters(&get(query, "params"))?;
        return client.watch(&sql, params).map_err(told);
    }
    if text_if(query, "search").is_some() {
        return client.observe_search(&search(query)?).map_err(told);
    }
    client.observe(window(query)?).map_err(told)
}

pub fn window(query: &JsValue) -> Result<Query, Error> {
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
    if let Some(includes) = get(query, "include").dyn_ref::<Object>() {
        for entry in Object::entries(includes).iter() {
            let entry: Array = entry.unchecked_into();
            let reference = entry.get(0).as_string().unwrap_or_default();
            window = window.include(reference, texts(&entry.get(1), "include")?);
        }
    }
    if let Some(limit) = get(query, "limit").as_f64() {
        window = window.limit(limit as u64);
    }
    Ok(window)
}

/// A `SearchQuery` of the TypeScript package.
pub fn search(query: &JsValue) -> Result<Search, Error> {
    let mut search = Search::new(text(query, "table")?, text(query, "search")?);
    search = match text_if(query, "as").as_deref() {
        None | Some("words") => search,
        Some("typed") => search.as_typed(),
        Some("raw") => search.raw(),
        Some(_) => return Err(malformed("as")),
    };
    let within = get(query, "within");
    if !within.is_undefined() {
        search = search.within(texts(&within, "within")?);
    }
    if let Some(filter) = text_if(query, "where") {
        search = search.filter(filter, convert::parameters(&get(query, "params"))?);
    }
    if let Some(limit) = convert::amount_if(query, "limit")? {
        search = search.limit(u32::try_from(limit).unwrap_or(u32::MAX));
    }
    let marks = get(query, "marks");
    if !marks.is_undefined() {
        let [before, behind] = &texts(&marks, "marks")?[..] else { return Err(malformed("marks")) };
        search = search.marks(before, behind);
    }
    if let Some(words) = convert::amount_if(query, "snippetWords")? {
        search = search.snippet_words(u8::try_from(words).unwrap_or(u8::MAX));
    }
    Ok(if get(query, "highlight").is_truthy() { search.highlight() } else { search })
}

fn texts(list: &JsValue, what: &str) -> Result<Vec<String>, Error> {
    let list = list.dyn_ref::<Array>().ok_or_else(|| malformed(what))?;
    list.iter().map(|text| text.as_string().ok_or_else(|| malformed(what))).collect()
}

/// A `LiveExplain` of the TypeScript package.
pub fn live_explain(told: &LiveExplain) -> JsValue {
    let list = |all: &[String]| all.iter().map(JsValue::from).collect::<Array>();
    let object = Object::new();
    set(&object, "incremental", told.incremental);
    set(&object, "why", told.why.as_str());
    set(&object, "tables", list(&told.tables));
    set(&object, "rows", told.rows as f64);
    set(&object, "held", told.held as f64);
    set(&object, "runs", told.runs as f64);
    set(&object, "refreshes", told.refreshes as f64);
    set(&object, "lookups", told.lookups as f64);
    set(&object, "updates", told.updates as f64);
    set(&object, "lastCostMs", told.last_cost.as_secs_f64() * 1_000.0);
    set(&object, "steps", list(&told.steps));
    set(&object, "advice", told.advice.as_deref().map_or(JsValue::NULL, JsValue::from));
    object.into()
}
