//! HTTP: the only place that knows it.
//!
//! One port speaks HTTP/2 (with prior knowledge, or as agreed on by TLS) and HTTP/1. Two addresses carry the
//! protocol, each as one long POST whose request and response bodies are streams of frames; the
//! others are for browsers, and for those who look after the region:
//!
//! | address | |
//! |---|---|
//! | `POST /v1/session` | a device's session |
//! | `GET /v1/session` | the same over a WebSocket, for browsers |
//! | `POST /v1/peer` | a link that another region opened |
//! | `GET /` | what this is, and these addresses |
//! | `GET /healthz` | the process is alive |
//! | `GET /readyz` | sessions are let in; 503 while not |
//! | `GET /v1/status` | what the status page shows |
//!
//! The response's headers leave at once, before anything of the request's body has been read.
//! What is wrong with a session is told in an Error frame, with a code; HTTP's own status is for
//! those who are not let in. Nothing is read from a request before the content type is right,
//! which also keeps pages of other origins in a browser from posting here.

mod accept;
pub mod dial;
pub mod duplex;
mod pace;
mod pages;
mod websocket;

pub(crate) use accept::serve;

use crate::limits::OVERLOADED_RETRY_MS;
use crate::server::Shared;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use pace::Pace;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The media type of frames.
pub const MEDIA_TYPE: &str = "application/x-landfall";

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/session", post(session).get(websocket::session))
        .route("/v1/peer", post(peer))
        .route("/", get(pages::index))
        .route("/healthz", get(pages::health))
        .route("/readyz", get(pages::ready))
        .route("/v1/status", get(pages::status))
        .fallback(pages::nothing)
        .with_state(shared)
}

async fn session(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !carries_frames(request.headers()) {
        return wrong_media_type();
    }
    let seat = match seat(&shared) {
        Ok(seat) => seat,
        Err(refusal) => return refusal,
    };
    let pace = Pace::new(&shared.config.limits);
    let id = shared.next_session();
    frames(duplex::answer(&shared, id, request.into_body(), Some(pace), seat))
}

/// The right to have one more session.
#[expect(clippy::result_large_err, reason = "it is passed on as it is")]
fn seat(shared: &Shared) -> Result<OwnedSemaphorePermit, Response> {
    if shared.is_draining() {
        return Err(refuse("draining", "the region takes no new sessions", 0));
    }
    Arc::clone(&shared.sessions).try_acquire_owned().map_err(|_| {
        shared.board.counters.overloaded.add(1);
        let message = "the region has as many sessions as it takes";
        refuse("overloaded", message, OVERLOADED_RETRY_MS)
    })
}

async fn peer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !carries_frames(request.headers()) {
        return wrong_media_type();
    }
    let Ok(seat) = Arc::clone(&shared.links).try_acquire_owned() else {
        let message = "the region has as many links as it takes";
        return refuse("overloaded", message, OVERLOADED_RETRY_MS);
    };
    let id = shared.next_link();
    frames(duplex::answer(&shared, id, request.into_body(), None, seat))
}

fn frames(body: Body) -> Response {
    ([(CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

fn carries_frames(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    value.and_then(|v| v.split(';').next()).is_some_and(|v| v.trim() == MEDIA_TYPE)
}

fn wrong_media_type() -> Response {
    let message = format!("this address takes {MEDIA_TYPE}\n");
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response()
}

/// What is said to those who are not let in.
#[derive(Debug, Serialize)]
struct Refusal {
    code: &'static str,
    message: &'static str,
    retry_after_ms: u64,
}

/// Not let in: there is no session, so this is HTTP's own status and a page, not a frame.
fn refuse(code: &'static str, message: &'static str, retry_after_ms: u64) -> Response {
    let seconds = retry_after_ms.div_ceil(1_000).max(1).to_string();
    let page = Json(Refusal { code, message, retry_after_ms });
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds)], page).into_response()
}
