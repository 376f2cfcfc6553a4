//! The real transport, against a server that hands frames to the regions in memory.

use crate::world::{SOON, Wire, World};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall_device::transport::{Http, Traffic, Transport};
use landfall_device::{Client, RegionUrl, Value};
use landfall_sync::wire::{self, FrameReader, region_frame::Kind};
use landfall_tls::{Acceptor, Socket};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

type Body = StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// Serves sessions of region 0 on a port of this machine, as long as the runtime lives.
fn serve(world: &World) -> (tokio::runtime::Runtime, String) {
    let (runtime, address) = serve_with(world, None);
    (runtime, format!("http://{address}"))
}

/// The same, with TLS if there is something to show.
pub fn serve_with(world: &World, tls: Option<Acceptor>) -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let regions = world.wire();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (regions, tls) = (regions.clone(), tls.clone());
            tokio::spawn(async move {
                let socket: Box<dyn Socket> = match tls {
                    Some(tls) => tls.accept(stream).await?,
                    None => Box::new(stream),
                };
                let answer = service_fn(move |request| session(request, regions.clone()));
                let http = http2::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(socket), answer).await;
                std::io::Result::Ok(())
            });
        }
    });
    (runtime, address)
}

async fn session(request: Request<Incoming>, regions: Wire) -> Result<Response<Body>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/session");
    assert_eq!(request.headers()["content-type"], "application/x-landfall");
    let region = RegionUrl::new("", "0");
    let mut link = regions.connect(region, Arc::new(Traffic::default())).await.unwrap();
    let mut body = request.into_body();
    tokio::spawn(async move {
        let mut reader = FrameReader::default();
        while let Some(Ok(frame)) = body.frame().await {
            reader.push(frame.data_ref().unwrap());
            while let Some(frame) = reader.read().unwrap() {
                let _ = link.outgoing.send(frame);
            }
        }
    });
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut compress = false;
        while let Some(Ok(frame)) = link.incoming.recv().await {
            if let Some(Kind::Welcome(welcome)) = &frame.kind {
                compress = welcome.codec == 1;
            }
            let mut bytes = BytesMut::new();
            wire::encode_frame(&frame, compress, &mut bytes);
            if sender.send(bytes.freeze()).await.is_err() {
                return;
            }
        }
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        Some((Ok(Frame::data(receiver.recv().await?)), receiver))
    });
    Ok(Response::new(StreamBody::new(Box::pin(frames) as _)))
}

fn client(world: &World, path: &std::path::Path, url: &str) -> Client {
    let mut options = world.options(path, &[]);
    options.transport = Arc::new(Http::new());
    options.regions = vec![RegionUrl::new("http", url)];
    Client::open(options).unwrap()
}

#[test]
fn a_session_runs_over_http2_in_both_directions_at_once() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let (_runtime, url) = serve(&world);
    let a = client(&world, &dir.path().join("a.db"), &url);
    let b = client(&world, &dir.path().join("b.db"), &url);
    a.subscribe("market/fr").unwrap();
    b.subscribe("market/fr").unwrap();
    let long = "much of a muchness ".repeat(50);
    let mut t = a.transaction();
    for n in 0..500 {
        let fields = [("market", "fr".into()), ("status", Value::text(&*long))];
        t = t.upsert("Order", &format!("o{n}"), fields);
    }
    t.commit().unwrap();
    a.settle(SOON).unwrap();
    let count = |c: &Client| c.query("SELECT id FROM \"Order\"", []).unwrap().len();
    crate::world::eventually("the other has all", || count(&b) == 500);
    assert!(a.traffic().up() < 200_000, "frames are compressed: {:?}", a.traffic());
    assert!(b.traffic().down() > 1_000);
    a.close().unwrap();
    b.close().unwrap();
}

#[test]
fn a_port_where_nobody_listens_is_no_region() {
    let (world, dir) = (World::new(1), tempfile::tempdir().unwrap());
    let (_runtime, url) = serve(&world);
    let mut options = world.options(&dir.path().join("a.db"), &[]);
    options.transport = Arc::new(Http::new());
    let dead = RegionUrl::new("dead", "http://127.0.0.1:1");
    options.regions = vec![dead, RegionUrl::new("alive", url)];
    let client = Client::open(options).unwrap();
    client.subscribe("catalog").unwrap();
    client.settle(SOON).unwrap();
    let alive = landfall_device::ConnectionState::Online { region: "alive".into() };
    assert_eq!(client.connection(), alive);
}

#[test]
fn a_region_that_never_answers_is_let_go_of_with_the_wait_for_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connecting =
            Http::new().connect(RegionUrl::new("silent", url), Arc::new(Traffic::default()));
        let (connection, accepted) = tokio::join!(connecting, listener.accept());
        let (mut stream, _) = accepted.unwrap();
        drop(connection.unwrap());
        let mut nowhere = tokio::io::sink();
        let end = tokio::io::copy(&mut stream, &mut nowhere);
        tokio::time::timeout(SOON, end).await.expect("the connection ends").unwrap();
    });
}
