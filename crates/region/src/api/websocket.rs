//! A device's session over a WebSocket, for browsers: they cannot stream a request's body while
//! they read its response.
//!
//! The binary messages of one direction, put together, are the same stream of frames as the body
//! of the POST; where one message ends and the next begins means nothing. The greeting carries the
//! token, as always: no cookie and no header says who is there, so a page of another origin can do
//! nothing here that it could not do from a machine of its own, and `Origin` is not looked at.
//!
//! HTTP/1 has no pings of its own, so the WebSocket's find connections that died silently.

use super::duplex::{AbortOnDrop, Break, Reading};
use super::pace::Pace;
use crate::inputs::{Event, GoneOnDrop, Role, wire_error};
use crate::limits;
use crate::outbox::{self, Outbox};
use crate::server::Shared;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, StatusCode};
use landfall_sync::limits::FRAME_BYTES_MAX;
use landfall_sync::wire::RegionFrame;
use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{interval, timeout};

/// The subprotocol that a browser has to ask for: version 1 of the framing.
const SUBPROTOCOL: &str = "landfall.v1";

/// A message holds at most one frame of the largest size: a length, and what it counts.
const MESSAGE_BYTES_MAX: usize = 4 + FRAME_BYTES_MAX;

pub(super) async fn session(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    // A plain GET, as before there were WebSockets here.
    let Ok(upgrade) = upgrade else {
        let message = "this address takes POST, or a WebSocket\n";
        return (StatusCode::METHOD_NOT_ALLOWED, message).into_response();
    };
    if !offers_subprotocol(&headers) {
        let message = format!("this address takes the subprotocol {SUBPROTOCOL}\n");
        return (StatusCode::BAD_REQUEST, message).into_response();
    }
    let seat = match super::seat(&shared) {
        Ok(seat) => seat,
        Err(refusal) => return refusal,
    };
    upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| carry(shared, socket, seat))
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let offers = offers.filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| offer.trim() == SUBPROTOCOL)
}

/// The session, from the upgrade to its end.
async fn carry(shared: Arc<Shared>, socket: WebSocket, seat: OwnedSemaphorePermit) {
    let role = shared.next_session();
    let inputs = shared.inputs.clone();
    let (outbox, frames): (Outbox<RegionFrame>, _) = outbox::outbox(&shared.waiting);
    inputs.send(role.input(Event::Up(outbox)));
    let (mut to_device, from_device) = socket.split();
    let heard = Arc::new(AtomicBool::new(true));
    let reading = Reading {
        role,
        inputs: inputs.clone(),
        pace: Some(Pace::new(&shared.config.limits)),
        within: shared.config.limits.hello_within,
    };
    let chunks = Box::pin(chunks(from_device, Arc::clone(&heard)));
    let reader = AbortOnDrop(tokio::spawn(reading.read(chunks)));
    let mut outgoing = pin!(frames.encode((reader, GoneOnDrop { role, inputs }, seat)));
    let mut pings = interval(limits::KEEPALIVE_EVERY);
    loop {
        let message = tokio::select! {
            bytes = outgoing.next() => match bytes {
                Some(Ok(bytes)) => Message::Binary(bytes),
                None => break,
            },
            _ = pings.tick() => match heard.swap(false, Ordering::Relaxed) {
                true => Message::Ping(Bytes::new()),
                false => return,
            },
        };
        let sent = timeout(limits::KEEPALIVE_EVERY, to_device.send(message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
    // The device may be gone already.
    let _ = timeout(limits::KEEPALIVE_WITHIN, to_device.close()).await;
}

/// The bytes of what comes in; `heard` is set by whatever does.
fn chunks<S>(messages: S, heard: Arc<AtomicBool>) -> impl Stream<Item = Result<Bytes, Break>>
where
    S: Stream<Item = Result<Message, axum::Error>>,
{
    messages.filter_map(move |message| {
        heard.store(true, Ordering::Relaxed);
        let chunk = match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Text(_)) => Some(Err(refused("frames travel in binary messages"))),
            // The library answers pings. A close is followed by the end of the stream.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => None,
            Err(error) if is_lost(&error) => Some(Err(Break::Lost)),
            Err(_) => Some(Err(refused("the WebSocket's own rules or limits were broken"))),
        };
        std::future::ready(chunk)
    })
}

fn refused(message: &str) -> Break {
    Break::Refused(wire_error("malformed", message, 0))
}

/// The network's fault, and not the device's.
fn is_lost(error: &axum::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
