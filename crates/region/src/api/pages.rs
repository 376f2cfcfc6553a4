//! Pages for people and for those who watch over the process.

use crate::server::Shared;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// The page at `/readyz`.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    draining: bool,
    region: u16,
    name: String,
    incarnation: u64,
    /// Log entries that we have yet to take from the peer that we are furthest behind.
    behind_entries: u64,
}

/// For somebody who has the address and wonders what is behind it.
pub async fn index(State(shared): State<Arc<Shared>>) -> String {
    let status = shared.status();
    let state = match (status.ready, status.draining) {
        (true, _) => "takes sessions",
        (false, true) => "drains",
        (false, false) => "starts",
    };
    format!(
        "This is the Landfall region {} (number {}). It {state}.\n\n\
         GET  /healthz      the process is alive\n\
         GET  /readyz       sessions are let in; 503 while not\n\
         GET  /v1/status    counters, logs and peers, as JSON\n\
         POST /v1/session   a device's session: frames of the Landfall protocol, for the SDK\n\
         GET  /v1/session   the same over a WebSocket, for browsers\n\
         POST /v1/peer      another region's link\n\n\
         An app opens its device's file with this address as a region's; people look at the status\n\
         page of `landfall dev`, or at /v1/status.\n",
        status.name, status.region
    )
}

/// Any other address.
pub async fn nothing() -> Response {
    let told = "There is nothing at this address of a Landfall region; / lists what there is.\n";
    (StatusCode::NOT_FOUND, told).into_response()
}

/// The process answers; that is all it says.
pub async fn health() -> &'static str {
    "ok\n"
}

pub async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let status = shared.status();
    let page = Ready {
        ready: status.ready,
        draining: status.draining,
        region: status.region,
        name: status.name,
        incarnation: status.incarnation,
        behind_entries: status.peers.iter().map(|p| p.behind_entries).max().unwrap_or(0),
    };
    let code = if page.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(page)).into_response()
}

pub async fn status(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.status()).into_response()
}
