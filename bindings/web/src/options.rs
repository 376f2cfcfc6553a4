//! What an app says at opening: `OpenOptions` of the TypeScript package, as the client takes them.

use crate::clock::BrowserClock;
use crate::convert::{self, failure, get, malformed, text};
use crate::runtime::EventLoop;
use crate::storage::Place;
use crate::token::FromFunction;
use crate::transport::OverWebSocket;
use js_sys::{Array, Error, Function};
use landfall_device::{
    Account, Conditions, FixedToken, Network, OnMetered, Options, RegionUrl, SystemRandom,
    TokenProvider, code,
};
use std::sync::Arc;
use wasm_bindgen::{JsCast, JsValue};

/// Options of a client that syncs.
pub fn of_app(options: &JsValue, place: &Place) -> Result<Options, Error> {
    let account = convert::account_of(&get(options, "account"))?;
    let mut read = offline(place, &text(options, "schema")?, account)?;
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
    network(&get(options, "network"), &mut read.network)?;
    Ok(read)
}

/// Options of a client that has no regions.
pub fn offline(place: &Place, schema: &str, account: Account) -> Result<Options, Error> {
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
        read_steps_max: landfall_device::READ_STEPS_MAX,
        shared: None,
        publishes: false,
    })
}

/// Set what the app says. What it leaves out stays as it is.
fn network(options: &JsValue, to: &mut Network) -> Result<(), Error> {
    if options.is_undefined() || options.is_null() {
        return Ok(());
    }
    if let Some(word) = convert::text_if(options, "onMetered") {
        to.policy.on_metered = match word.as_str() {
            "all" => OnMetered::All,
            "writes" => OnMetered::Writes,
            "nothing" => OnMetered::Nothing,
            _ => return Err(malformed("onMetered")),
        };
    }
    let a_day = convert::amount_if(options, "meteredBytesADay")?;
    to.policy.metered_bytes_a_day = a_day.or(to.policy.metered_bytes_a_day);
    if let Some(ms) = convert::amount_if(options, "lowPowerGatherMs")? {
        to.policy.low_power_gather_ms = ms;
    }
    if let Some(percent) = convert::amount_if(options, "hedgePercent")? {
        to.hedge_percent = u32::try_from(percent).map_err(|_| malformed("hedgePercent"))?;
    }
    let keys = get(options, "directoryKeys");
    if !keys.is_undefined() {
        let keys = keys.dyn_ref::<Array>().ok_or_else(|| malformed("directoryKeys"))?;
        let key = |key: JsValue| {
            let text = key.as_string().ok_or_else(|| malformed("directoryKeys"))?;
            let refused = |e| {
                let message = format!("A key of the directory is not taken: {e}.");
                failure(code::DIRECTORY_KEY, &message)
            };
            text.parse().map_err(refused)
        };
        to.directory_keys = keys.iter().map(key).collect::<Result<_, Error>>()?;
    }
    Ok(())
}

/// What the user's network and battery are like now.
pub fn conditions(object: &JsValue) -> Conditions {
    let says = |key: &str| get(object, key).is_truthy();
    Conditions { metered: says("metered"), low_power: says("lowPower") }
}
