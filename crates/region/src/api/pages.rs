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
