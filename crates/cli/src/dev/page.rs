//! The status page: one HTML file, and the figures that it asks for twice a second.

use super::phones::PhoneStatus;
use crate::world::World;
use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

const PAGE: &str = include_str!("page.html");

type Phones = Arc<dyn Fn() -> Vec<PhoneStatus> + Send + Sync>;

/// Serve the page on loopback until the process ends; returns its address.
pub(crate) async fn serve(
    port: u16,
    world: Arc<Mutex<World>>,
    phones: impl Fn() -> Vec<PhoneStatus> + Send + Sync + 'static,
) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{port}; try --port"))?;
    let address = listener.local_addr()?;
    let phones: Phones = Arc::new(phones);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (world, phones) = (world.clone(), phones.clone());
            let service = service_fn(move |r| answer(r, world.clone(), phones.clone()));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Ok(format!("http://{address}"))
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    world: Arc<Mutex<World>>,
    phones: Phones,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, kind, body) = match request.uri().path() {
        "/" => (StatusCode::OK, "text/html; charset=utf-8", PAGE.to_owned()),
        "/status.json" => {
            let figures = figures(&*world.lock().await, &phones).await;
            (StatusCode::OK, "application/json", figures.to_string())
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "nothing here\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let value = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    Ok(response)
}

async fn figures(world: &World, phones: &Phones) -> serde_json::Value {
    let mut regions = Vec::new();
    for i in 0..world.len() {
        let status = world.status(i).await;
        regions.push(json!({ "name": world.name(i), "url": world.url(i), "status": status }));
    }
    let delays: Vec<Vec<u64>> = (0..world.len())
        .map(|i| (0..world.len()).map(|j| world.one_way(i, j).as_millis() as u64).collect())
        .collect();
    json!({
        "regions": regions,
        "delays_ms": delays,
        "lag": world.lag().await,
        "bytes_between_regions": world.link_bytes(),
        "bytes_with_devices": world.front_bytes(),
        "phones": phones(),
    })
}
