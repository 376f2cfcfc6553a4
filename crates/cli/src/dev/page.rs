//! The status page: one HTML file, the figures that it asks for, and what its buttons do.
//!
//! It listens on loopback only. What changes something is a POST with a type of content that a page
//! of another origin cannot send without asking first, and no request is answered that names
//! another host: so no page in the same browser can cut a region.
//!
//! | address | says or does |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /status.json` | regions, links, phones, the feed |
//! | `GET /schema.json` | types, fields and scopes |
//! | `GET /rows.json?phone=&type=&id=&after=` | rows of a type on a phone, whose ids begin so |
//! | `GET /row.json?phone=&type=&id=&home=` | one row explained |
//! | `POST /do` | what [`Act`] has |

use super::board::Board;
use crate::fault::{self, code};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::block_in_place;

const PAGE: &str = include_str!("page.html");

/// Bytes of what a button sends.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What the page can do. Regions are numbered in the order of `/status.json`.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Act {
    /// End a region as a crash would, or start it again on its files.
    Region { region: usize, run: bool },
    /// Cut devices off from a region, or mend that.
    Front { region: usize, cut: bool },
    /// Cut the way of one region's questions to another and back, or mend both.
    Link { from: usize, to: usize, cut: bool },
    /// Take a phone offline or online.
    Phone { phone: String, online: bool },
    /// Write on a phone: `TYPE ID FIELD=VALUE …`.
    Write { phone: String, line: String },
}

/// Take the page's port.
pub(crate) async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        let message = format!("cannot listen on 127.0.0.1:{port}: {error}; try --port");
        fault::new(code::LISTEN, message)
    })
}

/// Serve the page until the process ends; returns its address.
pub(super) fn serve(listener: TcpListener, board: Arc<Board>) -> anyhow::Result<String> {
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let board = board.clone();
            let service = service_fn(move |request| answer(request, board.clone()));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Ok(format!("http://{address}"))
}

type Answer = (StatusCode, &'static str, String);

async fn answer(
    request: Request<Incoming>,
    board: Arc<Board>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, kind, body) = match route(request, &board).await {
        Ok(answer) => answer,
        Err(error) => {
            let code = fault::code_of(&error).map_or(String::new(), |code| format!("{code}: "));
            let told = json!({ "error": format!("{code}{error:#}") });
            (StatusCode::BAD_REQUEST, "application/json", told.to_string())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn route(request: Request<Incoming>, board: &Board) -> anyhow::Result<Answer> {
    if !names_this_machine(&request) {
        let told = "this page is reached as 127.0.0.1 or localhost\n".to_owned();
        return Ok((StatusCode::FORBIDDEN, "text/plain", told));
    }
    let json = |value: Json| Ok((StatusCode::OK, "application/json", value.to_string()));
    let asked = words(request.uri().query().unwrap_or_default());
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => Ok((StatusCode::OK, "text/html; charset=utf-8", PAGE.to_owned())),
        (&Method::GET, "/status.json") => json(board.figures().await),
        (&Method::GET, "/schema.json") => json(board.schema()),
        (&Method::GET, "/rows.json") => json(block_in_place(|| board.rows(&asked))?),
        (&Method::GET, "/row.json") => match block_in_place(|| board.row(&asked))? {
            Some(row) => json(row),
            None => Ok((StatusCode::NOT_FOUND, "application/json", json!({}).to_string())),
        },
        (&Method::POST, "/do") => {
            let type_of = request.headers().get(CONTENT_TYPE);
            if type_of.is_none_or(|t| t.as_bytes() != b"application/json") {
                let told = "this address takes application/json\n".to_owned();
                return Ok((StatusCode::UNSUPPORTED_MEDIA_TYPE, "text/plain", told));
            }
            let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|_| fault::new(code::ARGUMENTS, "that is too much at once"))?;
            let act = serde_json::from_slice(&body.to_bytes())
                .map_err(|error| fault::new(code::ARGUMENTS, error.to_string()))?;
            let done = act_on(board, act).await.map_err(crate::device::told)?;
            board.feed.note(done.clone());
            json(json!({ "done": done }))
        }
        _ => {
            let told = "nothing here; the page is at /\n".to_owned();
            Ok((StatusCode::NOT_FOUND, "text/plain", told))
        }
    }
}

/// A name that leads elsewhere for others could lead here for a browser.
fn names_this_machine(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "127.0.0.1" || name == "localhost"
}

/// The words of a query.
fn words(query: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), decoded(value)))
    };
    query.split('&').filter_map(pair).collect()
}

/// Text from what browsers make of it in an address.
fn decoded(value: &str) -> String {
    let bytes = value.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[at], pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

async fn act_on(board: &Board, act: Act) -> anyhow::Result<String> {
    match act {
        Act::Phone { phone, online } => board.switch(&phone, online),
        Act::Write { phone, line } => block_in_place(|| board.write(&phone, &line)),
        Act::Region { region, run } => {
            let mut world = board.world.lock().await;
            check(&world, &[region])?;
            match (run, world.is_running(region)) {
                (true, false) => world.start_region(region).await?,
                (false, true) => world.kill_region(region).await,
                _ => {}
            }
            let how = if run { "was started on its files" } else { "was killed" };
            Ok(format!("{} {how}", world.name(region)))
        }
        Act::Front { region, cut } => {
            let world = board.world.lock().await;
            check(&world, &[region])?;
            world.set_front_cut(region, cut);
            let how = if cut { "are cut off from" } else { "reach" };
            Ok(format!("devices {how} {}", world.name(region)))
        }
        Act::Link { from, to, cut } => {
            let world = board.world.lock().await;
            check(&world, &[from, to])?;
            if from == to {
                return Err(fault::new(code::ARGUMENTS, "a region has no link to itself"));
            }
            world.set_link_cut(from, to, cut);
            world.set_link_cut(to, from, cut);
            let how = if cut { "is cut" } else { "is mended" };
            Ok(format!("the link between {} and {} {how}", world.name(from), world.name(to)))
        }
    }
}

fn check(world: &crate::world::World, regions: &[usize]) -> anyhow::Result<()> {
    if regions.iter().all(|i| *i < world.len()) {
        return Ok(());
    }
    Err(fault::new(code::UNKNOWN_NAME, "there is no such region"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_address_are_read() {
        let found = words("type=Order&id=a%2F1+b&x=%zz&y=%C3%A9&odd");
        let of = |name: &str| found.get(name).map(String::as_str);
        assert_eq!(of("type"), Some("Order"));
        assert_eq!(of("id"), Some("a/1 b"));
        assert_eq!((of("x"), of("y"), of("odd")), (Some("%zz"), Some("é"), None));
    }
}
